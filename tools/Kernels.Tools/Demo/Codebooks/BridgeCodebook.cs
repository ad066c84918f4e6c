using ILGPU;
using ILGPU.Runtime;
using Kernels.VectorQuantization;

namespace Kernels.Tools.Demo.Codebooks;

/// <summary>FVQ: the codes are searched through VQBridge, and both are trained.</summary>
internal sealed class BridgeCodebook : GradientCodebook
{
    private readonly Bridge _bridge;
    private readonly Adam _bridgeAdam;
    private readonly Adam _codesAdam;
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _projected;
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _codeGradients;

    internal BridgeCodebook(Session session, VqSetting setting)
        : base(session, setting)
    {
        Accelerator accelerator = session.Accelerator;
        _bridge = new Bridge(
            accelerator, setting.Codes, VqSetting.Dimension, new BridgeOptions { Width = VqSetting.BridgeWidth });
        _bridge.Initialize(session.Stream, VqStart.Seed);
        _projected = accelerator.Allocate1D<float>(setting.Codes * VqSetting.Dimension);
        _codeGradients = accelerator.Allocate1D<float>(_projected.Length);
        _bridgeAdam = new Adam(session, _bridge.Parameters, _bridge.Gradients);
        _codesAdam = new Adam(session, Codes, _codeGradients.View);
    }

    internal override ArrayView<float> Searched => _projected.View;

    internal override void Project() => _bridge.Forward(Session.Stream, Codes, _projected.View);

    protected override void Step(double rate)
    {
        _bridge.Backward(Session.Stream, Codes, Gradients, _codeGradients.View);
        _bridgeAdam.Step(rate);
        _codesAdam.Step(rate);
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _bridge.Dispose();
            _bridgeAdam.Dispose();
            _codesAdam.Dispose();
            _projected.Dispose();
            _codeGradients.Dispose();
        }

        base.Dispose(disposing);
    }
}
