using ILGPU;
using ILGPU.Algorithms;
using ILGPU.Util;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Linear;
using Kernels.DeviceCode.Optimizers;
using Kernels.DeviceCode.Reductions;
using Kernels.DeviceCode.Storage;

namespace Kernels.DeviceCode.VectorQuantization;

/// <summary>The tensors of the rotation trick.</summary>
internal struct RotateArguments<TRow, TCode>
    where TRow : struct, IStorage
    where TCode : struct, IStorage
{
    public CodeOfRow<TCode> Codes;
    public TRow X;
    public TRow Grad;

    /// <summary>Out: only written where the same is said of them.</summary>
    public TRow Output;
    public TRow GradX;
    public int HasOutput;
    public int HasGradX;
}

/// <summary>The directions u = z / |z| and q = e / |e|, and |e| / |z|; norms that neither overflow nor underflow.</summary>
internal struct RotateNorms
{
    /// <summary>Norms over their sizes, which are powers of two.</summary>
    public float RootZ;
    public float RootE;
    public float InverseSizeZ;
    public float InverseSizeE;
    public float InverseRootZ;
    public float InverseRootE;

    /// <summary>|e| / |z|.</summary>
    public float Scale;

    private const float Opposite = 1f / (1L << 34);

    internal static RotateNorms Of(ScaledSum z, ScaledSum e)
    {
        float rootZ = XMath.Sqrt(z.Sum);
        float rootE = XMath.Sqrt(e.Sum);
        float inverseSizeZ = ScaledSum.InverseOf(z.Size);
        return new RotateNorms
        {
            RootZ = rootZ,
            RootE = rootE,
            InverseSizeZ = inverseSizeZ,
            InverseSizeE = ScaledSum.InverseOf(e.Size),
            InverseRootZ = 1f / rootZ,
            InverseRootE = 1f / rootE,
            Scale = rootE / rootZ * (e.Size * inverseSizeZ),
        };
    }

    /// <summary>u. The size first: the product of both factors may overflow.</summary>
    internal readonly T U<T>(T z)
        where T : struct, ILane<T> => z * InverseSizeZ * InverseRootZ;

    /// <summary>q.</summary>
    internal readonly T Q<T>(T e)
        where T : struct, ILane<T> => e * InverseSizeE * InverseRootE;

    /// <summary>s (g + 2 (q.g) u - 2 (w.g) w), where 2 (w.g) w = turn (u + q).</summary>
    internal readonly T Gradient<T>(T z, T e, T g, float turn, float twice)
        where T : struct, ILane<T>
    {
        T u = U(z);
        return (g + u * twice - (u + Q(e)) * turn) * Scale;
    }

    /// <summary>The same, and what is defined where there is no direction.</summary>
    internal readonly float Gradient(float z, float e, float g, float turn, float twice)
    {
        float value = Gradient(Lane.Of(z), Lane.Of(e), Lane.Of(g), turn, twice).Value;
        value = Utilities.Select(RootE == 0f, 0f, value);
        return Utilities.Select(RootZ == 0f, g, value);
    }

    /// <summary>2 (w.g) / |u + q|, or 0 where u = -q, from sum (u + q) g and sum (u + q)^2.</summary>
    // Below 2^-17, u + q is of the size of its roundings, and w would be any direction: without it dz is an isometry still.
    internal static float Turn(float along, float square) => Utilities.Select(square < Opposite, 0f, 2f * along / square);
}

/// <summary>The rotation trick: the gradient turns and scales as the row does on its way to its code.</summary>
/// <remarks>
/// Source: Fifty et al. 2024, arXiv:2410.06424, section 4: with u = z / |z|, q = e / |e|, w = (u + q) / |u + q|, constant,
/// the output is e and dz = |e| / |z| (g - 2 (w.g) w + 2 (q.g) u).
/// Where the paper is not defined: z = 0: dz = g. Else e = 0: dz = 0. u = -q, or |u + q| below 2^-17: w = 0.
/// Shapes: x, output, gradients [rows, heads, d], index [rows, heads], codes [heads, k, d].
/// Storage: rows F32, F16, BF16, all the same; codes F32, F16, BF16; arithmetic binary32.
/// Traffic: x, codes of the rows and incoming gradient are read once from memory, and up to twice more from the cache;
/// output and outgoing gradient are written once.
/// Needs: rows: 24 KiB of shared memory, at most 256 items. Lanes: 1 KiB, a group size that is a power of two up to 256, barriers for five sums.
/// Order: the sums of a row in eight lanes (rows), or in its items and then a tree (lanes): fixed by the sizes.
/// Domain: squares of norms beyond 2^63 or below 2^-63 are summed anew, scaled by a power of two, by each lane alone; so only
/// |e| / |z| itself may overflow, and for huge gradients 2 (u + q).g and its quotient by (u + q)^2. A row without a
/// code has output and gradient 0. A NaN or an infinity in row, code or gradient makes the row's gradient NaN or
/// infinite, but where that is 0 or g by definition; no other row's.
/// </remarks>
internal static class RotateKernel
{
    /// <summary>One row an item, for OpenCL CPU devices: their compiler makes SIMD of eight elements.</summary>
    [DeviceKernel("vq/rotate.rows")]
    internal static void Rows<TRow, TCode>(RotateArguments<TRow, TCode> t)
        where TRow : struct, IStorage
        where TCode : struct, IStorage
    {
        ArrayView<Eight> room = SharedMemory.Allocate<Eight>(3 * RowLanes.MostRows);
        long row = (long)Grid.IdxX * Group.DimX + Group.IdxX;
        if (row < t.Codes.Rows)
        {
            // Bounds that differ between the items: else PoCL would run the items inside of these loops.
            int d = IntrinsicMath.Min(t.Codes.Dimension, t.Codes.Dimension + Group.IdxX);
            long at = row * t.Codes.Dimension;
            long e = t.Codes.First(row);
            if (t.HasGradX != 0)
            {
                if (e < 0)
                {
                    Eight.Clear(t.GradX, at, d);
                }
                else
                {
                    Gradient(t, at, e, d, room);
                }
            }

            // Last: the output may lie in the place of the rows.
            if (t.HasOutput != 0)
            {
                if (e < 0)
                {
                    Eight.Clear(t.Output, at, d);
                }
                else
                {
                    Eight.Copy(t.Codes.Codes, e, t.Output, at, d);
                }
            }
        }
    }

    /// <summary>Some lanes a row, for GPUs; consecutive items have consecutive elements or, in packets, fours of them.</summary>
    [DeviceKernel("vq/rotate.lanes")]
    internal static void Lanes<TRow, TCode, TAccess>(RotateArguments<TRow, TCode> t, RowLanes lanes)
        where TRow : struct, IStorage
        where TCode : struct, IStorage
        where TAccess : struct, IAccess
    {
        ArrayView<float> shared = SharedMemory.Allocate<float>(GroupTree.MaxGroup);
        long row = lanes.Row();
        // Items beyond the last row do the last again, and write nothing: all must come to the barriers.
        bool inside = row < t.Codes.Rows;
        row = Utilities.Select(inside, row, t.Codes.Rows - 1);
        long at = row * t.Codes.Dimension;
        long code = t.Codes.First(row);
        bool known = code >= 0;
        long e = Utilities.Select(known, code, 0L);
        RotateNorms norms = default;
        float turn = 0f;
        float twice = 0f;
        if (t.HasGradX != 0)
        {
            float squaresZ = 0f;
            float squaresE = 0f;
            for (int i = lanes.Lane(); i < lanes.Units; i += lanes.Count)
            {
                Quad z = Read<TRow, TAccess>(t.X, at, i);
                Quad q = Read<TCode, TAccess>(t.Codes.Codes, e, i);
                squaresZ += Dot(z, z);
                squaresE += Dot(q, q);
            }

            squaresZ = lanes.Sum(shared, squaresZ);
            squaresE = lanes.Sum(shared, squaresE);
            norms = RotateNorms.Of(
                Square(t.X, at, t.Codes.Dimension, squaresZ), Square(t.Codes.Codes, e, t.Codes.Dimension, squaresE));
            float square = 0f;
            float along = 0f;
            float own = 0f;
            for (int i = lanes.Lane(); i < lanes.Units; i += lanes.Count)
            {
                Quad u = Direction(Read<TRow, TAccess>(t.X, at, i), norms.InverseSizeZ, norms.InverseRootZ);
                Quad q = Direction(Read<TCode, TAccess>(t.Codes.Codes, e, i), norms.InverseSizeE, norms.InverseRootE);
                Quad g = Read<TRow, TAccess>(t.Grad, at, i);
                Quad sum = new() { X = u.X + q.X, Y = u.Y + q.Y, Z = u.Z + q.Z, W = u.W + q.W };
                square += Dot(sum, sum);
                along += Dot(sum, g);
                own += Dot(q, g);
            }

            square = lanes.Sum(shared, square);
            along = lanes.Sum(shared, along);
            twice = 2f * lanes.Sum(shared, own);
            turn = RotateNorms.Turn(along, square);
        }

        if (inside)
        {
            for (int i = lanes.Lane(); i < lanes.Units; i += lanes.Count)
            {
                Quad q = Read<TCode, TAccess>(t.Codes.Codes, e, i);
                if (t.HasGradX != 0)
                {
                    Quad z = Read<TRow, TAccess>(t.X, at, i);
                    Quad g = Read<TRow, TAccess>(t.Grad, at, i);
                    g.X = norms.Gradient(z.X, q.X, g.X, turn, twice);
                    g.Y = norms.Gradient(z.Y, q.Y, g.Y, turn, twice);
                    g.Z = norms.Gradient(z.Z, q.Z, g.Z, turn, twice);
                    g.W = norms.Gradient(z.W, q.W, g.W, turn, twice);
                    Write<TRow, TAccess>(t.GradX, at, i, g, known);
                }

                if (t.HasOutput != 0)
                {
                    Write<TRow, TAccess>(t.Output, at, i, q, known);
                }
            }
        }
    }

    /// <summary>The sum of squares as it is, or anew where it left the range in which nothing is lost.</summary>
    internal static ScaledSum Square<TStorage>(TStorage view, long first, int d, float plain)
        where TStorage : struct, IStorage
    {
        ScaledSum square = ScaledSum.Of(plain, 1f);
        if (!SumOfSquares.IsPlain(plain))
        {
            square = SumOfSquares.Scaled(new StoredSource<TStorage>(view), first, first + d, default);
        }

        return square;
    }

    private static void Gradient<TRow, TCode>(
        RotateArguments<TRow, TCode> t, long at, long e, int d, ArrayView<Eight> room)
        where TRow : struct, IStorage
        where TCode : struct, IStorage
    {
        int place = 3 * Group.IdxX;
        RotateNorms norms = RotateNorms.Of(
            Square(t.X, at, d, Squares(t.X, at, d, room, place, t.Codes.Zero)),
            Square(t.Codes.Codes, e, d, Squares(t.Codes.Codes, e, d, room, place + 1, t.Codes.Zero)));
        Eight squares = default;
        Eight alongs = default;
        Eight owns = default;
        int i = 0;
        for (; i + Eight.Width <= d; i += Eight.Width)
        {
            Eight q = Eight.Load(t.Codes.Codes, e + i) * norms.InverseSizeE * norms.InverseRootE;
            Eight sum = Eight.Load(t.X, at + i) * norms.InverseSizeZ * norms.InverseRootZ + q;
            Eight g = Eight.Load(t.Grad, at + i);
            squares += sum * sum;
            alongs += sum * g;
            owns += q * g;
        }

        float square = squares.Sum(room, place, t.Codes.Zero);
        float along = alongs.Sum(room, place + 1, t.Codes.Zero);
        float own = owns.Sum(room, place + 2, t.Codes.Zero);
        for (; i < d; i++)
        {
            float q = norms.Q(Lane.Of(t.Codes.Codes.Decode(t.Codes.Codes.Read(e + i)))).Value;
            float sum = norms.U(Lane.Of(t.X.Decode(t.X.Read(at + i)))).Value + q;
            float g = t.Grad.Decode(t.Grad.Read(at + i));
            square += sum * sum;
            along += sum * g;
            own += q * g;
        }

        float turn = RotateNorms.Turn(along, square);
        float twice = 2f * own;
        bool isDefined = (norms.RootZ != 0f) & (norms.RootE != 0f);
        for (i = 0; isDefined & (i + Eight.Width <= d); i += Eight.Width)
        {
            Eight u = Eight.Load(t.X, at + i) * norms.InverseSizeZ * norms.InverseRootZ;
            Eight q = Eight.Load(t.Codes.Codes, e + i) * norms.InverseSizeE * norms.InverseRootE;
            ((Eight.Load(t.Grad, at + i) + u * twice - (u + q) * turn) * norms.Scale).Store(t.GradX, at + i);
        }

        for (; i < d; i++)
        {
            float z = t.X.Decode(t.X.Read(at + i));
            float q = t.Codes.Codes.Decode(t.Codes.Codes.Read(e + i));
            float g = norms.Gradient(z, q, t.Grad.Decode(t.Grad.Read(at + i)), turn, twice);
            t.GradX.Write(at + i, t.GradX.Encode(g, 0));
        }
    }

    private static float Squares<TStorage>(
        TStorage view, long at, int d, ArrayView<Eight> room, int place, int zero)
        where TStorage : struct, IStorage
    {
        Eight lanes = default;
        int i = 0;
        for (; i + Eight.Width <= d; i += Eight.Width)
        {
            Eight value = Eight.Load(view, at + i);
            lanes += value * value;
        }

        float sum = lanes.Sum(room, place, zero);
        for (; i < d; i++)
        {
            float value = view.Decode(view.Read(at + i));
            sum += value * value;
        }

        return sum;
    }

    /// <summary>Four elements, or one with three zeros.</summary>
    private static Quad Read<TStorage, TAccess>(TStorage view, long first, int i)
        where TStorage : struct, IStorage
        where TAccess : struct, IAccess => TAccess.Packets
            ? Update.Decode(view, (first >> 2) + i)
            : new Quad { X = view.Decode(view.Read(first + i)) };

    private static void Write<TStorage, TAccess>(TStorage view, long first, int i, Quad value, bool known)
        where TStorage : struct, IStorage
        where TAccess : struct, IAccess
    {
        if (TAccess.Packets)
        {
            RowLanes.Write(view, (first >> 2) + i, value, known);
        }
        else
        {
            view.Write(first + i, view.Encode(Utilities.Select(known, value.X, 0f), 0));
        }
    }

    private static Quad Direction(Quad value, float inverseSize, float inverseRoot) => new()
    {
        X = value.X * inverseSize * inverseRoot,
        Y = value.Y * inverseSize * inverseRoot,
        Z = value.Z * inverseSize * inverseRoot,
        W = value.W * inverseSize * inverseRoot,
    };

    private static float Dot(Quad left, Quad right) =>
        left.X * right.X + left.Y * right.Y + (left.Z * right.Z + left.W * right.W);
}
