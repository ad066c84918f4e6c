using ILGPU;
using ILGPU.Runtime;
using Kernels.VectorQuantization;

namespace Kernels.Tools.Demo.Codebooks;

/// <summary>Codes as moving means of the rows that chose them; a dead one starts again at a row.</summary>
internal sealed class EmaCodebook : Codebook
{
    // As van den Oord et al. 2017.
    private static readonly EmaOptions s_options = new() { Decay = 0.99 };

    // Of the rows that each code would have in a step if all had the same: a new code begins with them, and is dead when
    // it has less than this part.
    private const double DeadPart = 0.1;

    private readonly Ema _ema;
    private readonly Restart _restart;
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _sizes;
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _sums;

    internal EmaCodebook(Session session, VqSetting setting)
        : base(session, setting, VqStart.Codes(setting))
    {
        Accelerator accelerator = session.Accelerator;
        _ema = new Ema(accelerator, VqSetting.Batch, setting.Codes, VqSetting.Dimension, s_options);
        double rows = (double)VqSetting.Batch / setting.Codes;
        var restart = new RestartOptions { Threshold = DeadPart * rows, Reset = rows, Seed = VqStart.Seed };
        _restart = new Restart(accelerator, VqSetting.Batch, setting.Codes, VqSetting.Dimension, restart);
        _sizes = accelerator.Allocate1D(Enumerable.Repeat(1f, setting.Codes).ToArray());
        _sums = accelerator.Allocate1D(VqStart.Codes(setting));
    }

    internal override void Learn(in VqBatch batch)
    {
        int rows = (int)batch.Index.Length;
        _ema.Update(Session.Stream, batch.Encoded, batch.Index, Codes, _sizes.View, _sums.View, rows);
        _restart.Run(Session.Stream, batch.Encoded, Codes, _sizes.View, _sums.View, rows, batch.Step);
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _ema.Dispose();
            _restart.Dispose();
            _sizes.Dispose();
            _sums.Dispose();
        }

        base.Dispose(disposing);
    }
}
