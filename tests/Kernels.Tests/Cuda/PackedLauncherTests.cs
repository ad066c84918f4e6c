using System.Globalization;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Text.RegularExpressions;
using ILGPU;
using ILGPU.Backends.EntryPoints;
using ILGPU.Backends.PTX;
using ILGPU.Runtime;
using ILGPU.Runtime.Cuda;
using Kernels.Cuda;
using Kernels.Tests.Support;
using Kernels.Tools.Inspection;

namespace Kernels.Tests.Cuda;

/// <summary>Parameters are packed as the PTX that ILGPU writes wants them, which needs no device to be seen.</summary>
public sealed partial class PackedLauncherTests
{
    private delegate void Spread(AcceleratorStream stream, KernelConfig config, Mixed mixed, byte between, ArrayView<float> found);

    private delegate void Line(AcceleratorStream stream, Index1D extent, byte value, ArrayView<float> found);

    [Fact]
    public void Fields_lie_where_the_PTX_reads_them()
    {
        Accelerator accelerator = TestDevices.Warp(2);
        using MemoryBuffer1D<float, Stride1D.Dense> values = accelerator.Allocate1D<float>(8);
        using MemoryBuffer1D<float, Stride1D.Dense> found = accelerator.Allocate1D<float>(5);
        using Context context = Context.Create(builder => builder.EnableAlgorithms());
        using var compiler = new PTXBackend(
            context, new CudaCapabilityContext(CudaArchitecture.SM_80), CudaArchitecture.SM_80, CudaInstructionSet.ISA_70, null);
        var sink = new Sink();

        var description = EntryPointDescription.FromExplicitlyGroupedKernel(
            ((Action<Mixed, byte, ArrayView<float>>)TestKernels.Spread).Method);
        PackedLauncher.Emit(compiler, description, typeof(Sink), null, Sink.Method, 0).CreateDelegate<Spread>(sink)(
            null!, new KernelConfig(3, 4), TestKernels.Mix(values.View.BaseView.SubView(2, 3)), 200, found.View);
        (int[] offsets, int bytes) = Layout(compiler, description);
        Assert.Equal(bytes, sink.Packed.Length);
        Assert.Equal((new Index3D(3, 1, 1), new Index3D(4, 1, 1)), sink.Config.ToDimensions());
        Span<byte> mixed = sink.Packed.AsSpan(offsets[0]);
        Assert.Equal(11, mixed[0]);
        Assert.Equal(-1234, MemoryMarshal.Read<short>(mixed[2..]));
        Assert.Equal(values.NativePtr + 8, MemoryMarshal.Read<nint>(mixed[8..]));
        Assert.Equal(3, MemoryMarshal.Read<long>(mixed[16..]));
        Assert.Equal(13, mixed[24]);
        Assert.Equal(0.1, MemoryMarshal.Read<double>(mixed[32..]));
        Assert.Equal(-7, MemoryMarshal.Read<int>(mixed[40..]));
        Assert.Equal(17, mixed[48]);
        Assert.Equal(200, sink.Packed[offsets[1]]);
        Assert.Equal(found.NativePtr, MemoryMarshal.Read<nint>(sink.Packed.AsSpan(offsets[2])));
        Assert.Equal(5, MemoryMarshal.Read<long>(sink.Packed.AsSpan(offsets[2] + 8)));

        // One that ILGPU groups: its extent comes first.
        description = EntryPointDescription.FromImplicitlyGroupedKernel(
            ((Action<Index1D, byte, ArrayView<float>>)TestKernels.Line).Method);
        PackedLauncher.Emit(compiler, description, typeof(Sink), null, Sink.Method, 4).CreateDelegate<Line>(sink)(
            null!, 10, 200, found.View);
        (offsets, bytes) = Layout(compiler, description);
        Assert.Equal(bytes, sink.Packed.Length);
        Assert.Equal((new Index3D(3, 1, 1), new Index3D(4, 1, 1)), sink.Config.ToDimensions());
        Assert.Equal(10, MemoryMarshal.Read<int>(sink.Packed));
        Assert.Equal(200, sink.Packed[offsets[1]]);
        Assert.Equal(found.NativePtr, MemoryMarshal.Read<nint>(sink.Packed.AsSpan(offsets[2])));
    }

    /// <summary>The kernels of the library, of every number of parameters.</summary>
    [Theory]
    [InlineData("optimizers/update.packets")]
    [InlineData("optimizers/update.blockpackets")]
    [InlineData("reductions/walks.items")]
    [InlineData("linear/matmul.tile")]
    [InlineData("vq/nearest.tile")]
    [InlineData("dct/transform.shared")]
    public void Kernels_of_the_library_get_as_many_bytes_as_their_PTX_wants(string id)
    {
        using Context context = Context.Create(builder => builder.EnableAlgorithms());
        using var compiler = new PTXBackend(
            context, new CudaCapabilityContext(CudaArchitecture.SM_80), CudaArchitecture.SM_80, CudaInstructionSet.ISA_70, null);
        IReadOnlyList<KernelInstance> instances = DeviceKernels.Instances(id);
        Assert.NotEmpty(instances);
        foreach (KernelInstance instance in instances.Take(3))
        {
            var description = EntryPointDescription.FromExplicitlyGroupedKernel(instance.Method);
            var sink = new Sink();
            MethodInfo launcher = PackedLauncher.Emit(compiler, description, typeof(Sink), null, Sink.Method, 0);
            object?[] arguments =
            [
                sink, null, new KernelConfig(1, 1),
                .. instance.Method.GetParameters().Select(parameter => Activator.CreateInstance(parameter.ParameterType)),
            ];
            launcher.Invoke(null, arguments);
            Assert.Equal(Layout(compiler, description).Bytes, sink.Packed.Length);
        }
    }

    /// <summary>Where the driver looks for each parameter: aligned, in order.</summary>
    private static (int[] Offsets, int Bytes) Layout(PTXBackend compiler, in EntryPointDescription description)
    {
        string ptx = ((PTXCompiledKernel)compiler.Compile(description, default)).PTXAssembly;
        string entry = ptx[ptx.IndexOf(".entry", StringComparison.Ordinal)..];
        var offsets = new List<int>();
        int end = 0;
        foreach (Match match in Parameter().Matches(entry[..entry.IndexOf(')', StringComparison.Ordinal)]))
        {
            int bytes = int.Parse(match.Groups["bits"].Value, CultureInfo.InvariantCulture) / 8;
            int align = match.Groups["align"].Success ? int.Parse(match.Groups["align"].Value, CultureInfo.InvariantCulture) : bytes;
            int count = match.Groups["count"].Success ? int.Parse(match.Groups["count"].Value, CultureInfo.InvariantCulture) : 1;
            offsets.Add((end + align - 1) / align * align);
            end = offsets[^1] + (bytes * count);
        }

        return ([.. offsets], end);
    }

    [GeneratedRegex(@"\.param\s+(\.align\s+(?<align>\d+)\s+)?\.[bsuf](?<bits>\d+)\s+\w+(\[(?<count>\d+)\])?", RegexOptions.ExplicitCapture)]
    private static partial Regex Parameter();

    /// <summary>Takes what a launcher has packed in the place of a loaded kernel.</summary>
    private sealed class Sink
    {
        internal static readonly MethodInfo Method = typeof(Sink).GetMethod(nameof(Take), BindingFlags.NonPublic | BindingFlags.Static)!;

        internal byte[] Packed { get; private set; } = [];

        internal KernelConfig Config { get; private set; }

        private static void Take(Sink sink, AcceleratorStream stream, KernelConfig config, nint arguments, int bytes)
        {
            sink.Config = config;
            sink.Packed = new byte[bytes];
            Marshal.Copy(arguments, sink.Packed, 0, bytes);
        }
    }
}
