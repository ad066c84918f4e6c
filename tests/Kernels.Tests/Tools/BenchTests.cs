using Kernels.Tests.Support;
using Kernels.Tools.Benchmarks;
using Kernels.Tools.Operations;

namespace Kernels.Tests.Tools;

public sealed class BenchTests : IDisposable
{
    private static readonly string[] s_small =
    [
        "optimizers/sgd n=100 momentum=0.9",
        "optimizers/adam n=100",
        "optimizers/adamw n=100",
        "optimizers/adagrad n=100",
        "optimizers/rmsprop n=100",
        "optimizers/lion n=100",
        "optimizers/adabelief n=100",
        "optimizers/diffgrad n=100",
        "optimizers/adagradnorm n=100",
        "optimizers/lamb n=100",
        "optimizers/adafactor n=96 shape=8,12",
        "optimizers/dctadamw rows=8 n=12 rank=2",
        "optimizers/trion rows=8 n=12 rank=2",
        "optimizers/muon rows=8 n=12",
        "optimizers/gradnorm n=100",
        "optimizers/batchtest B=4 d=10",
        "linear/matmul aRows=3 aColumns=8 bRows=5 bColumns=8 transposeB=true",
        "linear/activation n=100 activation=gelu +dy",
        "linear/columnsum rows=5 columns=9",
        "linear/softmaxcrossentropy rows=3 classes=10",
        "linear/prediction rows=3 classes=10",
        "linear/layernorm rows=3 columns=16 +dy",
        "linear/attention tokens=5 heads=2 size=8 +grad",
        "vq/nearest n=5 k=9 d=4",
        "vq/quantize n=5 k=9 d=4 +index",
        "vq/segmentsum n=20 d=3 k=4",
        "vq/ema n=20 k=4 d=3",
        "vq/rotate n=5 d=8",
        "vq/softmaxcodes n=5 k=9 d=4 +index",
        "vq/bridge k=8 d=2 width=8 features=4 heads=2 +grad",
        "vq/simvq k=9 d=4 +grad",
        "dct/transform rows=3 n=16",
        "dct/select rows=8 n=8 rank=2",
        "dct/backproject projectedRows=3 projectedColumns=2 r=2 n=16",
        "dct/remap rows=3 r=4",
        "codebook/proximal m=10 k=4",
        "codebook/assign rows=4 cols=8 c=1 k=4",
        "codebook/pack rows=4 cols=8 k=4",
        "codebook/unpack bytes=8 rows=4 columns=8 k=4",
        "codebook/dequantize rows=4 cols=8 c=1 k=4",
        "codebook/matmul rows=4 cols=8 c=1 k=4 n=2",
        "codebook/fit rows=4 cols=8 k=4 iterations=2",
        "codebook/group rows=4 cols=8 groups=2",
        "codebook/nf4 rows=4 cols=16",
    ];

    private readonly TemporaryFolder _folder = new();

    public static TheoryData<string> Small => [.. s_small];

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Every_operation_has_shapes_that_are_read()
    {
        string[] names = [.. OperationCatalog.All.Select(operation => operation.Name).Order(StringComparer.Ordinal)];

        Assert.Equal(names, Bench.Shapes.Select(lines => lines.Key).Order(StringComparer.Ordinal), StringComparer.Ordinal);
        Assert.Equal(names, s_small.Select(line => line.Split(' ')[0]).Order(StringComparer.Ordinal), StringComparer.Ordinal);
        Assert.All(Bench.Shapes.SelectMany(lines => lines), line => Assert.NotEmpty(BenchCase.Parse(line).Shape));
    }

    [Theory]
    [MemberData(nameof(Small))]
    public void Every_operation_is_measured(string line)
    {
        var session = Session.Use(TestDevices.Session.Accelerator, TestDevices.Session.Stream);
        var meter = new Meter(session, 1e9, 2, TimeSpan.FromMilliseconds(0.1));

        Bench.Measure(session, BenchCase.Parse(line), meter);

        Assert.NotEmpty(meter.Results);
        Assert.All(meter.Results, result =>
        {
            Assert.StartsWith(line.Split(' ')[0], result.Name, StringComparison.Ordinal);
            Assert.True(result.Cost.Read > 0 && result.Cost.Written > 0 && result.Cost.Operations > 0, result.ToString());
            Assert.True(result.Time.Low > 0 && result.Time.Median >= result.Time.Low && result.Time.High >= result.Time.Median);
            Assert.True(result.Floor >= result.Stream.Median && result.Share > 0, result.ToString());
        });
    }

    [Theory]
    [InlineData(28, 0, false, 8, 0)]
    [InlineData(1000, 1, false, 8, 0)]
    [InlineData(16, 12, true, 5, 3)]
    [InlineData(8, 8, false, 4, 4)]
    [InlineData(1, 4000, false, 0, 8)]
    public void A_probe_reads_and_writes_as_a_call_does(double read, double written, bool inPlace, int reads, int writes)
    {
        var session = Session.Use(TestDevices.Session.Accelerator, TestDevices.Session.Stream);
        using var probe = new StreamProbe(session, new Cost(read * 40, written * 40, 0, inPlace));

        probe.Launch();
        session.Synchronize();

        Assert.Equal((reads, writes), (probe.Reads, probe.Writes));
    }

    [Fact]
    public void Quartiles_are_those_of_the_times()
    {
        var times = Quantiles.Of([5, 1, 4, 2, 3]);

        Assert.Equal((2, 3, 4), (times.Low, times.Median, times.High));
        Assert.Equal(1.0 / 3, times.Spread, 12);
    }

    [Fact]
    public void A_call_is_slower_where_the_quartiles_do_not_overlap()
    {
        BenchResult now = Result(3.1, 4, 5);
        Assert.Equal("2.00x SLOWER", BenchFile.Compare(now, Content(Result(1, 2, 3))));
        Assert.Equal("0.40x faster", BenchFile.Compare(now, Content(Result(9, 10, 11))));
        Assert.Equal("1.00x", BenchFile.Compare(now, Content(Result(3, 4, 5))));
        Assert.Equal("new", BenchFile.Compare(now, Content(Result(3, 4, 5) with { Shape = "n=2" })));

        static BenchResult Result(double low, double median, double high) =>
            new("a", "n=1", new Cost(1, 1, 1), new Quantiles(low, median, high), new Quantiles(1, 1, 1), 1);

        static BenchFile.Content Content(BenchResult result) => new("cpu", 1, [result]);
    }

    [Fact]
    public void The_floor_is_the_longer_of_memory_and_arithmetic()
    {
        var memory = new BenchResult("a", "", new Cost(1, 1, 10), new(8, 8, 8), new(4, 4, 4), 10);
        BenchResult arithmetic = memory with { Cost = new Cost(1, 1, 60) };

        Assert.Equal((4.0, 0.5, false), (memory.Floor, memory.Share, memory.IsArithmetic));
        Assert.Equal((6.0, 0.75, true), (arithmetic.Floor, arithmetic.Share, arithmetic.IsArithmetic));
    }

    [Fact]
    public void The_command_writes_results_and_a_picture_and_compares()
    {
        string json = _folder.File("a.json");
        string picture = _folder.File("roofline.png");
        string[] call = ["bench", "linear/columnsum", "--size", "rows=16", "columns=40", "--rounds", "2", "--device", ToolRun.Device];

        ToolRun first = ToolRun.Of([.. call, "--json", json, "--plot", picture]);
        ToolRun second = ToolRun.Of([.. call, "--compare", json]);

        Assert.Equal((0, ""), (first.ExitCode, first.Error));
        Assert.All(first.Output.Split('\n'), line => Assert.InRange(line.TrimEnd().Length, 0, 80));
        BenchResult result = Assert.Single(BenchFile.Read(json).Results);
        Assert.Equal(("linear/columnsum", "rows=16 columns=40"), (result.Name, result.Shape));
        Assert.Equal(4 * 16 * 40, result.Cost.Read);
        Assert.Equal([0x89, (byte)'P', (byte)'N', (byte)'G'], File.ReadAllBytes(picture)[..4]);
        Assert.Equal((0, ""), (second.ExitCode, second.Error));
        Assert.Contains(
            "x", second.Output.Split('\n').First(line => line.StartsWith("linear/columnsum", StringComparison.Ordinal))[16..],
            StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("'vqq'", "bench vqq")]
    [InlineData("z=3", "bench linear/columnsum --size z=3")]
    [InlineData("whole number", "bench linear/columnsum --size rows=x")]
    [InlineData("must be", "bench linear/activation --size activation=none3")]
    [InlineData("--rounds", "bench linear/columnsum --rounds 0")]
    [InlineData("none.json", "bench linear/columnsum --compare none.json")]
    [InlineData("+y", "bench linear/columnsum --size +y")]
    public void A_wrong_call_says_what_is_wrong(string part, string line)
    {
        ToolRun run = ToolRun.Of([.. line.Split(' '), "--device", ToolRun.Device]);

        Assert.Equal(2, run.ExitCode);
        Assert.Contains(part, run.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("[]")]
    [InlineData("{\"Device\": \"a\", \"Results\": [null]}")]
    [InlineData("{")]
    public void A_file_that_holds_no_results_is_refused(string text)
    {
        ToolRun run = ToolRun.Of(
            "bench", "linear/columnsum", "--compare", _folder.Write("a.json", text), "--device", ToolRun.Device);

        Assert.Equal(2, run.ExitCode);
        Assert.Contains("a.json", run.Error, StringComparison.Ordinal);
    }
}
