using ILGPU.Frontend;

namespace Kernels.DeviceCode.Common;

/// <summary>
/// Functions of OpenCL C that ILGPU has no name for. Only kernels of OpenCL CPU devices may call them: in PTX there are no
/// such functions. On the CPU accelerator they do what their bodies say.
/// </summary>
internal static class OpenClCpu
{
    /// <summary>
    /// a b + c, rounded once: an instruction of every CPU that has SIMD for it, and far slower where there is none. ILGPU
    /// makes a statement of each operation, and OpenCL compilers contract within one alone. On the CPU accelerator the
    /// product is rounded too: bounds must hold for both.
    /// </summary>
    [External("fma")]
    internal static float MultiplyAdd(float a, float b, float c) => a * b + c;

    /// <summary>
    /// Asks for the cache line of an element that is needed later, and does not wait for it. The compilers of OpenCL CPU
    /// devices are all made of Clang, which has this function.
    /// </summary>
    [External("__builtin_prefetch")]
    internal static void Prefetch(ref float element)
    {
    }
}
