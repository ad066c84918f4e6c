using System.Runtime.InteropServices;

namespace Kernels.References.VectorQuantization;

/// <summary>Dead codes that start again from rows of the batch.</summary>
/// <remarks>
/// Source: lucidrains/vector-quantize-pytorch. After an update, every code with a cluster size below the threshold
/// becomes a random row of the batch: rows without repetition if there are as many as dead codes, else with. Its size
/// becomes the reset value, its sum the row times that. Live codes keep every bit. Without a row, nothing happens.
/// </remarks>
public static class RestartReference
{
    /// <summary>Which codes are dead.</summary>
    /// <param name="clusterSize">[k].</param>
    /// <param name="threshold">The least size of a live code, narrowed to binary32; 0 switches the rule off.</param>
    /// <returns>[k].</returns>
    public static bool[] IsDead(ReadOnlySpan<float> clusterSize, double threshold)
    {
        bool[] dead = new bool[clusterSize.Length];
        for (int j = 0; j < dead.Length; j++)
        {
            dead[j] = clusterSize[j] < (float)threshold;
        }

        return dead;
    }

    /// <summary>What becomes of the sum of a code that restarts.</summary>
    /// <param name="row">A component of the row.</param>
    /// <param name="reset">The cluster size it starts with.</param>
    public static Bounded Sum(float row, double reset) => Bounded.Rounded(reset) * row;

    /// <summary>Whether codes after a restart are what the rule allows, for some choice of rows.</summary>
    /// <param name="before">The codes before, [k, d].</param>
    /// <param name="after">The codes after, [k, d].</param>
    /// <param name="clusterSize">The sizes that decide, [k].</param>
    /// <param name="threshold">The least size of a live code.</param>
    /// <param name="x">The rows of the batch, [n, d].</param>
    /// <param name="index">The code of each row, [n]; -1 for a row that does not count. Empty if all count.</param>
    /// <returns>Whether live codes kept their bits, dead ones are rows, and no row came twice without need.</returns>
    /// <exception cref="ArgumentException">A length does not fit.</exception>
    public static bool Admits(
        ReadOnlySpan<float> before, ReadOnlySpan<float> after, ReadOnlySpan<float> clusterSize, double threshold,
        ReadOnlySpan<float> x, ReadOnlySpan<int> index = default)
    {
        int k = clusterSize.Length;
        int d = k == 0 ? 1 : before.Length / k;
        Check.Length(before, k * d);
        Check.SameLength(before, after);
        int n = Check.Rows(x, d);
        if (!index.IsEmpty)
        {
            Check.Length(index, n);
        }

        var left = new Dictionary<string, int>(StringComparer.Ordinal);
        int rows = 0;
        for (int i = 0; i < n; i++)
        {
            if (index.IsEmpty || index[i] >= 0)
            {
                rows++;
                CollectionsMarshal.GetValueRefOrAddDefault(left, Bits(x.Slice(i * d, d)), out _)++;
            }
        }

        bool[] dead = IsDead(clusterSize, threshold);
        bool mayRepeat = rows < dead.Count(isDead => isDead);
        for (int j = 0; j < k; j++)
        {
            string now = Bits(after.Slice(j * d, d));
            if (!dead[j] || rows == 0)
            {
                if (!string.Equals(now, Bits(before.Slice(j * d, d)), StringComparison.Ordinal))
                {
                    return false;
                }
            }
            else if (!left.TryGetValue(now, out int count) || (count == 0 && !mayRepeat))
            {
                return false;
            }
            else
            {
                left[now] = Math.Max(count - 1, 0);
            }
        }

        return true;
    }

    private static string Bits(ReadOnlySpan<float> values) => Convert.ToHexString(MemoryMarshal.AsBytes(values));
}
