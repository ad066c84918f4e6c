using Kernels.References.Quantization;

namespace Kernels.References.Fuzzing.Quantization;

/// <summary>A matrix with a codebook for all or for each group of rows, and with scales of groups or without.</summary>
internal abstract class CodebookTarget : FuzzTarget
{
    /// <summary>The input that is the matrix, [rows, cols].</summary>
    private protected abstract string Matrix { get; }

    /// <summary>Whether the codes must be finite and ascend.</summary>
    private protected virtual bool Ascends => false;

    /// <summary>The numbers of the groups, and how many rows and columns there are.</summary>
    private protected (Dictionary<string, FuzzTensor> Inputs, int Rows, int Columns) Groups(
        FuzzDraw draw, FuzzValues codes, FuzzValues scales)
    {
        // A planar block has 1024 codes.
        int columns = draw.Once(12) ? draw.Length("cols", 2200, 900) : draw.Length("cols");
        int rows = columns > 300 ? draw.OneOf(1, 2, 3) : draw.Length("rows", Math.Clamp(600 / columns, 1, 40));
        int k = draw.OneOf(2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 50, 64, 128, 256);
        int groups = draw.OneOf(1, 1, 2, 3, 5);
        int books = draw.OneOf(1, groups);
        draw.Cover(books > 1 ? "codebooks of groups" : "one codebook");
        draw.Cover(k <= 16 ? "k <= 16" : "k > 16");
        float[] codebook = draw.Floats("codebook", books * k, codes);
        for (int book = 0; book < books && Ascends; book++)
        {
            Array.Sort(codebook, book * k, k);
        }

        var inputs = new Dictionary<string, FuzzTensor>(StringComparer.Ordinal)
        {
            ["codebook"] = new FuzzTensor(codebook, books, k),
        };
        if (groups > 1 || draw.Once(2))
        {
            // A group may have no row.
            int[] boundaries = [0, .. draw.Integers(groups - 1, 0, rows + 1).Order(), rows];
            inputs["boundaries"] = new FuzzTensor(boundaries, groups + 1);
        }

        bool hasScale = draw.Once(2);
        draw.Cover(hasScale ? "scales" : "no scales");
        if (hasScale)
        {
            inputs["scale"] = new FuzzTensor(draw.Floats("scale", groups, scales), groups);
        }

        return (inputs, rows, columns);
    }

    /// <summary>The shape of the oracle.</summary>
    private protected CodebookShape Shape(FuzzCase given)
    {
        (int rows, int columns) = (given.Length(Matrix), given.Length(Matrix, 1));
        var groups = QuantizationScope.Groups(Boundaries(given), columns);
        return new CodebookShape(
            rows, columns, given.Length("codebook", 1), 1, given.Length("codebook") == 1 ? null : groups,
            given.Has("scale") ? groups : null);
    }

    private protected static float[] Scale(FuzzCase given) => given.Has("scale") ? given.Floats("scale") : [];

    /// <summary>There is a row; groups, codebooks and scales go together, and indices are those of codes.</summary>
    public override bool Admits(FuzzCase given)
    {
        int[] boundaries = Boundaries(given);
        bool areGroups = boundaries.Length > 1 && boundaries[0] == 0 && boundaries[^1] == given.Length(Matrix)
            && boundaries.SequenceEqual(boundaries.Order());
        int groups = boundaries.Length - 1;
        (int books, int k) = (given.Length("codebook"), given.Length("codebook", 1));
        bool fits = areGroups && boundaries[^1] > 0 && k is >= 2 and <= 256 && (books == 1 || books == groups)
            && (!given.Has("scale") || given.Length("scale") == groups);
        bool areCodes = !given.Has("index") || Array.TrueForAll(given.Integers("index"), code => code >= 0 && code < k);
        return fits && areCodes && (!Ascends || given.Floats("codebook").Chunk(k).All(Ascend));
    }

    /// <summary>One group, or fewer, or fewer rows of them; without what may be left out; fewer codes.</summary>
    public override IEnumerable<FuzzCase> Simplify(FuzzCase given)
    {
        foreach (string optional in given.Inputs.Keys.Where(name => name is "scale" or "bias"))
        {
            yield return given.Without(optional);
        }

        int[] boundaries = Boundaries(given);
        int groups = boundaries.Length - 1;
        if (given.Has("boundaries"))
        {
            for (int group = 0; group < groups; group++)
            {
                FuzzCase one = given;
                for (int other = groups - 1; other >= 0; other--)
                {
                    one = other == group ? one : WithoutGroup(one, other);
                }

                yield return one.Without("boundaries");
            }

            for (int group = 0; group < groups && groups > 1; group++)
            {
                yield return WithoutGroup(given, group);
            }
        }

        int rows = given.Length(Matrix);
        for (int count = (rows + 1) / 2; count > 0 && given.Has("boundaries"); count /= 2)
        {
            for (int first = 0; first + count <= rows && rows > 1; first += count)
            {
                yield return WithoutRows(given, first, count);
            }
        }

        for (int book = 0; book < given.Length("codebook") && given.Length("codebook") > 1; book++)
        {
            int k = given.Length("codebook", 1);
            yield return given.With(
                "codebook", new FuzzTensor(given.Floats("codebook")[(book * k)..((book + 1) * k)], 1, k));
        }

        foreach (FuzzCase fewer in FewerCodes(given))
        {
            yield return fewer;
        }
    }

    private static IEnumerable<FuzzCase> FewerCodes(FuzzCase given)
    {
        int k = given.Length("codebook", 1);
        for (int count = k / 2; count > 0 && given.Has("index"); count /= 2)
        {
            for (int first = 0; first + count <= k && k > 2; first += count)
            {
                int[] index = Array.ConvertAll(
                    given.Integers("index"),
                    code => code < first ? code : Math.Min(Math.Max(first, code - count), k - count - 1));
                yield return given.With("codebook", given.Inputs["codebook"].Without(1, first, count))
                    .With("index", new FuzzTensor(index, [.. given.Inputs["index"].Shape]));
            }
        }
    }

    private int[] Boundaries(FuzzCase given) =>
        given.Has("boundaries") ? given.Integers("boundaries") : [0, given.Length(Matrix)];

    internal static bool Ascend(float[] codes) =>
        Array.TrueForAll(codes, float.IsFinite) && !codes.Zip(codes.Skip(1)).Any(pair => pair.Second < pair.First);

    private FuzzCase WithoutGroup(FuzzCase given, int group)
    {
        int[] boundaries = given.Integers("boundaries");
        bool hasBooks = given.Length("codebook") == boundaries.Length - 1;
        FuzzCase less = WithoutRows(given, boundaries[group], boundaries[group + 1] - boundaries[group]);
        less = less.With("boundaries", less.Inputs["boundaries"].Without(0, group + 1, 1));
        less = hasBooks ? less.With("codebook", less.Inputs["codebook"].Without(0, group, 1)) : less;
        return less.Has("scale") ? less.With("scale", less.Inputs["scale"].Without(0, group, 1)) : less;
    }

    private FuzzCase WithoutRows(FuzzCase given, int first, int count)
    {
        FuzzCase less = given;
        foreach (string input in Inputs.Keys.Where(name => less.Has(name) && Inputs[name][0] is "rows"))
        {
            less = less.With(input, less.Inputs[input].Without(0, first, count));
        }

        int[] boundaries = Array.ConvertAll(
            given.Integers("boundaries"), row => row - Math.Clamp(row - first, 0, count));
        return less.With("boundaries", new FuzzTensor(boundaries, boundaries.Length));
    }
}
