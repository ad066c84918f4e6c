using System.Diagnostics.CodeAnalysis;
using ILGPU;
using ILGPU.Runtime;
using Kernels.DeviceCode.Quantization;
using Kernels.DeviceCode.Storage;
using Kernels.Launching;
using Kernels.Linear;

namespace Kernels.Quantization;

/// <summary>Dequantizes planar rows that have one codebook and one scale each, with codes that are numbers.</summary>
[RequiresDynamicCode(LoadedKernels.Reason)]
internal sealed class RowDequantizer<TStorage>
    where TStorage : struct, IStorage
{
    private static readonly Lock s_gate = new(); // as in ItemLauncher

    private readonly CodebookLayout _layout;
    private readonly ScopeTable _scope;
    private readonly DeviceFacts _facts;
    private readonly PackedFormat _format;
    private readonly int _rowBlocks;
    private readonly int _groupBlocks;
    private readonly Action<AcceleratorStream, KernelConfig, RowCodebooks, TStorage, int, int, int>? _rows;
    private readonly Action<AcceleratorStream, KernelConfig, RowCodebooks, TStorage, int, int>? _sixteens;
    private readonly int _sixteenCodes;
    private readonly Decoder<WeightTarget<TStorage>>? _tails;

    internal RowDequantizer(Accelerator accelerator, CodebookLayout layout, in ScopeTable scope)
    {
        _layout = layout;
        _scope = scope;
        _facts = DeviceFacts.Of(accelerator);
        _format = PackedFormats.Of(layout);
        if (_facts.Class == DeviceClass.Host)
        {
            return;
        }

        if (_facts.Class == DeviceClass.OpenClCpu && _format.FieldBits > 0)
        {
            _sixteenCodes = _format.SixteenCodes;
            _sixteens = _sixteenCodes > 0 ? LoadSixteens(accelerator, _format.FieldBits) : null;
            _tails = _sixteenCodes < layout.RowCodes
                ? new Decoder<WeightTarget<TStorage>>(accelerator, layout, isOfTails: true)
                : null;
            return;
        }

        _rowBlocks = layout.RowCodes / _format.BlockCodes;
        _groupBlocks = Math.Max(1, Math.Min(Math.Min(4, _rowBlocks), _facts.MaxGroup / PackedFormat.Lanes));
        if (_rowBlocks > 0)
        {
            _rows = Load(accelerator, _format.FieldBits);
        }

        if (layout.RowCodes % _format.BlockCodes != 0)
        {
            _tails = new Decoder<WeightTarget<TStorage>>(accelerator, layout, isOfTails: true);
        }
    }

    internal void Run(
        AcceleratorStream stream, ArrayView<byte> packed, TensorView codebook, in ScaleTable scale, TensorView w,
        int firstRow, int rows)
    {
        var t = new RowCodebooks
        {
            Words = packed.Cast<uint>(),
            Codebook = codebook.As<float>(),
            Format = _format,
            Scope = _scope,
            Scale = scale,
            FirstRow = firstRow,
        };
        TStorage to = Stored.Of<TStorage>(w);
        if (_facts.Class == DeviceClass.Host)
        {
            unsafe
            {
                float* floats = w.Storage == Storage.F32 ? HostMemory.Floats(w) : null;
                HostBlocks.Dequantize(t, to, floats, rows, _facts.Cores);
            }

            return;
        }

        if (_sixteens is not null)
        {
            for (long first = firstRow; first < firstRow + rows; first += _facts.MaxGrid)
            {
                lock (s_gate)
                {
                    _sixteens(
                        stream, new KernelConfig((int)Math.Min(firstRow + rows - first, _facts.MaxGrid), 1), t, to,
                        _sixteenCodes, (int)first);
                }
            }
        }

        if (_rows is not null)
        {
            int rowGroups = (_rowBlocks + _groupBlocks - 1) / _groupBlocks;
            long groups = (long)(firstRow + rows) * rowGroups;
            for (long first = (long)firstRow * rowGroups; first < groups; first += _facts.MaxGrid)
            {
                var config = new KernelConfig(
                    new Index3D((int)Math.Min(groups - first, _facts.MaxGrid), 1, 1),
                    new Index3D(PackedFormat.Lanes, _groupBlocks, 1));
                lock (s_gate)
                {
                    _rows(stream, config, t, to, _rowBlocks, rowGroups, (int)first);
                }
            }
        }

        _tails?.Run(
            stream, packed, WeightTargets.Of<TStorage>(_layout, codebook, _scope, scale, w, firstRow), firstRow, rows);
    }

    private static Action<AcceleratorStream, KernelConfig, RowCodebooks, TStorage, int, int, int> Load(
        Accelerator accelerator, int bits) => accelerator.LoadKernel<RowCodebooks, TStorage, int, int, int>(bits switch
        {
            1 => DeviceCode.Quantization.Dequantize.Rows<Fields<Bits1>, TStorage>,
            2 => DeviceCode.Quantization.Dequantize.Rows<Fields<Bits2>, TStorage>,
            3 => DeviceCode.Quantization.Dequantize.Rows<Fields<Bits3>, TStorage>,
            4 => DeviceCode.Quantization.Dequantize.Rows<Fields<Bits4>, TStorage>,
            5 => DeviceCode.Quantization.Dequantize.Rows<Fields<Bits5>, TStorage>,
            6 => DeviceCode.Quantization.Dequantize.Rows<Fields<Bits6>, TStorage>,
            7 => DeviceCode.Quantization.Dequantize.Rows<Fields<Bits7>, TStorage>,
            8 => DeviceCode.Quantization.Dequantize.Rows<Fields<Bits8>, TStorage>,
            _ => DeviceCode.Quantization.Dequantize.Rows<Digits, TStorage>,
        });

    private static Action<AcceleratorStream, KernelConfig, RowCodebooks, TStorage, int, int> LoadSixteens(
        Accelerator accelerator, int bits) => accelerator.LoadKernel<RowCodebooks, TStorage, int, int>(bits switch
        {
            1 => DeviceCode.Quantization.Dequantize.RowSixteens<Bits1, TStorage>,
            2 => DeviceCode.Quantization.Dequantize.RowSixteens<Bits2, TStorage>,
            3 => DeviceCode.Quantization.Dequantize.RowSixteens<Bits3, TStorage>,
            4 => DeviceCode.Quantization.Dequantize.RowSixteens<Bits4, TStorage>,
            5 => DeviceCode.Quantization.Dequantize.RowSixteens<Bits5, TStorage>,
            6 => DeviceCode.Quantization.Dequantize.RowSixteens<Bits6, TStorage>,
            7 => DeviceCode.Quantization.Dequantize.RowSixteens<Bits7, TStorage>,
            _ => DeviceCode.Quantization.Dequantize.RowSixteens<Bits8, TStorage>,
        });
}

/// <summary>What a <see cref="RowDequantizer{TStorage}"/> can do.</summary>
internal static class RowDequantizer
{
    /// <summary>Whether it can do a layout.</summary>
    internal static bool Suits(CodebookLayout layout) =>
        layout.Length == 1 && layout.Format.Order == PackingOrder.Planar
        && layout.Codebooks.Kind != WeightScopeKind.Blocks && layout.Scales?.Kind != WeightScopeKind.Blocks;
}
