using System.Numerics;
using System.Runtime.CompilerServices;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Optimizers;
using Kernels.DeviceCode.Storage;
using Kernels.Optimizers;

namespace Kernels.Host;

/// <summary>
/// Parameters, gradients and extras of a step in the host's memory. What is kept in 16 bits is decoded and encoded in
/// small blocks.
/// </summary>
internal unsafe struct HostTensors
{
    private byte* _p;
    private byte* _g;
    private float* _average;
    private byte* _copy;
    private Storage _paramStorage;
    private Storage _gradStorage;
    private Storage _copyStorage;
    private bool _isStochastic;
    private StochasticBF16 _random;
    private float _averageRate;

    /// <summary>Multiplies every gradient.</summary>
    internal float Factor { get; private set; }

    /// <summary>Finds the tensors; false where the step is to be skipped.</summary>
    internal static bool TryResolve(in UpdateCall call, out HostTensors tensors)
    {
        tensors = new HostTensors
        {
            _p = Address(call.P),
            _g = Address(call.G),
            _average = Floats(call.Extras.Average),
            _copy = Address(call.Extras.Copy),
            _paramStorage = call.P.Storage,
            _gradStorage = call.G.Storage,
            _copyStorage = call.Extras.Copy.Storage,
            _isStochastic = call.Extras.StochasticRounding,
            _random = new StochasticBF16(
                default, call.Seed0, call.Seed1, call.RandomStep, call.Extras.FirstElement / 4),
            _averageRate = (float)call.Extras.AverageRate,
            Factor = call.GradientFactor,
        };
        if (call.Extras.Control.IsValid)
        {
            var control = (StepControl*)Address(call.Extras.Control);
            tensors.Factor *= control->GradientFactor;
            return control->Skip == 0f;
        }

        return true;
    }

    /// <summary>The address of a tensor's first element.</summary>
    internal static byte* Address(TensorView view) => view.Buffer is null || view.Length == 0
        ? null
        : (byte*)view.Buffer.NativePtr + view.Index * view.ElementBytes;

    /// <summary>The address of the first of some floats.</summary>
    internal static float* Floats(TensorView view) => (float*)Address(view);

    /// <summary>Where parameters <paramref name="first"/> on are: in place, or decoded in <paramref name="room"/>.</summary>
    internal readonly float* Parameters(long first, int count, float* room) =>
        Values(_p, _paramStorage, first, count, room);

    /// <summary>Where gradients <paramref name="first"/> on are, without their factor.</summary>
    internal readonly float* Gradients(long first, int count, float* room) =>
        Values(_g, _gradStorage, first, count, room);

    /// <summary>Stores updated parameters, which are where <see cref="Parameters"/> said or were moved, and does the extras.</summary>
    internal readonly void Write(float* p, long first, int count)
    {
        if (_average is not null)
        {
            Average(p, _average + first, count);
        }

        if (_copy is not null)
        {
            Encode(p, (ushort*)_copy + first, _copyStorage, first, count);
        }

        if (_paramStorage == Storage.F32)
        {
            HostPieces.Unpad(p, (float*)_p + first, count);
        }
        else
        {
            Encode(p, (ushort*)_p + first, _paramStorage, first, count);
        }
    }

    private static float* Values(byte* address, Storage storage, long first, int count, float* room)
    {
        if (storage == Storage.F32)
        {
            return (float*)address + first;
        }

        ushort* source = (ushort*)address + first;
        for (int i = 0; i < count; i++)
        {
            room[i] = storage == Storage.F16 ? default(F16).Decode(source[i]) : default(BF16).Decode(source[i]);
        }

        return room;
    }

    private readonly void Average(float* p, float* average, int count)
    {
        int i = 0;
        for (; i + Vector<float>.Count <= count; i += Vector<float>.Count)
        {
            Vector<float> a = Vector.Load(average + i);
            Vector.Store(a + _averageRate * (Vector.Load(p + i) - a), average + i);
        }

        for (; i < count; i++)
        {
            average[i] += _averageRate * (p[i] - average[i]);
        }
    }

    private readonly void Encode(float* source, ushort* destination, Storage storage, long first, int count)
    {
        if (storage == Storage.BF16 && _isStochastic)
        {
            EncodeStochastic(source, destination, first, count);
            return;
        }

        for (int i = 0; i < count; i++)
        {
            destination[i] = (ushort)(storage == Storage.F16
                ? default(F16).Encode(source[i], 0)
                : BF16.Nearest(source[i]));
        }
    }

    [SkipLocalsInit]
    private readonly void EncodeStochastic(float* source, ushort* destination, long first, int count)
    {
        const int Block = 512;
        ushort* noise = stackalloc ushort[Block + StripNoise.Slack];
        for (; count > 0; source += Block, destination += Block, first += Block, count -= Block)
        {
            int length = Math.Min(Block, count);
            long position = _random.Position(first);
            int skipped = (int)(position & 7);
            for (int k = 0; k < skipped + length; k += 8)
            {
                *(QuadBits*)(noise + k) = _random.Noise((position >> 3) + (k >> 3));
            }

            ushort* random = noise + skipped;
            int i = 0;
            for (; i + Vector<ushort>.Count <= length; i += Vector<ushort>.Count)
            {
                Vector.Widen(Vector.Load(random + i), out Vector<uint> low, out Vector<uint> high);
                Vector.Narrow(
                    Rounded(source + i, low), Rounded(source + i + Vector<uint>.Count, high)).Store(destination + i);
            }

            for (; i < length; i++)
            {
                destination[i] = (ushort)_random.Encode(source[i], random[i]);
            }
        }
    }

    /// <summary>StochasticBF16.Encode, several at once.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector<uint> Rounded(float* source, Vector<uint> random)
    {
        Vector<uint> bits = Vector.Load((uint*)source);
        Vector<uint> magnitude = bits & new Vector<uint>(0x7FFFFFFFu);
        // Infinity is cut, NaN becomes quiet.
        Vector<uint> cut = bits >> 16;
        Vector<uint> special = Vector.ConditionalSelect(
            Vector.GreaterThan(magnitude, new Vector<uint>(0x7F800000u)), cut | new Vector<uint>(0x40u), cut);
        return Vector.ConditionalSelect(
            Vector.GreaterThanOrEqual(magnitude, new Vector<uint>(0x7F800000u)), special, (bits + random) >> 16);
    }
}
