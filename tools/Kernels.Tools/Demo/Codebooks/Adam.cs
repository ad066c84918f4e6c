using ILGPU;
using ILGPU.Runtime;
using Kernels.Optimizers;

namespace Kernels.Tools.Demo.Codebooks;

/// <summary>Adam over a tensor of parameters, with the moments that FVQ trains with.</summary>
internal sealed class Adam : IDisposable
{
    private static readonly AdamOptions s_options = new() { Beta1 = 0.9, Beta2 = 0.95 };

    private readonly Session _session;
    private readonly UpdateLauncher _launcher;
    private readonly ArrayView<float> _parameters;
    private readonly ArrayView<float> _gradients;
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _mean;
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _square;
    private int _step;

    internal Adam(Session session, ArrayView<float> parameters, ArrayView<float> gradients)
    {
        _session = session;
        _launcher = new UpdateLauncher(session.Accelerator, s_options);
        _parameters = parameters;
        _gradients = gradients;
        _mean = session.Accelerator.Allocate1D(new float[parameters.Length]);
        _square = session.Accelerator.Allocate1D(new float[parameters.Length]);
    }

    internal void Step(double rate) => _launcher.Step(
        _session.Stream, _parameters, _gradients, [_mean.View, _square.View], ++_step,
        s_options with { LearningRate = rate });

    public void Dispose()
    {
        _mean.Dispose();
        _square.Dispose();
    }
}
