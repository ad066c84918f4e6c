using Kernels.References;
using Kernels.References.Optimizers;

namespace Kernels.Tests.References;

public class OptimizerReferenceTests
{
    public static TheoryData<OptimizerReference> EveryMethod => new(
        new SgdReference(0.1, momentum: 0.9, dampening: 0.5),
        new AdamReference(0.1),
        new AdamReference(0.1, amsgrad: true),
        new AdamReference(0.1, amsgrad: true, amsgradRule: AmsGradRule.Optax),
        new AdaGradReference(0.1, lrDecay: 0.1),
        new AdaGradNormReference(0.1),
        new AdaGradNormReference(0.1, initialAccumulator: 0),
        new RmsPropReference(0.1),
        new RmsPropReference(0.1, momentum: 0.9, centered: true),
        new LionReference(0.1),
        new AdaBeliefReference(0.1),
        new AdaBeliefReference(0.1, rectify: false, amsgrad: true),
        new DiffGradReference(0.1),
        new DiffGradReference(0.1, amsgrad: true),
        new LambReference(0.1, weightDecay: 0),
        new AdafactorReference(learningRate: 0.1),
        new AdafactorReference([2, 3], learningRate: 0.1));

    [Theory]
    [MemberData(nameof(EveryMethod))]
    public void A_zero_gradient_leaves_the_parameter_alone(OptimizerReference optimizer)
    {
        Bounded[] p = [1, -2, 0, 3, 4, 5];
        Bounded[][] state = optimizer.CreateState(p.Length);

        optimizer.Step(1, p, new Bounded[6], state);

        Assert.Equal([1, -2, 0, 3, 4, 5], p.Select(x => x.Value));
        Assert.All(p, x => Assert.True(x.Bound <= 2 * Bounded.UnitRoundoff * Math.Abs(x.Value), $"{x}"));
    }

    [Theory]
    [MemberData(nameof(EveryMethod))]
    public void A_turned_gradient_turns_the_steps(OptimizerReference optimizer)
    {
        double[] p = [1, -2, 0.5, 3, 4, 5];
        double[][] g = [[1, 2, -3, 0, 5, 6], [-1, 0.5, 2, 0.25, 1, 1], [2, 2, 2, -2, 2, 7]];

        double[][] there = optimizer.Run(p, g);
        double[][] back = optimizer.Run([.. p.Select(x => -x)], [.. g.Select(x => x.Select(y => -y).ToArray())]);

        Assert.Equal(there.SelectMany(x => x), back.SelectMany(x => x.Select(y => -y)));
    }

    [Fact]
    public void There_is_a_slot_for_what_is_kept_and_no_other()
    {
        Assert.Empty(new SgdReference(0.1).StateNames);
        Assert.Equal(["momentum_buffer"], new SgdReference(0.1, momentum: 0.9).StateNames);
        Assert.Equal(["square_avg"], new RmsPropReference(0.1).StateNames);
        Assert.Equal(["square_avg", "grad_avg"], new RmsPropReference(0.1, centered: true).StateNames);
        Assert.Equal(["square_avg", "momentum_buffer"], new RmsPropReference(0.1, momentum: 0.9).StateNames);
    }

    [Theory]
    [MemberData(nameof(EveryMethod))]
    public void Lengths_and_steps_are_checked(OptimizerReference optimizer)
    {
        Bounded[][] state = optimizer.CreateState(6);

        Assert.Throws<ArgumentOutOfRangeException>(() => optimizer.Step(0, new Bounded[6], new Bounded[6], state));
        Assert.Throws<ArgumentException>(() => optimizer.Step(1, new Bounded[6], new Bounded[5], state));
        Assert.Throws<ArgumentException>(() => optimizer.Step(1, new Bounded[6], new Bounded[6], [.. state, []]));
        Assert.Throws<ArgumentException>(
            () => optimizer.Step(1, new Bounded[6], new Bounded[6], [[], .. state.Skip(1)]));
    }

    [Fact]
    public void A_step_of_one_element_is_checked_as_well()
    {
        var optimizer = new AdamReference();

        Assert.Throws<ArgumentOutOfRangeException>("t", () => optimizer.Step(0, 1, 1, new Bounded[2]));
        Assert.Throws<ArgumentException>("state", () => optimizer.Step(1, 1, 1, new Bounded[3]));
    }

    [Fact]
    public void Maximizing_climbs_where_minimizing_descends()
    {
        double[][] g = [[1], [-2], [0.5]];
        double[][] turned = [[-1], [2], [-0.5]];

        Assert.Equal(Last(new AdamReference(maximize: true), g), Last(new AdamReference(), turned));
        Assert.Equal(Last(new LambReference(maximize: true), g), Last(new LambReference(), turned));
        Assert.Equal(Last(new AdafactorReference(maximize: true), g), Last(new AdafactorReference(), turned));
        Assert.Equal(Last(new AdaGradNormReference(maximize: true), g), Last(new AdaGradNormReference(), turned));
    }

    [Fact]
    public void Without_decay_coupled_and_decoupled_are_the_same()
    {
        double[][] g = [[1], [-2], [0.5]];

        Assert.Equal(Last(new AdamReference(decoupled: true), g), Last(new AdamReference(), g));
        Assert.Equal(Last(new LionReference(decoupled: false), g), Last(new LionReference(), g));
    }

    [Fact]
    public void The_first_step_of_adabelief_is_the_rate_over_beta1()
    {
        var optimizer = new AdaBeliefReference(0.1, rectify: false, epsilon: 0);

        Assert.Equal(1 - (0.1 / 0.9), Last(optimizer, [[3]]), 1e-12);
    }

    [Theory]
    [InlineData(1, 1.1111)]
    [InlineData(2, 1.1680)]
    [InlineData(10, 1.6354)]
    [InlineData(100, 4.955)]
    [InlineData(2000, 38.6)]
    public void Steps_of_adabelief_grow_under_a_constant_gradient(int t, double rates)
    {
        double[][] p = new AdaBeliefReference(1, rectify: false).Run([0], Constant(1.0, t));

        double step = t == 1 ? -p[0][0] : p[t - 2][0] - p[t - 1][0];
        Assert.Equal(rates, step, rates * 1e-3);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(1000)]
    public void The_epsilon_that_adabelief_accumulates_is_constant_after_bias_correction(int steps)
    {
        var optimizer = new AdaBeliefReference(epsilon: 1e-8);
        Bounded[][] state = optimizer.CreateState(1);
        Bounded[] p = [0];
        for (int t = 1; t <= steps; t++)
        {
            optimizer.Step(t, p, new Bounded[1], state);
        }

        Assert.Equal(1e-5, state[1][0].Value / (1 - Math.Pow(0.999, steps)), 1e-15);
    }

    [Theory]
    [InlineData(0.999)]
    [InlineData(0.99)]
    [InlineData(0.98)]
    [InlineData(0.95)]
    [InlineData(0.9)]
    public void Rectification_starts_at_the_sixth_step(double beta2)
    {
        Assert.True(AdaBeliefReference.AverageLength(beta2, 5) < 5);
        Assert.True(AdaBeliefReference.AverageLength(beta2, 6) >= 5);
    }

    [Fact]
    public void A_length_of_exactly_5_is_rectified()
    {
        // Near here one beta in about seven makes the length exactly 5, whatever the last digits of powers are.
        double beta2 = Math.BitDecrement(0.83976857486597);
        while (AdaBeliefReference.AverageLength(beta2, 6) != 5)
        {
            Assert.InRange(beta2, 0.83976857486595, 0.83976857486599);
            beta2 = Math.BitIncrement(beta2);
        }

        double[][] p = new AdaBeliefReference(0.1, beta2: beta2, degeneratedToSgd: false).Run([1], Constant(1.0, 6));
        Assert.Equal(1, p[4][0]);
        Assert.NotEqual(1, p[5][0]);
    }

    [Fact]
    public void Rectification_has_the_published_values()
    {
        Assert.Equal(4.996, AdaBeliefReference.AverageLength(0.999, 5), 5e-4);
        Assert.Equal(5.994, AdaBeliefReference.AverageLength(0.999, 6), 5e-4);
        Assert.Equal(0.0173, AdaBeliefReference.Rectification(0.999, 5), 5e-5);
        Assert.Equal(0.0258, AdaBeliefReference.Rectification(0.999, 6), 5e-5);
        Assert.True(Enumerable.Range(1, 1000).All(t => AdaBeliefReference.AverageLength(2.0 / 3, t) < 5));
    }

    [Fact]
    public void Steps_of_adabelief_before_rectification_can_be_left_out()
    {
        var optimizer = new AdaBeliefReference(0.1, degeneratedToSgd: false, weightDecay: 0.1, fixedDecay: true);

        double[][] p = optimizer.Run([1], Constant(1.0, 6));

        Assert.Equal(Math.Pow(0.9, 5), p[4][0], 1e-15);
        Assert.True(p[5][0] < Math.Pow(0.9, 6));
    }

    [Theory]
    [InlineData(1e-3)]
    [InlineData(1)]
    [InlineData(1e3)]
    public void The_first_step_of_diffgrad_is_between_half_a_rate_and_a_rate(double g)
    {
        double step = 1 - Last(new DiffGradReference(0.1, epsilon: 0), [[g]]);

        Assert.Equal(0.1 / (1 + Math.Exp(-g)), step, 1e-12);
        Assert.InRange(step, 0.05, 0.1 + 1e-12);
    }

    [Fact]
    public void A_constant_gradient_makes_diffgrad_adam_at_half_the_rate_from_the_second_step_on()
    {
        double[][] g = Constant(2.0, 20);

        double[][] slow = new DiffGradReference(0.1, epsilon: 0).Run([0], g);
        double[][] adam = new AdamReference(0.05, epsilon: 0).Run([0], g);

        Assert.All(Enumerable.Range(1, 19), t =>
            Assert.Equal(adam[t][0] - adam[t - 1][0], slow[t][0] - slow[t - 1][0], 1e-12));
    }

    [Fact]
    public void Diffgrad_depends_on_the_scale_of_gradients_and_adam_does_not()
    {
        double[][] g = [[1], [-2], [0.5]];
        double[][] scaled = [[10], [-20], [5]];

        Assert.Equal(
            Last(new AdamReference(epsilon: 0), g), Last(new AdamReference(epsilon: 0), scaled), 1e-12);
        Assert.NotEqual(
            Last(new DiffGradReference(epsilon: 0), g), Last(new DiffGradReference(epsilon: 0), scaled), 1e-6);
    }

    [Fact]
    public void The_step_of_adagrad_norm_uses_one_norm_for_all()
    {
        double[][] p = new AdaGradNormReference(0.5, initialAccumulator: 144).Run([1, 1], [[3, 4], [0, 84]]);

        // b^2 = 144 + 25 = 13^2, then 13^2 + 84^2 = 85^2.
        Assert.Equal([1 - (0.5 * 3 / 13), 1 - (0.5 * 4 / 13)], p[0]);
        Assert.Equal(p[0][1] - (0.5 * 84 / 85), p[1][1], 1e-15);
    }

    [Fact]
    public void Centered_rmsprop_of_a_constant_gradient_stays_a_number()
    {
        var optimizer = new RmsPropReference(centered: true);
        double[][] p = optimizer.Run([1], Constant(1e6, 5000));

        Assert.All(p, x => Assert.True(double.IsFinite(x[0])));
    }

    [Fact]
    public void Momentum_of_rmsprop_accumulates_the_steps_without_it()
    {
        double[][] g = [[1], [-2], [0.5]];
        double[][] plain = new RmsPropReference(0.1).Run([0], g);
        double[][] heavy = new RmsPropReference(0.1, momentum: 0.5).Run([0], g);

        double expected = (plain[0][0] * 1.75) + ((plain[1][0] - plain[0][0]) * 1.5) + (plain[2][0] - plain[1][0]);
        Assert.Equal(expected, heavy[2][0], 1e-14);
    }

    [Fact]
    public void Lamb_steps_by_the_norm_of_the_parameters()
    {
        double[] p = new LambReference(0.1, epsilon: 0, weightDecay: 0).Run([3, 4], [[7, -7]])[0];

        // The first direction is the sign of the gradient, of norm root 2.
        Assert.Equal(3 - (0.1 * 5 / Math.Sqrt(2)), p[0], 1e-14);
        Assert.Equal(4 + (0.1 * 5 / Math.Sqrt(2)), p[1], 1e-14);
    }

    [Fact]
    public void Lamb_leaves_the_ratio_out_where_a_norm_is_zero()
    {
        Assert.Equal(-0.1, Last(new LambReference(0.1, epsilon: 0), [[7]], p0: 0), 1e-15);
        Assert.Equal(new Bounded(1, 0), LambReference.TrustRatio(3, 0));
        Assert.Equal(new Bounded(1, 0), LambReference.TrustRatio(0, 3));
        Assert.Equal(3, LambReference.TrustRatio(3, 1).Value);
        Assert.Equal(new Bounded(1, double.PositiveInfinity), LambReference.TrustRatio(3, new Bounded(0, 1e-9)));
        Assert.Equal(new Bounded(1, double.PositiveInfinity), LambReference.TrustRatio(new Bounded(0, 1e-9), 3));
    }

    [Theory]
    [InlineData(1, 1)]
    [InlineData(1, 2)]
    public void A_norm_that_may_be_zero_admits_the_ratio_and_one(double norm, double bound)
    {
        Bounded ratio = LambReference.TrustRatio(new Bounded(norm, bound), 8);

        Assert.True(ratio.Admits((float)norm / 8));
        Assert.True(ratio.Admits(1));
    }

    [Fact]
    public void Coupled_decay_that_cancels_the_gradient_leaves_lamb_where_it_is()
    {
        var optimizer = new LambReference(0.1, weightDecay: 1, decoupled: false);

        Assert.Equal([3, 4], optimizer.Run([3, 4], [[-3, -4]])[0]);
    }

    [Fact]
    public void The_friction_of_diffgrad_admits_an_exponential_that_is_off_by_its_error()
    {
        var random = new Random(1);
        for (int i = 0; i < 1000; i++)
        {
            float change = 20 * (random.NextSingle() - 0.5f);
            Bounded friction = DiffGradReference.Friction(change);
            Assert.InRange(friction.Value, 0.5, 1);
            Assert.InRange(friction.Bound, 0, 4.001 * Bounded.UnitRoundoff);
            foreach (double error in new[] { -DiffGradReference.ExpError, 0, DiffGradReference.ExpError })
            {
                Assert.True(friction.Admits(1 / (float)(1 + Math.Exp(-Math.Abs(change)) + error)), $"{change} {error}");
            }
        }
    }

    [Fact]
    public void The_first_step_of_adafactor_on_a_rank_one_gradient_is_its_sign()
    {
        // |g| is an outer product, so the factored estimate is exact: rows 1, 2, columns 1, 3, 5.
        double[] p = new AdafactorReference([2, 3]).Run(
            [1, 1, 1, 1, 1, 1],
            [[1, -3, 5, 2, -6, 10]])[0];

        // Size 1 of the parameters times the relative step 0.01.
        Assert.All(p.Zip([0.99, 1.01, 0.99, 0.99, 1.01, 0.99]), x => Assert.Equal(x.Second, x.First, 1e-12));
    }

    [Fact]
    public void Adafactor_on_a_vector_follows_the_formula_by_hand()
    {
        double[][] p = new AdafactorReference(learningRate: 0.5, weightDecay: 0.1, d: 1).Run([3, 4], [[1, 2], [4, 0]]);

        double w = Math.Pow(2, -0.8);
        double[] u = [4 / Math.Sqrt(((1 - w) * 1) + (w * 16)), 0];
        double size = Math.Sqrt(((p[0][0] * p[0][0]) + (p[0][1] * p[0][1])) / 2);
        double clip = Math.Max(1, Math.Sqrt(u[0] * u[0] / 2));
        Assert.Equal((3 * 0.95) - (0.5 * Math.Sqrt(12.5)), p[0][0], 1e-12);
        Assert.Equal((p[0][0] * 0.95) - (0.5 * size * u[0] / clip), p[1][0], 1e-12);
        Assert.Equal(p[0][1] * 0.95, p[1][1], 1e-12);
    }

    [Fact]
    public void The_step_of_adafactor_is_capped_and_its_denominator_has_a_floor()
    {
        // The average of equal squares is 1, and the second step at most 1 / sqrt(2) of the size.
        double[][] run = new AdafactorReference(learningRate: 0.95).Run([3], [[1], [1]]);
        Assert.Equal(0.15, run[0][0], 1e-12);
        Assert.Equal(0.15 * (1 - Math.Sqrt(0.5)), run[1][0], 1e-12);

        // A root of 2^-40 is less than 2^-23; the size is 0.001 and the step 0.01. Two roundings are those of the
        // floor, two of the constants, and three of products and the quotient.
        Bounded[] p = [0];
        var vector = new AdafactorReference([1]);
        vector.Step(1, p, [Math.ScaleB(1, -40)], vector.CreateState(1));
        Assert.Equal(-1e-5 * Math.ScaleB(1, -17), p[0].Value, 1e-22);
        Assert.Equal(7, p[0].Bound / -p[0].Value / Bounded.UnitRoundoff, 0.01);
    }

    [Fact]
    public void Adafactor_takes_what_is_at_the_end_of_a_range_and_refuses_what_is_beyond()
    {
        Assert.Equal(["variance"], new AdafactorReference([5]).StateNames);
        Assert.Equal(0, new AdafactorReference([0, 3]).StateLength(0, 0));
        Assert.Equal([0.99], new AdafactorReference(beta2Decay: 0, d: 1).Run([1], [[7]])[0]);
        Assert.Throws<ArgumentOutOfRangeException>("shape", () => new AdafactorReference([3, -1]));
        Assert.Throws<ArgumentOutOfRangeException>("beta2Decay", () => new AdafactorReference(beta2Decay: 1e-9));
        Assert.Throws<ArgumentOutOfRangeException>("d", () => new AdafactorReference(d: 0.999));
        Assert.Throws<ArgumentException>("p", () => new AdafactorReference([2, 3]).Run(new double[5], [new double[5]]));
    }

    [Fact]
    public void Coefficients_out_of_range_are_refused_by_name()
    {
        Assert.Equal("beta1", Assert.Throws<ArgumentOutOfRangeException>(() => new AdamReference(beta1: 1)).ParamName);
        Assert.Equal(
            "learningRate",
            Assert.Throws<ArgumentOutOfRangeException>(() => new LionReference(double.NaN)).ParamName);
        Assert.Equal(
            "initialAccumulator",
            Assert.Throws<ArgumentOutOfRangeException>(() => new AdaGradNormReference(1, -1)).ParamName);
    }

    [Fact]
    public void Where_lions_sign_is_uncertain_the_bound_covers_all_outcomes()
    {
        var optimizer = new LionReference(0.1, beta1: 0.5);
        Bounded[] state = [1.0];

        Bounded p = optimizer.Step(2, 1, -1, state);

        Assert.True(p.Admits(0.9f) && p.Admits(1f) && p.Admits(1.1f));
        Assert.False(p.Admits(1.11f));
    }

    private static double[][] Constant(double gradient, int steps) =>
        [.. Enumerable.Range(0, steps).Select(_ => new[] { gradient })];

    private static double Last(OptimizerReference optimizer, double[][] gradients, double p0 = 1) =>
        optimizer.Run([p0], gradients)[^1][0];
}
