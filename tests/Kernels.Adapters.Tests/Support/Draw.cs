namespace Kernels.Adapters.Tests.Support;

/// <summary>Rows around centres that are far apart, so that no rounding moves a row to another one.</summary>
internal static class Draw
{
    /// <summary>How far a number of a row is from its centre, at most; two centres differ by 10 in some number.</summary>
    internal const float Radius = 0.25f;

    internal static float[] Centres(int count, int length) =>
        [.. Enumerable.Range(0, count * length).Select(i => 10f * ((i / length) >> (i % length) & 1))];

    internal static float[] Rows(float[] centres, int length, int rows, int seed)
    {
        var random = new Random(seed);
        int count = centres.Length / length;
        float[] values = new float[rows * length];
        for (int row = 0; row < rows; row++)
        {
            int centre = CentreOf(row, count);
            for (int i = 0; i < length; i++)
            {
                values[(row * length) + i] = centres[(centre * length) + i] + (Radius * ((2 * random.NextSingle()) - 1));
            }
        }

        return values;
    }

    internal static int CentreOf(int row, int count) => row * 7 % count;
}
