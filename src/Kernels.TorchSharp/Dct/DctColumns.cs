using global::TorchSharp;
using Kernels.Dct;

namespace Kernels.TorchSharp.Dct;

/// <summary>
/// The columns of the cosine transform that carry most of a matrix: the coordinates in them, and the way back, both with
/// gradients.
/// </summary>
/// <remarks>
/// Source: Modoranu et al. 2025, arXiv:2505.17967, see <see cref="ColumnSelector"/>. The basis is orthonormal, so the gradient
/// of either way is the other one; which columns are chosen has no gradient. Made for a shape, called often, from one thread
/// at a time.
/// <example><code>
/// using var columns = new DctColumns(rows: 512, columns: 512, rank: 64);
/// (Tensor projected, Tensor index) = columns.Select(gradient);
/// Tensor near = columns.BackProject(projected, index);
/// </code></example>
/// </remarks>
public sealed class DctColumns : IDisposable
{
    private readonly ColumnSelector _selector;

    /// <summary>Prepares a shape.</summary>
    /// <param name="rows">Rows of the matrix, at least 1.</param>
    /// <param name="columns">Columns of the matrix, at least 1.</param>
    /// <param name="rank">r, 1 to the number of columns, or on the left of rows.</param>
    /// <param name="options">How columns are chosen; null takes the authors' way.</param>
    /// <exception cref="ArgumentOutOfRangeException">A size, the rank or an option is out of range.</exception>
    public DctColumns(int rows, int columns, int rank, ColumnSelectorOptions? options = null) =>
        _selector = new ColumnSelector(HostMemory.Session.Accelerator, rows, columns, rank, options);

    private long[] FullShape => [_selector.Rows, _selector.Columns];

    private long[] ProjectedShape =>
        _selector.IsLeft ? [_selector.Rank, _selector.Columns] : [_selector.Rows, _selector.Rank];

    /// <summary>Chooses columns, and projects on them.</summary>
    /// <param name="x">The matrix, [rows, columns], Float32.</param>
    /// <returns>
    /// The coordinates, [rows, r] (on the left [r, columns]), and the chosen columns, [r], Int32, ascending.
    /// </returns>
    /// <exception cref="ArgumentException">The tensor is of another type, shape or layout, or not on the CPU.</exception>
    /// <exception cref="ObjectDisposedException">The tensor or this is disposed.</exception>
    public (torch.Tensor Projected, torch.Tensor Index) Select(torch.Tensor x)
    {
        TensorChecks.Floats(x, FullShape, "The matrix", nameof(x));
        torch.Tensor index = torch.empty(_selector.Rank, torch.ScalarType.Int32);
        return (ProjectFunction.apply(x, index, this, true), index);
    }

    /// <summary>Projects on columns that have been chosen before.</summary>
    /// <param name="x">The matrix, [rows, columns], Float32.</param>
    /// <param name="index">The columns, [r], Int32, ascending.</param>
    /// <returns>The coordinates, [rows, r] (on the left [r, columns]).</returns>
    /// <exception cref="ArgumentException">A tensor is of another type, shape or layout, or not on the CPU.</exception>
    /// <exception cref="ObjectDisposedException">A tensor or this is disposed.</exception>
    public torch.Tensor Project(torch.Tensor x, torch.Tensor index)
    {
        TensorChecks.Floats(x, FullShape, "The matrix", nameof(x));
        CheckIndex(index);
        return ProjectFunction.apply(x, index, this, false);
    }

    /// <summary>The matrix that has these coordinates.</summary>
    /// <param name="projected">The coordinates, [rows, r] (on the left [r, columns]), Float32.</param>
    /// <param name="index">The columns, [r], Int32, ascending.</param>
    /// <returns>The matrix, [rows, columns].</returns>
    /// <exception cref="ArgumentException">A tensor is of another type, shape or layout, or not on the CPU.</exception>
    /// <exception cref="ObjectDisposedException">A tensor or this is disposed.</exception>
    public torch.Tensor BackProject(torch.Tensor projected, torch.Tensor index)
    {
        TensorChecks.Floats(projected, ProjectedShape, "The tensor of coordinates", nameof(projected));
        CheckIndex(index);
        return BackProjectFunction.apply(projected, index, this);
    }

    /// <summary>Frees tables and scratch memory.</summary>
    public void Dispose() => _selector.Dispose();

    private void CheckIndex(torch.Tensor index) =>
        TensorChecks.Of(index, torch.ScalarType.Int32, [_selector.Rank], "The tensor of columns", nameof(index));

    private torch.Tensor Projection(torch.Tensor x, torch.Tensor index, bool chooses)
    {
        torch.Tensor projected = torch.empty(ProjectedShape);
        if (chooses)
        {
            _selector.Select(
                HostMemory.Session.Stream, HostMemory.View(x), HostMemory.Integers(index), HostMemory.View(projected));
        }
        else
        {
            _selector.Project(
                HostMemory.Session.Stream, HostMemory.View(x), HostMemory.Integers(index), HostMemory.View(projected));
        }

        return projected;
    }

    private torch.Tensor BackProjection(torch.Tensor projected, torch.Tensor index)
    {
        torch.Tensor full = torch.empty(FullShape);
        _selector.BackProject(
            HostMemory.Session.Stream, HostMemory.View(projected), HostMemory.Integers(index), HostMemory.View(full));
        return full;
    }

    /// <summary>The coordinates of a matrix, and of the gradient back.</summary>
    private sealed class ProjectFunction : torch.autograd.SingleTensorFunction<ProjectFunction>
    {
        private const string Columns = "columns";

        public override string Name => nameof(ProjectFunction);

        public override torch.Tensor forward(torch.autograd.AutogradContext ctx, params object[] vars)
        {
            var columns = (DctColumns)vars[2];
            torch.Tensor projected = columns.Projection((torch.Tensor)vars[0], (torch.Tensor)vars[1], (bool)vars[3]);
            ctx.save_for_backward([(torch.Tensor)vars[1]]);
            ctx.save_data(Columns, columns);
            return projected;
        }

        public override List<torch.Tensor> backward(torch.autograd.AutogradContext ctx, torch.Tensor grad_output)
        {
            using torch.Tensor index = ctx.get_saved_variables()[0];
            using torch.Tensor gradient = grad_output.contiguous();
            return [((DctColumns)ctx.get_data(Columns)).BackProjection(gradient, index), null!, null!, null!];
        }
    }

    /// <summary>The matrix of coordinates, and of the gradient back.</summary>
    private sealed class BackProjectFunction : torch.autograd.SingleTensorFunction<BackProjectFunction>
    {
        private const string Columns = "columns";

        public override string Name => nameof(BackProjectFunction);

        public override torch.Tensor forward(torch.autograd.AutogradContext ctx, params object[] vars)
        {
            var columns = (DctColumns)vars[2];
            ctx.save_for_backward([(torch.Tensor)vars[1]]);
            ctx.save_data(Columns, columns);
            return columns.BackProjection((torch.Tensor)vars[0], (torch.Tensor)vars[1]);
        }

        public override List<torch.Tensor> backward(torch.autograd.AutogradContext ctx, torch.Tensor grad_output)
        {
            using torch.Tensor index = ctx.get_saved_variables()[0];
            using torch.Tensor gradient = grad_output.contiguous();
            return [((DctColumns)ctx.get_data(Columns)).Projection(gradient, index, chooses: false), null!, null!];
        }
    }
}
