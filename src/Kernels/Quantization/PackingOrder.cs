namespace Kernels.Quantization;

/// <summary>Where a packed code lies.</summary>
public enum PackingOrder
{
    /// <summary>One code after another, all rows as one: for files, and for exchange with other software.</summary>
    Linear = 0,

    /// <summary>Neighbouring codes in neighbouring words, each row by itself: for devices, whose lanes read neighbouring
    /// words.</summary>
    Planar = 1,
}
