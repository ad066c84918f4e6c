using Kernels.Launching;

namespace Kernels.Tests.Launching;

/// <summary>The launches of a plan cover every element once, on any device one can invent.</summary>
public sealed class LinearPlanTests
{
    [Fact]
    public void Launches_cover_every_element_exactly_once()
    {
        DeviceFacts[] devices =
        [
            new(DeviceClass.Gpu, 108, 32, 1024, int.MaxValue, 49152),
            new(DeviceClass.Gpu, 4, 64, 256, int.MaxValue, 32768),
            new(DeviceClass.OpenClCpu, 2, 8, 4096, int.MaxValue, 524288),
            new(DeviceClass.Host, 2, 2, 2, int.MaxValue, 65536),
            new(DeviceClass.Gpu, 1, 1, 1, 7, 1024),
        ];
        long[] lengths = [0, 1, 2, 3, 4, 5, 255, 256, 257, 1023, 1024, 1025, 1027, 4095, 100_003, 1L << 31, (1L << 33) + 5];
        foreach (DeviceFacts facts in devices)
        {
            foreach (long length in lengths.Where(n => n < 100_000 || facts.MaxGrid > 7))
            {
                foreach (LinearWalk walk in new[] { LinearWalk.Elements, LinearWalk.Packets })
                {
                    long next = 0;
                    int launches = 0;
                    LinearPlan plan = LinearPlan.For(facts, length, walk);
                    while (plan.TryNext(out LinearLaunch launch))
                    {
                        int width = launch.Walk == LinearWalk.Packets ? 4 : 1;
                        Assert.Equal(next, launch.First * width);
                        Assert.InRange(launch.GroupSize, 1, facts.MaxGroup);
                        Assert.InRange(launch.Groups, 1, facts.MaxGrid);
                        next += (long)launch.Groups * launch.GroupSize * width;
                        launches++;
                    }

                    Assert.Equal(length, next);
                    Assert.True(launches <= 4 || facts.MaxGrid == 7 || length >= 1L << 31);
                }
            }
        }
    }

    [Theory]
    [InlineData(DeviceClass.Host, true, LinearWalk.Host)]
    [InlineData(DeviceClass.OpenClCpu, true, LinearWalk.Elements)]
    [InlineData(DeviceClass.Gpu, true, LinearWalk.Packets)]
    [InlineData(DeviceClass.Gpu, false, LinearWalk.Elements)]
    internal void The_walk_follows_the_device_and_the_alignment(DeviceClass kind, bool aligned, LinearWalk walk) =>
        Assert.Equal(walk, LinearPlan.WalkFor(new DeviceFacts(kind, 1, 32, 256, 1, 1), aligned));
}
