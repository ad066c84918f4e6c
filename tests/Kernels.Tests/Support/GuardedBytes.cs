using ILGPU;
using ILGPU.Runtime;

namespace Kernels.Tests.Support;

/// <summary>Bytes on the device with canaries before and behind them.</summary>
public sealed class GuardedBytes : IDisposable
{
    private const int Guard = 8;
    private const byte Canary = 0xA5;

    private readonly MemoryBuffer1D<byte, Stride1D.Dense> _bytes;
    private readonly int _first;
    private readonly int _length;

    public GuardedBytes(Accelerator accelerator, byte[] bytes, int shift)
    {
        _first = Guard + shift;
        _length = bytes.Length;
        byte[] raw = [.. Enumerable.Repeat(Canary, _first + _length + Guard)];
        bytes.CopyTo(raw, _first);
        _bytes = accelerator.Allocate1D(raw);
    }

    public ArrayView<byte> View => _bytes.View.SubView(_first, _length);

    public byte[] Bytes()
    {
        byte[] raw = _bytes.GetAsArray1D();
        Assert.All(raw[.._first], b => Assert.Equal(Canary, b));
        Assert.All(raw[(_first + _length)..], b => Assert.Equal(Canary, b));
        return raw[_first..(_first + _length)];
    }

    public void Dispose() => _bytes.Dispose();
}
