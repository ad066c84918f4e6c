using System.Text.Json;
using System.Text.Json.Nodes;
using Kernels.References;
using Kernels.References.Linear;
using Kernels.Tests.Linear;

namespace Kernels.Tests.Tools;

/// <summary>The operations of dense layers through <c>kernels run</c>.</summary>
public sealed class LinearRunTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(false, false, "none", false, false)]
    [InlineData(true, false, "relu", true, false)]
    [InlineData(false, true, "gelu", true, true)]
    [InlineData(true, true, "none", false, true)]
    public void A_product_is_within_the_bounds_of_the_oracle(
        bool transposeA, bool transposeB, string activation, bool hasBias, bool accumulates)
    {
        const int M = 5, N = 3, K = 7;
        var random = new Random(1);
        float[] a = LinearDevice.Random(random, M * K);
        float[] b = LinearDevice.Random(random, K * N);
        float[] bias = hasBias ? LinearDevice.Random(random, N) : [];
        float[] c0 = accumulates ? LinearDevice.Random(random, M * N) : [];
        var inputs = new JsonObject
        {
            ["a"] = Tensor(a, transposeA ? [K, M] : [M, K]),
            ["b"] = Tensor(b, transposeB ? [N, K] : [K, N]),
        };
        if (hasBias)
        {
            inputs["bias"] = Tensor(bias, N);
        }

        if (accumulates)
        {
            inputs["c0"] = Tensor(c0, M, N);
        }

        var options = new JsonObject
        {
            ["transposeA"] = transposeA,
            ["transposeB"] = transposeB,
            ["activation"] = activation,
        };
        JsonElement outputs = Run("matmul", inputs, options);

        Func<Bounded, Bounded>? oracle = activation switch
        {
            "relu" => ActivationReference.Relu,
            "gelu" => ActivationReference.Gelu,
            _ => null,
        };
        Bounded[] wanted = MatMulReference.Multiply(a, transposeA, b, transposeB, M, N, K, bias, c0, oracle);
        LinearDevice.AssertWithin(wanted, Floats(outputs, "c", "[5,3]"), activation);
    }

    [Fact]
    public void An_activation_and_its_gradient_are_within_the_bounds_of_the_oracle()
    {
        const int N = 33;
        float[] x = LinearDevice.Random(new Random(2), N);
        float[] dy = LinearDevice.Random(new Random(3), N);
        foreach (string activation in new[] { "relu", "gelu", "none" })
        {
            var options = new JsonObject { ["activation"] = activation };
            JsonElement outputs = Run(
                "activation", new JsonObject { ["x"] = Tensor(x, N), ["dy"] = Tensor(dy, N) }, options);
            LinearDevice.AssertWithin(
                Array.ConvertAll(x, v => Forward(activation, v)), Floats(outputs, "y", "[33]"), activation);
            LinearDevice.AssertWithin(
                [.. x.Zip(dy, (v, d) => Back(activation, v, d))], Floats(outputs, "dx", "[33]"), activation);
        }

        JsonElement alone = Run("activation", new JsonObject { ["x"] = Tensor([-1f, 2f], 2) }, []);
        Assert.Equal([0f, 2f], Floats(alone, "y", "[2]"));
        Assert.False(alone.TryGetProperty("dx", out _));
    }

    [Theory]
    [InlineData(0, 3)]
    [InlineData(4, 3)]
    [InlineData(300, 65)]
    public void Column_sums_are_within_the_bounds_of_the_oracle(int rows, int columns)
    {
        float[] x = LinearDevice.Random(new Random(4), rows * columns);
        float[] held = LinearDevice.Random(new Random(5), columns);
        var inputs = new JsonObject { ["x"] = Tensor(x, rows, columns) };

        float[] sums = Floats(Run("columnsum", inputs, []), "sums", $"[{columns}]");
        LinearDevice.AssertWithin(MatMulReference.ColumnSum(x, rows, columns, []), sums, "from nothing");

        inputs["sums0"] = Tensor(held, columns);
        sums = Floats(Run("columnsum", inputs, []), "sums", $"[{columns}]");
        LinearDevice.AssertWithin(MatMulReference.ColumnSum(x, rows, columns, held), sums, "on top");
    }

    [Fact]
    public void Losses_and_gradient_are_within_the_bounds_of_the_oracle()
    {
        const int Rows = 6, Classes = 11;
        float[] logits = LinearDevice.Random(new Random(6), Rows * Classes);
        int[] labels = [0, 10, 3, 3, 7, 1];

        JsonElement outputs = Run("softmaxcrossentropy", Samples(logits, labels, Classes), []);

        (Bounded[] losses, Bounded mean, Bounded[] gradient) =
            SoftmaxCrossEntropyReference.Evaluate(logits, labels, Classes);
        LinearDevice.AssertWithin(losses, Floats(outputs, "losses", "[6]"), "losses");
        LinearDevice.AssertWithin([mean], Floats(outputs, "mean", "[1]"), "mean");
        LinearDevice.AssertWithin(gradient, Floats(outputs, "gradient", "[6,11]"), "gradient");
    }

    [Fact]
    public void Predictions_are_those_of_the_oracle_and_are_counted()
    {
        const int Classes = 3;
        float[] logits = [1, 2, 2, -1, -2, -3, 0, 0, 5];
        int[] labels = [1, 2, 2];

        JsonElement outputs = Run("prediction", Samples(logits, labels, Classes), []);

        Assert.Equal("""{"shape":[3],"data":[1,0,2]}""", Compact(outputs.GetProperty("predictions")));
        Assert.Equal("""{"shape":[1],"data":[2]}""", Compact(outputs.GetProperty("count")));
        JsonElement alone = Run("prediction", new JsonObject { ["logits"] = Tensor(logits, 3, 3) }, []);
        Assert.False(alone.TryGetProperty("count", out _));
    }

    [Theory]
    [InlineData("softmaxcrossentropy", """{"logits": [0, 3], "labels": [0]}""", "losses")]
    [InlineData("prediction", """{"logits": [0, 3], "labels": [0]}""", "predictions")]
    [InlineData("matmul", """{"a": [0, 2], "b": [2, 3]}""", "c")]
    [InlineData("activation", """{"x": [0]}""", "y")]
    public void Nothing_to_do_is_done(string name, string shapes, string output) => Assert.Equal(
        0, Run(name, Zeros(shapes), []).GetProperty(output).GetProperty("data").GetArrayLength());

    [Theory]
    [InlineData("matmul", """{"a": [2, 3], "b": [2, 3]}""", "{}", "3 columns")]
    [InlineData("matmul", """{"a": [2, 3], "b": [3, 4], "bias": [3]}""", "{}", "'bias' must have the shape [4]")]
    [InlineData("matmul", """{"a": [2, 3], "b": [3, 4], "c0": [4, 2]}""", "{}", "'c0' must have the shape [2, 4]")]
    [InlineData("matmul", """{"a": [6], "b": [3, 4]}""", "{}", "[aRows, aColumns]")]
    [InlineData("matmul", """{"a": [2, 3], "b": [3, 4]}""", """{"activation": "tanh"}""", "\"gelu\"")]
    [InlineData("matmul", """{"a": [2, 3], "b": [3, 4]}""", """{"transposeC": true}""", "'transposeC'")]
    [InlineData("columnsum", """{"x": [2, 3], "sums0": [2]}""", "{}", "columns = 3")]
    [InlineData("softmaxcrossentropy", """{"logits": [2, 3]}""", "{}", "'labels'")]
    [InlineData("softmaxcrossentropy", """{"logits": [2, 3], "labels": [3]}""", "{}", "rows = 2")]
    [InlineData("softmaxcrossentropy", """{"logits": [2, 0], "labels": [2]}""", "{}", "classes must be")]
    [InlineData("prediction", """{"logits": [2, 0]}""", "{}", "classes must be")]
    public void A_wrong_case_is_refused_with_its_reason(string name, string shapes, string options, string reason)
    {
        ToolRun run = Call(name, Zeros(shapes), JsonNode.Parse(options)!.AsObject());

        Assert.Equal((2, ""), (run.ExitCode, run.Output));
        Assert.Contains(reason, run.Error, StringComparison.Ordinal);
    }

    /// <summary>Inputs of zeros with these shapes.</summary>
    private static JsonObject Zeros(string shapes)
    {
        var inputs = new JsonObject();
        foreach ((string input, JsonNode? shape) in JsonNode.Parse(shapes)!.AsObject())
        {
            int[] lengths = [.. shape!.AsArray().Select(n => (int)n!)];
            inputs[input] = Tensor(new float[lengths.Aggregate(1, (x, y) => x * y)], lengths);
        }

        return inputs;
    }

    private static JsonObject Samples(float[] logits, int[] labels, int classes) => new()
    {
        ["logits"] = Tensor(logits, labels.Length, classes),
        ["labels"] = Tensor(Array.ConvertAll(labels, l => (float)l), labels.Length),
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

    private static Bounded Forward(string activation, float x) => activation switch
    {
        "relu" => ActivationReference.Relu(x),
        "gelu" => ActivationReference.Gelu(x),
        _ => x,
    };

    private static Bounded Back(string activation, float x, float dy) => activation switch
    {
        "relu" => ActivationReference.ReluBack(x, dy),
        "gelu" => ActivationReference.GeluBack(x, dy),
        _ => dy,
    };

    private static string Compact(JsonElement element) => JsonNode.Parse(element.GetRawText())!.ToJsonString();

    private JsonElement Run(string name, JsonObject inputs, JsonObject options) =>
        Call(name, inputs, options).Json().GetProperty("outputs");

    private ToolRun Call(string name, JsonObject inputs, JsonObject options)
    {
        var @case = new JsonObject { ["inputs"] = inputs.DeepClone(), ["options"] = options.DeepClone() };
        return ToolRun.Of(
            "run", $"linear/{name}", "--case", _folder.Write("case.json", @case.ToJsonString()), "--device",
            ToolRun.Device);
    }
}
