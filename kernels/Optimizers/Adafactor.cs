using System.Runtime.CompilerServices;
using ILGPU;
using ILGPU.Algorithms;
using ILGPU.Util;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Reductions;
using Kernels.DeviceCode.Storage;

namespace Kernels.DeviceCode.Optimizers;

/// <summary>Numbers of a tensor that depend on its sizes alone.</summary>
internal struct AdafactorSizes
{
    public float InverseRoot;   // 1 / sqrt(n)
    public float InverseRows;
    public float InverseColumns;
}

/// <summary>Adafactor's constants, and the mathematics of one element.</summary>
/// <remarks>
/// Source: Shazeer, Stern 2018, arXiv:1804.04235, algorithms 4 and 5, as in torch.optim.Adafactor: means in place of
/// sums, the rate caps the relative step, epsilon1 bounds the mean of the row means and the root from below. Of more than
/// two dimensions the last two are those of a matrix, and the others count matrices: each has its own rows, columns and
/// mean of row means; the sizes of parameters and update are those of the whole tensor.
/// Shapes: many tensors, which tables cut into pieces of up to 256 elements. A row of more than 32 elements is cut into
/// pieces of its own; of shorter rows a piece has as many as it can hold, whole matrices where these are small; a
/// vector is one row, with one second moment for each element.
/// Traffic: a matrix is read three times (g and p; g; g and p), p written once, and g once more for the columns, with
/// short rows for the rows too: 28 bytes in F32, or 32. A vector: g, p, v, v written; g, v; g, v, p, p written: 36 bytes.
/// The tables: 0.7 bytes an element where rows are long.
/// Needs: no shared memory.
/// Order: the same bits for every launch shape, and for a tensor alone and among others. A piece is summed by 32 lanes,
/// and those by a tree; a short row one after the other; columns are summed 64 rows at a time.
/// Domain: squares are not scaled: sums are right while squares are normal numbers.
/// Error: depth 7 in a lane and 5 in a piece; one for each piece of a row, 31 in a short row; 63 in a group of rows, and
/// one for each group; sums over all rows or pieces 63 for each fold of 64 to 1.
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

/// <summary>What a pass does to the elements of pieces while it sums one or two squares of each.</summary>
internal interface IAdafactorPass
{
    /// <summary>What all elements of a piece need from device memory; where Y is not 0, the pass does nothing.</summary>
    Quad Uniform(AdafactorPiece piece);

    /// <summary>Does element <paramref name="k"/> of a piece and adds its squares to the lane's sums, X and Y.</summary>
    Quad Element(AdafactorPiece piece, long k, Quad uniform, Quad sum);

    /// <summary>Stores the sums of lane <paramref name="lane"/> of all lanes of all pieces.</summary>
    void Store(long lane, Quad sum);
}

/// <summary>One lane of a full piece: its 8 elements, 32 apart.</summary>
internal struct AdafactorFullLane<TPass> : ITableWork<AdafactorPiece>
    where TPass : struct, IAdafactorPass
{
    public TPass Pass;

    public static int LaneCount => Pieces.Lanes;

    public static int Lanes(AdafactorPiece entry) => Pieces.Lanes;

    public readonly Quad Uniform(AdafactorPiece entry) => Pass.Uniform(entry);

    public readonly void Item(AdafactorPiece entry, long lane, Quad uniform)
    {
        if (uniform.Y != 0f)
        {
            return;
        }

        // By hand: with an inner loop PoCL does not vectorise across the lanes.
        Quad sum = Pass.Element(entry, lane, uniform, default);
        sum = Pass.Element(entry, lane + Pieces.Lanes, uniform, sum);
        sum = Pass.Element(entry, lane + 2 * Pieces.Lanes, uniform, sum);
        sum = Pass.Element(entry, lane + 3 * Pieces.Lanes, uniform, sum);
        sum = Pass.Element(entry, lane + 4 * Pieces.Lanes, uniform, sum);
        sum = Pass.Element(entry, lane + 5 * Pieces.Lanes, uniform, sum);
        sum = Pass.Element(entry, lane + 6 * Pieces.Lanes, uniform, sum);
        sum = Pass.Element(entry, lane + 7 * Pieces.Lanes, uniform, sum);
        Pass.Store((long)entry.Index * Pieces.Lanes + lane, sum);
    }
}

/// <summary>
/// One lane of a piece that may be short, or of any piece of a pass that only reads. Where it writes, PoCL's masked stores
/// are slow; where it does not, LLVM would make vectors within the item of elements that no condition separates.
/// </summary>
internal struct AdafactorLane<TPass> : ITableWork<AdafactorPiece>
    where TPass : struct, IAdafactorPass
{
    public TPass Pass;

    public static int LaneCount => Pieces.Lanes;

    public static int Lanes(AdafactorPiece entry) => IntrinsicMath.Min(entry.Count, Pieces.Lanes);

    public readonly Quad Uniform(AdafactorPiece entry) => Pass.Uniform(entry);

    public readonly void Item(AdafactorPiece entry, long lane, Quad uniform)
    {
        if (uniform.Y != 0f)
        {
            return;
        }

        Quad sum = Pass.Element(entry, lane, uniform, default);
        sum = More(entry, lane + Pieces.Lanes, uniform, sum);
        sum = More(entry, lane + 2 * Pieces.Lanes, uniform, sum);
        sum = More(entry, lane + 3 * Pieces.Lanes, uniform, sum);
        sum = More(entry, lane + 4 * Pieces.Lanes, uniform, sum);
        sum = More(entry, lane + 5 * Pieces.Lanes, uniform, sum);
        sum = More(entry, lane + 6 * Pieces.Lanes, uniform, sum);
        sum = More(entry, lane + 7 * Pieces.Lanes, uniform, sum);
        Pass.Store((long)entry.Index * Pieces.Lanes + lane, sum);
    }

    private readonly Quad More(AdafactorPiece piece, long k, Quad uniform, Quad sum)
    {
        if (k < piece.Count)
        {
            sum = Pass.Element(piece, k, uniform, sum);
        }

        return sum;
    }
}

/// <summary>First pass: the squares of the gradient and of the parameters; a vector's moments.</summary>
internal struct AdafactorSquares<TParam, TGrad, TMoments> : IAdafactorPass
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

    public readonly Quad Uniform(AdafactorPiece piece)
    {
        StepControl control = Control[0];
        return new Quad { X = T.GradientFactor * control.GradientFactor, Y = control.Skip };
    }

    public readonly Quad Element(AdafactorPiece piece, long k, Quad uniform, Quad sum)
    {
        float g = T.G.Decode(T.G.Read(piece.First + k)) * uniform.X;
        float p = T.P.Decode(T.P.Read(piece.First + k));
        if (!TMoments.IsFactored)
        {
            T.A[piece.Row + k] = Scalars.Second(Lane.Of(T.A[piece.Row + k]), Lane.Of(g * g)).Value;
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

/// <summary>A long row: its pieces, and where its second moment is.</summary>
internal struct AdafactorRow
{
    public long Row;
    public int FirstPiece;
    public int Pieces;
    public int Tensor;
}

/// <summary>The sums of the pieces of one long row, and the row's second moment.</summary>
internal struct AdafactorRows : IItemWork
{
    /// <summary>[pieces].</summary>
    public ArrayView<float> GradientPieces;

    public ArrayView<AdafactorRow> Rows;
    public ArrayView<AdafactorSizes> Sizes;
    public ArrayView<float> RowVariance;
    public ArrayView<StepControl> Control;
    public AdafactorScalars Scalars;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        if (Control[0].Skip != 0f)
        {
            return;
        }

        AdafactorRow row = Rows[i];
        float mean = LambRuns.Sum(GradientPieces, row.FirstPiece, row.Pieces) * Sizes[row.Tensor].InverseColumns;
        RowVariance[row.Row] = Scalars.Second(Lane.Of(RowVariance[row.Row]), Lane.Of(mean)).Value;
    }
}

/// <summary>The squares of a short row, and its second moment: one lane for each row of a piece.</summary>
internal struct AdafactorShortRows<TParam, TGrad> : ITableWork<AdafactorPiece>
    where TParam : struct, IStorage
    where TGrad : struct, IStorage
{
    public UpdateTensors<TParam, TGrad> T;
    public ArrayView<StepControl> Control;
    public ArrayView<AdafactorSizes> Sizes;
    public AdafactorScalars Scalars;

    public static int LaneCount => AdafactorPiece.Length;

    public static int Lanes(AdafactorPiece entry) => entry.Count / entry.Columns;

    public readonly Quad Uniform(AdafactorPiece entry)
    {
        StepControl control = Control[0];
        return new Quad
        {
            X = T.GradientFactor * control.GradientFactor,
            Y = control.Skip,
            Z = Sizes[entry.Tensor].InverseColumns,
        };
    }

    public readonly void Item(AdafactorPiece entry, long lane, Quad uniform)
    {
        if (uniform.Y != 0f)
        {
            return;
        }

        long first = entry.First + lane * entry.Columns;
        float sum = 0f;
        for (int c = 0; c < entry.Columns; c++)
        {
            float g = T.G.Decode(T.G.Read(first + c)) * uniform.X;
            sum += g * g;
        }

        long row = entry.Row + lane;
        T.A[row] = Scalars.Second(Lane.Of(T.A[row]), Lane.Of(sum * uniform.Z)).Value;
    }
}

/// <summary>Up to 256 sums of a fold: consecutive ones of one segment, or all of several equal segments.</summary>
internal struct AdafactorFold
{
    /// <summary>The first value of the first sum.</summary>
    public long From;

    /// <summary>Where the first sum goes.</summary>
    public long To;

    /// <summary>Values of a segment, and sums of it.</summary>
    public long Inputs;
    public long Outputs;

    /// <summary>Which sum of its segment the first is.</summary>
    public long Offset;
    public int Count;

    /// <summary>2^16 / outputs, rounded up, where there are several segments; else 0.</summary>
    public int OverOutputs;
}

/// <summary>Plain sums of segments, at most 64 to 1, each in the order of <see cref="StridedSum"/>.</summary>
internal struct AdafactorFolds : ITableWork<AdafactorFold>
{
    public ArrayView<float> From;
    public ArrayView<float> To;

    public static int LaneCount => AdafactorPiece.Length;

    public static int Lanes(AdafactorFold entry) => entry.Count;

    public readonly Quad Uniform(AdafactorFold entry) => default;

    public readonly void Item(AdafactorFold entry, long lane, Quad uniform)
    {
        long segment = AdafactorPiece.Over((int)lane, entry.OverOutputs);
        long output = lane - segment * entry.Outputs;
        long i = entry.From + segment * entry.Inputs + output;
        float sum = From[i];
        for (long j = entry.Offset + output + entry.Outputs; j < entry.Inputs; j += entry.Outputs)
        {
            i += entry.Outputs;
            sum += From[i];
        }

        To[entry.To + lane] = sum;
    }
}

/// <summary>Up to 256 matrices of a tensor.</summary>
internal struct AdafactorMatrices
{
    public long First;
    public int Count;
    public int Tensor;
}

/// <summary>The scale of the second moments of a matrix, from the sum over its rows.</summary>
internal struct AdafactorScales : ITableWork<AdafactorMatrices>
{
    public ArrayView<float> RowSums;
    public ArrayView<AdafactorSizes> Sizes;
    public AdafactorScalars Scalars;

    /// <summary>Out: 1 / max(mean of the row means, epsilon1), [matrices].</summary>
    public ArrayView<float> Scales;

    public static int LaneCount => AdafactorPiece.Length;

    public static int Lanes(AdafactorMatrices entry) => entry.Count;

    public readonly Quad Uniform(AdafactorMatrices entry) => new() { X = Sizes[entry.Tensor].InverseRows };

    public readonly void Item(AdafactorMatrices entry, long lane, Quad uniform)
    {
        float mean = RowSums[entry.First + lane] * uniform.X;
        Scales[entry.First + lane] = 1f / Utilities.Select(mean < Scalars.Epsilon1, Scalars.Epsilon1, mean);
    }
}

/// <summary>Second pass: the squares of the update.</summary>
internal struct AdafactorUpdateSquares<TParam, TGrad, TMoments> : IAdafactorPass
    where TParam : struct, IStorage
    where TGrad : struct, IStorage
    where TMoments : struct, ISecondMoments
{
    public UpdateTensors<TParam, TGrad> T;
    public ArrayView<StepControl> Control;
    public ArrayView<float> Scales;
    public AdafactorScalars Scalars;

    /// <summary>Out: [pieces * 32].</summary>
    public ArrayView<float> UpdateSquares;

    public readonly Quad Uniform(AdafactorPiece piece)
    {
        StepControl control = Control[0];
        return new Quad
        {
            X = T.GradientFactor * control.GradientFactor,
            Y = control.Skip,
            Z = TMoments.Shared(T.A, Scales, piece),
        };
    }

    public readonly Quad Element(AdafactorPiece piece, long k, Quad uniform, Quad sum)
    {
        float second = TMoments.Of(T.A, T.B, Scales, piece, k, uniform.Z);
        float g = T.G.Decode(T.G.Read(piece.First + k)) * uniform.X;
        float u = Scalars.Direction(Lane.Of(g), Lane.Of(second)).Value;
        sum.Y += u * u;
        return sum;
    }

    public readonly void Store(long lane, Quad sum) => UpdateSquares[lane] = sum.Y;
}

/// <summary>The rate of one tensor after clipping, from the sizes of its parameters and of its update.</summary>
internal struct AdafactorRates : IItemWork
{
    public ArrayView<float> ParameterSums;
    public ArrayView<float> UpdateSums;
    public ArrayView<AdafactorSizes> Sizes;
    public AdafactorScalars Scalars;

    /// <summary>Out: [tensors].</summary>
    public ArrayView<float> Rates;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        float inverseRoot = Sizes[i].InverseRoot;
        float size = XMath.Sqrt(ParameterSums[i]) * inverseRoot;
        float rate = Utilities.Select(size < Scalars.Epsilon2, Scalars.Epsilon2, size) * Scalars.RelativeStep;
        float clip = XMath.Sqrt(UpdateSums[i]) * inverseRoot * Scalars.InverseD;
        Rates[i] = rate / Utilities.Select(clip < 1f, 1f, clip);
    }
}

/// <summary>Third pass: p = p * shrink - rate / clip * update.</summary>
internal struct AdafactorApply<TParam, TGrad, TMoments, TExtras> : ITableWork<AdafactorPiece>
    where TParam : struct, IStorage
    where TGrad : struct, IStorage
    where TMoments : struct, ISecondMoments
    where TExtras : struct, IExtras
{
    public UpdateTensors<TParam, TGrad> T;
    public TExtras Extras;
    public ArrayView<StepControl> Control;
    public ArrayView<float> Scales;
    public ArrayView<float> Rates;
    public AdafactorScalars Scalars;

    public static int LaneCount => AdafactorPiece.Length;

    public static int Lanes(AdafactorPiece entry) => entry.Count;

    public readonly Quad Uniform(AdafactorPiece entry)
    {
        StepControl control = Control[0];
        return new Quad
        {
            X = T.GradientFactor * control.GradientFactor,
            Y = control.Skip,
            Z = TMoments.Shared(T.A, Scales, entry),
            W = Rates[entry.Tensor],
        };
    }

    public readonly void Item(AdafactorPiece entry, long lane, Quad uniform)
    {
        if (uniform.Y != 0f)
        {
            return;
        }

        long i = entry.First + lane;
        float second = TMoments.Of(T.A, T.B, Scales, entry, lane, uniform.Z);
        float u = Scalars.Direction(Lane.Of(T.G.Decode(T.G.Read(i)) * uniform.X), Lane.Of(second)).Value;
        float p = T.P.Decode(T.P.Read(i)) * Scalars.Shrink - uniform.W * u;
        T.P.Write(i, T.P.Encode(p, T.P.Random(i >> 2).Lane((int)(i & 3))));
        Extras.Output(i, p);
    }
}
