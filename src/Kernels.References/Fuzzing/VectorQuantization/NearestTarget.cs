using System.Globalization;
using Kernels.References.VectorQuantization;

namespace Kernels.References.Fuzzing.VectorQuantization;

/// <summary>The nearest codes of rows: no other code is certainly nearer, of equal codes the lowest.</summary>
internal sealed class NearestTarget : FuzzTarget
{
    private const int MostTop = 32;

    public override string Name => "vq/nearest";

    public override IReadOnlyDictionary<string, IReadOnlyList<string?>> Inputs { get; } =
        new Dictionary<string, IReadOnlyList<string?>>(StringComparer.Ordinal)
        {
            ["x"] = ["n", "d"],
            ["codes"] = ["k", "d"],
        };

    public override IReadOnlyDictionary<string, object> Options { get; } =
        new Dictionary<string, object>(StringComparer.Ordinal)
        {
            ["metric"] = "l2",
            ["split"] = 0L,
            ["topK"] = 1L,
            ["certified"] = false,
        };

    public override FuzzCase Draw(FuzzDraw draw)
    {
        (int n, int k, int d) = VectorDraws.Sizes(draw);
        float[] codes = VectorDraws.Codes(draw, "codes", k, d, FuzzValues.All);
        string metric = draw.OneOf("l2", "dot", "cosine");
        long top = draw.OneOf(1L, 1, 1, 2, 3, 7, MostTop);
        bool certified = top == 1 && draw.Once(2);
        long split = draw.OneOf(0L, 0, 1, 2, 5, k, 2 * k);
        draw.Cover(metric);
        draw.Cover(certified ? "certified" : $"topK = {top}");
        return new FuzzCase(
            new Dictionary<string, FuzzTensor>(StringComparer.Ordinal)
            {
                ["x"] = new FuzzTensor(VectorDraws.Rows(draw, "x", n, codes, d, FuzzValues.All), n, d),
                ["codes"] = new FuzzTensor(codes, k, d),
            },
            With(("metric", metric), ("split", split), ("topK", top), ("certified", certified)));
    }

    /// <summary>There is a code and a dimension; one code alone is certified.</summary>
    public override bool Admits(FuzzCase given)
    {
        long top = (long)given.Options["topK"];
        return given.Length("codes") > 0 && given.Length("codes", 1) > 0
            && (long)given.Options["split"] is >= 0 and <= int.MaxValue
            && top is >= 1 and <= MostTop && (top == 1 || !given.Boolean("certified"));
    }

    /// <summary>Fewer codes for each row.</summary>
    public override IEnumerable<FuzzCase> Simplify(FuzzCase given)
    {
        for (long top = (long)given.Options["topK"] / 2; top > 0; top /= 2)
        {
            yield return given.WithOption("topK", top);
        }
    }

    protected override void Judge(FuzzCase given, FuzzVerdict verdict)
    {
        int n = given.Length("x");
        int top = given.Whole("topK");
        int[] shape = top > 1 ? [n, top] : [n];
        int[] index = verdict.Integers("index", shape);
        float[] distance = verdict.Floats("distance", shape);
        float[] margin = verdict.Floats("margin", n);
        if (verdict.Failure is not null)
        {
            return;
        }

        NearestRow[] rows = Rows(given, Enum.Parse<NearestMetric>(given.Choice("metric"), ignoreCase: true), top);
        for (int row = 0; row < n; row++)
        {
            ReadOnlySpan<int> found = index.AsSpan(row * top, top);
            bool isRight = given.Boolean("certified") ? found[0] == rows[row].Index[0] : rows[row].AdmitsTop(found);
            if (!isRight)
            {
                verdict.Fail(Wrong(row, found, rows[row]));
                return;
            }

            for (int i = 0; i < top; i++)
            {
                verdict.Compare("distance", (row * top) + i, rows[row].DistanceOf(found[i]), distance[(row * top) + i]);
            }

            verdict.Compare("margin", row, rows[row].Margin, margin[row]);
        }
    }

    /// <summary>The nearest codes of the rows x among codes.</summary>
    internal static NearestRow[] Rows(FuzzCase given, NearestMetric metric, int top = 1) =>
        new NearestReference(metric, given.Floats("codes"), given.Length("codes", 1)).SearchAll(given.Floats("x"), top);

    /// <summary>Whether each index is that of a code that no other certainly beats; says where not.</summary>
    internal static bool Admits(NearestRow[] rows, int[] index, FuzzVerdict verdict)
    {
        for (int row = 0; row < index.Length; row++)
        {
            if (!rows[row].Admits(index[row]))
            {
                verdict.Fail(Wrong(row, [index[row]], rows[row]));
                return false;
            }
        }

        return index.Length == rows.Length;
    }

    private static string Wrong(int row, ReadOnlySpan<int> found, NearestRow right) => string.Create(
        CultureInfo.InvariantCulture,
        $"index of row {row} is [{string.Join(", ", found.ToArray())}], and the nearest, the lowest of those that are "
        + $"equally near, is [{string.Join(", ", right.Index)}].");
}
