using Kernels.Validation;

namespace Kernels.Optimizers;

/// <summary>A test whether a batch is large enough for its mean gradient to be trusted.</summary>
public enum BatchTestKind
{
    /// <summary>The variance of the gradient against the square of its mean.</summary>
    Norm,

    /// <summary>The variance of the gradient along its mean.</summary>
    InnerProduct,

    /// <summary>The variance of the gradient across its mean.</summary>
    Orthogonality,

    /// <summary>The larger of inner product and orthogonality.</summary>
    Augmented,

    /// <summary>The norm test of each coordinate for itself; the largest decides.</summary>
    Coordinate,
}

/// <summary>Which batch test, and how strict: AdAdaGrad (Lau, Liu, Kolar 2024, arXiv:2402.11215).</summary>
public sealed record BatchTestOptions
{
    /// <summary>The test.</summary>
    public BatchTestKind Kind { get; init; } = BatchTestKind.Norm;

    /// <summary>
    /// eta of the norm and coordinate tests, theta of the inner product, nu of the orthogonality test alone; in
    /// [1e-15, 1e15].
    /// </summary>
    public double Threshold { get; init; } = 0.1;

    /// <summary>nu of the augmented test; in [1e-15, 1e15].</summary>
    public double Threshold2 { get; init; } = 0.1;

    internal void Validate(string name)
    {
        Require.Defined(Kind, $"{name}.{nameof(Kind)}");
        // Beyond, the square leaves binary32.
        Require.InRange(Threshold, 1e-15, 1e15, $"{name}.{nameof(Threshold)}");
        Require.InRange(Threshold2, 1e-15, 1e15, $"{name}.{nameof(Threshold2)}");
    }
}
