using Kernels.References;

namespace Kernels.Tests.References.Quantization;

/// <summary>Random numbers for the oracles of quantization.</summary>
internal static class Numbers
{
    internal static float[] Uniform(Random random, int n, float scale = 1) =>
        [.. Enumerable.Range(0, n).Select(_ => scale * (float)((random.NextDouble() * 2) - 1))];

    internal static float[] Gaussian(Random random, int n, double scale = 1) =>
        [.. Enumerable.Range(0, n).Select(_ => (float)(scale * Math.Sqrt(-2 * Math.Log(1 - random.NextDouble()))
            * Math.Cos(2 * Math.PI * random.NextDouble())))];

    /// <summary>Small integers, on which nothing rounds.</summary>
    internal static float[] Integers(Random random, int n, int most = 4) =>
        [.. Enumerable.Range(0, n).Select(_ => (float)random.Next(-most, most + 1))];

    internal static int[] Below(Random random, int n, int k) =>
        [.. Enumerable.Range(0, n).Select(_ => random.Next(k))];

    internal static float[] Ascending(Random random, int k, float scale = 1) => [.. Uniform(random, k, scale).Order()];

    internal static double[] Values(IEnumerable<Bounded> numbers) => [.. numbers.Select(v => v.Value)];

    internal static double[] Wide(IEnumerable<float> numbers) => [.. numbers.Select(v => (double)v)];

    internal static void AssertClose(IReadOnlyList<double> expected, IReadOnlyList<double> actual, double tolerance)
    {
        Assert.Equal(expected.Count, actual.Count);
        for (int i = 0; i < expected.Count; i++)
        {
            Assert.True(Math.Abs(expected[i] - actual[i]) <= tolerance, $"[{i}]: {expected[i]} and {actual[i]}");
        }
    }

    /// <summary>Every number is within its bound; returns the largest share of a bound that is used.</summary>
    internal static double AssertAdmits(IReadOnlyList<Bounded> expected, IReadOnlyList<float> actual)
    {
        Assert.Equal(expected.Count, actual.Count);
        double worst = 0;
        for (int i = 0; i < expected.Count; i++)
        {
            Assert.True(expected[i].Admits(actual[i]), $"[{i}]: {expected[i]}, {actual[i]}");
            double distance = Math.Abs(expected[i].Value - actual[i]);
            worst = distance > 0 ? Math.Max(worst, distance / expected[i].Bound) : worst;
        }

        return worst;
    }
}
