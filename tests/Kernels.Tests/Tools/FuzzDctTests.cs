using Kernels.References.Fuzzing;

namespace Kernels.Tests.Tools;

/// <summary>Bugs of transforms, of the choice of columns and of the optimizers of matrices that the fuzzer must find.</summary>
public sealed class FuzzDctTests
{
    [Theory]
    [InlineData("dct/transform", "the inverse")]
    [InlineData("dct/transform", "a dropped last row")]
    [InlineData("dct/transform", "columns for rows")]
    [InlineData("dct/select", "the last of equals")]
    [InlineData("dct/select", "columns in another order")]
    [InlineData("dct/select", "all energy")]
    [InlineData("dct/select", "another norm")]
    [InlineData("dct/backproject", "the first columns")]
    [InlineData("dct/backproject", "a dropped last column")]
    [InlineData("dct/remap", "no zeros")]
    [InlineData("dct/remap", "off by one")]
    [InlineData("optimizers/dctadamw", "no decay")]
    [InlineData("optimizers/dctadamw", "no rotation")]
    [InlineData("optimizers/dctadamw", "no error feedback")]
    [InlineData("optimizers/trion", "no momentum")]
    [InlineData("optimizers/trion", "another scale")]
    [InlineData("optimizers/muon", "no Nesterov")]
    [InlineData("optimizers/muon", "off by one")]
    public void A_planted_bug_is_found_and_made_small(string name, string bug) =>
        PlantedBug.AssertFound(name, (kernel, given) => Plant(bug, kernel.Run, given));

    private static IReadOnlyDictionary<string, FuzzTensor> Plant(
        string bug, Func<FuzzCase, IReadOnlyDictionary<string, FuzzTensor>> run, FuzzCase given)
    {
        switch (bug)
        {
            case "the inverse":
                string type = given.Choice("type");
                return run(PlantedBug.With(given, "type", type is "dct2" ? "dct3" : type is "dct3" ? "dct2" : type));
            case "a dropped last row":
                int n = given.Length("x", 1);
                return PlantedBug.With(run(given), "y", y => [.. y.Select((v, i) => i >= y.Length - n ? 0 : v)]);
            case "columns for rows":
                return run(PlantedBug.With(given, "axis", given.Whole("axis") == 0 ? 1L : 0L));
            case "the last of equals":
                IReadOnlyDictionary<string, FuzzTensor> right = run(given);
                int rank = given.Whole("rank");
                int length = given.Choice("side") switch
                {
                    "right" => given.Length("g", 1),
                    "left" => given.Length("g"),
                    _ => Math.Min(given.Length("g"), given.Length("g", 1)),
                };
                return Array.TrueForAll(given.Floats("g"), x => x == 0)
                    ? new Dictionary<string, FuzzTensor>(right, StringComparer.Ordinal)
                    {
                        ["index"] = new FuzzTensor([.. Enumerable.Range(length - rank, rank)], rank),
                    }
                    : right;
            case "columns in another order":
                return PlantedBug.With(run(given), "projected", PlantedBug.Shifted);
            case "all energy":
                return PlantedBug.With(run(given), "energy", energy => [float.IsNaN(energy[0]) ? energy[0] : 1]);
            case "the first columns":
                return run(PlantedBug.With(
                    given, "index", index => new FuzzTensor([.. Enumerable.Range(0, index.Shape[0])], index.Shape[0])));
            case "a dropped last column":
                return run(PlantedBug.With(given, "projected", projected => new FuzzTensor(
                    [.. projected.Floats.Select((x, i) => i % projected.Shape[1] == projected.Shape[1] - 1 ? 0 : x)],
                    [.. projected.Shape])));
            case "no zeros":
                return PlantedBug.With(
                    run(given), "state", state => [.. state.Select((x, i) => x == 0 ? given.Floats("state")[i] : x)]);
            case "no decay":
                return run(PlantedBug.With(given, "weightDecay", 0d));
            case "no rotation":
                return run(PlantedBug.With(given, "rotate", value: false));
            case "another norm":
                return run(PlantedBug.With(given, "norm", given.Choice("norm") is "l1" ? "l2" : "l1"));
            case "no error feedback":
                return run(PlantedBug.With(given, "errorFeedback", "none"));
            case "no momentum":
                return run(PlantedBug.With(given, "momentum", 0d));
            case "another scale":
                return run(PlantedBug.With(given, "scale", given.Choice("scale") is "dion" ? "jordan" : given.Choice("scale")));
            case "no Nesterov":
                return run(PlantedBug.With(given, "nesterov", value: false));
            default:
                string output = given.Has("state") ? "state" : "p";
                return PlantedBug.With(run(given), output, PlantedBug.Shifted);
        }
    }
}
