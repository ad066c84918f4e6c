using ILGPU;
using ILGPU.Runtime;
using Kernels.VectorQuantization;

namespace Kernels.Tools.Demo.Codebooks;

/// <summary>SimVQ: the codes stay as they began and are searched through a linear map, which is trained.</summary>
internal sealed class SimVqCodebook : GradientCodebook
{
    private const int WeightLength = VqSetting.Dimension * VqSetting.Dimension;

    private readonly SimVq _simVq;
    private readonly Adam _adam;
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _projected;
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _parameters;
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _mapGradients;

    internal SimVqCodebook(Session session, VqSetting setting)
        : base(session, setting, VqStart.FrozenCodes(setting))
    {
        Accelerator accelerator = session.Accelerator;
        _simVq = new SimVq(accelerator, setting.Codes, VqSetting.Dimension);
        _projected = accelerator.Allocate1D<float>(setting.Codes * VqSetting.Dimension);
        _parameters = accelerator.Allocate1D(VqStart.Map());
        _mapGradients = accelerator.Allocate1D<float>(_parameters.Length);
        _adam = new Adam(session, _parameters.View, _mapGradients.View);
    }

    internal override ArrayView<float> Searched => _projected.View;

    internal override void Project() => _simVq.Forward(
        Session.Stream, Codes, Weight(_parameters), _projected.View, Bias(_parameters));

    protected override void Step(double rate)
    {
        _simVq.Backward(
            Session.Stream, Codes, Weight(_parameters), Gradients, Weight(_mapGradients), Bias(_mapGradients));
        _adam.Step(rate);
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _simVq.Dispose();
            _adam.Dispose();
            _projected.Dispose();
            _parameters.Dispose();
            _mapGradients.Dispose();
        }

        base.Dispose(disposing);
    }

    private static ArrayView<float> Weight(MemoryBuffer1D<float, Stride1D.Dense> buffer) =>
        buffer.View.SubView(0, WeightLength);

    private static ArrayView<float> Bias(MemoryBuffer1D<float, Stride1D.Dense> buffer) =>
        buffer.View.SubView(WeightLength, VqSetting.Dimension);
}
