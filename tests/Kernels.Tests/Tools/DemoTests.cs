using Kernels.Optimizers;
using Kernels.Tools.Commands;
using Kernels.Tools.Demo.Optimizers;

namespace Kernels.Tests.Tools;

/// <summary>What the demo promises: the optimizers learn the digits.</summary>
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
}
