using System.Buffers.Binary;
using System.Text;
using System.Text.Json.Nodes;
using Kernels.Quantization;
using Kernels.References.Quantization;
using Kernels.Serialization;
using Kernels.Tests.VectorQuantization;

namespace Kernels.Tests.Tools;

/// <summary><c>kernels compress</c> and <c>kernels decompress</c>.</summary>
public sealed class CompressTests : IDisposable
{
    private const int Rows = 96;
    private const int Columns = 64;

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(4.2)]
    [InlineData(2.4)]
    [InlineData(1.1)]
    public void Bits_are_kept_small_tensors_stay_and_what_is_read_back_is_what_was_kept(double bits)
    {
        string model = Model();
        ToolRun run = Compress(model, bits);
        Assert.True(run.ExitCode == 0, run.Error);
        Assert.Contains("weights, dB", run.Output, StringComparison.Ordinal);
        ToolRun back = ToolRun.Of("decompress", File("small"), "--out", File("back"), "--device", ToolRun.Device);
        Assert.True(back.ExitCode == 0, back.Error);
        // Once more: what was kept is kept exactly.
        Assert.Equal(0, ToolRun.Of("decompress", File("small"), "--out", File("again"), "--device", ToolRun.Device).ExitCode);
        Assert.Equal(System.IO.File.ReadAllBytes(File("back")), System.IO.File.ReadAllBytes(File("again")));

        using SafeTensorsFile first = Open(model);
        using SafeTensorsFile small = Open(File("small"));
        using SafeTensorsFile last = Open(File("back"));
        Assert.Equal(string.Join("; ", first.Tensors), string.Join("; ", last.Tensors));
        Assert.Equal("pt", Assert.Single(last.Metadata).Value);
        foreach (string name in new[] { "a", "b", "c" })
        {
            long bytes = small.Tensors.Where(t => t.Name.StartsWith(name + ".", StringComparison.Ordinal)).Sum(t => t.ByteLength);
            Assert.InRange(8.0 * bytes / (Rows * Columns), 0, bits);
            Assert.True(small.TryFind(name + ".codebook", out SafeTensorInfo? codebook));
            var more = new CodebookLayout(
                Rows, Columns, CodeFormat.Densest((int)codebook.Shape[1] + 1, PackingOrder.Linear));
            Assert.True(8.0 * more.Bytes / (Rows * Columns) > bits, "One more code would not be too much.");
            float[] w = Floats(first, name);
            Assert.InRange(Noise(w, Floats(last, name)), 0, MostNoise(small, name, w));
            Assert.True(first.TryFind(name, out SafeTensorInfo? tensor));
            Assert.Equal(Kept(small, name, w.Length, tensor.Type), Floats(last, name));
        }

        // Before learning and after it, for each matrix: never worse, and better where k-means has many codes to move.
        bool isBetter = false;
        foreach (string line in run.Output.Split('\n').Where(line => line.Contains("[96, ", StringComparison.Ordinal)))
        {
            string[] row = line.Split('│');
            Assert.Equal(10, row.Length);
            Assert.True(Number(row[^2]) >= Number(row[^3]), line);
            isBetter |= Number(row[^2]) > Number(row[^3]);
        }

        Assert.True(isBetter || bits < 4, run.Output);

        Assert.Equal(Floats(first, "bias"), Floats(last, "bias"));
        var counts = new long[3];
        last.Read<long>("counts", counts);
        Assert.Equal([1, -2, long.MaxValue], counts);
    }

    [Fact]
    public void Groups_have_codebooks_of_their_own_where_that_is_worth_it()
    {
        Assert.Equal(0, Compress(Model(), 4.3).ExitCode);
        using SafeTensorsFile small = Open(File("small"));
        Assert.False(small.TryFind("a.rows", out _)); // 64 columns: a number for each row would be half a bit a weight
        string wide = File("wide");
        Write(wide, [new SafeTensorInfo("w", SafeTensorType.F32, 8, 16384)], writer => writer.Write<float>("w", Normal(8 * 16384, 7)));
        Assert.Equal(0, Compress(wide, 2.1).ExitCode);
        using SafeTensorsFile grouped = Open(File("small"));
        Assert.True(grouped.TryFind("w.rows", out _));
        Assert.Equal(
            0, ToolRun.Of("decompress", File("small"), "--out", File("back"), "--device", ToolRun.Device).ExitCode);
        using SafeTensorsFile first = Open(wide);
        using SafeTensorsFile last = Open(File("back"));
        float[] w = Floats(first, "w");
        Assert.InRange(Noise(w, Floats(last, "w")), 0, MostNoise(grouped, "w", w));
    }

    [Fact]
    public void Data_make_the_outputs_better_than_k_means_does()
    {
        var random = new Random(5);
        var data = new float[128 * Columns];
        for (int i = 0; i < data.Length; i++)
        {
            data[i] = (float)(random.NextDouble() - 0.5) + (i % Columns == 0 ? 0 : 0.9f * data[i - 1]);
        }

        WriteNpy(File("x.npy"), data, 128, Columns);
        ToolRun run = ToolRun.Of(
            "compress", Model(), "--bits", "2.2", "--out", File("small"), "--data", File("x.npy"), "--device", ToolRun.Device);
        Assert.True(run.ExitCode == 0, run.Error);
        string[] row = run.Output.Split('\n').First(line => line.Contains("F32[96, 64]", StringComparison.Ordinal)).Split('│');
        double before = Number(row[^3]);
        double after = Number(row[^2]);
        Assert.True(after > before + 3, $"{before} dB, learned {after} dB");
        Assert.True(Number(row[^4]) < Number(row[^5]), "The weights themselves lose by it.");

        // Inputs of another number of columns are of other layers: the weights learn alone.
        WriteNpy(File("x.npy"), data, 256, Columns / 2);
        run = ToolRun.Of(
            "compress", File("model"), "--bits", "2.2", "--out", File("small"), "--data", File("x.npy"), "--device",
            ToolRun.Device);
        row = run.Output.Split('\n').First(line => line.Contains("F32[96, 64]", StringComparison.Ordinal)).Split('│');
        Assert.Equal("--", row[^3].Trim() + row[^2].Trim());
        Assert.True(Number(row[^4]) >= Number(row[^5]));
    }

    [Fact]
    public void What_does_not_fit_is_said_and_nothing_is_written()
    {
        string model = Model();
        Refused("--bits must be from 1 to 9", Compress(model, 0.5));
        Refused("--bits must be from 1 to 9", Compress(model, double.NaN));
        Refused("two codes take more", Compress(model, 1));
        Refused("cannot be read", Compress(File("missing"), 4));
        Refused("cannot take the place", ToolRun.Of("compress", model, "--bits", "4", "--out", model, "--device", ToolRun.Device));
        Refused("no file in a folder", ToolRun.Of("compress", model, "--bits", "4", "--out", _folder.Path, "--device", ToolRun.Device));
        Refused("was not compressed", ToolRun.Of("decompress", model, "--out", File("small"), "--device", ToolRun.Device));
        string wrong = File("wrong");
        Write(wrong, [new SafeTensorInfo("w", SafeTensorType.F32, 64, 64)], writer =>
        {
            float[] w = Normal(4096, 1);
            w[77] = float.NaN;
            writer.Write<float>("w", w);
        });
        Refused("not finite", Compress(wrong, 4));
        Assert.Empty(Directory.GetFiles(_folder.Path, "*.part"));
    }

    /// <summary>Files that lie: about sizes, shapes, codes and rows.</summary>
    [Theory]
    [InlineData("[[7],[8]]", "wrong")]
    [InlineData("""[{"Name":"a","Type":"F32","Shape":[9223372036854775807,9223372036854775807],"Codes":4,"Groups":1}]""", "wrong")]
    [InlineData("""[{"Name":"a","Type":"F32","Shape":[96,-64],"Codes":4,"Groups":1}]""", "cannot be")]
    [InlineData("""[{"Name":"a","Type":"F32","Shape":[2147483647,1],"Codes":4,"Groups":1}]""", "must be")]
    [InlineData("""[{"Name":"a","Type":"I64","Shape":[96,64],"Codes":4,"Groups":1}]""", "cannot be")]
    [InlineData("""[{"Name":"a","Type":"F32","Shape":[96,64],"Codes":300,"Groups":1}]""", "cannot be")]
    [InlineData("""[{"Name":"a","Type":"F32","Shape":[96,64],"Codes":5,"Groups":1}]""", "must be")]
    [InlineData("""[{"Name":"q","Type":"F32","Shape":[96,64],"Codes":4,"Groups":1}]""", "is not there")]
    [InlineData("""[{"Name":null,"Type":"F32","Shape":[96,64],"Codes":4,"Groups":1}]""", "wrong")]
    [InlineData("""[{"Name":"a","Type":"F32","Shape":[96,64],"Codes":4}]""", "wrong")]
    public void Metadata_that_lie_are_refused(string metadata, string message)
    {
        Assert.Equal(0, Compress(Model(), 2.2).ExitCode);
        Rewrite(header => header["__metadata__"]!["kernels.compressed"] = metadata);
        Refused(message, ToolRun.Of("decompress", File("broken"), "--out", File("back"), "--device", ToolRun.Device));
    }

    [Fact]
    public void Files_cut_anywhere_and_headers_with_a_changed_byte_never_pass_for_another_model()
    {
        Assert.Equal(0, Compress(Model(), 2.2).ExitCode);
        byte[] good = System.IO.File.ReadAllBytes(File("small"));
        var random = new Random(3);
        for (int i = 0; i < 40; i++)
        {
            System.IO.File.WriteAllBytes(File("broken"), good[..random.Next(good.Length)]);
            Refused("", ToolRun.Of("decompress", File("broken"), "--out", File("back"), "--device", ToolRun.Device));
        }

        int header = (int)BinaryPrimitives.ReadInt64LittleEndian(good) + 8;
        for (int i = 0; i < 60; i++)
        {
            byte[] changed = [.. good];
            changed[random.Next(header)] ^= (byte)(1 << random.Next(8));
            System.IO.File.WriteAllBytes(File("broken"), changed);
            ToolRun run = ToolRun.Of("decompress", File("broken"), "--out", File("back"), "--device", ToolRun.Device);
            Assert.True(run.ExitCode is 0 or 2, run.Error); // a name may have changed, and that is another name
        }
    }

    private static void Refused(string message, ToolRun run)
    {
        Assert.Equal(2, run.ExitCode);
        Assert.Contains(message, run.Error, StringComparison.Ordinal);
    }

    /// <summary>What k-means of each group's rows can lose at most.</summary>
    /// <remarks>
    /// Steps of Lloyd's never raise the error, so thirty lose no more than the first ten of the oracle. To the root of the
    /// error the type in which the tensor is written again adds up to 2^-9 of each code; binary32's own roundings of codes,
    /// thousands of 2^-24 of a cell's width and squared in what they cost, are far within that.
    /// </remarks>
    private static double MostNoise(SafeTensorsFile small, string name, float[] w)
    {
        Assert.True(small.TryFind(name + ".codebook", out SafeTensorInfo? info));
        (int groups, int k) = ((int)info.Shape[0], (int)info.Shape[1]);
        Assert.True(groups == 1 || small.TryFind(name + ".rows", out _));
        int[] boundaries = [0, 1];
        int[] rows = [0];
        if (groups > 1)
        {
            boundaries = new int[groups + 1];
            small.Read<int>(name + ".boundaries", boundaries);
            rows = new int[boundaries[^1]];
            small.Read<int>(name + ".rows", rows);
        }

        int columns = w.Length / rows.Length;
        double error = 0;
        double power = 0;
        for (int group = 0; group < groups; group++)
        {
            float[] own = [.. rows[boundaries[group]..boundaries[group + 1]].SelectMany(
                row => w[(row * columns)..((row + 1) * columns)])];
            float[] codebook = Array.ConvertAll(CodebookFitReference.Lloyd(own, k, 0), code => (float)code.Value);
            for (int step = 0; step < 10; step++)
            {
                codebook = CodebookFitReference.Step(own, codebook).Codebook;
            }

            double[] kept = Array.ConvertAll(own, v => (double)codebook.MinBy(code => Math.Abs((double)v - code)));
            error += own.Zip(kept, (a, b) => (a - b) * (a - b)).Sum();
            power += kept.Sum(v => v * v);
        }

        return Math.Pow(Math.Sqrt(error) + Math.ScaleB(Math.Sqrt(power), -9), 2) / w.Sum(v => (double)v * v);
    }

    /// <summary>What the codes of an ungrouped matrix stand for, unpacked by the oracle and rounded to its type.</summary>
    private static float[] Kept(SafeTensorsFile small, string name, int length, SafeTensorType type)
    {
        Assert.True(small.TryFind(name + ".codes", out SafeTensorInfo? codes));
        Assert.True(small.TryFind(name + ".codebook", out SafeTensorInfo? book));
        Assert.Equal(1, book.Shape[0]);
        var format = CodeFormat.Densest((int)book.Shape[1], PackingOrder.Linear);
        var packed = new byte[codes.Length];
        small.Read<byte>(name + ".codes", packed);
        float[] codebook = Array.ConvertAll(Floats(small, name + ".codebook"), code => type switch
        {
            SafeTensorType.F16 => (float)(Half)code,
            SafeTensorType.BF16 => LearnCase.Floats(Storage.BF16, LearnCase.Bits(Storage.BF16, [code]))[0],
            _ => code,
        });
        int[] index = new PackReference(format.Codes, (CodePacking)format.Packing).Unpack(packed, length);
        return Array.ConvertAll(index, code => codebook[code]);
    }

    private static double Number(string cell) =>
        double.Parse(cell.Trim(), System.Globalization.CultureInfo.InvariantCulture);

    private static double Noise(float[] signal, float[] kept) =>
        signal.Zip(kept, (a, b) => ((double)a - b) * ((double)a - b)).Sum() / signal.Sum(a => (double)a * a);

    private static float[] Normal(int length, int seed)
    {
        var random = new Random(seed);
        return
        [
            .. Enumerable.Range(0, length).Select(_ => (float)(
                Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble()))),
        ];
    }

    private static float[] Floats(SafeTensorsFile file, string name)
    {
        Assert.True(file.TryFind(name, out SafeTensorInfo? tensor));
        var floats = new float[tensor.Length];
        if (tensor.Type == SafeTensorType.F32)
        {
            file.Read<float>(name, floats);
            return floats;
        }

        var halves = new ushort[tensor.Length];
        file.Read<ushort>(name, halves);
        return Array.ConvertAll(halves, bits => tensor.Type == SafeTensorType.F16
            ? (float)BitConverter.UInt16BitsToHalf(bits)
            : BitConverter.UInt32BitsToSingle((uint)bits << 16));
    }

    private static SafeTensorsFile Open(string path) => new(System.IO.File.OpenRead(path));

    private static void Write(string path, SafeTensorInfo[] tensors, Action<SafeTensorsWriter> write)
    {
        using var writer = new SafeTensorsWriter(
            System.IO.File.Create(path), tensors, new Dictionary<string, string>(StringComparer.Ordinal) { ["format"] = "pt" });
        write(writer);
        writer.Finish();
    }

    private static void WriteNpy(string path, float[] data, int rows, int columns)
    {
        string header = $"{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {columns}), }}".PadRight(117) + "\n";
        using FileStream stream = System.IO.File.Create(path);
        stream.Write([0x93, (byte)'N', (byte)'U', (byte)'M', (byte)'P', (byte)'Y', 1, 0, (byte)header.Length, 0]);
        stream.Write(Encoding.ASCII.GetBytes(header));
        stream.Write(System.Runtime.InteropServices.MemoryMarshal.AsBytes<float>(data));
    }

    private string File(string name) => _folder.File(name);

    private ToolRun Compress(string model, double bits) => ToolRun.Of(
        "compress", model, "--bits", bits.ToString(System.Globalization.CultureInfo.InvariantCulture), "--out", File("small"),
        "--device", ToolRun.Device);

    /// <summary>Matrices of every type, one of them of four dimensions, and what is not compressed.</summary>
    private string Model()
    {
        string path = File("model");
        float[] a = Normal(Rows * Columns, 1);
        float[] b = Normal(Rows * Columns, 2);
        float[] c = Normal(Rows * Columns, 3);
        Write(
            path,
            [
                new SafeTensorInfo("a", SafeTensorType.F32, Rows, Columns), new SafeTensorInfo("bias", SafeTensorType.F32, 5),
                new SafeTensorInfo("b", SafeTensorType.F16, Rows, Columns / 4, 2, 2),
                new SafeTensorInfo("c", SafeTensorType.BF16, Rows, Columns), new SafeTensorInfo("counts", SafeTensorType.I64, 3),
            ],
            writer =>
            {
                writer.Write<float>("a", a);
                writer.Write<float>("bias", [1, 2, float.NaN, -0f, 5]);
                writer.Write<ushort>("b", Array.ConvertAll(b, value => BitConverter.HalfToUInt16Bits((Half)value)));
                writer.Write<ushort>("c", Array.ConvertAll(c, value => (ushort)(BitConverter.SingleToUInt32Bits(value) >> 16)));
                writer.Write<long>("counts", [1, -2, long.MaxValue]);
            });
        return path;
    }

    /// <summary>The compressed file with another header.</summary>
    private void Rewrite(Action<JsonObject> change)
    {
        byte[] good = System.IO.File.ReadAllBytes(File("small"));
        int length = (int)BinaryPrimitives.ReadInt64LittleEndian(good);
        JsonObject header = JsonNode.Parse(good.AsSpan(8, length))!.AsObject();
        change(header);
        byte[] text = Encoding.UTF8.GetBytes(header.ToJsonString());
        var prefix = new byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(prefix, text.Length);
        System.IO.File.WriteAllBytes(File("broken"), [.. prefix, .. text, .. good.AsSpan(8 + length)]);
    }
}
