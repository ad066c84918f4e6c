using Kernels.References.Fuzzing;
using Kernels.Tools.Fuzzing;
using Outputs = System.Collections.Generic.IReadOnlyDictionary<string, Kernels.References.Fuzzing.FuzzTensor>;

namespace Kernels.Tests.Tools;

/// <summary>Bugs that are planted into the operations on codebooks are found.</summary>
public sealed class FuzzCodebookTests
{
    /// <summary>Names of bugs, and what they make of a case of ours.</summary>
    private static readonly Dictionary<string, Func<OperationUnderTest, FuzzCase, Outputs>> s_bugs =
        new(StringComparer.Ordinal)
        {
            ["codebook/assign: a tie goes up"] = (kernel, given) =>
            {
                int k = given.Length("codebook", 1);
                float[] turned = [.. given.Floats("codebook").Chunk(k).SelectMany(codes => codes.Reverse()).Select(c => -c)];
                Outputs outputs = kernel.Run(Changed(Changed(given, "codebook", turned), "w", x => -x));
                return Integers(outputs, "index", index => Array.ConvertAll(index, code => k - 1 - code));
            },
            ["codebook/assign: the last group has the first scale"] = (kernel, given) => kernel.Run(
                given.Has("scale") ? Changed(given, "scale", [.. given.Floats("scale")[..^1], given.Floats("scale")[0]]) : given),
            ["codebook/pack: the last code is left out"] = (kernel, given) =>
                kernel.Run(Changed(given, "index", [.. given.Integers("index")[..^1], 0])),
            ["codebook/unpack: off by one"] = (kernel, given) => Integers(
                kernel.Run(given), "index", index => [.. index[1..], index[0]]),
            ["codebook/unpack: what is no code is 0"] = (kernel, given) =>
            {
                int k = given.Whole("k");
                int[] packed = given.Integers("packed");
                bool isBytes = k > 128 && given.Choice("packing") is "fields" && given.Choice("order") is "linear";
                return Integers(kernel.Run(given), "index", index =>
                    isBytes ? [.. index.Select((code, i) => packed[i] >= k ? 0 : code)] : index);
            },
            ["codebook/dequantize: no scales"] = (kernel, given) => kernel.Run(Without(given, "scale")),
            ["codebook/dequantize: the last row is left out"] = (kernel, given) => Floats(
                kernel.Run(given), "w", w => [.. w[..^given.Length("index", 1)], .. new float[given.Length("index", 1)]]),
            ["codebook/matmul: no bias"] = (kernel, given) => kernel.Run(Without(given, "bias")),
            ["codebook/matmul: the last column is left out"] = (kernel, given) =>
            {
                int columns = given.Length("x", 1);
                return kernel.Run(Changed(
                    given, "x", [.. given.Floats("x").Select((x, i) => i % columns == columns - 1 ? 0 : x)]));
            },
            ["codebook/fit: a step fewer"] = (kernel, given) => kernel.Run(
                Changed(given, "iterations", (object)Math.Max((long)given.Options["iterations"] - 1, 0))),
            ["codebook/fit: all weights are 1"] = (kernel, given) => kernel.Run(Without(given, "weight")),
            ["codebook/fit: the error is the root of it"] = (kernel, given) => Floats(
                kernel.Run(given), "error", error => [MathF.Sqrt(error[0])]),
            ["codebook/group: groups begin a row later"] = (kernel, given) => Integers(
                kernel.Run(given), "boundaries", rows => [.. rows.Select(row => Math.Min(row + 1, given.Length("w")))]),
            ["codebook/group: rows are turned"] = (kernel, given) => Integers(
                kernel.Run(given), "permutation", rows => [.. rows.Reverse()]),
            ["codebook/nf4: the last weight of a block is left out"] = (kernel, given) =>
            {
                int block = given.Whole("block");
                Outputs less = kernel.Run(Changed(
                    given, "w", [.. given.Floats("w").Select((x, i) => i % block == block - 1 ? 0 : x)]));
                return Changed(kernel.Run(given), "absmax", less["absmax"]);
            },
            ["codebook/nf4: not times the scale"] = (kernel, given) => Floats(
                kernel.Run(given), "w", w => [.. w.Select(x => Math.Clamp(x, -1, 1))]),
            ["codebook/proximal: no temperature"] = (kernel, given) => kernel.Run(Changed(given, "temperature", 1d)),
            ["codebook/proximal: the last of the largest"] = (kernel, given) =>
            {
                int k = given.Length("codebook");
                Outputs turned = kernel.Run(Changed(
                    given, "logits", [.. given.Floats("logits").Chunk(k).SelectMany(row => row.Reverse())]));
                Outputs last = Integers(turned, "index", index => Array.ConvertAll(index, code => k - 1 - code));
                return Changed(kernel.Run(given), "index", last["index"]);
            },
            ["codebook/proximal: another decay"] = (kernel, given) => kernel.Run(
                given.Choice("decay") is "ratio" ? Changed(given, "decay", "exponential") : given),
        };

    public static TheoryData<string> Bugs => [.. s_bugs.Keys];

    [Theory]
    [MemberData(nameof(Bugs))]
    public void A_planted_bug_is_found_and_made_small(string bug)
    {
        string name = bug[..bug.IndexOf(':', StringComparison.Ordinal)];
        PlantedBug.AssertFound(name, s_bugs[bug]);
    }

    private static FuzzCase Changed(FuzzCase given, string input, float[] values) => Changed(
        given, input, new FuzzTensor(values, [.. given.Inputs[input].Shape]));

    private static FuzzCase Changed(FuzzCase given, string input, int[] values) => Changed(
        given, input, new FuzzTensor(values, [.. given.Inputs[input].Shape]));

    private static FuzzCase Changed(FuzzCase given, string input, Func<float, float> change) =>
        Changed(given, input, Array.ConvertAll(given.Floats(input), x => change(x)));

    private static FuzzCase Changed(FuzzCase given, string input, FuzzTensor tensor) => new(
        new Dictionary<string, FuzzTensor>(given.Inputs, StringComparer.Ordinal) { [input] = tensor }, given.Options);

    private static FuzzCase Changed(FuzzCase given, string option, object value) => new(
        given.Inputs, new Dictionary<string, object>(given.Options, StringComparer.Ordinal) { [option] = value });

    private static FuzzCase Without(FuzzCase given, string input)
    {
        var inputs = new Dictionary<string, FuzzTensor>(given.Inputs, StringComparer.Ordinal);
        inputs.Remove(input);
        return new FuzzCase(inputs, given.Options);
    }

    private static Outputs Integers(Outputs outputs, string name, Func<int[], int[]> change) => Changed(
        outputs, name, new FuzzTensor(change(outputs[name].Integers), [.. outputs[name].Shape]));

    private static Outputs Floats(Outputs outputs, string name, Func<float[], float[]> change) => Changed(
        outputs, name, new FuzzTensor(change(outputs[name].Floats), [.. outputs[name].Shape]));

    private static Outputs Changed(Outputs outputs, string name, FuzzTensor tensor) =>
        new Dictionary<string, FuzzTensor>(outputs, StringComparer.Ordinal) { [name] = tensor };
}
