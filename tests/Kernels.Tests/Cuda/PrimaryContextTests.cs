using System.Runtime.InteropServices;
using ILGPU;
using ILGPU.Runtime;
using ILGPU.Runtime.Cuda;
using Kernels.Cuda;
using Kernels.Optimizers;
using Kernels.Tests.Support;
using Kernels.VectorQuantization;
using Xunit.Abstractions;

namespace Kernels.Tests.Cuda;

/// <summary>Operations in the primary context use what others have there, and leave no trace on the thread.</summary>
public sealed class PrimaryContextTests(ITestOutputHelper output)
{
    private const int Elements = 1003; // packets of four and a tail
    private static readonly AdamWOptions s_options = new() { LearningRate = 1e-2 };

    /// <summary>What the caller has current.</summary>
    public enum Before
    {
        Nothing,
        Another,
        Primary,
    }

    [Fact]
    public void A_step_on_memory_and_a_stream_of_somebody_else_gives_the_bits_of_ILGPUs_own_accelerator() =>
        CudaOnly.Run(output, () =>
        {
            float[][] start = Start(1);
            using var foreign = new ForeignUser();
            using PrimaryContext primary = Open();
            nint stream = foreign.CreateStream();
            nint[] memory = [.. start.Select(values => foreign.Allocate<float>(values))];
            var adam = new UpdateLauncher(primary.Accelerator, s_options);
            Step(adam, primary, stream, memory, 1);
            Step(adam, primary, stream, memory, 2);
            foreign.Wait(stream);
            Assert.Equal(0, ForeignUser.Current);
            Assert.Equal(Bits(Stepped(start, 2)), Bits([.. memory.Select(m => foreign.Read<float>(m, Elements))]));
        });

    [Fact]
    public void A_search_in_memory_of_somebody_else_gives_the_bits_of_ILGPUs_own_accelerator() =>
        CudaOnly.Run(output, () =>
        {
            const int Rows = 37;
            const int Codes = 50;
            const int Dimension = 8;
            float[] x = new Draw(2).Floats(Rows * Dimension, 0.1, 10);
            float[] codes = new Draw(3).Floats(Codes * Dimension, 0.1, 10);
            using var foreign = new ForeignUser();
            nint rows = foreign.Allocate<float>(x);
            nint book = foreign.Allocate<float>(codes);
            nint index = foreign.Allocate<int>(new int[Rows]);
            nint distance = foreign.Allocate<float>(new float[Rows]);
            using (PrimaryContext primary = Open())
            {
                using var nearest = new NearestCode(primary.Accelerator, Rows, Codes, Dimension);
                nearest.Search(
                    primary.Stream(0), primary.View<float>(rows, x.Length), primary.View<float>(book, codes.Length),
                    primary.View<int>(index, Rows), Rows, primary.View<float>(distance, Rows));
                foreign.Wait(0);
                Assert.Equal(0, ForeignUser.Current);
            }

            Assert.Equal(0, ForeignUser.Current);
            int[] wanted = new int[Rows];
            float[] wantedDistance = new float[Rows];
            CudaOnly.Run(() =>
            {
                Accelerator accelerator = TestDevices.Session.Accelerator;
                using MemoryBuffer1D<float, Stride1D.Dense> deviceRows = accelerator.Allocate1D(x);
                using MemoryBuffer1D<float, Stride1D.Dense> deviceCodes = accelerator.Allocate1D(codes);
                using MemoryBuffer1D<int, Stride1D.Dense> found = accelerator.Allocate1D<int>(Rows);
                using MemoryBuffer1D<float, Stride1D.Dense> far = accelerator.Allocate1D<float>(Rows);
                using var nearest = new NearestCode(accelerator, Rows, Codes, Dimension);
                nearest.Search(accelerator.DefaultStream, deviceRows.View, deviceCodes.View, found.View, Rows, far.View);
                wanted = found.GetAsArray1D();
                wantedDistance = far.GetAsArray1D();
            });
            Assert.Equal(wanted, foreign.Read<int>(index, Rows));
            Assert.Equal(Bits([wantedDistance]), Bits([foreign.Read<float>(distance, Rows)]));
        });

    [Theory]
    [InlineData(Before.Nothing)]
    [InlineData(Before.Another)]
    [InlineData(Before.Primary)]
    public void What_was_current_is_current_after_every_call(Before before) => CudaOnly.Run(output, () =>
    {
        using var foreign = new ForeignUser();
        nint current = 0;
        if (before == Before.Another)
        {
            current = ForeignUser.CreateContext();
        }
        else if (before == Before.Primary)
        {
            current = foreign.Primary;
            ForeignUser.Push(current);
        }

        var witness = new Witness(current);
        PrimaryContext primary = witness.Same(Open);
        Assert.Equal(foreign.Primary, primary.Handle);
        Accelerator accelerator = primary.Accelerator;
        AcceleratorStream stream = witness.Same(accelerator.CreateStream);
        MemoryBuffer1D<float, Stride1D.Dense> buffer = witness.Same(() => accelerator.Allocate1D<float>(Elements));
        witness.Same(() => buffer.MemSetToZero(stream));
        witness.Same(() => buffer.View.CopyFromCPU(stream, new float[Elements]));
        float[][] start = Start(4);
        nint[] memory = [.. start.Select(values => foreign.Allocate<float>(values))];
        witness.Same(() => primary.View<float>(memory[0], Elements));
        witness.Same(() => primary.Stream(foreign.CreateStream()));
        UpdateLauncher adam = witness.Same(() => new UpdateLauncher(accelerator, s_options));
        witness.Same(() => Step(adam, primary, 0, memory, 1));
        witness.Same(accelerator.Synchronize);
        witness.Same(stream.Synchronize);
        using Session session = witness.Same(() => Session.Use(accelerator, stream));
        using (var optimizer = witness.Same(() => new Optimizer(session, s_options, [new Parameter("w", start[0])])))
        {
            witness.Same(() => optimizer.Step(start[1]));
            witness.Same(() => optimizer.Download("w", new float[Elements]));
        }

        // And where they fail.
        Assert.Throws<ArgumentException>(() => witness.Same(() => primary.View<float>(8, 1)));
        Action<AcceleratorStream, KernelConfig, ArrayView<float>> reverse =
            witness.Same(() => accelerator.LoadKernel<ArrayView<float>>(TestKernels.Reverse));
        Assert.Throws<InvalidOperationException>(() => witness.Same(() => reverse(
            stream, new KernelConfig(1, 32, SharedMemoryConfig.RequestDynamic<float>(1 << 20)), buffer.View)));
        Assert.Throws<CudaException>(() => witness.Same(() => reverse(stream, new KernelConfig(0, 32), buffer.View)));
        Assert.Throws<CudaException>(() => witness.Same(() => accelerator.Allocate1D<byte>(1L << 50)));
        witness.Same(buffer.Dispose);
        witness.Same(stream.Dispose);
        witness.Same(primary.Dispose);
        Assert.Throws<ObjectDisposedException>(() => witness.Same(() => primary.View<float>(memory[0], Elements)));
        if (before == Before.Another)
        {
            ForeignUser.DestroyContext(current);
        }
        else if (before == Before.Primary)
        {
            ForeignUser.Pop();
        }

        Assert.Equal(0, ForeignUser.Current);
    });

    [Fact]
    public void Threads_with_streams_of_their_own_give_the_bits_of_one_after_the_other() => CudaOnly.Run(output, () =>
    {
        const int Threads = 8;
        const int Steps = 25;
        using var foreign = new ForeignUser();
        using PrimaryContext primary = Open();
        var adam = new UpdateLauncher(primary.Accelerator, s_options);
        float[][][] starts = [.. Enumerable.Range(0, Threads).Select(Start)];
        nint[] streams = [.. Enumerable.Range(0, Threads).Select(_ => foreign.CreateStream())];
        nint[][] memory = [.. starts.Select(start => start.Select(values => foreign.Allocate<float>(values)).ToArray())];
        CudaOnly.Run([.. Enumerable.Range(0, Threads).Select(thread => (Action)(() =>
        {
            for (int step = 1; step <= Steps; step++)
            {
                Step(adam, primary, streams[thread], memory[thread], step);
            }

            primary.Stream(streams[thread]).Synchronize();
            Assert.Equal(0, ForeignUser.Current);
        }))]);
        for (int thread = 0; thread < Threads; thread++)
        {
            nint[] again = [.. starts[thread].Select(values => foreign.Allocate<float>(values))];
            for (int step = 1; step <= Steps; step++)
            {
                Step(adam, primary, 0, again, step);
            }

            foreign.Wait(0);
            Assert.Equal(
                Bits([.. again.Select(m => foreign.Read<float>(m, Elements))]),
                Bits([.. memory[thread].Select(m => foreign.Read<float>(m, Elements))]));
        }
    });

    [Fact]
    public void A_launch_may_ask_for_more_shared_memory_than_48_KiB() => CudaOnly.Run(output, () =>
    {
        const int Length = 16_384; // 64 KiB
        float[] values = new Draw(5).Floats(Length);
        using PrimaryContext primary = Open();
        using MemoryBuffer1D<float, Stride1D.Dense> buffer = primary.Accelerator.Allocate1D(values);
        Action<AcceleratorStream, KernelConfig, ArrayView<float>> reverse =
            primary.Accelerator.LoadKernel<ArrayView<float>>(TestKernels.Reverse);
        var function = Assert.IsType<PrimaryFunction>(reverse.Target);
        Assert.Equal(primary.Accelerator.MaxSharedMemoryPerGroup, function.AllowedSharedBytes);
        reverse(
            primary.Accelerator.DefaultStream,
            new KernelConfig(1, 64, SharedMemoryConfig.RequestDynamic<float>(Length)), buffer.View);
        Array.Reverse(values);
        Assert.Equal(Bits([values]), Bits([buffer.GetAsArray1D()]));
        Assert.Equal(4 * Length, function.AllowedSharedBytes);

        // More than the device has is refused, and nothing is written.
        InvalidOperationException refused = Assert.Throws<InvalidOperationException>(() => reverse(
            primary.Accelerator.DefaultStream,
            new KernelConfig(1, 64, SharedMemoryConfig.RequestDynamic<float>(Length * 4)), buffer.View));
        Assert.Contains($"{16 * Length} bytes", refused.Message, StringComparison.Ordinal);
        Assert.Equal(Bits([values]), Bits([buffer.GetAsArray1D()]));
    });

    [Fact]
    public void ILGPUs_own_loaders_pack_and_launch_as_on_its_own_accelerator() => CudaOnly.Run(output, () =>
    {
        using PrimaryContext primary = Open();
        float[] here = Run(primary.Accelerator);
        float[] there = [];
        CudaOnly.Run(() => there = Run(TestDevices.Session.Accelerator));
        Assert.Equal(there, here);
        Assert.Equal([11f, -1234f, 4f, 3f, 13f, 0.1f, -7f, 17f, here[8], 100f], here[..10]);

        static float[] Run(Accelerator accelerator)
        {
            using MemoryBuffer1D<float, Stride1D.Dense> values = accelerator.Allocate1D([1f, 2f, 3f, 4f]);
            using MemoryBuffer1D<float, Stride1D.Dense> found = accelerator.Allocate1D<float>(100);
            found.MemSetToZero();
            Mixed mixed = TestKernels.Mix(values.View.BaseView.SubView(1, 3));
            KernelLoaders.LoadKernel<Mixed, byte, ArrayView<float>>(accelerator, TestKernels.Spread)(
                accelerator.DefaultStream, new KernelConfig(2, 3), mixed, 200, found.View);
            KernelLoaders.LoadAutoGroupedKernel<Index1D, byte, ArrayView<float>>(accelerator, TestKernels.Line)(
                accelerator.DefaultStream, 10, 5, found.View.BaseView.SubView(20, 10));
            KernelLoaders.LoadImplicitlyGroupedKernel<Index2D, byte, ArrayView<float>>(accelerator, TestKernels.Plane, 4)(
                accelerator.DefaultStream, new Index2D(5, 7), 7, found.View.BaseView.SubView(40, 35));
            return found.GetAsArray1D();
        }
    });

    [Fact]
    public void A_kept_kernel_is_not_compiled_again_and_a_damaged_one_is() => CudaOnly.Run(output, () =>
    {
        string folder = Directory.CreateTempSubdirectory("kernels-ptx-").FullName;
        try
        {
            Assert.Equal(1, Compiled(folder, 1));
            string file = Assert.Single(Directory.GetFiles(folder));
            string kept = File.ReadAllText(file);
            Assert.Equal(0, Compiled(folder, 2));
            Assert.Equal(kept, File.ReadAllText(file));

            File.WriteAllText(file, kept[..(kept.Length / 2)]);
            Assert.Equal(1, Compiled(folder, 3));
            Assert.Equal(0, Compiled(folder, 4));

            // Whole, but not what the driver finds the kernel in.
            string key = kept.Split('\n')[1];
            PtxCache.Open(folder)!.Keep(key, ".version 7.0\n.target sm_60\n.address_size 64\n");
            Assert.Equal(1, Compiled(folder, 5));
            Assert.Equal(0, Compiled(folder, 6));
            Assert.Single(Directory.GetFiles(folder));

            // Several at once, as several processes would.
            File.Delete(file);
            CudaOnly.Run([.. Enumerable.Range(7, 4).Select(seed => (Action)(() => Compiled(folder, seed)))]);
            Assert.Equal(0, Compiled(folder, 11));
            Assert.Single(Directory.GetFiles(folder));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }

        static int Compiled(string folder, int seed)
        {
            float[] values = new Draw(seed).Floats(256);
            using var primary = PrimaryContext.Open(0, folder);
            Assert.Equal(folder, primary.CacheFolder);
            using MemoryBuffer1D<float, Stride1D.Dense> buffer = primary.Accelerator.Allocate1D(values);
            primary.Accelerator.LoadKernel<ArrayView<float>>(TestKernels.Reverse)(
                primary.Accelerator.DefaultStream,
                new KernelConfig(1, 64, SharedMemoryConfig.RequestDynamic<float>(256)), buffer.View);
            Array.Reverse(values);
            Assert.Equal(Bits([values]), Bits([buffer.GetAsArray1D()]));
            return primary.Compilations;
        }
    });

    [Fact]
    public void Wrong_calls_name_what_is_wrong_and_write_nothing() => CudaOnly.Run(output, () =>
    {
        float[][] start = Start(6);
        using var foreign = new ForeignUser();
        using PrimaryContext primary = Open();
        using PrimaryContext other = Open();
        nint[] memory = [.. start.Select(values => foreign.Allocate<float>(values))];
        var adam = new UpdateLauncher(primary.Accelerator, s_options);

        Refused<ArgumentException>("address", () => primary.View<float>(0, 3));
        Refused<ArgumentException>("address", () => primary.View<float>(memory[0] + 2, 3));
        Refused<ArgumentException>("address", () => primary.View<float>(Marshal.AllocHGlobal(16), 3));
        Refused<ArgumentException>("length", () => primary.View<float>(memory[0], 1L << 40));
        Refused<ArgumentOutOfRangeException>("length", () => primary.View<float>(memory[0], -1));
        Refused<ArgumentOutOfRangeException>("length", () => primary.View<float>(memory[0], long.MaxValue));
        Assert.Equal(0, primary.View<float>(memory[0], 0).Length);
        Assert.Equal(4, primary.View<float>(memory[0] + 4, 4).Length);

        ArrayView<float>[] views = [.. memory.Select(m => primary.View<float>(m, Elements))];
        AcceleratorStream stream = primary.Stream(0);
        Refused<ArgumentException>("stream", () => adam.Step(other.Stream(0), views[0], views[1], [views[2], views[3]], 1));
        Refused<ArgumentException>(
            "p", () => adam.Step(stream, other.View<float>(memory[0], Elements), views[1], [views[2], views[3]], 1));
        // Two views of the same memory.
        Refused<ArgumentException>(
            "g", () => adam.Step(stream, views[0], primary.View<float>(memory[0], Elements), [views[2], views[3]], 1));
        Refused<ArgumentException>("state[1]", () => adam.Step(
            stream, views[0].SubView(0, 500), views[1].SubView(0, 500),
            [views[2].SubView(0, 500), primary.View<float>(memory[2] + 1996, 500)], 1));
        Action<AcceleratorStream, KernelConfig, ArrayView<float>> reverse =
            primary.Accelerator.LoadKernel<ArrayView<float>>(TestKernels.Reverse);
        Refused<ArgumentException>("stream", () => reverse(other.Stream(0), new KernelConfig(1, 32), views[0]));
        Refused<ArgumentOutOfRangeException>("config", () => reverse(stream, new KernelConfig(1, 2048), views[0]));
        Action<AcceleratorStream, KernelConfig, Mixed, byte, ArrayView<float>> spread =
            primary.Accelerator.LoadKernel<Mixed, byte, ArrayView<float>>(TestKernels.Spread);
        Assert.Throws<InvalidOperationException>(() => spread(
            stream, new KernelConfig(1, 32, SharedMemoryConfig.RequestDynamic<float>(8)), default, 0, views[0]));
        Assert.Throws<InvalidOperationException>(() => PrimaryContext.Open(99));
        Assert.Throws<NotSupportedException>(() => primary.Accelerator.CreateExtension<AcceleratorExtension, NoProvider>(default));

        Assert.Equal(0, ForeignUser.Current);
        Assert.Equal(Bits(start), Bits([.. memory.Select(m => foreign.Read<float>(m, Elements))]));

        static void Refused<TException>(string argument, Action call)
            where TException : ArgumentException =>
            Assert.Equal(argument, Assert.Throws<TException>(call).ParamName);
    });

    private static PrimaryContext Open() => PrimaryContext.Open(0, "");

    private static float[][] Start(int seed)
    {
        var draw = new Draw(seed);
        return
        [
            draw.Floats(Elements), draw.Floats(Elements), draw.Floats(Elements),
            Array.ConvertAll(draw.Floats(Elements), MathF.Abs),
        ];
    }

    private static void Step(UpdateLauncher adam, PrimaryContext primary, nint stream, nint[] memory, int step)
    {
        ArrayView<float>[] views = [.. memory.Select(m => primary.View<float>(m, Elements))];
        adam.Step(primary.Stream(stream), views[0], views[1], [views[2], views[3]], step);
    }

    /// <summary>The same steps on ILGPU's own accelerator.</summary>
    private static float[][] Stepped(float[][] start, int steps)
    {
        float[][] found = [];
        CudaOnly.Run(() =>
        {
            Accelerator accelerator = TestDevices.Session.Accelerator;
            MemoryBuffer1D<float, Stride1D.Dense>[] buffers = [.. start.Select(values => accelerator.Allocate1D(values))];
            var adam = new UpdateLauncher(accelerator, s_options);
            for (int step = 1; step <= steps; step++)
            {
                adam.Step(
                    accelerator.DefaultStream, buffers[0].View, buffers[1].View, [buffers[2].View, buffers[3].View], step);
            }

            found = [.. buffers.Select(buffer => buffer.GetAsArray1D())];
            Array.ForEach(buffers, buffer => buffer.Dispose());
        });
        return found;
    }

    private static uint[][] Bits(float[][] tensors) =>
        [.. tensors.Select(tensor => Array.ConvertAll(tensor, BitConverter.SingleToUInt32Bits))];

    /// <summary>Sees that a call leaves that context current, also where it fails.</summary>
    private sealed class Witness(nint current)
    {
        internal T Same<T>(Func<T> call)
        {
            try
            {
                return call();
            }
            finally
            {
                Assert.Equal(current, ForeignUser.Current);
            }
        }

        internal void Same(Action call) => Same(() =>
        {
            call();
            return true;
        });
    }

    private readonly struct NoProvider : IAcceleratorExtensionProvider<AcceleratorExtension>
    {
        public AcceleratorExtension CreateCPUExtension(ILGPU.Runtime.CPU.CPUAccelerator accelerator) => throw new NotSupportedException();

        public AcceleratorExtension CreateCudaExtension(CudaAccelerator accelerator) => throw new NotSupportedException();

        public AcceleratorExtension CreateOpenCLExtension(ILGPU.Runtime.OpenCL.CLAccelerator accelerator) =>
            throw new NotSupportedException();
    }
}
