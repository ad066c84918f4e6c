using Kernels.References.Quantization;

namespace Kernels.References.Fuzzing.Quantization;

/// <summary>Bytes into codes, exactly; bytes that no packing makes among them.</summary>
internal sealed class UnpackTarget : PackingTarget
{
    public override string Name => "codebook/unpack";

    public override IReadOnlyDictionary<string, IReadOnlyList<string?>> Inputs { get; } =
        new Dictionary<string, IReadOnlyList<string?>>(StringComparer.Ordinal) { ["packed"] = ["bytes"] };

    public override IReadOnlyDictionary<string, object> Options { get; } =
        new Dictionary<string, object>(StringComparer.Ordinal)
        {
            ["k"] = 16L,
            ["packing"] = "fields",
            ["order"] = "linear",
            ["rows"] = 1L,
            ["columns"] = 1L,
        };

    public override FuzzCase Draw(FuzzDraw draw)
    {
        (int rows, int columns, int codes, string packing, string order) = Format(draw);
        IReadOnlyDictionary<string, object> options = With(
            ("k", (long)codes), ("packing", packing), ("order", order), ("rows", (long)rows),
            ("columns", (long)columns));
        PackReference pack = Reference(Case(options, []));
        bool isPacked = draw.Once(2);
        draw.Cover(isPacked ? "packed codes" : "any bytes");
        return Case(
            options,
            isPacked
                ? Pack(pack, draw.Integers(rows * columns, 0, codes), columns)
                : draw.Integers((int)Bytes(pack, rows, columns), 0, 256));
    }

    /// <summary>There are as many bytes as the codes take.</summary>
    public override bool Admits(FuzzCase given)
    {
        (int rows, int columns) = (given.Whole("rows"), given.Whole("columns"));
        return given.Whole("k") is >= 2 and <= 256 && rows > 0 && columns > 0 && rows <= int.MaxValue / columns
            && given.Length("packed") == Bytes(Reference(given), rows, columns)
            && Array.TrueForAll(given.Integers("packed"), value => value is >= 0 and <= 255);
    }

    /// <summary>Fewer codes, of fewer values, in a simpler format: the same codes, and where bytes can be left off, the
    /// same bytes.</summary>
    public override IEnumerable<FuzzCase> Simplify(FuzzCase given)
    {
        (int rows, int columns, int codes) = (given.Whole("rows"), given.Whole("columns"), given.Whole("k"));
        int[] index = Unpack(Reference(given), given.Integers("packed"), rows, columns);
        foreach (int fewer in new[] { 1, rows / 2, rows - 1 }.Where(n => n > 0 && n < rows).Distinct())
        {
            FuzzCase less = given.WithOption("rows", (long)fewer);
            yield return Cut(less, fewer, columns);
            yield return Repack(less, index[..(fewer * columns)]);
            yield return Repack(less, index[^(fewer * columns)..]);
        }

        foreach (int fewer in new[] { 1, columns / 2, columns - 1 }.Where(n => n > 0 && n < columns).Distinct())
        {
            FuzzCase less = given.WithOption("columns", (long)fewer);
            yield return rows == 1 ? Cut(less, 1, fewer) : less;
            yield return Repack(less, [.. index.Chunk(columns).SelectMany(row => row[..fewer])]);
            yield return Repack(less, [.. index.Chunk(columns).SelectMany(row => row[^fewer..])]);
        }

        foreach ((string option, object value) in new (string, object)[] { ("order", "linear"), ("packing", "fields") })
        {
            if (!given.Options[option].Equals(value))
            {
                yield return Repack(given.WithOption(option, value), index);
            }
        }

        foreach (int fewer in Enumerable.Range(2, 4).Where(k => k < codes))
        {
            FuzzCase less = Repack(
                given.WithOption("k", (long)fewer), Array.ConvertAll(index, code => Math.Min(code, fewer - 1)));
            // The search must end: the default k is as simple where it takes as many bytes.
            if (less.Length("packed") < given.Length("packed"))
            {
                yield return less;
            }
        }
    }

    protected override void Judge(FuzzCase given, FuzzVerdict verdict)
    {
        (int rows, int columns) = (given.Whole("rows"), given.Whole("columns"));
        verdict.Compare("index", Unpack(Reference(given), given.Integers("packed"), rows, columns), rows, columns);
    }

    private static long Bytes(PackReference pack, int rows, int columns) => pack.Order == CodeOrder.Planar
        ? rows * pack.ByteCount(columns)
        : pack.ByteCount((long)rows * columns);

    private static FuzzCase Case(IReadOnlyDictionary<string, object> options, int[] packed) => new(
        new Dictionary<string, FuzzTensor>(StringComparer.Ordinal)
        {
            ["packed"] = new FuzzTensor(packed, packed.Length),
        },
        options);

    private static FuzzCase Repack(FuzzCase given, int[] index) =>
        Case(given.Options, Pack(Reference(given), index, given.Whole("columns")));

    private static FuzzCase Cut(FuzzCase given, int rows, int columns)
    {
        int[] packed = given.Integers("packed");
        return Case(given.Options, packed[..(int)Math.Min(packed.Length, Bytes(Reference(given), rows, columns))]);
    }
}
