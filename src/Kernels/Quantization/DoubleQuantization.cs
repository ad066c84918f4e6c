using System.Diagnostics.CodeAnalysis;
using ILGPU;
using ILGPU.Runtime;
using Kernels.DeviceCode.Quantization;
using Kernels.Launching;
using Kernels.Linear;
using Kernels.Validation;

namespace Kernels.Quantization;

/// <summary>Scales in 8 bits: their mean is taken off, and what is left has codes of the signed dynamic map, in blocks of
/// 256 with a scale each.</summary>
/// <remarks>
/// <para>
/// Source: double quantization of QLoRA (Dettmers et al. 2023, arXiv:2305.14314, section 3), as in bitsandbytes; the map is
/// that of 8-bit optimizers. n scales take n + 4 ceil(n / 256) + 4 bytes. Scales must be finite and not negative; one that
/// comes back may be a little below 0.
/// </para>
/// <para>
/// Same input, same bits. A call allocates nothing and does not wait; encoding uses the object's scratch memory, so calls
/// of one object must be on one stream, one after the other.
/// </para>
/// </remarks>
[RequiresDynamicCode(LoadedKernels.Reason)]
public sealed class DoubleQuantization : IDisposable
{
    private readonly Accelerator _accelerator;
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _sums;
    private readonly ItemLauncher<DoubleQuantizationSumWork> _sum;
    private readonly ItemLauncher<DoubleQuantizationMeanWork> _mean;
    private readonly ItemLauncher<DoubleQuantizationScaleWork> _scale;
    private readonly ItemLauncher<DoubleQuantizationCodeWork> _code;
    private readonly ItemLauncher<DoubleQuantizationDecodeWork> _decode;
    private bool _isDisposed;

    /// <summary>Prepares for a number of scales and allocates the scratch memory.</summary>
    /// <param name="accelerator">Where the tensors lie.</param>
    /// <param name="scales">The number n of scales, 1 to 2^30.</param>
    /// <exception cref="ArgumentNullException"><paramref name="accelerator"/> is null.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The number is out of range.</exception>
    /// <exception cref="ObjectDisposedException">The accelerator is disposed.</exception>
    public DoubleQuantization(Accelerator accelerator, int scales)
    {
        Require.NotNull(accelerator);
        ObjectDisposedException.ThrowIf(accelerator.IsDisposed, accelerator);
        LinearChecks.PositiveSize(scales);
        _accelerator = accelerator;
        ScaleCount = scales;
        BlockCount = (scales + DoubleQuantizationArguments.Block - 1) / DoubleQuantizationArguments.Block;
        _sums = accelerator.Allocate1D<float>(BlockCount);
        var facts = DeviceFacts.Of(accelerator);
        _sum = new ItemLauncher<DoubleQuantizationSumWork>(accelerator, facts);
        _mean = new ItemLauncher<DoubleQuantizationMeanWork>(accelerator, facts);
        _scale = new ItemLauncher<DoubleQuantizationScaleWork>(accelerator, facts);
        _code = new ItemLauncher<DoubleQuantizationCodeWork>(accelerator, facts);
        _decode = new ItemLauncher<DoubleQuantizationDecodeWork>(accelerator, facts);
    }

    /// <summary>The number of scales.</summary>
    public int ScaleCount { get; }

    /// <summary>The number of blocks: ceil(n / 256).</summary>
    public int BlockCount { get; }

    /// <summary>Enqueues the encoding.</summary>
    /// <param name="stream">A stream of the accelerator.</param>
    /// <param name="scale">The scales, [n].</param>
    /// <param name="code">Out: their codes, [n].</param>
    /// <param name="blockScale">Out: a scale for each block of 256 codes, [ceil(n / 256)].</param>
    /// <param name="offset">Out: the mean, [1].</param>
    /// <exception cref="ArgumentNullException"><paramref name="stream"/> is null.</exception>
    /// <exception cref="ArgumentException">A length, accelerator or stream does not fit, or tensors overlap.</exception>
    /// <exception cref="ObjectDisposedException">This, a buffer, the stream or the accelerator is disposed.</exception>
    public void Encode(
        AcceleratorStream stream, ArrayView<float> scale, ArrayView<byte> code, ArrayView<float> blockScale,
        ArrayView<float> offset)
    {
        DoubleQuantizationArguments arguments = Check(stream, scale, code, blockScale, offset);
        _sum.Run(stream, new DoubleQuantizationSumWork { Arguments = arguments }, 0, BlockCount, grain: 64);
        _mean.Run(stream, new DoubleQuantizationMeanWork { Arguments = arguments }, 0, 1);
        _scale.Run(stream, new DoubleQuantizationScaleWork { Arguments = arguments }, 0, BlockCount, grain: 64);
        _code.Run(stream, new DoubleQuantizationCodeWork { Arguments = arguments }, 0, ScaleCount);
    }

    /// <summary>Enqueues the decoding: map[code] block scale + offset.</summary>
    /// <param name="stream">A stream of the accelerator.</param>
    /// <param name="code">The codes, [n].</param>
    /// <param name="blockScale">The scale of each block of 256 codes, [ceil(n / 256)].</param>
    /// <param name="offset">The mean, [1].</param>
    /// <param name="scale">Out: the scales, [n].</param>
    /// <exception cref="ArgumentNullException"><paramref name="stream"/> is null.</exception>
    /// <exception cref="ArgumentException">A length, accelerator or stream does not fit, or tensors overlap.</exception>
    /// <exception cref="ObjectDisposedException">This, a buffer, the stream or the accelerator is disposed.</exception>
    public void Decode(
        AcceleratorStream stream, ArrayView<byte> code, ArrayView<float> blockScale, ArrayView<float> offset,
        ArrayView<float> scale)
    {
        DoubleQuantizationArguments arguments = Check(stream, scale, code, blockScale, offset);
        _decode.Run(stream, new DoubleQuantizationDecodeWork { Arguments = arguments }, 0, ScaleCount);
    }

    /// <summary>Frees the scratch memory; enqueued work must have ended.</summary>
    public void Dispose()
    {
        if (!_isDisposed)
        {
            _isDisposed = true;
            _sums.Dispose();
        }
    }

    private DoubleQuantizationArguments Check(
        AcceleratorStream stream, ArrayView<float> scale, ArrayView<byte> code, ArrayView<float> blockScale,
        ArrayView<float> offset)
    {
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        LinearChecks.Call(_accelerator, stream);
        LinearChecks.Floats(_accelerator, ScaleCount, scale);
        Require.Tensor(_accelerator, ScaleCount, code);
        LinearChecks.Floats(_accelerator, BlockCount, blockScale);
        LinearChecks.Floats(_accelerator, 1, offset);
        Require.Apart(
        [
            TensorRange.Of((TensorView)scale, nameof(scale)), TensorRange.Of(code, nameof(code)),
            TensorRange.Of((TensorView)blockScale, nameof(blockScale)), TensorRange.Of((TensorView)offset, nameof(offset)),
        ]);
        return new DoubleQuantizationArguments
        {
            Scales = scale,
            Codes = code,
            BlockScales = blockScale,
            Offset = offset,
            Sums = _sums.View,
            Count = ScaleCount,
            Blocks = BlockCount,
        };
    }
}
