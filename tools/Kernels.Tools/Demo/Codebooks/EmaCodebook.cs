using ILGPU;
using ILGPU.Runtime;
using Kernels.VectorQuantization;

namespace Kernels.Tools.Demo.Codebooks;

/// <summary>Codes as moving means of the rows that chose them.</summary>
internal sealed class EmaCodebook : Codebook
{
    // As van den Oord et al. 2017.
    private static readonly EmaOptions s_options = new() { Decay = 0.99 };

    private readonly Ema _ema;
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _sizes;
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _sums;

    internal EmaCodebook(Session session, VqSetting setting)
        : base(session, setting)
    {
        Accelerator accelerator = session.Accelerator;
        _ema = new Ema(accelerator, VqSetting.Batch, setting.Codes, VqSetting.Dimension, s_options);
        _sizes = accelerator.Allocate1D(Enumerable.Repeat(1f, setting.Codes).ToArray());
        _sums = accelerator.Allocate1D(VqStart.Codes(setting));
    }

    internal override void Learn(in VqBatch batch) => _ema.Update(
        Session.Stream, batch.Encoded, batch.Index, Codes, _sizes.View, _sums.View, (int)batch.Index.Length);

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _ema.Dispose();
            _sizes.Dispose();
            _sums.Dispose();
        }

        base.Dispose(disposing);
    }
}
