using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using System.Reflection;
using System.Runtime.CompilerServices;
using ILGPU;
using ILGPU.Runtime;
using Kernels.Cuda;

namespace Kernels;

/// <summary>
/// Loads kernels, each once for an accelerator. ILGPU's loaders, which these stand before in this namespace, forget a
/// kernel as soon as nobody holds it: the next optimizer of the same kind would compile it anew, and OpenCL's own cache
/// would not know it again, since the names in the generated source differ. Here it stays as long as its accelerator.
/// </summary>
[RequiresDynamicCode(Reason)]
internal static class LoadedKernels
{
    /// <summary>Why what loads kernels cannot be compiled ahead of time.</summary>
    internal const string Reason = "ILGPU compiles kernels, and emits their launchers, at run time.";

    /// <summary>Why parts of an object need not say it again.</summary>
    internal const string Told = "The object that this is a part of says so where it is made.";

    private static readonly ConditionalWeakTable<Accelerator, ConcurrentDictionary<MethodInfo, Delegate>> s_loaded = [];

    internal static Action<AcceleratorStream, KernelConfig, T1> LoadKernel<T1>(
        this Accelerator accelerator, Action<T1> kernel)
        where T1 : struct => Get(accelerator, kernel, KernelLoaders.LoadKernel);

    internal static Action<AcceleratorStream, KernelConfig, T1, T2> LoadKernel<T1, T2>(
        this Accelerator accelerator, Action<T1, T2> kernel)
        where T1 : struct
        where T2 : struct => Get(accelerator, kernel, KernelLoaders.LoadKernel);

    internal static Action<AcceleratorStream, KernelConfig, T1, T2, T3> LoadKernel<T1, T2, T3>(
        this Accelerator accelerator, Action<T1, T2, T3> kernel)
        where T1 : struct
        where T2 : struct
        where T3 : struct => Get(accelerator, kernel, KernelLoaders.LoadKernel);

    internal static Action<AcceleratorStream, KernelConfig, T1, T2, T3, T4> LoadKernel<T1, T2, T3, T4>(
        this Accelerator accelerator, Action<T1, T2, T3, T4> kernel)
        where T1 : struct
        where T2 : struct
        where T3 : struct
        where T4 : struct => Get(accelerator, kernel, KernelLoaders.LoadKernel);

    internal static Action<AcceleratorStream, KernelConfig, T1, T2, T3, T4, T5> LoadKernel<T1, T2, T3, T4, T5>(
        this Accelerator accelerator, Action<T1, T2, T3, T4, T5> kernel)
        where T1 : struct
        where T2 : struct
        where T3 : struct
        where T4 : struct
        where T5 : struct => Get(accelerator, kernel, KernelLoaders.LoadKernel);

    internal static Action<AcceleratorStream, KernelConfig, T1, T2, T3, T4, T5, T6> LoadKernel<T1, T2, T3, T4, T5, T6>(
        this Accelerator accelerator, Action<T1, T2, T3, T4, T5, T6> kernel)
        where T1 : struct
        where T2 : struct
        where T3 : struct
        where T4 : struct
        where T5 : struct
        where T6 : struct => Get(accelerator, kernel, KernelLoaders.LoadKernel);

    internal static Action<AcceleratorStream, KernelConfig, T1, T2, T3, T4, T5, T6, T7> LoadKernel<
        T1, T2, T3, T4, T5, T6, T7>(this Accelerator accelerator, Action<T1, T2, T3, T4, T5, T6, T7> kernel)
        where T1 : struct
        where T2 : struct
        where T3 : struct
        where T4 : struct
        where T5 : struct
        where T6 : struct
        where T7 : struct => Get(accelerator, kernel, KernelLoaders.LoadKernel);

    private static TLauncher Get<TKernel, TLauncher>(
        Accelerator accelerator, TKernel kernel, Func<Accelerator, TKernel, TLauncher> load)
        where TKernel : Delegate
        where TLauncher : Delegate
    {
        ConcurrentDictionary<MethodInfo, Delegate> loaded = s_loaded.GetOrCreateValue(accelerator);
        return (TLauncher)loaded.GetOrAdd(
            kernel.Method,
            (method, key) => key.accelerator is PrimaryAccelerator primary
                ? primary.Load<TLauncher>(method)
                : load(key.accelerator, key.kernel),
            (accelerator, kernel));
    }
}
