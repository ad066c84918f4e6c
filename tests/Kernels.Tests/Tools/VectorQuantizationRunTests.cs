using System.Text.Json;
using System.Text.Json.Nodes;
using Kernels.References;
using Kernels.References.VectorQuantization;
using Kernels.Tests.Linear;
using Kernels.Tests.Support;

namespace Kernels.Tests.Tools;

/// <summary>The operations on rows with codes through <c>kernels run</c>.</summary>
public sealed class VectorQuantizationRunTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Quantizing_is_within_the_bounds_of_the_oracle(bool given)
    {
        const int N = 6, K = 4, D = 5;
        const double Beta = 0.5;
        float[] x = new Draw(1).Floats(N * D);
        float[] codes = new Draw(2).Floats(K * D);
        float[] grad = new Draw(3).Floats(N * D);
        var inputs = new JsonObject { ["x"] = Tensor(x, N, D), ["codes"] = Tensor(codes, K, D) };
        if (given)
        {
            inputs["index"] = Tensor([1, 3, -1, 0, 1, 7], N);
            inputs["grad"] = Tensor(grad, N, D);
        }

        JsonElement outputs = Run("quantize", inputs, new JsonObject { ["beta"] = Beta });

        int[] index = Array.ConvertAll(Floats(outputs, "index", "[6]"), i => (int)i);
        if (given)
        {
            Assert.Equal([1, 3, -1, 0, 1, 7], index);
            index[5] = -1; // none, for it is out of range
        }
        else
        {
            NearestRow[] rows = new NearestReference(NearestMetric.L2, codes, D).SearchAll(x, 1);
            Assert.All(Enumerable.Range(0, N), i => Assert.True(rows[i].Admits(index[i])));
        }

        (Bounded[] output, Bounded codebook, Bounded commitment, Bounded[] gradX, int[] counts) =
            QuantizeReference.Evaluate(x, codes, index, D, Beta, given ? grad : []);
        LinearDevice.AssertWithin(output, Floats(outputs, "output", "[6,5]"), "output");
        LinearDevice.AssertWithin([codebook, commitment], Floats(outputs, "loss", "[2]"), "loss");
        LinearDevice.AssertWithin(gradX, Floats(outputs, "gradX", "[6,5]"), "gradX");
        Assert.Equal(counts, Array.ConvertAll(Floats(outputs, "counts", "[4]"), n => (int)n));
    }

    [Fact]
    public void The_rotation_trick_is_within_the_bounds_of_the_oracle()
    {
        const int N = 5, D = 6;
        float[] x = new Draw(4).Floats(N * D);
        float[] q = new Draw(5).Floats(N * D);
        float[] grad = new Draw(6).Floats(N * D);
        x.AsSpan(0, D).Clear(); // without a direction
        JsonElement outputs = Run(
            "rotate", new JsonObject { ["x"] = Tensor(x, N, D), ["q"] = Tensor(q, N, D), ["grad"] = Tensor(grad, N, D) });
        (_, Bounded[] gradX) = RotateReference.Evaluate(x, q, grad, D);
        Assert.Equal(q, Floats(outputs, "output", "[5,6]"));
        LinearDevice.AssertWithin(gradX, Floats(outputs, "gradX", "[5,6]"), "gradX");
        JsonElement none = Run(
            "rotate", new JsonObject { ["x"] = Tensor([], 0, 2), ["q"] = Tensor([], 0, 2), ["grad"] = Tensor([], 0, 2) });
        Assert.Empty(Floats(none, "gradX", "[0,2]"));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void The_gradient_through_softmax_is_within_the_bounds_of_the_oracle(bool given)
    {
        const int N = 5, K = 7, D = 3;
        float[] x = new Draw(7).Floats(N * D, 1e-2, 2);
        float[] codes = new Draw(8).Floats(K * D, 1e-2, 2);
        float[] grad = new Draw(9).Floats(N * D);
        var inputs = new JsonObject
        {
            ["x"] = Tensor(x, N, D),
            ["codes"] = Tensor(codes, K, D),
            ["grad"] = Tensor(grad, N, D),
        };
        if (given)
        {
            inputs["index"] = Tensor([6, -1, 0, 3, 3], N);
        }

        JsonElement outputs = Run("softmaxcodes", inputs);

        int[] index = Array.ConvertAll(Floats(outputs, "index", "[5]"), i => (int)i);
        if (!given)
        {
            NearestRow[] rows = new NearestReference(NearestMetric.Dot, codes, D).SearchAll(x, 1);
            Assert.All(Enumerable.Range(0, N), i => Assert.True(rows[i].Admits(index[i])));
        }

        (Bounded[] gradX, Bounded[] gradCodes) = SoftmaxCodesReference.Backward(x, codes, index, grad, D);
        LinearDevice.AssertWithin(gradX, Floats(outputs, "gradX", "[5,3]"), "gradX");
        LinearDevice.AssertWithin(gradCodes, Floats(outputs, "gradCodes", "[7,3]"), "gradCodes");
    }

    [Fact]
    public void Without_rows_there_is_no_loss()
    {
        JsonElement outputs = Run("quantize", new JsonObject { ["x"] = Tensor([], 0, 3), ["codes"] = Tensor([1, 2, 3], 1, 3) });
        Assert.Equal([0f, 0f], Floats(outputs, "loss", "[2]"));
        Assert.Equal([0f], Floats(outputs, "counts", "[1]"));
        Assert.Empty(Floats(outputs, "output", "[0,3]"));
    }

    [Theory]
    [InlineData("quantize", """{"x": [2, 3], "codes": [2, 4]}""", "{}", "d = 3")]
    [InlineData("quantize", """{"x": [2, 3], "codes": [0, 3]}""", "{}", "There must be a code")]
    [InlineData("quantize", """{"x": [2, 3], "codes": [2, 3], "index": [3]}""", "{}", "n = 2")]
    [InlineData("quantize", """{"x": [2, 3], "codes": [2, 3], "grad": [2, 2]}""", "{}", "d = 3")]
    [InlineData("quantize", """{"x": [2, 3], "codes": [2, 3]}""", """{"beta": -1}""", "beta must be")]
    [InlineData("quantize", """{"x": [2, 3]}""", "{}", "'codes'")]
    [InlineData("rotate", """{"x": [2, 3], "q": [2, 3], "grad": [3, 3]}""", "{}", "n = 2")]
    [InlineData("rotate", """{"x": [2, 0], "q": [2, 0], "grad": [2, 0]}""", "{}", "a dimension")]
    [InlineData("rotate", """{"x": [2, 3], "q": [2, 3]}""", "{}", "'grad'")]
    [InlineData("softmaxcodes", """{"x": [2, 3], "codes": [0, 3], "grad": [2, 3]}""", "{}", "There must be a code")]
    [InlineData("softmaxcodes", """{"x": [2, 3], "codes": [4, 3]}""", "{}", "'grad'")]
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

    private JsonElement Run(string name, JsonObject inputs, JsonObject? options = null) =>
        Call(name, inputs, options ?? []).Json().GetProperty("outputs");

    private ToolRun Call(string name, JsonObject inputs, JsonObject options)
    {
        var @case = new JsonObject { ["inputs"] = inputs.DeepClone(), ["options"] = options.DeepClone() };
        return ToolRun.Of(
            "run", $"vq/{name}", "--case", _folder.Write("case.json", @case.ToJsonString()), "--device", ToolRun.Device);
    }
}
