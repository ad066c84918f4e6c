using System.Text.Json;
using System.Text.Json.Nodes;
using Kernels.References;
using Kernels.References.Dct;
using Kernels.Tests.Dct;
using Kernels.Tests.Linear;

namespace Kernels.Tests.Tools;

/// <summary>The operations on transformed gradients through <c>kernels run</c>.</summary>
public sealed class DctRunTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(null, null, TransformKind.Dct2)]
    [InlineData("dct2", 0, TransformKind.Dct2)]
    [InlineData("dct3", -1, TransformKind.Dct3)]
    [InlineData("dct1", 1, TransformKind.Dct1)]
    [InlineData("dct4", 0, TransformKind.Dct4)]
    [InlineData("hadamard", 1, TransformKind.Hadamard)]
    public void A_transform_is_within_the_bounds_of_the_oracle(string? type, int? axis, TransformKind kind)
    {
        const int Rows = 6, N = 16;
        float[] x = LinearDevice.Random(new Random(1), Rows * N);
        var options = new JsonObject();
        if (type is not null)
        {
            (options["type"], options["axis"]) = (type, axis);
        }

        float[] y = Floats(Run("transform", new JsonObject { ["x"] = Tensor(x, Rows, N) }, options), "y", "[6,16]");

        Bounded[] wanted = axis == 0
            ? DctDevice.Transposed(new TransformReference(kind, Rows).Apply(DctDevice.Transposed(x, N)), Rows)
            : new TransformReference(kind, N).Apply(x);
        LinearDevice.AssertWithin(wanted, y, $"{type} along {axis}");
    }

    [Theory]
    [InlineData(9, 5, "auto", false)]
    [InlineData(5, 9, "auto", true)]
    [InlineData(5, 9, "right", false)]
    [InlineData(9, 5, "left", true)]
    public void A_choice_of_columns_and_the_way_back_are_within_the_bounds_of_the_oracle(
        int rows, int n, string side, bool isLeft)
    {
        const int R = 3;
        int length = isLeft ? rows : n;
        foreach (string norm in new[] { "l1", "l2" })
        {
            float[] g = LinearDevice.Random(new Random(2), rows * n);
            var options = new JsonObject { ["rank"] = R, ["norm"] = norm, ["side"] = side, ["basis"] = "dct4" };
            JsonElement outputs = Run("select", new JsonObject { ["g"] = Tensor(g, rows, n) }, options);

            int[] index = Array.ConvertAll(Floats(outputs, "index", "[3]"), i => (int)i);
            float[] projected = Floats(outputs, "projected", isLeft ? $"[3,{n}]" : $"[{rows},3]");
            var basis = new TransformReference(TransformKind.Dct4, length);
            var oracle = new SelectReference(basis, isLeft ? DctDevice.Transposed(g, n) : g, squares: norm is "l2");
            Assert.True(oracle.Admits(index), $"{side}, {norm}: {string.Join(", ", index)}");
            LinearDevice.AssertWithin(
                oracle.Project(index), isLeft ? DctDevice.Transposed(projected, n) : projected, "projected");
            LinearDevice.AssertWithin([oracle.Energy(index)], Floats(outputs, "energy", "[1]"), "energy");

            var inputs = new JsonObject
            {
                ["projected"] = Tensor(projected, isLeft ? [R, n] : [rows, R]),
                ["index"] = Tensor(Array.ConvertAll(index, i => (float)i), R),
            };
            options = new JsonObject { ["n"] = length, ["side"] = isLeft ? "left" : "right", ["basis"] = "dct4" };
            float[] full = Floats(Run("backproject", inputs, options), "full", $"[{rows},{n}]");
            float[] coordinates = Spread(isLeft ? DctDevice.Transposed(projected, n) : projected, index, length);
            LinearDevice.AssertWithin(
                new TransformReference(basis.Inverse, length).Apply(coordinates),
                isLeft ? DctDevice.Transposed(full, n) : full, "full");
        }
    }

    [Fact]
    public void The_defaults_are_the_authors_way()
    {
        float[] g = LinearDevice.Random(new Random(3), 8 * 7);
        JsonElement outputs = Run(
            "select", new JsonObject { ["g"] = Tensor(g, 8, 7) }, new JsonObject { ["rank"] = 2 });

        int[] index = Array.ConvertAll(Floats(outputs, "index", "[2]"), i => (int)i);
        var basis = new TransformReference(TransformKind.Dct2, 7);
        var oracle = new SelectReference(basis, g, squares: false);
        Assert.True(oracle.Admits(index));
        float[] projected = Floats(outputs, "projected", "[8,2]");
        LinearDevice.AssertWithin(oracle.Project(index), projected, "projected");

        var inputs = new JsonObject
        {
            ["projected"] = Tensor(projected, 8, 2),
            ["index"] = Tensor(Array.ConvertAll(index, i => (float)i), 2),
        };
        float[] full = Floats(Run("backproject", inputs, new JsonObject { ["n"] = 7 }), "full", "[8,7]");
        LinearDevice.AssertWithin(
            new TransformReference(TransformKind.Dct3, 7).Apply(Spread(projected, index, 7)), full, "full");
    }

    [Fact]
    public void A_state_moves_to_other_columns_as_in_the_oracle()
    {
        const int Rows = 5;
        int[] previous = [0, 3, 4, 900], current = [1, 3, 900, 1_048_575];
        float[] state = LinearDevice.Random(new Random(4), Rows * 4);

        float[] moved = Floats(Run("remap", Moving(state, previous, current), []), "state", "[5,4]");

        Assert.Equal(RemapReference.Apply(state, previous, current), moved);
    }

    [Fact]
    public void Nothing_to_do_is_done() => Assert.Empty(
        Floats(Run("transform", new JsonObject { ["x"] = Tensor([], 0, 3) }, []), "y", "[0,3]"));

    [Theory]
    [InlineData("transform", """{"x": [2, 3]}""", """{"axis": 2}""", "'axis' must be -1, 0 or 1, and is 2")]
    [InlineData("transform", """{"x": [2, 3]}""", """{"type": "dct5"}""", "\"hadamard\"")]
    [InlineData("transform", """{"x": [2, 3]}""", """{"type": "hadamard"}""", "'type' may be 'hadamard'")]
    [InlineData("transform", """{"x": [3, 2]}""", """{"type": "hadamard", "axis": 0}""", "these have 3")]
    [InlineData("transform", """{"x": [2, 0]}""", "{}", "1 to 1048576 numbers, and has 0")]
    [InlineData("transform", """{"x": [6]}""", "{}", "[rows, n]")]
    [InlineData("select", """{"g": [4, 3]}""", "{}", "'rank' is missing")]
    [InlineData("select", """{"g": [4, 3]}""", """{"rank": 0}""", "'rank' must be in [1, 3], and is 0")]
    [InlineData("select", """{"g": [4, 3]}""", """{"rank": 4}""", "'rank' must be in [1, 3], and is 4")]
    [InlineData("select", """{"g": [4, 3]}""", """{"rank": 5, "side": "left"}""", "'rank' must be in [1, 4], and is 5")]
    [InlineData("select", """{"g": [4, 3]}""", """{"rank": 1, "norm": "l3"}""", "\"l2\"")]
    [InlineData("select", """{"g": [4, 3]}""", """{"rank": 1, "side": "top"}""", "\"auto\"")]
    [InlineData("select", """{"g": [4, 3]}""", """{"rank": 1, "basis": "hadamard"}""", "'basis' may be 'hadamard'")]
    [InlineData("select", """{"g": [0, 3]}""", """{"rank": 1}""", "a row and a column")]
    [InlineData("backproject", """{"projected": [4, 1], "index": [1]}""", "{}", "'n' is missing")]
    [InlineData("backproject", """{"projected": [4, 1], "index": [1]}""", """{"n": 0}""", "'n' must be in [1, 1048576]")]
    [InlineData("backproject", """{"projected": [4, 2], "index": [2]}""", """{"n": 1}""", "'n' must be in [2, 1048576]")]
    [InlineData("backproject", """{"projected": [4, 2], "index": [3]}""", """{"n": 8}""", "[rows, r] with r = 3")]
    [InlineData("backproject", """{"projected": [4, 2], "index": [2]}""", """{"n": 8, "side": "left"}""", "[r, columns]")]
    [InlineData("backproject", """{"projected": [4, 2], "index": [2]}""", """{"n": 8, "side": "auto"}""", "\"left\"")]
    [InlineData("backproject", """{"projected": [4, 2], "index": [2]}""", """{"n": 8}""", "'index' must ascend")]
    [InlineData("backproject", """{"projected": [4, 1], "index": [1]}""", """{"n": 6, "basis": "hadamard"}""", "'basis' may")]
    [InlineData("backproject", """{"projected": [4, 0], "index": [0]}""", """{"n": 8}""", "a row and a column")]
    [InlineData("remap", """{"state": [4, 2], "previous": [2], "current": [3]}""", "{}", "r = 2")]
    [InlineData("remap", """{"state": [4, 2], "previous": [2], "current": [2]}""", "{}", "'previous' must ascend")]
    [InlineData("remap", """{"state": [0, 1], "previous": [1], "current": [1]}""", "{}", "a row and a column")]
    [InlineData("remap", """{"state": [4, 2], "previous": [2]}""", "{}", "'current'")]
    public void A_wrong_case_is_refused_with_its_reason(string name, string shapes, string options, string reason)
    {
        var inputs = new JsonObject();
        foreach ((string input, JsonNode? shape) in JsonNode.Parse(shapes)!.AsObject())
        {
            int[] lengths = [.. shape!.AsArray().Select(n => (int)n!)];
            inputs[input] = Tensor(new float[lengths.Aggregate(1, (x, y) => x * y)], lengths);
        }

        AssertRefused(name, inputs, JsonNode.Parse(options)!.AsObject(), reason);
    }

    [Theory]
    [InlineData(-1, 2, "'index' must be in [0, 8), and has -1")]
    [InlineData(2, 8, "'index' must be in [0, 8), and has 8")]
    [InlineData(3, 2, "'index' must ascend, and has 2 behind 3")]
    [InlineData(3, 3, "'index' must ascend, and has 3 behind 3")]
    public void Wrong_columns_are_refused(int first, int second, string reason)
    {
        var inputs = new JsonObject { ["projected"] = Tensor(new float[8], 4, 2), ["index"] = Tensor([first, second], 2) };
        AssertRefused("backproject", inputs, new JsonObject { ["n"] = 8 }, reason);
    }

    [Theory]
    [InlineData(-1, 2, "must be in [0, 1048576), and has -1")]
    [InlineData(2, 1_048_576, "must be in [0, 1048576), and has 1048576")]
    [InlineData(7, 2, "must ascend, and has 2 behind 7")]
    public void Wrong_columns_of_a_state_are_refused(int first, int second, string reason)
    {
        AssertRefused("remap", Moving(new float[8], [first, second], [1, 2]), [], $"'previous' {reason}");
        AssertRefused("remap", Moving(new float[8], [1, 2], [first, second]), [], $"'current' {reason}");
    }

    [Theory]
    [InlineData("dctadamw", "f32")]
    [InlineData("dctadamw", "none")]
    [InlineData("trion", null)]
    [InlineData("muon", null)]
    public void Steps_of_a_matrix_are_within_the_bounds_of_the_oracle(string name, string? feedback)
    {
        const int Rows = 6, N = 8;
        var random = new Random(7);
        float[] p = LinearDevice.Random(random, Rows * N);
        float[] g = LinearDevice.Random(random, 2 * Rows * N);
        var inputs = new JsonObject { ["p"] = Tensor(p, Rows, N), ["g"] = Tensor(g, 2, Rows, N) };
        var options = new JsonObject { ["learningRate"] = 0.05, ["weightDecay"] = 0.1 };
        Bounded[] wanted = [.. p.Select(v => Bounded.FromDouble(v))];
        Bounded[][] gradients = [.. g.Chunk(Rows * N).Select(c => c.Select(v => Bounded.FromDouble(v)).ToArray())];
        Bounded[] momentum = new Bounded[Rows * N];
        var state = new[] { momentum };
        var dct = new DctAdamWReference(
            Rows, N, 3, 0.05, 0.9, 0.999, 1e-2, 0.1, 2, squares: true, errorFeedback: feedback is "f32",
            side: ProjectionSide.Right);
        DctAdamWState low = dct.CreateState();
        var trion = new TrionReference(Rows, N, 3, 0.05, weightDecay: 0.1, squares: true, side: ProjectionSide.Right);
        var muon = new MuonReference(Rows, N, 0.05, weightDecay: 0.1);
        if (name is not "muon")
        {
            (options["rank"], options["norm"], options["side"]) = (3, "l2", "right");
        }

        if (name is "dctadamw")
        {
            (options["updateInterval"], options["errorFeedback"], options["epsilon"]) = (2, feedback, 1e-2);
        }

        float[] got = Run2($"optimizers/{name}", inputs, options);
        for (int t = 1; t <= 2; t++)
        {
            switch (name)
            {
                case "dctadamw":
                    dct.Step(t, wanted, gradients[t - 1], low, dct.Choose(t, gradients[t - 1], low));
                    break;
                case "trion":
                    trion.Step(wanted, gradients[t - 1], momentum, trion.Choose(gradients[t - 1], momentum));
                    break;
                default:
                    muon.Step(t, wanted, gradients[t - 1], state);
                    break;
            }

            LinearDevice.AssertWithin(wanted, got[((t - 1) * Rows * N)..(t * Rows * N)], $"{name}, step {t}");
        }

        float[] Run2(string operation, JsonObject inputs, JsonObject options) => Floats(
            CallAny(operation, inputs, options).Json().GetProperty("outputs"), "p", "[2,6,8]");
    }

    [Theory]
    [InlineData(9, "right", "'rank' must be in [1, 8], and is 9")]
    [InlineData(7, "auto", "'rank' must be in [1, 6], and is 7")]
    [InlineData(0, "left", "'rank' must be in [1, 6], and is 0")]
    public void A_rank_above_the_basis_is_refused_by_the_optimizers(int rank, string side, string reason)
    {
        var inputs = new JsonObject { ["p"] = Tensor(new float[48], 6, 8), ["g"] = Tensor(new float[48], 1, 6, 8) };
        foreach (string name in new[] { "optimizers/dctadamw", "optimizers/trion" })
        {
            ToolRun run = CallAny(name, inputs, new JsonObject { ["rank"] = rank, ["side"] = side });
            Assert.Equal((2, ""), (run.ExitCode, run.Output));
            Assert.Contains(reason, run.Error, StringComparison.Ordinal);
        }
    }

    private static JsonObject Moving(float[] state, int[] previous, int[] current) => new()
    {
        ["state"] = Tensor(state, state.Length / previous.Length, previous.Length),
        ["previous"] = Tensor(Array.ConvertAll(previous, i => (float)i), previous.Length),
        ["current"] = Tensor(Array.ConvertAll(current, i => (float)i), current.Length),
    };

    /// <summary>The coordinates [rows, r] at their places among n.</summary>
    private static float[] Spread(float[] projected, int[] index, int n)
    {
        var result = new float[projected.Length / index.Length * n];
        for (int i = 0; i < projected.Length; i++)
        {
            result[(i / index.Length * n) + index[i % index.Length]] = projected[i];
        }

        return result;
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

    private void AssertRefused(string name, JsonObject inputs, JsonObject options, string reason)
    {
        ToolRun run = Call(name, inputs, options);

        Assert.Equal((2, ""), (run.ExitCode, run.Output));
        Assert.Contains(reason, run.Error, StringComparison.Ordinal);
    }

    private JsonElement Run(string name, JsonObject inputs, JsonObject options) =>
        Call(name, inputs, options).Json().GetProperty("outputs");

    private ToolRun Call(string name, JsonObject inputs, JsonObject options) => CallAny($"dct/{name}", inputs, options);

    private ToolRun CallAny(string name, JsonObject inputs, JsonObject options)
    {
        var @case = new JsonObject { ["inputs"] = inputs.DeepClone(), ["options"] = options.DeepClone() };
        return ToolRun.Of(
            "run", name, "--case", _folder.Write("case.json", @case.ToJsonString()), "--device", ToolRun.Device);
    }
}
