using ILGPU.Frontend;

namespace Kernels.DeviceCode.Common;

/// <summary>Asks for memory that is needed later, and does not wait for it.</summary>
internal static class Prefetch
{
    /// <summary>
    /// Brings the cache line of an element to the caches of a core. On OpenCL CPU devices alone: their compilers are all
    /// made of Clang, which has this function. On the CPU accelerator it does nothing, in PTX there is no such function.
    /// </summary>
    [External("__builtin_prefetch")]
    internal static void Line(ref float element)
    {
    }
}
