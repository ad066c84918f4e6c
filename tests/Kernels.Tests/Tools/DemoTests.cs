using Kernels.Optimizers;
using Kernels.References.Dct;
using Kernels.Tools.Commands;
using Kernels.Tools.Demo.Codebooks;
using Kernels.Tools.Demo.LowRank;
using Kernels.Tools.Demo.Optimizers;

namespace Kernels.Tests.Tools;

/// <summary>What the demo promises: the optimizers learn the digits, FVQ keeps the codes alive, few columns nearly suffice.</summary>
public sealed class DemoTests
{
    // On ILGPU's CPU accelerator, whatever the device under test: a simulated one would take minutes for it.
    [Theory]
    [InlineData(typeof(AdamWOptions))]
    [InlineData(typeof(AdaBeliefOptions))]
    [InlineData(typeof(DiffGradOptions))]
    public void Recognises_96_of_100_digits_it_has_not_seen(Type options)
    {
        Contestant contestant = Contestant.All.Single(c => c.Options.GetType() == options);
        using Session session = Session.Open("cpu");

        RaceResult result = new Race(session, DemoCommand.DefaultEpochs, OptimizerPart.Hidden).Run(contestant, (_, _) => { });

        Assert.True(result.Accuracy >= 0.96, $"{contestant.Name} recognises {result.Accuracy:P1}.");
        Assert.True(result.Losses[^1] < result.Losses[0] / 4, $"{result.Losses[0]:R} to {result.Losses[^1]:R}");
    }

    [Fact]
    public void An_eighth_of_the_columns_comes_within_a_point_of_AdamW()
    {
        using Session session = Session.Open("cpu");
        var race = new LowRankRace(session, LowRankRace.DefaultEpochs);

        LowRankResult adam = race.Run(LowRankRace.Contestants.Single(c => c.Options is AdamWOptions), (_, _) => { });
        LowRankResult dct = race.Run(
            LowRankRace.Contestants.Single(c => c.Options is DctAdamWOptions { Rank: 64 }), (_, _) => { });

        Assert.True(adam.Race.Accuracy >= 0.96, $"AdamW recognises {adam.Race.Accuracy:P1}.");
        Assert.True(dct.Race.Accuracy >= adam.Race.Accuracy - 0.01, $"{adam.Race.Accuracy:P1}, {dct.Race.Accuracy:P1}");
        Assert.Null(adam.Chosen);
        Assert.True(dct.Chosen > 0.125 && dct.Chosen <= dct.Best + 1e-6 && dct.Best <= 1 + 1e-9, $"{dct.Chosen}, {dct.Best}");
        // Two moments of every parameter; with DCT of [512, 64] instead of the two hidden layers' matrices, and the indices.
        const int Others = 512 + 512 + (10 * 512) + 10;
        Assert.Equal(8 * ((64 * 512) + (512 * 512) + Others), adam.StateBytes);
        Assert.Equal((8 * ((512 * 64) + (512 * 64) + Others)) + (2 * 64 * sizeof(int)), dct.StateBytes);
    }

    [Fact]
    public void Best_energy_is_that_of_the_whole_gradient()
    {
        // Two digits, so two singular values at most.
        const int Width = 6;
        float[] outputs = [.. Enumerable.Range(0, 2 * Width).Select(i => MathF.Sin(3 * i))];
        float[] inputs = [.. Enumerable.Range(0, 2 * Width).Select(i => MathF.Cos(i * i))];
        float[] values = [.. Enumerable.Range(0, Width * Width).Select(i =>
            (outputs[i / Width] * inputs[i % Width]) + (outputs[Width + (i / Width)] * inputs[Width + (i % Width)]))];

        double[] best = BestEnergy.Of(new LayerGradient(values, outputs, inputs, 2), Width);

        double[] whole = SvdProjectionReference.Energy(Array.ConvertAll(values, v => (double)v), Width, Width);
        Assert.Equal(Width, best.Length);
        Assert.All(best.Zip(whole), e => Assert.Equal(e.Second, e.First, 1e-6));
        Assert.InRange(best[0], 0.5, 0.999);
    }

    [Fact]
    public void Fvq_uses_the_codebook_that_plain_training_leaves_dead()
    {
        using Session session = Session.Open("cpu");
        using var training = new VqTraining(session, VqSetting.Small);

        VqScore plain = training.Run(VqMethod.Plain, _ => { }).Final;
        VqScore fvq = training.Run(VqMethod.Fvq, _ => { }).Final;

        Assert.True(plain.Usage < 0.5, $"plain: {plain}");
        Assert.True(fvq.Usage >= 0.95, $"FVQ: {fvq}");
        Assert.True(fvq.Psnr >= plain.Psnr + 2, $"plain: {plain}, FVQ: {fvq}");
    }

    [Fact]
    public void Every_codebook_learns_and_does_so_again()
    {
        using Session session = Session.Open("cpu");
        using var training = new VqTraining(session, new VqSetting(32, 60));
        foreach (VqMethod method in VqMethod.All)
        {
            VqResult result = training.Run(method, _ => { });

            Assert.Equal(60, result.Final.Step);
            Assert.All(result.Scores, s => Assert.True(
                s.Usage is > 0 and <= 1 && s.Perplexity >= 1 && s.Perplexity <= 32.001 * s.Usage, $"{method.Name}: {s}"));
            Assert.True(result.Final.Psnr > result.Scores[0].Psnr + 1, $"{method.Name}: {result.Scores[0]}, {result.Final}");
            Assert.Equal(result.Final.Psnr, training.Photograph.Psnr(result.Reconstruction));
            Assert.Equal(result.Scores, training.Run(method, _ => { }).Scores);
        }
    }

    [Fact]
    public void The_photograph_comes_back_from_its_patches()
    {
        Photograph photograph = Photograph.Load();
        using SkiaSharp.SKBitmap drawn = photograph.Draw(photograph.Patches);

        Assert.Equal((512, 512, 128 * 128), (drawn.Width, drawn.Height, photograph.Count));
        Assert.Equal(double.PositiveInfinity, photograph.Psnr(photograph.Patches));
        // One grey level off everywhere, and far outside of what a pixel can be.
        float[] brighter = [.. photograph.Patches.Select(v => v > 0.9f ? v - (1 / 127.5f) : v + (1 / 127.5f))];
        Assert.Equal(20 * Math.Log10(255), photograph.Psnr(brighter), 0.001);
        Assert.Equal(photograph.Psnr([.. brighter.Select(_ => 1f)]), photograph.Psnr([.. brighter.Select(_ => 7f)]));
        // The first pixel of the second row lies after the four of the first one.
        Assert.Equal((drawn.GetPixel(0, 1).Red / 127.5f) - 1, photograph.Patches[12]);
    }
}
