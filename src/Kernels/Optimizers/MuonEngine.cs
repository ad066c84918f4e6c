using System.Diagnostics.CodeAnalysis;
using ILGPU;
using ILGPU.Runtime;
using Kernels.Dct;
using Kernels.DeviceCode.Optimizers;

namespace Kernels.Optimizers;

/// <summary>Muon: momentum, made orthogonal.</summary>
[RequiresDynamicCode(LoadedKernels.Reason)]
internal sealed class MuonEngine : MatrixEngine
{
    private readonly MuonOptions _options;
    private readonly ArenaTensor?[] _momentum;
    private readonly NewtonSchulz? _orthogonal;
    private readonly MemoryBuffer1D<float, Stride1D.Dense>? _update;

    internal MuonEngine(Accelerator accelerator, Arena arena, MuonOptions options)
        : base(accelerator, arena, options)
    {
        _options = options;
        _momentum = new ArenaTensor?[arena.Parameters.Count];
        long most = 0;
        long mostShorter = 0;
        for (int i = 0; i < _momentum.Length; i++)
        {
            if (IsMatrix(i))
            {
                Parameter parameter = arena.Parameters[i];
                _momentum[i] = ArenaTensor.Create(accelerator, parameter.Length, Storage.F32);
                most = Math.Max(most, parameter.Length);
                mostShorter = Math.Max(mostShorter, Math.Min(parameter.Shape[0], parameter.Shape[1]));
            }
        }

        if (most > 0)
        {
            _orthogonal = new NewtonSchulz(accelerator, most, (int)mostShorter);
            _update = accelerator.Allocate1D<float>(most);
        }
    }

    internal override bool Fits(OptimizerOptions options) =>
        options is MuonOptions other && other.MaxDimension == _options.MaxDimension;

    public override void Dispose()
    {
        base.Dispose();
        _orthogonal?.Dispose();
        _update?.Dispose();
        Array.ForEach(_momentum, m => m?.Dispose());
    }

    private protected override IReadOnlyList<StateTensor> MatrixState(int parameter, long[] shape) =>
        [new("momentum_buffer", _momentum[parameter]!.View, shape)];

    private protected override void LaunchMatrix(AcceleratorStream stream, int parameter, in UpdateCall call)
    {
        var options = (MuonOptions)Options[parameter];
        IReadOnlyList<long> shape = Arena.Parameters[parameter].Shape;
        TensorView momentum = _momentum[parameter]!.View;
        ArrayView<float> update = _update!.View.BaseView.SubView(0, momentum.Length);
        var keep = (float)options.Momentum;
        var gain = (float)(1 - options.Momentum);

        // In place, unless the step may turn out to be none.
        bool isDirect = !call.Extras.Control.IsValid;
        ArrayView<float> mean = isDirect ? momentum.As<float>() : update;
        Accumulate(stream, call, keep, momentum, gain, mean);
        if (!isDirect)
        {
            Commit(stream, call, mean, momentum);
        }

        if (options.Nesterov)
        {
            Accumulate(stream, call, keep, mean, gain, update);
            mean = update;
        }

        _orthogonal!.Run(stream, mean, update, (int)shape[0], (int)shape[1]);
        ArrayView<StepControl> control = isDirect ? ControlOf(call) : ScaledControlOf(stream, call);
        Descend(stream, parameter, call, update, control, UpdateScales.Of(options.Scale, shape));
    }
}
