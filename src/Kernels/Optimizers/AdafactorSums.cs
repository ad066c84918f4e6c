using System.Diagnostics.CodeAnalysis;
using ILGPU;
using ILGPU.Runtime;
using Kernels.DeviceCode.Optimizers;
using Kernels.DeviceCode.Reductions;
using Kernels.Launching;

namespace Kernels.Optimizers;

/// <summary>Segments of values that are summed, each for itself.</summary>
/// <param name="From">The first value of the first segment.</param>
/// <param name="To">Where the sum of the first goes.</param>
/// <param name="Count">Segments of the same length, one after the other.</param>
/// <param name="Length">Values of one.</param>
internal readonly record struct SumSegments(long From, long To, long Count, long Length);

/// <summary>Sums of many segments in one launch for each fold of 64 to 1, in the order of <see cref="StridedSums"/>.</summary>
[RequiresDynamicCode(LoadedKernels.Reason)]
internal sealed class AdafactorSums : IDisposable
{
    private readonly TableLauncher<AdafactorFolds, AdafactorFold> _launcher;
    private readonly DeviceTable<AdafactorFold> _table;
    private readonly int[] _ends; // of the folds, in the table

    /// <param name="launcher">Launches the folds.</param>
    /// <param name="accelerator">Where the values lie.</param>
    /// <param name="segments">What is summed.</param>
    /// <param name="sums">Sums of all segments.</param>
    internal AdafactorSums(
        TableLauncher<AdafactorFolds, AdafactorFold> launcher, Accelerator accelerator,
        IReadOnlyList<SumSegments> segments, long sums)
    {
        _launcher = launcher;
        Length = sums;
        var table = new List<AdafactorFold>();
        var ends = new List<int>();
        SumSegments[] left = [.. segments.Select(s => s with { To = 0 })];
        long[] to = [.. segments.Select(s => s.To)];
        while (left.Length > 0)
        {
            var next = new List<SumSegments>();
            var nextTo = new List<long>();
            for (int i = 0; i < left.Length; i++)
            {
                long outputs = (left[i].Length + StridedSum.Fold - 1) / StridedSum.Fold;
                if (outputs == 1)
                {
                    Add(table, left[i] with { To = to[i] }, 1);
                    continue;
                }

                Add(table, left[i] with { To = Length }, outputs);
                next.Add(new SumSegments(Length, 0, left[i].Count, outputs));
                nextTo.Add(to[i]);
                Length += left[i].Count * outputs;
            }

            ends.Add(table.Count);
            left = [.. next];
            to = [.. nextTo];
        }

        _table = new(accelerator, [.. table]);
        _ends = [.. ends];
    }

    /// <summary>Floats that the sums need: the sums themselves, and behind them those of the folds before the last.</summary>
    internal long Length { get; }

    /// <summary>Enqueues the sums.</summary>
    internal void Run(AcceleratorStream stream, ArrayView<float> values, ArrayView<float> sums)
    {
        for (int fold = 0; fold < _ends.Length; fold++)
        {
            var work = new AdafactorFolds { From = fold == 0 ? values : sums, To = sums };
            _launcher.Run(stream, work, _table, fold == 0 ? 0 : _ends[fold - 1], _ends[fold]);
        }
    }

    public void Dispose() => _table.Dispose();

    private static void Add(List<AdafactorFold> table, SumSegments segments, long outputs)
    {
        const int Lanes = AdafactorPiece.Length;
        long width = Math.Min(outputs, Lanes);          // sums of a segment in an entry
        long together = outputs > Lanes ? 1 : Lanes / outputs; // segments in an entry
        for (long segment = 0; segment < segments.Count; segment += together)
        {
            long count = Math.Min(together, segments.Count - segment);
            for (long offset = 0; offset < outputs; offset += width)
            {
                table.Add(new AdafactorFold
                {
                    From = segments.From + segment * segments.Length + offset,
                    To = segments.To + segment * outputs + offset,
                    Inputs = segments.Length,
                    Outputs = outputs,
                    Offset = offset,
                    Count = (int)(count * Math.Min(width, outputs - offset)),
                    OverOutputs = count == 1 ? 0 : AdafactorPiece.Reciprocal((int)outputs),
                });
            }
        }
    }
}
