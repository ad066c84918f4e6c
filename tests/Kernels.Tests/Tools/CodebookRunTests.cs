using System.Text.Json;
using System.Text.Json.Nodes;
using Kernels.References.Quantization;
using Kernels.Tests.Linear;
using Kernels.Tests.Support;

namespace Kernels.Tests.Tools;

/// <summary>The operations on codebooks through <c>kernels run</c>.</summary>
public sealed class CodebookRunTests : IDisposable
{
    private const int Rows = 6;
    private const int Columns = 10;

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(1, false)]
    [InlineData(1, true)]
    [InlineData(3, false)]
    [InlineData(3, true)]
    public void Codes_are_admitted_by_the_oracle(int books, bool hasScale)
    {
        float[] w = new Draw(1).Floats(Rows * Columns, 1e-2, 10);
        float[] codebook = [.. Enumerable.Range(0, books).SelectMany(book => new Draw(book).Floats(5, 1e-2, 10).Order())];
        float[] scale = hasScale ? [1, -0.5f, 3] : [];
        var inputs = new JsonObject
        {
            ["w"] = Tensor(w, Rows, Columns),
            ["codebook"] = Tensor(codebook, books, 5),
            ["boundaries"] = Tensor([0, 1, 4, 6], 4),
        };
        if (hasScale)
        {
            inputs["scale"] = Tensor(scale, 3);
        }

        int[] index = Integers(Run("assign", inputs, []), "index", "[6,10]");
        var groups = QuantizationScope.Groups([0, 1, 4, 6], Columns);
        var shape = new CodebookShape(
            Rows, Columns, 5, 1, books == 1 ? QuantizationScope.Tensor(w.Length) : groups, hasScale ? groups : null);
        Assert.Equal(-1, AssignReference.FirstWrong(shape, w, codebook, scale, index));
    }

    [Theory]
    [InlineData(5, "fields", "linear")]
    [InlineData(5, "radix", "planar")]
    [InlineData(3, "densest", "linear")]
    public void Packed_codes_have_the_oracles_bytes_and_return(int k, string packing, string order)
    {
        int[] index = [.. Enumerable.Range(0, Rows * Columns).Select(i => i * 7 % k)];
        var pack = new PackReference(
            k, packing is "fields" ? CodePacking.Fields : CodePacking.Radix,
            order is "planar" ? CodeOrder.Planar : CodeOrder.Linear);
        byte[] wanted = order is "planar" ? [.. index.Chunk(Columns).SelectMany(row => pack.Pack(row))] : pack.Pack(index);
        JsonObject Options() => new() { ["k"] = k, ["packing"] = packing, ["order"] = order };
        int[] packed = Integers(
            Run("pack", new JsonObject { ["index"] = Tensor([.. index.Select(i => (float)i)], Rows, Columns) }, Options()),
            "packed", $"[{wanted.Length}]");
        Assert.Equal(Array.ConvertAll(wanted, value => (int)value), packed);
        JsonObject options = Options();
        options["rows"] = Rows;
        options["columns"] = Columns;
        Assert.Equal(index, Integers(
            Run("unpack", new JsonObject { ["packed"] = Tensor([.. packed.Select(i => (float)i)], packed.Length) }, options),
            "index", "[6,10]"));
    }

    [Fact]
    public void Weights_and_products_are_within_the_bounds_of_the_oracle()
    {
        int[] index = [.. Enumerable.Range(0, Rows * Columns).Select(i => i * 3 % 5)];
        float[] codebook = new Draw(5).Floats(5, 1e-2, 10);
        float[] scale = [1, -0.5f, 3];
        float[] x = new Draw(6).Floats(2 * Columns, 1e-2, 10);
        float[] bias = new Draw(7).Floats(Rows, 1e-2, 10);
        JsonObject Inputs() => new()
        {
            ["index"] = Tensor([.. index.Select(i => (float)i)], Rows, Columns),
            ["codebook"] = Tensor(codebook, 1, 5),
            ["boundaries"] = Tensor([0, 1, 4, 6], 4),
            ["scale"] = Tensor(scale, 3),
        };
        var shape = new CodebookShape(
            Rows, Columns, 5, 1, null, QuantizationScope.Groups([0, 1, 4, 6], Columns));
        LinearDevice.AssertWithin(
            DequantizeReference.Evaluate(shape, index, codebook, scale), Floats(Run("dequantize", Inputs(), []), "w", "[6,10]"),
            "w");
        JsonObject inputs = Inputs();
        inputs["x"] = Tensor(x, 2, Columns);
        inputs["bias"] = Tensor(bias, Rows);
        LinearDevice.AssertWithin(
            QuantizedProductReference.Multiply(
                shape, x, index, codebook, scale, bias, default, Kernels.References.Linear.ActivationReference.Relu),
            Floats(Run("matmul", inputs, new JsonObject { ["activation"] = "relu" }), "y", "[2,6]"), "y");
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_fit_gives_codebooks_of_groups_of_rows(bool isExact)
    {
        float[] w = new Draw(2).Floats(Rows * Columns, 1e-2, 10);
        float[] h = Array.ConvertAll(new Draw(3).Floats(w.Length, 0.1, 1), x => MathF.Abs(x) + 0.1f);
        JsonElement outputs = Run(
            "fit", new JsonObject { ["w"] = Tensor(w, Rows, Columns), ["weight"] = Tensor(h, Rows, Columns) },
            new JsonObject { ["k"] = 4, ["groups"] = 2, ["exact"] = isExact, ["iterations"] = 50 });

        (int[] permutation, int[] boundaries) = GroupReference.Group(w, Columns, 2);
        Assert.Equal(permutation, Integers(outputs, "permutation", "[6]"));
        Assert.Equal(boundaries, Integers(outputs, "boundaries", "[3]"));
        float[] codebook = Floats(outputs, "codebook", "[2,4]");
        int[] index = Integers(outputs, "index", "[6,10]");
        float[] moved = GroupReference.PermuteRows<float>(w, Columns, permutation);
        float[] movedH = GroupReference.PermuteRows<float>(h, Columns, permutation);
        var shape = new CodebookShape(Rows, Columns, 4, 1, QuantizationScope.Groups(boundaries, Columns));
        Assert.Equal(-1, AssignReference.FirstWrong(shape, moved, codebook, [], index));
        double least = 0;
        double slack = 0;
        for (int group = 0; group < 2; group++)
        {
            Range own = (boundaries[group] * Columns)..(boundaries[group + 1] * Columns);
            least += CodebookFitReference.Exact(moved.AsSpan(own), 4, movedH.AsSpan(own)).Error;
            slack += CodebookFitReference.ExactSlack(moved.AsSpan(own), 4, movedH.AsSpan(own)).Codebook;
        }

        float error = Floats(outputs, "error", "[1]")[0];
        double measured = CodebookFitReference.Error(shape, moved, index, codebook, [], movedH);

        // 60 terms of three roundings each, and their sum.
        Assert.Equal(measured, error, measured * 64 * Math.Pow(2, -24));
        // Binary64's own, and what narrowing the codes may add.
        Assert.InRange(measured, least * (1 - Math.ScaleB(64, -53)), isExact ? least + slack : double.MaxValue);
    }

    [Fact]
    public void Groups_are_those_of_the_oracle()
    {
        float[] w = new Draw(4).Floats(Rows * Columns);
        JsonElement outputs = Run("group", new JsonObject { ["w"] = Tensor(w, Rows, Columns) }, new JsonObject { ["groups"] = 3 });
        (int[] permutation, int[] boundaries) = GroupReference.Group(w, Columns, 3);
        Assert.Equal(permutation, Integers(outputs, "permutation", "[6]"));
        Assert.Equal(boundaries, Integers(outputs, "boundaries", "[4]"));
    }

    [Fact]
    public void Nf4_is_that_of_the_oracle()
    {
        float[] w = new Draw(5).Floats(Rows * Columns);
        JsonElement outputs = Run("nf4", new JsonObject { ["w"] = Tensor(w, Rows, Columns) }, new JsonObject { ["block"] = 16 });
        float[] scale = Floats(outputs, "absmax", "[4]");
        int[] index = Integers(outputs, "index", "[6,10]");
        Assert.Equal(BlockAbsMaxReference.Scales(w, 16), scale);
        var shape = new CodebookShape(Rows, Columns, 16, 1, null, QuantizationScope.Blocks(16, w.Length));
        float[] codes = [.. CodebooksReference.Nf4];
        Assert.Equal(-1, AssignReference.FirstWrong(shape, w, codes, scale, index));
        Assert.Equal(index.Select((code, i) => codes[code] * scale[i / 16]), Floats(outputs, "w", "[6,10]"));
    }

    [Theory]
    [InlineData("assign", """{"w": [2, 3], "codebook": [2, 4]}""", "{}", "1 groups")]
    [InlineData("assign", """{"w": [2, 3], "codebook": [1, 4], "scale": [2]}""", "{}", "1 groups")]
    [InlineData("assign", """{"w": [2, 3], "codebook": [1, 1]}""", "{}", "codes")]
    [InlineData("assign", """{"w": [0, 3], "codebook": [1, 4]}""", "{}", "a row and a column")]
    [InlineData("fit", """{"w": [2, 3]}""", """{"k": 1}""", "'k' must be in")]
    [InlineData("fit", """{"w": [2, 3]}""", """{"groups": 3}""", "'groups' must be in")]
    [InlineData("group", """{"w": [2, 3]}""", """{"groups": 0}""", "'groups' must be in")]
    [InlineData("nf4", """{"w": [2, 3]}""", """{"block": 0}""", "'block' must be in")]
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

    private static int[] Integers(JsonElement outputs, string name, string shape) =>
        Array.ConvertAll(Floats(outputs, name, shape), number => (int)number);

    private JsonElement Run(string name, JsonObject inputs, JsonObject options) =>
        Call(name, inputs, options).Json().GetProperty("outputs");

    private ToolRun Call(string name, JsonObject inputs, JsonObject options)
    {
        var @case = new JsonObject { ["inputs"] = inputs.DeepClone(), ["options"] = options.DeepClone() };
        return ToolRun.Of(
            "run", $"codebook/{name}", "--case", _folder.Write("case.json", @case.ToJsonString()), "--device", ToolRun.Device);
    }
}
