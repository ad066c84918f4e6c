using Kernels.Validation;

namespace Kernels.Optimizers;

/// <summary>A tensor an optimizer is to train: its name, its shape, what it starts with, and its own options.</summary>
public sealed record Parameter
{
    /// <summary>A parameter in the optimizer's own memory that starts with the given values.</summary>
    /// <param name="name">Unique among the optimizer's parameters.</param>
    /// <param name="values">Initial values, copied when the optimizer is made.</param>
    /// <param name="shape">Lengths of the dimensions; none means one dimension of all values.</param>
    /// <exception cref="ArgumentException">The name is empty, or the shape does not multiply to the length.</exception>
    public Parameter(string name, ReadOnlyMemory<float> values, params ReadOnlySpan<long> shape)
        : this(name, shape.IsEmpty ? [values.Length] : shape)
    {
        Require.Length(Length, values.Length, nameof(values));
        Values = values;
    }

    /// <summary>A parameter in the optimizer's own memory that starts with zeros.</summary>
    /// <param name="name">Unique among the optimizer's parameters.</param>
    /// <param name="shape">Lengths of the dimensions, each at least 0.</param>
    /// <exception cref="ArgumentException">The name is empty.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A length is negative.</exception>
    public Parameter(string name, params ReadOnlySpan<long> shape)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(name);
        long length = 1;
        foreach (long dimension in shape)
        {
            Require.AtLeast(dimension, 0, nameof(shape));
            length = checked(length * dimension);
        }

        Name = name;
        Shape = [.. shape];
        Length = length;
    }

    /// <summary>A parameter and its gradient in the caller's own memory, which the optimizer borrows.</summary>
    /// <param name="name">Unique among the optimizer's parameters.</param>
    /// <param name="view">The parameter, [n], updated in place.</param>
    /// <param name="gradient">Its gradient, [n], read at every step.</param>
    /// <param name="shape">Lengths of the dimensions; none means one dimension of all elements.</param>
    /// <exception cref="ArgumentException">The name is empty, or lengths do not fit.</exception>
    public Parameter(string name, TensorView view, TensorView gradient, params ReadOnlySpan<long> shape)
        : this(name, shape.IsEmpty ? [view.Length] : shape)
    {
        Require.Length(Length, view.Length, nameof(view));
        Require.Length(Length, gradient.Length, nameof(gradient));
        View = view;
        Gradient = gradient;
        IsBorrowed = true;
    }

    /// <summary>A parameter in the caller's memory, which <see cref="Bind"/> names before the first step.</summary>
    internal static Parameter Unbound(string name, ReadOnlySpan<long> shape) => new(name, shape) { IsBorrowed = true };

    /// <summary>Its name, such as <c>layer1.weight</c>.</summary>
    public string Name { get; }

    /// <summary>Lengths of the dimensions, slowest first.</summary>
    public IReadOnlyList<long> Shape { get; }

    /// <summary>Number of elements.</summary>
    public long Length { get; }

    /// <summary>Options of its own; null takes the optimizer's. They must ask for the same state.</summary>
    public OptimizerOptions? Options { get; init; }

    /// <summary>True: the optimizer leaves it as it is until it is thawed.</summary>
    public bool IsFrozen { get; init; }

    internal ReadOnlyMemory<float> Values { get; }

    internal bool IsBorrowed { get; private init; }

    internal TensorView View { get; private set; }

    internal TensorView Gradient { get; private set; }

    /// <summary>Borrows other memory of the same length.</summary>
    internal void Bind(TensorView view, TensorView gradient)
    {
        View = view;
        Gradient = gradient;
    }
}
