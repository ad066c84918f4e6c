using Kernels.DeviceCode.Common;

namespace Kernels.Tests.Linear;

public sealed class LogarithmProperties
{
    [Fact]
    public void Is_within_two_ulp_of_the_logarithm()
    {
        double worst = 0;
        for (int exponent = 0; exponent < 32; exponent++)
        {
            // Every third number next to 1, where the logarithm is small, fewer elsewhere.
            uint step = exponent == 0 ? 3u : 101u;
            for (uint fraction = 0; fraction < 1u << 23; fraction += step)
            {
                float x = BitConverter.UInt32BitsToSingle(((uint)(127 + exponent) << 23) | fraction);
                double wanted = Math.Log(x);
                float got = Logarithm.OfAtLeastOne(Lane.Of(x)).Value;
                float near = (float)wanted;
                double ulp = near == 0 ? float.Epsilon : (double)MathF.BitIncrement(near) - near;
                worst = Math.Max(worst, Math.Abs(got - wanted) / ulp);
            }
        }

        Assert.True(worst <= 2, $"{worst:F3} ulp");
    }

    [Fact]
    public void Of_one_is_zero_and_of_NaN_is_NaN()
    {
        Assert.Equal(0f, Logarithm.OfAtLeastOne(Lane.Of(1f)).Value);
        Assert.True(float.IsNaN(Logarithm.OfAtLeastOne(Lane.Of(float.NaN)).Value));
    }
}
