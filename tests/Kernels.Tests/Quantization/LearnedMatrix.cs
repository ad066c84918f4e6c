using Kernels.Quantization;
using Kernels.References.Quantization;
using Kernels.Tests.Support;

namespace Kernels.Tests.Quantization;

/// <summary>Which weights share.</summary>
public enum ScopeChoice
{
    /// <summary>All. As a scale: there is none.</summary>
    All,

    /// <summary>Rows.</summary>
    Rows,

    /// <summary>Groups of rows, one of them empty.</summary>
    Groups,

    /// <summary>Blocks of 7.</summary>
    Blocks,
}

/// <summary>A matrix of codes with random codebooks and scales, for the library and for the oracles.</summary>
internal sealed class LearnedMatrix
{
    internal LearnedMatrix(int rows, int columns, int k, ScopeChoice codebooks, ScopeChoice scales, int seed)
    {
        Layout = new CodebookLayout(
            rows, columns, new CodeFormat(k), 1, Scope(codebooks, rows) ?? WeightScope.Tensor, Scope(scales, rows));
        Shape = new CodebookShape(
            rows, columns, k, 1, Oracle(codebooks, rows, columns) ?? QuantizationScope.Tensor(rows * columns),
            Oracle(scales, rows, columns));
        var draw = new Draw(seed);
        Codebook = [.. Enumerable.Range(0, Layout.CodebookCount).SelectMany(_ => draw.Floats(k, 1e-2, 10).Order())];
        Scale = draw.Floats(Layout.ScaleCount, 1e-2, 10);
    }

    internal CodebookLayout Layout { get; }

    internal CodebookShape Shape { get; }

    internal float[] Codebook { get; }

    internal float[] Scale { get; }

    internal int Weights => Layout.WeightCount;

    internal float ScaleOf(int weight) => Shape.Scales is null ? 1 : Scale[Shape.Scales.Of(weight)];

    internal float[] BookOf(int weight)
    {
        int first = Shape.Codebooks.Of(weight) * Layout.Codes;
        return Codebook[first..(first + Layout.Codes)];
    }

    internal float Value(int weight, int code) => ScaleOf(weight) * BookOf(weight)[code];


    private static WeightScope? Scope(ScopeChoice choice, int rows) => choice switch
    {
        ScopeChoice.All => null,
        ScopeChoice.Rows => WeightScope.Rows,
        ScopeChoice.Groups => WeightScope.Groups([0, rows / 2, rows / 2, rows]),
        _ => WeightScope.Blocks(7),
    };

    private static QuantizationScope? Oracle(ScopeChoice choice, int rows, int columns) => choice switch
    {
        ScopeChoice.All => null,
        ScopeChoice.Rows => QuantizationScope.Blocks(columns, rows * columns),
        ScopeChoice.Groups => QuantizationScope.Groups([0, rows / 2, rows / 2, rows], columns),
        _ => QuantizationScope.Blocks(7, rows * columns),
    };
}
