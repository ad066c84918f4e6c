using ILGPU;
using ILGPU.Runtime;

namespace Kernels.Tests.Support;

/// <summary>A device tensor with canaries before and behind it, at any offset from an aligned address.</summary>
public sealed class GuardedTensor : IDisposable
{
    private const int Guard = 8;
    private const uint Canary32 = 0x7FC0BEEF;
    private const ushort Canary16 = 0x7FBE;

    private readonly MemoryBuffer1D<float, Stride1D.Dense>? _floats;
    private readonly MemoryBuffer1D<ushort, Stride1D.Dense>? _shorts;
    private readonly int _first;
    private readonly int _length;

    /// <summary>Raw bits of the elements go to the device, at <paramref name="shift"/> elements from an aligned place.</summary>
    public GuardedTensor(Accelerator accelerator, Storage storage, uint[] bits, int shift = 0)
    {
        Storage = storage;
        _first = Guard + shift;
        _length = bits.Length;
        int total = _first + _length + Guard;
        if (storage == Storage.F32)
        {
            uint[] raw = [.. Enumerable.Repeat(Canary32, total)];
            bits.CopyTo(raw, _first);
            _floats = accelerator.Allocate1D(Array.ConvertAll(raw, BitConverter.UInt32BitsToSingle));
        }
        else
        {
            ushort[] raw = [.. Enumerable.Repeat(Canary16, total)];
            Array.ConvertAll(bits, b => (ushort)b).CopyTo(raw, _first);
            _shorts = accelerator.Allocate1D(raw);
        }
    }

    /// <summary>F32 values.</summary>
    public GuardedTensor(Accelerator accelerator, float[] values, int shift = 0)
        : this(accelerator, Storage.F32, Array.ConvertAll(values, BitConverter.SingleToUInt32Bits), shift)
    {
    }

    /// <summary>How the elements are kept.</summary>
    public Storage Storage { get; }

    /// <summary>The tensor between the canaries.</summary>
    public TensorView View => Storage switch
    {
        Storage.F32 => _floats!.View.SubView(_first, _length),
        Storage.F16 => ((ArrayView<ushort>)_shorts!.View).SubView(_first, _length).Cast<ILGPU.Half>(),
        _ => _shorts!.View.SubView(_first, _length),
    };

    /// <summary>The same as F32 view.</summary>
    public ArrayView<float> Floats => _floats!.View.SubView(_first, _length);

    /// <summary>Raw bits of the elements; fails if a canary has changed.</summary>
    public uint[] Bits()
    {
        uint[] raw = _floats is not null
            ? Array.ConvertAll(_floats.GetAsArray1D(), BitConverter.SingleToUInt32Bits)
            : Array.ConvertAll(_shorts!.GetAsArray1D(), s => (uint)s);
        uint canary = _floats is not null ? Canary32 : Canary16;
        for (int i = 0; i < raw.Length; i++)
        {
            if ((i < _first || i >= _first + _length) && raw[i] != canary)
            {
                Assert.Fail($"The canary {i - _first} elements from the tensor's start was overwritten.");
            }
        }

        return raw[_first..(_first + _length)];
    }

    /// <summary>F32 values; fails if a canary has changed.</summary>
    public float[] Values() => Array.ConvertAll(Bits(), BitConverter.UInt32BitsToSingle);

    public void Dispose()
    {
        _floats?.Dispose();
        _shorts?.Dispose();
    }
}
