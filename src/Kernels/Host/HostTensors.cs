using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;
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
    private const int CacheLine = 64;

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
    private HostPlaces? _places;
    private long _placesFirst;

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
            _places = call.Places,
            _placesFirst = call.PlacesFirst,
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
    internal readonly float* Parameters(long first, int count, float* room) => _places is null
        ? Values(_p, _paramStorage, first, count, room)
        : Values(_places, first + _placesFirst, count, room, gradients: false);

    /// <summary>Where gradients <paramref name="first"/> on are, without their factor.</summary>
    internal readonly float* Gradients(long first, int count, float* room) => _places is null
        ? Values(_g, _gradStorage, first, count, room)
        : Values(_places, first + _placesFirst, count, room, gradients: true);

    /// <summary>
    /// The tensors from an element on, as far as they are in one place: elements up to <paramref name="live"/> are there,
    /// and what is behind them, up to <paramref name="next"/>, is nowhere.
    /// </summary>
    internal readonly HostTensors From(long first, long end, out long live, out long next)
    {
        HostTensors part = this;
        live = next = end;
        if (_places is null)
        {
            return part;
        }

        ref readonly HostPlaces.Place place = ref _places.At(first + _placesFirst, out long left);
        long start = place.First - _placesFirst;
        next = Math.Min(end, first + left);
        live = Math.Min(next, start + place.Live);
        part._places = null;
        part._p = place.P - start * Bytes(place.StorageOfP);
        part._g = place.G - start * Bytes(place.StorageOfG);
        part._paramStorage = place.StorageOfP;
        part._gradStorage = place.StorageOfG;
        return part;
    }

    /// <summary>
    /// Where parameters and gradients are from an element on, if they are in one place each, both in F32, and nothing is
    /// done but the step. Numbered as in the arena; <paramref name="live"/> and <paramref name="next"/> are as in
    /// <see cref="From"/>.
    /// </summary>
    internal readonly bool TryInPlace(long first, long end, out float* p, out float* g, out long live, out long next)
    {
        live = next = end;
        p = (float*)_p;
        g = (float*)_g;
        if (_average is not null || _copy is not null)
        {
            return false;
        }

        if (_places is null)
        {
            return _paramStorage == Storage.F32 && _gradStorage == Storage.F32;
        }

        ref readonly HostPlaces.Place place = ref _places.At(first + _placesFirst, out long left);
        long start = place.First - _placesFirst;
        next = Math.Min(end, first + left);
        live = Math.Min(next, start + place.Live);
        p = (float*)place.P - start;
        g = (float*)place.G - start;
        return place.StorageOfP == Storage.F32 && place.StorageOfG == Storage.F32;
    }

    /// <summary>
    /// Asks for a block that is in a place of its own: the processor foresees only what goes on, and a small tensor is at
    /// its end before that is seen.
    /// </summary>
    internal readonly void Prefetch(long first)
    {
        if (_places is null || !Sse.IsSupported)
        {
            return;
        }

        ref readonly HostPlaces.Place place = ref _places.At(first + _placesFirst, out _);
        long at = first + _placesFirst - place.First;
        long end = Math.Min(place.Live, at + Update.BlockLength);
        Prefetch(place.P, place.StorageOfP, at, end);
        Prefetch(place.G, place.StorageOfG, at, end);
    }

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

        if (_places is null)
        {
            Write(p, _p, _paramStorage, first, first, count);
            return;
        }

        for (int done = 0; done < count;)
        {
            ref readonly HostPlaces.Place place = ref _places.At(first + _placesFirst + done, out long left);
            long at = first + _placesFirst + done - place.First;
            int live = (int)Math.Clamp(place.Live - at, 0, Math.Min(left, count - done));
            Write(p + done, place.P, place.StorageOfP, at, first + done, live);
            done += (int)Math.Min(left, count - done);
        }
    }

    /// <summary>Stores numbers at an element of a tensor; the random numbers are those of another element.</summary>
    private readonly void Write(float* p, byte* tensor, Storage storage, long at, long random, int count)
    {
        if (storage == Storage.F32)
        {
            HostPieces.Unpad(p, (float*)tensor + at, count);
        }
        else
        {
            Encode(p, (ushort*)tensor + at, storage, random, count);
        }
    }

    private static void Prefetch(byte* tensor, Storage storage, long at, long end)
    {
        byte* last = tensor + end * Bytes(storage);
        for (byte* line = tensor + at * Bytes(storage); line < last; line += CacheLine)
        {
            Sse.Prefetch0(line);
        }
    }

    private static int Bytes(Storage storage) => storage == Storage.F32 ? sizeof(float) : sizeof(ushort);

    /// <summary>Numbers that may be in several places: where they are if in one and in F32, else gathered.</summary>
    private static float* Values(HostPlaces places, long first, int count, float* room, bool gradients)
    {
        for (int done = 0; done < count;)
        {
            ref readonly HostPlaces.Place place = ref places.At(first + done, out long left);
            long at = first + done - place.First;
            byte* tensor = gradients ? place.G : place.P;
            Storage storage = gradients ? place.StorageOfG : place.StorageOfP;
            if (done == 0 && storage == Storage.F32 && at + count <= place.Live)
            {
                return (float*)tensor + at;
            }

            int taken = (int)Math.Min(left, count - done);
            int live = (int)Math.Clamp(place.Live - at, 0, taken);
            float* values = Values(tensor, storage, at, live, room + done);
            HostPieces.Unpad(values, room + done, live);
            new Span<float>(room + done + live, taken - live).Clear();
            done += taken;
        }

        return room;
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
