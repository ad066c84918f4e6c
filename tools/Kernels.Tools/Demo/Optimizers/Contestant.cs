using Kernels.Optimizers;

namespace Kernels.Tools.Demo.Optimizers;

/// <summary>An optimizer of the demo.</summary>
/// <param name="Name">How the table and the picture name it.</param>
/// <param name="BytesPerParameter">
/// Bytes that a step reads and writes for each parameter; null where it depends on the parameter's shape.
/// </param>
/// <param name="Options">The algorithm and its options.</param>
internal sealed record Contestant(string Name, double? BytesPerParameter, OptimizerOptions Options)
{
    /// <summary>
    /// All of them, each with the rate that its authors or common practice give for small networks and, but for that,
    /// with the published defaults.
    /// </summary>
    internal static IReadOnlyList<Contestant> All { get; } =
    [
        Elementwise("SGD, momentum", new SgdOptions { LearningRate = 0.05, Momentum = 0.9 }),
        Elementwise("SGD, Nesterov", new SgdOptions { LearningRate = 0.05, Momentum = 0.9, Nesterov = true }),
        Elementwise("Adam", new AdamOptions()),
        Elementwise("AdamW", new AdamWOptions()),
        Elementwise("AMSGrad", new AdamOptions { AmsGrad = true }),
        Elementwise("AdaGrad", new AdaGradOptions { LearningRate = 0.02 }),
        // Two passes: the norm of the gradient, then the update.
        new("AdaGradNorm", 16, new AdaGradNormOptions { LearningRate = 1 }),
        Elementwise("RMSProp", new RmsPropOptions { LearningRate = 1e-3 }),
        Elementwise("Lion", new LionOptions { LearningRate = 3e-4 }),
        Elementwise("AdaBelief", new AdaBeliefOptions()),
        Elementwise("diffGrad", new DiffGradOptions()),
        // Two passes: moments and norms, then the update from the renewed moments.
        new("LAMB", 40, new LambOptions { LearningRate = 0.005 }),
        // Three passes over the gradient, two of them over the parameters; the state of a matrix is a row and a column.
        new("Adafactor", 24, new AdafactorOptions()),
    ];

    // The parameter, its gradient and the state are read; parameter and state are written.
    private static Contestant Elementwise(string name, ElementwiseOptions options) =>
        new(name, sizeof(float) * (3 + 2 * options.StateNames.Count), options);
}
