using ILGPU;
using ILGPU.Runtime;
using Kernels.VectorQuantization;

namespace Kernels.DataParallel;

/// <summary>
/// A codebook that no process has whole for the search: each searches its shards for all rows, and the finds are merged.
/// Then codes that learn from rows that no process has whole: each sums its own.
/// </summary>
internal static class ShardedCodebook
{
    private const int Rows = 512;
    private const int Dimension = 16;
    private const int Updates = 10;

    private static readonly int[] s_codes = [300, 300, 300, 100]; // of each part
    private static readonly int s_all = s_codes.Sum();

    internal static void Run(Mpi mpi, Session session)
    {
        var random = new Random(1);
        float[] codes = Uniform(random, s_all * Dimension);
        float[] rows = Uniform(random, Rows * Dimension);
        (int[] index, float[] distance) = Search(mpi, session, codes, rows);
        (int[] whole, float[] near) = SearchWhole(session, codes, rows);
        bool same = index.AsSpan().SequenceEqual(whole) && distance.AsSpan().SequenceEqual(near);
        Parts.Print(mpi, $"search: {Rows} rows, {s_all} codes, in shards as in one: {(same ? "yes" : "no")}");
        Learn(mpi, session, codes, rows);
        Parts.Print(mpi, $"codes: {Updates} updates, checksum {Parts.Checksum<float>(codes)}");
    }

    private static (int[] Index, float[] Distance) Search(Mpi mpi, Session session, float[] codes, float[] rows)
    {
        Accelerator accelerator = session.Accelerator;
        AcceleratorStream stream = session.Stream;
        int mine = Parts.Count / mpi.Size;
        var index = new int[mine * Rows];
        var score = new float[mine * Rows];
        var distance = new float[mine * Rows];
        using MemoryBuffer1D<float, Stride1D.Dense> x = accelerator.Allocate1D(rows);
        using MemoryBuffer1D<int, Stride1D.Dense> found = accelerator.Allocate1D<int>(Rows);
        using MemoryBuffer1D<float, Stride1D.Dense> scores = accelerator.Allocate1D<float>(Rows);
        using MemoryBuffer1D<float, Stride1D.Dense> distances = accelerator.Allocate1D<float>(Rows);
        foreach (int part in Parts.Of(mpi))
        {
            using MemoryBuffer1D<float, Stride1D.Dense> shard =
                accelerator.Allocate1D(codes.AsSpan(First(part) * Dimension, s_codes[part] * Dimension).ToArray());
            using var nearest = new NearestCode(accelerator, Rows, s_codes[part], Dimension);
            nearest.Search(stream, x.View, shard.View, found.View, Rows, distances.View, score: scores.View);
            int at = (part % mine) * Rows;
            found.View.CopyToCPU(stream, index.AsSpan(at, Rows));
            scores.View.CopyToCPU(stream, score.AsSpan(at, Rows));
            distances.View.CopyToCPU(stream, distance.AsSpan(at, Rows));
        }

        var allIndex = new int[Parts.Count * Rows];
        var allScore = new float[Parts.Count * Rows];
        var allDistance = new float[Parts.Count * Rows];
        mpi.AllGather<int>(index, allIndex);
        mpi.AllGather<float>(score, allScore);
        mpi.AllGather<float>(distance, allDistance);
        using MemoryBuffer1D<int, Stride1D.Dense> shardIndex = accelerator.Allocate1D(allIndex);
        using MemoryBuffer1D<float, Stride1D.Dense> shardScore = accelerator.Allocate1D(allScore);
        using MemoryBuffer1D<float, Stride1D.Dense> shardDistance = accelerator.Allocate1D(allDistance);
        using MemoryBuffer1D<int, Stride1D.Dense> first =
            accelerator.Allocate1D<int>([.. Enumerable.Range(0, Parts.Count).Select(First)]);
        new NearestMerge(accelerator).Merge(
            stream, shardIndex.View, shardScore.View, first.View, found.View, Rows, shardDistance: shardDistance.View,
            distance: distances.View);
        return (found.GetAsArray1D(), distances.GetAsArray1D());
    }

    private static (int[] Index, float[] Distance) SearchWhole(Session session, float[] codes, float[] rows)
    {
        Accelerator accelerator = session.Accelerator;
        using MemoryBuffer1D<float, Stride1D.Dense> x = accelerator.Allocate1D(rows);
        using MemoryBuffer1D<float, Stride1D.Dense> all = accelerator.Allocate1D(codes);
        using MemoryBuffer1D<int, Stride1D.Dense> index = accelerator.Allocate1D<int>(Rows);
        using MemoryBuffer1D<float, Stride1D.Dense> distance = accelerator.Allocate1D<float>(Rows);
        using var nearest = new NearestCode(accelerator, Rows, s_all, Dimension);
        nearest.Search(session.Stream, x.View, all.View, index.View, Rows, distance.View);
        return (index.GetAsArray1D(), distance.GetAsArray1D());
    }

    /// <summary>Moving means: each process sums its rows, and all sums are added in the order of the parts.</summary>
    private static void Learn(Mpi mpi, Session session, float[] codes, float[] rows)
    {
        const int PartRows = Rows / Parts.Count;
        Accelerator accelerator = session.Accelerator;
        AcceleratorStream stream = session.Stream;
        int mine = Parts.Count / mpi.Size;
        var sums = new float[mine * codes.Length];
        var counts = new int[mine * s_all];
        var allSums = new float[Parts.Count * codes.Length];
        var allCounts = new int[Parts.Count * s_all];
        using MemoryBuffer1D<float, Stride1D.Dense> x = accelerator.Allocate1D(rows);
        using MemoryBuffer1D<float, Stride1D.Dense> book = accelerator.Allocate1D(codes);
        using MemoryBuffer1D<int, Stride1D.Dense> index = accelerator.Allocate1D<int>(PartRows);
        using MemoryBuffer1D<float, Stride1D.Dense> sum = accelerator.Allocate1D<float>(codes.Length);
        using MemoryBuffer1D<int, Stride1D.Dense> count = accelerator.Allocate1D<int>(s_all);
        using MemoryBuffer1D<float, Stride1D.Dense> size = accelerator.Allocate1D(Enumerable.Repeat(1f, s_all).ToArray());
        using MemoryBuffer1D<float, Stride1D.Dense> moving = accelerator.Allocate1D(codes);
        using var nearest = new NearestCode(accelerator, PartRows, s_all, Dimension);
        using var segments = new SegmentSum(accelerator, PartRows, s_all, Dimension);
        using var ema = new Ema(accelerator, PartRows, s_all, Dimension);
        for (int update = 0; update < Updates; update++)
        {
            foreach (int part in Parts.Of(mpi))
            {
                ArrayView<float> own = x.View.BaseView.SubView((long)part * PartRows * Dimension, PartRows * Dimension);
                nearest.Search(stream, own, book.View, index.View, PartRows);
                segments.Sum(stream, own, index.View, sum.View, count.View, PartRows);
                int at = part % mine;
                sum.View.CopyToCPU(stream, sums.AsSpan(at * codes.Length, codes.Length));
                count.View.CopyToCPU(stream, counts.AsSpan(at * s_all, s_all));
            }

            mpi.AllGather<float>(sums, allSums);
            mpi.AllGather<int>(counts, allCounts);
            Parts.Sum<float>(allSums, codes.Length);
            Parts.Sum<int>(allCounts, s_all);
            sum.View.CopyFromCPU(stream, allSums.AsSpan(0, codes.Length));
            count.View.CopyFromCPU(stream, allCounts.AsSpan(0, s_all));
            ema.UpdateFromSums(stream, sum.View, count.View, book.View, size.View, moving.View);
        }

        book.View.CopyToCPU(stream, codes);
        stream.Synchronize();
    }

    private static int First(int part) => s_codes.AsSpan(0, part).ToArray().Sum();

    private static float[] Uniform(Random random, int length)
    {
        var values = new float[length];
        foreach (ref float value in values.AsSpan())
        {
            value = random.NextSingle() - 0.5f;
        }

        return values;
    }
}
