using Kernels.Optimizers;
using Kernels.References;
using Kernels.References.Optimizers;
using Kernels.Tests.Support;

namespace Kernels.Tests.Optimizers;

/// <summary>Clipping, loss scaling, saving and loading of the optimizer object.</summary>
public sealed class OptimizerGuardTests
{
    private static readonly AdamWOptions s_options = new() { LearningRate = 0.01 };

    [Fact]
    public void A_step_with_an_infinite_gradient_is_as_if_it_had_not_been()
    {
        foreach (float poison in new[] { float.PositiveInfinity, float.NaN, float.NegativeInfinity })
        {
            using Optimizer optimizer = Create(new OptimizerSettings { LossScaling = new LossScalerOptions() });
            using Optimizer undisturbed = Create(new OptimizerSettings { LossScaling = new LossScalerOptions() });
            SetGradients(optimizer, 65536);
            optimizer.Step();
            byte[] before = Saved(optimizer);
            optimizer.SetGradient("b", [1, poison, 3]);
            optimizer.Step();
            Assert.Equal(1, optimizer.StepCount);
            Assert.Equal(1, optimizer.StepsOf("a"));
            Assert.Equal(32768, optimizer.LossScale);
            Assert.Equal(Tensors(before), Tensors(Saved(optimizer)));

            SetGradients(optimizer, 32768);
            optimizer.Step();
            SetGradients(undisturbed, 65536);
            undisturbed.Step();
            undisturbed.Step();
            Assert.Equal(2, optimizer.StepCount);
            Assert.Equal(Tensors(Saved(undisturbed)), Tensors(Saved(optimizer)));
        }
    }

    [Fact]
    public void The_loss_scale_grows_after_the_interval()
    {
        using Optimizer optimizer = Create(new OptimizerSettings
        {
            LossScaling = new LossScalerOptions { InitialScale = 4, GrowthInterval = 3 },
        });
        for (int step = 1; step <= 7; step++)
        {
            SetGradients(optimizer, 4);
            optimizer.Step();
            Assert.Equal(step < 3 ? 4 : step < 6 ? 8 : 16, optimizer.LossScale);
        }
    }

    [Theory]
    [InlineData(0.5)]
    [InlineData(1e6)]
    [InlineData(0)]
    public void Clipping_multiplies_every_gradient_by_the_coefficient(double maxNorm)
    {
        // SGD with a rate of 1 and parameters of 0 shows the clipped gradient.
        float[] a = new Draw(1).Floats(300);
        float[] b = new Draw(2).Floats(3);
        using var optimizer = new Optimizer(
            TestDevices.Session, new SgdOptions { LearningRate = 1 },
            [new Parameter("a", 300), new Parameter("b", 3), new Parameter("frozen", 5) { IsFrozen = true }],
            new OptimizerSettings { MaxGradientNorm = maxNorm });
        optimizer.SetGradient("a", a);
        optimizer.SetGradient("b", b);
        optimizer.SetGradient("frozen", [1e9f, 0, 0, 0, 0]);
        optimizer.Step();
        Bounded norm = GradientNormReference.ScaledNorm([.. a, .. b]);
        Assert.True(norm.Admits(optimizer.GradientNorm));
        Bounded coefficient = GradientNormReference.ClipCoefficient(norm, maxNorm);
        var got = new float[300];
        optimizer.Download("a", got);
        for (int i = 0; i < got.Length; i++)
        {
            Bounded wanted = -(a[i] * coefficient);
            Assert.True(wanted.Admits(got[i]), $"a[{i}] must be {wanted}, and is {got[i]:R}.");
        }
    }

    [Fact]
    public void Saved_and_loaded_goes_on_with_the_same_bits()
    {
        foreach (OptimizerSettings settings in new[]
        {
            new OptimizerSettings(),
            new OptimizerSettings { Averaging = WeightAveraging.Stochastic, LossScaling = new() { InitialScale = 8 } },
            new OptimizerSettings { Parameters = Storage.BF16, Master = true, StochasticRounding = true, Seed = 7 },
            new OptimizerSettings { Parameters = Storage.F16 },
        })
        {
            using Optimizer whole = Create(settings);
            using Optimizer first = Create(settings);
            for (int step = 0; step < 3; step++)
            {
                SetGradients(whole, 8);
                SetGradients(first, 8);
                whole.Step();
                first.Step();
            }

            byte[] file = Saved(first);
            using Optimizer second = Create(settings, seed: 99);
            second.Load(new MemoryStream(file));
            Assert.Equal(3, second.StepCount);
            SetGradients(whole, 8);
            SetGradients(second, 8);
            whole.Step();
            second.Step();
            Assert.Equal(Saved(whole), Saved(second));
        }
    }

    [Fact]
    public void A_file_that_does_not_fit_is_refused_and_changes_nothing()
    {
        using Optimizer optimizer = Create(new OptimizerSettings());
        byte[] before = Saved(optimizer);
        using var other = new Optimizer(
            TestDevices.Session, s_options, [new Parameter("a", 299), new Parameter("b", 3)]);
        using var more = new Optimizer(
            TestDevices.Session, s_options, [new Parameter("a", 300), new Parameter("b", 3), new Parameter("c", 3)]);
        using var fewer = new Optimizer(TestDevices.Session, s_options, [new Parameter("a", 300)]);
        using var lion = new Optimizer(
            TestDevices.Session, new LionOptions(), [new Parameter("a", 300), new Parameter("b", 3)]);
        using var half = new Optimizer(
            TestDevices.Session, s_options, [new Parameter("a", 300), new Parameter("b", 3)],
            new OptimizerSettings { Parameters = Storage.F16 });
        (Optimizer Wrong, string Reason)[] cases =
        [
            (other, "'a' must be F32[300], and is F32[299]"),
            (more, "'c'"),
            (fewer, "lacks the tensor 'b'"),
            (lion, "'AdamWOptions', and is 'LionOptions'"),
            (half, "must be F32[300], and is F16[300]"),
        ];
        foreach ((Optimizer wrong, string reason) in cases)
        {
            var refusal = Assert.Throws<InvalidDataException>(() => optimizer.Load(new MemoryStream(Saved(wrong))));
            Assert.Contains(reason, refusal.Message, StringComparison.Ordinal);
            Assert.Equal(before, Saved(optimizer));
        }

        byte[] cut = Saved(optimizer)[..^5];
        Assert.Throws<InvalidDataException>(() => optimizer.Load(new MemoryStream(cut)));
        Assert.Equal(before, Saved(optimizer));
    }

    private static Optimizer Create(OptimizerSettings settings, int seed = 1) => new(
        TestDevices.Session, s_options,
        [new Parameter("a", new Draw(seed).Floats(300)), new Parameter("b", new Draw(seed + 1).Floats(3))], settings);

    private static void SetGradients(Optimizer optimizer, float scale)
    {
        optimizer.SetGradient("a", Array.ConvertAll(new Draw(5).Floats(300), x => x * scale));
        optimizer.SetGradient("b", Array.ConvertAll(new Draw(6).Floats(3), x => x * scale));
    }

    private static byte[] Saved(Optimizer optimizer)
    {
        using var stream = new MemoryStream();
        optimizer.Save(stream);
        return stream.ToArray();
    }

    // What follows the header: the header holds the loss scale, which does change.
    private static byte[] Tensors(byte[] file) => file[(8 + (int)BitConverter.ToInt64(file))..];
}
