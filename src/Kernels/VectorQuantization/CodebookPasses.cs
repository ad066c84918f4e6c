using System.Diagnostics.CodeAnalysis;
using ILGPU;
using ILGPU.Runtime;

namespace Kernels.VectorQuantization;

/// <summary>The launchers of a codebook, made for the largest batch so far.</summary>
[RequiresDynamicCode(LoadedKernels.Reason)]
internal sealed class CodebookPasses : IDisposable
{
    private readonly int _heads;
    private readonly MemoryBuffer1D<float, Stride1D.Dense>? _directions;
    private readonly MemoryBuffer1D<int, Stride1D.Dense>? _counts;
    private readonly SegmentSum? _sums;

    /// <param name="accelerator">Where the codebook lies.</param>
    /// <param name="maxRows">The most rows of a call.</param>
    /// <param name="codes">Codes of each codebook.</param>
    /// <param name="dimension">Length of a code.</param>
    /// <param name="heads">Codebooks.</param>
    /// <param name="settings">What is asked for.</param>
    internal CodebookPasses(
        Accelerator accelerator, int maxRows, int codes, int dimension, int heads, CodebookSettings settings)
    {
        _heads = heads;
        MaxRows = maxRows;
        Nearest = new NearestCode(
            accelerator, maxRows, codes, dimension, settings.Metric, heads, certified: settings.Certified);
        Quantize = new Quantize(accelerator, maxRows, codes, dimension, heads);
        Rotate = settings.Rotation ? new Rotate(accelerator, maxRows, codes, dimension, heads) : null;
        switch (settings.Learning)
        {
            case CodebookLearning.Gradient:
                _sums = new SegmentSum(accelerator, maxRows, codes, dimension, heads);
                _counts = accelerator.Allocate1D<int>((long)heads * codes);
                _directions = accelerator.Allocate1D<float>((long)maxRows * heads * dimension);
                break;
            case CodebookLearning.MovingMeans:
                Means = new Ema(accelerator, maxRows, codes, dimension, settings.MovingMeans, heads);
                Restart = settings.Restart is { } restart
                    ? new Restart(accelerator, maxRows, codes, dimension, restart, heads)
                    : null;
                break;
        }
    }

    internal int MaxRows { get; }

    internal NearestCode Nearest { get; }

    internal Quantize Quantize { get; }

    /// <summary>The gradient to the rows, where it turns.</summary>
    internal Rotate? Rotate { get; }

    /// <summary>The moving means, where the codes learn so.</summary>
    internal Ema? Means { get; }

    /// <summary>What dead codes do, where they are not left dead.</summary>
    internal Restart? Restart { get; }

    /// <summary>Enqueues the gradient of the codebook loss to the codes: (2 / (m d)) sum (e - z) over the rows of each.</summary>
    /// <remarks>
    /// From the differences, which are small where the codes are good; n_k e - s_k would cancel there.
    /// </remarks>
    internal void Gradient(
        AcceleratorStream stream, TensorView x, TensorView codes, ArrayView<int> index, int rows,
        ArrayView<float> gradient)
    {
        ArrayView<float> all = _directions!.View;
        ArrayView<float> directions = all.SubView(0, (long)rows * _heads * Quantize.Dimension);
        Quantize.Differences(stream, x, codes, index, rows, directions);
        _sums!.Sum(stream, directions, index, gradient, _counts!.View, rows);
    }

    public void Dispose()
    {
        Nearest.Dispose();
        Quantize.Dispose();
        Means?.Dispose();
        Restart?.Dispose();
        _sums?.Dispose();
        _counts?.Dispose();
        _directions?.Dispose();
    }
}
