using System.Buffers.Binary;
using System.Text;
using Kernels.Serialization;

namespace Kernels.Tests.Serialization;

public class SafeTensorsTests
{
    /// <summary>A file made byte by byte: the header's length, the header, the data.</summary>
    private static byte[] File(string header, params byte[] data)
    {
        var length = new byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(length, Encoding.UTF8.GetByteCount(header));
        return [.. length, .. Encoding.UTF8.GetBytes(header), .. data];
    }

    private static SafeTensorsFile Open(byte[] file) => new(new MemoryStream(file));

    [Fact]
    public void A_file_made_by_hand_is_read()
    {
        const string Header =
            """
            {"__metadata__":{"format":"pt"},"b":{"dtype":"F32","shape":[2,1],"data_offsets":[3,11]},"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},"e":{"dtype":"I64","shape":[0,5],"data_offsets":[3,3]},"s":{"dtype":"BF16","shape":[],"data_offsets":[11,13]}}
            """;
        using SafeTensorsFile file = Open(File(
            Header, 7, 8, 9, 0x00, 0x00, 0x80, 0x3F, 0x00, 0x00, 0x00, 0xC0, 0x80, 0x3F));

        Assert.Equal("pt", Assert.Single(file.Metadata).Value);
        Assert.Equal(["a", "e", "b", "s"], file.Tensors.Select(tensor => tensor.Name), StringComparer.Ordinal);
        Assert.True(file.TryFind("b", out SafeTensorInfo? info));
        Assert.Equal("F32[2, 1]", info.ToString());
        Assert.False(file.TryFind("c", out _));
        Assert.Equal([1f, -2f], Read<float>(file, "b", 2));
        Assert.Equal([-2f], Read<float>(file, "b", 1, first: 1));
        Assert.Equal([7, 8, 9], Read<byte>(file, "a", 3));
        Assert.Equal([], Read<long>(file, "e", 0));
        Assert.Equal([(ushort)0x3F80], Read<ushort>(file, "s", 1));
    }

    [Fact]
    public void A_written_file_has_these_bytes()
    {
        using var stream = new MemoryStream();
        using (var writer = new SafeTensorsWriter(
            stream, [new SafeTensorInfo("w", SafeTensorType.F32, 2)], leaveOpen: true))
        {
            writer.Write("w", [1f, -2f]);
            writer.Finish();
        }

        const string Header = """{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}""";
        string padded = Header.PadRight((Header.Length + 7) / 8 * 8);
        Assert.Equal(
            File(padded, 0x00, 0x00, 0x80, 0x3F, 0x00, 0x00, 0x00, 0xC0), stream.ToArray());
    }

    [Fact]
    public void What_is_written_in_pieces_is_read_back()
    {
        var random = new Random(1);
        float[] floats = [.. Enumerable.Range(0, 3_000_000).Select(_ => random.NextSingle())];
        using var stream = new MemoryStream();
        using (var writer = new SafeTensorsWriter(
            stream,
            [
                new SafeTensorInfo("exp_avg.\"weird\" ü", SafeTensorType.F32, 3, 1_000_000),
                new SafeTensorInfo("none", SafeTensorType.F32, 0, 4),
                new SafeTensorInfo("half", SafeTensorType.F16, 2),
                new SafeTensorInfo("bf", SafeTensorType.BF16, 1),
                new SafeTensorInfo("i32", SafeTensorType.I32, 2),
                new SafeTensorInfo("step", SafeTensorType.I64),
                new SafeTensorInfo("u8", SafeTensorType.U8, 3),
            ],
            new Dictionary<string, string>(StringComparer.Ordinal) { ["optimizer"] = "Adam" },
            leaveOpen: true))
        {
            writer.Write<float>("exp_avg.\"weird\" ü", floats.AsSpan(0, 1));
            writer.Write<float>("exp_avg.\"weird\" ü", floats.AsSpan(1));
            writer.Write("half", [(Half)1.5, (Half)(-2)]);
            writer.Write("bf", [(ushort)0x4000]);
            writer.Write("i32", [int.MinValue, 5]);
            writer.Write("step", [long.MaxValue]);
            writer.Write("u8", [(byte)1, (byte)2, (byte)255]);
            writer.Finish();
        }

        stream.Position = 0;
        using var file = new SafeTensorsFile(stream);
        Assert.Equal("Adam", file.Metadata["optimizer"]);
        Assert.Equal(floats, Read<float>(file, "exp_avg.\"weird\" ü", floats.Length));
        Assert.Equal([(Half)1.5, (Half)(-2)], Read<Half>(file, "half", 2));
        Assert.Equal([(ushort)0x4000], Read<ushort>(file, "bf", 1));
        Assert.Equal([int.MinValue, 5], Read<int>(file, "i32", 2));
        Assert.Equal([long.MaxValue], Read<long>(file, "step", 1));
        Assert.Equal([1, 2, 255], Read<byte>(file, "u8", 3));
        Assert.True(file.TryFind("none", out SafeTensorInfo? none));
        Assert.Equal([0L, 4], none.Shape);
    }

    private static string Entry(string dtype, string shape, string offsets) =>
        $$$$"""{"dtype":"{{{{dtype}}}}","shape":{{{{shape}}}},"data_offsets":{{{{offsets}}}}}""";

    public static TheoryData<byte[], string> WrongFiles => new()
    {
        { [], "it has 0 bytes" },
        { [1, 0, 0, 0, 0, 0, 0], "it has 7 bytes" },
        { [255, 255, 255, 255, 255, 255, 255, 255, (byte)'{'], "at most 100000000" },
        { [9, 0, 0, 0, 0, 0, 0, 0, (byte)'{'], "only 1 follow" },
        { File(""), "'{'" },
        { File("[]"), "'{'" },
        { File("{"), "JSON" },
        { File("{} x"), "JSON" },
        { File("{\"a\":\"\\ud800\"}"), "no object" },
        { File("{\"\\ud800\":{}}"), "UTF-8" },
        { File("{}", 1), "something follows" },
        { File($$$$"""{"a":{{{{Entry("U8", "[1]", "[0,1]")}}}},"a":{{{{Entry("U8", "[1]", "[0,1]")}}}}}""", 1), "'a' twice" },
        { File($$$$"""{"":{{{{Entry("U8", "[1]", "[0,1]")}}}}}""", 1), "no name" },
        { File($$$$"""{"a":{{{{Entry("F64", "[1]", "[0,8]")}}}}}""", 1, 2, 3, 4, 5, 6, 7, 8), "F64" },
        { File($$$$"""{"a":{{{{Entry("f32", "[1]", "[0,4]")}}}}}""", 1, 2, 3, 4), "f32" },
        { File($$$$"""{"a":{{{{Entry("1", "[1]", "[0,2]")}}}}}""", 1, 2), "dtype 1" },
        { File($$$$"""{"a":{{{{Entry("F32", "[1]", "[0,4]")}}}}}""", 1, 2, 3), "cut off" },
        { File($$$$"""{"a":{{{{Entry("F32", "[1]", "[0,3]")}}}}}""", 1, 2, 3), "needs 4 bytes" },
        { File($$$$"""{"a":{{{{Entry("F32", "[1]", "[4,0]")}}}}}""", 1, 2, 3, 4), "begin and end" },
        { File($$$$"""{"a":{{{{Entry("F32", "[1]", "[0]")}}}}}""", 1, 2, 3, 4), "begin and end" },
        { File($$$$"""{"a":{{{{Entry("F32", "[-1]", "[0,4]")}}}}}""", 1, 2, 3, 4), "whole numbers" },
        { File($$$$"""{"a":{{{{Entry("F32", "[1.5]", "[0,4]")}}}}}""", 1, 2, 3, 4), "whole numbers" },
        { File($$$$"""{"a":{{{{Entry("F32", "1", "[0,4]")}}}}}""", 1, 2, 3, 4), "no list" },
        { File($$$$"""{"a":{{{{Entry("F32", "[4294967296,4294967296]", "[0,0]")}}}}}"""), "2^63" },
        { File($$$$"""{"a":{{{{Entry("F32", "[4611686018427387904]", "[0,0]")}}}}}"""), "2^63" },
        { File("""{"a":{"dtype":"U8","shape":[0]}}"""), "lacks" },
        { File("""{"a":{"dtype":7,"shape":[0],"data_offsets":[0,0]}}"""), "no text" },
        { File("""{"a":{"dtype":"U8","dtype":"U8","shape":[0],"data_offsets":[0,0]}}"""), "two entries 'dtype'" },
        { File("""{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0],"x":1}}"""), "'x'" },
        { File("""{"a":7}"""), "no object" },
        { File("""{"__metadata__":7}"""), "no object" },
        { File("""{"__metadata__":{"a":7}}"""), "no text" },
        { File("""{"__metadata__":{"a":"b","a":"b"}}"""), "'a' twice" },
        {
            File($$$$"""{"a":{{{{Entry("U8", "[2]", "[0,2]")}}}},"b":{{{{Entry("U8", "[2]", "[1,3]")}}}}}""", 1, 2, 3),
            "inside another"
        },
        {
            File($$$$"""{"a":{{{{Entry("U8", "[1]", "[0,1]")}}}},"b":{{{{Entry("U8", "[1]", "[2,3]")}}}}}""", 1, 2, 3),
            "hole from 1"
        },
        { File($$$$"""{"a":{{{{Entry("U8", "[1]", "[1,2]")}}}}}""", 1, 2), "hole from 0" },
    };

    [Theory]
    [MemberData(nameof(WrongFiles))]
    public void A_wrong_file_is_refused_with_its_reason(byte[] file, string reason) => Assert.Contains(
        reason, Assert.Throws<InvalidDataException>(() => Open(file)).Message, StringComparison.Ordinal);

    [Fact]
    public void Text_that_is_no_utf8_is_refused()
    {
        byte[] file = File("""{"x":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}""");
        file[10] = 0xFF;
        Assert.Throws<InvalidDataException>(() => Open(file));
    }

    [Fact]
    public void Wrong_reads_are_refused()
    {
        using SafeTensorsFile file = Open(File($$$$"""{"a":{{{{Entry("F32", "[1]", "[0,4]")}}}}}""", 1, 2, 3, 4));

        Assert.Throws<ArgumentException>(() => Read<float>(file, "b", 1));
        Assert.Throws<ArgumentException>(() => Read<int>(file, "a", 1));
        Assert.Throws<ArgumentOutOfRangeException>(() => Read<float>(file, "a", 2));
        Assert.Throws<ArgumentOutOfRangeException>(() => Read<float>(file, "a", 1, first: 1));
        Assert.Throws<ArgumentOutOfRangeException>(() => Read<float>(file, "a", 1, first: -1));
        Assert.Throws<ArgumentOutOfRangeException>(() => Read<float>(file, "a", 1, first: long.MaxValue));
        file.Dispose();
        Assert.Throws<ObjectDisposedException>(() => Read<float>(file, "a", 1));
        Assert.Throws<ArgumentNullException>(() => new SafeTensorsFile(null!));
    }

    [Fact]
    public void Wrong_writes_are_refused()
    {
        using var stream = new MemoryStream();
        SafeTensorInfo a = new("a", SafeTensorType.F32, 2);
        SafeTensorInfo b = new("b", SafeTensorType.I32, 1);
        using var writer = new SafeTensorsWriter(stream, [a, b]);

        Assert.Throws<ArgumentException>(() => writer.Write("b", [1]));
        Assert.Throws<ArgumentException>(() => writer.Write("a", [1, 2]));
        Assert.Throws<ArgumentException>(() => writer.Write("a", [1f, 2f, 3f]));
        writer.Write("a", [1f]);
        Assert.Throws<ArgumentException>(() => writer.Write("b", [1]));
        Assert.Throws<ArgumentException>(() => writer.Write("a", [1f, 2f]));
        Assert.Contains("'a'", Assert.Throws<InvalidOperationException>(writer.Finish).Message, StringComparison.Ordinal);
        writer.Write("a", [2f]);
        Assert.Contains("'b'", Assert.Throws<InvalidOperationException>(writer.Finish).Message, StringComparison.Ordinal);
        writer.Write("b", [1]);
        Assert.Throws<ArgumentException>(() => writer.Write("b", [1]));
        writer.Finish();
        writer.Dispose();
        Assert.Throws<ObjectDisposedException>(writer.Finish);

        Assert.Throws<ArgumentNullException>(() => new SafeTensorsWriter(null!, [a]));
        Assert.Throws<ArgumentNullException>(() => new SafeTensorsWriter(new MemoryStream(), null!));
        Assert.Throws<ArgumentException>(() => new SafeTensorsWriter(new MemoryStream([], writable: false), [a]));
        Assert.Throws<ArgumentException>(() => new SafeTensorsWriter(new MemoryStream(), [a, a]));
        Assert.Throws<ArgumentException>(() => new SafeTensorInfo("", SafeTensorType.F32, 1));
        Assert.Throws<ArgumentException>(() => new SafeTensorInfo("__metadata__", SafeTensorType.F32, 1));
        Assert.Throws<ArgumentOutOfRangeException>(() => new SafeTensorInfo("a", SafeTensorType.F32, -1));
        Assert.Throws<ArgumentOutOfRangeException>(() => new SafeTensorInfo("a", (SafeTensorType)99, 1));
        Assert.Throws<OverflowException>(() => new SafeTensorInfo("a", SafeTensorType.F32, long.MaxValue));
    }

    private static T[] Read<T>(SafeTensorsFile file, string name, int count, long first = 0)
        where T : unmanaged
    {
        var values = new T[count];
        file.Read<T>(name, values, first);
        return values;
    }
}
