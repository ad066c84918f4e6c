namespace Kernels.VectorQuantization;

/// <summary>A weight of a <see cref="Bridge"/>, and where it lies in <see cref="Bridge.Parameters"/>.</summary>
/// <param name="Name">As in <c>blocks.0.attention.qkv.weight</c>.</param>
/// <param name="Shape">[out, in], row-major, or [out] of a bias.</param>
/// <param name="Offset">First element; a multiple of four.</param>
public sealed record BridgeWeight(string Name, IReadOnlyList<int> Shape, long Offset)
{
    /// <summary>Number of elements.</summary>
    public long Length => Shape.Aggregate(1L, (product, n) => product * n);
}

/// <summary>A dense layer: y = x W^T + b.</summary>
internal readonly record struct BridgeLayer(int Outputs, int Inputs, long Weight, long Bias);

/// <summary>Where the weights of a bridge lie, in the order of the computation.</summary>
internal sealed class BridgeWeights
{
    private readonly List<BridgeWeight> _all = [];

    internal BridgeWeights(BridgeOptions options, int dimension)
    {
        int width = options.Width;
        int features = checked(options.Patch * dimension);
        Compress = Add("compress", width, features);
        Blocks = new Block[options.Depth];
        for (int i = 0; i < Blocks.Length; i++)
        {
            Blocks[i] = new Block(
                Add($"blocks.{i}.attention.qkv", 3 * width, width),
                Add($"blocks.{i}.attention.project", width, width),
                Add($"blocks.{i}.mlp.expand", options.MlpRatio * width, width),
                Add($"blocks.{i}.mlp.reduce", width, options.MlpRatio * width));
        }

        Recover = Add("recover", features, width);
    }

    internal IReadOnlyList<BridgeWeight> All => _all;

    /// <summary>Elements of all, with what rounds each up to a multiple of four.</summary>
    internal long Length { get; private set; }

    internal BridgeLayer Compress { get; }

    internal Block[] Blocks { get; }

    internal BridgeLayer Recover { get; }

    private BridgeLayer Add(string name, int outputs, int inputs)
    {
        long weight = Add($"{name}.weight", [outputs, inputs]);
        return new BridgeLayer(outputs, inputs, weight, Add($"{name}.bias", [outputs]));
    }

    private long Add(string name, IReadOnlyList<int> shape)
    {
        var weight = new BridgeWeight(name, shape, Length);
        _all.Add(weight);
        Length += (weight.Length + 3) / 4 * 4;
        return weight.Offset;
    }

    internal sealed record Block(BridgeLayer Qkv, BridgeLayer Project, BridgeLayer Expand, BridgeLayer Reduce);
}
