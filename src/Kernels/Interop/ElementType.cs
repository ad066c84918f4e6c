using Half = ILGPU.Half;

namespace Kernels.Interop;

/// <summary>What the elements of a tensor that other libraries know are.</summary>
public enum ElementType
{
    /// <summary>IEEE binary32, 4 bytes: <see cref="float"/>.</summary>
    F32,

    /// <summary>IEEE binary16, 2 bytes: <see cref="ILGPU.Half"/>.</summary>
    F16,

    /// <summary>bfloat16, 2 bytes, kept as <see cref="ushort"/>.</summary>
    BF16,

    /// <summary>Signed integer of 4 bytes.</summary>
    I32,

    /// <summary>Signed integer of 8 bytes.</summary>
    I64,

    /// <summary>Unsigned byte.</summary>
    U8,
}

/// <summary>What is known of the types of elements.</summary>
internal static class ElementTypes
{
    internal static int Bytes(ElementType type) => type switch
    {
        ElementType.F16 or ElementType.BF16 => 2,
        ElementType.I64 => 8,
        ElementType.U8 => 1,
        _ => 4,
    };

    internal static ElementType Of(Storage storage) => storage switch
    {
        Storage.F32 => ElementType.F32,
        Storage.F16 => ElementType.F16,
        _ => ElementType.BF16,
    };

    /// <summary>The elements whose type in memory is this one; null where there are none.</summary>
    internal static ElementType? Of<T>() => default(T) switch
    {
        float => ElementType.F32,
        Half => ElementType.F16,
        ushort => ElementType.BF16,
        int => ElementType.I32,
        long => ElementType.I64,
        byte => ElementType.U8,
        _ => null,
    };
}
