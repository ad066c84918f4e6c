using ILGPU;
using ILGPU.Util;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Reductions;

namespace Kernels.DeviceCode.VectorQuantization;

/// <summary>The nearest codes of a codebook from those of its shards, one row and head per item.</summary>
/// <remarks>
/// Source: the order of a search: the largest score first, at equal scores the lowest index.
/// Shapes: of the shards [shards, results, top], where results are rows times heads; out [results, top].
/// Traffic: indices and scores of the shards are read once for each rank, what is wanted is written once.
/// Order: of ranks, then shards: each rank takes the best of what comes behind the rank before it.
/// Domain: an index below 0 is no code; where codes are wanting the index is -1, the score minus infinity and the
/// distance NaN.
/// </remarks>
internal struct NearestMergeWork : IItemWork
{
    public ArrayView<int> ShardIndex;
    public ArrayView<float> ShardScore;

    /// <summary>Where <see cref="WantsDistance"/>.</summary>
    public ArrayView<float> ShardDistance;

    /// <summary>[shards]: the first code of each in the whole codebook.</summary>
    public ArrayView<int> First;
    public ArrayView<int> Index;
    public ArrayView<float> Score;
    public ArrayView<float> Distance;
    public long Results;
    public int Shards;
    public int Top;
    public int WantsScore;
    public int WantsDistance;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        float lastScore = float.PositiveInfinity;
        int last = -1;
        for (int rank = 0; rank < Top; rank++)
        {
            BestCode best = BestCode.None;
            long place = 0;
            for (int shard = 0; shard < Shards; shard++)
            {
                for (int k = 0; k < Top; k++)
                {
                    long at = (shard * Results + i) * Top + k;
                    int local = ShardIndex[at];
                    int code = First[shard] + local;
                    float score = ShardScore[at];
                    bool remains = (local >= 0) & ((score < lastScore) | ((score == lastScore) & (code > last)));
                    bool better = (best.Index < 0) | (score > best.Score)
                        | ((score == best.Score) & (code < best.Index));
                    bool takes = remains & better;
                    best.Score = Utilities.Select(takes, score, best.Score);
                    best.Index = Utilities.Select(takes, code, best.Index);
                    place = Utilities.Select(takes, at, place);
                }
            }

            long to = i * Top + rank;
            Index[to] = best.Index;
            if (WantsScore != 0)
            {
                Score[to] = best.Score;
            }

            if (WantsDistance != 0)
            {
                Distance[to] = Utilities.Select(best.Index < 0, float.NaN, ShardDistance[place]);
            }

            // Behind a rank without a code there is none either.
            lastScore = best.Score;
            last = Utilities.Select(best.Index < 0, int.MaxValue, best.Index);
        }
    }
}
