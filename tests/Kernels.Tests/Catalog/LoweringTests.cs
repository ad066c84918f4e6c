using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Reflection;
using System.Text.RegularExpressions;
using ILGPU;
using ILGPU.Backends.EntryPoints;
using ILGPU.Backends.OpenCL;
using ILGPU.Backends.PTX;
using ILGPU.Runtime;
using ILGPU.Runtime.Cuda;
using ILGPU.Runtime.OpenCL;
using Kernels.Devices;

namespace Kernels.Tests.Catalog;

/// <summary>Every kernel becomes code that a GPU would like, which needs no GPU to see.</summary>
public sealed partial class LoweringTests
{
    // Static shared memory and registers are judged per architecture; ILGPU names at most sm_80 as the target.
    private static readonly CudaArchitecture[] s_architectures =
        [CudaArchitecture.SM_70, CudaArchitecture.SM_80, CudaArchitecture.SM_86, CudaArchitecture.SM_90];

    private static readonly ConcurrentDictionary<
        (string Id, CudaArchitecture Target), Lazy<IReadOnlyList<(string Name, string Ptx)>>> s_ptx = new();

    public static TheoryData<string> Ids() => [.. DeviceKernels.All.Keys.Order(StringComparer.Ordinal)];

    [Theory]
    [MemberData(nameof(Ids))]
    public void Becomes_clean_PTX(string id)
    {
        foreach ((string name, string ptx) in Ptx(id, CudaArchitecture.SM_80))
        {
            Assert.DoesNotContain(".f64", ptx, StringComparison.Ordinal);
            if (!IsForCpuDevices(id))
            {
                Assert.DoesNotContain(".local", ptx, StringComparison.Ordinal);
            }

            Assert.DoesNotContain(".extern .func", ptx, StringComparison.Ordinal);
            Assert.DoesNotContain(".approx", ptx, StringComparison.Ordinal);
            // ILGPU's O2 may mark a branch as uniform that is not. Sessions use O1 on CUDA, which marks none.
            Assert.False(PredicatedUniformBranch().IsMatch(ptx), $"{name} has a predicated uniform branch.");
            if (id.EndsWith("packets", StringComparison.Ordinal))
            {
                // Three scalar floats or fewer may be read one by one: the control and nothing else.
                Assert.True(
                    WideAccess().Count(ptx) >= 3, $"{name} reads and writes its tensors in less than 128 bits.");
            }
        }
    }

    [Theory]
    [MemberData(nameof(Ids))]
    public void Becomes_OpenCL(string id)
    {
        foreach (OptimizationLevel level in new[] { OptimizationLevel.O1, OptimizationLevel.O2 })
        {
            using Context context = Context.Create(b => b.EnableAlgorithms().Optimize(level));
            using var backend = new CLBackend(
                context, new CLCapabilityContext(false, false, true, false, false), CLDeviceVendor.Other,
                CLCVersion.CL30);
            foreach (MethodInfo method in DeviceKernels.All[id])
            {
                var kernel = (CLCompiledKernel)backend.Compile(
                    EntryPointDescription.FromExplicitlyGroupedKernel(method), default);
                Assert.DoesNotContain("double", kernel.Source, StringComparison.Ordinal);
            }
        }
    }

    /// <summary>With NVIDIA's assembler (its path in PTXAS): accepted everywhere, no spill, few registers.</summary>
    [Theory]
    [MemberData(nameof(Ids))]
    public void Is_accepted_by_ptxas(string id)
    {
        string? ptxas = Environment.GetEnvironmentVariable("PTXAS");
        foreach (CudaArchitecture architecture in s_architectures)
        {
            IReadOnlyList<(string Name, string Ptx)> kernels = Ptx(id, architecture);
            Assert.NotEmpty(kernels);
            if (ptxas is null || IsForCpuDevices(id))
            {
                continue; // without the assembler, generating the PTX for each architecture is what is proven
            }

            Parallel.ForEach(kernels, kernel =>
            {
                (int registers, int spills) = Assemble(ptxas, architecture, kernel.Ptx);
                Assert.True(spills == 0, $"{kernel.Name} spills {spills} bytes on {architecture}.");
                Assert.True(
                    registers <= RegisterLimit(id), $"{kernel.Name} takes {registers} registers on {architecture}.");
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
            Assert.Equal(Text(Ptx(id, CudaArchitecture.SM_80)), Text(Compile(id, architecture)));
        }

        // The names of parameters and labels are numbered through all that a process compiles.
        static string Text(IReadOnlyList<(string Name, string Ptx)> kernels) =>
            string.Concat(kernels.Select(kernel => NumberOfName().Replace(kernel.Ptx, "_")));
    }

    // 64 registers keep 1,024 threads on a multiprocessor, which the bandwidth of an element-wise step needs.
    private static int RegisterLimit(string id) =>
        id.StartsWith("optimizers/update", StringComparison.Ordinal)
        || id.StartsWith("optimizers/eightbit", StringComparison.Ordinal) ? 64 : 255;

    // Their memory is a CPU's cache, 128 KiB of shared memory and more or 2 KiB of an item: no plan launches them on a GPU.
    private static bool IsForCpuDevices(string id) => id is "linear/matmul.panel" or "vq/nearest.rows"
        or "linear/attention.rows" or "linear/attention.queryrows" or "linear/attention.keyrows"
        or "optimizers/eightbit.stepserial" or "optimizers/update.strips" or "optimizers/update.blockstrips"
        or "dct/transform.rowsixteens" or "dct/transform.columnsixteens"
        or "quantization/dequantize.rowsixteens" or "quantization/product.rowsixteens";

    /// <summary>Generated once for the targets that ILGPU tells apart.</summary>
    private static IReadOnlyList<(string Name, string Ptx)> Ptx(string id, CudaArchitecture architecture) => s_ptx.GetOrAdd(
        (id, architecture > CudaArchitecture.SM_80 ? CudaArchitecture.SM_80 : architecture),
        static key => new(() => Compile(key.Id, key.Target))).Value;

    private static IReadOnlyList<(string Name, string Ptx)> Compile(string id, CudaArchitecture architecture)
    {
        using Context context = Context.Create(b => b.EnableAlgorithms().Optimize(DeviceList.LevelFor(AcceleratorType.Cuda)));
        using var backend = new PTXBackend(
            context, new CudaCapabilityContext(architecture), architecture, CudaInstructionSet.ISA_70, null);
        var kernels = new List<(string, string)>();
        foreach (MethodInfo method in DeviceKernels.All[id])
        {
            var kernel = (PTXCompiledKernel)backend.Compile(
                EntryPointDescription.FromExplicitlyGroupedKernel(method), default);
            kernels.Add((
                $"{id}<{string.Join(", ", method.GetGenericArguments().Select(t => t.Name))}>", kernel.PTXAssembly));
        }

        return kernels;
    }

    private static (int Registers, int Spills) Assemble(string ptxas, CudaArchitecture architecture, string ptx)
    {
        string file = Path.GetTempFileName();
        try
        {
            File.WriteAllText(file, ptx);
            var start = new ProcessStartInfo(
                ptxas, ["-v", $"-arch=sm_{architecture.Major}{architecture.Minor}", file, "-o", "/dev/null"])
            {
                UseShellExecute = false,
                RedirectStandardError = true,
                RedirectStandardOutput = true,
            };
            using Process process = Process.Start(start)!;
            string output = process.StandardOutput.ReadToEnd() + process.StandardError.ReadToEnd();
            process.WaitForExit();
            Assert.True(process.ExitCode == 0, output);
            return (Number(UsedRegisters(), output), Number(SpillStores(), output) + Number(SpillLoads(), output));
        }
        finally
        {
            File.Delete(file);
        }
    }

    private static int Number(Regex regex, string text) =>
        int.Parse(regex.Match(text).Groups[1].Value, CultureInfo.InvariantCulture);

    [GeneratedRegex(@"@%?!?p\w*\s+bra\.uni")]
    private static partial Regex PredicatedUniformBranch();

    [GeneratedRegex(@"_\d+")]
    private static partial Regex NumberOfName();

    [GeneratedRegex(@"(ld|st)(\.global)?\.(v4\.[bfu]32|v2\.[bu]32)")]
    private static partial Regex WideAccess();

    [GeneratedRegex(@"Used (\d+) registers")]
    private static partial Regex UsedRegisters();

    [GeneratedRegex(@"(\d+) bytes spill stores")]
    private static partial Regex SpillStores();

    [GeneratedRegex(@"(\d+) bytes spill loads")]
    private static partial Regex SpillLoads();
}
