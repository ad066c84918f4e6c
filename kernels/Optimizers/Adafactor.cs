using System.Runtime.CompilerServices;
using ILGPU;
using ILGPU.Algorithms;
using ILGPU.Util;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Reductions;
using Kernels.DeviceCode.Storage;

namespace Kernels.DeviceCode.Optimizers;

/// <summary>How second moments are kept.</summary>
internal interface ISecondMoments
{
    /// <summary>Row means and column means of a matrix, instead of one number for each element.</summary>
    static abstract bool IsFactored { get; }
}

/// <summary>A matrix: A is [rows], B is [columns].</summary>
internal readonly struct FactoredMoments : ISecondMoments
{
    public static bool IsFactored => true;
}

/// <summary>A vector: A is [n].</summary>
internal readonly struct WholeMoments : ISecondMoments
{
    public static bool IsFactored => false;
}

/// <summary>Adafactor's constants, and the mathematics of one element.</summary>
/// <remarks>
/// Source: Shazeer, Stern 2018, arXiv:1804.04235, algorithms 4 and 5, as in torch.optim.Adafactor: means in place of
/// sums, the rate caps the relative step, epsilon1 bounds the mean of the row means and the root from below.
/// Shapes: matrix [rows, columns] row-major, every row cut into pieces of 256 elements; a vector is one row, with one
/// second moment for each element.
/// Traffic: a matrix is read three times (g and p; g; g and p), p written once, and g once more for the columns: 28 bytes
/// in F32. A vector: g, p, v, v written; g, v; g, v, p, p written: 36 bytes.
/// Needs: no shared memory.
/// Order: the same bits for every launch shape. A piece is summed by 32 lanes, and those by a tree; columns are summed 64
/// rows at a time.
/// Domain: squares are not scaled: sums are right while squares are normal numbers.
/// Error: depth 7 in a lane and 5 in a piece; one for each piece of a row; 63 in a group of rows, and one for each group;
/// sums over all rows or pieces 63 for each fold of 64 to 1.
/// </remarks>
internal struct AdafactorScalars
{
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

    /// <summary>A second moment with another square, or mean of squares.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly T Second<T>(T second, T square)
        where T : struct, ILane<T> => Beta2 * second + OneMinusBeta2 * square;

    /// <summary>The update before clipping.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly T Direction<T>(T g, T second)
        where T : struct, ILane<T>
    {
        T root = T.Sqrt(second);
        T least = T.Of(Epsilon1);
        // A NaN goes through.
        return g / T.IfLess(root, least, least, root);
    }
}

/// <summary>First pass: the squares of the gradient and of the parameters; a vector's moments.</summary>
internal struct AdafactorSquares<TParam, TGrad, TMoments> : IPiecePass
    where TParam : struct, IStorage
    where TGrad : struct, IStorage
    where TMoments : struct, ISecondMoments
{
    public UpdateTensors<TParam, TGrad> T;
    public ArrayView<StepControl> Control;
    public AdafactorScalars Scalars;

    /// <summary>Out: [pieces * 32]; of a vector not used.</summary>
    public ArrayView<float> GradientSquares;

    /// <summary>Out: [pieces * 32].</summary>
    public ArrayView<float> ParameterSquares;

    public static bool WritesElements => !TMoments.IsFactored;

    public readonly Quad Uniform(long row, long column)
    {
        StepControl control = Control[0];
        return new Quad { X = T.GradientFactor * control.GradientFactor, Y = control.Skip };
    }

    public readonly Quad Element(long i, long column, Quad uniform, Quad sum)
    {
        float g = T.G.Decode(T.G.Read(i)) * uniform.X;
        float p = T.P.Decode(T.P.Read(i));
        if (!TMoments.IsFactored)
        {
            T.A[i] = Scalars.Second(Lane.Of(T.A[i]), Lane.Of(g * g)).Value;
        }

        return PieceSum.Add(sum, g, p, uniform.Y);
    }

    public readonly void Store(long lane, Quad sum)
    {
        if (TMoments.IsFactored)
        {
            GradientSquares[lane] = sum.X;
        }

        ParameterSquares[lane] = sum.Y;
    }
}

/// <summary>The sums of the pieces of one row, and the row's second moment.</summary>
internal struct AdafactorRows : IItemWork
{
    /// <summary>[rows * pieces].</summary>
    public ArrayView<float> GradientPieces;

    public ArrayView<float> RowVariance;
    public ArrayView<StepControl> Control;
    public AdafactorScalars Scalars;
    public int PiecesOfRow;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        if (Control[0].Skip != 0f)
        {
            return;
        }

        float mean = LambRuns.Sum(GradientPieces, i * PiecesOfRow, PiecesOfRow) * Scalars.InverseColumns;
        RowVariance[i] = Scalars.Second(Lane.Of(RowVariance[i]), Lane.Of(mean)).Value;
    }
}

/// <summary>The squares of one column in a group of 64 rows: the groups are the rows of the pieces.</summary>
internal struct AdafactorColumnGroups<TParam, TGrad> : IPieceUpdate
    where TParam : struct, IStorage
    where TGrad : struct, IStorage
{
    internal const int GroupRows = 64;

    public UpdateTensors<TParam, TGrad> T;
    public ArrayView<StepControl> Control;
    public long Columns;

    /// <summary>Out: [groups, columns].</summary>
    public ArrayView<float> ColumnSquares;

    public readonly Quad Uniform(long row, long column)
    {
        StepControl control = Control[0];
        return new Quad { X = T.GradientFactor * control.GradientFactor, Y = control.Skip };
    }

    public readonly void Element(long i, long column, Quad uniform)
    {
        long first = (i - column) * GroupRows + column;
        // By hand and in one chain: of several equal ones LLVM would make a vector within the item.
        float sum = Eight(first, Columns, uniform.X, 0f);
        sum = Eight(first + 8 * Columns, Columns, uniform.X, sum);
        sum = Eight(first + 16 * Columns, Columns, uniform.X, sum);
        sum = Eight(first + 24 * Columns, Columns, uniform.X, sum);
        sum = Eight(first + 32 * Columns, Columns, uniform.X, sum);
        sum = Eight(first + 40 * Columns, Columns, uniform.X, sum);
        sum = Eight(first + 48 * Columns, Columns, uniform.X, sum);
        sum = Eight(first + 56 * Columns, Columns, uniform.X, sum);
        ColumnSquares[i] = sum;
    }

    private readonly float Eight(long i, long row, float factor, float sum)
    {
        sum += Square(i, factor);
        sum += Square(i + row, factor);
        sum += Square(i + 2 * row, factor);
        sum += Square(i + 3 * row, factor);
        sum += Square(i + 4 * row, factor);
        sum += Square(i + 5 * row, factor);
        sum += Square(i + 6 * row, factor);
        return sum + Square(i + 7 * row, factor);
    }

    private readonly float Square(long i, float factor)
    {
        float g = T.G.Decode(T.G.Read(i)) * factor;
        return g * g;
    }
}

/// <summary>The squares of one column in the last rows, fewer than 64.</summary>
internal struct AdafactorColumnTail<TParam, TGrad> : IItemWork
    where TParam : struct, IStorage
    where TGrad : struct, IStorage
{
    public UpdateTensors<TParam, TGrad> T;
    public ArrayView<StepControl> Control;
    public long FirstRow;
    public long EndRow;
    public long Columns;

    /// <summary>Out: [groups, columns], the last group.</summary>
    public ArrayView<float> ColumnSquares;

    public readonly Quad Uniform()
    {
        StepControl control = Control[0];
        return new Quad { X = T.GradientFactor * control.GradientFactor, Y = control.Skip };
    }

    public readonly void Item(long i, Quad uniform)
    {
        if (uniform.Y != 0f)
        {
            return;
        }

        float sum = 0f;
        for (long row = FirstRow; row < EndRow; row++)
        {
            float g = T.G.Decode(T.G.Read(row * Columns + i)) * uniform.X;
            sum += g * g;
        }

        ColumnSquares[FirstRow / AdafactorColumnGroups<TParam, TGrad>.GroupRows * Columns + i] = sum;
    }
}

/// <summary>The second moment of one column.</summary>
internal struct AdafactorColumns : IItemWork
{
    public ArrayView<float> ColumnSquares;
    public ArrayView<float> ColumnVariance;
    public ArrayView<StepControl> Control;
    public AdafactorScalars Scalars;
    public long Columns;
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
            sum += ColumnSquares[group * Columns + i];
        }

        ColumnVariance[i] = Scalars.Second(Lane.Of(ColumnVariance[i]), Lane.Of(sum * Scalars.InverseRows)).Value;
    }
}

/// <summary>The scale of the second moments and the rate, from the sums over all rows: one item.</summary>
internal struct AdafactorScale : IItemWork
{
    public ArrayView<float> RowSum;
    public ArrayView<float> ParameterSum;

    /// <summary>Out: 1 / max(mean of the row means, epsilon1), and the rate.</summary>
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

/// <summary>Second pass: the squares of the update.</summary>
internal struct AdafactorUpdateSquares<TParam, TGrad, TMoments> : IPiecePass
    where TParam : struct, IStorage
    where TGrad : struct, IStorage
    where TMoments : struct, ISecondMoments
{
    public UpdateTensors<TParam, TGrad> T;
    public ArrayView<StepControl> Control;
    public ArrayView<float> Numbers;
    public AdafactorScalars Scalars;

    /// <summary>Out: [pieces * 32].</summary>
    public ArrayView<float> UpdateSquares;

    public static bool WritesElements => false;

    public readonly Quad Uniform(long row, long column)
    {
        StepControl control = Control[0];
        return new Quad { X = T.GradientFactor * control.GradientFactor, Y = control.Skip, Z = TMoments.IsFactored ? T.A[row] * Numbers[0] : 0f, };
    }

    public readonly Quad Element(long i, long column, Quad uniform, Quad sum)
    {
        float second = TMoments.IsFactored ? uniform.Z * T.B[column] : T.A[i];
        float u = Scalars.Direction(Lane.Of(T.G.Decode(T.G.Read(i)) * uniform.X), Lane.Of(second)).Value;
        sum.Y += u * u;
        return sum;
    }

    public readonly void Store(long lane, Quad sum) => UpdateSquares[lane] = sum.Y;
}

/// <summary>The rate after clipping: one item.</summary>
internal struct AdafactorClip : IItemWork
{
    public ArrayView<float> UpdateSum;

    /// <summary>Out: the third, the rate divided by the clip.</summary>
    public ArrayView<float> Numbers;
    public AdafactorScalars Scalars;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        float clip = XMath.Sqrt(UpdateSum[0]) * Scalars.InverseRoot * Scalars.InverseD;
        Numbers[2] = Numbers[1] / Utilities.Select(clip < 1f, 1f, clip);
    }
}

/// <summary>Third pass: p = p * shrink - rate / clip * update.</summary>
internal struct AdafactorApply<TParam, TGrad, TMoments, TExtras> : IPieceUpdate
    where TParam : struct, IStorage
    where TGrad : struct, IStorage
    where TMoments : struct, ISecondMoments
    where TExtras : struct, IExtras
{
    public UpdateTensors<TParam, TGrad> T;
    public TExtras Extras;
    public ArrayView<StepControl> Control;
    public ArrayView<float> Numbers;
    public AdafactorScalars Scalars;

    public readonly Quad Uniform(long row, long column)
    {
        StepControl control = Control[0];
        return new Quad { X = T.GradientFactor * control.GradientFactor, Y = control.Skip, Z = TMoments.IsFactored ? T.A[row] * Numbers[0] : 0f, W = Numbers[2], };
    }

    public readonly void Element(long i, long column, Quad uniform)
    {
        float second = TMoments.IsFactored ? uniform.Z * T.B[column] : T.A[i];
        float u = Scalars.Direction(Lane.Of(T.G.Decode(T.G.Read(i)) * uniform.X), Lane.Of(second)).Value;
        float p = T.P.Decode(T.P.Read(i)) * Scalars.Shrink - uniform.W * u;
        T.P.Write(i, T.P.Encode(p, T.P.Random(i >> 2).Lane((int)(i & 3))));
        Extras.Output(i, p);
    }
}
