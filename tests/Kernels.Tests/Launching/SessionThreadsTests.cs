using ILGPU;
using ILGPU.Runtime;
using Kernels.Optimizers;
using Kernels.Tests.Support;
using Kernels.VectorQuantization;

namespace Kernels.Tests.Launching;

/// <summary>One session serves many threads: eight of them with a thousand calls each get the bits that one would.</summary>
public sealed class SessionThreadsTests
{
    private const int Threads = 8;
    private const int Calls = 1000;

    /// <summary>A launcher is one for all threads.</summary>
    [Fact]
    public void Steps_of_one_launcher_give_the_same_bits()
    {
        Session session = TestDevices.Session;
        var adam = new UpdateLauncher(session.Accelerator, new AdamWOptions { LearningRate = 1e-3 });
        AssertSame(thread =>
        {
            var draw = new Draw(thread);
            int n = 33 + thread;
            using MemoryBuffer1D<float, Stride1D.Dense> p = session.Accelerator.Allocate1D(draw.Floats(n));
            using MemoryBuffer1D<float, Stride1D.Dense> g = session.Accelerator.Allocate1D(draw.Floats(n));
            using MemoryBuffer1D<float, Stride1D.Dense> mean = session.Accelerator.Allocate1D(new float[n]);
            using MemoryBuffer1D<float, Stride1D.Dense> square = session.Accelerator.Allocate1D(new float[n]);
            for (int step = 1; step <= Calls; step++)
            {
                adam.Step(session.Stream, p.View, g.View, [mean.View, square.View], step);
            }

            session.Synchronize();
            return [.. p.GetAsArray1D(), .. mean.GetAsArray1D(), .. square.GetAsArray1D()];
        });
    }

    /// <summary>What keeps parameters or scratch memory is each thread's own.</summary>
    [Fact]
    public void Optimizers_over_one_session_give_the_same_bits()
    {
        Session session = TestDevices.Session;
        AssertSame(thread =>
        {
            var draw = new Draw(thread);
            float[] weights = draw.Floats(20 + thread);
            float[] gradient = draw.Floats(weights.Length);
            using var optimizer = new Optimizer(
                session, new AdamWOptions { LearningRate = 1e-3 }, [new Parameter("w", weights)]);
            for (int step = 1; step <= Calls; step++)
            {
                optimizer.Step(gradient);
            }

            optimizer.Download("w", weights);
            return weights;
        });
    }

    [Fact]
    public void Searches_over_one_session_give_the_same_bits()
    {
        const int Rows = 5;
        const int Codes = 6;
        const int Dimension = 4;
        Session session = TestDevices.Session;
        AssertSame(thread =>
        {
            var draw = new Draw(thread);
            using MemoryBuffer1D<float, Stride1D.Dense> x = session.Accelerator.Allocate1D(draw.Floats(Rows * Dimension, 0.1, 10));
            using MemoryBuffer1D<float, Stride1D.Dense> codes = session.Accelerator.Allocate1D(
                draw.Floats(Codes * Dimension, 0.1, 10));
            using MemoryBuffer1D<int, Stride1D.Dense> index = session.Accelerator.Allocate1D<int>(Rows);
            using MemoryBuffer1D<float, Stride1D.Dense> distance = session.Accelerator.Allocate1D<float>(Rows);
            using var nearest = new NearestCode(session.Accelerator, Rows, Codes, Dimension);
            for (int call = 0; call < Calls; call++)
            {
                nearest.Search(session.Stream, x.View, codes.View, index.View, Rows, distance.View);
            }

            session.Synchronize();
            return [.. distance.GetAsArray1D(), .. index.GetAsArray1D().Select(i => (float)i)];
        });
    }

    private static void AssertSame(Func<int, float[]> work)
    {
        uint[][] inTurn = [.. Enumerable.Range(0, Threads).Select(thread => Bits(work(thread)))];
        var atOnce = new uint[Threads][];
        var failures = new Exception?[Threads];
        using var start = new Barrier(Threads);
        Thread[] threads =
        [
            .. Enumerable.Range(0, Threads).Select(thread => new Thread(() => failures[thread] = Record.Exception(() =>
            {
                start.SignalAndWait();
                atOnce[thread] = Bits(work(thread));
            }))),
        ];
        Array.ForEach(threads, thread => thread.Start());
        Array.ForEach(threads, thread => thread.Join());
        Assert.All(failures, Assert.Null);
        Assert.Equal(inTurn, atOnce);

        static uint[] Bits(float[] values) => Array.ConvertAll(values, BitConverter.SingleToUInt32Bits);
    }
}
