using ILGPU;
using ILGPU.Runtime;

namespace Kernels.Perf.Support;

/// <summary>Sessions and tensors of benchmarks.</summary>
internal static class Bench
{
    /// <summary>The session named by KERNELS_DEVICE, or the best device; announces what it is.</summary>
    internal static Session Open(string? device = null)
    {
        Session session = Session.Open(device);
        Console.WriteLine($"// device: {session.Device}, {Environment.ProcessorCount} processors");
        foreach (string name in new[] { "MALLOC_MMAP_MAX_", "MALLOC_TRIM_THRESHOLD_", "MALLOC_TOP_PAD_", "POCL_AFFINITY" })
        {
            Console.WriteLine($"// {name}={Environment.GetEnvironmentVariable(name) ?? "(default)"}");
        }

        return session;
    }

    /// <summary>Numbers of both signs between 2^-11 and 2^-1: no denormals, no overflow in any number of steps.</summary>
    internal static float[] Values(long length, int seed)
    {
        // No piece of it repeats: equal codes would be ties.
        var random = new Random(seed);
        var values = new float[length];
        for (long i = 0; i < length; i++)
        {
            values[i] = (float)((random.NextDouble() + 0.001) * (random.Next(2) - 0.5));
        }

        return values;
    }

    internal static MemoryBuffer1D<float, Stride1D.Dense> Tensor(Session session, long length, int seed) =>
        session.Accelerator.Allocate1D(Values(length, seed));
}
