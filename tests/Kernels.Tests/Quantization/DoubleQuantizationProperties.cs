using ILGPU.Runtime;
using Kernels.Quantization;
using Kernels.References.Quantization;
using Kernels.Tests.Linear;
using Kernels.Tests.Support;

namespace Kernels.Tests.Quantization;

public sealed class DoubleQuantizationProperties
{
    [Theory]
    [InlineData(1)]
    [InlineData(255)]
    [InlineData(256)]
    [InlineData(1000)]
    [InlineData(5000)]
    public void Codes_are_admitted_by_the_oracle_and_come_back_within_its_bounds(int n)
    {
        Accelerator accelerator = TestDevices.Session.Accelerator;
        float[] scales = Array.ConvertAll(new Draw(n).Floats(n, 1e-3, 3), MathF.Abs);
        using var scale = new GuardedTensor(accelerator, scales, 1);
        using var code = new GuardedBytes(accelerator, [.. Enumerable.Repeat((byte)1, n)], 1);
        using var both = new DoubleQuantization(accelerator, n);
        using var blockScale = new GuardedTensor(accelerator, new float[both.BlockCount]);
        using var offset = new GuardedTensor(accelerator, new float[1]);
        both.Encode(accelerator.DefaultStream, scale.Floats, code.View, blockScale.Floats, offset.Floats);
        accelerator.Synchronize();
        (byte[] codes, float[] blockScales, float mean) = (code.Bytes(), blockScale.Values(), offset.Values()[0]);
        Assert.Equal(scales, scale.Values());
        Assert.True(DoubleQuantizationReference.Admits(scales, codes, blockScales, mean));

        both.Decode(accelerator.DefaultStream, code.View, blockScale.Floats, offset.Floats, scale.Floats);
        accelerator.Synchronize();
        LinearDevice.AssertWithin(DoubleQuantizationReference.Decode(codes, blockScales, mean), scale.Values(), "scales");
    }

    [Fact]
    public void Equal_scales_come_back_as_they_were()
    {
        Accelerator accelerator = TestDevices.Session.Accelerator;
        float[] scales = [.. Enumerable.Repeat(0.75f, 512)];
        using var scale = new GuardedTensor(accelerator, scales);
        using var code = new GuardedBytes(accelerator, new byte[512], 0);
        using var blockScale = new GuardedTensor(accelerator, new float[2]);
        using var offset = new GuardedTensor(accelerator, new float[1]);
        using var both = new DoubleQuantization(accelerator, 512);
        Allocations.AssertNone(
            accelerator,
            () =>
            {
                both.Encode(accelerator.DefaultStream, scale.Floats, code.View, blockScale.Floats, offset.Floats);
                both.Decode(accelerator.DefaultStream, code.View, blockScale.Floats, offset.Floats, scale.Floats);
            });
        Assert.Equal(scales, scale.Values());
    }
}
