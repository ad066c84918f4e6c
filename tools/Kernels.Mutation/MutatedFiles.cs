namespace Kernels.Mutation;

/// <summary>The files that are mutated, and the operations that must see it.</summary>
internal static class MutatedFiles
{
    private static readonly string[] s_adam = ["optimizers/adam", "optimizers/adamw"];

    /// <summary>By file; the operation that is nearest to it first.</summary>
    internal static IReadOnlyDictionary<string, string[]> All { get; } = new SortedDictionary<string, string[]>(
        StringComparer.Ordinal)
    {
        ["kernels/Optimizers/AdaBelief.cs"] = ["optimizers/adabelief"],
        ["kernels/Optimizers/AdaGrad.cs"] = ["optimizers/adagrad"],
        ["kernels/Optimizers/AdaGradNorm.cs"] = ["optimizers/adagradnorm"],
        ["kernels/Optimizers/Adafactor.cs"] = ["optimizers/adafactor"],
        ["kernels/Optimizers/Adam.cs"] = s_adam,
        ["kernels/Optimizers/BatchTest.cs"] = ["optimizers/batchtest"],
        ["kernels/Optimizers/Decay.cs"] = ["optimizers/sgd", "optimizers/adagradnorm", .. s_adam],
        ["kernels/Optimizers/DiffGrad.cs"] = ["optimizers/diffgrad"],
        ["kernels/Optimizers/Lamb.cs"] = ["optimizers/lamb", "optimizers/adafactor"],
        ["kernels/Optimizers/Lion.cs"] = ["optimizers/lion"],
        ["kernels/Optimizers/RmsProp.cs"] = ["optimizers/rmsprop"],
        ["kernels/Optimizers/Sgd.cs"] = ["optimizers/sgd"],
        ["kernels/Linear/Activations.cs"] = ["linear/activation", "linear/matmul"],
        ["kernels/Linear/LayerNorm.cs"] = ["linear/layernorm"],
        ["kernels/Linear/SoftmaxCrossEntropy.cs"] = ["linear/softmaxcrossentropy"],
        ["kernels/Quantization/Mapping.cs"] = ["codebook/nf4", "codebook/proximal"],
        ["kernels/VectorQuantization/Ema.cs"] = ["vq/ema"],
        ["kernels/VectorQuantization/Quantize.cs"] = ["vq/quantize"],
        ["kernels/VectorQuantization/Rotate.cs"] = ["vq/rotate"],
    };

    /// <summary>The files of which one of some names is the path, its end, or its folder; all without names.</summary>
    /// <exception cref="ArgumentException">A name means no file.</exception>
    internal static IReadOnlyList<string> Find(IReadOnlyList<string> names)
    {
        string[] found =
        [
            .. All.Keys.Where(file => names.Count == 0 || names.Any(name => Fits(file, name))),
        ];
        foreach (string name in names)
        {
            if (!Array.Exists(found, file => Fits(file, name)))
            {
                throw new ArgumentException(
                    $"'{name}' is none of the files that are mutated: {string.Join(", ", All.Keys)}.", nameof(names));
            }
        }

        return found;
    }

    private static bool Fits(string file, string name) =>
        string.Equals(file, name, StringComparison.Ordinal)
        || file.EndsWith("/" + name, StringComparison.Ordinal)
        || file.StartsWith(name.TrimEnd('/') + "/", StringComparison.Ordinal);
}
