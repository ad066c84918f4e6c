using ILGPU;
using ILGPU.Util;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Optimizers;
using Kernels.DeviceCode.Storage;

namespace Kernels.DeviceCode.Reductions;

/// <summary>The values whose squares are summed.</summary>
internal interface ISquareSource
{
    /// <summary>What all values need from device memory.</summary>
    Quad Uniform();

    /// <summary>Value i.</summary>
    float Read(long i, Quad uniform);

    /// <summary>Values 4k .. 4k + 3, by 128-bit accesses (64-bit for 16-bit storage).</summary>
    Quad ReadPacket(long k, Quad uniform);
}

/// <summary>A tensor as it is stored.</summary>
internal readonly struct StoredSource<TStorage>(TStorage storage) : ISquareSource
    where TStorage : struct, IStorage
{
    private readonly TStorage _storage = storage;

    public readonly Quad Uniform() => default;

    public readonly float Read(long i, Quad uniform) => _storage.Decode(_storage.Read(i));

    public readonly Quad ReadPacket(long k, Quad uniform) => Update.Decode(_storage, k);
}

/// <summary>Sums of squares on their way: of the lanes of tiles, and of tiles.</summary>
internal struct Partials
{
    /// <summary>Plain sums of squares, <see cref="SumOfSquares.TileLanes"/> for each tile.</summary>
    public ArrayView<float> Lanes;

    /// <summary>One for each tile; sums and sizes apart, so that consecutive items use consecutive memory.</summary>
    public ArrayView<float> Sums;
    public ArrayView<float> Sizes;

    public readonly ScaledSum Read(long i) => ScaledSum.Of(Sums[i], Sizes[i]);

    public readonly void Write(long i, ScaledSum value)
    {
        Sums[i] = value.Sum;
        Sizes[i] = value.Size;
    }

    /// <summary>The sum of the first values, one after the other.</summary>
    public readonly ScaledSum Total(long count)
    {
        if (count == 0)
        {
            return ScaledSum.Of(0f, 1f);
        }

        ScaledSum total = Read(0);
        for (long i = 1; i < count; i++)
        {
            total = total.Plus(Read(i));
        }

        return total;
    }
}

/// <summary>The sum of the squares of a tensor, in a fixed order.</summary>
/// <remarks>
/// Shapes: tiles of 4 strips of 1024 elements = 8 lanes x 128 rows; element (row, lane) of a strip is 8 row + lane, so
/// that a SIMD register reads memory in order. A lane sums its rows plainly, in eights; the 32 lanes of a tile are
/// summed in eights. A tile whose sum is not within 2^-63 and 2^63 is read again, scaled by the power of two of its
/// largest. Tiles are folded 64 to 1 until 64 are left, which the finishing item sums.
/// Storage: elements F32, F16, BF16, arithmetic binary32.
/// Traffic: reads every element once; writes and reads a thirty-second of a byte for each. Tiles out of range are read three
/// times: twice more, an element after the other.
/// Order: fixed by the length and the values alone: the same bits for every launch shape and walk.
/// Domain: an element that is not finite makes the sum not finite, and nothing else does.
/// Error: gamma(depth + 1) of the sum; depth 32 in a tile, 63 in each fold, 63 at the end. In a tile within range the
/// squares that underflow lose less than 2^12 * 2^-126, which is 2^-51 of its sum.
/// </remarks>
internal static class SumOfSquares
{
    internal const int Lanes = 8;
    internal const int Rows = 128;
    internal const int StripLength = Lanes * Rows;
    internal const int Strips = 4;
    internal const int TileLanes = Strips * Lanes;
    internal const int TileLength = Strips * StripLength;

    /// <summary>How many partial sums a fold makes into one, and the most that are left to the finishing item.</summary>
    internal const int Fold = 64;

    private const uint LeastPlain = 0x20000000;   // 2^-63
    private const uint LargestPlain = 0x5F000000; // 2^63
    private const uint Magnitude = 0x7FFFFFFF;

    /// <summary>Whole strips, four elements per item: aligned tensors on GPUs. 2 items share a strip.</summary>
    [DeviceKernel("reductions/sumofsquares.packets")]
    internal static void StripPackets<TSource>(TSource source, ArrayView<float> lanes, long first)
        where TSource : struct, ISquareSource
    {
        const int Items = Lanes / 4;
        long item = first * Items + (long)Grid.IdxX * Group.DimX + Group.IdxX;
        Quad uniform = source.Uniform();
        long k = item / Items * (StripLength / 4) + item % Items;
        float x = 0f;
        float y = 0f;
        float z = 0f;
        float w = 0f;
        for (int eight = 0; eight < Rows / 8; eight++)
        {
            Quad a = source.ReadPacket(k, uniform);
            Quad b = source.ReadPacket(k + Items, uniform);
            Quad c = source.ReadPacket(k + 2 * Items, uniform);
            Quad d = source.ReadPacket(k + 3 * Items, uniform);
            Quad e = source.ReadPacket(k + 4 * Items, uniform);
            Quad f = source.ReadPacket(k + 5 * Items, uniform);
            Quad g = source.ReadPacket(k + 6 * Items, uniform);
            Quad h = source.ReadPacket(k + 7 * Items, uniform);
            x += Squares(Lane.Of(a.X), Lane.Of(b.X), Lane.Of(c.X), Lane.Of(d.X), Lane.Of(e.X), Lane.Of(f.X), Lane.Of(g.X), Lane.Of(h.X)).Value;
            y += Squares(Lane.Of(a.Y), Lane.Of(b.Y), Lane.Of(c.Y), Lane.Of(d.Y), Lane.Of(e.Y), Lane.Of(f.Y), Lane.Of(g.Y), Lane.Of(h.Y)).Value;
            z += Squares(Lane.Of(a.Z), Lane.Of(b.Z), Lane.Of(c.Z), Lane.Of(d.Z), Lane.Of(e.Z), Lane.Of(f.Z), Lane.Of(g.Z), Lane.Of(h.Z)).Value;
            w += Squares(Lane.Of(a.W), Lane.Of(b.W), Lane.Of(c.W), Lane.Of(d.W), Lane.Of(e.W), Lane.Of(f.W), Lane.Of(g.W), Lane.Of(h.W)).Value;
            k += 8 * Items;
        }

        lanes.Cast<Quad>()[item] = new Quad { X = x, Y = y, Z = z, W = w };
    }

    /// <summary>The sum of eight squares, first to last.</summary>
    internal static T Squares<T>(T a, T b, T c, T d, T e, T f, T g, T h)
        where T : struct, ILane<T>
    {
        T sum = a * a;
        sum = sum + b * b;
        sum = sum + c * c;
        sum = sum + d * d;
        sum = sum + e * e;
        sum = sum + f * f;
        sum = sum + g * g;
        return sum + h * h;
    }

    /// <summary>The sum of a tile's lanes, in eights.</summary>
    internal static float OfLanes(ArrayView<float> lanes, long first)
    {
        float sum = 0f;
        for (int eight = 0; eight < TileLanes; eight += 8)
        {
            float part = lanes[first + eight];
            for (int i = 1; i < 8; i++)
            {
                part += lanes[first + eight + i];
            }

            sum += part;
        }

        return sum;
    }

    /// <summary>Whether a plain sum of a tile is as good as a scaled one. By the bits: a NaN is not.</summary>
    internal static bool IsPlain(float sum) => Interop.FloatAsInt(sum) - LeastPlain <= LargestPlain - LeastPlain;

    /// <summary>The sum of a tile, scaled by the power of two of its largest value.</summary>
    internal static ScaledSum Scaled<TSource>(TSource source, long begin, long end, Quad uniform)
        where TSource : struct, ISquareSource
    {
        uint largest = 0;
        for (long i = begin; i < end; i++)
        {
            uint magnitude = Interop.FloatAsInt(source.Read(i, uniform)) & Magnitude;
            largest = Utilities.Select(magnitude > largest, magnitude, largest);
        }

        float size = ScaledSum.PowerOf(largest);
        if (largest == 0)
        {
            return ScaledSum.Of(0f, size);
        }

        // Sums of 8 of 8 of 8 of 8, so that no square goes through more than 28 additions.
        float inverse = ScaledSum.InverseOf(size);
        float sum = 0f;
        for (long c = begin; c < end; c += 512)
        {
            float sumC = 0f;
            for (long b = c; b < Lesser(c + 512, end); b += 64)
            {
                float sumB = 0f;
                for (long a = b; a < Lesser(b + 64, end); a += 8)
                {
                    float sumA = 0f;
                    for (long i = a; i < Lesser(a + 8, end); i++)
                    {
                        float value = source.Read(i, uniform) * inverse;
                        sumA += value * value;
                    }

                    sumB += sumA;
                }

                sumC += sumB;
            }

            sum += sumC;
        }

        return ScaledSum.Of(sum, size);
    }

    internal static long Lesser(long left, long right) => Utilities.Select(left < right, left, right);
}

/// <summary>Whole strips, one lane per item: tensors that are not aligned, and OpenCL CPU devices.</summary>
internal struct StripWork<TSource> : IBlockWork
    where TSource : struct, ISquareSource
{
    public TSource Source;
    public ArrayView<float> Lanes;

    public static int LaneCount => SumOfSquares.Lanes;

    public readonly Quad Uniform(long block) => Source.Uniform();

    public readonly void Item(long block, long lane, Quad uniform)
    {
        long i = block * SumOfSquares.StripLength + lane;
        // By hand: with an inner loop PoCL does not vectorise across the lanes.
        float sum = Eight(i, uniform);
        sum += Eight(i + 8 * SumOfSquares.Lanes, uniform);
        sum += Eight(i + 16 * SumOfSquares.Lanes, uniform);
        sum += Eight(i + 24 * SumOfSquares.Lanes, uniform);
        sum += Eight(i + 32 * SumOfSquares.Lanes, uniform);
        sum += Eight(i + 40 * SumOfSquares.Lanes, uniform);
        sum += Eight(i + 48 * SumOfSquares.Lanes, uniform);
        sum += Eight(i + 56 * SumOfSquares.Lanes, uniform);
        sum += Eight(i + 64 * SumOfSquares.Lanes, uniform);
        sum += Eight(i + 72 * SumOfSquares.Lanes, uniform);
        sum += Eight(i + 80 * SumOfSquares.Lanes, uniform);
        sum += Eight(i + 88 * SumOfSquares.Lanes, uniform);
        sum += Eight(i + 96 * SumOfSquares.Lanes, uniform);
        sum += Eight(i + 104 * SumOfSquares.Lanes, uniform);
        sum += Eight(i + 112 * SumOfSquares.Lanes, uniform);
        sum += Eight(i + 120 * SumOfSquares.Lanes, uniform);
        Lanes[block * SumOfSquares.Lanes + lane] = sum;
    }

    private readonly float Eight(long i, Quad uniform) => SumOfSquares.Squares(
        Value(i, uniform),
        Value(i + SumOfSquares.Lanes, uniform),
        Value(i + 2 * SumOfSquares.Lanes, uniform),
        Value(i + 3 * SumOfSquares.Lanes, uniform),
        Value(i + 4 * SumOfSquares.Lanes, uniform),
        Value(i + 5 * SumOfSquares.Lanes, uniform),
        Value(i + 6 * SumOfSquares.Lanes, uniform),
        Value(i + 7 * SumOfSquares.Lanes, uniform)).Value;

    private readonly Lane Value(long i, Quad uniform) => Lane.Of(Source.Read(i, uniform));
}

/// <summary>The strips of the last tile that the tensor does not fill: what is beyond its length counts as 0.</summary>
internal struct StripTailWork<TSource> : IBlockWork
    where TSource : struct, ISquareSource
{
    public TSource Source;
    public ArrayView<float> Lanes;
    public long Length;

    public static int LaneCount => SumOfSquares.Lanes;

    public readonly Quad Uniform(long block) => Source.Uniform();

    public readonly void Item(long block, long lane, Quad uniform)
    {
        long i = block * SumOfSquares.StripLength + lane;
        float sum = 0f;
        for (int eight = 0; eight < SumOfSquares.Rows / 8; eight++)
        {
            sum += SumOfSquares.Squares(
                Value(i, uniform),
                Value(i + SumOfSquares.Lanes, uniform),
                Value(i + 2 * SumOfSquares.Lanes, uniform),
                Value(i + 3 * SumOfSquares.Lanes, uniform),
                Value(i + 4 * SumOfSquares.Lanes, uniform),
                Value(i + 5 * SumOfSquares.Lanes, uniform),
                Value(i + 6 * SumOfSquares.Lanes, uniform),
                Value(i + 7 * SumOfSquares.Lanes, uniform)).Value;
            i += 8 * SumOfSquares.Lanes;
        }

        Lanes[block * SumOfSquares.Lanes + lane] = sum;
    }

    private readonly Lane Value(long i, Quad uniform)
    {
        bool inside = i < Length;
        return Lane.Of(Utilities.Select(inside, Source.Read(Utilities.Select(inside, i, Length - 1), uniform), 0f));
    }
}

/// <summary>The sum of a tile from those of its lanes, one tile per item; read again if that is out of range.</summary>
internal struct TileWork<TSource> : IItemWork
    where TSource : struct, ISquareSource
{
    public TSource Source;
    public Partials Partials;
    public long Length;

    public readonly Quad Uniform() => Source.Uniform();

    public readonly void Item(long i, Quad uniform)
    {
        float plain = SumOfSquares.OfLanes(Partials.Lanes, i * SumOfSquares.TileLanes);
        ScaledSum sum = ScaledSum.Of(plain, 1f);
        if (!SumOfSquares.IsPlain(plain))
        {
            long begin = i * SumOfSquares.TileLength;
            sum = SumOfSquares.Scaled(
                Source, begin, SumOfSquares.Lesser(begin + SumOfSquares.TileLength, Length), uniform);
        }

        Partials.Write(i, sum);
    }
}

/// <summary>A fold, at most 64 to 1: sums the partials that lie <see cref="Outputs"/> apart.</summary>
internal struct FoldWork : IItemWork
{
    public Partials From;
    public Partials To;
    public long Inputs;
    public long Outputs;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        ScaledSum sum = From.Read(i);
        for (long j = i + Outputs; j < Inputs; j += Outputs)
        {
            sum = sum.Plus(From.Read(j));
        }

        To.Write(i, sum);
    }
}

/// <summary>The end of a norm: one item.</summary>
internal struct NormWork : IItemWork
{
    public Partials From;
    public long Count;
    public ArrayView<float> Result;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform) => Result[0] = From.Total(Count).Root();
}
