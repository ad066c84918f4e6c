using Kernels.Validation;

namespace Kernels.Optimizers;

/// <summary>Parameters shared out over devices or processes, whole ones, so that each keeps the state of its own.</summary>
public static class ParameterShards
{
    /// <summary>
    /// The shard of each parameter: the longest first, each to the shard that has least (Graham 1969), the lowest of equal
    /// ones. No shard has more than 4/3 of what the best division would give its largest.
    /// </summary>
    /// <param name="lengths">Elements of each parameter, at least 0.</param>
    /// <param name="shards">Shards, at least 1.</param>
    /// <returns>For each parameter a number from 0 to <paramref name="shards"/> - 1; the same in every process.</returns>
    /// <exception cref="ArgumentOutOfRangeException">A length is negative or there is no shard.</exception>
    public static int[] Divide(ReadOnlySpan<long> lengths, int shards)
    {
        Require.AtLeast(shards, 1);
        foreach (long length in lengths)
        {
            Require.AtLeast(length, 0, nameof(lengths));
        }

        int[] shardOf = new int[lengths.Length];
        long[] keys = [.. lengths];
        int[] order = [.. Enumerable.Range(0, keys.Length).OrderByDescending(i => keys[i])]; // stable
        var least = new PriorityQueue<int, (long Length, int Shard)>();
        for (int shard = 0; shard < Math.Min(shards, Math.Max(1, keys.Length)); shard++)
        {
            least.Enqueue(shard, (0, shard));
        }

        foreach (int i in order)
        {
            least.TryDequeue(out int shard, out (long Length, int Shard) has);
            shardOf[i] = shard;
            least.Enqueue(shard, (checked(has.Length + keys[i]), shard));
        }

        return shardOf;
    }
}
