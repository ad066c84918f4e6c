using Kernels.References;
using Kernels.References.VectorQuantization;

namespace Kernels.Tests.References.VectorQuantization;

public sealed class QuantizeReferenceTests
{
    [Fact]
    public void Bounds_count_their_roundings()
    {
        const double U = Bounded.UnitRoundoff;

        // The slope 0.1 is rounded once, or twice: as 0.2 and after a division by 2. The difference and the product follow.
        Bounded gradX = QuantizeReference.Evaluate([3, 3, 3, 4, 4, 4], [2, 2, 2], [0, 0], 3, 0.3).GradX[0];
        Assert.Equal(0.1, gradX.Value, 1e-15);
        Assert.InRange(gradX.Bound, 0.3 * U, 0.401 * U);

        // One row and five more roundings of (8 + 3) 6.
        Bounded gradient = QuantizeReference.CodebookGradient([-3], [8], [0], 1, 3)[0];
        Assert.Equal(66, gradient.Value);
        Assert.InRange(gradient.Bound, 6 * 66 * U, 6.001 * 66 * U);
        gradient = QuantizeReference.CodebookGradient([0], [float.Epsilon], [0], 1)[0];
        Assert.Equal(2 * Bounded.LeastSubnormal, gradient.Value);
        Assert.InRange(gradient.Bound, 2 * Bounded.LeastSubnormal, 2.001 * Bounded.LeastSubnormal);
        Assert.Equal(
            double.PositiveInfinity,
            QuantizeReference.CodebookGradient([float.MaxValue, float.MaxValue], [1], [0, 0], 1)[0].Bound);
    }

    [Fact]
    public void A_small_case_by_hand()
    {
        (Bounded[] output, Bounded codebook, Bounded commitment, Bounded[] gradX,
            int[] counts) = QuantizeReference.Evaluate(
            [1, 2, 5, 5, -1, 0], [0, 0, 1, 4, 9, 9], [1, -1, 0], d: 2, beta: 0.5, grad: [1, 1, 7, 7, 2, -2]);
        Assert.Equal([1, 4, 0, 0, 0, 0], output.Select(o => o.Value));
        Assert.Equal(5.0 / 4, codebook.Value); // (0 + 4 + 1 + 0) / (2 rows that count, 2 components)
        Assert.Equal(2.5 / 4, commitment.Value);
        Assert.Equal([1, 1 - 0.5, 0, 0, 2 - 0.25, -2], gradX.Select(g => g.Value));
        Assert.Equal([1, 1, 0], counts);
        Bounded[] codes = QuantizeReference.CodebookGradient([1, 2, 5, 5, -1, 0], [0, 0, 1, 4, 9, 9], [1, -1, 0], 2);
        Assert.Equal([0.5, 0, 0, 1, 0, 0], codes.Select(g => g.Value));
        Assert.All(codes[4..], g => Assert.Equal(0, g.Bound));
    }

    [Fact]
    public void Masked_rows_count_for_nothing()
    {
        float[] x = [float.NaN, 1, 2, float.PositiveInfinity];
        (Bounded[] output, Bounded codebook, Bounded commitment, Bounded[] gradX, int[] counts) =
            QuantizeReference.Evaluate(x, [1, 1], [-1, -1], 2, grad: [1, 2, 3, 4]);
        Assert.All(output.Concat(gradX), v => Assert.Equal(new Bounded(0, 0), v));
        Assert.Equal(new Bounded(0, 0), codebook);
        Assert.Equal(new Bounded(0, 0), commitment);
        Assert.Equal([0], counts);
        Assert.Empty(QuantizeReference.Evaluate([], [1, 1], [], 2).Output);
    }

    [Fact]
    public void Straight_through_is_the_code_where_the_two_are_close_and_not_in_general()
    {
        var random = new Random(1);
        Assert.Equal(0, QuantizeReference.StraightThrough(1, MathF.ScaleB(1, -30)));
        int different = 0;
        for (int i = 0; i < 10_000; i++)
        {
            float z = (float)((random.NextDouble() * 2) - 1);
            float near = z * (0.5f + (0.999f * (float)random.NextDouble()));
            float far = (float)((random.NextDouble() * 2) - 1);
            Assert.Equal(near, QuantizeReference.StraightThrough(z, near));
            float twice = QuantizeReference.StraightThrough(z, far);
            different += twice == far ? 0 : 1;
            Bounded output = QuantizeReference.Evaluate([z], [far], [0], 1).Output[0];
            Assert.True(output.Admits(twice));
            Assert.True(output.Admits(far));
        }

        Assert.InRange(different, 100, 9000);
    }

    [Fact]
    public void Gradients_are_those_of_the_losses()
    {
        var random = new Random(2);
        const int D = 3;
        // Of a quadratic the central difference is exact. Numbers are multiples of the step, so that it is exact too, and
        // binary64 loses some hundred roundings of the loss.
        const float H = 1f / 1024;
        float[] x = Array.ConvertAll(Floats(random, 6 * D), v => MathF.Round(v / H) * H);
        float[] codes = Array.ConvertAll(Floats(random, 4 * D), v => MathF.Round(v / H) * H);
        int[] index = [0, 2, 2, -1, 0, 2];
        (_, Bounded codebook, Bounded commitment, Bounded[] gradX, _) = QuantizeReference.Evaluate(
            x, codes, index, D, 0.25);
        Bounded[] gradCodes = QuantizeReference.CodebookGradient(x, codes, index, D);
        Assert.Equal(codebook.Value / 4, commitment.Value);
        double lost = Math.ScaleB(100 * codebook.Value, -53) / H;
        for (int i = 0; i < x.Length; i++)
        {
            Assert.Equal(gradX[i].Value, (Loss(x, i, H) - Loss(x, i, -H)) / (2 * H) / 4, lost);
        }

        for (int i = 0; i < codes.Length; i++)
        {
            Assert.Equal(gradCodes[i].Value, (Loss(codes, i, H) - Loss(codes, i, -H)) / (2 * H), lost);
        }

        double Loss(float[] what, int i, float h)
        {
            float old = what[i];
            what[i] += h;
            double loss = QuantizeReference.Evaluate(x, codes, index, D).Codebook.Value;
            what[i] = old;
            return loss;
        }
    }

    [Fact]
    public void Binary32_computations_are_within_the_bounds()
    {
        var random = new Random(3);
        const int D = 8;
        const int N = 300;
        float[] x = Floats(random, N * D);
        float[] codes = Floats(random, 4 * D);
        float[] g = Floats(random, N * D);
        int[] index = [.. Enumerable.Range(0, N).Select(_ => random.Next(4))];
        (_, Bounded codebook, Bounded commitment, Bounded[] gradX, _) =
            QuantizeReference.Evaluate(x, codes, index, D, 0.25, g);
        float sum = 0;
        float factor = (float)(2 * 0.25 / (N * D));
        float[] gradCodes = new float[4 * D];
        for (int i = 0; i < x.Length; i++)
        {
            int at = (index[i / D] * D) + (i % D);
            float difference = x[i] - codes[at];
            sum += difference * difference;
            gradCodes[at] -= difference;
            Assert.True(gradX[i].Admits(g[i] + (factor * difference)));
            Assert.True(gradX[i].Admits(MathF.FusedMultiplyAdd(factor, difference, g[i])));
        }

        Assert.True(codebook.Admits(sum / (N * D)));
        Assert.True(commitment.Admits(sum / (N * D) * 0.25f));
        Assert.InRange(codebook.Bound, 0, 1e-3 * codebook.Value);
        Bounded[] expected = QuantizeReference.CodebookGradient(x, codes, index, D);
        Assert.All(gradCodes.Select((v, i) => (v, i)), p => Assert.True(expected[p.i].Admits(p.v * (2f / (N * D)))));
    }

    [Fact]
    public void Wrong_calls_are_refused()
    {
        Assert.Throws<ArgumentOutOfRangeException>("index", () => QuantizeReference.Evaluate([1], [1], [1], 1));
        Assert.Throws<ArgumentOutOfRangeException>("index", () => QuantizeReference.Evaluate([1], [1], [-2], 1));
        Assert.Throws<ArgumentOutOfRangeException>("beta", () => QuantizeReference.Evaluate([1], [1], [0], 1, -1));
        Assert.Throws<ArgumentException>("x", () => QuantizeReference.Evaluate([1, 2], [1], [0], 1));
        Assert.Throws<ArgumentException>("grad", () => QuantizeReference.Evaluate([1], [1], [0], 1, grad: [1, 2]));
    }

    private static float[] Floats(Random random, int n) =>
        [.. Enumerable.Range(0, n).Select(_ => (float)((random.NextDouble() * 2) - 1))];
}
