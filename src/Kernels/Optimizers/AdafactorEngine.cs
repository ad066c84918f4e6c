using System.Diagnostics.CodeAnalysis;
using ILGPU.Runtime;

namespace Kernels.Optimizers;

/// <summary>
/// Adafactor: one set of launches for all parameters of the arena or of the host's memory that share their options and
/// step count; one for each that is borrowed on a device. The state is rows and columns, or a vector.
/// </summary>
[RequiresDynamicCode(LoadedKernels.Reason)]
internal sealed class AdafactorEngine : WholeTensorEngine
{
    private readonly AdafactorShape[] _shapes;
    private readonly ArenaTensor _rows;
    private readonly ArenaTensor _columns;
    private Group[] _groups = [];

    internal AdafactorEngine(Accelerator accelerator, Arena parameters)
        : base(accelerator, parameters)
    {
        _shapes = new AdafactorShape[parameters.Parameters.Count];
        long rows = 0;
        long columns = 0;
        for (int i = 0; i < _shapes.Length; i++)
        {
            _shapes[i] = AdafactorShape.Of([.. parameters.Parameters[i].Shape], nameof(parameters)) with
            {
                First = parameters.Firsts[i],
                FirstRow = rows,
                FirstColumn = columns,
            };
            rows += _shapes[i].RowLength;
            columns += _shapes[i].ColumnLength;
        }

        _rows = ArenaTensor.Create(accelerator, rows, Storage.F32);
        _columns = ArenaTensor.Create(accelerator, columns, Storage.F32);
    }

    internal override IReadOnlyList<StateTensor> StateOf(int parameter)
    {
        AdafactorShape shape = _shapes[parameter];
        long[] lengths = [.. Arena.Parameters[parameter].Shape];
        TensorView rows = Part(_rows.View, shape.FirstRow, shape.RowLength);
        return shape.IsFactored
            ?
            [
                new("row_var", rows, [.. lengths[..^1], 1]),
                new(
                    "col_var", Part(_columns.View, shape.FirstColumn, shape.ColumnLength),
                    [.. lengths[..^2], 1, lengths[^1]]),
            ]
            : [new("variance", rows, lengths)];
    }

    internal override bool Fits(OptimizerOptions options) => options is AdafactorOptions;

    internal override void Arrange(OptimizerOptions[] options, ReadOnlySpan<bool> frozen, ReadOnlySpan<int> steps)
    {
        base.Arrange(options, frozen, steps);
        var members = new Dictionary<(OptimizerOptions Options, int Step, int Borrowed), List<int>>();
        foreach (int i in Arena.Order)
        {
            if (IsFrozen(i))
            {
                continue;
            }

            bool isBorrowed = Arena.Parameters[i].IsBorrowed && Arena.Places is null;
            (OptimizerOptions, int, int) key = (options[i], steps[i], isBorrowed ? i : -1);
            if (!members.TryGetValue(key, out List<int>? group))
            {
                members.Add(key, group = []);
            }

            group.Add(i);
        }

        Group[] old = _groups;
        _groups = [.. members.Values.Select(m => Array.Find(old, g => g.Members.SequenceEqual(m)) ?? Create([.. m]))];
        foreach (Group group in old.Except(_groups))
        {
            group.Adafactor.Dispose();
        }
    }

    public override void Dispose()
    {
        Array.ForEach(_groups, group => group.Adafactor.Dispose());
        _rows.Dispose();
        _columns.Dispose();
    }

    private protected override void Launch(AcceleratorStream stream, in UpdateCall call, int[] steps)
    {
        foreach (Group group in _groups)
        {
            int first = group.Members[0];
            UpdateCall part = group.IsBorrowed ? Arena.CallOf(call, first) : call;
            part.A = _rows.View.As<float>();
            part.B = _columns.View.As<float>();
            part.Step = steps[first];
            group.Adafactor.Step(stream, part, (AdafactorOptions)Options[first]);
        }
    }

    private Group Create(int[] members)
    {
        // What is borrowed on a device is stepped in its own memory, with the state of the arena.
        bool isBorrowed = Arena.Parameters[members[0]].IsBorrowed && Arena.Places is null;
        AdafactorShape[] shapes =
            [.. members.Select(i => isBorrowed ? _shapes[i] with { First = 0 } : _shapes[i])];
        return new Group(members, isBorrowed, new Adafactor(Accelerator, shapes, null));
    }

    private static TensorView Part(TensorView all, long first, long length) =>
        length == 0 ? default : all.Slice(first, length);

    /// <summary>Parameters that step together.</summary>
    private sealed record Group(int[] Members, bool IsBorrowed, Adafactor Adafactor);
}
