using ILGPU;
using ILGPU.Algorithms;
using ILGPU.Util;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Reductions;
using Kernels.DeviceCode.Storage;

namespace Kernels.DeviceCode.Optimizers;

/// <summary>Adafactor's tensors, its constants, and the mathematics of one element.</summary>
/// <remarks>
/// Source: Shazeer, Stern 2018, arXiv:1804.04235, algorithms 4 and 5, as in torch.optim.Adafactor: means in place of
/// sums, the rate caps the relative step, epsilon1 bounds the mean of the row means and the root from below.
/// Shapes: matrix [rows, columns] row-major; a vector is kept as rows of 1024 elements, the last perhaps shorter, with
/// one second moment for each element.
/// Traffic: a matrix is read three times (g and p; g; g), p written once, and g once more for the columns: 28 bytes in
/// F32. A vector: g, p, v; g, v; g, v, p and v, p written: 40 bytes.
/// Needs: no shared memory.
/// Order: the same bits for every launch shape. A chunk is 1024 columns of a row, summed by 32 lanes; columns are summed
/// 64 rows at a time.
/// Domain: squares are not scaled: sums are right while squares are normal numbers.
/// Error: depth 31 in a lane; 32 for each chunk of a row; 63 in a group of rows, and one for each group; sums over
/// rows 63 for each fold of 64 to 1.
/// </remarks>
internal struct AdafactorTensors<TParam, TGrad>
    where TParam : struct, IStorage
    where TGrad : struct, IStorage
{
    public TParam P;
    public TGrad G;

    /// <summary>[rows] of a matrix; [n] of a vector.</summary>
    public ArrayView<float> RowVariance;

    /// <summary>[columns] of a matrix; of a vector not used.</summary>
    public ArrayView<float> ColumnVariance;
    public ArrayView<StepControl> Control;

    /// <summary>[4]: 1 / max(mean of the row means, epsilon1), the rate, and the rate divided by the clip.</summary>
    public ArrayView<float> Numbers;
    public AdafactorScalars Scalars;
    public AdafactorShape Shape;

    public readonly float Gradient(long i, float factor) => G.Decode(G.Read(i)) * factor;

    /// <summary>The update before clipping.</summary>
    public readonly float Direction(long i, int column, float factor, float rowScale)
    {
        float second = Shape.IsVector != 0 ? RowVariance[i] : rowScale * ColumnVariance[column];
        float root = XMath.Sqrt(second);
        // A NaN goes through.
        root = Utilities.Select(root < Scalars.Epsilon1, Scalars.Epsilon1, root);
        return Gradient(i, factor) / root;
    }
}

/// <summary>Rows and columns, and how they are cut into chunks.</summary>
internal struct AdafactorShape
{
    internal const int ChunkLength = 1024;
    internal const int Lanes = 32;

    public long Length;
    public int Rows;
    public int Columns;
    public int ChunksOfRow;
    public int IsVector;

    /// <summary>One past the last column of a row.</summary>
    public readonly int EndOf(long row)
    {
        long left = Length - row * Columns;
        return (int)Utilities.Select(left < Columns, left, Columns);
    }
}

/// <summary>Adafactor's constants.</summary>
internal struct AdafactorScalars
{
    public float GradientFactor;
    public float Beta2;
    public float OneMinusBeta2;
    public float Epsilon1;
    public float Epsilon2;
    public float RelativeStep;  // min(lr, 1 / sqrt(t))
    public float InverseD;      // 1 / d
    public float Shrink;        // 1 - lr * weightDecay
    public float InverseRoot;   // 1 / sqrt(n)
    public float InverseRows;
    public float InverseColumns;
}

/// <summary>First pass: the squares of the gradient and of the parameters, one lane of a chunk; a vector's moments.</summary>
internal struct AdafactorSquares<TParam, TGrad> : IBlockWork
    where TParam : struct, IStorage
    where TGrad : struct, IStorage
{
    public AdafactorTensors<TParam, TGrad> T;

    /// <summary>Out: [rows * chunks * 32].</summary>
    public ArrayView<float> GradientSquares;

    /// <summary>Out: [rows * chunks * 32].</summary>
    public ArrayView<float> ParameterSquares;

    public static int LaneCount => AdafactorShape.Lanes;

    public readonly Quad Uniform(long block) => new()
    {
        X = T.Scalars.GradientFactor * T.Control[0].GradientFactor,
        Y = T.Control[0].Skip,
    };

    public readonly void Item(long block, int lane, Quad uniform)
    {
        if (uniform.Y != 0f)
        {
            return;
        }

        long row = block / T.Shape.ChunksOfRow;
        int first = (int)(block % T.Shape.ChunksOfRow) * AdafactorShape.ChunkLength;
        int end = T.Shape.EndOf(row);
        int chunkEnd = first + AdafactorShape.ChunkLength;
        end = Utilities.Select(chunkEnd < end, chunkEnd, end);
        float gradient = 0f;
        float parameter = 0f;
        for (int column = first + lane; column < end; column += AdafactorShape.Lanes)
        {
            long i = row * T.Shape.Columns + column;
            float g = T.Gradient(i, uniform.X);
            float p = T.P.Decode(T.P.Read(i));
            gradient += g * g;
            parameter += p * p;
            if (T.Shape.IsVector != 0)
            {
                T.RowVariance[i] = T.Scalars.Beta2 * T.RowVariance[i] + T.Scalars.OneMinusBeta2 * (g * g);
            }
        }

        GradientSquares[block * AdafactorShape.Lanes + lane] = gradient;
        ParameterSquares[block * AdafactorShape.Lanes + lane] = parameter;
    }
}

/// <summary>The sums of the chunks of one row, and the row's second moment.</summary>
internal struct AdafactorRows : IItemWork
{
    public ArrayView<float> GradientSquares;
    public ArrayView<float> ParameterSquares;
    public ArrayView<float> RowVariance;
    public ArrayView<StepControl> Control;
    public AdafactorScalars Scalars;
    public AdafactorShape Shape;

    /// <summary>Out: [rows].</summary>
    public ArrayView<float> ParameterRows;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        if (Control[0].Skip != 0f)
        {
            return;
        }

        int count = Shape.ChunksOfRow * AdafactorShape.Lanes;
        ParameterRows[i] = LambBlocks.Sum(ParameterSquares, i * count, count);
        if (Shape.IsVector == 0)
        {
            float mean = LambBlocks.Sum(GradientSquares, i * count, count) * Scalars.InverseColumns;
            RowVariance[i] = Scalars.Beta2 * RowVariance[i] + Scalars.OneMinusBeta2 * mean;
        }
    }
}

/// <summary>The squares of one column in a group of 64 rows.</summary>
internal struct AdafactorColumnGroups<TParam, TGrad> : IItemWork
    where TParam : struct, IStorage
    where TGrad : struct, IStorage
{
    internal const int GroupRows = 64;

    public AdafactorTensors<TParam, TGrad> T;

    /// <summary>Out: [groups, columns].</summary>
    public ArrayView<float> ColumnSquares;

    public readonly Quad Uniform() =>
        new() { X = T.Scalars.GradientFactor * T.Control[0].GradientFactor, Y = T.Control[0].Skip };

    public readonly void Item(long i, Quad uniform)
    {
        if (uniform.Y != 0f)
        {
            return;
        }

        long group = i / T.Shape.Columns;
        long column = i % T.Shape.Columns;
        long end = Utilities.Select((group + 1) * GroupRows < T.Shape.Rows, (group + 1) * GroupRows, T.Shape.Rows);
        float sum = 0f;
        for (long row = group * GroupRows; row < end; row++)
        {
            float g = T.Gradient(row * T.Shape.Columns + column, uniform.X);
            sum += g * g;
        }

        ColumnSquares[i] = sum;
    }
}

/// <summary>The second moment of one column.</summary>
internal struct AdafactorColumns : IItemWork
{
    public ArrayView<float> ColumnSquares;
    public ArrayView<float> ColumnVariance;
    public ArrayView<StepControl> Control;
    public AdafactorScalars Scalars;
    public AdafactorShape Shape;
    public int Groups;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        if (Control[0].Skip != 0f)
        {
            return;
        }

        float sum = ColumnSquares[i];
        for (long group = 1; group < Groups; group++)
        {
            sum += ColumnSquares[group * Shape.Columns + i];
        }

        ColumnVariance[i] = Scalars.Beta2 * ColumnVariance[i] + Scalars.OneMinusBeta2 * (sum * Scalars.InverseRows);
    }
}

/// <summary>The scale of the second moments and the rate, from the sums over all rows: one item.</summary>
internal struct AdafactorScale : IItemWork
{
    public ArrayView<float> RowSum;
    public ArrayView<float> ParameterSum;
    public ArrayView<float> Numbers;
    public AdafactorScalars Scalars;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        float mean = RowSum[0] * Scalars.InverseRows;
        Numbers[0] = 1f / Utilities.Select(mean < Scalars.Epsilon1, Scalars.Epsilon1, mean);
        float size = XMath.Sqrt(ParameterSum[0]) * Scalars.InverseRoot;
        Numbers[1] = Utilities.Select(size < Scalars.Epsilon2, Scalars.Epsilon2, size) * Scalars.RelativeStep;
    }
}

/// <summary>Second pass: the squares of the update, one lane of a chunk.</summary>
internal struct AdafactorUpdateSquares<TParam, TGrad> : IBlockWork
    where TParam : struct, IStorage
    where TGrad : struct, IStorage
{
    public AdafactorTensors<TParam, TGrad> T;

    /// <summary>Out: [rows * chunks * 32].</summary>
    public ArrayView<float> UpdateSquares;

    public static int LaneCount => AdafactorShape.Lanes;

    public readonly Quad Uniform(long block) => new()
    {
        X = T.Scalars.GradientFactor * T.Control[0].GradientFactor,
        Y = T.Control[0].Skip,
        Z = T.Shape.IsVector != 0 ? 0f : T.RowVariance[block / T.Shape.ChunksOfRow] * T.Numbers[0],
    };

    public readonly void Item(long block, int lane, Quad uniform)
    {
        if (uniform.Y != 0f)
        {
            return;
        }

        long row = block / T.Shape.ChunksOfRow;
        int first = (int)(block % T.Shape.ChunksOfRow) * AdafactorShape.ChunkLength;
        int end = T.Shape.EndOf(row);
        int chunkEnd = first + AdafactorShape.ChunkLength;
        end = Utilities.Select(chunkEnd < end, chunkEnd, end);
        float sum = 0f;
        for (int column = first + lane; column < end; column += AdafactorShape.Lanes)
        {
            float u = T.Direction(row * T.Shape.Columns + column, column, uniform.X, uniform.Z);
            sum += u * u;
        }

        UpdateSquares[block * AdafactorShape.Lanes + lane] = sum;
    }
}

/// <summary>The sum of the chunks of one row.</summary>
internal struct AdafactorUpdateRows : IItemWork
{
    public ArrayView<float> UpdateSquares;
    public ArrayView<float> UpdateRows;
    public AdafactorShape Shape;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        int count = Shape.ChunksOfRow * AdafactorShape.Lanes;
        UpdateRows[i] = LambBlocks.Sum(UpdateSquares, i * count, count);
    }
}

/// <summary>The rate after clipping: one item.</summary>
internal struct AdafactorClip : IItemWork
{
    public ArrayView<float> UpdateSum;
    public ArrayView<float> Numbers;
    public AdafactorScalars Scalars;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        float clip = XMath.Sqrt(UpdateSum[0]) * Scalars.InverseRoot * Scalars.InverseD;
        Numbers[2] = Numbers[1] / Utilities.Select(clip < 1f, 1f, clip);
    }
}

/// <summary>Third pass: p = p * shrink - rate / clip * update, one lane of a chunk.</summary>
internal struct AdafactorApply<TParam, TGrad> : IBlockWork
    where TParam : struct, IStorage
    where TGrad : struct, IStorage
{
    public AdafactorTensors<TParam, TGrad> T;

    public static int LaneCount => AdafactorShape.Lanes;

    public readonly Quad Uniform(long block) => new()
    {
        X = T.Scalars.GradientFactor * T.Control[0].GradientFactor,
        Y = T.Control[0].Skip,
        Z = T.Shape.IsVector != 0 ? 0f : T.RowVariance[block / T.Shape.ChunksOfRow] * T.Numbers[0],
        W = T.Numbers[2],
    };

    public readonly void Item(long block, int lane, Quad uniform)
    {
        if (uniform.Y != 0f)
        {
            return;
        }

        long row = block / T.Shape.ChunksOfRow;
        int first = (int)(block % T.Shape.ChunksOfRow) * AdafactorShape.ChunkLength;
        int end = T.Shape.EndOf(row);
        int chunkEnd = first + AdafactorShape.ChunkLength;
        end = Utilities.Select(chunkEnd < end, chunkEnd, end);
        for (int column = first + lane; column < end; column += AdafactorShape.Lanes)
        {
            long i = row * T.Shape.Columns + column;
            float u = T.Direction(i, column, uniform.X, uniform.Z);
            float p = T.P.Decode(T.P.Read(i)) * T.Scalars.Shrink - uniform.W * u;
            T.P.Write(i, T.P.Encode(p, T.P.Random(i >> 2).Lane((int)(i & 3))));
        }
    }
}
