using ILGPU;
using ILGPU.Runtime;
using Kernels.Quantization;
using Kernels.References;
using Kernels.References.Quantization;
using Kernels.Tests.Linear;
using Kernels.Tests.Support;

namespace Kernels.Tests.Quantization;

public sealed class LatentProperties
{
    [Theory]
    [InlineData(2, ScopeChoice.All, ScopeChoice.All)]
    [InlineData(3, ScopeChoice.Rows, ScopeChoice.Blocks)]
    [InlineData(4, ScopeChoice.Groups, ScopeChoice.Rows)]
    [InlineData(16, ScopeChoice.Blocks, ScopeChoice.Groups)]
    [InlineData(256, ScopeChoice.All, ScopeChoice.Rows)]
    public void Is_within_the_bounds_of_the_oracle(int k, ScopeChoice codebooks, ScopeChoice scales)
    {
        Accelerator accelerator = TestDevices.Session.Accelerator;
        var matrix = new LearnedMatrix(7, 150, k, codebooks, scales, k);
        var random = new Random(k);
        float[] latent = [.. Enumerable.Range(0, matrix.Weights).Select(_ => (float)((random.NextDouble() * (k + 2)) - 1.5))];
        float[] edges =
        [
            0.5f, -0.5f, -0f, 0f, 1.5f, MathF.BitIncrement(0.5f), MathF.BitDecrement(1.5f), k - 1, k - 1.5f, k - 0.5f, k, 1e30f,
            -1e30f, float.NaN, float.PositiveInfinity, float.NegativeInfinity, float.Epsilon, 3e9f, -3e9f,
        ];
        edges.CopyTo(latent, 3);
        float[] grad = new Draw(k).Floats(matrix.Weights);
        using var latents = new Latent(accelerator, matrix.Layout);
        using var v = new GuardedTensor(accelerator, latent, 1);
        using var c = new GuardedTensor(accelerator, matrix.Codebook, 1);
        using var s = new GuardedTensor(accelerator, matrix.Scale);
        using var g = new GuardedTensor(accelerator, grad, 1);
        using var to = new GuardedTensor(accelerator, new float[grad.Length], 1);
        using var value = new GuardedTensor(accelerator, new float[grad.Length], 1);
        using var index = new GuardedBytes(accelerator, new byte[grad.Length], 1);
        ArrayView<float> scale = matrix.Scale.Length > 0 ? s.Floats : default;
        latents.Backward(
            accelerator.DefaultStream, v.Floats, c.Floats, scale, g.Floats, to.Floats, value.Floats, index.View);
        accelerator.Synchronize();
        int[] codes = LatentReference.Hard(latent, k);
        Assert.Equal(codes, index.Bytes().Select(b => (int)b));
        Assert.Equal(codes.Select((code, i) => matrix.Value(i, code)), value.Values());
        Bounded[] wanted = [.. Enumerable.Range(0, grad.Length).Select(i => LatentReference.Gradient(
            [latent[i]], matrix.BookOf(i), [grad[i] * matrix.ScaleOf(i)])[0])];
        // Products of tiny numbers are off by the least one.
        LinearDevice.AssertWithin(
            Array.ConvertAll(wanted, w => w with { Bound = w.Bound + (2 * Bounded.LeastSubnormal) }), to.Values(), "gradient");

        index.View.MemSet(accelerator.DefaultStream, 0xFF);
        latents.Forward(accelerator.DefaultStream, v.Floats, c.Floats, scale, default, index.View);
        accelerator.Synchronize();
        Assert.Equal(codes, index.Bytes().Select(b => (int)b));
    }

    [Fact]
    public void Allocates_no_managed_memory_and_rejects_by_name()
    {
        Accelerator accelerator = TestDevices.Session.Accelerator;
        using var latents = new Latent(accelerator, new CodebookLayout(2, 4, new CodeFormat(4), 1, null, WeightScope.Rows));
        using var room = new GuardedTensor(accelerator, new float[100]);
        ArrayView<float> all = room.Floats;
        ArrayView<float> v = all.SubView(0, 8), codebook = all.SubView(8, 4), scale = all.SubView(12, 2);
        ArrayView<float> grad = all.SubView(16, 8), to = all.SubView(24, 8), value = all.SubView(32, 8);
        AcceleratorStream stream = accelerator.DefaultStream;
        Allocations.AssertNone(accelerator, () => latents.Backward(stream, v, codebook, scale, grad, to, value));
        MappingProperties.Throws<ArgumentException>("latent", () => latents.Forward(stream, all, codebook, scale, value));
        MappingProperties.Throws<ArgumentException>("codebook", () => latents.Forward(stream, v, grad, scale, value));
        MappingProperties.Throws<ArgumentException>("scale", () => latents.Forward(stream, v, codebook, default, value));
        MappingProperties.Throws<ArgumentException>("value", () => latents.Forward(stream, v, codebook, scale, v));
        MappingProperties.Throws<ArgumentException>("grad", () => latents.Backward(stream, v, codebook, scale, all, to));
        MappingProperties.Throws<ArgumentException>("gradLatent", () => latents.Backward(stream, v, codebook, scale, grad, grad));
        Assert.Throws<ArgumentException>(
            "layout", () => new Latent(accelerator, new CodebookLayout(2, 4, new CodeFormat(4), 4)));
        latents.Dispose();
        Assert.Throws<ObjectDisposedException>(() => latents.Forward(stream, v, codebook, scale, value));
    }
}
