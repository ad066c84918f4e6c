namespace Kernels.References.Quantization;

/// <summary>Where a code lies.</summary>
public enum CodeOrder
{
    /// <summary>One code after another: for files, and for exchange with other software.</summary>
    Linear = 0,

    /// <summary>Neighbouring codes in neighbouring words: for devices, whose lanes read neighbouring words.</summary>
    Planar = 1,
}
