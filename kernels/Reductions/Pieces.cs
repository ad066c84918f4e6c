using ILGPU;
using Kernels.DeviceCode.Common;

namespace Kernels.DeviceCode.Reductions;

/// <summary>
/// Elements cut into pieces of 256, the last one perhaps shorter; one launch walks the full pieces and another the short
/// one, so that neither has to ask.
/// </summary>
internal struct Pieces
{
    internal const int Length = 256;
    internal const int Lanes = 32;

    /// <summary>Elements of all pieces.</summary>
    public long Elements;

    /// <summary>The first piece of this launch.</summary>
    public int Start;

    /// <summary>Where among all pieces it stands.</summary>
    public readonly long Index(long piece) => Start + (int)piece;

    /// <summary>The piece's first element.</summary>
    public readonly long First(long piece) => Index(piece) * Length;
}

/// <summary>What a pass does to the elements of pieces while it sums one or two squares of each.</summary>
internal interface IPiecePass
{
    /// <summary>
    /// What all elements of the piece from <paramref name="first"/> on need from device memory; where Y is not 0, the pass
    /// does nothing.
    /// </summary>
    Quad Uniform(long first);

    /// <summary>Does one element and adds its squares to the lane's sums, X and Y.</summary>
    Quad Element(long i, Quad uniform, Quad sum);

    /// <summary>Stores the sums of lane <paramref name="lane"/> of all lanes of all pieces.</summary>
    void Store(long lane, Quad sum);
}

/// <summary>What a pass does to the elements of pieces.</summary>
internal interface IPieceUpdate
{
    /// <summary>
    /// What all elements of the piece from <paramref name="first"/> on need from device memory; where Y is not 0, the pass
    /// does nothing.
    /// </summary>
    Quad Uniform(long first);

    /// <summary>Does one element.</summary>
    void Element(long i, Quad uniform);
}

/// <summary>One lane of a full piece: its 8 elements, 32 apart.</summary>
internal struct PieceWork<TPass> : IBlockWork
    where TPass : struct, IPiecePass
{
    public TPass Pass;
    public Pieces Pieces;

    public static int LaneCount => Pieces.Lanes;

    public readonly Quad Uniform(long block) => Pass.Uniform(Pieces.First(block));

    public readonly void Item(long block, long lane, Quad uniform)
    {
        if (uniform.Y != 0f)
        {
            return;
        }

        // By hand: with an inner loop PoCL does not vectorise across the lanes.
        long i = Pieces.First(block) + lane;
        Quad sum = Pass.Element(i, uniform, default);
        sum = Pass.Element(i + Pieces.Lanes, uniform, sum);
        sum = Pass.Element(i + 2 * Pieces.Lanes, uniform, sum);
        sum = Pass.Element(i + 3 * Pieces.Lanes, uniform, sum);
        sum = Pass.Element(i + 4 * Pieces.Lanes, uniform, sum);
        sum = Pass.Element(i + 5 * Pieces.Lanes, uniform, sum);
        sum = Pass.Element(i + 6 * Pieces.Lanes, uniform, sum);
        sum = Pass.Element(i + 7 * Pieces.Lanes, uniform, sum);
        Pass.Store(Pieces.Index(block) * Pieces.Lanes + lane, sum);
    }
}

/// <summary>
/// One lane of a short piece: in a full one PoCL's masked stores would be slow.
/// </summary>
internal struct PieceTailWork<TPass> : IBlockWork
    where TPass : struct, IPiecePass
{
    public TPass Pass;
    public Pieces Pieces;

    public static int LaneCount => Pieces.Lanes;

    public readonly Quad Uniform(long block) => Pass.Uniform(Pieces.First(block));

    public readonly void Item(long block, long lane, Quad uniform)
    {
        if (uniform.Y != 0f)
        {
            return;
        }

        // Every lane of the launch has a first element. By hand, as above.
        long i = Pieces.First(block) + lane;
        int left = (int)(Pieces.Elements - i);
        Quad sum = Pass.Element(i, uniform, default);
        sum = More(i, Pieces.Lanes, left, uniform, sum);
        sum = More(i, 2 * Pieces.Lanes, left, uniform, sum);
        sum = More(i, 3 * Pieces.Lanes, left, uniform, sum);
        sum = More(i, 4 * Pieces.Lanes, left, uniform, sum);
        sum = More(i, 5 * Pieces.Lanes, left, uniform, sum);
        sum = More(i, 6 * Pieces.Lanes, left, uniform, sum);
        sum = More(i, 7 * Pieces.Lanes, left, uniform, sum);
        Pass.Store(Pieces.Index(block) * Pieces.Lanes + lane, sum);
    }

    private readonly Quad More(long i, int next, int left, Quad uniform, Quad sum)
    {
        if (next < left)
        {
            sum = Pass.Element(i + next, uniform, sum);
        }

        return sum;
    }
}

/// <summary>One element of a piece; a short piece has fewer lanes.</summary>
internal struct PieceUpdateWork<TUpdate> : IBlockWork
    where TUpdate : struct, IPieceUpdate
{
    public TUpdate Update;
    public Pieces Pieces;

    public static int LaneCount => Pieces.Length;

    public readonly Quad Uniform(long block) => Update.Uniform(Pieces.First(block));

    public readonly void Item(long block, long lane, Quad uniform)
    {
        if (uniform.Y != 0f)
        {
            return;
        }

        Update.Element(Pieces.First(block) + lane, uniform);
    }
}

/// <summary>Sums over the lanes of a piece.</summary>
internal static class PieceSum
{
    /// <summary>The sum of 32 lanes: lane l and l + 16, then l + 8, and so on.</summary>
    internal static float OfLanes(ArrayView<float> lanes, long first) =>
        Eight(lanes, first) + Eight(lanes, first + 2) + (Eight(lanes, first + 1) + Eight(lanes, first + 3));

    /// <summary>The sums with the squares of x and y.</summary>
    /// <param name="sum">The sums so far, X and Y.</param>
    /// <param name="x">Any number.</param>
    /// <param name="y">Any number.</param>
    /// <param name="zero">0 or -0, but not for a compiler to know.</param>
    // Of two equal chains of additions LLVM would make a vector within the item, before PoCL comes to vectorise across the
    // items; so one of them is not equal.
    internal static Quad Add(Quad sum, float x, float y, float zero)
    {
        sum.X += x * x;
        sum.Y = Interop.IntAsFloat(Interop.FloatAsInt(sum.Y + y * y) ^ (Interop.FloatAsInt(zero) << 1));
        return sum;
    }

    // Lanes j, j + 4, j + 8, ...
    private static float Eight(ArrayView<float> lanes, long j) =>
        Four(lanes, j) + Four(lanes, j + 4);

    private static float Four(ArrayView<float> lanes, long j) =>
        lanes[j] + lanes[j + 16] + (lanes[j + 8] + lanes[j + 24]);
}

/// <summary>The sums of one piece from its lanes, of one or two squares.</summary>
internal struct PieceSumWork : IItemWork
{
    public ArrayView<float> LanesX;
    public ArrayView<float> LanesY;

    /// <summary>Out: [pieces].</summary>
    public ArrayView<float> SumsX;

    /// <summary>Out: [pieces].</summary>
    public ArrayView<float> SumsY;

    /// <summary>0: X is left alone.</summary>
    public int HasX;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        SumsY[i] = PieceSum.OfLanes(LanesY, i * Pieces.Lanes);
        if (HasX != 0)
        {
            SumsX[i] = PieceSum.OfLanes(LanesX, i * Pieces.Lanes);
        }
    }
}
