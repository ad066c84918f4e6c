using System.Reflection;
using ILGPU;
using ILGPU.Algorithms;
using ILGPU.Backends.PTX;
using Kernels.DeviceCode.Common;

namespace Kernels.Cuda;

/// <summary>What a kernel's PTX depends on, as one line of text.</summary>
internal static class PtxKey
{
    /// <summary>The key of a kernel as this compiler makes it.</summary>
    internal static string Of(MethodInfo method, PTXBackend compiler)
    {
        ContextProperties settings = compiler.Context.Properties;
        return Of(
            method,
            $"{compiler.Architecture} {compiler.Capabilities.TargetArchitecture} {compiler.InstructionSet} "
            + $"{settings.OptimizationLevel} {settings.InliningMode} {settings.MathMode}");
    }

    /// <summary>The key of a kernel for a target.</summary>
    /// <param name="method">The kernel; its type arguments are its storage, its rule and whatever else it takes.</param>
    /// <param name="target">Architecture, instruction set and how it is compiled.</param>
    internal static string Of(MethodInfo method, string target) =>
        $"{method.DeclaringType} {method} | {target} | {string.Join(' ', CodeOf(method))}";

    // A build of an assembly has an identity of its own: the kernel's, those of its type arguments and parameters, and
    // those whose methods ILGPU compiles into kernels or that compile them.
    private static IEnumerable<string> CodeOf(MethodInfo method)
    {
        var modules = new HashSet<Module>
        {
            typeof(PtxKey).Module, typeof(DeviceKernelAttribute).Module, typeof(Context).Module, typeof(XMath).Module,
            typeof(object).Module, method.Module,
        };
        var left = new Queue<Type>(method.GetGenericArguments());
        foreach (ParameterInfo parameter in method.GetParameters())
        {
            left.Enqueue(parameter.ParameterType);
        }

        while (left.TryDequeue(out Type? type))
        {
            modules.Add(type.Module);
            Array.ForEach(type.GetGenericArguments(), left.Enqueue);
        }

        return modules
            .Select(module => $"{Path.GetFileNameWithoutExtension(module.ScopeName)}:{module.ModuleVersionId:N}")
            .Order(StringComparer.Ordinal);
    }
}
