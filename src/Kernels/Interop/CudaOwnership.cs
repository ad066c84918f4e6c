using System.Runtime.InteropServices;
using ILGPU.Runtime.Cuda;

namespace Kernels.Interop;

/// <summary>
/// Whose memory of a CUDA device it is. ILGPU's accelerator has a context of its own, and a kernel that reads memory of
/// another context, such as the one most frameworks share, is ended by the driver.
/// </summary>
internal static unsafe class CudaOwnership
{
    private const int ContextAttribute = 1;

    private static readonly Lazy<nint> s_driver = new(
        () => NativeLibrary.Load(OperatingSystem.IsWindows() ? "nvcuda.dll" : "libcuda.so.1"));

    /// <summary>Whether the address is of memory that was allocated in the accelerator's context.</summary>
    internal static bool IsOf(CudaAccelerator accelerator, nint address)
    {
        var current = (delegate* unmanaged<nint*, int>)NativeLibrary.GetExport(s_driver.Value, "cuCtxGetCurrent");
        var attribute = (delegate* unmanaged<nint*, int, nint, int>)NativeLibrary.GetExport(
            s_driver.Value, "cuPointerGetAttribute");
        var binding = accelerator.BindScoped();
        nint own = 0;
        nint of = 0;
        int failed = current(&own);
        failed |= attribute(&of, ContextAttribute, address);
        binding.Recover();
        return failed == 0 && own == of;
    }
}
