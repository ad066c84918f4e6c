using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;
using Kernels.Tools.Cases;

namespace Kernels.Tests.Tools;

public class NpyFileTests
{
    /// <summary>A file as NumPy writes it.</summary>
    internal static byte[] Npy<T>(string descr, string shape, T[] data, string order = "False", byte version = 1)
        where T : unmanaged
    {
        int prefix = version == 1 ? 10 : 12;
        string header = $"{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}";
        header = header.PadRight(128 - prefix - 1) + "\n";
        var file = new List<byte> { 0x93, (byte)'N', (byte)'U', (byte)'M', (byte)'P', (byte)'Y', version, 0 };
        var length = new byte[prefix - 8];
        if (version == 1)
        {
            BinaryPrimitives.WriteUInt16LittleEndian(length, (ushort)header.Length);
        }
        else
        {
            BinaryPrimitives.WriteUInt32LittleEndian(length, (uint)header.Length);
        }

        return [.. file, .. length, .. Encoding.Latin1.GetBytes(header), .. MemoryMarshal.AsBytes(data.AsSpan())];
    }

    [Fact]
    public void Every_type_and_version_is_read()
    {
        AssertReads("<f4", [1.5f, -2f, float.NaN, 0f, 1e-40f, float.MaxValue]);
        AssertReads("<f8", [1.5, -2, double.NaN, 0, 1e-310, double.MaxValue]);
        AssertReads("<i4", [1, -2, int.MaxValue, int.MinValue, 0, 7]);
        AssertReads("<i8", [1L, -2, long.MaxValue, long.MinValue, 0, 7]);
        AssertReads("|u1", [(byte)1, (byte)2, (byte)255, (byte)0, (byte)9, (byte)7]);
    }

    private static void AssertReads<T>(string descr, T[] data)
        where T : unmanaged
    {
        foreach ((string shape, int[] wanted) in ((string, int[])[])
            [("(6,)", [6]), ("(2, 3)", [2, 3]), ("(1, 6, 1)", [1, 6, 1])])
        {
            for (byte version = 1; version <= 3; version++)
            {
                NpyFile file = Read(Npy(descr, shape, data, version: version));

                Assert.Equal(descr[1..], file.Type);
                Assert.Equal(wanted, file.Shape);
                Assert.Equal(data, Assert.IsType<T[]>(file.Data));
            }
        }
    }

    [Fact]
    public void A_number_and_an_empty_array_are_read()
    {
        Assert.Equal([], Read(Npy("<f4", "()", [3f])).Shape);
        Assert.Equal([0, 3], Read(Npy<float>("<f4", "(0, 3)", [])).Shape);
        Assert.Equal([2], Read(Npy("<f4", "(2,)", [1f, 2f], order: "True")).Shape);
    }

    public static TheoryData<byte[], string> WrongFiles => new()
    {
        { [], "start" },
        { [.. "\x93NUMPX\x01\x00"u8.ToArray()], "start" },
        { Npy("<f4", "(2,)", [1f, 2f], version: 4), "version 4.0" },
        { Npy(">f4", "(2,)", [1f, 2f]), "'>f4'" },
        { Npy("<f2", "(2,)", [(short)1, (short)2]), "'<f2'" },
        { Npy("<f4", "(1, 2)", [1f, 2f], order: "True"), "Fortran" },
        { Npy("<f4", "(2,)", [1f, 2f], order: "Maybe"), "True or False" },
        { Npy("<f4", "(3,)", [1f, 2f]), "within its data" },
        { Npy("<f4", "(1,)", [1f, 2f]), "follow" },
        { Npy("<f4", "(-1,)", [1f]), "length" },
        { Npy("<f4", "(2147483647, 2147483647)", [1f]), "larger" },
        { Npy("<f4", "(2,), 'x': 'y'", [1f, 2f]), "'x'" },
        { Npy("<f4", "(2,), 'shape': (2,)", [1f, 2f]), "'shape'" },
        { Npy("<f4", "(2,)} x {", [1f, 2f]), "follows" },
        { Npy("<f4", "(2,)", [1f, 2f])[..9], "within its header" },
        { Npy("<f4", "(2,)", [1f, 2f])[..60], "within its header" },
    };

    [Theory]
    [MemberData(nameof(WrongFiles))]
    public void A_wrong_file_is_refused_with_its_reason(byte[] file, string reason) => Assert.Contains(
        reason, Assert.Throws<InvalidDataException>(() => Read(file)).Message, StringComparison.Ordinal);

    private static NpyFile Read(byte[] file)
    {
        using var stream = new MemoryStream(file);
        return NpyFile.Read(stream);
    }
}
