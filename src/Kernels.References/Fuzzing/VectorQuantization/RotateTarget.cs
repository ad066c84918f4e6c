using System.Globalization;
using Kernels.References.VectorQuantization;

namespace Kernels.References.Fuzzing.VectorQuantization;

/// <summary>The rotation trick, of vectors whose squares are in range or not.</summary>
internal sealed class RotateTarget : FuzzTarget
{
    public override string Name => "vq/rotate";

    public override IReadOnlyDictionary<string, IReadOnlyList<string?>> Inputs { get; } =
        new Dictionary<string, IReadOnlyList<string?>>(StringComparer.Ordinal)
        {
            ["x"] = ["n", "d"],
            ["q"] = ["n", "d"],
            ["grad"] = ["n", "d"],
        };

    public override IReadOnlyDictionary<string, object> Options { get; } =
        new Dictionary<string, object>(StringComparer.Ordinal);

    public override FuzzCase Draw(FuzzDraw draw)
    {
        int d = draw.Length("d");
        int n = draw.Length("n", Math.Max(1, 3000 / d));
        float[] codes = VectorDraws.Codes(draw, "q", n, d, FuzzValues.All);
        return new FuzzCase(
            new Dictionary<string, FuzzTensor>(StringComparer.Ordinal)
            {
                ["x"] = new FuzzTensor(VectorDraws.Rows(draw, "x", n, codes, d, FuzzValues.All), n, d),
                ["q"] = new FuzzTensor(codes, n, d),
                ["grad"] = new FuzzTensor(draw.Floats("grad", n * d, FuzzValues.All), n, d),
            },
            Options);
    }

    /// <summary>There is a dimension.</summary>
    public override bool Admits(FuzzCase given) => given.Length("x", 1) > 0;

    protected override void Judge(FuzzCase given, FuzzVerdict verdict)
    {
        int n = given.Length("x");
        int d = given.Length("x", 1);
        verdict.Compare("output", VectorVerdicts.Exactly(given.Floats("q")), n, d);
        float[] gradX = verdict.Floats("gradX", n, d);
        for (int row = 0; row < n && gradX.Length > 0; row++)
        {
            var at = new Range(row * d, (row + 1) * d);
            Row(
                given.Floats("x").AsSpan(at), given.Floats("q").AsSpan(at), given.Floats("grad").AsSpan(at),
                gradX.AsSpan(at), row * d, verdict);
        }
    }

    private static void Row(
        ReadOnlySpan<float> z, ReadOnlySpan<float> e, ReadOnlySpan<float> g, ReadOnlySpan<float> measured, int first,
        FuzzVerdict verdict)
    {
        // Where it is so by definition, it is so whatever the rest is.
        bool isGrad = !z.ContainsAnyExcept(0f);
        bool isZero = !isGrad && !e.ContainsAnyExcept(0f);
        bool isFinite = IsFinite(z) && IsFinite(e) && IsFinite(g);
        Bounded[] expected = isFinite && !isGrad && !isZero ? Gradient(z, e, g) : [];
        for (int i = 0; i < measured.Length; i++)
        {
            if (isFinite || isGrad || isZero)
            {
                verdict.Compare("gradX", first + i, isGrad ? g[i] : isZero ? 0 : expected[i], measured[i]);
            }
            else if (float.IsFinite(measured[i]))
            {
                verdict.Fail(string.Create(
                    CultureInfo.InvariantCulture,
                    $"gradX[{first + i}] is {measured[i]:R}, and must not be finite, since its row is not."));
            }
        }
    }

    /// <summary>The gradient of a row and a code of any size: but for |e| / |z|, directions alone count.</summary>
    private static Bounded[] Gradient(ReadOnlySpan<float> z, ReadOnlySpan<float> e, ReadOnlySpan<float> g)
    {
        int d = z.Length;
        (float[] unitZ, int powerZ) = Scaled(z);
        (float[] unitE, int powerE) = Scaled(e);
        Bounded[] gradient = RotateReference.Evaluate(unitZ, unitE, g, d).GradX;
        double scale = Math.ScaleB(1, powerE - powerZ);
        double ratio = scale * Norm(unitE) / Norm(unitZ);
        // |e| / |z| is a ratio of at most 2 sqrt d and a power of two, either of which may round where it underflows;
        // it comes to something that is at most three times the gradient. The product may underflow too.
        double lost = Bounded.LeastSubnormal * ((3.1 * (Math.Sqrt(d) + 1) * Norm(g)) + 1);
        for (int i = 0; i < d; i++)
        {
            double value = gradient[i].Value * scale;
            double bound = (gradient[i].Bound * scale) + lost;
            // Before it is multiplied by the ratio the power of two may overflow.
            bool isLost = ratio > Math.ScaleB(1, 126) / Math.Sqrt(d) || !(Math.Abs(value) + bound <= float.MaxValue);
            gradient[i] = new Bounded(value, isLost ? double.PositiveInfinity : bound);
        }

        return gradient;
    }

    /// <summary>The vector times a power of two that brings its largest number to [1, 2), if no bit is lost.</summary>
    private static (float[] Values, int Power) Scaled(ReadOnlySpan<float> vector)
    {
        float largest = 0;
        foreach (float x in vector)
        {
            largest = Math.Max(largest, Math.Abs(x));
        }

        int power = Math.ILogB(largest);
        float[] scaled = new float[vector.Length];
        for (int i = 0; i < scaled.Length; i++)
        {
            scaled[i] = (float)Math.ScaleB(vector[i], -power);
            if (Math.ScaleB(scaled[i], power) != vector[i])
            {
                return (vector.ToArray(), 0);
            }
        }

        return (scaled, power);
    }

    private static double Norm(ReadOnlySpan<float> vector)
    {
        double squares = 0;
        foreach (float x in vector)
        {
            squares += (double)x * x;
        }

        return Math.Sqrt(squares);
    }

    private static bool IsFinite(ReadOnlySpan<float> vector)
    {
        foreach (float x in vector)
        {
            if (!float.IsFinite(x))
            {
                return false;
            }
        }

        return true;
    }
}
