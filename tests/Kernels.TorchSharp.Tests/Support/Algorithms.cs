using Kernels.Optimizers;

namespace Kernels.TorchSharp.Tests.Support;

/// <summary>Every algorithm of the library, in every form that differs in its state.</summary>
internal static class Algorithms
{
    private static readonly Dictionary<string, OptimizerOptions> s_all = new(StringComparer.Ordinal)
    {
        ["sgd"] = new SgdOptions { LearningRate = 0.1, WeightDecay = 0.01 },
        ["sgd.momentum"] = new SgdOptions { LearningRate = 0.05, Momentum = 0.9, Dampening = 0.1 },
        ["adam"] = new AdamOptions { LearningRate = 3e-3, WeightDecay = 0.01 },
        ["adamw"] = new AdamWOptions { LearningRate = 3e-3, WeightDecay = 0.1 },
        ["adamw.amsgrad"] = new AdamWOptions { LearningRate = 3e-3, AmsGrad = true },
        ["adagrad"] = new AdaGradOptions { LearningRate = 0.03, InitialAccumulator = 0.1 },
        ["rmsprop"] = new RmsPropOptions { LearningRate = 2e-3 },
        ["rmsprop.centered"] = new RmsPropOptions { LearningRate = 2e-3, Centered = true, Momentum = 0.5 },
        ["lion"] = new LionOptions { LearningRate = 1e-3 },
        ["adabelief"] = new AdaBeliefOptions { LearningRate = 3e-3 },
        ["diffgrad"] = new DiffGradOptions { LearningRate = 3e-3 },
        ["lamb"] = new LambOptions { LearningRate = 1e-2 },
        ["adafactor"] = new AdafactorOptions { LearningRate = 3e-2 },
        ["adagradnorm"] = new AdaGradNormOptions { LearningRate = 0.3, WeightDecay = 0.01 },
        ["dctadamw"] = new DctAdamWOptions { LearningRate = 3e-3, Rank = 4 },
        ["trion"] = new TrionOptions { Rank = 4 },
        ["muon"] = new MuonOptions(),
    };

    internal static IEnumerable<string> Names => s_all.Keys;

    internal static OptimizerOptions Of(string name) => s_all[name];
}
