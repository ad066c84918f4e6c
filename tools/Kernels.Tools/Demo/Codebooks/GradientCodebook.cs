using ILGPU;
using ILGPU.Runtime;
using Kernels.VectorQuantization;

namespace Kernels.Tools.Demo.Codebooks;

/// <summary>
/// A codebook trained by the gradient of the codebook loss, the mean of (code - encoded)^2 over the rows. As it is, this
/// is the plain method, van den Oord et al. 2017, equation 3; derived methods search what they make of the codes.
/// </summary>
internal class GradientCodebook : Codebook
{
    private readonly SquaredError _error;
    private readonly SegmentSum _segmentSum;
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _rowGradients;
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _gradients;
    private readonly MemoryBuffer1D<int, Stride1D.Dense> _counts;
    private readonly MemoryBuffer1D<int, Stride1D.Dense> _ownRow;
    private Adam? _adam;

    internal GradientCodebook(Session session, VqSetting setting)
        : this(session, setting, VqStart.Codes(setting))
    {
    }

    protected GradientCodebook(Session session, VqSetting setting, float[] codes)
        : base(session, setting, codes)
    {
        Accelerator accelerator = session.Accelerator;
        _error = new SquaredError(session, VqSetting.Batch, VqSetting.Batch, VqSetting.Dimension);
        _segmentSum = new SegmentSum(accelerator, VqSetting.Batch, setting.Codes, VqSetting.Dimension);
        _rowGradients = accelerator.Allocate1D<float>(VqSetting.Batch * VqSetting.Dimension);
        _gradients = accelerator.Allocate1D<float>(setting.Codes * VqSetting.Dimension);
        _counts = accelerator.Allocate1D<int>(setting.Codes);
        _ownRow = accelerator.Allocate1D(Enumerable.Range(0, VqSetting.Batch).ToArray());
    }

    /// <summary>The gradient of <see cref="Codebook.Searched"/>.</summary>
    protected ArrayView<float> Gradients => _gradients.View;

    internal sealed override void Learn(in VqBatch batch)
    {
        // A code's gradient is the sum of what each of its rows adds, (2 / (rows dimension)) (code - row).
        int rows = (int)batch.Index.Length;
        ArrayView<float> rowGradients = _rowGradients.View.SubView(0, batch.Encoded.Length);
        _error.Gradient(batch.Quantized, batch.Encoded, _ownRow.View.SubView(0, rows), rowGradients);
        _segmentSum.Sum(Session.Stream, rowGradients, batch.Index, _gradients.View, _counts.View, rows);
        Step(Setting.RateOf(batch.Step));
    }

    /// <summary>Enqueues a step of whatever is trained along <see cref="Gradients"/>.</summary>
    protected virtual void Step(double rate) => (_adam ??= new Adam(Session, Codes, Gradients)).Step(rate);

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _error.Dispose();
            _segmentSum.Dispose();
            _rowGradients.Dispose();
            _gradients.Dispose();
            _counts.Dispose();
            _ownRow.Dispose();
            _adam?.Dispose();
        }

        base.Dispose(disposing);
    }
}
