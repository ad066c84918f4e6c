using System.Diagnostics.CodeAnalysis;
using System.Numerics;
using ILGPU;
using ILGPU.Runtime;
using Kernels.DeviceCode.Dct;
using Kernels.DeviceCode.Linear;
using Kernels.Launching;
using Kernels.Linear;

namespace Kernels.Dct;

/// <summary>How transforms walk.</summary>
internal enum TransformWalk
{
    /// <summary>SIMD on the host, no launch.</summary>
    Host,

    /// <summary>Sixteen lines an item, for OpenCL CPU devices.</summary>
    Sixteens,

    /// <summary>A group a few lines, in shared memory where they fit.</summary>
    Groups,

    /// <summary>A group a few lines, always in global memory.</summary>
    GlobalGroups,
}

/// <summary>A view on the caller's tensors of one call; what is not used stays empty.</summary>
internal struct TransformCall
{
    internal TensorView X;
    internal TensorView Addend;
    internal TensorView Y;
    internal ArrayView<int> Index;
    internal ArrayView<float> Squares;
    internal ArrayView<float> Magnitudes;
    internal int Lines;
    internal bool IsColumns;
    internal bool IsInputSparse;
    internal bool IsOutputSparse;
    internal bool IsBlended;
    internal float Keep;
    internal float Factor;
}

/// <summary>Transforms of lines of one length and basis: tables and scratch on the device, and the launches.</summary>
/// <remarks>The scratch is the object's: calls must be on one stream, one after the other.</remarks>
[RequiresDynamicCode(LoadedKernels.Reason)]
internal sealed class TransformEngine : IDisposable
{
    private const int MaxGroup = 256;

    // As in ItemLauncher: two threads must not set an OpenCL kernel's arguments at once.
    private static readonly Lock s_gate = new();

    private readonly DeviceFacts _facts;
    private readonly TransformWalk _walk;
    private readonly List<MemoryBuffer> _buffers = [];
    private readonly Action<AcceleratorStream, KernelConfig, TransformLines, TransformTables, ArrayView<Sixteen>>? _rows;
    private readonly Action<AcceleratorStream, KernelConfig, TransformLines, TransformTables, ArrayView<Sixteen>>? _columns;
    private readonly Action<AcceleratorStream, KernelConfig, TransformLines, TransformTables, TransformGroupShape>? _shared;
    private readonly Action<AcceleratorStream, KernelConfig, TransformLines, TransformTables, TransformGroupShape,
        ArrayView<float>>? _global;

    private readonly TransformTables _tables;
    private readonly ArrayView<float> _scratch;
    private readonly ArrayView<float> _none;
    private readonly int _room;
    private readonly long _unitsOfGroup;

    internal TransformEngine(
        Accelerator accelerator, Basis basis, int length, TransformWalk? walk = null, bool canScore = false)
    {
        Basis = basis;
        Length = length;
        _facts = DeviceFacts.Of(accelerator);
        _walk = walk ?? _facts.Class switch
        {
            DeviceClass.Host => TransformWalk.Host,
            DeviceClass.OpenClCpu => TransformWalk.Sixteens,
            _ => TransformWalk.Groups,
        };
        var plan = new TransformPlan(basis, length);
        _none = Allocate<float>(accelerator, 1);
        ArrayView<int> noIndex = Allocate<int>(accelerator, 1);
        _tables = new TransformTables
        {
            Parts = Copy(accelerator, plan.Parts, noIndex),
            Copies = Copy(accelerator, plan.Copies, noIndex),
            Pairs = Copy(accelerator, plan.Pairs, noIndex),
            PairFactors = Copy(accelerator, plan.PairFactors, _none),
            Factors = Copy(accelerator, plan.Factors, _none),
            Length = length,
            Points = plan.Points,
            Size = plan.Size,
            Chirp = Copy(accelerator, plan.Chirp, _none),
            Filter = Copy(accelerator, plan.Filter, _none),
            Places = Copy(accelerator, plan.Places, noIndex),
            HasGaps = plan.HasGaps ? 1 : 0,
            CopyCount = plan.Copies.Length / 2,
            InputPairs = plan.InputPairs,
            OutputPairs = plan.OutputPairs,
            Primes = Copy(accelerator, plan.Primes, noIndex),
            PrimeCount = plan.Primes.Length,
            Radices = plan.Radices,
            StagePoints = plan.StagePoints,
            IsHadamard = basis == Basis.Hadamard ? 1 : 0,
        };
        _room = plan.Size * (plan.Primes.Length > 0 || plan.IsConvolved ? 4 : 2);
        if (_walk == TransformWalk.Sixteens)
        {
            _rows = accelerator.LoadKernel<TransformLines, TransformTables, ArrayView<Sixteen>>(TransformSixteens.Rows);
            _columns = accelerator.LoadKernel<TransformLines, TransformTables, ArrayView<Sixteen>>(
                TransformSixteens.Columns);
            _unitsOfGroup = (4L * plan.Size) + SixteenTile.Room + (canScore ? 2L * length : 0);
            _scratch = Allocate<float>(accelerator, MostGroups * FloatsOfGroup);
        }
        else if (_walk is TransformWalk.Groups or TransformWalk.GlobalGroups)
        {
            if (IsGlobal)
            {
                _global = accelerator.LoadKernel<TransformLines, TransformTables, TransformGroupShape, ArrayView<float>>(
                    TransformGroups.Global);
                _scratch = Allocate<float>(accelerator, MostGroups * FloatsOfGroup);
            }
            else
            {
                _shared = accelerator.LoadKernel<TransformLines, TransformTables, TransformGroupShape>(
                    TransformGroups.Shared);
            }
        }
    }

    internal Basis Basis { get; }

    internal int Length { get; }

    internal bool IsDisposed { get; private set; }

    /// <summary>Whether a scored result lies by sixteen lines: [lines / 16][n][16], rounded up.</summary>
    internal bool IsBySixteens => _walk == TransformWalk.Sixteens;

    /// <summary>Bytes of tables and scratch on the device.</summary>
    internal long Bytes => _buffers.Sum(b => b.LengthInBytes);

    // Groups that have scratch of their own: some for each core, so that none waits for a slow one, but fewer of lines so
    // long that all of it would be a gigabyte.
    private long MostGroups => Math.Clamp((1L << 28) / FloatsOfGroup, 1, 4L * _facts.Cores);

    private long FloatsOfGroup => _walk == TransformWalk.Sixteens
        ? _unitsOfGroup * Sixteen.Width
        : Math.Max(_room, SharedFloats);

    // Few segments make few partial sums; a GPU needs many groups.
    private int ScoredLines => _facts.Class == DeviceClass.Gpu ? Sixteen.Width : 4 * Sixteen.Width;

    private bool IsGlobal => _walk == TransformWalk.GlobalGroups || _room > SharedFloats;

    // ILGPU launches with at most 48 KiB.
    private int SharedFloats => (int)Math.Min(_facts.SharedBytes, 48 << 10) / sizeof(float);

    /// <summary>Segments of lines, whose sums make the partial scores.</summary>
    internal int Segments(int lines) => (lines + ScoredLines - 1) / ScoredLines;

    /// <summary>Enqueues a call. All has been checked.</summary>
    internal void Run(AcceleratorStream stream, in TransformCall call)
    {
        if (call.Lines == 0)
        {
            return;
        }

        var lines = new TransformLines
        {
            X = call.X.As<float>(),
            Addend = call.Addend.IsEmpty ? _none : call.Addend.As<float>(),
            Y = call.Y.As<float>(),
            Index = call.Index.IsValid ? call.Index : _tables.Parts,
            Squares = call.Squares.IsValid ? call.Squares : _none,
            Magnitudes = call.Magnitudes.IsValid ? call.Magnitudes : _none,
            Lines = call.Lines,
            SegmentLines = call.Squares.IsValid || call.Magnitudes.IsValid ? ScoredLines : Sixteen.Width,
            Rank = call.Index.IsValid ? (int)call.Index.Length : 0,
            IsInputSparse = call.IsInputSparse ? 1 : 0,
            IsOutputSparse = call.IsOutputSparse ? 1 : 0,
            HasAddend = call.Addend.IsEmpty ? 0 : 1,
            IsBlended = call.IsBlended ? 1 : 0,
            Keep = call.Keep,
            Factor = call.Factor,
            HasSquares = call.Squares.IsValid ? 1 : 0,
            HasMagnitudes = call.Magnitudes.IsValid ? 1 : 0,
            UnitsOfGroup = _unitsOfGroup,
        };
        switch (_walk)
        {
            case TransformWalk.Host:
                RunOnHost(call, lines);
                break;
            case TransformWalk.Sixteens:
                int groups = (int)Math.Min(MostGroups, Segments(lines));
                lock (s_gate)
                {
                    (call.IsColumns ? _columns : _rows)!(
                        stream, (groups, 1), lines, _tables, _scratch.Cast<Sixteen>());
                }

                break;
            default:
                RunGroups(stream, lines, call.IsColumns);
                break;
        }
    }

    public void Dispose()
    {
        IsDisposed = true;
        foreach (MemoryBuffer buffer in _buffers)
        {
            buffer.Dispose();
        }

        _buffers.Clear();
    }

    private unsafe void RunOnHost(in TransformCall call, in TransformLines lines) => HostTransform.Run(
        new HostTransform
        {
            Lines = lines,
            Tables = _tables,
            X = HostMemory.Floats(call.X),
            Addend = HostMemory.Floats(call.Addend),
            Y = HostMemory.Floats(call.Y),
            Squares = HostMemory.Floats(lines.Squares),
            Magnitudes = HostMemory.Floats(lines.Magnitudes),
            IsColumns = call.IsColumns,
        },
        _facts.Cores);

    private void RunGroups(AcceleratorStream stream, in TransformLines lines, bool isColumns)
    {
        TransformGroupShape shape = Shape(isColumns);
        TransformLines work = lines;
        if (!lines.IsScored)
        {
            work.SegmentLines = shape.Lanes;
        }

        int units = Segments(work);
        int size = shape.Lanes * shape.Items;
        lock (s_gate)
        {
            if (IsGlobal)
            {
                var config = new KernelConfig((int)Math.Min(units, MostGroups), size);
                _global!(stream, config, work, _tables, shape, _scratch);
            }
            else
            {
                var config = new KernelConfig(
                    (int)Math.Min(units, _facts.MaxGrid), size,
                    SharedMemoryConfig.RequestDynamic<float>(shape.Lanes * shape.Room));
                _shared!(stream, config, work, _tables, shape);
            }
        }
    }

    private TransformGroupShape Shape(bool isColumns)
    {
        int most = 1 << BitOperations.Log2((uint)Math.Min(MaxGroup, _facts.MaxGroup));
        // Columns beside each other make the runs of a warp; a row makes its own, and shares a group only if it is short.
        int wanted = isColumns ? Sixteen.Width : most / Math.Min(most, PowerAbove(_tables.Points / 8));
        int lanes = 1;
        while (lanes * 2 <= Math.Min(Math.Min(wanted, Sixteen.Width), most)
            && lanes * 2L * _room <= SharedFloats)
        {
            lanes *= 2;
        }

        return new TransformGroupShape
        {
            Lanes = lanes,
            Items = Math.Min(most / lanes, PowerAbove(_tables.Length)),
            IsColumns = isColumns ? 1 : 0,
            Room = _room,
        };
    }

    private static int Segments(in TransformLines lines) => (lines.Lines + lines.SegmentLines - 1) / lines.SegmentLines;

    private static int PowerAbove(int value) => (int)BitOperations.RoundUpToPowerOf2((uint)Math.Max(1, value));

    private ArrayView<T> Allocate<T>(Accelerator accelerator, long length)
        where T : unmanaged
    {
        MemoryBuffer1D<T, Stride1D.Dense> buffer = accelerator.Allocate1D<T>(length);
        _buffers.Add(buffer);
        return buffer.View;
    }

    private ArrayView<T> Copy<T>(Accelerator accelerator, T[] values, ArrayView<T> none)
        where T : unmanaged
    {
        if (values.Length == 0)
        {
            return none;
        }

        MemoryBuffer1D<T, Stride1D.Dense> buffer = accelerator.Allocate1D(values);
        _buffers.Add(buffer);
        return buffer.View;
    }
}
