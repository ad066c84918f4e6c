using System.Diagnostics.CodeAnalysis;
using ILGPU;
using ILGPU.Runtime;
using Kernels.DeviceCode.Quantization;
using Kernels.Launching;
using Device = Kernels.DeviceCode.Quantization.PartialSums;

namespace Kernels.Quantization;

/// <summary>Products of vectors with rows of vector codes by tables of partial sums, a vector after the other.</summary>
[RequiresDynamicCode(LoadedKernels.Reason)]
internal sealed class PartialSums : IDisposable
{
    // Tables of some blocks at a time.
    private const long TableBytes = 1 << 22;

    private static readonly Lock s_gate = new(); // as in ItemLauncher

    private readonly DeviceFacts _facts;
    private readonly CodebookLayout _layout;
    private readonly PackedFormat _format;
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _tables;
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _sums;
    private readonly int _blocks;
    private readonly int _slabBlocks;
    private readonly int _parts;
    private readonly int _warps;
    private readonly ItemLauncher<PartialSumWork>? _items;
    private readonly Action<AcceleratorStream, KernelConfig, PartialSumArguments, int>? _tableSixteens;
    private readonly Action<AcceleratorStream, KernelConfig, PartialSumArguments, int>? _sixteens;
    private readonly Action<AcceleratorStream, KernelConfig, PartialSumArguments, int, int, int>? _rows;

    /// <summary>Prepares a layout that suits, and scratch memory.</summary>
    internal PartialSums(Accelerator accelerator, CodebookLayout layout, int maxVectors)
    {
        _facts = DeviceFacts.Of(accelerator);
        _layout = layout;
        _format = PackedFormats.Of(layout);
        long block = (long)PartialSumArguments.Steps * PackedFormat.Lanes << _format.FieldBits;
        _blocks = (layout.RowCodes + _format.BlockCodes - 1) / _format.BlockCodes;
        _slabBlocks = (int)Math.Clamp(TableBytes / 4 / block, 1, _blocks);
        _parts = _facts.Class == DeviceClass.Gpu ? _slabBlocks * Device.BlockParts : 1;
        _tables = accelerator.Allocate1D<float>(_slabBlocks * block);
        _sums = accelerator.Allocate1D<float>((long)_parts * layout.Rows * maxVectors);
        switch (_facts.Class)
        {
            case DeviceClass.Host:
                break;
            case DeviceClass.OpenClCpu:
                _tableSixteens = accelerator.LoadKernel<PartialSumArguments, int>(Device.TableSixteens);
                _sixteens = LoadSixteens(accelerator, _format.FieldBits);
                break;
            default:
                // Eight warps: the tables of a step serve 128 rows.
                _warps = Math.Min(8, _facts.MaxGroup / PackedFormat.Lanes);
                _items = new ItemLauncher<PartialSumWork>(accelerator, _facts);
                _rows = LoadRows(accelerator, _format.FieldBits);
                break;
        }
    }

    /// <summary>Parts of a sum.</summary>
    internal int Parts => _parts;

    /// <summary>Whether it can do a layout: fields of codes of several weights, a codebook for all rows or for each group,
    /// a scale for all weights of a row.</summary>
    internal static bool Suits(CodebookLayout layout) =>
        layout.Length > 1 && layout.Format.Order == PackingOrder.Planar && layout.Format.Packing == Packing.Fields
        && layout.Codebooks.Kind is WeightScopeKind.Tensor or WeightScopeKind.Groups
        && layout.Scales?.Kind != WeightScopeKind.Blocks;

    /// <summary>The sums of all rows, without their scales, [parts, rows, n].</summary>
    internal ArrayView<float> Run(AcceleratorStream stream, in QuantizedProductArguments product, int n)
    {
        var t = new PartialSumArguments
        {
            Words = product.Q.Words,
            Tables = _tables.View.BaseView,
            Sums = _sums.View.BaseView,
            Format = _format,
            Length = _layout.Length,
            Rows = _layout.Rows,
            Vectors = n,
        };
        ReadOnlySpan<int> boundaries = _layout.Codebooks.Boundaries;
        int books = Math.Max(1, boundaries.Length - 1);
        int numbers = _layout.Codes * _layout.Length;
        for (int book = 0; book < books; book++)
        {
            int firstRow = boundaries.IsEmpty ? 0 : boundaries[book];
            t.EndRow = boundaries.IsEmpty ? _layout.Rows : boundaries[book + 1];
            t.Codebook = product.Q.Codebook.SubView((long)book * numbers, numbers);
            for (t.Vector = 0; t.Vector < n && firstRow < t.EndRow; t.Vector++)
            {
                t.X = product.X.SubView((long)t.Vector * _layout.Columns, _layout.Columns);
                for (t.FirstBlock = 0; t.FirstBlock < _blocks; t.FirstBlock += _slabBlocks)
                {
                    t.Blocks = Math.Min(_slabBlocks, _blocks - t.FirstBlock);
                    t.Accumulate = t.FirstBlock == 0 ? 0 : 1;
                    Slab(stream, t, firstRow);
                }
            }
        }

        return t.Sums;
    }

    /// <summary>Frees the scratch memory.</summary>
    public void Dispose()
    {
        _tables.Dispose();
        _sums.Dispose();
    }

    private void Slab(AcceleratorStream stream, in PartialSumArguments t, int firstRow)
    {
        int tiles = t.Blocks * PartialSumArguments.Steps * PartialSumArguments.StepTiles;
        if (_facts.Class == DeviceClass.Host)
        {
            HostPartialSums.Tables(t, tiles, _facts.Cores);
            HostPartialSums.Rows(t, firstRow, _facts.Cores);
            return;
        }

        if (_sixteens is not null)
        {
            Launch(_tableSixteens!, stream, t, tiles, 0, 1);
            int groups = (t.EndRow - firstRow + Device.GroupRows - 1) / Device.GroupRows;
            Launch(_sixteens, stream, t, groups, firstRow, Device.GroupRows);
            return;
        }

        _items!.Run(stream, new PartialSumWork { Product = t }, 0, (long)tiles * t.TileLength);
        int each = _warps * Device.WarpRows;
        int rowGroups = (t.EndRow - firstRow + each - 1) / each;
        long all = (long)rowGroups * t.Blocks * Device.BlockParts;
        for (long first = 0; first < all; first += _facts.MaxGrid)
        {
            var config = new KernelConfig(
                new Index3D((int)Math.Min(all - first, _facts.MaxGrid), 1, 1), new Index3D(PackedFormat.Lanes, _warps, 1));
            lock (s_gate)
            {
                _rows!(stream, config, t, rowGroups, firstRow, (int)first);
            }
        }
    }

    private void Launch(
        Action<AcceleratorStream, KernelConfig, PartialSumArguments, int> kernel, AcceleratorStream stream,
        in PartialSumArguments t, int groups, int begin, int each)
    {
        for (long first = 0; first < groups; first += _facts.MaxGrid)
        {
            lock (s_gate)
            {
                kernel(
                    stream, new KernelConfig((int)Math.Min(groups - first, _facts.MaxGrid), 1), t,
                    (int)(begin + (first * each)));
            }
        }
    }

    private static Action<AcceleratorStream, KernelConfig, PartialSumArguments, int> LoadSixteens(
        Accelerator accelerator, int bits) => accelerator.LoadKernel<PartialSumArguments, int>(bits switch
        {
            1 => Device.RowSixteens<Bits1>,
            2 => Device.RowSixteens<Bits2>,
            3 => Device.RowSixteens<Bits3>,
            4 => Device.RowSixteens<Bits4>,
            5 => Device.RowSixteens<Bits5>,
            6 => Device.RowSixteens<Bits6>,
            7 => Device.RowSixteens<Bits7>,
            _ => Device.RowSixteens<Bits8>,
        });

    private static Action<AcceleratorStream, KernelConfig, PartialSumArguments, int, int, int> LoadRows(
        Accelerator accelerator, int bits) => accelerator.LoadKernel<PartialSumArguments, int, int, int>(bits switch
        {
            1 => Device.Rows<Bits1>,
            2 => Device.Rows<Bits2>,
            3 => Device.Rows<Bits3>,
            4 => Device.Rows<Bits4>,
            5 => Device.Rows<Bits5>,
            6 => Device.Rows<Bits6>,
            7 => Device.Rows<Bits7>,
            _ => Device.Rows<Bits8>,
        });
}
