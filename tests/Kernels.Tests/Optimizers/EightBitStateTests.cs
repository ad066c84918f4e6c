using FsCheck.Fluent;
using ILGPU.Runtime;
using Kernels.Optimizers;
using Kernels.References;
using Kernels.References.Optimizers;
using Kernels.Tests.Support;

namespace Kernels.Tests.Optimizers;

/// <summary>8-bit state from F32 and back.</summary>
public sealed class EightBitStateTests
{
    [Theory]
    [InlineData(EightBitMap.WithSign)]
    [InlineData(EightBitMap.WithoutSign)]
    public void States_go_to_F32_and_back(EightBitMap map)
    {
        bool isSigned = map == EightBitMap.WithSign;
        Accelerator accelerator = TestDevices.Session.Accelerator;
        var launcher = new EightBitAdamLauncher(accelerator, new AdamOptions());
        foreach (int n in new[] { 0, 1, 255, 256, 257, 1027 })
        {
            foreach (int shift in new[] { 0, 1 })
            {
                float[] values = new Draw(n + shift).Floats(n, 1e-20, 1e3);
                if (n > 0)
                {
                    values[n / 2] = float.NaN;
                    values[n - 1] = float.PositiveInfinity;
                }

                float[] kept = Array.ConvertAll(
                    values, v => float.IsFinite(v) && (isSigned || v > 0) ? v : 0f);
                using var x = new GuardedTensor(accelerator, values, shift);
                using var codes = new GuardedBytes(accelerator, new byte[n], shift);
                using var scales = new GuardedTensor(
                    accelerator, new float[EightBitAdamLauncher.ScaleCount(n)], shift);
                using var back = new GuardedTensor(accelerator, new float[n], shift);
                using var again = new GuardedBytes(accelerator, new byte[n], shift);
                launcher.Quantize(accelerator.DefaultStream, x.Floats, codes.View, scales.Floats, map);
                launcher.Dequantize(accelerator.DefaultStream, codes.View, scales.Floats, back.Floats, map);
                accelerator.Synchronize();
                float[] scale = scales.Values();
                byte[] code = codes.Bytes();
                float[] decoded = back.Values();
                Check(kept, code, scale);
                for (int i = 0; i < n; i++)
                {
                    Assert.True(EightBitAdamReference.Decode(code[i], scale[i / 256], isSigned).Admits(decoded[i]));
                }

                // The largest magnitude stays what it is unless it is negative: then it loses 0.7 %, and so may others.
                if (!isSigned)
                {
                    launcher.Quantize(accelerator.DefaultStream, back.Floats, again.View, scales.Floats, map);
                    accelerator.Synchronize();
                    Assert.Equal(code, again.Bytes());
                }
            }
        }

        void Check(float[] values, byte[] code, float[] scale)
        {
            for (int block = 0; block < scale.Length; block++)
            {
                Bounded[] part = [.. values.Skip(block * 256).Take(256).Select(v => Bounded.FromDouble(v))];
                Assert.True(EightBitAdamReference.AdmitsScale(part, scale[block]));
                for (int i = 0; i < part.Length; i++)
                {
                    Assert.True(
                        EightBitAdamReference.AdmitsCode(part[i], scale[block], code[(block * 256) + i], isSigned),
                        $"{part[i]} of {scale[block]:R} became {code[(block * 256) + i]}");
                }
            }
        }
    }

    [Fact]
    public void Scales_below_the_normal_numbers_are_raised_to_them()
    {
        Accelerator accelerator = TestDevices.Session.Accelerator;
        var launcher = new EightBitAdamLauncher(accelerator, new AdamOptions());
        using var x = new GuardedTensor(accelerator, [5e-39f, 1e-40f, 0f]);
        using var codes = new GuardedBytes(accelerator, new byte[3], 0);
        using var scales = new GuardedTensor(accelerator, new float[1]);
        launcher.Quantize(accelerator.DefaultStream, x.Floats, codes.View, scales.Floats, EightBitMap.WithoutSign);
        accelerator.Synchronize();
        Assert.Equal(1.17549435e-38f, scales.Values()[0]);
        Assert.True(EightBitAdamReference.AdmitsCode(5e-39f, 1.17549435e-38f, codes.Bytes()[0], isSigned: false));
        Assert.Equal(0, codes.Bytes()[2]);
    }
}
