using System.Globalization;
using Kernels.References.Quantization;

namespace Kernels.References.Fuzzing.Quantization;

/// <summary>Codebooks of groups of rows. Exact ones have the least error; of Lloyd's the codes are compared as long as
/// no rounding may turn a search, and what must hold of any codebook in any case.</summary>
internal sealed class CodebookFitTarget : FuzzTarget
{
    public override string Name => "codebook/fit";

    public override IReadOnlyDictionary<string, IReadOnlyList<string?>> Inputs { get; } =
        new Dictionary<string, IReadOnlyList<string?>>(StringComparer.Ordinal)
        {
            ["w"] = ["rows", "cols"],
            ["weight"] = ["rows", "cols"],
        };

    public override IReadOnlyDictionary<string, object> Options { get; } =
        new Dictionary<string, object>(StringComparer.Ordinal)
        {
            ["k"] = 16L,
            ["groups"] = 1L,
            ["iterations"] = 30L,
            ["exact"] = false,
        };

    public override FuzzCase Draw(FuzzDraw draw)
    {
        bool isExact = draw.Once(4);
        // The start of Lloyd's steps is read off all weights up to 256, or 4 k.
        int most = isExact ? 80 : draw.Once(8) ? 1000 : 250;
        int columns = draw.Length("cols", most);
        int rows = draw.Length("rows", Math.Clamp(most / columns, 1, 20));
        int groups = Math.Min(rows, draw.OneOf(1, 1, 2, 3));
        int k = isExact ? draw.OneOf(2, 3, 4, 5, 8, 16) : draw.OneOf(2, 3, 4, 5, 8, 16, 17, 40, 70, 256);
        int iterations = draw.OneOf(0, 1, 1, 2, 3, 6, 30);
        draw.Cover(isExact ? "exact" : iterations < 2 ? $"iterations = {iterations}" : "iterations > 1");
        draw.Cover(groups > 1 ? "groups" : "one group");
        var inputs = new Dictionary<string, FuzzTensor>(StringComparer.Ordinal)
        {
            ["w"] = new FuzzTensor(
                draw.Floats("w", rows * columns, isExact || groups > 1 ? FuzzValues.Finite : FuzzValues.All),
                rows, columns),
        };
        if (draw.Once(2))
        {
            float[] weight = draw.Floats("weight", rows * columns, isExact ? FuzzValues.Ordinary : FuzzValues.All);
            bool isPositive = isExact || draw.Once(2);
            inputs["weight"] = new FuzzTensor(isPositive ? Array.ConvertAll(weight, Math.Abs) : weight, rows, columns);
        }

        var given = new FuzzCase(
            inputs,
            With(("k", (long)k), ("groups", (long)groups), ("iterations", (long)iterations), ("exact", isExact)));
        return Admits(given) ? given : given.WithOption("exact", false);
    }

    /// <summary>Groups and exact fits are of finite numbers, and in each group of an exact fit one counts.</summary>
    public override bool Admits(FuzzCase given)
    {
        int groups = given.Whole("groups");
        bool isExact = given.Boolean("exact");
        if (given.Whole("k") is < 2 or > 256 || given.Whole("iterations") is < 0 or > 10_000 || groups < 1
            || groups > given.Length("w"))
        {
            return false;
        }

        if ((groups > 1 || isExact) && !RowGroupTarget.Admits(given, groups))
        {
            return false;
        }

        float[] h = Weights(given);
        if (!isExact || h.Length == 0)
        {
            return true;
        }

        (int[] permutation, int[] boundaries) = Grouping(given);
        float[] moved = GroupReference.PermuteRows<float>(h, given.Length("w", 1), permutation);
        return Array.TrueForAll(h, weight => weight >= 0 && float.IsFinite(weight))
            && Enumerable.Range(0, groups).All(group => moved[Own(given, boundaries, group)].Any(weight => weight > 0));
    }

    /// <summary>All weights count; a few weights with few codes and one step.</summary>
    public override IEnumerable<FuzzCase> Simplify(FuzzCase given)
    {
        if (given.Has("weight"))
        {
            yield return given.Without("weight");
        }

        // Fewer codes only with fewer weights: else the search would not end, since the default k is as simple.
        int length = given.Floats("w").Length;
        for (int count = 2; count < Math.Min(length, 9) && length <= 64; count++)
        {
            for (int first = 0; first + count <= length; first++)
            {
                FuzzCase few = given.WithOption("groups", 1L);
                foreach ((string input, FuzzTensor tensor) in given.Inputs)
                {
                    few = few.With(input, new FuzzTensor(tensor.Floats[first..(first + count)], 1, count));
                }

                yield return few.WithOption("k", 2L);
                yield return few.WithOption("k", 2L).WithOption("iterations", 1L);
                yield return few.WithOption("k", 3L).WithOption("iterations", 1L);
            }
        }
    }

    protected override void Judge(FuzzCase given, FuzzVerdict verdict)
    {
        (int rows, int columns) = (given.Length("w"), given.Length("w", 1));
        (int k, int groups) = (given.Whole("k"), given.Whole("groups"));
        (int[] permutation, int[] boundaries) = Grouping(given);
        verdict.Compare("permutation", permutation);
        verdict.Compare("boundaries", boundaries);
        float[] codebook = verdict.Floats("codebook", groups, k);
        int[] index = verdict.Integers("index", rows, columns);
        float[] error = verdict.Floats("error", 1);
        if (verdict.Failure is not null)
        {
            return;
        }

        if (!codebook.Chunk(k).All(CodebookTarget.Ascend))
        {
            verdict.Fail("codebook must be finite and ascend.");
            return;
        }

        float[] w = GroupReference.PermuteRows<float>(given.Floats("w"), columns, permutation);
        float[] h = given.Has("weight")
            ? GroupReference.PermuteRows<float>(given.Floats("weight"), columns, permutation)
            : [];
        var shape = new CodebookShape(rows, columns, k, 1, QuantizationScope.Groups(boundaries, columns));
        AssignTarget.Judge(verdict, shape, w, codebook, [], index);
        if (verdict.Failure is not null)
        {
            return;
        }

        if (given.Boolean("exact"))
        {
            JudgeExact(given, verdict, boundaries, w, h, codebook, error[0]);
            return;
        }

        for (int group = 0; group < groups; group++)
        {
            Range own = Own(given, boundaries, group);
            Bounded[] codes = CodebookFitReference.Lloyd(
                w.AsSpan(own), k, given.Whole("iterations"), h.Length > 0 ? h.AsSpan(own) : default);
            for (int code = 0; code < k; code++)
            {
                verdict.Compare("codebook", (group * k) + code, codes[code], codebook[(group * k) + code]);
            }
        }

        var terms = new List<Bounded>();
        for (int i = 0; i < w.Length; i++)
        {
            Bounded weight = h.Length > 0 ? h[i] : 1;
            if (float.IsFinite(w[i]) && weight.Value > 0)
            {
                Bounded distance = (Bounded)w[i] - codebook[(shape.Codebooks.Of(i) * k) + index[i]];
                terms.Add(weight * (distance * distance));
            }
        }

        verdict.Compare("error", 0, Bounded.Sum([.. terms]), error[0]);
    }

    private static void JudgeExact(
        FuzzCase given, FuzzVerdict verdict, int[] boundaries, float[] w, float[] h, float[] codebook, float error)
    {
        int k = given.Whole("k");
        (double least, double stated) = (0, 0);
        for (int group = 0; group < given.Whole("groups"); group++)
        {
            Range own = Own(given, boundaries, group);
            float[] numbers = w[own];
            float[] weights = h.Length > 0 ? h[own] : [];
            double best = CodebookFitReference.Exact(numbers, k, weights).Error;
            (double slack, double ofCodebook) = CodebookFitReference.ExactSlack(numbers, k, weights);
            least += best;
            stated += slack;
            float[] codes = codebook[(group * k)..((group + 1) * k)];
            var shape = new CodebookShape(1, numbers.Length, k);
            double measured = CodebookFitReference.Error(
                shape, numbers, AssignReference.Assign(shape, numbers, codes, []), codes, [], weights);
            if (measured > (best * (1 + 1e-12)) + ofCodebook)
            {
                verdict.Fail(string.Create(
                    CultureInfo.InvariantCulture,
                    $"The codebook of group {group} has the error {measured:R}, and the least one is {best:R}."));
            }
        }

        double bound = stated + (Bounded.UnitRoundoff * (1 + 1e-6) * (least + stated)) + Bounded.LeastSubnormal;
        verdict.Compare(
            "error", 0, new Bounded(least, least + bound > float.MaxValue ? double.PositiveInfinity : bound), error);
    }

    private static float[] Weights(FuzzCase given) => given.Has("weight") ? given.Floats("weight") : [];

    private static (int[] Permutation, int[] Boundaries) Grouping(FuzzCase given)
    {
        (int rows, int columns) = (given.Length("w"), given.Length("w", 1));
        return given.Whole("groups") > 1
            ? GroupReference.Group(given.Floats("w"), columns, given.Whole("groups"))
            : ([.. Enumerable.Range(0, rows)], [0, rows]);
    }

    private static Range Own(FuzzCase given, int[] boundaries, int group)
    {
        int columns = given.Length("w", 1);
        return (boundaries[group] * columns)..(boundaries[group + 1] * columns);
    }
}
