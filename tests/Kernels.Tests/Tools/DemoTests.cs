using Kernels.Optimizers;
using Kernels.Tools.Commands;
using Kernels.Tools.Demo.Codebooks;
using Kernels.Tools.Demo.Optimizers;

namespace Kernels.Tests.Tools;

/// <summary>What the demo promises: the optimizers learn the digits, and FVQ keeps the codes alive.</summary>
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

        RaceResult result = new Race(session, DemoCommand.DefaultEpochs).Run(contestant, (_, _) => { });

        Assert.True(result.Accuracy >= 0.96, $"{contestant.Name} recognises {result.Accuracy:P1}.");
        Assert.True(result.Losses[^1] < result.Losses[0] / 4, $"{result.Losses[0]:R} to {result.Losses[^1]:R}");
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
