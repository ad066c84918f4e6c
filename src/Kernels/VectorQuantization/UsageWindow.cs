using System.Diagnostics.CodeAnalysis;
using ILGPU;
using ILGPU.Runtime;
using Kernels.DeviceCode.VectorQuantization;
using Kernels.Launching;
using Kernels.Linear;
using Kernels.Validation;

namespace Kernels.VectorQuantization;

/// <summary>Usage as FVQ and LlamaGen count it: the different codes among the last assignments.</summary>
/// <remarks>
/// Source: the code of arXiv:2509.10140. The window of each head holds 65,536 assignments, or codes + 1 if there are at
/// least that many codes, and starts full of zeros: code 0 counts as used until the zeros have left. It stays on the
/// device, and nothing waits. Calls of one object must be on one stream, one after the other.
/// </remarks>
[RequiresDynamicCode(LoadedKernels.Reason)]
public sealed class UsageWindow : IDisposable
{
    private readonly Accelerator _accelerator;
    private readonly DeviceFacts _facts;
    private readonly Usage _usage;
    private readonly SegmentSorter<CountedRow> _counted;
    private readonly MemoryBuffer1D<int, Stride1D.Dense> _window;
    private readonly MemoryBuffer1D<int, Stride1D.Dense> _counts;
    private readonly MemoryBuffer1D<int, Stride1D.Dense> _next;
    private readonly ItemLauncher<UsageAddWork> _add;
    private readonly ItemLauncher<UsageAdvanceWork> _advance;

    /// <summary>A window full of zeros, and scratch memory.</summary>
    /// <param name="accelerator">Where the tensors lie.</param>
    /// <param name="maxRows">The most rows of a call, at least 1; times heads at most 2^30.</param>
    /// <param name="codes">Codes of each codebook, at least 1; times heads at most 2^30.</param>
    /// <param name="heads">Codebooks, 1 to 65,536.</param>
    /// <exception cref="ArgumentNullException"><paramref name="accelerator"/> is null.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A size is out of range.</exception>
    /// <exception cref="ObjectDisposedException">The accelerator is disposed.</exception>
    public UsageWindow(Accelerator accelerator, int maxRows, int codes, int heads = 1)
    {
        CodebookChecks.Numbers(accelerator, maxRows, codes, heads);
        _accelerator = accelerator;
        _facts = DeviceFacts.Of(accelerator);
        MaxRows = maxRows;
        Codes = codes;
        Heads = heads;
        Length = codes < 65_536 ? 65_536 : codes + 1;
        _usage = new Usage(accelerator, codes, heads);
        _counted = new SegmentSorter<CountedRow>(
            accelerator, _facts, SegmentPlan.WalkFor(_facts), maxRows * heads, heads);
        _window = accelerator.Allocate1D<int>((long)heads * Length);
        _counts = accelerator.Allocate1D<int>((long)heads * codes);
        _next = accelerator.Allocate1D<int>(heads);
        _window.MemSetToZero();
        _next.MemSetToZero();
        var counts = new int[(long)heads * codes];
        for (int head = 0; head < heads; head++)
        {
            counts[(long)head * codes] = Length;
        }

        _counts.CopyFromCPU(counts);
        accelerator.Synchronize();
        _add = new ItemLauncher<UsageAddWork>(accelerator, _facts);
        _advance = new ItemLauncher<UsageAdvanceWork>(accelerator, _facts);
    }

    /// <summary>The most rows of a call.</summary>
    public int MaxRows { get; }

    /// <summary>Codes of each codebook.</summary>
    public int Codes { get; }

    /// <summary>Codebooks.</summary>
    public int Heads { get; }

    /// <summary>Assignments in the window of a head.</summary>
    public int Length { get; }

    /// <summary>Enqueues that assignments come in, and as many of the oldest leave.</summary>
    /// <param name="stream">A stream of the accelerator.</param>
    /// <param name="index">The code of each row, [rows, heads], in the order of the rows; what is no code is passed over.</param>
    /// <param name="rows">Rows, 0 to <see cref="MaxRows"/>.</param>
    /// <exception cref="ArgumentNullException"><paramref name="stream"/> is null.</exception>
    /// <exception cref="ArgumentException">The length, accelerator or stream does not fit.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The number of rows is out of range.</exception>
    /// <exception cref="ObjectDisposedException">This, the buffer, the stream or the accelerator is disposed.</exception>
    public void Add(AcceleratorStream stream, ArrayView<int> index, int rows)
    {
        ObjectDisposedException.ThrowIf(_window.IsDisposed, this);
        LinearChecks.Call(_accelerator, stream);
        Require.InRange(rows, 0, MaxRows + 1.0);
        LinearChecks.Floats(_accelerator, (long)rows * Heads, LinearChecks.Bytes(index), nameof(index));
        if (rows == 0)
        {
            return;
        }

        int entries = rows * Heads;
        _counted.Sort(stream, new CountedRow { Index = index, Codes = Codes, Heads = Heads, HasIndex = 1 }, entries);
        var arguments = new UsageWindowArguments
        {
            Order = _counted.Order,
            Begin = _counted.Begin,
            Index = index,
            Window = _window.View,
            Counts = _counts.View,
            Next = _next.View,
            Codes = Codes,
            Heads = Heads,
            Length = Length,
        };
        _add.Run(stream, new UsageAddWork { Arguments = arguments }, 0, entries);
        _advance.Run(stream, new UsageAdvanceWork { Arguments = arguments }, 0, Heads);
    }

    /// <summary>Enqueues a measurement of what is in the window.</summary>
    /// <param name="stream">A stream of the accelerator.</param>
    /// <param name="usage">Out: the part of the codes in the window, [heads], in (0, 1].</param>
    /// <param name="perplexity">Out, where given: their perplexity, [heads].</param>
    /// <exception cref="ArgumentNullException"><paramref name="stream"/> is null.</exception>
    /// <exception cref="ArgumentException">A length, accelerator or stream does not fit, or tensors overlap.</exception>
    /// <exception cref="ObjectDisposedException">This, a buffer, the stream or the accelerator is disposed.</exception>
    public void Measure(AcceleratorStream stream, ArrayView<float> usage, ArrayView<float> perplexity = default)
    {
        ObjectDisposedException.ThrowIf(_window.IsDisposed, this);
        _usage.Measure(stream, _counts.View, usage, perplexity);
    }

    /// <summary>Frees the memory; enqueued work must have ended.</summary>
    public void Dispose()
    {
        _usage.Dispose();
        _counted.Dispose();
        _window.Dispose();
        _counts.Dispose();
        _next.Dispose();
    }
}
