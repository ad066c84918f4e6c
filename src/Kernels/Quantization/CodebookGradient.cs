using System.Diagnostics.CodeAnalysis;
using ILGPU;
using ILGPU.Runtime;
using Kernels.DeviceCode.Quantization;
using Kernels.Host;
using Kernels.Launching;
using Kernels.Linear;
using Kernels.Validation;

namespace Kernels.Quantization;

/// <summary>The gradients to codes and scales of W = s C[I], and the best codes and scales for given indices.</summary>
/// <remarks>
/// <para>
/// Source: JLCM, arXiv:2309.17361. dC_k = sum over the weights of code k of s dW, ds = sum over the weights of the scale
/// of C[I] dW. C_k = sum h s w / sum h s^2 and s = sum h c w / sum h c^2, a weighted step of Lloyd's; what has no weight
/// stays. All of them read the indices and one tensor, or two with h, once.
/// </para>
/// <para>
/// No atomic operation: sums for each code over parts of at most 4,096 weights that have one codebook and one scale, then
/// over the parts in a fixed order. Same input, same bits. An index that is of no code counts for none. Small blocks make
/// small parts, and k sums each.
/// </para>
/// <para>
/// Made once for a layout, called often: a call allocates nothing and does not wait; it uses the object's scratch memory,
/// so calls of one object must be on one stream, one after the other.
/// </para>
/// </remarks>
[RequiresDynamicCode(LoadedKernels.Reason)]
public sealed class CodebookGradient : IDisposable
{
    // As in ItemLauncher: two threads must not set an OpenCL kernel's arguments at once.
    private static readonly Lock s_gate = new();

    private const int MostLanes = 32;

    private readonly Accelerator _accelerator;
    private readonly DeviceFacts _facts;
    private readonly PartTable _parts;
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _bins;
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _scaled;
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _chunks;
    private readonly ItemLauncher<CodebookScaleWork> _scale;
    private readonly ItemLauncher<CodebookDotWork> _dot;
    private readonly ItemLauncher<CodebookFoldWork> _fold;
    private readonly ItemLauncher<CodebookQuotientWork> _quotient;
    private readonly Sums<GradientTerms> _gradient;
    private readonly Sums<FitTerms> _fit;
    private readonly Sums<WeightedFitTerms> _weighted;

    /// <summary>Prepares sums over a matrix and allocates their scratch memory.</summary>
    /// <param name="accelerator">Where the tensors lie.</param>
    /// <param name="layout">The matrix; a code has one number.</param>
    /// <exception cref="ArgumentNullException">An argument is null.</exception>
    /// <exception cref="ArgumentException">A code has several numbers.</exception>
    /// <exception cref="ObjectDisposedException">The accelerator is disposed.</exception>
    public CodebookGradient(Accelerator accelerator, CodebookLayout layout)
    {
        MappingChecks.Layout(accelerator, layout);
        Layout = layout;
        _accelerator = accelerator;
        _facts = DeviceFacts.Of(accelerator);
        _scale = new(accelerator, _facts);
        _dot = new(accelerator, _facts);
        _fold = new(accelerator, _facts);
        _quotient = new(accelerator, _facts);
        _gradient = new(accelerator, _facts);
        _fit = new(accelerator, _facts);
        _weighted = new(accelerator, _facts);
        _parts = new PartTable(accelerator, layout);
        long bins = 2L * _parts.Count * layout.Codes;
        _bins = accelerator.Allocate1D<float>(bins);
        _scaled = accelerator.Allocate1D<float>(bins);
        _chunks = accelerator.Allocate1D<float>(Math.Max(
            1, 2L * Math.Max(_parts.Books.ChunkCount * (long)layout.Codes, _parts.Scales.ChunkCount)));
    }

    /// <summary>The matrix.</summary>
    public CodebookLayout Layout { get; }

    /// <summary>Bytes of scratch memory on the device: of the order of weights k / 4,096, but for small blocks.</summary>
    public long ScratchBytes => 4 * (_bins.Length + _scaled.Length + _chunks.Length);

    /// <summary>Enqueues the gradients. Each is optional: what is empty is not computed.</summary>
    /// <param name="stream">A stream of the accelerator.</param>
    /// <param name="index">The indices, [rows, columns].</param>
    /// <param name="grad">The gradient dW to the values, [rows, columns].</param>
    /// <param name="codebook">[codebooks, k].</param>
    /// <param name="scale">[scales]; empty if the layout has none.</param>
    /// <param name="gradCodebook">Out: [codebooks, k]; 0 for a code without weights.</param>
    /// <param name="gradScale">Out: [scales].</param>
    /// <exception cref="ArgumentNullException"><paramref name="stream"/> is null.</exception>
    /// <exception cref="ArgumentException">A length, accelerator or stream does not fit, or an output overlaps.</exception>
    /// <exception cref="ObjectDisposedException">This, a buffer, the stream or the accelerator is disposed.</exception>
    public void Backward(
        AcceleratorStream stream, ArrayView<byte> index, ArrayView<float> grad, ArrayView<float> codebook,
        ArrayView<float> scale, ArrayView<float> gradCodebook, ArrayView<float> gradScale = default)
    {
        Check(stream, index, codebook, scale);
        LinearChecks.Floats(_accelerator, Layout.WeightCount, grad);
        MappingChecks.Optional(_accelerator, Layout.CodebookLength, gradCodebook, nameof(gradCodebook));
        MappingChecks.Optional(_accelerator, Layout.ScaleCount, gradScale, nameof(gradScale));
        MappingChecks.Apart(
            4,
            [
                TensorRange.Of(index, nameof(index)), TensorRange.Of(grad, nameof(grad)),
                TensorRange.Of(codebook, nameof(codebook)), TensorRange.Of(scale, nameof(scale)),
                TensorRange.Of(gradCodebook, nameof(gradCodebook)), TensorRange.Of(gradScale, nameof(gradScale)),
            ]);
        if (gradCodebook.Length == 0 && gradScale.Length == 0)
        {
            return;
        }

        _gradient.Run(stream, Parts(index), new GradientTerms { Grad = grad }, _parts.Count);
        if (gradCodebook.Length > 0)
        {
            CodebookFold fold = Folded(stream, _parts.Books, Scaled(stream, scale, sets: 1), Layout.Codes);
            fold.To = gradCodebook;
            _fold.Run(stream, new CodebookFoldWork { Fold = fold }, 0, gradCodebook.Length, grain: 256);
        }

        if (gradScale.Length > 0)
        {
            CodebookFold fold = Folded(stream, _parts.Scales, Dots(stream, codebook, sets: 1), 1);
            fold.To = gradScale;
            _fold.Run(stream, new CodebookFoldWork { Fold = fold }, 0, gradScale.Length, grain: 256);
        }
    }

    /// <summary>Enqueues the best codes for the indices and scales: C_k = sum h s w / sum h s^2.</summary>
    /// <param name="stream">A stream of the accelerator.</param>
    /// <param name="weights">w, [rows, columns].</param>
    /// <param name="index">The indices, [rows, columns].</param>
    /// <param name="codebook">[codebooks, k], in place; what has no weight stays. Their order may change.</param>
    /// <param name="scale">[scales]; empty if the layout has none.</param>
    /// <param name="importance">h, [rows, columns], not negative; all 1 if empty.</param>
    /// <exception cref="ArgumentNullException"><paramref name="stream"/> is null.</exception>
    /// <exception cref="ArgumentException">A length, accelerator or stream does not fit, or the codebook overlaps.</exception>
    /// <exception cref="ObjectDisposedException">This, a buffer, the stream or the accelerator is disposed.</exception>
    public void FitCodes(
        AcceleratorStream stream, ArrayView<float> weights, ArrayView<byte> index, ArrayView<float> codebook,
        ArrayView<float> scale, ArrayView<float> importance = default)
    {
        CheckFit(stream, weights, index, codebook, scale, importance, codebook, nameof(codebook));
        SumForFit(stream, weights, index, importance);
        CodebookFold fold = Folded(stream, _parts.Books, Scaled(stream, scale, sets: 2), 2 * Layout.Codes);
        fold.To = codebook;
        _quotient.Run(stream, new CodebookQuotientWork { Fold = fold }, 0, codebook.Length, grain: 256);
    }

    /// <summary>Enqueues the best scales for the indices and codes: s = sum h c w / sum h c^2.</summary>
    /// <param name="stream">A stream of the accelerator.</param>
    /// <param name="weights">w, [rows, columns].</param>
    /// <param name="index">The indices, [rows, columns].</param>
    /// <param name="codebook">[codebooks, k].</param>
    /// <param name="scale">[scales], in place; what has no weight stays.</param>
    /// <param name="importance">h, [rows, columns], not negative; all 1 if empty.</param>
    /// <exception cref="ArgumentNullException"><paramref name="stream"/> is null.</exception>
    /// <exception cref="ArgumentException">A length, accelerator or stream does not fit, the scales overlap, or the layout
    /// has none.</exception>
    /// <exception cref="ObjectDisposedException">This, a buffer, the stream or the accelerator is disposed.</exception>
    public void FitScales(
        AcceleratorStream stream, ArrayView<float> weights, ArrayView<byte> index, ArrayView<float> codebook,
        ArrayView<float> scale, ArrayView<float> importance = default)
    {
        CheckFit(stream, weights, index, codebook, scale, importance, scale, nameof(scale));
        if (Layout.ScaleCount == 0)
        {
            throw new ArgumentException("The layout has no scales.", nameof(scale));
        }

        SumForFit(stream, weights, index, importance);
        CodebookFold fold = Folded(stream, _parts.Scales, Dots(stream, codebook, sets: 2), 2);
        fold.To = scale;
        _quotient.Run(stream, new CodebookQuotientWork { Fold = fold }, 0, scale.Length, grain: 256);
    }

    /// <summary>Frees the scratch memory; enqueued work must have ended.</summary>
    public void Dispose()
    {
        _parts.Dispose();
        _bins.Dispose();
        _scaled.Dispose();
        _chunks.Dispose();
    }

    private void Check(
        AcceleratorStream stream, ArrayView<byte> index, ArrayView<float> codebook, ArrayView<float> scale)
    {
        ObjectDisposedException.ThrowIf(_bins.IsDisposed, this);
        LinearChecks.Call(_accelerator, stream);
        Require.Tensor(_accelerator, Layout.WeightCount, index);
        MappingChecks.Codes(_accelerator, Layout, codebook, scale);
    }

    private void CheckFit(
        AcceleratorStream stream, ArrayView<float> weights, ArrayView<byte> index, ArrayView<float> codebook,
        ArrayView<float> scale, ArrayView<float> importance, ArrayView<float> output, string name)
    {
        Check(stream, index, codebook, scale);
        LinearChecks.Floats(_accelerator, Layout.WeightCount, weights);
        MappingChecks.Optional(_accelerator, Layout.WeightCount, importance, nameof(importance));
        bool isCodebook = string.Equals(name, nameof(codebook), StringComparison.Ordinal);
        TensorRange to = TensorRange.Of(output, name);
        Require.Apart([TensorRange.Of(weights, nameof(weights)), to]);
        Require.Apart([TensorRange.Of(index, nameof(index)), to]);
        Require.Apart([TensorRange.Of(importance, nameof(importance)), to]);
        Require.Apart([isCodebook ? TensorRange.Of(scale, nameof(scale)) : TensorRange.Of(codebook, nameof(codebook)), to]);
    }

    private CodebookParts Parts(ArrayView<byte> index) => new()
    {
        Start = _parts.Start.View,
        Index = index,
        Bins = _bins.View,
        Codes = Layout.Codes,
    };

    private void SumForFit(
        AcceleratorStream stream, ArrayView<float> weights, ArrayView<byte> index, ArrayView<float> importance)
    {
        if (importance.Length > 0)
        {
            var terms = new WeightedFitTerms { Weights = weights, Importance = importance };
            _weighted.Run(stream, Parts(index), terms, _parts.Count);
            return;
        }

        _fit.Run(stream, Parts(index), new FitTerms { Weights = weights }, _parts.Count);
    }

    /// <summary>Sums of parts times their scale.</summary>
    private ArrayView<float> Scaled(AcceleratorStream stream, ArrayView<float> scale, int sets)
    {
        if (scale.Length == 0)
        {
            return _bins.View;
        }

        var work = new CodebookScaleWork
        {
            Bins = _bins.View,
            Scaled = _scaled.View,
            ScaleOf = _parts.ScaleOf.View,
            Scale = scale,
            Numbers = sets * Layout.Codes,
            Codes = Layout.Codes,
        };
        _scale.Run(stream, work, 0, (long)_parts.Count * work.Numbers);
        return _scaled.View;
    }

    /// <summary>Sums of parts times their codes.</summary>
    private ArrayView<float> Dots(AcceleratorStream stream, ArrayView<float> codebook, int sets)
    {
        var work = new CodebookDotWork
        {
            Bins = _bins.View,
            Dots = _scaled.View,
            BookOf = _parts.BookOf.View,
            Codebook = codebook,
            Codes = Layout.Codes,
            Sets = sets,
        };
        _dot.Run(stream, work, 0, _parts.Count, grain: 256);
        return _scaled.View;
    }

    /// <summary>What the last sums are of: parts, or chunks where a share has many.</summary>
    private CodebookFold Folded(AcceleratorStream stream, FoldTable table, ArrayView<float> from, int numbers)
    {
        var fold = new CodebookFold { First = table.First.View, From = from, Numbers = numbers };
        if (table.ChunkCount > 0)
        {
            fold.First = table.Chunks!.View;
            fold.To = _chunks.View;
            _fold.Run(stream, new CodebookFoldWork { Fold = fold }, 0, (long)table.ChunkCount * numbers, grain: 64);
            fold.First = table.FirstChunk!.View;
            fold.From = _chunks.View;
        }

        return fold;
    }

    /// <summary>Launches the sums of parts.</summary>
    [RequiresDynamicCode(LoadedKernels.Reason)]
    private sealed class Sums<TTerms>
        where TTerms : struct, ICodebookTerms
    {
        private readonly DeviceFacts _facts;
        private readonly Action<AcceleratorStream, KernelConfig, CodebookParts, TTerms>? _few;
        private readonly Action<AcceleratorStream, KernelConfig, CodebookParts, TTerms>? _many;

        internal Sums(Accelerator accelerator, DeviceFacts facts)
        {
            _facts = facts;
            if (facts.Class != DeviceClass.Host)
            {
                _few = accelerator.LoadKernel<CodebookParts, TTerms>(CodebookGradientKernel.Few);
                _many = accelerator.LoadKernel<CodebookParts, TTerms>(CodebookGradientKernel.Many);
            }
        }

        internal void Run(AcceleratorStream stream, in CodebookParts parts, in TTerms terms, int count)
        {
            if (_few is null)
            {
                HostPool.Run(
                    new HostCodebookGradient<TTerms> { Parts = parts, Terms = terms }, count, 4, _facts.Cores);
                return;
            }

            int bins = parts.Codes * TTerms.Sets;
            int lanes = MostLanes;
            while (lanes * bins > CodebookGradientKernel.ManyBins || lanes > _facts.MaxGroup)
            {
                lanes /= 2;
            }

            lock (s_gate)
            {
                (lanes * bins <= CodebookGradientKernel.FewBins ? _few : _many)!(stream, (count, lanes), parts, terms);
            }
        }
    }
}
