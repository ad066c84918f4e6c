using System.Diagnostics.CodeAnalysis;
using ILGPU;
using ILGPU.Runtime;
using Kernels.DeviceCode.Quantization;
using Kernels.Launching;
using Kernels.Linear;
using Kernels.Validation;

namespace Kernels.Quantization;

/// <summary>Packs codes into bits, as <see cref="CodeFormat"/> says, on the caller's accelerator.</summary>
/// <remarks>Load once, pack often. A call allocates nothing and does not wait. Exact.</remarks>
[RequiresDynamicCode(LoadedKernels.Reason)]
public sealed class Pack
{
    private readonly Accelerator _accelerator;
    private readonly ItemLauncher<PackLaneWork>? _lanes;
    private readonly ItemLauncher<PackLinearWork>? _linear;
    private readonly PackedFormat _format;

    /// <summary>Prepares packing of one layout.</summary>
    /// <param name="accelerator">Where the codes lie.</param>
    /// <param name="layout">The rows, the codes of a row, and the format.</param>
    /// <exception cref="ArgumentNullException">An argument is null.</exception>
    /// <exception cref="ObjectDisposedException">The accelerator is disposed.</exception>
    public Pack(Accelerator accelerator, CodebookLayout layout)
    {
        QuantizationChecks.Made(accelerator, layout);
        _accelerator = accelerator;
        Layout = layout;
        _format = PackedFormats.Of(layout);
        var facts = DeviceFacts.Of(accelerator);
        if (layout.Format.Order == PackingOrder.Planar)
        {
            _lanes = new ItemLauncher<PackLaneWork>(accelerator, facts);
        }
        else
        {
            _linear = new ItemLauncher<PackLinearWork>(accelerator, facts);
        }
    }

    /// <summary>What is packed.</summary>
    public CodebookLayout Layout { get; }

    /// <summary>Enqueues the packing.</summary>
    /// <param name="stream">A stream of the accelerator.</param>
    /// <param name="index">The codes, [rows, columns / length], 0 to k - 1; more counts as k - 1.</param>
    /// <param name="packed">Out: <see cref="CodebookLayout.PackedBytes"/> bytes, from a multiple of 4 bytes on in planar
    /// order.</param>
    /// <exception cref="ArgumentNullException"><paramref name="stream"/> is null.</exception>
    /// <exception cref="ArgumentException">A length, accelerator or stream does not fit, or the views overlap.</exception>
    /// <exception cref="ObjectDisposedException">A buffer, the stream or the accelerator is disposed.</exception>
    public void Run(AcceleratorStream stream, ArrayView<byte> index, ArrayView<byte> packed)
    {
        LinearChecks.Call(_accelerator, stream);
        QuantizationChecks.Index(_accelerator, Layout, index);
        QuantizationChecks.Packed(_accelerator, Layout, packed);
        Require.Apart([TensorRange.Of(index, nameof(index)), TensorRange.Of(packed, nameof(packed))]);
        if (_lanes is not null)
        {
            var work = new PackLaneWork
            {
                Index = index,
                Words = packed.Cast<uint>(),
                Format = _format,
                RowLanes = PackedFormats.RowLanes(_format, 0),
            };
            _lanes.Run(stream, work, 0, (long)Layout.Rows * work.RowLanes, grain: 256);
            return;
        }

        _linear!.Run(
            stream, new PackLinearWork { Index = index, Bytes = packed, Format = _format }, 0,
            PackedFormats.LinearItems(Layout), grain: 1024);
    }
}
