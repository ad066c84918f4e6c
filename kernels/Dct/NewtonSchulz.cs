using ILGPU;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Reductions;

namespace Kernels.DeviceCode.Dct;

/// <summary>What stands between the products of a Newton-Schulz iteration.</summary>
/// <remarks>
/// Source: Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks": X = G / (|G| + 1e-7), then
/// five times A = X X^T, B = b A + c A A, X = a X + B X. The polynomial raises small singular values fast and leaves the
/// large ones between about 0.7 and 1.2.
/// </remarks>
internal static class NewtonSchulzSteps
{
    internal const int Count = 5;
    internal const float Epsilon = 1e-7f;
    internal const float A = 3.4445f;
    internal const float B = -4.7750f;
    internal const float C = 2.0315f;
}

/// <summary>x = g / (norm + 1e-7), by a reciprocal; one element.</summary>
/// <remarks>
/// Shapes: from, to of one length, which may be the same; norm [1]. Traffic: reads g, writes x.
/// Domain: a matrix of zeros stays so; an infinite norm makes finite elements 0 and infinite ones NaN, a NaN makes all NaN.
/// </remarks>
internal struct NewtonSchulzScale : IItemWork
{
    public ArrayView<float> From;
    public ArrayView<float> To;
    public ArrayView<float> Norm;

    public readonly Quad Uniform() => new() { X = 1f / (Norm[0] + NewtonSchulzSteps.Epsilon) };

    public readonly void Item(long i, Quad uniform) => To[i] = From[i] * uniform.X;
}

/// <summary>B = b A + c A A; one element.</summary>
/// <remarks>
/// Shapes: gram, square [k, k]; square holds A A and becomes B. Traffic: reads both, writes one.
/// </remarks>
internal struct NewtonSchulzPolynomial : IItemWork
{
    public ArrayView<float> Gram;
    public ArrayView<float> Square;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform) =>
        Square[i] = NewtonSchulzSteps.B * Gram[i] + NewtonSchulzSteps.C * Square[i];
}

/// <summary>a x, to which the product with B is added; one element.</summary>
/// <remarks>Shapes: from, to of one length, apart: the product still reads x. Traffic: reads x, writes a x.</remarks>
internal struct NewtonSchulzLinear : IItemWork
{
    public ArrayView<float> From;
    public ArrayView<float> To;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform) => To[i] = NewtonSchulzSteps.A * From[i];
}
