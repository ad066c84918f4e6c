using System.Numerics;
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
/// Sums of squares on ILGPU's CPU accelerator: the same tiles, lanes and order as on a device, several lanes in one
/// SIMD register, straight on the accelerator's memory, which is the host's.
/// </summary>
internal static class HostReduction
{
    private const int EightLength = 8 * SumOfSquares.Lanes;

    /// <summary>The partial sums of every tile of a source.</summary>
    internal static unsafe void Tiles<TSource>(TSource source, long length, float* sums, float* sizes, int threads)
        where TSource : struct, IHostSource =>
        HostPool.Run(
            new TileWork<TSource> { Source = source, Length = length, Sums = sums, Sizes = sizes },
            ReductionPlan.Tiles(length), grain: 2, threads);

    /// <summary>The address of a tensor's first element.</summary>
    internal static unsafe byte* Address(TensorView view) => view.Buffer is null || view.Length == 0
        ? null
        : (byte*)view.Buffer.NativePtr + view.Index * view.ElementBytes;

    private unsafe struct TileWork<TSource> : IHostWork
        where TSource : struct, IHostSource
    {
        internal TSource Source;
        internal long Length;
        internal float* Sums;
        internal float* Sizes;

        public readonly void Run(long begin, long end)
        {
            float* room = stackalloc float[EightLength];
            for (long tile = begin; tile < end; tile++)
            {
                float* sums = Sums + tile * SumOfSquares.Lanes;
                float* sizes = Sizes + tile * SumOfSquares.Lanes;
                for (int eight = 0; eight < SumOfSquares.Rows / 8; eight++)
                {
                    long first = tile * SumOfSquares.TileLength + eight * EightLength;
                    long count = Math.Clamp(Length - first, 0, EightLength);
                    float* values = room;
                    if (count > 0)
                    {
                        values = Source.Values(first, (int)count, room);
                    }

                    if (count < EightLength)
                    {
                        var given = new Span<float>(values, (int)count);
                        given.CopyTo(new Span<float>(room, (int)count));
                        new Span<float>(room + count, EightLength - (int)count).Clear();
                        values = room;
                    }

                    Eight(values, sums, sizes, isFirst: eight == 0);
                }
            }
        }

        private static void Eight(float* values, float* sums, float* sizes, bool isFirst)
        {
            for (int lane = 0; lane < SumOfSquares.Lanes; lane += Vector<float>.Count)
            {
                float* v = values + lane;
                ScaledSum<HostNormLane> sum = ScaledSum<HostNormLane>.OfSquares(
                    Load(v),
                    Load(v + SumOfSquares.Lanes),
                    Load(v + 2 * SumOfSquares.Lanes),
                    Load(v + 3 * SumOfSquares.Lanes),
                    Load(v + 4 * SumOfSquares.Lanes),
                    Load(v + 5 * SumOfSquares.Lanes),
                    Load(v + 6 * SumOfSquares.Lanes),
                    Load(v + 7 * SumOfSquares.Lanes));
                if (!isFirst)
                {
                    var before = new ScaledSum<HostNormLane> { Sum = Load(sums + lane), Size = Load(sizes + lane) };
                    sum = before.Plus(sum);
                }

                Vector.Store(sum.Sum.Value, sums + lane);
                Vector.Store(sum.Size.Value, sizes + lane);
            }
        }

        private static HostNormLane Load(float* address) => new(Vector.Load(address));
    }
}

/// <summary>A tensor as it is stored.</summary>
internal readonly unsafe struct HostStored(TensorView view) : IHostSource
{
    private readonly byte* _address = HostReduction.Address(view);
    private readonly Storage _storage = view.Storage;

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
}
