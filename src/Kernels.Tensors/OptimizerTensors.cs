using System.Numerics.Tensors;
using Kernels.Optimizers;

namespace Kernels.Tensors;

/// <summary>An optimizer's calls on tensors; a <c>Tensor&lt;float&gt;</c> is taken as it is.</summary>
/// <remarks>
/// <example><code>
/// Tensor&lt;float&gt; gradient = Tensor.CreateFromShape&lt;float&gt;([128, 64]);
/// optimizer.SetGradient("layer.weight", gradient);
/// optimizer.Step();
/// optimizer.Download("layer.weight", weight);
/// </code></example>
/// </remarks>
public static class OptimizerTensors
{
    /// <summary>Sets the only parameter's gradient and steps.</summary>
    /// <param name="optimizer">The optimizer, of one parameter.</param>
    /// <param name="gradient">The gradient.</param>
    /// <exception cref="ArgumentNullException"><paramref name="optimizer"/> is null.</exception>
    /// <exception cref="ArgumentException">The length does not fit, or the tensor is not contiguous.</exception>
    /// <exception cref="InvalidOperationException">There are several parameters.</exception>
    /// <exception cref="ObjectDisposedException">The optimizer is disposed.</exception>
    public static void Step(this Optimizer optimizer, ReadOnlyTensorSpan<float> gradient)
    {
        ArgumentNullException.ThrowIfNull(optimizer);
        if (optimizer.Parameters.Count == 1)
        {
            CheckShape(optimizer, optimizer.Parameters[0].Name, gradient.Lengths, nameof(gradient));
        }

        optimizer.Step(RowMajor.Span(gradient, nameof(gradient)));
    }

    /// <summary>Sets the gradient of a parameter.</summary>
    /// <param name="optimizer">The optimizer.</param>
    /// <param name="name">The parameter.</param>
    /// <param name="values">The gradient.</param>
    /// <exception cref="ArgumentNullException"><paramref name="optimizer"/> is null.</exception>
    /// <exception cref="ArgumentException">
    /// There is no such parameter, the length does not fit, or the tensor is not contiguous.
    /// </exception>
    /// <exception cref="ObjectDisposedException">The optimizer is disposed.</exception>
    public static void SetGradient(this Optimizer optimizer, string name, ReadOnlyTensorSpan<float> values)
    {
        ArgumentNullException.ThrowIfNull(optimizer);
        CheckShape(optimizer, name, values.Lengths, nameof(values));
        optimizer.SetGradient(name, RowMajor.Span(values, nameof(values)));
    }

    /// <summary>Sets a parameter.</summary>
    /// <param name="optimizer">The optimizer.</param>
    /// <param name="name">The parameter.</param>
    /// <param name="values">Its numbers.</param>
    /// <exception cref="ArgumentNullException"><paramref name="optimizer"/> is null.</exception>
    /// <exception cref="ArgumentException">
    /// There is no such parameter, the length does not fit, or the tensor is not contiguous.
    /// </exception>
    /// <exception cref="ObjectDisposedException">The optimizer is disposed.</exception>
    public static void Upload(this Optimizer optimizer, string name, ReadOnlyTensorSpan<float> values)
    {
        ArgumentNullException.ThrowIfNull(optimizer);
        CheckShape(optimizer, name, values.Lengths, nameof(values));
        optimizer.Upload(name, RowMajor.Span(values, nameof(values)));
    }

    /// <summary>Reads a parameter; waits for the work before.</summary>
    /// <param name="optimizer">The optimizer.</param>
    /// <param name="name">The parameter.</param>
    /// <param name="values">Out: its numbers.</param>
    /// <exception cref="ArgumentNullException"><paramref name="optimizer"/> is null.</exception>
    /// <exception cref="ArgumentException">
    /// There is no such parameter, the length does not fit, or the tensor is not contiguous.
    /// </exception>
    /// <exception cref="ObjectDisposedException">The optimizer is disposed.</exception>
    public static void Download(this Optimizer optimizer, string name, TensorSpan<float> values)
    {
        ArgumentNullException.ThrowIfNull(optimizer);
        CheckShape(optimizer, name, values.Lengths, nameof(values));
        optimizer.Download(name, RowMajor.Span(values, nameof(values)));
    }

    /// <summary>A tensor of several dimensions has those of the parameter.</summary>
    private static void CheckShape(Optimizer optimizer, string parameter, ReadOnlySpan<nint> lengths, string name)
    {
        // One that does not exist is refused by the optimizer, as is another length.
        long[] shape = [.. optimizer.Parameters
            .Where(p => string.Equals(p.Name, parameter, StringComparison.Ordinal)).SelectMany(p => p.Shape)];
        if (shape.Length > 1 && lengths.Length > 1 && !shape.AsSpan().SequenceEqual(Longs(lengths)))
        {
            throw new ArgumentException(
                $"The shape must be that of '{parameter}', [{string.Join(", ", shape)}], and is {RowMajor.Text(lengths)}.",
                name);
        }
    }

    private static long[] Longs(ReadOnlySpan<nint> lengths) => Array.ConvertAll(lengths.ToArray(), length => (long)length);
}
