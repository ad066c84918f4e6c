using System.Diagnostics.CodeAnalysis;
using ILGPU;
using ILGPU.Runtime;
using Kernels.DeviceCode.Dct;
using Kernels.Launching;
using Kernels.Linear;
using Kernels.Optimizers;
using Kernels.Validation;

namespace Kernels.Dct;

/// <summary>
/// The orthogonal factor U V^T of a matrix U S V^T, about: five Newton-Schulz steps move its singular values near 1, by
/// matrix products alone.
/// </summary>
/// <remarks>
/// <para>
/// Source: Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks": X = G / (|G| + 1e-7), |G| the
/// Frobenius norm; five times A = X X^T, X = a X + (b A + c A A) X with a = 3.4445, b = -4.7750, c = 2.0315. All of it in
/// F32. With more rows than columns A is X^T X and stands on the right, so that it always has the shorter side.
/// </para>
/// <para>
/// What was above a five-hundredth of the norm ends between 0.68 and 1.21; the result is no orthogonal matrix in the strict
/// sense. Zeros stay zeros. A number that is not finite makes all NaN; a norm above the largest number makes all 0.
/// </para>
/// <para>
/// Load once, call often. A call allocates nothing and does not wait; it uses the object's scratch memory, so calls of one
/// object must be on one stream, one after the other. Same input, same bits.
/// </para>
/// <example><code>
/// using var orthogonal = new NewtonSchulz(accelerator, maxRows: 4096, maxColumns: 1024);
/// orthogonal.Orthogonalize(stream, g.View, o.View, rows: 4096, columns: 1024);
/// </code></example>
/// </remarks>
[RequiresDynamicCode(LoadedKernels.Reason)]
public sealed class NewtonSchulz : IDisposable
{
    private readonly Accelerator _accelerator;
    private readonly GradientNorm _norm;
    private readonly MatMul _product;
    private readonly ItemLauncher<NewtonSchulzScale> _scale;
    private readonly ItemLauncher<NewtonSchulzPolynomial> _polynomial;
    private readonly ItemLauncher<NewtonSchulzLinear> _linear;
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _scratch;
    private readonly long _maxLength;
    private readonly long _maxSquare;

    /// <summary>Loads the kernels and allocates the scratch memory: the matrix once, and the shorter side squared twice.</summary>
    /// <param name="accelerator">Where the matrices will lie.</param>
    /// <param name="maxRows">The most rows of a matrix, at least 1.</param>
    /// <param name="maxColumns">The most columns of a matrix, at least 1.</param>
    /// <exception cref="ArgumentNullException"><paramref name="accelerator"/> is null.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A size is out of range.</exception>
    /// <exception cref="ObjectDisposedException">The accelerator is disposed.</exception>
    public NewtonSchulz(Accelerator accelerator, int maxRows, int maxColumns)
        : this(Checked(accelerator, maxRows, maxColumns), (long)maxRows * maxColumns, Math.Min(maxRows, maxColumns))
    {
        MaxRows = maxRows;
        MaxColumns = maxColumns;
    }

    /// <summary>For matrices of so many elements whose shorter side is no longer than that.</summary>
    internal NewtonSchulz(Accelerator accelerator, long maxLength, int maxShorter)
    {
        DeviceFacts facts = DeviceFacts.Of(accelerator);
        _accelerator = accelerator;
        _maxLength = Packed(maxLength);
        _maxSquare = Packed((long)maxShorter * maxShorter);
        _product = new MatMul(accelerator);
        _scale = new(accelerator, facts);
        _polynomial = new(accelerator, facts);
        _linear = new(accelerator, facts);
        _norm = new GradientNorm(accelerator, maxLength);
        _scratch = accelerator.Allocate1D<float>(_maxLength + (2 * _maxSquare) + 1);
    }

    /// <summary>The most rows of a matrix.</summary>
    public int MaxRows { get; }

    /// <summary>The most columns of a matrix.</summary>
    public int MaxColumns { get; }

    /// <summary>Enqueues the five steps.</summary>
    /// <param name="stream">A stream of the accelerator.</param>
    /// <param name="x">The matrix, [rows, columns], row-major, F32.</param>
    /// <param name="y">[rows, columns], F32, written; x itself or apart from it.</param>
    /// <param name="rows">Rows, 1 to <see cref="MaxRows"/>.</param>
    /// <param name="columns">Columns, 1 to <see cref="MaxColumns"/>.</param>
    /// <exception cref="ArgumentNullException"><paramref name="stream"/> is null.</exception>
    /// <exception cref="ArgumentException">A length, storage, accelerator or stream does not fit, or tensors overlap.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A size is out of range.</exception>
    /// <exception cref="ObjectDisposedException">This, a buffer, the stream or the accelerator is disposed.</exception>
    public void Orthogonalize(AcceleratorStream stream, TensorView x, TensorView y, int rows, int columns)
    {
        ObjectDisposedException.ThrowIf(_scratch.IsDisposed, this);
        LinearChecks.Call(_accelerator, stream);
        Require.InRange(rows, 1, MaxRows + 1.0);
        Require.InRange(columns, 1, MaxColumns + 1.0);
        LinearChecks.Floats(_accelerator, (long)rows * columns, x);
        LinearChecks.Floats(_accelerator, (long)rows * columns, y);
        LinearChecks.SameOrApart(x, y, nameof(x), nameof(y));
        Run(stream, x, y, rows, columns);
    }

    /// <summary>Frees the scratch memory; enqueued work must have ended.</summary>
    public void Dispose()
    {
        _norm.Dispose();
        _scratch.Dispose();
    }

    /// <summary>Enqueues the five steps; everything has been checked.</summary>
    internal void Run(AcceleratorStream stream, TensorView x, TensorView y, int rows, int columns)
    {
        int shorter = Math.Min(rows, columns);
        int longer = Math.Max(rows, columns);
        bool isTall = rows > columns;
        long length = x.Length;
        long square = (long)shorter * shorter;
        ArrayView<float> all = _scratch.View;
        ArrayView<float> gram = all.SubView(_maxLength, square);
        ArrayView<float> polynomial = all.SubView(_maxLength + _maxSquare, square);
        ArrayView<float> norm = all.SubView(_maxLength + (2 * _maxSquare), 1);

        // X goes to and fro between the two, and after an odd number of steps it is in y.
        ArrayView<float> from = all.SubView(0, length);
        ArrayView<float> to = y.As<float>();
        _norm.Norm(stream, x, norm);
        _scale.Run(stream, new NewtonSchulzScale { From = x.As<float>(), To = from, Norm = norm }, 0, length);
        for (int step = 0; step < NewtonSchulzSteps.Count; step++)
        {
            _product.Multiply(stream, from, isTall, from, !isTall, gram, shorter, shorter, longer);
            _product.Multiply(stream, gram, false, gram, false, polynomial, shorter, shorter, shorter);
            _polynomial.Run(stream, new NewtonSchulzPolynomial { Gram = gram, Square = polynomial }, 0, square);
            _linear.Run(stream, new NewtonSchulzLinear { From = from, To = to }, 0, length);
            (ArrayView<float> left, ArrayView<float> right) = isTall ? (from, polynomial) : (polynomial, from);
            _product.Multiply(stream, left, false, right, false, to, rows, columns, shorter, accumulate: true);
            (from, to) = (to, from);
        }
    }

    /// <summary>Rounded up, so that what lies behind it can be read in fours.</summary>
    private static long Packed(long length) => (length + 3) / 4 * 4;

    private static Accelerator Checked(Accelerator accelerator, int maxRows, int maxColumns)
    {
        Require.NotNull(accelerator);
        ObjectDisposedException.ThrowIf(accelerator.IsDisposed, accelerator);
        LinearChecks.PositiveSize(maxRows);
        LinearChecks.PositiveSize(maxColumns);
        return accelerator;
    }
}
