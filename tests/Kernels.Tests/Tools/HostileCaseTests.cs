using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using Kernels.Tests.Support;
using Kernels.Tools.Operations;

namespace Kernels.Tests.Tools;

/// <summary>Case files that nobody means well with: each is done, or refused soon with a reason, in little memory.</summary>
public sealed class HostileCaseTests : IDisposable
{
    private const long MostBytes = 1L << 26;

    private static readonly TimeSpan s_longest = TimeSpan.FromSeconds(30);

    private readonly TemporaryFolder _folder = new();

    public static TheoryData<string> Operations => [.. OperationCatalog.All.Select(operation => operation.Name)];

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("[", 100_000)]
    [InlineData("{\"inputs\":", 100_000)]
    [InlineData("{\"inputs\":{\"p\":{\"shape\":[2],\"data\":", 100)]
    [InlineData("{\"inputs\":{\"p\":{\"shape\":[2],\"data\":[[[[[[[[[[", 10)]
    public void Deep_nesting_is_refused(string part, int times) =>
        Refuse("optimizers/adam", string.Concat(Enumerable.Repeat(part, times)), "JSON");

    [Theory]
    [InlineData("[2147483647, 2147483647]", "numbers")]
    [InlineData("[2147483647, 0]", "2147483647")]
    [InlineData("[0, 2147483647]", "2147483647")]
    [InlineData("[4294967296, 0]", "4294967296")]
    [InlineData("[-1, -1]", "-1")]
    public void A_huge_shape_is_refused(string shape, string reason) => Refuse(
        "optimizers/adam",
        $$$$"""{"inputs": {"p": {"shape": [0], "data": []}, "g": {"shape": {{{{shape}}}}, "data": []}}}""", reason);

    [Theory]
    [InlineData("linear/matmul", """{"a": [100000, 1], "b": [1, 100000]}""", "{}")]
    [InlineData("vq/segmentsum", """{"x": [1, 1024], "index": [1]}""", """{"k": 1000000000}""")]
    public void A_huge_result_is_refused(string operation, string shapes, string options)
    {
        var inputs = new JsonObject();
        foreach ((string name, JsonNode? shape) in JsonNode.Parse(shapes)!.AsObject())
        {
            int length = shape!.AsArray().Aggregate(1, (product, n) => product * n!.GetValue<int>());
            inputs[name] = new JsonObject
            {
                ["shape"] = shape.DeepClone(),
                ["data"] = new JsonArray([.. Enumerable.Repeat(0, length).Select(zero => JsonValue.Create(zero))]),
            };
        }

        Refuse(operation, new JsonObject { ["inputs"] = inputs, ["options"] = JsonNode.Parse(options) }.ToJsonString(), "elements");
    }

    [Fact]
    public void A_npy_with_a_false_shape_is_refused()
    {
        File.WriteAllBytes(_folder.File("p.npy"), NpyFileTests.Npy("<f4", "(2000000000,)", [1f]));
        Refuse(
            "optimizers/adam",
            """{"inputs": {"p": {"npy": "p.npy"}, "g": {"shape": [1, 1], "data": [1]}}}""", "within its data");

        File.WriteAllBytes(_folder.File("p.npy"), NpyFileTests.Npy<float>("<f4", "(2000000000, 0)", []));
        Refuse(
            "optimizers/adam", """{"inputs": {"p": {"shape": [0], "data": []}, "g": {"npy": "p.npy"}}}""", "2000000000");
    }

    [Theory]
    [InlineData("/dev/zero")]
    [InlineData("/dev/stdin/none")]
    [InlineData(".")]
    [InlineData("")]
    [InlineData("a\\u0000b")]
    public void What_is_no_file_is_refused(string file) => Refuse(
        "optimizers/adam",
        $$$$"""{"inputs": {"p": {"npy": "{{{{file}}}}"}, "g": {"shape": [1, 1], "data": [1]}}}""", "'p'");

    /// <summary>Shapes, numbers and options that a program with a bug may send, for every operation.</summary>
    [Theory]
    [MemberData(nameof(Operations))]
    public void Anything_is_done_or_refused(string name)
    {
        Operation operation = OperationCatalog.Find(name);
        // What is refused does not depend on the device, and others compile kernels for every length.
        int seeds = TestDevices.IsHost ? 60 : 6;
        for (int seed = 0; seed < seeds; seed++)
        {
            string json = Draw(operation, new Random(seed)).ToJsonString();
            ToolRun run = Run(name, json);
            Assert.True(run.ExitCode is 0 or 2, $"{name}, {seed}: {run.Error}\n{json}");
            Assert.True(run.ExitCode == 0 || run.Error.Length > "kernels: ".Length, $"{name}, {seed}: no reason\n{json}");
        }
    }

    private static JsonObject Draw(Operation operation, Random random)
    {
        var lengths = new Dictionary<string, int>(StringComparer.Ordinal);
        var inputs = new JsonObject();
        int tame = random.Next(3);
        foreach (TensorSpec spec in operation.Inputs.Where(spec => !spec.IsOptional || random.Next(2) == 0))
        {
            int[] shape = [.. spec.Shape.Select(Length)];
            int count = shape.Aggregate(1, (product, n) => product * n);
            inputs[spec.Name] = new JsonObject
            {
                ["shape"] = new JsonArray([.. shape.Select(n => JsonValue.Create(n))]),
                ["data"] = new JsonArray([.. Enumerable.Range(0, count).Select(_ => Element(spec.Type))]),
            };
        }

        var options = new JsonObject();
        foreach (OptionSpec spec in operation.Options.Where(_ => random.Next(3) == 0))
        {
            options[spec.Name] = Option(spec);
        }

        return new JsonObject { ["inputs"] = inputs, ["options"] = options };

        int Length(string symbol)
        {
            if (!int.TryParse(symbol, NumberStyles.None, CultureInfo.InvariantCulture, out int length)
                && !lengths.TryGetValue(symbol, out length))
            {
                length = random.Next(6) == 0 ? 0 : OneOf(1, 2, 3, 4, 16, 64);
                lengths[symbol] = length;
            }

            return length;
        }

        JsonNode? Element(ElementType type) => type == ElementType.Int32
            ? tame > 0 ? random.Next(2) : OneOf(0, 1, 2, -1, 7, int.MaxValue, int.MinValue)
            : tame > 0 ? random.Next(-2, 3) : OneOf<JsonNode>(0, 1, -1, 3e38, 1e-45, "NaN", "Infinity", "-Infinity");

        JsonNode? Option(OptionSpec spec) => spec.Type switch
        {
            OptionType.Number when tame > 0 => OneOf(0.5, 1),
            OptionType.Integer when tame > 0 => OneOf(1, 2),
            OptionType.Number => OneOf<JsonNode>(0, 1, -1, 0.5, 1e-300, 1e300, "NaN", "Infinity", "-Infinity"),
            OptionType.Integer => OneOf<JsonNode>(0, 1, 2, 3, 8, -1, 1 << 20, int.MaxValue, int.MinValue, long.MaxValue),
            OptionType.Boolean => random.Next(2) == 0,
            OptionType.Choice => OneOf([.. spec.Choices!]),
            _ => OneOf<JsonNode>(
                new JsonArray(), new JsonArray(0), new JsonArray(1, 2), new JsonArray(-1, -1),
                new JsonArray(int.MaxValue, int.MaxValue)),
        };

        T OneOf<T>(params T[] values) => values[random.Next(values.Length)];
    }

    private void Refuse(string operation, string json, string reason)
    {
        ToolRun run = Run(operation, json);

        Assert.Equal(2, run.ExitCode);
        Assert.Contains(reason, run.Error, StringComparison.Ordinal);
    }

    private ToolRun Run(string operation, string json)
    {
        string @case = _folder.Write("case.json", json);
        long start = Stopwatch.GetTimestamp();
        long before = GC.GetAllocatedBytesForCurrentThread();

        ToolRun run = ToolRun.Of("run", operation, "--case", @case, "--device", ToolRun.Device);

        // What is done may compile kernels, which takes its time and memory.
        if (run.ExitCode != 0)
        {
            string beginning = json[..Math.Min(json.Length, 2000)];
            long bytes = GC.GetAllocatedBytesForCurrentThread() - before;
            Assert.True(bytes < MostBytes, $"{operation} took {bytes} bytes: {beginning}");
            Assert.True(Stopwatch.GetElapsedTime(start) < s_longest, $"{operation} took long: {beginning}");
        }

        return run;
    }
}
