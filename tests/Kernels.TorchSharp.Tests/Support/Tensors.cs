using global::TorchSharp;
using TorchParameter = global::TorchSharp.Modules.Parameter;

namespace Kernels.TorchSharp.Tests.Support;

/// <summary>Tensors of tests and their numbers.</summary>
internal static class Tensors
{
    /// <summary>
    /// Shapes around the length of a block, with a scalar, a tensor without elements and the kernels of convolutions.
    /// </summary>
    internal static readonly long[][] Shapes = [[17, 31], [256], [], [0], [3, 300], [511], [1], [8, 5, 3, 3]];

    /// <summary>Numbers of both signs between 2^-9 and 2.</summary>
    internal static float[] Draw(int seed, long length)
    {
        var random = new Random(seed);
        var values = new float[length];
        foreach (ref float value in values.AsSpan())
        {
            value = (float)(Math.Pow(2, 10 * random.NextDouble() - 9) * (random.Next(2) * 2 - 1));
        }

        return values;
    }

    /// <summary>Parameters of these shapes; the same seed gives the same numbers.</summary>
    internal static TorchParameter[] Parameters(
        long[][] shapes, int seed, torch.ScalarType type = torch.ScalarType.Float32) =>
    [
        .. shapes.Select((shape, i) => new TorchParameter(
            torch.tensor(Draw(seed + i, Length(shape)), shape).to(type))),
    ];

    /// <summary>New gradients, in new memory; the same seed gives the same numbers.</summary>
    internal static void SetGradients(IReadOnlyList<TorchParameter> parameters, int seed)
    {
        for (int i = 0; i < parameters.Count; i++)
        {
            using torch.Tensor gradient = torch.tensor(Draw(seed + i, parameters[i].numel()), parameters[i].shape);
            using torch.Tensor converted = gradient.to(parameters[i].dtype);
            parameters[i].grad = converted;
        }
    }

    internal static long Length(long[] shape) => shape.Aggregate(1L, (a, b) => a * b);

    /// <summary>The numbers of a tensor.</summary>
    internal static float[] Values(torch.Tensor tensor)
    {
        using torch.Tensor floats = tensor.detach().to(torch.ScalarType.Float32).contiguous();
        return floats.data<float>().ToArray();
    }

    /// <summary>The numbers of all tensors, one after the other.</summary>
    internal static float[] All(IEnumerable<torch.Tensor> tensors) => [.. tensors.SelectMany(Values)];
}
