using System.Diagnostics.CodeAnalysis;
using ILGPU;
using ILGPU.Runtime;
using Kernels.DeviceCode.VectorQuantization;
using Kernels.Launching;
using Kernels.Linear;
using Kernels.Validation;

namespace Kernels.VectorQuantization;

/// <summary>How many codes of a codebook are in use, from how often each was chosen.</summary>
/// <remarks>
/// Usage is the part of the codes that was chosen at all. Perplexity is exp(-sum p log p) with p = n_k / N and
/// 0 log 0 = 0: the number of codes that equal use would need; 1 if nothing was chosen. Same input, same bits. A call
/// allocates nothing and does not wait; it uses the object's scratch memory, so calls of one object must be on one
/// stream, one after the other.
/// </remarks>
[RequiresDynamicCode(LoadedKernels.Reason)]
public sealed class Usage : IDisposable
{
    private const int MostParts = 256;

    private readonly Accelerator _accelerator;
    private readonly int _parts;
    private readonly MemoryBuffer1D<int, Stride1D.Dense> _numbers;
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _logs;
    private readonly ItemLauncher<UsagePartWork> _part;
    private readonly ItemLauncher<UsageWork> _usage;

    /// <summary>Prepares measurements of one shape and allocates their scratch memory.</summary>
    /// <param name="accelerator">Where the tensors lie.</param>
    /// <param name="codes">Codes of each codebook, at least 1; times heads at most 2^30.</param>
    /// <param name="heads">Codebooks, 1 to 65,536.</param>
    /// <exception cref="ArgumentNullException"><paramref name="accelerator"/> is null.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A size is out of range.</exception>
    /// <exception cref="ObjectDisposedException">The accelerator is disposed.</exception>
    public Usage(Accelerator accelerator, int codes, int heads = 1)
    {
        CodebookChecks.Numbers(accelerator, 1, codes, heads);
        _accelerator = accelerator;
        Codes = codes;
        Heads = heads;
        _parts = Math.Min(codes, MostParts);
        _numbers = accelerator.Allocate1D<int>(2L * heads * _parts);
        _logs = accelerator.Allocate1D<float>((long)heads * _parts);
        var facts = DeviceFacts.Of(accelerator);
        _part = new ItemLauncher<UsagePartWork>(accelerator, facts);
        _usage = new ItemLauncher<UsageWork>(accelerator, facts);
    }

    /// <summary>Codes of each codebook.</summary>
    public int Codes { get; }

    /// <summary>Codebooks.</summary>
    public int Heads { get; }

    /// <summary>Enqueues a measurement.</summary>
    /// <param name="stream">A stream of the accelerator.</param>
    /// <param name="counts">How often each code was chosen, [heads, codes]; not negative, in sum below 2^31 a head.</param>
    /// <param name="usage">Out: the part of the codes in use, [heads], in [0, 1].</param>
    /// <param name="perplexity">Out, where given: [heads], from 1 to the number of codes.</param>
    /// <exception cref="ArgumentNullException"><paramref name="stream"/> is null.</exception>
    /// <exception cref="ArgumentException">A length, accelerator or stream does not fit, or tensors overlap.</exception>
    /// <exception cref="ObjectDisposedException">This, a buffer, the stream or the accelerator is disposed.</exception>
    public void Measure(
        AcceleratorStream stream, ArrayView<int> counts, ArrayView<float> usage, ArrayView<float> perplexity = default)
    {
        ObjectDisposedException.ThrowIf(_logs.IsDisposed, this);
        LinearChecks.Call(_accelerator, stream);
        TensorView numbers = LinearChecks.Bytes(counts);
        LinearChecks.Floats(_accelerator, (long)Heads * Codes, numbers, nameof(counts));
        LinearChecks.Floats(_accelerator, Heads, usage);
        LinearChecks.Floats(_accelerator, perplexity.Length > 0 ? Heads : 0, perplexity);
        Require.Apart(numbers, usage, nameof(counts), nameof(usage));
        Require.Apart(numbers, perplexity, nameof(counts), nameof(perplexity));
        Require.Apart(usage, perplexity, nameof(usage), nameof(perplexity));
        long parts = (long)Heads * _parts;
        ArrayView<int> used = _numbers.View.SubView(0, parts);
        ArrayView<int> rows = _numbers.View.SubView(parts, parts);
        var part = new UsagePartWork
        {
            Counts = counts,
            Used = used,
            Rows = rows,
            Logs = _logs.View,
            Codes = Codes,
            Parts = _parts,
        };
        _part.Run(stream, part, 0, parts, grain: 64);
        var work = new UsageWork
        {
            Used = used,
            Rows = rows,
            Logs = _logs.View,
            Usage = usage,
            Perplexity = perplexity.Length > 0 ? perplexity : usage,
            Codes = Codes,
            Parts = _parts,
            WantsPerplexity = perplexity.Length > 0 ? 1 : 0,
        };
        _usage.Run(stream, work, 0, Heads, grain: 64);
    }

    /// <summary>Frees the scratch memory; enqueued work must have ended.</summary>
    public void Dispose()
    {
        _numbers.Dispose();
        _logs.Dispose();
    }
}
