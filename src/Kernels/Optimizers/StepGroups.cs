using ILGPU.Runtime;
using Kernels.DeviceCode.Optimizers;

namespace Kernels.Optimizers;

/// <summary>
/// How the segments of an arena are stepped until options or the frozen ones change: those with the same options and
/// step count form a group, and all groups share one launch. Borrowed segments are launched one by one on a device, and
/// are in the same walk on the host.
/// </summary>
internal sealed class StepGroups : IDisposable
{
    private readonly Updater _updater;
    private readonly Arena _arena;
    private readonly ElementwiseOptions[] _options; // of each group
    private readonly int[] _groupSteps;
    private readonly int[] _groupOf;                // of each parameter; -1 is frozen
    private readonly long _origin;
    private readonly UpdateTable? _table;           // null: the whole arena is one group

    /// <param name="updater">The algorithm.</param>
    /// <param name="arena">Where the parameters lie.</param>
    /// <param name="options">Of each parameter.</param>
    /// <param name="frozen">Which parameters stay.</param>
    /// <param name="steps">Steps each has taken.</param>
    /// <param name="origin">Elements of the arena before the tensors of a step.</param>
    internal StepGroups(
        Updater updater, Arena arena, ElementwiseOptions[] options, ReadOnlySpan<bool> frozen, ReadOnlySpan<int> steps,
        long origin = 0)
    {
        _origin = origin;
        _updater = updater;
        _arena = arena;
        var groups = new Dictionary<(ElementwiseOptions Options, int Step), int>();
        _groupOf = new int[options.Length];
        bool whole = true;
        for (int i = 0; i < options.Length; i++)
        {
            if (frozen[i])
            {
                _groupOf[i] = -1;
                whole = false;
            }
            else
            {
                if (!groups.TryGetValue((options[i], steps[i]), out int group))
                {
                    group = groups.Count;
                    groups.Add((options[i], steps[i]), group);
                }

                _groupOf[i] = group;
            }

            whole &= !arena.Parameters[i].IsBorrowed;
        }

        _options = [.. groups.OrderBy(g => g.Value).Select(g => g.Key.Options)];
        _groupSteps = [.. groups.OrderBy(g => g.Value).Select(g => g.Key.Step)];
        if (!whole || groups.Count > 1)
        {
            _table = updater.CreateTable(Chunks(), groups.Count);
        }
    }

    /// <summary>Takes other options, which make the same groups.</summary>
    internal void Rescale(ElementwiseOptions[] options)
    {
        for (int i = 0; i < options.Length; i++)
        {
            if (_groupOf[i] >= 0)
            {
                _options[_groupOf[i]] = options[i];
            }
        }
    }

    /// <summary>Takes a step and counts it for every parameter that is not frozen.</summary>
    internal void Step(AcceleratorStream stream, in UpdateCall call, int[] steps)
    {
        Count(steps, 1);
        if (_groupSteps.Length == 0)
        {
            return;
        }

        if (_table is null)
        {
            UpdateCall whole = call;
            whole.Step = _groupSteps[0];
            _updater.Step(stream, whole, _options[0]);
            return;
        }

        _table.Step(stream, call, _options, _groupSteps, _updater.WalkFor(aligned: true, call.Extras.StochasticRounding));
        StepBorrowed(stream, call);
    }

    /// <summary>Takes the last step back from the counts: the device skipped it.</summary>
    internal void TakeBack(int[] steps) => Count(steps, -1);

    public void Dispose() => _table?.Dispose();

    private void Count(int[] steps, int change)
    {
        for (int g = 0; g < _groupSteps.Length; g++)
        {
            _groupSteps[g] += change;
        }

        for (int i = 0; i < steps.Length; i++)
        {
            steps[i] += _groupOf[i] < 0 ? 0 : change;
        }
    }

    private void StepBorrowed(AcceleratorStream stream, in UpdateCall call)
    {
        for (int i = 0; i < _groupOf.Length && call.Places is null; i++)
        {
            Parameter parameter = _arena.Parameters[i];
            if (!parameter.IsBorrowed || _groupOf[i] < 0 || parameter.Length == 0)
            {
                continue;
            }

            long first = _arena.Firsts[i] - _origin;
            UpdateCall part = _arena.CallOf(call, i, _origin);
            part.Moments = Part(call.Moments, first, parameter.Length);
            part.Step = _groupSteps[_groupOf[i]];
            _updater.Step(stream, part, _options[_groupOf[i]]);
        }
    }

    private static EightBitMoments Part(EightBitMoments all, long first, long length) => !all.CodesM.IsValid
        ? default
        : new EightBitMoments
        {
            CodesM = all.CodesM.SubView(first, length),
            CodesV = all.CodesV.SubView(first, length),
            ScalesM = all.ScalesM.SubView(first / Update.BlockLength, Arena.Blocks(length)),
            ScalesV = all.ScalesV.SubView(first / Update.BlockLength, Arena.Blocks(length)),
        };

    private Chunk[] Chunks()
    {
        var chunks = new List<Chunk>();
        for (int i = 0; i < _groupOf.Length; i++)
        {
            if (_groupOf[i] < 0 || (_arena.Parameters[i].IsBorrowed && _arena.Places is null))
            {
                continue;
            }

            long block = (_arena.Firsts[i] - _origin) / Update.BlockLength;
            for (long b = 0; b < Arena.Blocks(_arena.Parameters[i].Length); b++)
            {
                chunks.Add(new Chunk { Block = (int)(block + b), Rule = _groupOf[i] });
            }
        }

        return [.. chunks];
    }
}
