using System.Numerics;
using ILGPU.Runtime;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Reductions;
using Kernels.DeviceCode.Storage;
using Kernels.Host;

namespace Kernels.Launching;

/// <summary>The values whose squares are summed, in the host's memory.</summary>
internal interface IHostSource
{
    /// <summary>The address of values <paramref name="first"/> on, or of <paramref name="room"/> filled with them.</summary>
    unsafe float* Values(long first, int count, float* room);
}

/// <summary>
/// Sums of squares on ILGPU's CPU accelerator: the same strips, lanes and order as on a device, several lanes in one
/// SIMD register, straight on the accelerator's memory, which is the host's.
/// </summary>
internal static class HostReduction
{
    /// <summary>The plain sums of the lanes of all strips of a source, up to the end of its last tile.</summary>
    internal static unsafe void Strips<TSource>(TSource source, long length, float* lanes, int threads)
        where TSource : struct, IHostSource =>
        HostPool.Run(
            new StripWork<TSource> { Source = source, Length = length, Lanes = lanes },
            ReductionPlan.Tiles(length) * SumOfSquares.Strips, grain: 32, threads);

    /// <summary>The sums of all tiles of a source that is in the host's memory alone.</summary>
    internal static unsafe void Tiles<TSource>(TSource source, long length, in Partials partials, int threads)
        where TSource : struct, IHostSource
    {
        Strips(source, length, (float*)partials.Lanes.LoadEffectiveAddressAsPtr(), threads);
        var work = new TileWork<HostValues<TSource>>
        {
            Source = new HostValues<TSource>(source),
            Partials = partials,
            Length = length,
        };
        for (long tile = 0; tile < ReductionPlan.Tiles(length); tile++)
        {
            work.Item(tile, default);
        }
    }

    /// <summary>The source of a tile whose sum is out of range, read again number by number.</summary>
    private readonly unsafe struct HostValues<TSource>(TSource source) : ISquareSource
        where TSource : struct, IHostSource
    {
        public Quad Uniform() => default;

        public float Read(long i, Quad uniform)
        {
            float room;
            return *source.Values(i, 1, &room);
        }

        public Quad ReadPacket(long k, Quad uniform) => new()
        {
            X = Read(4 * k, uniform),
            Y = Read(4 * k + 1, uniform),
            Z = Read(4 * k + 2, uniform),
            W = Read(4 * k + 3, uniform),
        };
    }

    private unsafe struct StripWork<TSource> : IHostWork
        where TSource : struct, IHostSource
    {
        internal TSource Source;
        internal long Length;
        internal float* Lanes;

        public readonly void Run(long begin, long end)
        {
            float* room = stackalloc float[SumOfSquares.StripLength];
            for (long strip = begin; strip < end; strip++)
            {
                long first = strip * SumOfSquares.StripLength;
                int count = (int)Math.Clamp(Length - first, 0, SumOfSquares.StripLength);
                float* values = count > 0 ? Source.Values(first, count, room) : room;
                if (count < SumOfSquares.StripLength)
                {
                    new Span<float>(values, count).CopyTo(new Span<float>(room, count));
                    new Span<float>(room + count, SumOfSquares.StripLength - count).Clear();
                    values = room;
                }

                float* sums = Lanes + strip * SumOfSquares.Lanes;
                if (Vector<float>.Count > SumOfSquares.Lanes)
                {
                    for (int lane = 0; lane < SumOfSquares.Lanes; lane++)
                    {
                        sums[lane] = One(values + lane);
                    }

                    continue;
                }

                for (int lane = 0; lane < SumOfSquares.Lanes; lane += Vector<float>.Count)
                {
                    Vector.Store(Several(values + lane), sums + lane);
                }
            }
        }

        /// <summary>One lane, where a register is wider than a row.</summary>
        private static float One(float* v)
        {
            float sum = 0f;
            for (int row = 0; row < SumOfSquares.Rows; row += 8, v += 8 * SumOfSquares.Lanes)
            {
                sum += SumOfSquares.Squares(
                    Lane.Of(v[0]), Lane.Of(v[SumOfSquares.Lanes]), Lane.Of(v[2 * SumOfSquares.Lanes]),
                    Lane.Of(v[3 * SumOfSquares.Lanes]), Lane.Of(v[4 * SumOfSquares.Lanes]),
                    Lane.Of(v[5 * SumOfSquares.Lanes]), Lane.Of(v[6 * SumOfSquares.Lanes]),
                    Lane.Of(v[7 * SumOfSquares.Lanes])).Value;
            }

            return sum;
        }

        private static Vector<float> Several(float* values)
        {
            HostLane sum = Eight(values);
            for (int row = 8; row < SumOfSquares.Rows; row += 8)
            {
                sum += Eight(values + row * SumOfSquares.Lanes);
            }

            return sum.Value;
        }

        private static HostLane Eight(float* v) => SumOfSquares.Squares(
            Load(v),
            Load(v + SumOfSquares.Lanes),
            Load(v + 2 * SumOfSquares.Lanes),
            Load(v + 3 * SumOfSquares.Lanes),
            Load(v + 4 * SumOfSquares.Lanes),
            Load(v + 5 * SumOfSquares.Lanes),
            Load(v + 6 * SumOfSquares.Lanes),
            Load(v + 7 * SumOfSquares.Lanes));

        private static HostLane Load(float* address) => new(Vector.Load(address));
    }
}

/// <summary>A tensor as it is stored.</summary>
internal readonly unsafe struct HostStored(TensorView view) : IHostSource
{
    private readonly byte* _address = HostTensors.Address(view);
    private readonly Storage _storage = view.Storage;

    /// <summary>Whether there is a tensor.</summary>
    internal readonly bool IsGiven => _address is not null;

    public readonly float* Values(long first, int count, float* room)
    {
        switch (_storage)
        {
            case Storage.F32:
                return (float*)_address + first;
            case Storage.F16:
                for (int i = 0; i < count; i++)
                {
                    room[i] = default(F16).Decode(((ushort*)_address)[first + i]);
                }

                return room;
            default:
                for (int i = 0; i < count; i++)
                {
                    room[i] = default(BF16).Decode(((ushort*)_address)[first + i]);
                }

                return room;
        }
    }

    /// <summary>Where values to be stored are to be put: in their place, or in the room.</summary>
    internal readonly float* Place(long first, float* room) =>
        _storage == Storage.F32 ? (float*)_address + first : room;

    /// <summary>Stores values that are where <see cref="Place"/> said.</summary>
    internal readonly void Store(float* values, long first, int count)
    {
        ushort* place = (ushort*)_address + first;
        switch (_storage)
        {
            case Storage.F32:
                break;
            case Storage.F16:
                for (int i = 0; i < count; i++)
                {
                    place[i] = (ushort)default(F16).Encode(values[i], 0);
                }

                break;
            default:
                for (int i = 0; i < count; i++)
                {
                    place[i] = (ushort)BF16.Nearest(values[i]);
                }

                break;
        }
    }

    /// <summary>Stores zeros.</summary>
    internal readonly void Clear(long first, int count)
    {
        int size = _storage == Storage.F32 ? 4 : 2;
        new Span<byte>(_address + (first * size), count * size).Clear();
    }
}
