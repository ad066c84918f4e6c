using ILGPU.Runtime;
using Kernels.Quantization;
using Kernels.References.Quantization;
using Kernels.Tests.Support;
using Kernels.Tests.VectorQuantization;

namespace Kernels.Tests.Quantization;

public sealed class AbsMaxProperties
{
    /// <summary>Edges of sixteens and chunks; shares that end anywhere.</summary>
    public static TheoryData<int, int, int, Storage> Cases() => new()
    {
        { 1, 1, 1, Storage.F32 },
        { 5, 33, 7, Storage.F32 },
        { 4, 640, 64, Storage.F32 },
        { 3, 1000, 3000, Storage.F32 },
        { 3, 1000, 1500, Storage.F16 },
        { 6, 30, 16, Storage.BF16 },
    };

    [Theory]
    [MemberData(nameof(Cases))]
    public void Is_that_of_the_oracle(int rows, int columns, int block, Storage storage)
    {
        for (int seed = 0; seed < 3; seed++)
        {
            var draw = new Draw(seed + columns);
            float[] w = draw.Floats(rows * columns, 1e-3, 10);
            for (int i = 0; i < w.Length && seed > 0; i++)
            {
                w[i] = draw.Below(6) > 0 ? w[i] : draw.OneOf(float.NaN, float.PositiveInfinity, float.NegativeInfinity, -1e-41f);
            }

            w.AsSpan(0, Math.Min(block, w.Length)).Fill(seed == 2 ? float.NaN : 0);
            uint[] bits = LearnCase.Bits(storage, w);
            w = LearnCase.Floats(storage, bits);
            Assert.Equal(BlockAbsMaxReference.Scales(w, block), Scales(rows, columns, WeightScope.Blocks(block), storage, bits, seed));
            Assert.Equal(BlockAbsMaxReference.Scales(w, columns), Scales(rows, columns, WeightScope.Rows, storage, bits, seed));
            Assert.Equal(BlockAbsMaxReference.Scales(w, w.Length), Scales(rows, columns, WeightScope.Tensor, storage, bits, seed));
            int[] boundaries = [0, 0, rows / 2, rows];
            float[] wanted =
            [
                .. Enumerable.Range(0, 3).Select(g => w[(boundaries[g] * columns)..(boundaries[g + 1] * columns)])
                    .Select(part => part.Length == 0 ? 0 : BlockAbsMaxReference.Scales(part, part.Length)[0]),
            ];
            Assert.Equal(wanted, Scales(rows, columns, WeightScope.Groups(boundaries), storage, bits, seed));
        }
    }

    [Theory]
    [InlineData(Storage.F16)]
    [InlineData(Storage.BF16)]
    public void Scales_of_16_bits_are_rounded_once(Storage storage)
    {
        float[] w = new Draw(4).Floats(300, 1e-3, 10);
        uint[] wanted = LearnCase.Bits(storage, BlockAbsMaxReference.Scales(w, 10));
        Assert.Equal(wanted, Bits(3, 100, WeightScope.Blocks(10), Storage.F32, LearnCase.Bits(Storage.F32, w), 0, storage));
    }

    [Fact]
    public void A_scale_that_is_not_0_is_a_normal_number() => Assert.Equal(
        [1.17549435e-38f, 0f, 1.5f],
        Scales(1, 6, WeightScope.Blocks(2), Storage.F32, LearnCase.Bits(Storage.F32, [-1e-41f, 1e-45f, 0, -0f, 1, -1.5f]), 0));

    [Fact]
    public void A_search_allocates_no_managed_memory()
    {
        Accelerator accelerator = TestDevices.Session.Accelerator;
        using var w = new GuardedTensor(accelerator, new Draw(1).Floats(96));
        using var scale = new GuardedTensor(accelerator, new float[6]);
        using var largest = new AbsMax(accelerator, 3, 32, WeightScope.Blocks(16));
        Allocations.AssertNone(accelerator, () => largest.Run(accelerator.DefaultStream, w.View, scale.View));
    }

    private static float[] Scales(int rows, int columns, WeightScope scope, Storage storage, uint[] bits, int shift) =>
        LearnCase.Floats(Storage.F32, Bits(rows, columns, scope, storage, bits, shift, Storage.F32));

    private static uint[] Bits(
        int rows, int columns, WeightScope scope, Storage storage, uint[] bits, int shift, Storage scaleStorage)
    {
        Accelerator accelerator = TestDevices.Session.Accelerator;
        using var w = new GuardedTensor(accelerator, storage, bits, shift);
        using var largest = new AbsMax(accelerator, rows, columns, scope);
        using var scale = new GuardedTensor(accelerator, scaleStorage, [.. Enumerable.Repeat(0xBEEFu, largest.ScaleCount)], shift);
        largest.Run(accelerator.DefaultStream, w.View, scale.View);
        accelerator.Synchronize();
        Assert.Equal(bits, w.Bits());
        return scale.Bits();
    }
}
