using Kernels.References;
using Kernels.References.Optimizers;

namespace Kernels.Tests.References;

/// <summary>
/// Plain binary32 steps, as a fused kernel takes them, against the bounds of the oracles: several steps with carried
/// state, over log-uniform inputs, with and without fused multiply-add.
/// </summary>
public class OptimizerBoundTests
{
    private const int Cases = 3000;
    private const int Steps = 4;
    private const int N = 6;

    private delegate float ElementStep(int t, float p, float g, Span<float> state, Arithmetic a);

    [Fact]
    public void Sgd() => CheckElements(
        h => new SgdReference(h.Rate, h.Beta1, h.Small, nesterov: true, weightDecay: h.Decay),
        h => (t, p, g, state, a) =>
        {
            float mu = (float)h.Beta1;
            g = a.Fma((float)h.Decay, p, g);
            state[0] = t == 1 ? g : a.Fma(mu, state[0], (float)(1 - h.Small) * g);
            return a.Fma(-(float)h.Rate, a.Fma(mu, state[0], g), p);
        });

    [Theory]
    [InlineData(AmsGradRule.Torch)]
    [InlineData(AmsGradRule.Optax)]
    public void AmsGrad(AmsGradRule rule) => CheckElements(
        h => new AdamReference(
            h.Rate, h.Beta1, h.Beta2, h.Epsilon, h.Decay, amsgrad: true, amsgradRule: rule),
        h => (t, p, g, state, a) =>
        {
            double c2 = 1 - Math.Pow(h.Beta2, t);
            g = a.Fma((float)h.Decay, p, g);
            Moments(h, g, state, a);
            bool raw = rule == AmsGradRule.Torch;
            state[2] = Math.Max(state[2], raw ? state[1] : state[1] * (float)(1 / c2));
            float root = MathF.Sqrt(state[2]) * (raw ? (float)(1 / Math.Sqrt(c2)) : 1);
            float step = (float)(h.Rate / (1 - Math.Pow(h.Beta1, t)));
            return p - (step * state[0] / (root + (float)h.Epsilon));
        });

    [Fact]
    public void Adam_with_the_correction_folded_into_epsilon() => CheckElements(
        h => new AdamReference(h.Rate, h.Beta1, h.Beta2, h.Epsilon),
        h => (t, p, g, state, a) =>
        {
            double c2 = Math.Sqrt(1 - Math.Pow(h.Beta2, t));
            Moments(h, g, state, a);
            float step = (float)(h.Rate * c2 / (1 - Math.Pow(h.Beta1, t)));
            return p - (step * state[0] / (MathF.Sqrt(state[1]) + (float)(h.Epsilon * c2)));
        });

    [Fact]
    public void AdaGrad() => CheckElements(
        h => new AdaGradReference(h.Rate, h.Small, h.Decay, 0.1f, h.Epsilon, decoupled: true),
        h => (t, p, g, state, a) =>
        {
            double rate = h.Rate / (1 + ((t - 1) * h.Small));
            state[0] = a.Fma(g, g, state[0]);
            float step = (float)rate * g / (MathF.Sqrt(state[0]) + (float)h.Epsilon);
            return a.Fma(p, (float)(1 - (rate * h.Decay)), -step);
        });

    [Fact]
    public void RmsProp() => CheckElements(
        h => new RmsPropReference(h.Rate, h.Beta2, h.Epsilon, h.Beta1, centered: true, weightDecay: h.Decay),
        h => (t, p, g, state, a) =>
        {
            g = a.Fma((float)h.Decay, p, g);
            float alpha = (float)h.Beta2;
            float rest = (float)(1 - h.Beta2);
            state[0] = a.Fma(alpha, state[0], rest * g * g);
            state[2] = a.Fma(alpha, state[2], rest * g);
            float variance = Math.Max(a.Fma(-state[2], state[2], state[0]), 0);
            state[1] = a.Fma((float)h.Beta1, state[1], g / (MathF.Sqrt(variance) + (float)h.Epsilon));
            return a.Fma(-(float)h.Rate, state[1], p);
        });

    [Fact]
    public void Lion() => CheckElements(
        h => new LionReference(h.Rate, h.Beta1, h.Beta2, h.Decay),
        h => (t, p, g, state, a) =>
        {
            float u = a.Fma((float)h.Beta1, state[0], (float)(1 - h.Beta1) * g);
            state[0] = a.Fma((float)h.Beta2, state[0], (float)(1 - h.Beta2) * g);
            return a.Fma(p, (float)(1 - (h.Rate * h.Decay)), -((float)h.Rate * Math.Sign(u)));
        });

    [Fact]
    public void AdaBelief() => CheckElements(
        h => new AdaBeliefReference(h.Rate, h.Beta1, h.Beta2, h.Epsilon, h.Decay, fixedDecay: true),
        h => (t, p, g, state, a) =>
        {
            Belief(h, g, state, a);
            // No rectified step is taken in so few steps.
            float step = (float)(h.Rate / (1 - Math.Pow(h.Beta1, t)));
            return a.Fma(p, (float)(1 - h.Decay), -(step * state[0]));
        });

    [Fact]
    public void AdaBelief_unrectified() => CheckElements(
        h => new AdaBeliefReference(h.Rate, h.Beta1, h.Beta2, h.Epsilon, rectify: false, amsgrad: true),
        h => (t, p, g, state, a) =>
        {
            Belief(h, g, state, a);
            state[2] = Math.Max(state[2], state[1]);
            float root = (float)(1 / Math.Sqrt(1 - Math.Pow(h.Beta2, t)));
            float step = (float)(h.Rate / (1 - Math.Pow(h.Beta1, t)));
            return p - (step * state[0] / a.Fma(MathF.Sqrt(state[2]), root, (float)h.Epsilon));
        });

    [Fact]
    public void AdaBelief_rectified() => CheckElements(
        h => new AdaBeliefReference(h.Rate, h.Beta1, 0.9, h.Epsilon),
        h => (t, p, g, state, a) =>
        {
            Belief(h with { Beta2 = 0.9 }, g, state, a);
            double rate = h.Rate * AdaBeliefReference.Rectification(0.9, t)
                * Math.Sqrt(1 - Math.Pow(0.9, t)) / (1 - Math.Pow(h.Beta1, t));
            return p - ((float)rate * state[0] / (MathF.Sqrt(state[1]) + (float)h.Epsilon));
        },
        firstStep: 6);

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void DiffGrad(bool amsgrad) => CheckElements(
        h => new DiffGradReference(h.Rate, h.Beta1, h.Beta2, h.Epsilon, h.Decay, amsgrad: amsgrad),
        h => (t, p, g, state, a) =>
        {
            g = a.Fma((float)h.Decay, p, g);
            Moments(h, g, state, a);
            float friction = 1 / (1 + (float)Math.Exp(-Math.Abs(state[2] - g)));
            state[2] = g;
            float second = state[1];
            if (amsgrad)
            {
                second = state[3] = Math.Max(state[3], second);
            }

            float step = (float)(h.Rate * Math.Sqrt(1 - Math.Pow(h.Beta2, t)) / (1 - Math.Pow(h.Beta1, t)));
            return p - (step * (state[0] * friction) / (MathF.Sqrt(second) + (float)h.Epsilon));
        });

    [Fact]
    public void AdaGradNorm() => CheckTensors(
        h => new AdaGradNormReference(h.Rate, 0.1f),
        (h, t, p, g, state, a) =>
        {
            state[0][0] += Square(g, a);
            float rate = (float)h.Rate / MathF.Sqrt(state[0][0]);
            for (int i = 0; i < p.Length; i++)
            {
                p[i] = a.Fma(-rate, g[i], p[i]);
            }
        });

    [Fact]
    public void Lamb() => CheckTensors(
        h => new LambReference(h.Rate, h.Beta1, h.Beta2, h.Epsilon, h.Decay),
        (h, t, p, g, state, a) =>
        {
            float k1 = (float)(1 / (1 - Math.Pow(h.Beta1, t)));
            float k2 = (float)(1 / Math.Sqrt(1 - Math.Pow(h.Beta2, t)));
            var u = new float[p.Length];
            for (int i = 0; i < p.Length; i++)
            {
                Span<float> element = [state[0][i], state[1][i]];
                Moments(h, g[i], element, a);
                (state[0][i], state[1][i]) = (element[0], element[1]);
                float direction = element[0] * k1 / a.Fma(MathF.Sqrt(element[1]), k2, (float)h.Epsilon);
                u[i] = a.Fma((float)h.Decay, p[i], direction);
            }

            float size = MathF.Sqrt(Square(p, a));
            float length = MathF.Sqrt(Square(u, a));
            float rate = (float)h.Rate * (size == 0 || length == 0 ? 1 : size / length);
            for (int i = 0; i < p.Length; i++)
            {
                p[i] = a.Fma(-rate, u[i], p[i]);
            }
        });

    [Fact]
    public void Adafactor_of_a_matrix() => CheckTensors(
        h => new AdafactorReference([2, 3], h.Rate, weightDecay: h.Decay),
        (h, t, p, g, state, a) =>
        {
            double w = Math.Pow(t, -0.8);
            for (int i = 0; i < 2; i++)
            {
                float mean = Square(g[(3 * i)..(3 * (i + 1))], a) / 3;
                state[0][i] = a.Fma((float)(1 - w), state[0][i], (float)w * mean);
            }

            for (int j = 0; j < 3; j++)
            {
                float mean = Square([g[j], g[3 + j]], a) / 2;
                state[1][j] = a.Fma((float)(1 - w), state[1][j], (float)w * mean);
            }

            float floor = (float)Math.Pow(2, -23);
            float average = Math.Max((state[0][0] + state[0][1]) / 2, floor);
            float[] u = [.. g.Select((x, i) =>
                x / MathF.Sqrt(Math.Max(state[0][i / 3] * state[1][i % 3] / average, floor * floor)))];
            AdafactorStep(h, t, p, u, a);
        });

    [Fact]
    public void Adafactor_of_a_vector() => CheckTensors(
        h => new AdafactorReference(null, h.Rate, weightDecay: h.Decay),
        (h, t, p, g, state, a) =>
        {
            double w = Math.Pow(t, -0.8);
            var u = new float[p.Length];
            for (int i = 0; i < p.Length; i++)
            {
                state[0][i] = a.Fma((float)(1 - w), state[0][i], (float)w * g[i] * g[i]);
                u[i] = g[i] / Math.Max(MathF.Sqrt(state[0][i]), (float)Math.Pow(2, -23));
            }

            AdafactorStep(h, t, p, u, a);
        });

    [Fact]
    public void Another_algorithm_is_outside_the_bound()
    {
        const double rate = 0.1;
        OptimizerReference[] all =
        [
            new SgdReference(rate, 0.9),
            new SgdReference(rate, 0.9, nesterov: true),
            new SgdReference(rate, 0.9, dampening: 0.1),
            new AdamReference(rate),
            new AdamReference(rate, epsilon: 1e-4),
            new AdamReference(rate, weightDecay: 0.01),
            new AdamReference(rate, weightDecay: 0.01, decoupled: true),
            new AdamReference(rate, amsgrad: true, amsgradRule: AmsGradRule.Optax),
            new AdaGradReference(rate),
            new AdaGradReference(rate, lrDecay: 1e-3),
            new RmsPropReference(rate),
            new RmsPropReference(rate, centered: true),
            new AdaBeliefReference(rate),
            new AdaBeliefReference(rate, rectify: false),
            new DiffGradReference(rate),
            new LambReference(rate),
            new AdafactorReference(null, rate),
        ];

        Bounded[] last = Array.ConvertAll(all, optimizer =>
        {
            Bounded[] p = [1];
            Bounded[][] state = optimizer.CreateState(1);
            double[] gradients = [1, -2, 0.5, 3];
            for (int t = 1; t <= gradients.Length; t++)
            {
                optimizer.Step(t, p, [gradients[t - 1]], state);
            }

            return p[0];
        });

        for (int i = 0; i < all.Length; i++)
        {
            for (int j = 0; j < all.Length; j++)
            {
                Assert.True(last[i].Admits((float)last[j].Value) == (i == j), $"{i} {last[i]}, {j} {last[j]}");
            }
        }
    }

    private static void Moments(Hyper h, float g, Span<float> state, Arithmetic a)
    {
        state[0] = a.Fma((float)h.Beta1, state[0], (float)(1 - h.Beta1) * g);
        state[1] = a.Fma((float)h.Beta2, state[1], (float)(1 - h.Beta2) * g * g);
    }

    private static void Belief(Hyper h, float g, Span<float> state, Arithmetic a)
    {
        state[0] = a.Fma((float)h.Beta1, state[0], (float)(1 - h.Beta1) * g);
        float residual = g - state[0];
        state[1] = a.Fma((float)h.Beta2, state[1], (float)(1 - h.Beta2) * residual * residual) + (float)h.Epsilon;
    }

    private static void AdafactorStep(Hyper h, int t, float[] p, float[] u, Arithmetic a)
    {
        float size = Math.Max(MathF.Sqrt(Square(p, a) / p.Length), (float)1e-3);
        float rate = size * (float)Math.Min(h.Rate, 1 / Math.Sqrt(t));
        float scale = rate / Math.Max(1, MathF.Sqrt(Square(u, a) / u.Length));
        for (int i = 0; i < p.Length; i++)
        {
            p[i] = a.Fma(p[i], (float)(1 - (h.Rate * h.Decay)), -(scale * u[i]));
        }
    }

    private static float Square(float[] values, Arithmetic a) => values.Aggregate(0f, (sum, x) => a.Fma(x, x, sum));

    private static void CheckElements(
        Func<Hyper, OptimizerReference> oracle, Func<Hyper, ElementStep> kernel, int firstStep = 1) =>
        CheckTensors(
            oracle,
            (h, t, p, g, state, a) =>
            {
                ElementStep step = kernel(h);
                var element = new float[state.Length];
                for (int i = 0; i < p.Length; i++)
                {
                    for (int slot = 0; slot < element.Length; slot++)
                    {
                        element[slot] = state[slot][i];
                    }

                    p[i] = step(t, p[i], g[i], element, a);
                    for (int slot = 0; slot < element.Length; slot++)
                    {
                        state[slot][i] = element[slot];
                    }
                }
            },
            firstStep);

    private static void CheckTensors(
        Func<Hyper, OptimizerReference> oracle,
        Action<Hyper, int, float[], float[], float[][], Arithmetic> kernel,
        int firstStep = 1)
    {
        var random = new Random(1);
        int useful = 0;
        for (int i = 0; i < Cases; i++)
        {
            Hyper h = Hyper.Draw(random);
            var arithmetic = new Arithmetic(Fused: random.Next(2) == 0);
            OptimizerReference optimizer = oracle(h);
            double scale = random.Next(-30, 10);
            float[] p = Floats(random, scale);
            float[][] state = [.. optimizer.StateNames.Select((_, slot) =>
                Enumerable.Repeat((float)optimizer.InitialState(slot), optimizer.StateLength(slot, N)).ToArray())];
            Bounded[] expected = Exact(p);
            Bounded[][] bounds = Array.ConvertAll(state, Exact);
            for (int t = firstStep; t < firstStep + Steps; t++)
            {
                float[] g = Floats(random, scale);
                optimizer.Step(t, expected, Exact(g), bounds);
                kernel(h, t, p, g, state, arithmetic);
                AssertAdmits(expected, p, $"p, case {i}, step {t}, {h}, {arithmetic}");
                for (int slot = 0; slot < state.Length; slot++)
                {
                    AssertAdmits(bounds[slot], state[slot], $"{optimizer.StateNames[slot]}, case {i}, step {t}, {h}");
                }

                useful += expected.Count(x => x.Bound <= 1e-4 * Math.Abs(x.Value));
            }
        }

        Assert.True(useful > Cases * Steps * N / 2, $"only {useful} bounds say something");
    }

    private static void AssertAdmits(Bounded[] expected, float[] measured, string what)
    {
        for (int i = 0; i < measured.Length; i++)
        {
            Assert.True(expected[i].Admits(measured[i]), $"{measured[i]:R} is not {expected[i]}: [{i}] of {what}");
        }
    }

    private static Bounded[] Exact(float[] values) => Array.ConvertAll(values, x => Bounded.FromDouble(x));

    private static float[] Floats(Random random, double scale) =>
        [.. Enumerable.Range(0, N).Select(_ => random.Next(10) == 0 ? 0 : LogUniform(random, scale))];

    private static float LogUniform(Random random, double scale) =>
        (float)Math.Pow(2, scale + (8 * random.NextDouble())) * (random.Next(2) == 0 ? 1 : -1);

    private sealed record Arithmetic(bool Fused)
    {
        internal float Fma(float x, float y, float z) => Fused ? MathF.FusedMultiplyAdd(x, y, z) : (x * y) + z;
    }

    private sealed record Hyper(double Rate, double Beta1, double Beta2, double Epsilon, double Decay, double Small)
    {
        internal static Hyper Draw(Random random) => new(
            random.Next(10) == 0 ? 1 : Math.Pow(10, -5 * random.NextDouble()),
            random.Next(4) switch { 0 => 0.5, 1 => 0.75, _ => 0.99 * random.NextDouble() + 1e-3 },
            random.Next(4) switch { 0 => 0, 1 => 0.75, 2 => 0.999, _ => random.NextDouble() },
            Math.Pow(10, -4 - (12 * random.NextDouble())),
            random.Next(2) * random.NextDouble(),
            random.NextDouble());
    }
}
