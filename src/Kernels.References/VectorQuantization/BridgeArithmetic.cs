using Kernels.References.Linear;

namespace Kernels.References.VectorQuantization;

/// <summary>How the network computes: in binary64; with noise; or in binary32.</summary>
internal enum BridgeRounding
{
    None,
    Noise,
    Single,
}

/// <summary>The operations of the network, each with its error.</summary>
internal sealed class BridgeArithmetic(BridgeRounding rounding, ulong seed)
{
    private const double U = Bounded.UnitRoundoff;

    private ulong _state = (seed * 2) + 0x9E3779B97F4A7C15;

    /// <summary>A result with an error of this size, of either sign; or rounded to binary32; or as it is.</summary>
    internal double Round(double value, double size) => rounding switch
    {
        BridgeRounding.Noise => size == 0 ? value : value + (Sign() * size),
        BridgeRounding.Single => (float)value,
        _ => value,
    };

    /// <summary>One rounding.</summary>
    internal double Round(double value) => Round(value, U * Math.Abs(value));

    /// <summary>A sum, with the rounding of its terms.</summary>
    internal double Sum(ReadOnlySpan<double> terms)
    {
        double sum = 0;
        double size = 0;
        foreach (double term in terms)
        {
            sum = rounding == BridgeRounding.Single ? (float)(sum + (float)term) : sum + term;
            size += Math.Abs(term);
        }

        return Round(sum, Local(terms.Length) * size);
    }

    /// <summary>C [m, n] = bias + scale op(A) op(B), op(A) [m, k], op(B) [k, n].</summary>
    internal double[] Multiply(
        double[] a, bool transposeA, double[] b, bool transposeB, int m, int n, int k, double[]? bias = null,
        double scale = 1)
    {
        double[] c = new double[m * n];
        double[] row = new double[k];
        double[] column = transposeB ? b : new double[b.Length];
        for (int i = 0; i < k && !transposeB; i++)
        {
            for (int j = 0; j < n; j++)
            {
                column[(j * k) + i] = b[(i * n) + j];
            }
        }

        for (int i = 0; i < m; i++)
        {
            for (int p = 0; p < k; p++)
            {
                row[p] = transposeA ? a[(p * m) + i] : a[(i * k) + p];
            }

            for (int j = 0; j < n; j++)
            {
                c[(i * n) + j] = Dot(row, column.AsSpan(j * k, k), bias?[j] ?? 0, scale);
            }
        }

        return c;
    }

    internal double Exp(double x) => Round(Math.Exp(x), Math.Exp(x) * U * (4 + Math.Min(Math.Abs(x), 100)));

    internal double Gelu(double x)
    {
        Bounded y = ActivationReference.Gelu(x);
        return Round(y.Value, y.Bound);
    }

    internal double GeluBack(double x, double dy)
    {
        Bounded dx = ActivationReference.GeluBack(x, dy);
        return dy == 0 ? dx.Value : Round(dx.Value, dx.Bound);
    }

    /// <summary>The relative error taken for a sum of k products: 2 (1 + sqrt k) u.</summary>
    private static double Local(int k) => 2 * (1 + Math.Sqrt(k)) * U;

    private double Dot(ReadOnlySpan<double> a, ReadOnlySpan<double> b, double start, double scale)
    {
        switch (rounding)
        {
            case BridgeRounding.Single:
                float single = 0;
                for (int p = 0; p < a.Length; p++)
                {
                    single += (float)a[p] * (float)b[p];
                }

                return (single * (float)scale) + (float)start;
            case BridgeRounding.Noise:
                double sum = 0;
                double size = 0;
                for (int p = 0; p < a.Length; p++)
                {
                    double product = a[p] * b[p];
                    sum += product;
                    size += Math.Abs(product);
                }

                return Round((sum * scale) + start, Local(a.Length + 1) * ((size * Math.Abs(scale)) + Math.Abs(start)));
            default:
                double exact = 0;
                for (int p = 0; p < a.Length; p++)
                {
                    exact += a[p] * b[p];
                }

                return (exact * scale) + start;
        }
    }

    // splitmix64
    private int Sign()
    {
        _state += 0x9E3779B97F4A7C15;
        ulong z = _state;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return ((z ^ (z >> 31)) & 1) == 0 ? 1 : -1;
    }
}
