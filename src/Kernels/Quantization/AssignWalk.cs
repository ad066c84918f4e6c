namespace Kernels.Quantization;

/// <summary>How a device finds the codes of single weights.</summary>
internal enum AssignWalk
{
    /// <summary>SIMD on the host, no launch.</summary>
    Host,

    /// <summary>Sixteen weights per item.</summary>
    Sixteens,

    /// <summary>Four weights per item.</summary>
    Fours,
}
