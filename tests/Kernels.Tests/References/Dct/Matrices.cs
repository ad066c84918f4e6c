using Kernels.References;

namespace Kernels.Tests.References.Dct;

/// <summary>Matrices of the tests in this folder.</summary>
internal static class Matrices
{
    /// <summary>Of 64ths between -50 and 50, no two alike; the gradients of the numbers computed apart.</summary>
    internal static double[] Sixtyfourths(int rows, int columns, int t) =>
        [.. Enumerable.Range(1, rows * columns).Select(i => ((i * (37 + (10 * t)) % 101) - 50) / 64.0)];

    internal static float[] Gaussian(int length, int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, length).Select(_ => (float)(
            Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble())))];
    }

    internal static Bounded[] Exact(double[] x) => Array.ConvertAll(x, Bounded.FromDouble);

    internal static Bounded[] Exact(float[] x) => Array.ConvertAll(x, v => Bounded.FromDouble(v));

    internal static double[] Values(IEnumerable<Bounded> x) => [.. x.Select(v => v.Value)];

    internal static double[] Wide(float[] x) => Array.ConvertAll(x, v => (double)v);

    internal static T[] Transpose<T>(T[] x, int rows, int columns) =>
        [.. Enumerable.Range(0, x.Length).Select(i => x[(i % rows * columns) + (i / rows)])];

    internal static double[] Product(double[] a, double[] b, int m, int k, int n) =>
        [.. Enumerable.Range(0, m * n).Select(i => Enumerable.Range(0, k)
            .Sum(p => a[(i / n * k) + p] * b[(p * n) + (i % n)]))];

    internal static void AssertNear(double[] wanted, double[] got, double tolerance = 1e-12)
    {
        Assert.Equal(wanted.Length, got.Length);
        for (int i = 0; i < wanted.Length; i++)
        {
            Assert.True(Math.Abs(wanted[i] - got[i]) <= tolerance, $"{i}: {wanted[i]:R}, got {got[i]:R}");
        }
    }

    internal static void AssertAdmits(Bounded[] wanted, float[] got)
    {
        Assert.Equal(wanted.Length, got.Length);
        for (int i = 0; i < wanted.Length; i++)
        {
            Assert.True(wanted[i].IsInDomain && wanted[i].Admits(got[i]), $"{i}: {wanted[i]}, got {got[i]:R}");
        }
    }
}
