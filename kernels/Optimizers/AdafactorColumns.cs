using ILGPU;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Reductions;
using Kernels.DeviceCode.Storage;

namespace Kernels.DeviceCode.Optimizers;

/// <summary>Columns, up to 256, in a group of up to 64 rows; or all columns of several groups of short rows.</summary>
internal struct AdafactorColumnPiece
{
    internal const int GroupRows = 64;

    /// <summary>The first element.</summary>
    public long First;

    /// <summary>Where the sum of its column is.</summary>
    public long To;

    /// <summary>Elements of a row.</summary>
    public long Columns;

    /// <summary>Columns of all groups.</summary>
    public int Count;

    /// <summary>Rows of a group.</summary>
    public int Rows;

    /// <summary>Elements from one group of short rows to the next.</summary>
    public int Group;

    /// <summary>As in <see cref="AdafactorPiece"/>.</summary>
    public int OverColumns;
}

/// <summary>The squares of one column in a group of 64 rows.</summary>
/// <remarks>Source, Traffic, Order, Domain, Error: as <see cref="AdafactorScalars"/>. Shapes: squares [groups, columns].</remarks>
internal struct AdafactorColumnGroups<TParam, TGrad> : ITableWork<AdafactorColumnPiece>
    where TParam : struct, IStorage
    where TGrad : struct, IStorage
{
    public UpdateTensors<TParam, TGrad> T;
    public ArrayView<StepControl> Control;

    /// <summary>Out: [groups, columns] of each matrix.</summary>
    public ArrayView<float> ColumnSquares;

    public static int LaneCount => AdafactorPiece.Length;

    public static int Lanes(AdafactorColumnPiece entry) => entry.Count;

    public readonly Quad Uniform(AdafactorColumnPiece entry)
    {
        StepControl control = Control[0];
        return new Quad { X = T.GradientFactor * control.GradientFactor, Y = control.Skip };
    }

    public readonly void Item(AdafactorColumnPiece entry, long lane, Quad uniform)
    {
        if (uniform.Y != 0f)
        {
            return;
        }

        long first = entry.First + lane;
        long columns = entry.Columns;
        // By hand and in one chain: of several equal ones LLVM would make a vector within the item.
        float sum = Eight(first, columns, uniform.X, 0f);
        sum = Eight(first + 8 * columns, columns, uniform.X, sum);
        sum = Eight(first + 16 * columns, columns, uniform.X, sum);
        sum = Eight(first + 24 * columns, columns, uniform.X, sum);
        sum = Eight(first + 32 * columns, columns, uniform.X, sum);
        sum = Eight(first + 40 * columns, columns, uniform.X, sum);
        sum = Eight(first + 48 * columns, columns, uniform.X, sum);
        sum = Eight(first + 56 * columns, columns, uniform.X, sum);
        ColumnSquares[entry.To + lane] = sum;
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

/// <summary>The squares of one column in a group of fewer than 64 rows, or of short rows.</summary>
internal struct AdafactorColumnTails<TParam, TGrad> : ITableWork<AdafactorColumnPiece>
    where TParam : struct, IStorage
    where TGrad : struct, IStorage
{
    public UpdateTensors<TParam, TGrad> T;
    public ArrayView<StepControl> Control;

    /// <summary>Out: [groups, columns] of each matrix.</summary>
    public ArrayView<float> ColumnSquares;

    public static int LaneCount => AdafactorPiece.Length;

    public static int Lanes(AdafactorColumnPiece entry) => entry.Count;

    public readonly Quad Uniform(AdafactorColumnPiece entry)
    {
        StepControl control = Control[0];
        return new Quad { X = T.GradientFactor * control.GradientFactor, Y = control.Skip };
    }

    public readonly void Item(AdafactorColumnPiece entry, long lane, Quad uniform)
    {
        if (uniform.Y != 0f)
        {
            return;
        }

        long group = AdafactorPiece.Over((int)lane, entry.OverColumns);
        long i = entry.First + group * entry.Group + lane - group * entry.Columns;
        float sum = 0f;
        for (int row = 0; row < entry.Rows; row++)
        {
            float g = T.G.Decode(T.G.Read(i)) * uniform.X;
            sum += g * g;
            i += entry.Columns;
        }

        ColumnSquares[entry.To + lane] = sum;
    }
}

/// <summary>Up to 256 columns of one matrix; or of several, where each is one group of rows.</summary>
internal struct AdafactorColumnRun
{
    /// <summary>Where the second moment of the first column is.</summary>
    public long Column;

    /// <summary>Where its sums are, one for each group.</summary>
    public long From;

    /// <summary>From one group to the next.</summary>
    public long Columns;
    public long Groups;
    public int Count;
    public int Tensor;
}

/// <summary>The second moment of one column.</summary>
internal struct AdafactorColumns : ITableWork<AdafactorColumnRun>
{
    public ArrayView<float> ColumnSquares;
    public ArrayView<float> ColumnVariance;
    public ArrayView<AdafactorSizes> Sizes;
    public ArrayView<StepControl> Control;
    public AdafactorScalars Scalars;

    public static int LaneCount => AdafactorPiece.Length;

    public static int Lanes(AdafactorColumnRun entry) => entry.Count;

    public readonly Quad Uniform(AdafactorColumnRun entry) =>
        new() { X = Sizes[entry.Tensor].InverseRows, Y = Control[0].Skip };

    public readonly void Item(AdafactorColumnRun entry, long lane, Quad uniform)
    {
        if (uniform.Y != 0f)
        {
            return;
        }

        long i = entry.From + lane;
        float sum = ColumnSquares[i];
        for (long group = 1; group < entry.Groups; group++)
        {
            i += entry.Columns;
            sum += ColumnSquares[i];
        }

        long column = entry.Column + lane;
        ColumnVariance[column] = Scalars.Second(Lane.Of(ColumnVariance[column]), Lane.Of(sum * uniform.X)).Value;
    }
}
