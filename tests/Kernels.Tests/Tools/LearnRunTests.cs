using System.Text.Json;
using System.Text.Json.Nodes;
using Kernels.References;
using Kernels.References.VectorQuantization;
using Kernels.Tests.Linear;
using Kernels.Tests.Support;

namespace Kernels.Tests.Tools;

/// <summary>The operations that learn a codebook through <c>kernels run</c>.</summary>
public sealed class LearnRunTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(null, 4)]
    [InlineData(7, 7)]
    [InlineData(2, 2)]
    public void Sums_are_within_the_bounds_of_the_oracle(int? given, int k)
    {
        const int N = 9, D = 5;
        float[] x = new Draw(1).Floats(N * D);
        int[] index = [1, 3, -1, 0, 1, 1, 3, -9, 0];
        var inputs = new JsonObject
        {
            ["x"] = Tensor(x, N, D),
            ["index"] = Tensor(Array.ConvertAll(index, i => (float)i), N),
        };
        JsonElement outputs = Run("segmentsum", inputs, given is null ? [] : new JsonObject { ["k"] = given });

        (Bounded[] sums, int[] counts) = SegmentSumReference.Evaluate(
            x, Array.ConvertAll(index, i => i < 0 || i >= k ? -1 : i), k, D);
        LinearDevice.AssertWithin(sums, Floats(outputs, "sums", $"[{k},{D}]"), "sums");
        Assert.Equal(counts, Array.ConvertAll(Floats(outputs, "counts", $"[{k}]"), n => (int)n));
    }

    [Fact]
    public void Moving_means_are_within_the_bounds_of_the_oracle()
    {
        const int N = 20, K = 4, D = 3;
        float[] x = new Draw(1).Floats(N * D);
        float[] codes = new Draw(2).Floats(K * D);
        float[] sum = new Draw(3).Floats(K * D);
        float[] size = [1, 2, 0.5f, 3];
        JsonElement outputs = Run("ema", Book(x, codes, size, sum, N, K, D), new JsonObject { ["decay"] = 0.9, ["epsilon"] = 0.01 });

        int[] index = Array.ConvertAll(Floats(outputs, "index", "[20]"), i => (int)i);
        NearestRow[] rows = new NearestReference(NearestMetric.L2, codes, D).SearchAll(x, 1);
        Assert.All(Enumerable.Range(0, N), i => Assert.True(rows[i].Admits(index[i])));
        (Bounded[] newCodes, Bounded[] newSize, Bounded[] newSum) =
            new EmaReference(0.9, 0.01).Update(codes, size, sum, x, index);
        LinearDevice.AssertWithin(newCodes, Floats(outputs, "codes", "[4,3]"), "codes");
        LinearDevice.AssertWithin(newSize, Floats(outputs, "clusterSize", "[4]"), "sizes");
        LinearDevice.AssertWithin(newSum, Floats(outputs, "clusterSum", "[4,3]"), "sums");
    }

    [Fact]
    public void Without_rows_nothing_changes()
    {
        JsonElement outputs = Run("ema", Book([], [1, 2], [3], [4, 5], 0, 1, 2), []);
        Assert.Equal([1f, 2f], Floats(outputs, "codes", "[1,2]"));
        Assert.Equal([3f], Floats(outputs, "clusterSize", "[1]"));
        Assert.Equal([4f, 5f], Floats(outputs, "clusterSum", "[1,2]"));
        outputs = Run("segmentsum", new JsonObject { ["x"] = Tensor([], 0, 2), ["index"] = Tensor([], 0) }, new JsonObject { ["k"] = 2 });
        Assert.Equal([0f, 0, 0, 0], Floats(outputs, "sums", "[2,2]"));
    }

    [Theory]
    [InlineData("segmentsum", """{"x": [2, 3], "index": [3]}""", "{}", "n = 2")]
    [InlineData("segmentsum", """{"x": [2, 0], "index": [2]}""", "{}", "dimension")]
    [InlineData("segmentsum", """{"x": [2, 3], "index": [2]}""", """{"k": 0}""", "must be in [1,")]
    [InlineData("ema", """{"codes": [2, 3], "clusterSize": [2], "clusterSum": [2, 3], "x": [1, 2]}""", "{}", "d = 3")]
    [InlineData("ema", """{"codes": [2, 3], "clusterSize": [3], "clusterSum": [2, 3], "x": [1, 3]}""", "{}", "k = 2")]
    [InlineData("ema", """{"codes": [0, 3], "clusterSize": [0], "clusterSum": [0, 3], "x": [1, 3]}""", "{}", "must be a code")]
    [InlineData("ema", """{"codes": [2, 3], "clusterSize": [2], "clusterSum": [2, 3], "x": [1, 3]}""", """{"decay": 2}""", "decay must be")]
    [InlineData("ema", """{"codes": [2, 3], "clusterSize": [2], "clusterSum": [2, 3], "x": [1, 3]}""", """{"epsilon": -1}""", "epsilon must be")]
    public void A_wrong_case_is_refused_with_its_reason(string name, string shapes, string options, string reason)
    {
        var inputs = new JsonObject();
        foreach ((string input, JsonNode? shape) in JsonNode.Parse(shapes)!.AsObject())
        {
            int[] lengths = [.. shape!.AsArray().Select(n => (int)n!)];
            inputs[input] = Tensor(new float[lengths.Aggregate(1, (a, b) => a * b)], lengths);
        }

        ToolRun run = Call(name, inputs, JsonNode.Parse(options)!.AsObject());

        Assert.Equal((2, ""), (run.ExitCode, run.Output));
        Assert.Contains(reason, run.Error, StringComparison.Ordinal);
    }

    private static JsonObject Book(float[] x, float[] codes, float[] size, float[] sum, int n, int k, int d) => new()
    {
        ["x"] = Tensor(x, n, d),
        ["codes"] = Tensor(codes, k, d),
        ["clusterSize"] = Tensor(size, k),
        ["clusterSum"] = Tensor(sum, k, d),
    };

    private static JsonObject Tensor(float[] data, params int[] shape) => new()
    {
        ["shape"] = new JsonArray([.. shape.Select(length => JsonValue.Create(length))]),
        ["data"] = new JsonArray([.. data.Select(number => JsonValue.Create(number))]),
    };

    private static float[] Floats(JsonElement outputs, string name, string shape)
    {
        JsonElement output = outputs.GetProperty(name);
        Assert.Equal(shape, output.GetProperty("shape").GetRawText());
        return [.. output.GetProperty("data").EnumerateArray().Select(number => number.GetSingle())];
    }

    private JsonElement Run(string name, JsonObject inputs, JsonObject options) =>
        Call(name, inputs, options).Json().GetProperty("outputs");

    private ToolRun Call(string name, JsonObject inputs, JsonObject options)
    {
        var @case = new JsonObject { ["inputs"] = inputs.DeepClone(), ["options"] = options.DeepClone() };
        return ToolRun.Of(
            "run", $"vq/{name}", "--case", _folder.Write("case.json", @case.ToJsonString()), "--device", ToolRun.Device);
    }
}
