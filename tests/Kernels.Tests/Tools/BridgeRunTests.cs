using System.Text.Json;
using System.Text.Json.Nodes;
using Kernels.References;
using Kernels.References.Linear;
using Kernels.References.VectorQuantization;
using Kernels.Tests.Linear;

namespace Kernels.Tests.Tools;

/// <summary>The bridge, its parts and SimVQ through <c>kernels run</c>.</summary>
public sealed class BridgeRunTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_bridge_and_its_gradients_are_within_the_bounds_of_the_oracle()
    {
        BridgeShape shape = new()
        {
            Dimension = 3,
            Patch = 2,
            Width = 6,
            Heads = 3,
            Depth = 1,
            Epsilon = 1e-3,
            CompressNorm = true,
        };
        float[] codes = LinearDevice.Random(new Random(1), 10 * 3);
        float[] grad = LinearDevice.Random(new Random(2), codes.Length);
        var inputs = new JsonObject { ["codes"] = Tensor(codes, 10, 3), ["grad"] = Tensor(grad, 10, 3) };
        var weights = new Dictionary<string, float[]>(StringComparer.Ordinal);
        foreach ((string name, IReadOnlyList<int> sizes) in shape.Weights)
        {
            weights[name] = Array.ConvertAll(
                LinearDevice.Random(new Random(name.Length), sizes.Aggregate(1, (a, b) => a * b)), v => 0.2f * v);
            inputs[name] = Tensor(weights[name], [.. sizes]);
        }

        var options = new JsonObject { ["heads"] = 3, ["epsilon"] = 1e-3, ["compressNorm"] = true };
        JsonElement outputs = Run("vq/bridge", inputs, options);

        (Bounded[] projected, IReadOnlyDictionary<string, Bounded[]> gradients) =
            BridgeReference.EvaluateBounded(shape, weights, codes, grad);
        LinearDevice.AssertWithin(projected, Floats(outputs, "projected", "[10,3]"), "projected");
        LinearDevice.AssertWithin(gradients["codes"], Floats(outputs, "grad.codes", "[10,3]"), "codes");
        foreach ((string name, IReadOnlyList<int> sizes) in shape.Weights)
        {
            LinearDevice.AssertWithin(
                gradients[name], Floats(outputs, $"grad.{name}", $"[{string.Join(',', sizes)}]"), name);
        }

        inputs.Remove("grad");
        Assert.Equal(
            ["projected"], Run("vq/bridge", inputs, options).EnumerateObject().Select(p => p.Name).ToArray());
        inputs.Remove("blocks.0.mlp.reduce.bias");
        Refused("vq/bridge", inputs, options, "'blocks.0.mlp.reduce.bias' must have the shape [6]");
        inputs["blocks.0.mlp.reduce.bias"] = Tensor(new float[6], 6);
        Refused("vq/bridge", inputs, new JsonObject { ["heads"] = 4 }, "multiple of the 4 heads");
        inputs["codes"] = Tensor(new float[9 * 3], 9, 3);
        Refused("vq/bridge", inputs, options, "patches of 2 codes");
    }

    [Fact]
    public void SimVq_attention_and_layer_normalisation_are_within_the_bounds_of_their_oracles()
    {
        float[] codes = LinearDevice.Random(new Random(3), 5 * 4);
        float[] weight = LinearDevice.Random(new Random(4), 4 * 4);
        float[] bias = LinearDevice.Random(new Random(5), 4);
        float[] grad = LinearDevice.Random(new Random(6), 5 * 4);
        JsonElement outputs = Run("vq/simvq", new JsonObject
        {
            ["codes"] = Tensor(codes, 5, 4),
            ["weight"] = Tensor(weight, 4, 4),
            ["bias"] = Tensor(bias, 4),
            ["grad"] = Tensor(grad, 5, 4),
        });
        (Bounded[] dCodes, Bounded[] dWeight, Bounded[] dBias) = SimVqReference.Backward(codes, weight, grad, 4);
        LinearDevice.AssertWithin(
            SimVqReference.Forward(codes, weight, bias, 4), Floats(outputs, "projected", "[5,4]"), "projected");
        LinearDevice.AssertWithin(dCodes, Floats(outputs, "grad.codes", "[5,4]"), "codes");
        LinearDevice.AssertWithin(dWeight, Floats(outputs, "grad.weight", "[4,4]"), "weight");
        LinearDevice.AssertWithin(dBias, Floats(outputs, "grad.bias", "[4]"), "bias");

        outputs = Run("linear/layernorm", new JsonObject { ["x"] = Tensor(codes, 5, 4), ["dy"] = Tensor(grad, 5, 4) });
        float[] y = Floats(outputs, "y", "[5,4]");
        float[] factors = Floats(outputs, "factors", "[5]");
        LinearDevice.AssertWithin(LayerNormReference.Forward(codes, 4, 1e-6).Y, y, "y");
        LinearDevice.AssertWithin(
            LayerNormReference.Backward(y, factors, grad, []), Floats(outputs, "dx", "[5,4]"), "dx");

        float[] qkv = LinearDevice.Random(new Random(7), 5 * 3 * 2 * 2);
        outputs = Run("linear/attention", new JsonObject { ["qkv"] = Tensor(qkv, 5, 3, 2, 2), ["grad"] = Tensor(grad, 5, 2, 2) });
        float[] mixed = Floats(outputs, "mixed", "[5,2,2]");
        LinearDevice.AssertWithin(AttentionReference.Forward(qkv, 2, 2), mixed, "mixed");
        LinearDevice.AssertWithin(
            AttentionReference.Backward(qkv, mixed, grad, 2, 2), Floats(outputs, "grad.qkv", "[5,3,2,2]"), "qkv");
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

    private void Refused(string name, JsonObject inputs, JsonObject options, string reason)
    {
        ToolRun run = Call(name, inputs, options);
        Assert.Equal((2, ""), (run.ExitCode, run.Output));
        Assert.Contains(reason, run.Error, StringComparison.Ordinal);
    }

    private ToolRun Call(string name, JsonObject inputs, JsonObject options)
    {
        var @case = new JsonObject { ["inputs"] = inputs.DeepClone(), ["options"] = options.DeepClone() };
        return ToolRun.Of(
            "run", name, "--case", _folder.Write("case.json", @case.ToJsonString()), "--device", ToolRun.Device);
    }
}
