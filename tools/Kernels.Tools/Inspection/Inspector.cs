using System.Runtime.ExceptionServices;

namespace Kernels.Tools.Inspection;

/// <summary>What code is looked at.</summary>
internal enum InspectionTarget
{
    Ptx,
    OpenCl,
    Sass,
}

/// <summary>Everything that is known of one instance without running it.</summary>
/// <param name="Kernel">The instance, its code, and what is counted in it.</param>
/// <param name="Assembly">What the assembler says; null without one, and of OpenCL C.</param>
/// <param name="Contract">What its documentation promises.</param>
/// <param name="GroupSize">Items of a group, as asked for, else as declared, else 256.</param>
/// <param name="Occupancy">Of that group, where the assembler tells the registers.</param>
internal sealed record KernelInspection(
    CompiledKernel Kernel, AssemblyReport? Assembly, Contract Contract, int GroupSize, Occupancy? Occupancy);

/// <summary>Compiles kernels, counts what is in them, and asks the assembler where there is one.</summary>
/// <param name="target">The code that is looked at.</param>
/// <param name="architecture">For PTX and machine code.</param>
/// <param name="groupSize">Items of a group, where it is not for the kernel to say.</param>
internal sealed class Inspector(InspectionTarget target, Architecture architecture, int? groupSize)
{
    private const int UsualGroupSize = 256;

    private readonly Assembler? _assembler = target == InspectionTarget.OpenCl ? null : Assembler.Find();
    private readonly string? _disassembler = target == InspectionTarget.Sass
        ? (Assembler.Find() ?? throw new BadInputException(
            $"Machine code is made by NVIDIA's ptxas, which is not in PATH; the variable {Assembler.Variable} can name it."))
            .FindDisassembler()
        : null;

    internal InspectionTarget Target => target;

    internal Architecture Architecture => architecture;

    /// <summary>Whether registers, spills and occupancy are known.</summary>
    internal bool HasAssembler => _assembler is not null;

    /// <summary>Inspects instances, in their order.</summary>
    internal IReadOnlyList<KernelInspection> Inspect(IReadOnlyList<KernelInstance> instances)
    {
        IReadOnlyList<CompiledKernel> kernels = target == InspectionTarget.OpenCl
            ? KernelCompiler.ToOpenCl(instances)
            : KernelCompiler.ToPtx(instances, architecture.Target);
        try
        {
            return [.. kernels.AsParallel().AsOrdered().WithDegreeOfParallelism(Environment.ProcessorCount).Select(Inspect)];
        }
        catch (AggregateException e) when (e.InnerException is BadInputException inner)
        {
            ExceptionDispatchInfo.Throw(inner);
            throw;
        }
    }

    private KernelInspection Inspect(CompiledKernel kernel)
    {
        AssemblyReport? report = null;
        if (_assembler is not null && _disassembler is not null)
        {
            (report, string sass) = _assembler.Disassemble(kernel.Source, architecture.Name, _disassembler);
            kernel = kernel with
            {
                Source = sass,
                Facts = SassCode.Read(sass) with
                {
                    SharedBytes = kernel.Facts.SharedBytes,
                    IsSharedOpen = kernel.Facts.IsSharedOpen,
                    LocalBytes = report.StackBytes,
                },
            };
        }
        else
        {
            report = _assembler?.Assemble(kernel.Source, architecture.Name);
        }

        var contract = Contract.Of(kernel.Instance);
        int size = groupSize ?? contract.GroupSize ?? UsualGroupSize;
        Occupancy? occupancy = report is { Problem: null }
            ? architecture.OccupancyOf(report.Registers, report.SharedBytes, size)
            : null;
        return new KernelInspection(kernel, report, contract, size, occupancy);
    }
}
