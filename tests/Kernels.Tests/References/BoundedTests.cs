using Kernels.References;
using Kernels.References.Optimizers;
using Kernels.Tests.Support;

namespace Kernels.Tests.References;

public class BoundedTests
{
    private const double U = Bounded.UnitRoundoff;

    [Fact]
    public void Random_expressions_in_binary32_stay_within_the_bound()
    {
        var random = new Random(1);
        int useful = 0;
        for (int i = 0; i < 200_000; i++)
        {
            (float measured, Bounded value) = Expression(random, depth: 5);
            Assert.True(value.Admits(measured), $"case {i}: {measured:R} is not {value}");
            useful += value.IsInDomain && value.Bound <= 1e-3 * Math.Abs(value.Value) ? 1 : 0;
        }

        // A bound that always gave up would pass the test above.
        Assert.True(useful > 100_000, $"only {useful} bounds say something");
    }

    [Fact]
    public void Sums_in_every_order_stay_within_the_bound()
    {
        var random = new Random(2);
        for (int i = 0; i < 2000; i++)
        {
            float[] terms = [.. Enumerable.Range(0, random.Next(300)).Select(_ => LogUniform(random, -20, 20))];
            Bounded[] exact = Array.ConvertAll(terms, x => Bounded.FromDouble(x));

            Assert.True(Bounded.Sum(exact).Admits(FloatSum.Sum(terms)));
            int height = (int)Math.Ceiling(Math.Log2(Math.Max(terms.Length, 1)));
            Assert.True(Bounded.Sum(exact, height).Admits(FloatSum.Tree(terms)));
        }
    }

    [Fact]
    public void The_bound_of_a_sum_is_gamma_times_the_sizes()
    {
        Bounded sum = Bounded.Sum([1, -1, 2], depth: 2);

        Assert.Equal(2, sum.Value);
        Assert.Equal(2 * U * 4, sum.Bound, U * 1e-3);
        Assert.Equal(new Bounded(0, 0), Bounded.Sum([]));
    }

    [Fact]
    public void Steps_of_adam_in_binary32_stay_within_the_bound_fused_or_not()
    {
        var random = new Random(3);
        for (int i = 0; i < 50_000; i++)
        {
            double rate = Math.Exp(random.NextDouble() * 10) * 1e-5;
            double beta1 = random.Next(4) == 0 ? 0 : random.NextDouble();
            double beta2 = random.Next(4) == 0 ? 0 : random.NextDouble();
            double decay = random.Next(2) * random.NextDouble();
            var optimizer = new AdamReference(rate, beta1, beta2, 1e-8, decay, decoupled: true);
            int t = random.Next(1, 2000);
            float p = LogUniform(random, -60, 20);
            float g = LogUniform(random, -60, 20);
            float m = LogUniform(random, -60, 20);
            float v = Math.Abs(LogUniform(random, -100, 40));
            Bounded[] state = [m, v];

            Bounded expected = optimizer.Step(t, p, g, state);

            float b1 = (float)beta1;
            float r1 = (float)(1 - beta1);
            float b2 = (float)beta2;
            float r2 = (float)(1 - beta2);
            float step = (float)(rate / (1 - Math.Pow(beta1, t)));
            float root = (float)(1 / Math.Sqrt(1 - Math.Pow(beta2, t)));
            float keep = (float)(1 - (rate * decay));
            float mean = (b1 * m) + (r1 * g);
            float second = (b2 * v) + (r2 * g * g);
            Assert.True(state[0].Admits(mean) && state[1].Admits(second), $"case {i}");
            float denominator = (MathF.Sqrt(second) * root) + 1e-8f;
            float result = (p * keep) - (step * mean / denominator);
            Assert.True(expected.Admits(result), $"case {i}: {result:R} is not {expected}");

            mean = MathF.FusedMultiplyAdd(b1, m, r1 * g);
            second = MathF.FusedMultiplyAdd(r2 * g, g, b2 * v);
            denominator = MathF.FusedMultiplyAdd(MathF.Sqrt(second), root, 1e-8f);
            result = MathF.FusedMultiplyAdd(p, keep, -(step * mean / denominator));
            Assert.True(expected.Admits(result), $"case {i}, fused: {result:R} is not {expected}");
        }
    }

    [Fact]
    public void Steps_of_adabelief_in_binary32_stay_within_the_bound_despite_cancellation()
    {
        var random = new Random(4);
        for (int i = 0; i < 50_000; i++)
        {
            double beta2 = random.Next(4) == 0 ? 0 : 0.999;
            var optimizer = new AdaBeliefReference(1e-2, 0.9, beta2, 1e-16, rectify: false);
            int t = random.Next(1, 100);
            float g = LogUniform(random, -10, 10);
            float m = random.Next(2) == 0 ? g * (1 + (random.Next(-8, 9) * (float)U)) : LogUniform(random, -10, 10);
            float s = Math.Abs(LogUniform(random, -30, 10));
            float p = LogUniform(random, -3, 3);
            Bounded[] state = [m, s];

            Bounded expected = optimizer.Step(t, p, g, state);

            float mean = (0.9f * m) + ((float)(1 - 0.9) * g);
            float residual = g - mean;
            float belief = ((float)beta2 * s) + ((float)(1 - beta2) * residual * residual) + 1e-16f;
            float step = (float)(1e-2 / (1 - Math.Pow(0.9, t)));
            float root = (float)(1 / Math.Sqrt(1 - Math.Pow(beta2, t)));
            float result = p - (step * mean / ((MathF.Sqrt(belief) * root) + 1e-16f));
            Assert.True(state[1].Admits(belief), $"case {i}: {belief:R} is not {state[1]}");
            Assert.True(expected.Admits(result), $"case {i}: {result:R} is not {expected}");
        }
    }

    [Fact]
    public void The_bound_of_a_benign_step_is_a_few_roundings()
    {
        var optimizer = new AdamReference(0.1, weightDecay: 0.1, decoupled: true);
        var random = new Random(5);
        for (int i = 0; i < 1000; i++)
        {
            double p = 1 + random.NextDouble();
            Bounded[] state = [0.5 + random.NextDouble(), 1 + random.NextDouble()];
            Bounded result = optimizer.Step(10, p, 0.5 + random.NextDouble(), state);

            Assert.InRange(result.Bound, U * Math.Abs(result.Value), 64 * U * Math.Abs(result.Value));
            Assert.InRange(state[0].Bound, 0, 4 * U * state[0].Value);
            Assert.InRange(state[1].Bound, 0, 5 * U * state[1].Value);
        }
    }

    [Theory]
    [InlineData(0.0, 0)]
    [InlineData(1.0, 0)]
    [InlineData(-1.0, 0)]
    [InlineData(0.1, 0.1)]
    [InlineData(0.5, 0.5)]
    public void A_narrowed_constant_is_off_by_half_a_unit(double constant, double size)
    {
        Bounded rounded = Bounded.Rounded(constant);

        Assert.Equal(constant, rounded.Value);
        Assert.Equal(size * U, rounded.Bound, 1e-12);
        Assert.True(rounded.Admits((float)constant));
    }

    [Fact]
    public void Every_narrowed_constant_is_admitted()
    {
        var random = new Random(6);
        for (int i = 0; i < 100_000; i++)
        {
            double constant = Math.ScaleB(random.NextDouble() - 0.5, random.Next(-160, 140));
            Assert.True(Bounded.Rounded(constant).Admits((float)constant), $"{constant:R}");
        }
    }

    [Fact]
    public void Exact_operations_add_no_bound()
    {
        Bounded x = 0.1f;

        Assert.Equal(x, x + 0);
        Assert.Equal(x, 0 + x);
        Assert.Equal(x, x * 1);
        Assert.Equal(x, x / 1);
        Assert.Equal(new Bounded(0, 0), x * 0);
        Assert.Equal(new Bounded(0, 0), (Bounded)0 / x);
        Assert.Equal(x, Bounded.Abs(-x));
        Assert.Equal(x, Bounded.Max(x, 0));
    }

    [Fact]
    public void Outside_the_domain_the_bound_is_infinite_and_admits_anything()
    {
        Bounded[] outside =
        [
            (Bounded)1 / 0,
            (Bounded)1 / new Bounded(1, 1),
            (Bounded)3e38 * 2,
            (Bounded)3e38 + 3e38,
            ((Bounded)3e38 * 2) - ((Bounded)3e38 * 2),
            ((Bounded)1 / 0) * 0,
            Bounded.Exp(89, 0),
            Bounded.Sqrt(new Bounded(-1, 2)),
            Bounded.Max(double.NaN, 1),
            Bounded.Sum([3e38, 3e38, -3e38]),
        ];

        Assert.All(outside, x => Assert.Equal(double.PositiveInfinity, x.Bound));
        Assert.All(outside, x => Assert.True(x.Admits(float.NaN) && x.Admits(-1) && !x.IsInDomain));
    }

    [Fact]
    public void A_nan_must_be_measured_as_nan()
    {
        Bounded nan = double.NaN;
        Bounded[] all = [nan, nan + 1, nan * 0, 1 / nan, nan / 0, Bounded.Sqrt(nan), -nan, Bounded.Sum([1, nan])];

        Assert.All(all, x => Assert.True(x.Admits(float.NaN) && !x.Admits(1) && !x.IsInDomain));
        Assert.False(((Bounded)1).Admits(float.NaN));
    }

    [Fact]
    public void A_nan_gradient_must_reach_the_parameter()
    {
        Assert.False(new AdamReference().Step(1, 1, double.NaN, new Bounded[2]).Admits(1));
        Assert.False(new AdamReference(amsgrad: true).Step(1, 1, double.NaN, new Bounded[3]).Admits(1));
        Assert.False(new SgdReference().Step(1, 1, double.NaN, []).Admits(1));
    }

    [Theory]
    [InlineData(2.0, 1.0, 1, 0)]
    [InlineData(-2.0, 1.0, -1, 0)]
    [InlineData(1.0, 1.0, 1, 2)]
    [InlineData(0.0, 1.0, 0, 1)]
    [InlineData(0.0, 0.0, 0, 0)]
    public void The_sign_is_exact_only_where_it_is_certain(double value, double bound, double sign, double reach) =>
        Assert.Equal(new Bounded(sign, reach), Bounded.Sign(new Bounded(value, bound)));

    [Fact]
    public void An_uncertain_choice_covers_both()
    {
        Bounded either = Bounded.Either(new Bounded(1, 0.25), new Bounded(3, 0.5));

        Assert.Equal(new Bounded(1, 2.5), either);
    }

    [Fact]
    public void Infinities_do_not_become_numbers_that_must_be_nan()
    {
        Bounded infinity = double.PositiveInfinity;
        Bounded nan = double.NaN;

        Assert.Equal(infinity, Bounded.Either(infinity, infinity));
        Assert.True(Bounded.Either(infinity, infinity * 0.5).Admits(float.PositiveInfinity));
        Assert.False(Bounded.Either(nan, nan).Admits(1));
        // One way of computing it gives a NaN, another does not.
        Assert.True(Bounded.Either(infinity, nan).Admits(float.NaN));
        Assert.True(Bounded.Either(nan, infinity).Admits(float.PositiveInfinity));

        Bounded sum = Bounded.Sum([1, infinity * 0.5, 1]);
        Assert.Equal(new Bounded(double.PositiveInfinity, double.PositiveInfinity), sum);
    }

    [Fact]
    public void A_root_near_zero_covers_both_sides()
    {
        Bounded root = Bounded.Sqrt(new Bounded(0.25, 0.75));

        Assert.True(root.Admits(0) && root.Admits(1));
        Assert.True(Bounded.Sqrt(new Bounded(0, 4)).Admits(2));
        Assert.Equal(new Bounded(0, 0), Bounded.Sqrt(0));
    }

    // An expression over log-uniform leaves, evaluated in binary32 and with its bound.
    private static (float Measured, Bounded Value) Expression(Random random, int depth)
    {
        if (depth == 0 || random.Next(6) == 0)
        {
            float leaf = random.Next(20) switch
            {
                0 => 0,
                1 => 1,
                2 => LogUniform(random, -149, 127),
                _ => LogUniform(random, -6, 6),
            };
            return (leaf, leaf);
        }

        (float a, Bounded x) = Expression(random, depth - 1);
        (float b, Bounded y) = Expression(random, depth - 1);
        switch (random.Next(12))
        {
            case 0:
            case 1:
                return (a + b, x + y);
            case 2:
            case 3:
                return (a - b, x - y);
            case 4:
            case 5:
                return (a * b, x * y);
            case 6:
                return (a / b, x / y);
            case 7:
                return (MathF.Sqrt(Math.Abs(a)), Bounded.Sqrt(Bounded.Abs(x)));
            case 8:
                return (Math.Max(a, b), Bounded.Max(x, y));
            case 9:
                return (Math.Min(a, -b), Bounded.Min(x, -y));
            case 10:
                return ((float)Math.Exp(-Math.Abs(a)), Bounded.Exp(-Bounded.Abs(x), U));
            default:
                (float c, Bounded z) = Expression(random, depth - 1);
                return (MathF.FusedMultiplyAdd(a, b, c), (x * y) + z);
        }
    }

    private static float LogUniform(Random random, double least, double most)
    {
        double magnitude = Math.Pow(2, least + ((most - least) * random.NextDouble()));
        return (float)(random.Next(2) == 0 ? magnitude : -magnitude);
    }
}
