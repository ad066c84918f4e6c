using Kernels.References.Fuzzing;

namespace Kernels.Tests.Tools;

/// <summary>Bugs of dense layers that the fuzzer must find.</summary>
public sealed class FuzzLinearTests
{
    [Theory]
    [InlineData("linear/matmul", "a dropped product")]
    [InlineData("linear/matmul", "no bias")]
    [InlineData("linear/matmul", "a dropped last row")]
    [InlineData("linear/activation", "a slope of 1 at 0")]
    [InlineData("linear/columnsum", "a dropped last row")]
    [InlineData("linear/columnsum", "nothing kept")]
    [InlineData("linear/softmaxcrossentropy", "labels off by one")]
    [InlineData("linear/softmaxcrossentropy", "a sum for the mean")]
    [InlineData("linear/prediction", "the last of equals")]
    [InlineData("linear/prediction", "NaN passed over")]
    [InlineData("linear/layernorm", "no epsilon")]
    [InlineData("linear/layernorm", "a dropped last column")]
    [InlineData("linear/layernorm", "rows alike")]
    [InlineData("linear/attention", "off by one")]
    [InlineData("linear/attention", "no gradient of the values")]
    public void A_planted_bug_is_found_and_made_small(string name, string bug) =>
        PlantedBug.AssertFound(name, (kernel, given) => Plant(bug, kernel.Run, given));

    private static IReadOnlyDictionary<string, FuzzTensor> Plant(
        string bug, Func<FuzzCase, IReadOnlyDictionary<string, FuzzTensor>> run, FuzzCase given)
    {
        switch (bug)
        {
            case "a dropped product":
                // The last of each row of a, which is that of op(a) where it is not transposed.
                return run(PlantedBug.With(given, "a", a => new FuzzTensor(
                    [.. a.Floats.Select((x, i) => i % a.Shape[1] == a.Shape[1] - 1 ? 0 : x)], [.. a.Shape])));
            case "no bias":
                return run(PlantedBug.With(given, "bias", _ => null));
            case "nothing kept":
                return run(PlantedBug.With(given, "sums0", _ => null));
            case "a dropped last row" when given.Has("x"):
                int rows = Math.Max(given.Length("x") - 1, 0);
                int columns = given.Length("x", 1);
                return run(PlantedBug.With(
                    given, "x", x => new FuzzTensor(x.Floats[..(rows * columns)], rows, columns)));
            case "a dropped last row":
                int n = run(given)["c"].Shape[1];
                return PlantedBug.With(run(given), "c", c => [.. c.Take(c.Length - n), .. new float[Math.Min(n, c.Length)]]);
            case "a slope of 1 at 0":
                return PlantedBug.With(
                    run(given), "dx", dx => [.. dx.Select((d, i) => given.Floats("x")[i] == 0 ? given.Floats("dy")[i] : d)]);
            case "labels off by one":
                return run(PlantedBug.With(given, "labels", labels => new FuzzTensor(
                    Array.ConvertAll(labels.Integers, label => (label + 1) % given.Length("logits", 1)), labels.Shape[0])));
            case "a sum for the mean":
                return PlantedBug.With(run(given), "mean", mean => [mean[0] * given.Length("labels")]);
            case "the last of equals":
            case "NaN passed over":
                IReadOnlyDictionary<string, FuzzTensor> right = run(given);
                int[] wrong = [.. given.Floats("logits").Chunk(given.Length("logits", 1)).Select(row => Last(row, bug))];
                return new Dictionary<string, FuzzTensor>(right, StringComparer.Ordinal)
                {
                    ["predictions"] = new FuzzTensor(wrong, wrong.Length),
                };
            case "no epsilon":
                return run(PlantedBug.With(given, "epsilon", 0d));
            case "a dropped last column":
                int width = given.Length("x", 1);
                return PlantedBug.With(run(given), "dx", dx => [.. dx.Select((d, i) => i % width == width - 1 ? 0 : d)]);
            case "rows alike":
                return PlantedBug.With(
                    run(given), "factors", factors => [.. Enumerable.Repeat(factors.FirstOrDefault(), factors.Length)]);
            case "off by one":
                return PlantedBug.With(run(given), "mixed", PlantedBug.Shifted);
            default:
                int part = given.Length("qkv", 2) * given.Length("qkv", 3);
                return PlantedBug.With(run(given), "grad.qkv", g => [.. g.Select((x, i) => i / part % 3 == 2 ? 0 : x)]);
        }
    }

    private static int Last(float[] row, string bug)
    {
        if (row.Any(float.IsNaN) && bug is "the last of equals")
        {
            return -1;
        }

        int best = -1;
        for (int i = 0; i < row.Length; i++)
        {
            bool isBetter = best < 0 || (bug is "the last of equals" ? row[i] >= row[best] : row[i] > row[best]);
            best = isBetter && !float.IsNaN(row[i]) ? i : best;
        }

        return best;
    }
}
