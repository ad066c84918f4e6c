using ILGPU;
using ILGPU.Backends.EntryPoints;
using ILGPU.Backends.OpenCL;
using ILGPU.Backends.PTX;
using ILGPU.Runtime;
using ILGPU.Runtime.Cuda;
using ILGPU.Runtime.OpenCL;
using Kernels.Devices;

namespace Kernels.Tools.Inspection;

/// <summary>An instance and what ILGPU makes of it.</summary>
/// <param name="Instance">What was compiled.</param>
/// <param name="Source">PTX or OpenCL C.</param>
/// <param name="Facts">What is counted in it.</param>
internal sealed record CompiledKernel(KernelInstance Instance, string Source, CodeFacts Facts);

/// <summary>Compiles kernels as sessions do, with no device.</summary>
internal static class KernelCompiler
{
    /// <summary>PTX for an architecture. ILGPU names sm_80 as the target of all that are newer.</summary>
    internal static IReadOnlyList<CompiledKernel> ToPtx(
        IReadOnlyList<KernelInstance> instances, CudaArchitecture architecture)
    {
        using Context context = CreateContext(DeviceList.LevelFor(AcceleratorType.Cuda));
        using var backend = new PTXBackend(
            context, new CudaCapabilityContext(architecture), architecture, CudaInstructionSet.ISA_70, null);
        return [.. instances.Select(instance =>
        {
            string ptx = ((PTXCompiledKernel)backend.Compile(DescriptionOf(instance), default)).PTXAssembly;
            return new CompiledKernel(instance, ptx, PtxCode.Read(ptx));
        })];
    }

    /// <summary>OpenCL C for a device that has no more than OpenCL asks for.</summary>
    internal static IReadOnlyList<CompiledKernel> ToOpenCl(
        IReadOnlyList<KernelInstance> instances, OptimizationLevel? level = null)
    {
        using Context context = CreateContext(level ?? DeviceList.LevelFor(AcceleratorType.OpenCL));
        using var backend = new CLBackend(
            context, new CLCapabilityContext(false, false, true, false, false), CLDeviceVendor.Other, CLCVersion.CL30);
        return [.. instances.Select(instance =>
        {
            string source = ((CLCompiledKernel)backend.Compile(DescriptionOf(instance), default)).Source;
            return new CompiledKernel(instance, source, OpenClCode.Read(source));
        })];
    }

    private static Context CreateContext(OptimizationLevel level) =>
        Context.Create(builder => builder.EnableAlgorithms().Optimize(level));

    private static EntryPointDescription DescriptionOf(KernelInstance instance) =>
        EntryPointDescription.FromExplicitlyGroupedKernel(instance.Method);
}
