using System.Diagnostics.CodeAnalysis;
using System.Numerics;
using System.Runtime.CompilerServices;
using ILGPU.Runtime;
using Kernels.Linear;
using Kernels.Validation;

namespace Kernels.Dct;

/// <summary>Orthonormal transforms of the rows or the columns of a matrix, by a fast algorithm: the basis is never stored.</summary>
/// <remarks>
/// <para>
/// Source: Makhoul 1980, "A fast cosine transform in one and two dimensions": a Fourier transform of n/2 points. It has
/// stages of 8, 4, 2, 3 and 5 points, and of primes up to 61, which are direct sums. A length with a greater prime is a
/// convolution of up to 4 times as many points (Bluestein 1970), so that any length costs a multiple of n log n. All tables are rounded from binary64. Any length from 1; no row or column is mixed with another.
/// </para>
/// <para>
/// Load once for a length, call often. A call allocates nothing and does not wait; it uses the object's scratch memory, so
/// calls of one object must be on one stream, one after the other. Same input, same bits. NaN or infinity in a line stays in
/// that line, which becomes NaN.
/// </para>
/// <example><code>
/// using var dct = new Transform(accelerator, Basis.Dct2, length: 4096);
/// dct.Rows(stream, x.View, y.View, rows: 1024);
/// </code></example>
/// </remarks>
[RequiresDynamicCode(LoadedKernels.Reason)]
public sealed class Transform : IDisposable
{
    /// <summary>The longest line.</summary>
    public const int MaxLength = 1 << 20;

    private readonly Accelerator _accelerator;
    private readonly TransformEngine _engine;

    /// <summary>Loads the kernels and computes the tables.</summary>
    /// <param name="accelerator">Where the tensors will lie.</param>
    /// <param name="basis">Which transform.</param>
    /// <param name="length">Numbers of a line, 1 to <see cref="MaxLength"/>; for Walsh-Hadamard a power of two.</param>
    /// <exception cref="ArgumentNullException"><paramref name="accelerator"/> is null.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The basis is none, or the length is out of range.</exception>
    /// <exception cref="ObjectDisposedException">The accelerator is disposed.</exception>
    public Transform(Accelerator accelerator, Basis basis, int length)
        : this(accelerator, basis, length, walk: null)
    {
    }

    /// <summary>With a walk that the device would not choose itself, for tests.</summary>
    internal Transform(Accelerator accelerator, Basis basis, int length, TransformWalk? walk)
    {
        Require.NotNull(accelerator);
        ObjectDisposedException.ThrowIf(accelerator.IsDisposed, accelerator);
        CheckLength(basis, length);
        _accelerator = accelerator;
        _engine = new TransformEngine(accelerator, basis, length, walk);
    }

    /// <summary>Which transform.</summary>
    public Basis Basis => _engine.Basis;

    /// <summary>Numbers of a line.</summary>
    public int Length => _engine.Length;

    /// <summary>Bytes of tables and scratch memory on the device.</summary>
    public long Bytes => _engine.Bytes;

    /// <summary>The basis that leads back.</summary>
    /// <param name="basis">Any basis.</param>
    /// <returns>DCT-III for DCT-II and the other way round; the others are their own inverse.</returns>
    public static Basis InverseOf(Basis basis) => basis switch
    {
        Basis.Dct2 => Basis.Dct3,
        Basis.Dct3 => Basis.Dct2,
        _ => basis,
    };

    /// <summary>Enqueues the transforms of all rows.</summary>
    /// <param name="stream">A stream of the accelerator.</param>
    /// <param name="x">[rows, <see cref="Length"/>], row-major, F32.</param>
    /// <param name="y">The same shape, F32, written; x itself or apart from it.</param>
    /// <param name="rows">Rows, 0 to 2^30.</param>
    /// <exception cref="ArgumentNullException"><paramref name="stream"/> is null.</exception>
    /// <exception cref="ArgumentException">A length, storage, accelerator or stream does not fit, or tensors overlap.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The number of rows is out of range.</exception>
    /// <exception cref="ObjectDisposedException">This, a buffer, the stream or the accelerator is disposed.</exception>
    public void Rows(AcceleratorStream stream, TensorView x, TensorView y, int rows) => Run(stream, x, y, rows, false);

    /// <summary>Enqueues the transforms of all columns.</summary>
    /// <param name="stream">A stream of the accelerator.</param>
    /// <param name="x">[<see cref="Length"/>, columns], row-major, F32.</param>
    /// <param name="y">The same shape, F32, written; x itself or apart from it.</param>
    /// <param name="columns">Columns, 0 to 2^30.</param>
    /// <exception cref="ArgumentNullException"><paramref name="stream"/> is null.</exception>
    /// <exception cref="ArgumentException">A length, storage, accelerator or stream does not fit, or tensors overlap.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The number of columns is out of range.</exception>
    /// <exception cref="ObjectDisposedException">This, a buffer, the stream or the accelerator is disposed.</exception>
    public void Columns(AcceleratorStream stream, TensorView x, TensorView y, int columns) =>
        Run(stream, x, y, columns, true);

    /// <summary>Frees tables and scratch memory; enqueued work must have ended.</summary>
    public void Dispose() => _engine.Dispose();

    /// <summary>The basis exists, and has lines of this length.</summary>
    internal static void CheckLength(
        Basis basis, int length, [CallerArgumentExpression(nameof(length))] string? name = null)
    {
        Require.Defined(basis);
        Require.InRange(length, 1, MaxLength + 1.0, name);
        if (basis == Basis.Hadamard && !BitOperations.IsPow2(length))
        {
            throw new ArgumentOutOfRangeException(
                name, length, "Lines of a Walsh-Hadamard transform must have a power of two of numbers.");
        }
    }

    private void Run(AcceleratorStream stream, TensorView x, TensorView y, int lines, bool isColumns)
    {
        ObjectDisposedException.ThrowIf(_engine.IsDisposed, this);
        LinearChecks.Call(_accelerator, stream);
        Require.InRange(lines, 0, LinearChecks.MaxSize + 1.0, isColumns ? "columns" : "rows");
        LinearChecks.Floats(_accelerator, (long)lines * Length, x);
        LinearChecks.Floats(_accelerator, (long)lines * Length, y);
        LinearChecks.SameOrApart(x, y, nameof(x), nameof(y));
        _engine.Run(stream, new TransformCall { X = x, Y = y, Lines = lines, IsColumns = isColumns });
    }
}
