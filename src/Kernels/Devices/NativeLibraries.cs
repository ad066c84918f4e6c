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
    private static readonly Lock s_gate = new();
    private static bool s_isRegistered;

    internal static void Register()
    {
        // Who comes second must not go on before the first is done: it would find no driver, and see no device.
        lock (s_gate)
        {
            if (OperatingSystem.IsLinux() && !s_isRegistered)
            {
                AssemblyLoadContext.Default.ResolvingUnmanagedDll += Resolve;
                s_isRegistered = true;
            }
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
