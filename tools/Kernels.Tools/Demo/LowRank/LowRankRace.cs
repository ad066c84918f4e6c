using Kernels.Optimizers;
using Kernels.Serialization;
using Kernels.Tools.Demo.Optimizers;

namespace Kernels.Tools.Demo.LowRank;

/// <summary>What an optimizer achieved, and what it left out.</summary>
/// <param name="Race">Losses, accuracy and time.</param>
/// <param name="StateBytes">Bytes of the optimizer's state.</param>
/// <param name="Chosen">Mean share of the gradients' energy in the chosen columns; null if all are used.</param>
/// <param name="Best">Mean share in the best subspaces of the same rank.</param>
/// <param name="Gradient">A gradient from the middle of the training.</param>
internal sealed record LowRankResult(
    RaceResult Race, long StateBytes, double? Chosen, double? Best, LayerGradient Gradient);

/// <summary>The first part's race with a wider network, and a look at the gradients of its square layer.</summary>
internal sealed class LowRankRace(Session session, int epochs)
{
    /// <summary>Units of each of the two hidden layers; the layer between them is looked at.</summary>
    internal const int Width = 512;

    internal const int DefaultEpochs = 6;

    private const int SquareLayer = 1;

    private readonly Race _race = new(session, epochs, Width, Width);

    /// <summary>
    /// All of them. Adam-like ones have the same rate, also for what the others leave to AdamW; but for that, all have the
    /// published defaults.
    /// </summary>
    internal static IReadOnlyList<Contestant> Contestants { get; } =
    [
        new("AdamW", null, new AdamWOptions()),
        new("DCT-AdamW r = 16", null, new DctAdamWOptions { Rank = 16, WeightDecay = 0.01 }),
        new("DCT-AdamW r = 64", null, new DctAdamWOptions { Rank = 64, WeightDecay = 0.01 }),
        new("Trion r = 64", null, new TrionOptions { Rank = 64, AdamW = new() { WeightDecay = 0 } }),
        new("Muon", null, new MuonOptions { AdamW = new() { WeightDecay = 0 } }),
    ];

    /// <summary>One training; the action gets every epoch's number, from 1, and its loss.</summary>
    internal LowRankResult Run(Contestant contestant, Action<int, double> epochDone)
    {
        var gradients = new List<LayerGradient>();
        long stateBytes = 0;
        RaceResult result = _race.Run(contestant, epochDone, (optimizer, network) =>
        {
            gradients.Add(network.GradientOf(SquareLayer, Race.BatchSize));
            stateBytes = StateBytes(optimizer);
        });
        LayerGradient middle = gradients[gradients.Count / 2];
        if (contestant.Options is not LowRankOptions options)
        {
            return new LowRankResult(result, stateBytes, null, null, middle);
        }

        using var energy = new ChosenEnergy(session, Width, options.Rank, options.Selection);
        return new LowRankResult(
            result, stateBytes, gradients.Average(energy.Of),
            gradients.Average(g => BestEnergy.Of(g, Width)[options.Rank - 1]), middle);
    }

    // Whatever a checkpoint holds beside parameters and counts is state.
    private static long StateBytes(Optimizer optimizer)
    {
        using var checkpoint = new MemoryStream();
        optimizer.Save(checkpoint);
        checkpoint.Position = 0;
        using var file = new SafeTensorsFile(checkpoint, leaveOpen: true);
        HashSet<string> others = [.. optimizer.Parameters.SelectMany(p => (string[])[p.Name, $"{p.Name}.step"])];
        return file.Tensors.Where(t => !others.Contains(t.Name)).Sum(t => t.ByteLength);
    }
}
