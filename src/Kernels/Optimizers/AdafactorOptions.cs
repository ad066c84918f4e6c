using System.Diagnostics.CodeAnalysis;
using ILGPU.Runtime;
using Kernels.DeviceCode.Optimizers;
using Kernels.Validation;

namespace Kernels.Optimizers;

/// <summary>
/// Adafactor (Shazeer, Stern 2018, arXiv:1804.04235), as in PyTorch: second moments kept as means of rows and columns,
/// steps relative to the size of the parameters. State: <c>row_var</c>, <c>col_var</c> of a matrix, <c>variance</c> of a
/// vector. Of more than two dimensions the last two are those of matrices. 28 bytes a parameter of a matrix (F32).
/// </summary>
/// <remarks>The decay is always decoupled.</remarks>
[RequiresDynamicCode(LoadedKernels.Reason)]
public sealed record AdafactorOptions : OptimizerOptions
{
    /// <summary>The defaults of PyTorch.</summary>
    public AdafactorOptions()
    {
        LearningRate = 1e-2;
        Decoupled = true;
    }

    /// <summary>The share of the new squares at step t is t to this power; finite, at most 0.</summary>
    public double Beta2Decay { get; init; } = -0.8;

    /// <summary>Least mean of the row means, and least root; positive. By default the epsilon of binary32, 2^-23.</summary>
    public double Epsilon1 { get; init; } = 1.0 / (1 << 23);

    /// <summary>Least size of the parameters that a step is relative to; not negative.</summary>
    public double Epsilon2 { get; init; } = 1e-3;

    /// <summary>Largest root mean square of an update; at least 1.</summary>
    public double ClipThreshold { get; init; } = 1;

    internal override OptimizerEngine CreateEngine(
        Accelerator accelerator, Arena arena, OptimizerSettings settings) =>
        new AdafactorEngine(accelerator, arena);

    internal override void Validate(string name)
    {
        base.Validate(name);
        if (!Decoupled)
        {
            throw new ArgumentException("Adafactor's decay is decoupled; Decoupled must be true.", name);
        }

        Require.InRange(Beta2Decay, double.MinValue, double.Epsilon, $"{name}.{nameof(Beta2Decay)}");
        // A smaller one would be 0, or have no inverse, in binary32.
        Require.InRange(Epsilon1, 1.17549435e-38, float.MaxValue, $"{name}.{nameof(Epsilon1)}");
        Require.NotNegative(Epsilon2, $"{name}.{nameof(Epsilon2)}");
        Require.InRange(ClipThreshold, 1, float.MaxValue, $"{name}.{nameof(ClipThreshold)}");
    }

    internal AdafactorScalars Fold(int step)
    {
        double share = Math.Pow(step, Beta2Decay);
        return new AdafactorScalars
        {
            Beta2 = (float)(1 - share),
            OneMinusBeta2 = (float)share,
            Epsilon1 = (float)Epsilon1,
            Epsilon2 = (float)Epsilon2,
            RelativeStep = (float)Math.Min(LearningRate, 1 / Math.Sqrt(step)),
            InverseD = (float)(1 / ClipThreshold),
            Shrink = (float)(1 - LearningRate * WeightDecay),
        };
    }
}
