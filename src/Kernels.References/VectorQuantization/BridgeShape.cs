namespace Kernels.References.VectorQuantization;

/// <summary>The shape of a VQBridge.</summary>
/// <remarks>
/// Weights by name, matrices [out, in] row-major, applied as y = x W^T + b; H the width, p d numbers a patch, r the
/// ratio:
/// <c>compress.weight</c> [H, p d], <c>compress.bias</c> [H]; for each block i of the depth
/// <c>blocks.{i}.attention.qkv.weight</c> [3 H, H] (rows: queries, keys, values; in each, head after head),
/// <c>.qkv.bias</c> [3 H],
/// <c>blocks.{i}.attention.project.weight</c> [H, H], <c>.project.bias</c> [H],
/// <c>blocks.{i}.mlp.expand.weight</c> [r H, H], <c>.expand.bias</c> [r H],
/// <c>blocks.{i}.mlp.reduce.weight</c> [H, r H], <c>.reduce.bias</c> [H];
/// <c>recover.weight</c> [p d, H], <c>recover.bias</c> [p d]. A patch is p codes in a row, code after code.
/// </remarks>
public sealed record BridgeShape
{
    /// <summary>The dimension d of a code, at least 1.</summary>
    public required int Dimension { get; init; }

    /// <summary>The codes p of a patch, at least 1; K must be a multiple of it.</summary>
    public required int Patch { get; init; }

    /// <summary>The width H of a token, a multiple of the heads.</summary>
    public required int Width { get; init; }

    /// <summary>Attention heads.</summary>
    public int Heads { get; init; } = 4;

    /// <summary>Transformer blocks, at least 0.</summary>
    public int Depth { get; init; } = 2;

    /// <summary>Hidden width of the MLP over the width.</summary>
    public int Ratio { get; init; } = 2;

    /// <summary>What is added to the variance in layer normalisation.</summary>
    public double Epsilon { get; init; } = 1e-6;

    /// <summary>Whether the tokens are normalised after compression, as the paper's text has it and its code has
    /// not.</summary>
    public bool CompressNorm { get; init; }

    /// <summary>Numbers of a patch, p d.</summary>
    public int Features => Patch * Dimension;

    /// <summary>The weights: names and shapes, in the order of the computation.</summary>
    public IReadOnlyList<(string Name, IReadOnlyList<int> Shape)> Weights
    {
        get
        {
            var weights = new List<(string, IReadOnlyList<int>)>();
            Add("compress", Width, Features);
            for (int i = 0; i < Depth; i++)
            {
                Add($"blocks.{i}.attention.qkv", 3 * Width, Width);
                Add($"blocks.{i}.attention.project", Width, Width);
                Add($"blocks.{i}.mlp.expand", Ratio * Width, Width);
                Add($"blocks.{i}.mlp.reduce", Width, Ratio * Width);
            }

            Add("recover", Features, Width);
            return weights;

            void Add(string name, int rows, int columns)
            {
                weights.Add((name + ".weight", [rows, columns]));
                weights.Add((name + ".bias", [rows]));
            }
        }
    }

    /// <summary>The number of weights.</summary>
    public long Parameters => Weights.Sum(weight => weight.Shape.Aggregate(1L, (product, n) => product * n));

    /// <summary>Multiply-adds of the matrix products of one forward pass, attention included.</summary>
    /// <param name="k">The number of codes.</param>
    /// <returns>The number.</returns>
    /// <exception cref="ArgumentException">The codes are not a multiple of the patch.</exception>
    public long MultiplyAdds(long k)
    {
        if (k % Patch != 0)
        {
            throw new ArgumentException($"{k} codes are not a multiple of the patch, {Patch}.", nameof(k));
        }

        long tokens = k / Patch;
        long matrices = Weights.Where(weight => weight.Shape.Count == 2)
            .Sum(weight => (long)weight.Shape[0] * weight.Shape[1]);
        return (tokens * matrices) + (Depth * 2 * tokens * tokens * Width);
    }

    internal static void Validate(BridgeShape shape)
    {
        if (shape is not { Dimension: >= 1, Patch: >= 1, Heads: >= 1, Ratio: >= 1, Depth: >= 0, Epsilon: >= 0 }
            || shape.Width < 1 || shape.Width % shape.Heads != 0)
        {
            throw new ArgumentOutOfRangeException(
                nameof(shape), shape,
                "Sizes must be at least 1, depth and epsilon at least 0, the width a multiple of the heads.");
        }
    }
}
