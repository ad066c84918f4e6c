using Kernels.DeviceCode.Common;

namespace Kernels.DeviceCode.Optimizers;

/// <summary>A parameter and its optimizer state, in registers.</summary>
internal struct Element<T>
{
    /// <summary>The parameter.</summary>
    public T P;

    /// <summary>First state value, such as the mean of the gradients.</summary>
    public T A;

    /// <summary>Second state value, such as the mean of the squared gradients.</summary>
    public T B;

    /// <summary>Third state value, such as a running maximum.</summary>
    public T C;
}

/// <summary>
/// The mathematics of one element-wise optimizer: a struct whose fields are the step's constants, folded on the host
/// in double and narrowed once. The walks in <see cref="Update"/> and on the host are the same for every rule.
/// </summary>
internal interface IUpdateRule
{
    /// <summary>How many of A, B, C the rule keeps: 0 to 3.</summary>
    static abstract int StateCount { get; }

    /// <summary>The element after one step.</summary>
    /// <param name="e">Parameter and state before the step.</param>
    /// <param name="g">Gradient; already unscaled, clipped and, for maximization, negated.</param>
    Element<T> Apply<T>(Element<T> e, T g)
        where T : struct, ILane<T>;
}
