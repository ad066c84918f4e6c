namespace Kernels;

/// <summary>How the numbers of a tensor are kept in memory. Arithmetic is binary32 in every case.</summary>
public enum Storage
{
    /// <summary>IEEE binary32, 4 bytes.</summary>
    F32,

    /// <summary>IEEE binary16, 2 bytes: <see cref="ILGPU.Half"/>.</summary>
    F16,

    /// <summary>bfloat16, 2 bytes: the upper half of a binary32, kept as <see cref="ushort"/>.</summary>
    BF16,
}
