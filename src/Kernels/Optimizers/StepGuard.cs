using System.Diagnostics.CodeAnalysis;
using ILGPU;
using ILGPU.Runtime;
using Kernels.DeviceCode.Optimizers;

namespace Kernels.Optimizers;

/// <summary>
/// What stands before an optimizer's step when gradients are clipped or scaled: their norm, the factor and the skip
/// flag, all on the device.
/// </summary>
[RequiresDynamicCode(LoadedKernels.Reason)]
internal sealed class StepGuard : IDisposable
{
    private readonly OptimizerSettings _settings;
    private readonly Arena _arena;
    private readonly GradientNorm _norm;
    private readonly LossScaler? _scaler;
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _numbers; // norm, gap, factor, skip flag
    private readonly TensorView[] _gradients;

    internal StepGuard(Accelerator accelerator, OptimizerSettings settings, Arena arena)
    {
        _settings = settings;
        _arena = arena;
        _gradients = new TensorView[arena.Parameters.Count];
        _norm = new GradientNorm(accelerator, arena.Length, Math.Max(1, _gradients.Length));
        _numbers = accelerator.Allocate1D<float>(4);
        _numbers.MemSetToZero();
        _scaler = settings.LossScaling is { } scaling ? new LossScaler(accelerator, scaling) : null;
    }

    /// <summary>Factor of the gradients and skip flag, on the device.</summary>
    internal ArrayView<float> Control => _numbers.View.SubView(2, 2);

    internal LossScaler? Scaler => _scaler;

    /// <summary>Enqueues the norm over all gradients that are not frozen, and the control of the step.</summary>
    internal void Prepare(AcceleratorStream stream, TensorView arenaGradients, bool[] frozen)
    {
        ReadOnlySpan<TensorView> gradients = _gradients.AsSpan(0, Gather(arenaGradients, frozen));
        double maxNorm = _settings.MaxGradientNorm ?? double.PositiveInfinity;
        ArrayView<float> norm = _numbers.View.SubView(0, 1);
        if (_scaler is null)
        {
            _norm.Control(stream, gradients, norm, Control, maxNorm, inverseScale: 1);
        }
        else
        {
            _norm.Control(stream, gradients, norm, Control, maxNorm, _scaler);
        }
    }

    /// <summary>Waits for the step; whether it was taken. Renews the loss scale.</summary>
    internal bool WasTaken(AcceleratorStream stream)
    {
        if (_scaler is not null)
        {
            return _scaler.Update(stream, Control);
        }

        float skip = 0;
        _numbers.View.SubView(3, 1).CopyToCPU(stream, new Span<float>(ref skip));
        stream.Synchronize();
        return skip == 0;
    }

    internal double LossScale(AcceleratorStream stream) => _scaler?.Save(stream).Scale ?? 1;

    internal float Norm(AcceleratorStream stream)
    {
        float norm = 0;
        _numbers.View.SubView(0, 1).CopyToCPU(stream, new Span<float>(ref norm));
        stream.Synchronize();
        return norm;
    }

    public void Dispose()
    {
        _norm.Dispose();
        _scaler?.Dispose();
        _numbers.Dispose();
    }

    // Neighbouring segments are one tensor: the gaps between them are zeros.
    private int Gather(TensorView arenaGradients, bool[] frozen)
    {
        int count = 0;
        long begin = 0;
        long end = 0;
        for (int k = 0; k < frozen.Length; k++)
        {
            int i = _arena.Order[k];
            Parameter parameter = _arena.Parameters[i];
            if (frozen[i] || parameter.Length == 0)
            {
                continue;
            }

            if (parameter.IsBorrowed)
            {
                _gradients[count++] = parameter.Gradient;
                continue;
            }

            if (_arena.Firsts[i] != end)
            {
                count = Close(count);
                begin = _arena.Firsts[i];
            }

            end = _arena.Firsts[i] + Arena.Blocks(parameter.Length) * Update.BlockLength;
        }

        return Close(count);

        int Close(int open)
        {
            if (end > begin)
            {
                _gradients[open++] = arenaGradients.Slice(begin, end - begin);
            }

            return open;
        }
    }
}
