namespace Kernels.Linear;

/// <summary>What is applied to every element of a layer's output.</summary>
public enum Activation
{
    /// <summary>Nothing.</summary>
    None,

    /// <summary>max(x, 0); NaN stays NaN, and the derivative at 0 is 0.</summary>
    Relu,

    /// <summary>GELU in its tanh form: x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2.</summary>
    Gelu,
}
