using System.Reflection;
using System.Runtime.InteropServices;
using System.Runtime.Loader;

namespace Kernels.Devices;

/// <summary>
/// Helps the runtime find the drivers: Linux distributions install <c>libOpenCL.so.1</c> and <c>libcuda.so.1</c>, and
/// the names without a version, which ILGPU asks for, only with their development packages.
/// </summary>
internal static class NativeLibraries
{
    private static int s_registered;

    internal static void Register()
    {
        if (OperatingSystem.IsLinux() && Interlocked.Exchange(ref s_registered, 1) == 0)
        {
            AssemblyLoadContext.Default.ResolvingUnmanagedDll += Resolve;
        }
    }

    private static nint Resolve(Assembly assembly, string name)
    {
        string? file = name switch
        {
            "OpenCL" => "libOpenCL.so.1",
            "cuda" => "libcuda.so.1",
            _ => null,
        };
        return file is not null && NativeLibrary.TryLoad(file, out nint handle) ? handle : 0;
    }
}
