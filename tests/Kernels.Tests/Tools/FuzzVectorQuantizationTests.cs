using Kernels.References.Fuzzing;
using Kernels.Tools.Fuzzing;

namespace Kernels.Tests.Tools;

/// <summary>Bugs in operations on rows and codes that <c>kernels fuzz</c> must find.</summary>
public sealed class FuzzVectorQuantizationTests
{
    /// <summary>Names of bugs, and what they make of a case of ours and its right outputs.</summary>
    public static TheoryData<string, string> Bugs => new()
    {
        { "vq/nearest", "highest of equal codes" },
        { "vq/nearest", "last code left out" },
        { "vq/nearest", "last dimension left out" },
        { "vq/nearest", "root of the distance" },
        { "vq/nearest", "margin of the runner-up's runner-up" },
        { "vq/quantize", "mean over all rows" },
        { "vq/quantize", "highest of equal codes" },
        { "vq/quantize", "no gradient comes in" },
        { "vq/segmentsum", "last row left out" },
        { "vq/segmentsum", "counts of the next segment" },
        { "vq/ema", "no smoothing" },
        { "vq/ema", "last row left out" },
        { "vq/rotate", "plain straight-through" },
        { "vq/rotate", "last dimension left out" },
        { "vq/softmaxcodes", "no hard part" },
        { "vq/softmaxcodes", "last row left out" },
        { "vq/simvq", "bias left out" },
        { "vq/simvq", "transposed" },
        { "vq/bridge", "biases left out" },
        { "vq/bridge", "gradient of the last bias left out" },
    };

    [Theory]
    [MemberData(nameof(Bugs))]
    public void A_planted_bug_is_found_and_made_small(string name, string bug)
    {
        PlantedBug.AssertFound(name, (kernel, given) => Plant(bug, kernel, given));
    }

    private static IReadOnlyDictionary<string, FuzzTensor> Plant(string bug, OperationUnderTest kernel, FuzzCase given)
    {
        switch (bug)
        {
            case "highest of equal codes":
                if (given.Has("index"))
                {
                    return kernel.Run(given);
                }

                FuzzCase reversed = With(given, ("codes", Reversed(given.Inputs["codes"])));
                return Turned(kernel.Run(reversed), given.Length("codes"));
            case "last code left out":
                return kernel.Run(given.Length("codes") == 1 ? given : Shorter(given, 0, "codes"));
            case "last dimension left out":
                return given.Length("x", 1) == 1
                    ? kernel.Run(given)
                    : Padded(kernel.Run(Shorter(given, 1, [.. given.Inputs.Keys])), kernel.Run(given));
            case "root of the distance":
                return Changed(kernel.Run(given), "distance", Math.Sqrt);
            case "margin of the runner-up's runner-up":
                return Changed(kernel.Run(given), "margin", x => 2 * x);
            case "mean over all rows":
                int k = given.Length("codes");
                double share = given.Has("index")
                    ? given.Integers("index").Count(i => i >= 0 && i < k) / (double)given.Length("x")
                    : 1;
                return Changed(kernel.Run(given), "loss", x => x * share);
            case "no gradient comes in":
                return kernel.Run(Without(given, "grad"));
            case "last row left out":
                string[] ofRows = [.. given.Inputs.Keys.Where(input => input is "x" or "index" or "grad")];
                return Padded(kernel.Run(Shorter(given, 0, ofRows)), kernel.Run(given));
            case "counts of the next segment":
                IReadOnlyDictionary<string, FuzzTensor> sums = kernel.Run(given);
                int[] counts = sums["counts"].Integers;
                return Outputs(sums, ("counts", new FuzzTensor([.. counts[1..], counts[0]], counts.Length)));
            case "no smoothing":
                return kernel.Run(Option(given, "epsilon", 0d));
            case "plain straight-through":
                return Outputs(kernel.Run(given), ("gradX", given.Inputs["grad"]));
            case "no hard part":
                return NoHardPart(kernel.Run(given), given);
            case "bias left out":
                return kernel.Run(Without(given, "bias"));
            case "transposed":
                return kernel.Run(With(given, ("weight", Transposed(given.Inputs["weight"]))));
            case "biases left out":
                IEnumerable<string> biases = given.Inputs.Keys.Where(
                    input => input.EndsWith("bias", StringComparison.Ordinal));
                return kernel.Run(With(given, [.. biases.Select(input => (input, Zeros(given.Inputs[input])))]));
            default:
                IReadOnlyDictionary<string, FuzzTensor> right = kernel.Run(given);
                return right.TryGetValue("grad.recover.bias", out FuzzTensor? bias)
                    ? Outputs(right, ("grad.recover.bias", Zeros(bias)))
                    : right;
        }
    }

    /// <summary>The hard code's gradient g taken from the sums.</summary>
    private static Dictionary<string, FuzzTensor> NoHardPart(
        IReadOnlyDictionary<string, FuzzTensor> right, FuzzCase given)
    {
        float[] gradCodes = [.. right["gradCodes"].Floats];
        int[] index = right["index"].Integers;
        int d = given.Length("codes", 1);
        for (int i = 0; i < index.Length * d; i++)
        {
            int code = index[i / d];
            if (code >= 0 && code < given.Length("codes"))
            {
                gradCodes[(code * d) + (i % d)] -= given.Floats("grad")[i];
            }
        }

        return Outputs(right, ("gradCodes", new FuzzTensor(gradCodes, [.. right["gradCodes"].Shape])));
    }

    /// <summary>Outputs of the reversed codes, as if they were of the codes.</summary>
    private static Dictionary<string, FuzzTensor> Turned(IReadOnlyDictionary<string, FuzzTensor> outputs, int k)
    {
        int[] index = Array.ConvertAll(outputs["index"].Integers, i => i < 0 ? i : k - 1 - i);
        Dictionary<string, FuzzTensor> turned = Outputs(
            outputs, ("index", new FuzzTensor(index, [.. outputs["index"].Shape])));
        return outputs.TryGetValue("counts", out FuzzTensor? counts)
            ? Outputs(turned, ("counts", Reversed(counts)))
            : turned;
    }

    /// <summary>Outputs with zeros where others have more.</summary>
    private static Dictionary<string, FuzzTensor> Padded(
        IReadOnlyDictionary<string, FuzzTensor> outputs, IReadOnlyDictionary<string, FuzzTensor> shapes) =>
        outputs.ToDictionary(
            output => output.Key,
            output => Padded(output.Value, [.. shapes[output.Key].Shape]),
            StringComparer.Ordinal);

    private static FuzzTensor Padded(FuzzTensor tensor, int[] shape)
    {
        if (tensor.Data is int[] integers)
        {
            int length = shape.Aggregate(1, (a, b) => a * b);
            return new FuzzTensor([.. integers, .. new int[length - integers.Length]], shape);
        }

        int columns = shape.Length > 1 ? shape[1] : 1;
        int own = tensor.Shape.Count > 1 ? tensor.Shape[1] : 1;
        float[] padded = new float[shape.Aggregate(1, (a, b) => a * b)];
        for (int i = 0; i < tensor.Data.Length; i++)
        {
            padded[(i / own * columns) + (i % own)] = tensor.Floats[i];
        }

        return new FuzzTensor(padded, shape);
    }

    /// <summary>The case without the last row or column of some inputs.</summary>
    private static FuzzCase Shorter(FuzzCase given, int dimension, params string[] inputs) => With(
        given, [.. inputs.Select(input => (input, Shorter(given.Inputs[input], dimension)))]);

    private static FuzzTensor Shorter(FuzzTensor tensor, int dimension)
    {
        int[] shape = [.. tensor.Shape];
        int columns = shape.Length > 1 ? shape[1] : 1;
        shape[dimension]--;
        bool IsKept(int i) => dimension == 0 ? i / columns < shape[0] : i % columns < shape[1];
        return tensor.Data is float[] floats
            ? new FuzzTensor([.. floats.Where((_, i) => IsKept(i))], shape)
            : new FuzzTensor([.. tensor.Integers.Where((_, i) => IsKept(i))], shape);
    }

    private static FuzzTensor Reversed(FuzzTensor tensor)
    {
        if (tensor.Data is int[] integers)
        {
            return new FuzzTensor([.. integers.Reverse()], [.. tensor.Shape]);
        }

        IEnumerable<float[]> rows = tensor.Floats.Chunk(tensor.Shape[1]).Reverse();
        return new FuzzTensor([.. rows.SelectMany(row => row)], [.. tensor.Shape]);
    }

    private static FuzzTensor Zeros(FuzzTensor tensor) => new(new float[tensor.Data.Length], [.. tensor.Shape]);

    private static FuzzTensor Transposed(FuzzTensor square)
    {
        int d = square.Shape[0];
        float[] turned = [.. Enumerable.Range(0, d * d).Select(i => square.Floats[(i % d * d) + (i / d)])];
        return new FuzzTensor(turned, d, d);
    }

    private static Dictionary<string, FuzzTensor> Changed(
        IReadOnlyDictionary<string, FuzzTensor> outputs, string name, Func<double, double> change) => Outputs(
            outputs,
            (name, new FuzzTensor(
                Array.ConvertAll(outputs[name].Floats, x => (float)change(x)), [.. outputs[name].Shape])));

    private static Dictionary<string, FuzzTensor> Outputs(
        IReadOnlyDictionary<string, FuzzTensor> outputs, params ReadOnlySpan<(string Name, FuzzTensor Tensor)> changes)
    {
        var all = new Dictionary<string, FuzzTensor>(outputs, StringComparer.Ordinal);
        foreach ((string name, FuzzTensor tensor) in changes)
        {
            all[name] = tensor;
        }

        return all;
    }

    private static FuzzCase With(FuzzCase given, params ReadOnlySpan<(string Name, FuzzTensor Tensor)> changes) =>
        new(Outputs(given.Inputs, changes), given.Options);

    private static FuzzCase Without(FuzzCase given, string input) => new(
        given.Inputs.Where(other => !string.Equals(other.Key, input, StringComparison.Ordinal))
            .ToDictionary(other => other.Key, other => other.Value, StringComparer.Ordinal),
        given.Options);

    private static FuzzCase Option(FuzzCase given, string name, object value) => new(
        given.Inputs, new Dictionary<string, object>(given.Options, StringComparer.Ordinal) { [name] = value });
}
