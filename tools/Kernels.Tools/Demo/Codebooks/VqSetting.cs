using Kernels.Optimizers;

namespace Kernels.Tools.Demo.Codebooks;

/// <summary>What all methods of a comparison share.</summary>
/// <param name="Codes">Codes of the codebook.</param>
/// <param name="Steps">Steps of the training.</param>
internal sealed record VqSetting(int Codes, int Steps)
{
    /// <summary>Length of a code, and of what the encoder makes of a patch.</summary>
    internal const int Dimension = 16;

    /// <summary>Patches of the photograph in a step.</summary>
    internal const int Batch = 1024;

    /// <summary>The weight of the commitment loss, as published.</summary>
    internal const double Beta = 0.25;

    /// <summary>Length of a token of VQBridge; its other options are the published ones.</summary>
    internal const int BridgeWidth = 64;

    private const double Rate = 2e-3;

    /// <summary>Quick even on ILGPU's CPU accelerator.</summary>
    internal static VqSetting Small { get; } = new(256, 2000);

    /// <summary>For <c>--large</c>.</summary>
    internal static IReadOnlyList<VqSetting> Large { get; } = [new(1024, 6000), new(4096, 6000)];

    /// <summary>The rate of a step, from 1, as FVQ anneals it: a tenth of the steps up, three of ten level, then down.</summary>
    internal double RateOf(int step)
    {
        int warmup = Steps / 10;
        int hold = (Steps - warmup) * 3 / 10;
        return LearningRateSchedule.WarmupHoldDecay(Rate, step, warmup, hold, Steps - warmup - hold, Rate / 100);
    }
}
