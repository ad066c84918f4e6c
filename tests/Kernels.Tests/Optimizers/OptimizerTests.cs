using ILGPU.Runtime;
using Kernels.Optimizers;
using Kernels.References;
using Kernels.References.Optimizers;
using Kernels.Tests.Support;

namespace Kernels.Tests.Optimizers;

/// <summary>The optimizer object: arena, groups, frozen and borrowed parameters.</summary>
public sealed class OptimizerTests
{
    private static readonly int[] s_lengths = [1, 7, 256, 300, 0, 1024, 33];

    [Fact]
    public void An_arena_gives_the_bits_of_single_tensors()
    {
        foreach (string form in ElementwiseForms.Names)
        {
            Pairing pairing = ElementwiseForms.Create(form, new Draw(17));
            Parameter[] parameters = Parameters();
            using var optimizer = new Optimizer(TestDevices.Session, pairing.Options, parameters);
            Train(optimizer, steps: 3);
            for (int i = 0; i < parameters.Length; i++)
            {
                Assert.Equal(Alone(pairing.Options, i, steps: 3), Values(optimizer, parameters[i]));
            }
        }
    }

    [Fact]
    public void Parameters_with_options_of_their_own_are_stepped_by_them()
    {
        var options = new AdamOptions { LearningRate = 0.01, WeightDecay = 0.1, Decoupled = true };
        Parameter[] parameters = Parameters();
        AdamOptions[] own =
        [
            .. parameters.Select((_, i) => options with { LearningRate = 0.01 * (i + 1), Beta1 = 0.1 * (i % 3), WeightDecay = 0.1 * (i % 2) }),
        ];
        using var optimizer = new Optimizer(
            TestDevices.Session, options, [.. parameters.Select((p, i) => p with { Options = own[i] })]);
        Train(optimizer, steps: 4);
        for (int i = 0; i < parameters.Length; i++)
        {
            Assert.Equal(Alone(own[i], i, steps: 4), Values(optimizer, parameters[i]));
        }
    }

    [Fact]
    public void A_frozen_parameter_stays_and_counts_its_own_steps()
    {
        var options = new AdamOptions { LearningRate = 0.01 };
        Parameter[] parameters = Parameters();
        using var optimizer = new Optimizer(
            TestDevices.Session, options, [.. parameters.Select((p, i) => p with { IsFrozen = i == 3 })]);
        Train(optimizer, steps: 2);
        Assert.Equal(parameters[3].Values.ToArray(), Values(optimizer, parameters[3]));
        Assert.Equal(0, optimizer.StepsOf("p3"));
        Assert.Equal(Alone(options, 2, steps: 2), Values(optimizer, parameters[2]));
        optimizer.SetFrozen("p3", false);
        Train(optimizer, steps: 3);
        Assert.Equal(3, optimizer.StepsOf("p3"));
        Assert.Equal(5, optimizer.StepsOf("p2"));
        Assert.Equal(Alone(options, 3, steps: 3), Values(optimizer, parameters[3]));
    }

    [Fact]
    public void Borrowed_parameters_are_updated_where_they_are()
    {
        Session session = TestDevices.Session;
        var options = new DiffGradOptions { LearningRate = 0.01 };
        Parameter[] owned = Parameters();
        using var p = new GuardedTensor(session.Accelerator, owned[3].Values.ToArray(), shift: 1);
        using var g = new GuardedTensor(session.Accelerator, Gradient(3), shift: 2);
        var borrowed = new Parameter("p3", p.View, g.View);
        Parameter[] mixed = [.. owned.Select((o, i) => i == 3 ? borrowed : o)];
        using var optimizer = new Optimizer(session, options, mixed);
        Train(optimizer, steps: 3);
        session.Synchronize();
        Assert.Equal(Alone(options, 3, steps: 3), p.Values());
        Assert.Equal(Alone(options, 5, steps: 3), Values(optimizer, owned[5]));
    }

    [Fact]
    public void The_learning_rate_factor_multiplies_every_rate()
    {
        var options = new SgdOptions { LearningRate = 0.5 };
        using var optimizer = new Optimizer(TestDevices.Session, options, [new Parameter("p", new[] { 1f, 2f })]);
        optimizer.LearningRateFactor = 0.25;
        optimizer.Step([1f, 2f]);
        var values = new float[2];
        optimizer.Download("p", values);
        Assert.Equal([0.875f, 1.75f], values);
        optimizer.LearningRateFactor = 1;
        optimizer.Step([1f, 2f]);
        optimizer.Download("p", values);
        Assert.Equal([0.375f, 0.75f], values);
    }

    [Fact]
    public void A_schedule_reaches_every_group_of_options_and_frozen_rules_stay()
    {
        // More groups than one launch writes rules for; SGD's rules change with the factor alone, Adam's at every step.
        foreach (Func<int, ElementwiseOptions> options in (Func<int, ElementwiseOptions>[])
            [i => new AdamOptions { LearningRate = 0.01 * (i + 1) }, i => new SgdOptions { LearningRate = 0.01 * (i + 1) }])
        {
            Parameter[] parameters =
            [
                .. Enumerable.Range(0, 9).Select(
                    i => new Parameter($"p{i}", new Draw(i).Floats(300)) { Options = options(i) }),
            ];
            using var whole = new Optimizer(TestDevices.Session, options(0), parameters);
            Optimizer[] alone = [.. parameters.Select(p => new Optimizer(TestDevices.Session, options(0), [p]))];
            foreach (double factor in (double[])[1, 1, 0.5, 0.5, 0.25, 1])
            {
                whole.LearningRateFactor = factor;
                for (int i = 0; i < parameters.Length; i++)
                {
                    float[] gradient = new Draw(100 + i).Floats(300);
                    whole.SetGradient(parameters[i].Name, gradient);
                    alone[i].LearningRateFactor = factor;
                    alone[i].Step(gradient);
                }

                whole.Step();
                for (int i = 0; i < parameters.Length; i++)
                {
                    Assert.Equal(Values(alone[i], parameters[i]), Values(whole, parameters[i]));
                }
            }

            Array.ForEach(alone, o => o.Dispose());
        }
    }

    [Fact]
    public void A_step_of_several_groups_allocates_nothing()
    {
        using var optimizer = new Optimizer(TestDevices.Session, new AdamOptions(), [
            .. Enumerable.Range(0, 5).Select(i => new Parameter($"p{i}", 300)
            {
                Options = new AdamOptions { LearningRate = 0.01 * (i + 1) },
            }),
        ]);
        Allocations.AssertNone(TestDevices.Session.Accelerator, optimizer.Step);
    }

    [Fact]
    public void The_stochastic_weight_average_is_the_mean_of_all_steps()
    {
        var start = new[] { 1f, -2f, 3f };
        using var optimizer = new Optimizer(
            TestDevices.Session, new SgdOptions { LearningRate = 0.5 }, [new Parameter("p", start)],
            new OptimizerSettings { Averaging = WeightAveraging.Stochastic });
        var sum = new double[3];
        var values = new float[3];
        for (int step = 1; step <= 8; step++)
        {
            optimizer.Step([step, 1f, -1f]);
            optimizer.Download("p", values);
            for (int i = 0; i < 3; i++)
            {
                sum[i] += values[i];
            }
        }

        optimizer.Download(optimizer.Average("p"), values);
        for (int i = 0; i < 3; i++)
        {
            // Eight steps of three rounded operations on numbers no larger than the largest, which is below 20.
            Assert.Equal(sum[i] / 8, values[i], 8 * 3 * 20 * Math.Pow(2, -24));
        }
    }

    [Theory]
    [InlineData(Storage.BF16, false)]
    [InlineData(Storage.BF16, true)]
    [InlineData(Storage.F16, false)]
    public void With_a_master_the_copy_is_the_rounded_master(Storage storage, bool stochastic)
    {
        var options = new AdamWOptions { LearningRate = 1e-4 };
        Parameter[] parameters = Parameters();
        using var optimizer = new Optimizer(
            TestDevices.Session, options, parameters,
            new OptimizerSettings { Parameters = storage, Master = true, StochasticRounding = stochastic });
        Train(optimizer, steps: 3);
        for (int i = 0; i < parameters.Length; i++)
        {
            float[] master = Values(optimizer, parameters[i]);
            Assert.Equal(Alone(options, i, steps: 3), master);
            var copy = new float[parameters[i].Length];
            optimizer.Download(optimizer.Copy(parameters[i].Name), copy);
            for (int k = 0; k < copy.Length; k++)
            {
                float nearest = StepData.Decode(StepData.Encode([master[k]], storage)[0], storage);
                double spacing = Math.Abs(master[k]) * Math.Pow(2, storage == Storage.BF16 ? -7 : -10);
                Assert.Equal(nearest, copy[k], stochastic ? spacing : 0.0);
            }
        }
    }

    [Fact]
    public void Every_golden_step_is_reached_on_the_device()
    {
        float[] gradients = [1, -2, 0.5f, 0, 3, -0.25f, 0.75f, -1];
        var options = new AdaBeliefOptions { LearningRate = 0.1, Rectify = false };
        var reference = new AdaBeliefReference(learningRate: 0.1, rectify: false);
        Bounded[] wanted = [1];
        Bounded[][] state = reference.CreateState(1);
        using var optimizer = new Optimizer(TestDevices.Session, options, [new Parameter("p", new[] { 1f })]);
        var got = new float[1];
        for (int t = 0; t < gradients.Length; t++)
        {
            optimizer.Step([gradients[t]]);
            optimizer.Download("p", got);
            reference.Step(t + 1, wanted, [gradients[t]], state);
            Assert.True(wanted[0].IsInDomain && wanted[0].Admits(got[0]), $"{got[0]:R}, expected {wanted[0]}");
        }
    }

    [Fact]
    public void A_step_allocates_no_managed_memory()
    {
        Parameter[] parameters = Parameters();
        using var uniform = new Optimizer(TestDevices.Session, new AdamWOptions(), parameters);
        Train(uniform, steps: 3);
        Allocations.AssertNone(TestDevices.Session.Accelerator, uniform.Step);
    }

    private static Parameter[] Parameters() =>
        [.. s_lengths.Select((n, i) => new Parameter($"p{i}", new Draw(100 + i).Floats(n)))];

    private static float[] Gradient(int i) => new Draw(200 + i).Floats(s_lengths[i]);

    private static void Train(Optimizer optimizer, int steps)
    {
        for (int i = 0; i < s_lengths.Length; i++)
        {
            if (!optimizer.Parameters[i].IsBorrowed)
            {
                optimizer.SetGradient($"p{i}", Gradient(i));
            }
        }

        for (int step = 0; step < steps; step++)
        {
            optimizer.Step();
        }
    }

    private static float[] Values(Optimizer optimizer, Parameter parameter)
    {
        var values = new float[parameter.Length];
        optimizer.Download(parameter.Name, values);
        return values;
    }

    private static float[] Alone(ElementwiseOptions options, int i, int steps)
    {
        Accelerator accelerator = TestDevices.Session.Accelerator;
        using var p = new GuardedTensor(accelerator, new Draw(100 + i).Floats(s_lengths[i]));
        using var g = new GuardedTensor(accelerator, Gradient(i));
        GuardedTensor[] state =
        [
            .. options.StateNames.Select((_, slot) => new GuardedTensor(
                accelerator, [.. Enumerable.Repeat(options.InitialState(slot), s_lengths[i])])),
        ];
        var launcher = new UpdateLauncher(accelerator, options);
        for (int step = 1; step <= steps && s_lengths[i] > 0; step++)
        {
            launcher.Step(accelerator.DefaultStream, p.View, g.View, [.. state.Select(s => s.Floats)], step);
        }

        accelerator.Synchronize();
        float[] values = p.Values();
        Array.ForEach(state, s => s.Dispose());
        return values;
    }
}
