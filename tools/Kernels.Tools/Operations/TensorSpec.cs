namespace Kernels.Tools.Operations;

/// <summary>What the elements of a tensor of a case are.</summary>
internal enum ElementType
{
    /// <summary>binary32; binary64 of a .npy file is rounded to it.</summary>
    Float32,

    /// <summary>Integer of 32 bits; any integers of a .npy file that fit are taken.</summary>
    Int32,
}

/// <summary>An input or output of an operation.</summary>
/// <param name="Name">Its name in the case.</param>
/// <param name="Type">What its elements are.</param>
/// <param name="Shape">Its dimensions in symbols; the same symbol has the same length everywhere.</param>
/// <param name="Meaning">One line for people.</param>
/// <param name="IsOptional">Whether a case may leave it out.</param>
internal sealed record TensorSpec(
    string Name, ElementType Type, IReadOnlyList<string> Shape, string Meaning, bool IsOptional = false)
{
    /// <summary>As in <c>float32 [T, n]</c>.</summary>
    public override string ToString() => $"{TypeName} [{string.Join(", ", Shape)}]";

    internal string TypeName => Type == ElementType.Float32 ? "float32" : "int32";
}

/// <summary>A tensor on the host, row by row.</summary>
/// <param name="Shape">Lengths of the dimensions.</param>
/// <param name="Data"><c>float[]</c> or <c>int[]</c>.</param>
internal sealed record HostTensor(int[] Shape, Array Data);
