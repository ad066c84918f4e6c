namespace Kernels.Optimizers;

/// <summary>Which 8-bit numbers a state tensor is kept in.</summary>
public enum EightBitMap
{
    /// <summary>With a sign: the mean of the gradients.</summary>
    WithSign,

    /// <summary>Without a sign: the mean of the squared gradients.</summary>
    WithoutSign,
}
