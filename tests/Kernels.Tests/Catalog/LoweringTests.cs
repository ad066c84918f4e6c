using System.Collections.Concurrent;
using System.Text.RegularExpressions;
using ILGPU;
using ILGPU.Runtime.Cuda;
using Kernels.Tools.Inspection;

namespace Kernels.Tests.Catalog;

/// <summary>Every kernel becomes code that a GPU would like, which needs no GPU to see.</summary>
public sealed partial class LoweringTests
{
    // Static shared memory and registers are judged per architecture; ILGPU names at most sm_80 as the target.
    private static readonly CudaArchitecture[] s_architectures =
        [CudaArchitecture.SM_70, CudaArchitecture.SM_80, CudaArchitecture.SM_86, CudaArchitecture.SM_90];

    private static readonly ConcurrentDictionary<
        (string Id, CudaArchitecture Target), Lazy<IReadOnlyList<CompiledKernel>>> s_ptx = new();

    public static TheoryData<string> Ids() => [.. DeviceKernels.Ids];

    [Theory]
    [MemberData(nameof(Ids))]
    public void Becomes_clean_PTX(string id)
    {
        // ILGPU's O2 may mark a branch as uniform that is not. Sessions use O1 on CUDA, which marks none.
        CodeMarks allowed = IsForCpuDevices(id) ? CodeMarks.LocalMemory | CodeMarks.ExternalFunction : CodeMarks.None;
        foreach (CompiledKernel kernel in Ptx(id, CudaArchitecture.SM_80))
        {
            CodeMarks marks = kernel.Facts.Marks & ~allowed;
            Assert.True(marks == CodeMarks.None, $"{kernel.Instance.Name} has {marks}.");
            // OpenClCpu has them.
            Assert.All(
                ExternalFunction().Matches(kernel.Source),
                function => Assert.True(function.Groups[1].Value is "fma" or "__builtin_prefetch", function.Value));
            Assert.NotEqual(0, kernel.Facts.Total);
            if (id.EndsWith("packets", StringComparison.Ordinal))
            {
                // Three scalar floats or fewer may be read one by one: the control and nothing else.
                int wide = kernel.Facts.Accesses.Where(IsWide).Sum(access => access.Count);
                Assert.True(wide >= 3, $"{kernel.Instance.Name} reads and writes its tensors in less than 128 bits.");
            }
        }
    }

    [Theory]
    [MemberData(nameof(Ids))]
    public void Becomes_OpenCL(string id)
    {
        foreach (OptimizationLevel level in new[] { OptimizationLevel.O1, OptimizationLevel.O2 })
        {
            foreach (CompiledKernel kernel in KernelCompiler.ToOpenCl(DeviceKernels.Instances(id), level))
            {
                Assert.False(kernel.Facts.Marks.HasFlag(CodeMarks.Binary64), $"{kernel.Instance.Name} has doubles.");
                Assert.NotEqual(0, kernel.Facts.Total);
            }
        }
    }

    /// <summary>With NVIDIA's assembler (its path in PTXAS): accepted everywhere, no spill, few registers.</summary>
    [Theory]
    [MemberData(nameof(Ids))]
    public void Is_accepted_by_ptxas(string id)
    {
        // One in PATH is not asked for: it may be of any version.
        Assembler? ptxas = Environment.GetEnvironmentVariable(Assembler.Variable) is null ? null : Assembler.Find();
        foreach (CudaArchitecture architecture in s_architectures)
        {
            IReadOnlyList<CompiledKernel> kernels = Ptx(id, architecture);
            Assert.NotEmpty(kernels);
            if (ptxas is null || IsForCpuDevices(id))
            {
                continue; // without the assembler, generating the PTX for each architecture is what is proven
            }

            Parallel.ForEach(kernels, kernel =>
            {
                string name = kernel.Instance.Name;
                AssemblyReport report = ptxas.Assemble(kernel.Source, Architecture.NameOf(architecture));
                Assert.True(report.Problem is null, report.Problem);
                int spills = report.SpillStoreBytes + report.SpillLoadBytes;
                Assert.True(spills == 0, $"{name} spills {spills} bytes on {architecture}.");
                Assert.True(
                    report.Registers <= RegisterLimit(id), $"{name} takes {report.Registers} registers on {architecture}.");
            });
        }
    }

    /// <summary>What <see cref="Ptx"/> rests on.</summary>
    [Theory]
    [InlineData("linear/matmul.tile")]
    [InlineData("reductions/walks.blocks")]
    [InlineData("vq/segmentsort.scatter")]
    [InlineData("dct/transform.shared")]
    public void Beyond_sm_80_the_PTX_is_that_of_sm_80(string id)
    {
        foreach (CudaArchitecture architecture in s_architectures.Where(a => a > CudaArchitecture.SM_80))
        {
            Assert.Equal(
                Text(Ptx(id, CudaArchitecture.SM_80)), Text(KernelCompiler.ToPtx(DeviceKernels.Instances(id), architecture)));
        }

        // The names of parameters and labels are numbered through all that a process compiles.
        static string Text(IReadOnlyList<CompiledKernel> kernels) =>
            string.Concat(kernels.Select(kernel => NumberOfName().Replace(kernel.Source, "_")));
    }

    // 128 bits, or the 64 of four halves.
    private static bool IsWide(MemoryAccess access) => access.Space == MemorySpace.Global
        && access.Type is "v4.b32" or "v4.f32" or "v4.u32" or "v2.b32" or "v2.u32";

    // 64 registers keep 1,024 threads on a multiprocessor, which the bandwidth of an element-wise step needs.
    private static int RegisterLimit(string id) =>
        id.StartsWith("optimizers/update", StringComparison.Ordinal)
        || id.StartsWith("optimizers/eightbit", StringComparison.Ordinal) ? 64 : 255;

    // No plan launches them on a GPU: their memory is a CPU's cache, 128 KiB of shared memory and more or 2 KiB of an item, or
    // they call what OpenClCpu has.
    private static bool IsForCpuDevices(string id) => id is "linear/matmul.panel" or "vq/nearest.rows"
        or "linear/attention.rows" or "linear/attention.queryrows" or "linear/attention.keyrows"
        or "optimizers/eightbit.stepserial" or "optimizers/update.strips" or "optimizers/update.blockstrips"
        or "dct/transform.rowsixteens" or "dct/transform.columnsixteens"
        or "quantization/dequantize.rowsixteens" or "quantization/product.rowsixteens"
        or "quantization/partialsums.tablesixteens" or "linear/layernorm.forwardrows" or "linear/layernorm.backwardrows";

    /// <summary>Generated once for the targets that ILGPU tells apart.</summary>
    private static IReadOnlyList<CompiledKernel> Ptx(string id, CudaArchitecture architecture) => s_ptx.GetOrAdd(
        (id, architecture > CudaArchitecture.SM_80 ? CudaArchitecture.SM_80 : architecture),
        static key => new(() => KernelCompiler.ToPtx(DeviceKernels.Instances(key.Id), key.Target))).Value;

    [GeneratedRegex(@"\.extern\s+\.func[^;]*?(\w+)\s*\(")]
    private static partial Regex ExternalFunction();

    [GeneratedRegex(@"_\d+")]
    private static partial Regex NumberOfName();
}
