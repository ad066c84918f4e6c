using System.Diagnostics.CodeAnalysis;
using ILGPU;
using ILGPU.Runtime;
using Kernels.DeviceCode.Linear;
using Kernels.Host;
using Kernels.Launching;
using Kernels.Validation;

namespace Kernels.Linear;

/// <summary>Sums of the columns of a row-major matrix on the caller's accelerator: the gradient of a bias.</summary>
/// <remarks>
/// Load once, call often: a call allocates nothing, does not synchronize, and may be made from several threads, each
/// with its own scratch. The order of the additions is fixed: blocks of 128 rows, then the sums of the blocks.
/// </remarks>
[RequiresDynamicCode(LoadedKernels.Reason)]
public sealed class ColumnSum
{
    // As in ItemLauncher: two threads must not set an OpenCL kernel's arguments at once.
    private static readonly Lock s_gate = new();

    private const int GroupSize = 64;
    private const int MaxStrip = 4096;

    private readonly Accelerator _accelerator;
    private readonly DeviceFacts _facts;
    private readonly bool _onHost;
    private readonly Action<AcceleratorStream, KernelConfig, ArrayView<float>, ArrayView<float>, ColumnSumSize>? _add;
    private readonly Action<AcceleratorStream, KernelConfig, ArrayView<float>, ArrayView<float>, ColumnSumSize>? _strips;

    /// <summary>Loads the kernel.</summary>
    /// <param name="accelerator">Where the matrices will lie.</param>
    /// <exception cref="ArgumentNullException"><paramref name="accelerator"/> is null.</exception>
    /// <exception cref="ObjectDisposedException">The accelerator is disposed.</exception>
    public ColumnSum(Accelerator accelerator)
        : this(accelerator, launch: false)
    {
    }

    /// <summary>With launches even on the CPU accelerator, for tests.</summary>
    internal ColumnSum(Accelerator accelerator, bool launch)
    {
        Require.NotNull(accelerator);
        ObjectDisposedException.ThrowIf(accelerator.IsDisposed, accelerator);
        _accelerator = accelerator;
        _facts = DeviceFacts.Of(accelerator);
        _onHost = _facts.Class == DeviceClass.Host && !launch;
        if (!_onHost)
        {
            _add = accelerator.LoadKernel<ArrayView<float>, ArrayView<float>, ColumnSumSize>(ColumnSumKernel.Add);
        }

        if (_facts.Class == DeviceClass.OpenClCpu || launch)
        {
            _strips = accelerator.LoadKernel<ArrayView<float>, ArrayView<float>, ColumnSumSize>(ColumnSumKernel.Strips);
        }
    }

    /// <summary>Elements of scratch that a sum needs: 0 up to 128 rows.</summary>
    /// <param name="rows">Rows of the matrix, 0 to 2^30.</param>
    /// <param name="columns">Columns of the matrix, 0 to 2^30.</param>
    /// <exception cref="ArgumentOutOfRangeException">A size is out of range.</exception>
    public static long ScratchLength(int rows, int columns)
    {
        LinearChecks.Size(rows);
        LinearChecks.Size(columns);
        long blocks = Blocks(rows);
        return blocks > 1 ? blocks * columns : 0;
    }

    /// <summary>Enqueues sums = sums0 + sum over the rows of x, where sums0 is sums if accumulating and 0 otherwise.</summary>
    /// <param name="stream">A stream of the accelerator.</param>
    /// <param name="x">[rows, columns], row-major, F32.</param>
    /// <param name="sums">[columns], F32, written; read as well if accumulating.</param>
    /// <param name="rows">Rows, 0 to 2^30; with 0 the sums are 0.</param>
    /// <param name="columns">Columns, 0 to 2^30.</param>
    /// <param name="scratch">
    /// At least <see cref="ScratchLength"/> elements, F32, overwritten; may be empty where that is 0.
    /// </param>
    /// <param name="accumulate">Whether the sums are added to what <paramref name="sums"/> holds.</param>
    /// <exception cref="ArgumentNullException"><paramref name="stream"/> is null.</exception>
    /// <exception cref="ArgumentException">A length, storage, accelerator or stream does not fit, or tensors overlap.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A size is out of range.</exception>
    /// <exception cref="ObjectDisposedException">A buffer, the stream or the accelerator is disposed.</exception>
    public void Sum(
        AcceleratorStream stream, TensorView x, TensorView sums, int rows, int columns, TensorView scratch = default,
        bool accumulate = false)
    {
        LinearChecks.Call(_accelerator, stream);
        long needed = ScratchLength(rows, columns);
        LinearChecks.Floats(_accelerator, (long)rows * columns, x);
        LinearChecks.Floats(_accelerator, columns, sums);
        LinearChecks.Floats(_accelerator, Math.Max(scratch.Length, needed), scratch);
        Require.Apart(x, sums, nameof(x), nameof(sums));
        Require.Apart(x, scratch, nameof(x), nameof(scratch));
        Require.Apart(sums, scratch, nameof(sums), nameof(scratch));
        if (_onHost)
        {
            SumOnHost(x, sums, rows, columns, accumulate);
            return;
        }

        int blocks = (int)Blocks(rows);
        var size = new ColumnSumSize
        {
            Rows = rows,
            Columns = columns,
            BlockRows = ColumnSumKernel.BlockRows,
            Accumulate = accumulate ? 1 : 0,
        };
        if (needed == 0)
        {
            Launch(stream, x.As<float>(), sums.As<float>(), 1, size);
            return;
        }

        ColumnSumSize first = size;
        first.Accumulate = 0;
        Launch(stream, x.As<float>(), scratch.As<float>(), blocks, first);
        size.Rows = blocks;
        size.BlockRows = blocks;
        Launch(stream, scratch.As<float>(), sums.As<float>(), 1, size);
    }

    private static long Blocks(int rows) =>
        ((long)rows + ColumnSumKernel.BlockRows - 1) / ColumnSumKernel.BlockRows;

    // Strips, or full groups of columns, then one smaller group: exactly the columns.
    private void Launch(
        AcceleratorStream stream, ArrayView<float> x, ArrayView<float> sums, int blocks, ColumnSumSize size)
    {
        if (size.Columns == 0)
        {
            return;
        }

        if (_strips is not null && size.Accumulate == 0)
        {
            size.GroupsPerBlock = (size.Columns + ColumnSumKernel.StripColumns - 1) / ColumnSumKernel.StripColumns;
            lock (s_gate)
            {
                _strips(stream, (checked(blocks * size.GroupsPerBlock), 1), x, sums, size);
            }

            return;
        }

        size.GroupsPerBlock = size.Columns / GroupSize;
        if (size.GroupsPerBlock > 0)
        {
            lock (s_gate)
            {
                _add!(stream, (checked(blocks * size.GroupsPerBlock), GroupSize), x, sums, size);
            }
        }

        int rest = size.Columns % GroupSize;
        if (rest > 0)
        {
            size.FirstColumn = size.Columns - rest;
            size.GroupsPerBlock = 1;
            lock (s_gate)
            {
                _add!(stream, (blocks, rest), x, sums, size);
            }
        }
    }

    private unsafe void SumOnHost(TensorView x, TensorView sums, int rows, int columns, bool accumulate)
    {
        const long Grain = 32_768;
        var work = new Work
        {
            X = HostMemory.Floats(x),
            Sums = HostMemory.Floats(sums),
            Rows = rows,
            Columns = columns,
            Accumulate = accumulate,
        };
        // A strip of columns in the cache, rows read for as long as possible; but no core without work.
        long units = (columns + GroupSize - 1L) / GroupSize;
        long grain = Math.Max(1, Math.Min(MaxStrip / GroupSize, units / Math.Max(1, _facts.Cores)));
        long unit = Math.Max(1, (long)rows * GroupSize);
        HostPool.Run(work, units, Math.Max(grain, Grain / unit), _facts.Cores);
    }

    /// <summary>A unit is 64 columns.</summary>
    private unsafe struct Work : IHostWork
    {
        public float* X;
        public float* Sums;
        public int Rows;
        public int Columns;
        public bool Accumulate;

        public readonly void Run(long begin, long end)
        {
            long last = Math.Min(Columns, end * GroupSize);
            float* block = stackalloc float[MaxStrip];
            float* total = stackalloc float[MaxStrip];
            for (long column = begin * GroupSize; column < last; column += MaxStrip)
            {
                int width = (int)Math.Min(MaxStrip, last - column);
                new Span<float>(total, width).Clear();
                for (long first = 0; first < Rows; first += ColumnSumKernel.BlockRows)
                {
                    new Span<float>(block, width).Clear();
                    long limit = Math.Min(Rows, first + ColumnSumKernel.BlockRows);
                    for (long row = first; row < limit; row++)
                    {
                        HostSums.Add(block, X + (row * Columns) + column, width);
                    }

                    HostSums.Add(total, block, width);
                }

                if (Accumulate)
                {
                    HostSums.Add(total, Sums + column, width);
                }

                new Span<float>(total, width).CopyTo(new Span<float>(Sums + column, width));
            }
        }
    }
}
