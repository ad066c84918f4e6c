using System.Diagnostics.CodeAnalysis;
using ILGPU;
using ILGPU.Runtime;
using Kernels.Linear;
using Kernels.Validation;

namespace Kernels.Dct;

/// <summary>
/// Low-rank gradients without a singular value decomposition: the columns of a transformed gradient that carry most of it,
/// the coordinates in them, and the way back.
/// </summary>
/// <remarks>
/// <para>
/// Source: Modoranu et al. 2025, "SVD-free low-rank adaptive gradient optimization", arXiv:2505.17967: S = G Q^T for an
/// orthonormal basis Q, here by a fast transform; the r columns of S with the largest norms are kept. With
/// <see cref="ColumnNorm.L2"/> no other choice loses less of |G|^2. On the left all is the same for the transposed gradient.
/// </para>
/// <para>
/// Ties go to the lowest index; a NaN score is below all numbers; indices ascend. The gradient is read once and stays as it
/// is. Of a layer only r indices need to be kept: the basis is never stored.
/// </para>
/// <para>
/// Load once for a shape, call often. A call allocates nothing and does not wait; it uses the object's scratch memory, so
/// calls of one object must be on one stream, one after the other. Same input, same bits.
/// </para>
/// <example><code>
/// using var selector = new ColumnSelector(accelerator, rows: 4096, columns: 4096, rank: 256);
/// selector.Select(stream, g.View, index.View, projected.View, energy.View);    // projected: [4096, 256]
/// selector.BackProject(stream, projected.View, index.View, full.View);
/// </code></example>
/// </remarks>
[RequiresDynamicCode(LoadedKernels.Reason)]
public sealed class ColumnSelector : IDisposable
{
    private readonly Accelerator _accelerator;
    private readonly SubspaceScratch _scratch;
    private readonly TransformEngine _forward;
    private readonly TransformEngine _backward;
    private readonly Subspace _subspace;

    /// <summary>Loads the kernels and allocates the scratch memory.</summary>
    /// <param name="accelerator">Where the tensors will lie.</param>
    /// <param name="rows">Rows of the gradient, at least 1.</param>
    /// <param name="columns">Columns of the gradient, at least 1.</param>
    /// <param name="rank">r, 1 to the number of columns, or on the left of rows.</param>
    /// <param name="options">How columns are chosen; null takes the authors' way.</param>
    /// <exception cref="ArgumentNullException"><paramref name="accelerator"/> is null.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A size, the rank or an option is out of range.</exception>
    /// <exception cref="ObjectDisposedException">The accelerator is disposed.</exception>
    public ColumnSelector(
        Accelerator accelerator, int rows, int columns, int rank, ColumnSelectorOptions? options = null)
        : this(accelerator, rows, columns, rank, options, walk: null)
    {
    }

    /// <summary>With a walk that the device would not choose itself, for tests.</summary>
    internal ColumnSelector(
        Accelerator accelerator, int rows, int columns, int rank, ColumnSelectorOptions? options, TransformWalk? walk)
    {
        Require.NotNull(accelerator);
        ObjectDisposedException.ThrowIf(accelerator.IsDisposed, accelerator);
        options ??= new ColumnSelectorOptions();
        options.Validate(nameof(options));
        LinearChecks.PositiveSize(rows);
        LinearChecks.PositiveSize(columns);
        bool isLeft = options.IsLeft(rows, columns);
        int length = isLeft ? rows : columns;
        Transform.CheckLength(options.Basis, length, isLeft ? nameof(rows) : nameof(columns));
        Require.InRange(rank, 1, length + 1.0);
        _accelerator = accelerator;
        Options = options;
        Rows = rows;
        Columns = columns;
        Rank = rank;
        _forward = new TransformEngine(accelerator, options.Basis, length, walk, canScore: true);
        _backward = new TransformEngine(accelerator, Transform.InverseOf(options.Basis), length, walk);
        _scratch = new SubspaceScratch(accelerator);
        _subspace = new Subspace(accelerator, rows, columns, rank, options, _forward, _backward, _scratch);
    }

    /// <summary>How columns are chosen.</summary>
    public ColumnSelectorOptions Options { get; }

    /// <summary>Rows of the gradient.</summary>
    public int Rows { get; }

    /// <summary>Columns of the gradient.</summary>
    public int Columns { get; }

    /// <summary>r, columns that are chosen.</summary>
    public int Rank { get; }

    /// <summary>Whether the projection is on the left: of rows, not of columns.</summary>
    public bool IsLeft => _subspace.IsLeft;

    /// <summary>Numbers of a projected gradient: rows r, or on the left r columns.</summary>
    public long ProjectedLength => (long)_subspace.Lines * Rank;

    /// <summary>Bytes of tables and scratch memory on the device.</summary>
    public long Bytes => _forward.Bytes + _backward.Bytes + _scratch.Bytes;

    /// <summary>Enqueues the choice of columns and the projection on them.</summary>
    /// <param name="stream">A stream of the accelerator.</param>
    /// <param name="g">The gradient, [rows, columns], row-major, F32; only read.</param>
    /// <param name="index">[r], written: the chosen columns (on the left rows) of the transformed gradient, ascending.</param>
    /// <param name="projected">[rows, r] (on the left [r, columns]), F32, written: the chosen columns themselves.</param>
    /// <param name="energy">Empty, or [1], F32, written: the share of |G|^2 in them, 1 if G is 0.</param>
    /// <exception cref="ArgumentNullException"><paramref name="stream"/> is null.</exception>
    /// <exception cref="ArgumentException">A length, storage, accelerator or stream does not fit, or tensors overlap.</exception>
    /// <exception cref="ObjectDisposedException">This, a buffer, the stream or the accelerator is disposed.</exception>
    public void Select(
        AcceleratorStream stream, TensorView g, ArrayView<int> index, TensorView projected, TensorView energy = default)
    {
        Call(stream, g, nameof(g), index, projected);
        LinearChecks.Floats(_accelerator, energy.IsEmpty ? 0 : 1, energy);
        Require.Apart(
        [
            TensorRange.Of(g, nameof(g)), TensorRange.Of(LinearChecks.Bytes(index), nameof(index)),
            TensorRange.Of(projected, nameof(projected)), TensorRange.Of(energy, nameof(energy)),
        ]);
        _subspace.Select(stream, g, default, index, projected, energy);
    }

    /// <summary>Enqueues the projection on columns that have been chosen before.</summary>
    /// <param name="stream">A stream of the accelerator.</param>
    /// <param name="g">The gradient, [rows, columns], row-major, F32; only read.</param>
    /// <param name="index">[r], ascending; what is no column gives 0.</param>
    /// <param name="projected">[rows, r] (on the left [r, columns]), F32, written.</param>
    /// <exception cref="ArgumentNullException"><paramref name="stream"/> is null.</exception>
    /// <exception cref="ArgumentException">A length, storage, accelerator or stream does not fit, or tensors overlap.</exception>
    /// <exception cref="ObjectDisposedException">This, a buffer, the stream or the accelerator is disposed.</exception>
    public void Project(AcceleratorStream stream, TensorView g, ArrayView<int> index, TensorView projected)
    {
        Call(stream, g, nameof(g), index, projected);
        Require.Apart(g, projected, nameof(g), nameof(projected));
        Require.Apart(LinearChecks.Bytes(index), projected, nameof(index), nameof(projected));
        _subspace.Project(stream, g, default, index, projected);
    }

    /// <summary>Enqueues full = keep full + factor A, where A is the matrix that has these coordinates: projected Q_r.</summary>
    /// <param name="stream">A stream of the accelerator.</param>
    /// <param name="projected">[rows, r] (on the left [r, columns]), F32.</param>
    /// <param name="index">[r], ascending; the coordinates of what is no column are left out.</param>
    /// <param name="full">[rows, columns], F32, written; read too unless <paramref name="keep"/> is 0.</param>
    /// <param name="keep">How much of what <paramref name="full"/> holds stays; finite.</param>
    /// <param name="factor">How much of A is added to it; finite.</param>
    /// <exception cref="ArgumentNullException"><paramref name="stream"/> is null.</exception>
    /// <exception cref="ArgumentException">A length, storage, accelerator or stream does not fit, or tensors overlap.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A factor is not finite.</exception>
    /// <exception cref="ObjectDisposedException">This, a buffer, the stream or the accelerator is disposed.</exception>
    public void BackProject(
        AcceleratorStream stream, TensorView projected, ArrayView<int> index, TensorView full, double keep = 0,
        double factor = 1)
    {
        Call(stream, full, nameof(full), index, projected);
        Require.InRange(keep, -float.MaxValue, float.MaxValue);
        Require.InRange(factor, -float.MaxValue, float.MaxValue);
        Require.Apart(full, projected, nameof(full), nameof(projected));
        Require.Apart(LinearChecks.Bytes(index), full, nameof(index), nameof(full));
        _subspace.BackProject(stream, projected, index, full, (float)keep, (float)factor);
    }

    /// <summary>
    /// Enqueues the move of a state to other columns: those that stay take theirs along, new ones begin at 0. It is what the
    /// product with Q_previous Q_current^T gives, without a product.
    /// </summary>
    /// <param name="stream">A stream of the accelerator.</param>
    /// <param name="state">[rows, r] (on the left [r, columns]), F32.</param>
    /// <param name="previous">[r], ascending: the columns that the state belongs to.</param>
    /// <param name="current">[r], ascending: those that it shall belong to.</param>
    /// <param name="moved">As <paramref name="state"/>, written.</param>
    /// <exception cref="ArgumentNullException"><paramref name="stream"/> is null.</exception>
    /// <exception cref="ArgumentException">A length, storage, accelerator or stream does not fit, or tensors overlap.</exception>
    /// <exception cref="ObjectDisposedException">This, a buffer, the stream or the accelerator is disposed.</exception>
    public void Remap(
        AcceleratorStream stream, TensorView state, ArrayView<int> previous, ArrayView<int> current, TensorView moved)
    {
        ObjectDisposedException.ThrowIf(_forward.IsDisposed, this);
        LinearChecks.Call(_accelerator, stream);
        TensorView before = LinearChecks.Bytes(previous);
        TensorView after = LinearChecks.Bytes(current);
        LinearChecks.Floats(_accelerator, ProjectedLength, state);
        LinearChecks.Floats(_accelerator, Rank, before, nameof(previous));
        LinearChecks.Floats(_accelerator, Rank, after, nameof(current));
        LinearChecks.Floats(_accelerator, ProjectedLength, moved);
        Require.Apart(state, moved, nameof(state), nameof(moved));
        Require.Apart(before, moved, nameof(previous), nameof(moved));
        Require.Apart(after, moved, nameof(current), nameof(moved));
        _subspace.Remap(stream, state, _subspace.Search(stream, previous, current), moved);
    }

    /// <summary>Frees tables and scratch memory; enqueued work must have ended.</summary>
    public void Dispose()
    {
        _forward.Dispose();
        _backward.Dispose();
        _scratch.Dispose();
    }

    private void Call(
        AcceleratorStream stream, TensorView full, string fullName, ArrayView<int> index, TensorView projected)
    {
        ObjectDisposedException.ThrowIf(_forward.IsDisposed, this);
        LinearChecks.Call(_accelerator, stream);
        LinearChecks.Floats(_accelerator, (long)Rows * Columns, full, fullName);
        LinearChecks.Floats(_accelerator, Rank, LinearChecks.Bytes(index), nameof(index));
        LinearChecks.Floats(_accelerator, ProjectedLength, projected);
    }
}
