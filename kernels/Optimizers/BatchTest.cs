using ILGPU;
using ILGPU.Util;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Reductions;
using Kernels.DeviceCode.Storage;

namespace Kernels.DeviceCode.Optimizers;

/// <summary>Gradients of the samples of a batch.</summary>
/// <remarks>
/// Source: Lau, Liu, Kolar 2024, arXiv:2402.11215, after Byrd et al. 2012 and Bollapragada, Byrd, Nocedal 2018,
/// arXiv:1710.11258; with the inner product of the whole gradient, where the authors' code takes it tensor by tensor.
/// Shapes: gradients [samples, d] row-major; one column per item, chunks of 1024 columns of a row by 32 lanes.
/// Storage: gradients F32, F16, BF16, arithmetic binary32.
/// Traffic: norm and coordinate test: the gradients twice; inner product: three times; augmented: five times.
/// Needs: no shared memory.
/// Order: a column from the first sample to the last; sums over columns 64 to 1: the same bits for every launch shape.
/// Domain: squares are not scaled: statistics are right while squares are normal numbers.
/// Error: that of two passes, means first, then deviations; see the reference.
/// </remarks>
internal struct SampleGradients<TGrad>
    where TGrad : struct, IStorage
{
    public TGrad G;
    public long Columns;
    public int Samples;
    public float InverseSamples;
    public float InverseFreedom; // 1 / (samples - 1)

    public readonly float Read(long sample, long column) => G.Decode(G.Read(sample * Columns + column));
}

/// <summary>Mean and variance of one column.</summary>
internal struct BatchColumns<TGrad> : IItemWork
    where TGrad : struct, IStorage
{
    public SampleGradients<TGrad> Gradients;

    /// <summary>Out: [d].</summary>
    public ArrayView<float> Means;

    /// <summary>Out: [d].</summary>
    public ArrayView<float> MeanSquares;

    /// <summary>Out: [d].</summary>
    public ArrayView<float> Variances;

    /// <summary>Out: the statistic of each coordinate, [d].</summary>
    public ArrayView<float> Statistics;
    public float InverseThreshold; // 1 / eta^2

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        float sum = 0f;
        for (long sample = 0; sample < Gradients.Samples; sample++)
        {
            sum += Gradients.Read(sample, i);
        }

        float mean = sum * Gradients.InverseSamples;
        float squares = 0f;
        for (long sample = 0; sample < Gradients.Samples; sample++)
        {
            float deviation = Gradients.Read(sample, i) - mean;
            squares += deviation * deviation;
        }

        float variance = squares * Gradients.InverseFreedom;
        Means[i] = mean;
        MeanSquares[i] = mean * mean;
        Variances[i] = variance;
        Statistics[i] = BatchTests.Against(variance, mean * mean, variance, InverseThreshold);
    }
}

/// <summary>The inner product of one sample with the mean, one lane of a chunk of columns.</summary>
internal struct BatchProducts<TGrad> : IBlockWork
    where TGrad : struct, IStorage
{
    internal const int ChunkLength = 1024;
    internal const int Lanes = 32;

    public SampleGradients<TGrad> Gradients;
    public ArrayView<float> Means;
    public long ChunksOfRow;

    /// <summary>Out: [samples * chunks * 32].</summary>
    public ArrayView<float> Products;

    public static int LaneCount => Lanes;

    public readonly Quad Uniform(long block) => default;

    public readonly void Item(long block, long lane, Quad uniform)
    {
        long sample = block / ChunksOfRow;
        long first = block % ChunksOfRow * ChunkLength;
        long end = Utilities.Select(first + ChunkLength < Gradients.Columns, first + ChunkLength, Gradients.Columns);
        float sum = 0f;
        for (long column = first + lane; column < end; column += Lanes)
        {
            sum += Gradients.Read(sample, column) * Means[column];
        }

        Products[block * Lanes + lane] = sum;
    }
}

/// <summary>The inner product of one sample, from its chunks.</summary>
internal struct BatchRows : IItemWork
{
    public ArrayView<float> Products;
    public long Count;

    /// <summary>Out: [samples].</summary>
    public ArrayView<float> Rows;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        float sum = 0f;
        for (long j = 0; j < Count; j++)
        {
            sum += Products[i * Count + j];
        }

        Rows[i] = sum;
    }
}

/// <summary>The variance of one column across the mean: of what is left of each sample without its projection.</summary>
internal struct BatchAcross<TGrad> : IItemWork
    where TGrad : struct, IStorage
{
    public SampleGradients<TGrad> Gradients;
    public ArrayView<float> Means;
    public ArrayView<float> Rows;
    public ArrayView<float> MeanSquare;

    /// <summary>Out: [d].</summary>
    public ArrayView<float> Variances;

    public readonly Quad Uniform() => new() { X = MeanSquare[0] };

    public readonly void Item(long i, Quad uniform)
    {
        float mean = Means[i];
        float sum = 0f;
        for (long sample = 0; sample < Gradients.Samples; sample++)
        {
            sum += Across(sample, i, mean, uniform.X);
        }

        float center = sum * Gradients.InverseSamples;
        float squares = 0f;
        for (long sample = 0; sample < Gradients.Samples; sample++)
        {
            float deviation = Across(sample, i, mean, uniform.X) - center;
            squares += deviation * deviation;
        }

        Variances[i] = squares * Gradients.InverseFreedom;
    }

    private readonly float Across(long sample, long column, float mean, float meanSquare) =>
        Gradients.Read(sample, column) - Rows[sample] * mean / meanSquare;
}

/// <summary>The statistic of a test over whole gradients: one item.</summary>
internal struct BatchFinish : IItemWork
{
    /// <summary>Sum of the variances of the columns, [1].</summary>
    public ArrayView<float> Variance;

    /// <summary>Square of the norm of the mean, [1].</summary>
    public ArrayView<float> MeanSquare;

    /// <summary>Inner products of the samples with the mean, [samples]; of the norm test empty.</summary>
    public ArrayView<float> Rows;

    /// <summary>Variance across the mean, [1]; without the orthogonality test empty.</summary>
    public ArrayView<float> Across;

    /// <summary>Out: the statistic, [1].</summary>
    public ArrayView<float> Result;
    public int Samples;
    public float InverseSamples;
    public float InverseFreedom;
    public float InverseThreshold;
    public float InverseThreshold2;
    public int HasNorm;
    public int HasProduct;
    public int HasAcross;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        float spread = Variance[0];
        float size = MeanSquare[0];
        float result = 0f;
        if (HasNorm != 0)
        {
            result = BatchTests.Against(spread, size, spread, InverseThreshold);
        }

        if (HasProduct != 0)
        {
            result = BatchTests.Against(ProductVariance(), size * size, spread, InverseThreshold);
        }

        if (HasAcross != 0)
        {
            float across = BatchTests.Against(Across[0], size, spread, InverseThreshold2);
            result = StridedSum.LargerOf(result, across);
        }

        Result[0] = result;
    }

    private readonly float ProductVariance()
    {
        float sum = 0f;
        for (long sample = 0; sample < Samples; sample++)
        {
            sum += Rows[sample];
        }

        float mean = sum * InverseSamples;
        float squares = 0f;
        for (long sample = 0; sample < Samples; sample++)
        {
            float deviation = Rows[sample] - mean;
            squares += deviation * deviation;
        }

        return squares * InverseFreedom;
    }
}

/// <summary>The mathematics that the tests share.</summary>
internal static class BatchTests
{
    /// <summary>variance / (threshold^2 size); where the mean is 0, infinity if the samples differ and else 0.</summary>
    internal static float Against(float variance, float size, float spread, float inverseThreshold)
    {
        float none = Utilities.Select(spread == 0f, 0f, float.PositiveInfinity);
        float some = variance / size * inverseThreshold;
        return Utilities.Select(size == 0f, none, some);
    }
}
