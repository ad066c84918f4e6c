using System.Numerics;

namespace Kernels.Host;

/// <summary>Sums of rows on the host.</summary>
internal static class HostSums
{
    /// <summary>sum += more, element by element.</summary>
    internal static unsafe void Add(float* sum, float* more, int length)
    {
        int i = 0;
        for (; i <= length - Vector<float>.Count; i += Vector<float>.Count)
        {
            (Vector.Load(sum + i) + Vector.Load(more + i)).Store(sum + i);
        }

        for (; i < length; i++)
        {
            sum[i] += more[i];
        }
    }
}
