using ILGPU;
using ILGPU.Runtime;
using Kernels.Optimizers;

namespace Kernels.Quantization;

/// <summary>The memory of joint learning: the solution at hand, the best so far, and scratch.</summary>
internal sealed class JointState : IDisposable
{
    private readonly int _scales;
    private readonly MemoryBuffer1D<byte, Stride1D.Dense> _bestIndex;
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _bestCodebook;
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _bestScale;

    internal JointState(Accelerator accelerator, CodebookLayout layout)
    {
        _scales = layout.ScaleCount;
        int scales = Math.Max(1, _scales);
        Index = accelerator.Allocate1D<byte>(layout.WeightCount);
        Codebook = accelerator.Allocate1D<float>(layout.CodebookLength);
        Scale = accelerator.Allocate1D<float>(scales);
        _bestIndex = accelerator.Allocate1D<byte>(layout.WeightCount);
        _bestCodebook = accelerator.Allocate1D<float>(layout.CodebookLength);
        _bestScale = accelerator.Allocate1D<float>(scales);
        Value = accelerator.Allocate1D<float>(layout.WeightCount);
        Grad = accelerator.Allocate1D<float>(layout.WeightCount);
        Objective = accelerator.Allocate1D<float>(1);
        Sums = accelerator.Allocate1D<float>(Math.Max(layout.CodebookLength, scales));
        long block = (long)layout.Rows * DeviceCode.Quantization.JointDescentWork.Block;
        Local = accelerator.Allocate1D<float>(block);
        Change = accelerator.Allocate1D<float>(block);
    }

    internal MemoryBuffer1D<byte, Stride1D.Dense> Index { get; }

    internal MemoryBuffer1D<float, Stride1D.Dense> Codebook { get; }

    internal MemoryBuffer1D<float, Stride1D.Dense> Scale { get; }

    internal MemoryBuffer1D<float, Stride1D.Dense> Value { get; }

    internal MemoryBuffer1D<float, Stride1D.Dense> Grad { get; }

    internal MemoryBuffer1D<float, Stride1D.Dense> Objective { get; }

    internal MemoryBuffer1D<float, Stride1D.Dense> Sums { get; }

    internal MemoryBuffer1D<float, Stride1D.Dense> Local { get; }

    internal MemoryBuffer1D<float, Stride1D.Dense> Change { get; }

    internal bool IsDisposed => Value.IsDisposed;

    internal void Load(
        AcceleratorStream stream, ArrayView<byte> index, ArrayView<float> codebook, ArrayView<float> scale)
    {
        Index.View.BaseView.CopyFrom(stream, index);
        Codebook.View.BaseView.CopyFrom(stream, codebook);
        if (_scales > 0)
        {
            Scale.View.BaseView.CopyFrom(stream, scale);
        }
    }

    internal void Store(
        AcceleratorStream stream, ArrayView<byte> index, ArrayView<float> codebook, ArrayView<float> scale)
    {
        index.CopyFrom(stream, Index.View.BaseView);
        codebook.CopyFrom(stream, Codebook.View.BaseView);
        if (_scales > 0)
        {
            scale.CopyFrom(stream, Scale.View.BaseView);
        }
    }

    /// <summary>What is at hand is the best.</summary>
    internal void Keep(AcceleratorStream stream)
    {
        _bestIndex.View.BaseView.CopyFrom(stream, Index.View.BaseView);
        _bestCodebook.View.BaseView.CopyFrom(stream, Codebook.View.BaseView);
        _bestScale.View.BaseView.CopyFrom(stream, Scale.View.BaseView);
    }

    /// <summary>Back to the best.</summary>
    internal void Best(AcceleratorStream stream) =>
        Load(stream, _bestIndex.View.BaseView, _bestCodebook.View.BaseView, _bestScale.View.BaseView);

    /// <summary>The scales, on the host.</summary>
    internal float[] Scales(AcceleratorStream stream)
    {
        var scales = new float[_scales];
        TensorCopy.Download(stream, Scale.View.BaseView.SubView(0, _scales), scales);
        return scales;
    }

    public void Dispose()
    {
        Index.Dispose();
        Codebook.Dispose();
        Scale.Dispose();
        _bestIndex.Dispose();
        _bestCodebook.Dispose();
        _bestScale.Dispose();
        Value.Dispose();
        Grad.Dispose();
        Objective.Dispose();
        Sums.Dispose();
        Local.Dispose();
        Change.Dispose();
    }
}
