using ILGPU;
using ILGPU.Runtime;

namespace Kernels.Optimizers;

/// <summary>Element-wise optimizers: state tensors beside the parameters, one launch for all of them.</summary>
internal sealed class ElementwiseEngine : OptimizerEngine
{
    private readonly Arena _arena;
    private readonly ElementwiseOptions _options;
    private readonly Updater _updater;
    private readonly ArenaTensor[] _state;
    private StepGroups? _groups;

    internal ElementwiseEngine(Accelerator accelerator, Arena arena, ElementwiseOptions options)
    {
        _arena = arena;
        _options = options;
        _updater = options.Form.Load(accelerator);
        _state = new ArenaTensor[options.StateNames.Count];
        for (int slot = 0; slot < _state.Length; slot++)
        {
            _state[slot] = ArenaTensor.Create(accelerator, arena.Length, Storage.F32, options.InitialState(slot));
        }
    }

    internal override IReadOnlyList<StateTensor> StateOf(int parameter) =>
    [
        .. _options.StateNames.Select((name, slot) => new StateTensor(
            name, _arena.Segment(_state[slot].View, parameter), [.. _arena.Parameters[parameter].Shape])),
    ];

    internal override bool Fits(OptimizerOptions options) =>
        options is ElementwiseOptions elementwise && elementwise.Form == _options.Form;

    internal override void Arrange(OptimizerOptions[] options, ReadOnlySpan<bool> frozen, ReadOnlySpan<int> steps)
    {
        _groups?.Dispose();
        _groups = new StepGroups(
            _updater, _arena, Array.ConvertAll(options, o => (ElementwiseOptions)o), frozen, steps);
    }

    internal override void Rescale(OptimizerOptions[] options) =>
        _groups!.Rescale(Array.ConvertAll(options, o => (ElementwiseOptions)o));

    internal override void Step(AcceleratorStream stream, in UpdateCall call, int[] steps)
    {
        UpdateCall whole = call;
        whole.A = State(0);
        whole.B = State(1);
        whole.C = State(2);
        _groups!.Step(stream, whole, steps);
    }

    internal override void TakeBack(int[] steps) => _groups!.TakeBack(steps);

    public override void Dispose()
    {
        _groups?.Dispose();
        Array.ForEach(_state, s => s.Dispose());
    }

    private ArrayView<float> State(int slot) => slot < _state.Length ? _state[slot].View.As<float>() : default;
}
