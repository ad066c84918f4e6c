using Kernels.Validation;

namespace Kernels.Serialization;

/// <summary>What the elements of a tensor in a file are.</summary>
public enum SafeTensorType
{
    /// <summary>IEEE binary32, 4 bytes.</summary>
    F32,

    /// <summary>IEEE binary16, 2 bytes.</summary>
    F16,

    /// <summary>bfloat16, 2 bytes.</summary>
    BF16,

    /// <summary>Signed integer of 4 bytes.</summary>
    I32,

    /// <summary>Signed integer of 8 bytes.</summary>
    I64,

    /// <summary>Unsigned byte.</summary>
    U8,
}

/// <summary>A tensor of a file: its name, its type and its shape.</summary>
public sealed record SafeTensorInfo
{
    /// <summary>Describes a tensor.</summary>
    /// <param name="name">Unique in its file, and not <c>__metadata__</c>.</param>
    /// <param name="type">What the elements are.</param>
    /// <param name="shape">Lengths of the dimensions, each at least 0; none means a single number.</param>
    /// <exception cref="ArgumentException">The name is empty or reserved.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A length is negative, or the type is none.</exception>
    /// <exception cref="OverflowException">The tensor has more than 2^63 - 1 bytes.</exception>
    public SafeTensorInfo(string name, SafeTensorType type, params ReadOnlySpan<long> shape)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        if (string.Equals(name, SafeTensors.MetadataKey, StringComparison.Ordinal))
        {
            throw new ArgumentException($"'{SafeTensors.MetadataKey}' is not the name of a tensor.", nameof(name));
        }

        Require.Defined(type);
        long length = 1;
        foreach (long dimension in shape)
        {
            Require.AtLeast(dimension, 0, nameof(shape));
            length = checked(length * dimension);
        }

        Name = name;
        Type = type;
        Shape = [.. shape];
        Length = length;
        ByteLength = checked(length * SafeTensors.Bytes(type));
    }

    /// <summary>Its name.</summary>
    public string Name { get; }

    /// <summary>What the elements are.</summary>
    public SafeTensorType Type { get; }

    /// <summary>Lengths of the dimensions, slowest first.</summary>
    public IReadOnlyList<long> Shape { get; }

    /// <summary>Number of elements.</summary>
    public long Length { get; }

    /// <summary>Bytes of all elements.</summary>
    public long ByteLength { get; }

    /// <summary>First byte, counted from the start of the data.</summary>
    internal long Begin { get; init; }

    /// <summary>Type and shape, as in <c>F32[128, 64]</c>.</summary>
    public override string ToString() => $"{Type}[{string.Join(", ", Shape)}]";
}

/// <summary>What reader and writer share.</summary>
internal static class SafeTensors
{
    internal const string MetadataKey = "__metadata__";

    /// <summary>The limit that the format's own library sets.</summary>
    internal const int MaxHeaderBytes = 100_000_000;

    internal static int Bytes(SafeTensorType type) => type switch
    {
        SafeTensorType.F16 or SafeTensorType.BF16 => 2,
        SafeTensorType.I64 => 8,
        SafeTensorType.U8 => 1,
        _ => 4,
    };

    /// <summary>The elements of the tensor are of this type in memory.</summary>
    /// <exception cref="ArgumentException">They are not.</exception>
    internal static void RequireType<T>(SafeTensorInfo tensor)
    {
        bool fits = tensor.Type switch
        {
            SafeTensorType.F32 => typeof(T) == typeof(float),
            SafeTensorType.F16 =>
                typeof(T) == typeof(Half) || typeof(T) == typeof(ILGPU.Half) || typeof(T) == typeof(ushort),
            SafeTensorType.BF16 => typeof(T) == typeof(ushort),
            SafeTensorType.I32 => typeof(T) == typeof(int),
            SafeTensorType.I64 => typeof(T) == typeof(long),
            _ => typeof(T) == typeof(byte),
        };
        if (!fits)
        {
            throw new ArgumentException(
                $"The tensor '{tensor.Name}' is {tensor.Type}; its elements are not {typeof(T).Name}.",
                nameof(tensor));
        }
    }
}
