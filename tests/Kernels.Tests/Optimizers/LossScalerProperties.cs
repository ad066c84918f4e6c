using ILGPU.Runtime;
using Kernels.Optimizers;
using Kernels.Tests.Reductions;
using Kernels.Tests.Support;

namespace Kernels.Tests.Optimizers;

public sealed class LossScalerProperties
{
    private static readonly LossScalerOptions s_quick = new() { InitialScale = 8, GrowthInterval = 3 };

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Grows_after_clean_steps_and_backs_off(bool onDevice)
    {
        Accelerator accelerator = ReductionDevice.Chosen;
        AcceleratorStream stream = accelerator.DefaultStream;
        using var scaler = new LossScaler(accelerator, s_quick);
        using var clean = new GuardedTensor(accelerator, [1, 0]);
        using var overflow = new GuardedTensor(accelerator, [1, 1]);
        double scale = 8;
        int count = 0;
        foreach (bool skip in (bool[])[false, false, false, false, true, false, false, true, true, false, false, false])
        {
            count++;
            if (skip)
            {
                scale /= 2;
                count = 0;
            }
            else if (count == 3)
            {
                scale *= 2;
                count = 0;
            }

            if (onDevice)
            {
                scaler.UpdateOnDevice(stream, (skip ? overflow : clean).Floats);
            }
            else
            {
                Assert.Equal(!skip, scaler.Update(stream, (skip ? overflow : clean).Floats));
            }

            Assert.Equal((scale, count), scaler.Save(stream));
            var device = new float[2];
            scaler.State.CopyToCPU(stream, device);
            stream.Synchronize();
            Assert.Equal([(float)scale, count], device);
        }
    }

    [Fact]
    public void Starts_and_grows_as_published()
    {
        Accelerator accelerator = ReductionDevice.Chosen;
        using var scaler = new LossScaler(accelerator);
        using var clean = new GuardedTensor(accelerator, [1, 0]);
        Assert.Equal((65536.0, 0), scaler.Save(accelerator.DefaultStream));
        scaler.Load(accelerator.DefaultStream, 65536, 1998);
        Assert.True(scaler.Update(accelerator.DefaultStream, clean.Floats));
        Assert.Equal((65536.0, 1999), scaler.Save(accelerator.DefaultStream));
        Assert.True(scaler.Update(accelerator.DefaultStream, clean.Floats));
        Assert.Equal((131072.0, 0), scaler.Save(accelerator.DefaultStream));
    }

    [Fact]
    public void Host_and_device_updates_mix_and_the_scale_stays_a_number()
    {
        Accelerator accelerator = ReductionDevice.Chosen;
        AcceleratorStream stream = accelerator.DefaultStream;
        using var scaler = new LossScaler(accelerator, s_quick with { GrowthInterval = 1, GrowthFactor = 1e30 });
        using var clean = new GuardedTensor(accelerator, [1, 0]);
        using var overflow = new GuardedTensor(accelerator, [1, 1]);
        scaler.UpdateOnDevice(stream, clean.Floats);
        scaler.Update(stream, clean.Floats);
        Assert.Equal(Math.Pow(2, 126), scaler.Save(stream).Scale);
        scaler.Load(stream, Math.Pow(2, -126), 7);
        Assert.Equal((Math.Pow(2, -126), 7), scaler.Save(stream));
        scaler.UpdateOnDevice(stream, overflow.Floats);
        Assert.Equal((Math.Pow(2, -126), 0), scaler.Save(stream));
    }

    [Fact]
    public void Rejects_what_it_cannot_do_and_names_it()
    {
        Accelerator accelerator = ReductionDevice.Chosen;
        AcceleratorStream stream = accelerator.DefaultStream;
        Assert.Throws<ArgumentNullException>("accelerator", () => new LossScaler(null!));
        foreach (LossScalerOptions bad in (LossScalerOptions[])
            [
                new() { InitialScale = 0 }, new() { InitialScale = double.NaN }, new() { InitialScale = 1e38 },
                new() { GrowthFactor = 0.9 }, new() { GrowthFactor = double.NaN }, new() { BackoffFactor = 0 },
                new() { BackoffFactor = 1.1 }, new() { GrowthInterval = 0 }, new() { GrowthInterval = int.MaxValue },
            ])
        {
            Assert.Throws<ArgumentOutOfRangeException>("options", () => new LossScaler(accelerator, bad));
        }

        using var scaler = new LossScaler(accelerator);
        using var three = accelerator.Allocate1D<float>(3);
        Assert.Throws<ArgumentException>("control", () => scaler.Update(stream, three.View));
        Assert.Throws<ArgumentException>("control", () => scaler.UpdateOnDevice(stream, three.View));
        Assert.Throws<ArgumentNullException>("stream", () => scaler.Save(null!));
        Assert.Throws<ArgumentOutOfRangeException>("scale", () => scaler.Load(stream, 0, 0));
        Assert.Throws<ArgumentOutOfRangeException>("cleanSteps", () => scaler.Load(stream, 1, -1));
        scaler.Dispose();
        Assert.Throws<ObjectDisposedException>(() => scaler.Save(stream));
    }
}
