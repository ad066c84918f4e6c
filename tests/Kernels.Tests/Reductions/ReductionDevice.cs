using ILGPU;
using ILGPU.Runtime;
using Kernels.Launching;
using Kernels.Tests.Support;

namespace Kernels.Tests.Reductions;

/// <summary>The device that KERNELS_DEVICE names, and CPU accelerators with warps of 32, one of each per run.</summary>
internal static class ReductionDevice
{
    internal static Accelerator Chosen => TestDevices.Session.Accelerator;

    /// <summary>A CPU accelerator with warps of 32 and groups of up to 256: runs the kernels themselves, slowly.</summary>
    internal static Accelerator Warps => TestDevices.Warp(32);

    internal static DeviceFacts AsGpu => DeviceFacts.Of(Warps) with { Class = DeviceClass.Gpu };

    internal static DeviceFacts AsOpenClCpu => DeviceFacts.Of(Warps) with { Class = DeviceClass.OpenClCpu };

    /// <summary>The chosen device in its own walk, and where it runs kernels in each of the others.</summary>
    internal static IEnumerable<(Accelerator Accelerator, DeviceFacts Facts)> Walks(bool tiny)
    {
        yield return (Chosen, DeviceFacts.Of(Chosen));
        if (Chosen.AcceleratorType != AcceleratorType.CPU)
        {
            yield return (Chosen, DeviceFacts.Of(Chosen) with { Class = DeviceClass.Gpu });
            yield return (Chosen, DeviceFacts.Of(Chosen) with { Class = DeviceClass.OpenClCpu });
            yield return (Chosen, DeviceFacts.Of(Chosen) with { Class = DeviceClass.Gpu, MaxGroup = 32, MaxGrid = 20 });
        }
        else if (tiny)
        {
            yield return (Warps, AsGpu);
            yield return (Warps, AsOpenClCpu);
        }
    }
}

/// <summary>A device buffer with canaries on both sides of what a test uses.</summary>
internal sealed class Guarded : IDisposable
{
    private const int Margin = 64;
    private const float Canary = 12345.678f;
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _buffer;
    private readonly int _length;
    private readonly int _shift;

    internal Guarded(Accelerator accelerator, float[] values, int shift = 0)
    {
        _length = values.Length;
        _shift = shift;
        var all = new float[values.Length + 2 * Margin];
        Array.Fill(all, Canary);
        values.CopyTo(all, Margin + shift);
        _buffer = accelerator.Allocate1D(all);
    }

    internal ArrayView<float> View => _buffer.View.BaseView.SubView(Margin + _shift, _length);

    /// <summary>What is in the buffer now; fails if a canary is dead.</summary>
    internal float[] Read()
    {
        float[] all = _buffer.GetAsArray1D();
        for (int i = 0; i < all.Length; i++)
        {
            if (i < Margin + _shift || i >= Margin + _shift + _length)
            {
                Assert.Equal(Canary, all[i]);
            }
        }

        return all.AsSpan(Margin + _shift, _length).ToArray();
    }

    public void Dispose() => _buffer.Dispose();
}

/// <summary>A device buffer of 16-bit numbers with canaries on both sides.</summary>
internal sealed class GuardedBits : IDisposable
{
    private const int Margin = 64;
    private const ushort Canary = 0x4B3D;
    private readonly MemoryBuffer1D<ushort, Stride1D.Dense> _buffer;
    private readonly int _length;

    internal GuardedBits(Accelerator accelerator, ushort[] values)
    {
        _length = values.Length;
        var all = new ushort[values.Length + 2 * Margin];
        Array.Fill(all, Canary);
        values.CopyTo(all, Margin);
        _buffer = accelerator.Allocate1D(all);
    }

    internal ArrayView<ushort> View => _buffer.View.BaseView.SubView(Margin, _length);

    internal ushort[] Read()
    {
        ushort[] all = _buffer.GetAsArray1D();
        for (int i = 0; i < all.Length; i++)
        {
            if (i < Margin || i >= Margin + _length)
            {
                Assert.Equal(Canary, all[i]);
            }
        }

        return all.AsSpan(Margin, _length).ToArray();
    }

    public void Dispose() => _buffer.Dispose();
}

/// <summary>Numbers for tests.</summary>
internal static class Numbers
{
    /// <summary>Signed numbers whose sizes are spread evenly over the powers of ten.</summary>
    internal static float[] LogUniform(int count, int seed, double least = 1e-3, double largest = 1e3)
    {
        var random = new Random(seed);
        var values = new float[count];
        for (int i = 0; i < count; i++)
        {
            double size = Math.Exp(Math.Log(least) + random.NextDouble() * Math.Log(largest / least));
            values[i] = (float)(random.Next(2) == 0 ? size : -size);
        }

        return values;
    }
}
