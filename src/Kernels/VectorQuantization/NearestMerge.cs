using System.Diagnostics.CodeAnalysis;
using ILGPU;
using ILGPU.Runtime;
using Kernels.DeviceCode.VectorQuantization;
using Kernels.Launching;
using Kernels.Linear;
using Kernels.Validation;

namespace Kernels.VectorQuantization;

/// <summary>
/// The nearest codes of a codebook that lies in shards, on several devices or in several processes, from what a
/// <see cref="NearestCode"/> found in each.
/// </summary>
/// <remarks>
/// <para>
/// The scores decide, as in one search over all codes, and at equal scores the lowest index: indices, scores and distances
/// are those of the search over the whole codebook, bit for bit, where the shards are searched on devices of one kind. Rows
/// need no merge: those of each shard are searched by themselves.
/// </para>
/// <para>
/// Load once, call often: a call allocates nothing, does not wait, and may be made from several threads.
/// </para>
/// <example><code>
/// nearest.Search(stream, x.View, shard.View, index.View, rows, distance.View, score: score.View);
/// // Gather the indices, scores and distances of all shards, then:
/// merge.Merge(stream, indices.View, scores.View, firsts.View, index.View, rows, shardDistance: distances.View, distance: distance.View);
/// </code></example>
/// </remarks>
[RequiresDynamicCode(LoadedKernels.Reason)]
public sealed class NearestMerge
{
    private readonly Accelerator _accelerator;
    private readonly ItemLauncher<NearestMergeWork> _merge;

    /// <summary>Loads the kernel.</summary>
    /// <param name="accelerator">Where the gathered results lie.</param>
    /// <exception cref="ArgumentNullException"><paramref name="accelerator"/> is null.</exception>
    /// <exception cref="ObjectDisposedException">The accelerator is disposed.</exception>
    public NearestMerge(Accelerator accelerator)
    {
        Require.NotNull(accelerator);
        ObjectDisposedException.ThrowIf(accelerator.IsDisposed, accelerator);
        _accelerator = accelerator;
        _merge = new(accelerator, DeviceFacts.Of(accelerator));
    }

    /// <summary>Enqueues the merge.</summary>
    /// <param name="stream">A stream of the accelerator.</param>
    /// <param name="shardIndex">
    /// What the search of each shard wrote, [shards, results, top], where results are rows times heads; indices count from
    /// the first code of the shard, -1 where there is none.
    /// </param>
    /// <param name="shardScore">Their scores, [shards, results, top].</param>
    /// <param name="first">The first code of each shard in the whole codebook, [shards].</param>
    /// <param name="index">Out: the nearest codes of all, [results, top]; -1 where there is none.</param>
    /// <param name="results">Rows times heads, 0 to 2^30.</param>
    /// <param name="top">Codes found for each row, 1 to 32.</param>
    /// <param name="score">Out, where given: their scores, [results, top].</param>
    /// <param name="shardDistance">The distances that the searches wrote, [shards, results, top], where they are wanted.</param>
    /// <param name="distance">Out, where given: the distances, [results, top]; NaN where there is no code.</param>
    /// <exception cref="ArgumentNullException"><paramref name="stream"/> is null.</exception>
    /// <exception cref="ArgumentException">A length, accelerator or stream does not fit, or an output overlaps.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A size is out of range.</exception>
    /// <exception cref="ObjectDisposedException">A buffer, the stream or the accelerator is disposed.</exception>
    public void Merge(
        AcceleratorStream stream, ArrayView<int> shardIndex, ArrayView<float> shardScore, ArrayView<int> first,
        ArrayView<int> index, int results, int top = 1, ArrayView<float> score = default,
        ArrayView<float> shardDistance = default, ArrayView<float> distance = default)
    {
        LinearChecks.Call(_accelerator, stream);
        LinearChecks.Size(results);
        Require.InRange(top, 1, TopList.Most + 1);
        TensorView firsts = LinearChecks.Bytes(first);
        Require.InRange(first.Length, 1, 65_537);
        long all = (long)results * top;
        TensorView given = LinearChecks.Bytes(shardIndex);
        TensorView found = LinearChecks.Bytes(index);
        LinearChecks.Floats(_accelerator, first.Length, firsts, nameof(first));
        LinearChecks.Floats(_accelerator, first.Length * all, given, nameof(shardIndex));
        LinearChecks.Floats(_accelerator, first.Length * all, shardScore);
        LinearChecks.Floats(_accelerator, all, found, nameof(index));
        LinearChecks.Floats(_accelerator, distance.Length == 0 ? 0 : first.Length * all, shardDistance);
        Optional(score, all, nameof(score));
        Optional(distance, all, nameof(distance));
        foreach ((TensorView output, string name) in (ReadOnlySpan<(TensorView, string)>)
            [(found, nameof(index)), (score, nameof(score)), (distance, nameof(distance))])
        {
            Require.Apart(given, output, nameof(shardIndex), name);
            Require.Apart(shardScore, output, nameof(shardScore), name);
            Require.Apart(firsts, output, nameof(first), name);
            Require.Apart(shardDistance, output, nameof(shardDistance), name);
        }

        Require.Apart(found, score, nameof(index), nameof(score));
        Require.Apart(found, distance, nameof(index), nameof(distance));
        Require.Apart(score, distance, nameof(score), nameof(distance));
        // An OpenCL kernel takes no empty view: what is not wanted is a view of something else.
        var work = new NearestMergeWork
        {
            ShardIndex = shardIndex,
            ShardScore = shardScore,
            ShardDistance = distance.Length > 0 ? shardDistance : shardScore,
            First = first,
            Index = index,
            Score = score.Length > 0 ? score : shardScore,
            Distance = distance.Length > 0 ? distance : shardScore,
            Results = results,
            Shards = (int)first.Length,
            Top = top,
            WantsScore = score.Length > 0 ? 1 : 0,
            WantsDistance = distance.Length > 0 ? 1 : 0,
        };
        _merge.Run(stream, work, 0, results, grain: 1024);
    }

    private void Optional(ArrayView<float> view, long length, string name)
    {
        if (view.Length != 0)
        {
            LinearChecks.Floats(_accelerator, length, view, name);
        }
    }
}
