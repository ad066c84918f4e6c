namespace Kernels.Quantization;

/// <summary>How codes become bits.</summary>
public enum Packing
{
    /// <summary>A field of b bits for each code, b the least number with 2^b at least k.</summary>
    Fields = 0,

    /// <summary>Digits of base k in units of 8 or 32 bits, for a k that is no power of two.</summary>
    Radix = 1,
}
