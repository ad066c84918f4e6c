namespace Kernels.References.Dct;

/// <summary>What the oracles of matrices share; all row-major.</summary>
internal static class BoundedMatrix
{
    /// <summary>Takes binary32 numbers as exact.</summary>
    internal static Bounded[] Widen(ReadOnlySpan<float> x)
    {
        var wide = new Bounded[x.Length];
        for (int i = 0; i < wide.Length; i++)
        {
            wide[i] = x[i];
        }

        return wide;
    }

    /// <summary>[rows, columns] to [columns, rows].</summary>
    internal static T[] Transpose<T>(ReadOnlySpan<T> x, int rows, int columns)
    {
        var result = new T[x.Length];
        for (int i = 0; i < rows; i++)
        {
            for (int j = 0; j < columns; j++)
            {
                result[(j * rows) + i] = x[(i * columns) + j];
            }
        }

        return result;
    }

    /// <summary>[m, k] times [k, n].</summary>
    internal static double[] Multiply(ReadOnlySpan<double> a, ReadOnlySpan<double> b, int m, int k, int n)
    {
        var result = new double[m * n];
        for (int i = 0; i < m; i++)
        {
            for (int p = 0; p < k; p++)
            {
                for (int j = 0; j < n; j++)
                {
                    result[(i * n) + j] += a[(i * k) + p] * b[(p * n) + j];
                }
            }
        }

        return result;
    }

    /// <summary>The Frobenius norm.</summary>
    internal static double Norm(ReadOnlySpan<double> x)
    {
        double squares = 0;
        foreach (double value in x)
        {
            squares += value * value;
        }

        return Math.Sqrt(squares);
    }
}
