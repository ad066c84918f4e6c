using System.Diagnostics.CodeAnalysis;
using ILGPU;
using ILGPU.Runtime;
using Kernels.DeviceCode.Quantization;
using Kernels.Launching;

namespace Kernels.Quantization;

/// <summary>Takes the codes of a layout out of their bits and hands them to a target.</summary>
[RequiresDynamicCode(LoadedKernels.Reason)]
internal sealed class Decoder<TTarget>
    where TTarget : struct, IDecodeTarget
{
    private static readonly Lock s_gate = new(); // as in ItemLauncher

    private readonly CodebookLayout _layout;
    private readonly DeviceFacts _facts;
    private readonly PackedFormat _format;
    private readonly int _rowBlocks;
    private readonly Action<AcceleratorStream, KernelConfig, ArrayView<uint>, PackedFormat, TTarget, int, int>? _blocks;
    private readonly ItemLauncher<UnpackLaneWork<TTarget>>? _lanes;
    private readonly ItemLauncher<UnpackLinearWork<TTarget>>? _linear;

    /// <summary>Prepares one layout, or only what is not whole blocks of its rows.</summary>
    internal Decoder(Accelerator accelerator, CodebookLayout layout, bool isOfTails = false)
    {
        _layout = layout;
        _facts = DeviceFacts.Of(accelerator);
        _format = PackedFormats.Of(layout);
        if (layout.Format.Order == PackingOrder.Linear)
        {
            _linear = new ItemLauncher<UnpackLinearWork<TTarget>>(accelerator, _facts);
            return;
        }

        _rowBlocks = _facts.Class == DeviceClass.Host ? 0 : layout.RowCodes / _format.BlockCodes;
        if (_rowBlocks > 0 && !isOfTails)
        {
            _blocks = LoadBlocks(accelerator, _format.FieldBits);
        }

        if (_rowBlocks == 0 || layout.RowCodes % _format.BlockCodes != 0)
        {
            _lanes = new ItemLauncher<UnpackLaneWork<TTarget>>(accelerator, _facts);
        }
    }

    /// <summary>Decodes some rows; all of them in linear order.</summary>
    internal void Run(AcceleratorStream stream, ArrayView<byte> packed, in TTarget target, int firstRow, int rows)
    {
        if (_linear is not null)
        {
            var bytes = new UnpackLinearWork<TTarget> { Bytes = packed, Format = _format, Target = target };
            _linear.Run(stream, bytes, 0, PackedFormats.LinearItems(_layout), grain: 1024);
            return;
        }

        ArrayView<uint> words = packed.Cast<uint>();
        if (_blocks is not null)
        {
            RunBlocks(stream, words, target, firstRow, rows);
        }

        if (_lanes is not null)
        {
            var work = new UnpackLaneWork<TTarget>
            {
                Words = words,
                Format = _format,
                Target = target,
                FirstBlock = _rowBlocks,
                RowLanes = PackedFormats.RowLanes(_format, _rowBlocks),
            };
            _lanes.Run(
                stream, work, (long)firstRow * work.RowLanes, (long)(firstRow + rows) * work.RowLanes, grain: 256);
        }
    }

    private void RunBlocks(
        AcceleratorStream stream, ArrayView<uint> words, in TTarget target, int firstRow, int rows)
    {
        long blocks = (long)(firstRow + rows) * _rowBlocks;
        // A warp a block; on CPUs a group a block, since what is the same for a group is computed once.
        int each = _facts.Class == DeviceClass.Gpu ? Math.Max(1, Math.Min(4, _facts.MaxGroup / 32)) : 1;
        for (long first = (long)firstRow * _rowBlocks; first < blocks;)
        {
            long groups = Math.Min((blocks - first) / each, _facts.MaxGrid);
            if (groups == 0)
            {
                each = 1;
                continue;
            }

            lock (s_gate)
            {
                _blocks!(
                    stream, new KernelConfig((int)groups, each * 32), words, _format, target, _rowBlocks, (int)first);
            }

            first += groups * each;
        }
    }

    private static Action<AcceleratorStream, KernelConfig, ArrayView<uint>, PackedFormat, TTarget, int, int> LoadBlocks(
        Accelerator accelerator, int bits) => accelerator.LoadKernel<ArrayView<uint>, PackedFormat, TTarget, int, int>(
        bits switch
        {
            1 => DeviceCode.Quantization.Unpack.Blocks<Fields<Bits1>, TTarget>,
            2 => DeviceCode.Quantization.Unpack.Blocks<Fields<Bits2>, TTarget>,
            3 => DeviceCode.Quantization.Unpack.Blocks<Fields<Bits3>, TTarget>,
            4 => DeviceCode.Quantization.Unpack.Blocks<Fields<Bits4>, TTarget>,
            5 => DeviceCode.Quantization.Unpack.Blocks<Fields<Bits5>, TTarget>,
            6 => DeviceCode.Quantization.Unpack.Blocks<Fields<Bits6>, TTarget>,
            7 => DeviceCode.Quantization.Unpack.Blocks<Fields<Bits7>, TTarget>,
            8 => DeviceCode.Quantization.Unpack.Blocks<Fields<Bits8>, TTarget>,
            _ => DeviceCode.Quantization.Unpack.Blocks<Digits, TTarget>,
        });
}
