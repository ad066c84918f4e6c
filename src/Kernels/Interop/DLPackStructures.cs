using System.Runtime.InteropServices;

namespace Kernels.Interop;

/// <summary>Kind and number of a device. 1 is a CPU, 2 CUDA, 3 pinned memory of CUDA.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct DLDevice
{
    internal const int Cpu = 1;
    internal const int Cuda = 2;
    internal const int CudaHost = 3;

    internal int Kind;
    internal int Index;
}

/// <summary>Code (0 signed, 1 unsigned, 2 floating point, 4 bfloat), bits, and elements side by side.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct DLDataType
{
    internal byte Code;
    internal byte Bits;
    internal ushort Lanes;
}

/// <summary>A tensor; the strides count elements.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct DLTensor
{
    internal nint Data;
    internal DLDevice Device;
    internal int Dimensions;
    internal DLDataType Type;
    internal long* Shape;
    internal long* Strides;
    internal ulong ByteOffset;
}

/// <summary>A tensor with the function that gives it back.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct DLManagedTensor
{
    internal DLTensor Tensor;
    internal nint Context;
    internal nint Deleter;
}

/// <summary>The same since version 1.0. Up to the flags the layout is the same in all versions to come.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct DLManagedTensorVersioned
{
    internal const ulong ReadOnly = 1;
    internal const uint KnownMajor = 1;

    internal uint Major;
    internal uint Minor;
    internal nint Context;
    internal nint Deleter;
    internal ulong Flags;
    internal DLTensor Tensor;
}
