using ILGPU;
using Kernels.VectorQuantization;

namespace Kernels.Tools.Demo.Codebooks;

/// <summary>
/// The mean squared error of rows to the targets that an index gives them, and its gradient: what <see cref="Quantize"/>
/// knows as the commitment of rows to their codes, with a weight of 1.
/// </summary>
internal sealed class SquaredError(Session session, int maxRows, int targets, int dimension) : IDisposable
{
    private readonly Quantize _quantize = new(session.Accelerator, maxRows, targets, dimension);

    /// <summary>Enqueues the gradient to the rows, (2 / (rows dimension)) (row - target).</summary>
    internal void Gradient(
        ArrayView<float> rows, ArrayView<float> targets, ArrayView<int> index, ArrayView<float> gradient) =>
        _quantize.Apply(
            session.Stream, rows, targets, index, (int)index.Length, gradX: gradient, beta: 1);

    /// <summary>Enqueues the copy of each row's target.</summary>
    internal void Fetch(ArrayView<float> rows, ArrayView<float> targets, ArrayView<int> index) =>
        _quantize.Apply(session.Stream, rows, targets, index, (int)index.Length, output: rows);

    public void Dispose() => _quantize.Dispose();
}
