namespace Kernels.References.Fuzzing.VectorQuantization;

/// <summary>Rows and codes that are hard to search: alike, equal, of equal norms, of equal directions.</summary>
internal static class VectorDraws
{
    /// <summary>Lengths of rows, codes and dimensions, whose product is mostly small.</summary>
    internal static (int N, int K, int D) Sizes(FuzzDraw draw)
    {
        int products = draw.Once(60) ? 200_000 : 4000;
        int d = draw.Length("d", 70);
        int k = draw.Length("k", Math.Clamp(products / d, 2, 600));
        int n = draw.Length("n", Math.Clamp(products / (d * k), 2, 300));
        return (n, k, d);
    }

    /// <summary>Vectors of some kind of numbers, mostly with something in common.</summary>
    internal static float[] Codes(FuzzDraw draw, string input, int count, int d, FuzzValues kinds)
    {
        float[] codes = draw.Floats(input, count * d, kinds);
        string relation = draw.OneOf("any", "any", "repeated", "close", "scaled", "permuted");
        draw.Cover($"{input}: {relation}");
        for (int j = 1; j < count; j++)
        {
            Span<float> code = codes.AsSpan(j * d, d);
            switch (relation)
            {
                case "repeated" when draw.Once(2):
                    codes.AsSpan(draw.Below(j) * d, d).CopyTo(code);
                    break;
                case "close":
                    for (int i = 0; i < d; i++)
                    {
                        code[i] = Near(draw, codes[i]);
                    }

                    break;
                case "scaled":
                    for (int i = 0; i < d; i++)
                    {
                        code[i] = codes[i] * (1 + (j % 8));
                    }

                    break;
                case "permuted":
                    codes.AsSpan(0, d).CopyTo(code);
                    for (int i = d - 1; i > 0; i--)
                    {
                        int other = draw.Below(i + 1);
                        (code[i], code[other]) = (code[other], code[i]);
                    }

                    break;
                default:
                    break;
            }
        }

        return codes;
    }

    /// <summary>Rows of some kind of numbers; in some cases many are codes, near one, or one turned about.</summary>
    internal static float[] Rows(FuzzDraw draw, string input, int count, float[] codes, int d, FuzzValues kinds)
    {
        float[] rows = draw.Floats(input, count * d, kinds);
        string relation = draw.OneOf("any", "any", "codes", "near codes", "opposite");
        draw.Cover($"{input}: {relation}");
        for (int j = 0; j < count && codes.Length > 0; j++)
        {
            if (string.Equals(relation, "any", StringComparison.Ordinal) || draw.Once(4))
            {
                continue;
            }

            int code = draw.Below(codes.Length / d) * d;
            for (int i = 0; i < d; i++)
            {
                float e = codes[code + i];
                rows[(j * d) + i] = relation switch
                {
                    "codes" => e,
                    "near codes" => Near(draw, e),
                    _ => -e,
                };
            }
        }

        return rows;
    }

    /// <summary>Indices of codes; in some cases some are none: -1, or out of range.</summary>
    internal static int[] Indices(FuzzDraw draw, int count, int k, bool outOfRange = true)
    {
        // Few codes have many rows each.
        int[] indices = draw.Integers(count, 0, draw.Once(3) ? Math.Min(k, 2) : k);
        bool some = draw.Once(2);
        draw.Cover(some ? "index: some are none" : "index: all are codes");
        for (int i = 0; i < count && some; i++)
        {
            if (draw.Once(4))
            {
                indices[i] = outOfRange
                    ? draw.OneOf(-1, -1, k, int.MinValue, int.MaxValue)
                    : draw.OneOf(-1, -7, int.MinValue);
            }
        }

        return indices;
    }

    // A few steps aside.
    private static float Near(FuzzDraw draw, float x)
    {
        int steps = draw.Below(7) - 3;
        for (int i = 0; i < Math.Abs(steps); i++)
        {
            x = steps > 0 ? MathF.BitIncrement(x) : MathF.BitDecrement(x);
        }

        return x;
    }
}
