using System.Text.Json;
using System.Text.Json.Nodes;
using Kernels.References.Quantization;
using Kernels.Tests.Linear;
using Kernels.Tests.Support;

namespace Kernels.Tests.Tools;

/// <summary>The learned mapping through <c>kernels run</c>.</summary>
public sealed class MappingRunTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("default", "ratio", MappingDecay.Distance, 5)]
    [InlineData("proximal", "ratio", MappingDecay.Ratio, 4)]
    [InlineData("proximal", "exponential", MappingDecay.Exponential, 3)]
    [InlineData("proximal", "adjacent", MappingDecay.Adjacent, 20)]
    public void The_gradient_is_within_the_bounds_of_the_oracle(string rule, string decay, MappingDecay oracle, int k)
    {
        const int M = 7;
        float[] logits = new Draw(1).Floats(M * k, 1e-2, 10);
        float[] codebook = [.. new Draw(2).Floats(k, 1e-2, 10).Order()];
        float[] grad = new Draw(3).Floats(M);
        JsonElement outputs = Call(
            new JsonObject { ["logits"] = Tensor(logits, M, k), ["codebook"] = Tensor(codebook, k), ["grad"] = Tensor(grad, M) },
            new JsonObject { ["temperature"] = 0.5, ["rule"] = rule, ["decay"] = decay }).Json().GetProperty("outputs");
        int[] index = MappingReference.Hard(logits, k);
        Assert.Equal(index, Array.ConvertAll(Floats(outputs, "index", $"[{M}]"), i => (int)i));
        Assert.Equal(index.Select(i => codebook[i]), Floats(outputs, "value", $"[{M}]"));
        var reference = new MappingReference(oracle, oracle == MappingDecay.Distance, 0.5);
        LinearDevice.AssertWithin(
            reference.Gradient(logits, codebook, grad), Floats(outputs, "gradLogits", $"[{M},{k}]"), rule);
    }

    [Theory]
    [InlineData(0, 4, "[0,1,2,3]", "{}", null)]
    [InlineData(2, 1, "[0]", "{}", "2 to 256 codes")]
    [InlineData(2, 3, "[0,2,1]", "{}", "must be finite and ascend")]
    [InlineData(2, 3, "[0,1,\"NaN\"]", "{}", "must be finite and ascend")]
    [InlineData(2, 3, "[0,1,2]", """{"temperature": 0}""", "temperature")]
    [InlineData(0, 3, "[0,1,2]", """{"temperature": -1}""", "temperature")]
    [InlineData(2, 3, "[0,1,2]", """{"rule": "nearest"}""", "rule")]
    [InlineData(2, 3, "[0,1,2]", """{"decay": "linear"}""", "decay")]
    public void What_does_not_fit_is_said(int m, int k, string codebook, string options, string? message)
    {
        var inputs = new JsonObject
        {
            ["logits"] = Tensor(new float[m * k], m, k),
            ["codebook"] = new JsonObject { ["shape"] = new JsonArray(k), ["data"] = JsonNode.Parse(codebook) },
            ["grad"] = Tensor(new float[m], m),
        };
        ToolRun run = Call(inputs, JsonNode.Parse(options)!.AsObject());
        Assert.Equal(message is null ? 0 : 2, run.ExitCode);
        Assert.Contains(message ?? "", run.Error, StringComparison.Ordinal);
    }

    private static JsonObject Tensor(float[] data, params int[] shape) => new()
    {
        ["shape"] = new JsonArray([.. shape.Select(s => (JsonNode)s)]),
        ["data"] = new JsonArray([.. data.Select(v => (JsonNode)v)]),
    };

    private static float[] Floats(JsonElement outputs, string name, string shape)
    {
        JsonElement tensor = outputs.GetProperty(name);
        Assert.Equal(shape, JsonNode.Parse(tensor.GetProperty("shape").GetRawText())!.ToJsonString());
        return [.. tensor.GetProperty("data").EnumerateArray().Select(v => v.GetSingle())];
    }

    private ToolRun Call(JsonObject inputs, JsonObject options)
    {
        var @case = new JsonObject { ["inputs"] = inputs.DeepClone(), ["options"] = options.DeepClone() };
        return ToolRun.Of(
            "run", "codebook/proximal", "--case", _folder.Write("case.json", @case.ToJsonString()), "--device",
            ToolRun.Device);
    }
}
