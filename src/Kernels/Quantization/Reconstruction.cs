using System.Diagnostics.CodeAnalysis;
using ILGPU;
using ILGPU.Runtime;
using Kernels.DeviceCode.Quantization;
using Kernels.DeviceCode.Reductions;
using Kernels.Launching;
using Kernels.Linear;
using Kernels.Validation;

namespace Kernels.Quantization;

/// <summary>What a layer's outputs lose by quantization: |X W^T - X Q^T|^2 and its gradient to Q; without activations the
/// weighted squared error of the weights, sum h (q - w)^2.</summary>
/// <remarks>
/// <para>
/// Source: Nagel et al. 2020, AdaRound, arXiv:2004.10568; Li et al. 2021, BRECQ, arXiv:2102.05426. Not divided by anything.
/// dQ = 2 (Q - W) X^T X. With n rows of X: with at most 2 n columns H = X^T X is made once, when the activations are set,
/// and a call costs rows columns^2 multiplications and additions; with more, 2 n rows columns, by R = 2 X (Q - W)^T and
/// dQ = R^T X.
/// </para>
/// <para>
/// Made once, called often: a call allocates nothing and does not wait; it uses the object's scratch memory, so calls of
/// one object must be on one stream, one after the other. Same input, same bits. What is not finite goes where the
/// products take it.
/// </para>
/// </remarks>
[RequiresDynamicCode(LoadedKernels.Reason)]
public sealed class Reconstruction : IDisposable
{
    private readonly Accelerator _accelerator;
    private readonly MatMul _product;
    private readonly ItemLauncher<ReconstructionErrorWork> _error;
    private readonly ItemLauncher<ReconstructionWeightedWork> _weighted;
    private readonly ItemLauncher<ReconstructionDotWork> _dot;
    private readonly StridedSums _sums;
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _errors;
    private readonly MemoryBuffer1D<float, Stride1D.Dense>? _gram;
    private readonly MemoryBuffer1D<float, Stride1D.Dense>? _residuals;
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _partial;
    private ArrayView<float> _activations;
    private bool _isSet;

    /// <summary>Prepares an objective and allocates its scratch memory.</summary>
    /// <param name="accelerator">Where the tensors lie.</param>
    /// <param name="rows">Rows of W, the outputs of the layer, at least 1.</param>
    /// <param name="columns">Columns of W, its inputs, at least 1; fewer than 2^31 weights.</param>
    /// <param name="samples">n, rows of X, at least 0; with 0 there are no activations.</param>
    /// <exception cref="ArgumentNullException"><paramref name="accelerator"/> is null.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A size is out of range.</exception>
    /// <exception cref="ObjectDisposedException">The accelerator is disposed.</exception>
    public Reconstruction(Accelerator accelerator, int rows, int columns, int samples)
        : this(accelerator, rows, columns, samples, byGram: null)
    {
    }

    /// <summary>With the form that the sizes would not choose, for tests, or because H is wanted.</summary>
    internal Reconstruction(Accelerator accelerator, int rows, int columns, int samples, bool? byGram)
    {
        Require.NotNull(accelerator);
        ObjectDisposedException.ThrowIf(accelerator.IsDisposed, accelerator);
        LinearChecks.PositiveSize(rows);
        LinearChecks.PositiveSize(columns);
        LinearChecks.Size(samples);
        Require.InRange((double)rows * columns, 1, int.MaxValue + 1.0, nameof(columns));
        _accelerator = accelerator;
        Rows = rows;
        Columns = columns;
        Samples = samples;
        HasGram = samples > 0 && (byGram ?? columns <= 2L * samples);
        var facts = DeviceFacts.Of(accelerator);
        _product = new MatMul(accelerator);
        _error = new(accelerator, facts);
        _weighted = new(accelerator, facts);
        _dot = new(accelerator, facts);
        _sums = new StridedSums(accelerator, facts);
        long weights = (long)rows * columns;
        long terms = weights;
        _errors = accelerator.Allocate1D<float>(weights);
        if (HasGram)
        {
            _gram = accelerator.Allocate1D<float>((long)columns * columns);
        }
        else if (samples > 0)
        {
            terms = (long)samples * rows;
            _residuals = accelerator.Allocate1D<float>(terms);
        }

        long partial = Folded(terms);
        _partial = accelerator.Allocate1D<float>(partial + StridedSums.Scratch(samples > 0 ? partial : weights));
    }

    /// <summary>Rows of W.</summary>
    public int Rows { get; }

    /// <summary>Columns of W.</summary>
    public int Columns { get; }

    /// <summary>Rows of X.</summary>
    public int Samples { get; }

    /// <summary>Whether a call uses H = X^T X.</summary>
    public bool HasGram { get; }

    /// <summary>H, [columns, columns], where there is one.</summary>
    internal ArrayView<float> Gram => _gram!.View;

    /// <summary>Sets the activations, before the first call and whenever they change.</summary>
    /// <param name="stream">A stream of the accelerator.</param>
    /// <param name="x">X, [n, columns]; if <see cref="HasGram"/> is false it must live, unchanged, as long as it is used.</param>
    /// <exception cref="ArgumentNullException"><paramref name="stream"/> is null.</exception>
    /// <exception cref="ArgumentException">A length, accelerator or stream does not fit.</exception>
    /// <exception cref="InvalidOperationException">There are no activations.</exception>
    /// <exception cref="ObjectDisposedException">This, a buffer, the stream or the accelerator is disposed.</exception>
    public void SetActivations(AcceleratorStream stream, ArrayView<float> x)
    {
        ObjectDisposedException.ThrowIf(_errors.IsDisposed, this);
        LinearChecks.Call(_accelerator, stream);
        if (Samples == 0)
        {
            throw new InvalidOperationException("The objective was made without activations.");
        }

        LinearChecks.Floats(_accelerator, (long)Samples * Columns, x);
        if (HasGram)
        {
            _product.Multiply(stream, x, true, x, false, _gram!.View, Columns, Columns, Samples);
        }

        _activations = x;
        _isSet = true;
    }

    /// <summary>Enqueues the objective and its gradient.</summary>
    /// <param name="stream">A stream of the accelerator.</param>
    /// <param name="weights">W, [rows, columns].</param>
    /// <param name="value">Q, [rows, columns].</param>
    /// <param name="gradValue">Out: dQ, [rows, columns].</param>
    /// <param name="objective">Out: the sum of squares, [1].</param>
    /// <param name="importance">h, [rows, columns], all 1 if empty; only without activations.</param>
    /// <exception cref="ArgumentNullException"><paramref name="stream"/> is null.</exception>
    /// <exception cref="ArgumentException">
    /// A length, accelerator or stream does not fit, an output overlaps, or there are activations and an importance.
    /// </exception>
    /// <exception cref="InvalidOperationException">The activations have not been set.</exception>
    /// <exception cref="ObjectDisposedException">This, a buffer, the stream or the accelerator is disposed.</exception>
    public void Evaluate(
        AcceleratorStream stream, ArrayView<float> weights, ArrayView<float> value, ArrayView<float> gradValue,
        ArrayView<float> objective, ArrayView<float> importance = default)
    {
        ObjectDisposedException.ThrowIf(_errors.IsDisposed, this);
        LinearChecks.Call(_accelerator, stream);
        long count = (long)Rows * Columns;
        LinearChecks.Floats(_accelerator, count, weights);
        LinearChecks.Floats(_accelerator, count, value);
        LinearChecks.Floats(_accelerator, count, gradValue);
        LinearChecks.Floats(_accelerator, 1, objective);
        if (Samples > 0 && importance.Length > 0)
        {
            throw new ArgumentException("With activations weights have no importance of their own.", nameof(importance));
        }

        MappingChecks.Optional(_accelerator, count, importance, nameof(importance));
        MappingChecks.Apart(
            3,
            [
                TensorRange.Of(weights, nameof(weights)), TensorRange.Of(value, nameof(value)),
                TensorRange.Of(importance, nameof(importance)), TensorRange.Of(gradValue, nameof(gradValue)),
                TensorRange.Of(objective, nameof(objective)),
            ]);
        if (Samples == 0)
        {
            var work = new ReconstructionWeightedWork
            {
                W = weights,
                Q = value,
                Importance = importance.Length > 0 ? importance : weights,
                GradQ = gradValue,
                Square = _errors.View,
                HasImportance = importance.Length > 0 ? 1 : 0,
            };
            _weighted.Run(stream, work, 0, count);
            _sums.Run(stream, _errors.View, _partial.View, objective);
            return;
        }

        if (!_isSet)
        {
            throw new InvalidOperationException("The activations have not been set.");
        }

        _error.Run(stream, new ReconstructionErrorWork { W = weights, Q = value, Error = _errors.View }, 0, count);
        if (HasGram)
        {
            // E = 2 (Q - W), dQ = E H, and the objective is sum E dQ / 4.
            _product.Multiply(stream, _errors.View, false, _gram!.View, false, gradValue, Rows, Columns, Columns);
            Dot(stream, _errors.View, gradValue, objective);
            return;
        }

        ArrayView<float> residuals = _residuals!.View;
        _product.Multiply(stream, _activations, false, _errors.View, true, residuals, Samples, Rows, Columns);
        _product.Multiply(stream, residuals, true, _activations, false, gradValue, Rows, Columns, Samples);
        Dot(stream, residuals, residuals, objective);
    }

    /// <summary>Enqueues P H, or P itself without activations, for P [rows, columns].</summary>
    internal void Multiply(AcceleratorStream stream, ArrayView<float> p, ArrayView<float> product)
    {
        if (Samples == 0)
        {
            product.CopyFrom(stream, p);
        }
        else if (HasGram)
        {
            _product.Multiply(stream, p, false, _gram!.View, false, product, Rows, Columns, Columns);
        }
        else
        {
            _product.Multiply(stream, _activations, false, p, true, _residuals!.View, Samples, Rows, Columns);
            _product.Multiply(stream, _residuals.View, true, _activations, false, product, Rows, Columns, Samples);
        }
    }

    /// <summary>Enqueues product += P H[rows of H from first on], for P [rows, count].</summary>
    internal void AddProduct(AcceleratorStream stream, ArrayView<float> p, int first, int count, ArrayView<float> product) =>
        _product.Multiply(
            stream, p, false, _gram!.View.SubView((long)first * Columns, (long)count * Columns), false, product, Rows,
            Columns, count, accumulate: true);

    /// <summary>Frees the scratch memory; enqueued work must have ended.</summary>
    public void Dispose()
    {
        _errors.Dispose();
        _gram?.Dispose();
        _residuals?.Dispose();
        _partial.Dispose();
    }

    private static long Folded(long count) => (count + StridedSum.Fold - 1) / StridedSum.Fold;

    private void Dot(AcceleratorStream stream, ArrayView<float> a, ArrayView<float> b, ArrayView<float> objective)
    {
        long outputs = Folded(a.Length);
        var work = new ReconstructionDotWork
        {
            A = a,
            B = b,
            To = _partial.View.SubView(0, outputs),
            Inputs = a.Length,
            Outputs = outputs,
            Factor = 0.25f,
        };
        _dot.Run(stream, work, 0, outputs, grain: 512);
        _sums.Run(stream, work.To, _partial.View.SubView(outputs, _partial.Length - outputs), objective);
    }
}
