using ILGPU.Runtime;
using Kernels.Quantization;
using Kernels.Tests.Support;

namespace Kernels.Tests.Quantization;

/// <summary>Calls that are refused before anything is written: a matrix of 2 x 8 with 4 codes and blocks of 4.</summary>
public sealed class BadQuantizationTests : IDisposable
{
    private readonly Accelerator _accelerator = TestDevices.Session.Accelerator;
    private readonly CodebookLayout _layout = new(2, 8, new CodeFormat(4), scales: WeightScope.Blocks(4));
    private readonly GuardedTensor _w;
    private readonly GuardedTensor _codebook;
    private readonly GuardedTensor _scale;
    private readonly GuardedTensor _half;
    private readonly GuardedTensor _offset;
    private readonly GuardedTensor _foreign;
    private readonly GuardedBytes _index;

    public BadQuantizationTests()
    {
        _w = new GuardedTensor(_accelerator, new float[16]);
        _codebook = new GuardedTensor(_accelerator, new float[4]);
        _scale = new GuardedTensor(_accelerator, new float[4]);
        _half = new GuardedTensor(_accelerator, Storage.BF16, new uint[4]);
        _offset = new GuardedTensor(_accelerator, new float[1]);
        _foreign = new GuardedTensor(TestDevices.Warp(2), new float[16]);
        _index = new GuardedBytes(_accelerator, [.. Enumerable.Repeat((byte)9, 16)], 0);
    }

    private AcceleratorStream Stream => _accelerator.DefaultStream;

    public void Dispose()
    {
        // Nothing was written.
        Assert.All(_index.Bytes(), code => Assert.Equal(9, code));
        Assert.All(_scale.Values().Concat(_codebook.Values()), value => Assert.Equal(0, value));
        Array.ForEach([_w, _codebook, _scale, _half, _offset, _foreign], tensor => tensor.Dispose());
        _index.Dispose();
    }

    [Fact]
    public void A_search_of_codes()
    {
        using var assign = new Assign(_accelerator, _layout);
        Assert.Throws<ArgumentNullException>("accelerator", () => new Assign(null!, _layout));
        Assert.Throws<ArgumentNullException>("layout", () => new Assign(_accelerator, null!));
        Assert.Throws<ArgumentNullException>("stream", () => assign.Run(null!, _w.View, _codebook.Floats, _scale.View, _index.View));
        Assert.Throws<ArgumentException>(
            "stream", () => assign.Run(TestDevices.Warp(2).DefaultStream, _w.View, _codebook.Floats, _scale.View, _index.View));
        Assert.Throws<ArgumentException>("w", () => assign.Run(Stream, _scale.View, _codebook.Floats, _scale.View, _index.View));
        Assert.Throws<ArgumentException>("w", () => assign.Run(Stream, _foreign.View, _codebook.Floats, _scale.View, _index.View));
        Assert.Throws<ArgumentException>("codebook", () => assign.Run(Stream, _w.View, _w.Floats, _scale.View, _index.View));
        Assert.Throws<ArgumentException>("scale", () => assign.Run(Stream, _w.View, _codebook.Floats, default, _index.View));
        Assert.Throws<ArgumentException>("scale", () => assign.Run(Stream, _w.View, _codebook.Floats, _half.View, _index.View));
        Assert.Throws<ArgumentException>(
            "index", () => assign.Run(Stream, _w.View, _codebook.Floats, _scale.View, _index.View.SubView(0, 15)));
        Assert.Throws<ArgumentException>(
            "index", () => assign.Run(Stream, _w.View, _codebook.Floats, _scale.View, _w.Floats.SubView(0, 4).Cast<byte>()));
        Assert.Throws<ArgumentException>(
            "index", () => assign.Run(Stream, _w.View, _codebook.Floats, _scale.View, _codebook.Floats.Cast<byte>()));
        Assert.Throws<ArgumentException>(
            "index", () => assign.Run(Stream, _w.View, _codebook.Floats, _scale.View, _scale.Floats.Cast<byte>()));
        assign.Dispose();
        Assert.Throws<ObjectDisposedException>(() => assign.Run(Stream, _w.View, _codebook.Floats, _scale.View, _index.View));
    }

    [Fact]
    public void A_search_of_scales()
    {
        using var largest = new AbsMax(_accelerator, 2, 8, WeightScope.Blocks(4));
        Assert.Throws<ArgumentOutOfRangeException>("rows", () => new AbsMax(_accelerator, 0, 8, WeightScope.Rows));
        Assert.Throws<ArgumentOutOfRangeException>("columns", () => new AbsMax(_accelerator, 1 << 16, 1 << 15, WeightScope.Rows));
        Assert.Throws<ArgumentNullException>("scope", () => new AbsMax(_accelerator, 2, 8, null!));
        Assert.Throws<ArgumentNullException>("stream", () => largest.Run(null!, _w.View, _scale.View));
        Assert.Throws<ArgumentException>("w", () => largest.Run(Stream, _scale.View, _scale.View));
        Assert.Throws<ArgumentException>("scale", () => largest.Run(Stream, _w.View, _w.View));
        Assert.Throws<ArgumentException>("scale", () => largest.Run(Stream, _w.View, _w.Floats.SubView(0, 4)));
        largest.Dispose();
        Assert.Throws<ObjectDisposedException>(() => largest.Run(Stream, _w.View, _scale.View));
    }

    [Fact]
    public void Scales_in_bytes()
    {
        using var both = new DoubleQuantization(_accelerator, 4);
        Assert.Throws<ArgumentOutOfRangeException>("scales", () => new DoubleQuantization(_accelerator, 0));
        Assert.Throws<ArgumentException>(
            "scale", () => both.Encode(Stream, _w.Floats, _index.View.SubView(0, 4), _offset.Floats, _w.Floats.SubView(0, 1)));
        Assert.Throws<ArgumentException>(
            "code", () => both.Encode(Stream, _scale.Floats, _index.View, _offset.Floats, _w.Floats.SubView(0, 1)));
        Assert.Throws<ArgumentException>(
            "offset", () => both.Encode(Stream, _scale.Floats, _index.View.SubView(0, 4), _offset.Floats, _offset.Floats));
        Assert.Throws<ArgumentNullException>(
            "stream",
            () => both.Decode(null!, _index.View.SubView(0, 4), _offset.Floats, _w.Floats.SubView(0, 1), _scale.Floats));
        both.Dispose();
        Assert.Throws<ObjectDisposedException>(
            () => both.Decode(Stream, _index.View.SubView(0, 4), _offset.Floats, _w.Floats.SubView(0, 1), _scale.Floats));
    }

    [Fact]
    public void A_fit()
    {
        using var fit = new CodebookFit(_accelerator, new CodebookLayout(2, 8, new CodeFormat(4)));
        Assert.Throws<ArgumentNullException>("stream", () => fit.Run(null!, _w.View, default, _codebook.Floats, _index.View));
        Assert.Throws<ArgumentException>("w", () => fit.Run(Stream, _scale.View, default, _codebook.Floats, _index.View));
        Assert.Throws<ArgumentException>("h", () => fit.Run(Stream, _w.View, _scale.Floats, _codebook.Floats, _index.View));
        Assert.Throws<ArgumentException>("codebook", () => fit.Run(Stream, _w.View, default, _offset.Floats, _index.View));
        Assert.Throws<ArgumentException>(
            "codebook", () => fit.Run(Stream, _w.View, default, _w.Floats.SubView(0, 4), _index.View));
        Assert.Throws<ArgumentException>(
            "index", () => fit.Run(Stream, _w.View, default, _codebook.Floats, _index.View.SubView(1, 15)));
        Assert.Throws<ArgumentException>(
            "error", () => fit.Run(Stream, _w.View, default, _codebook.Floats, _index.View, _scale.Floats));
        Assert.Throws<ArgumentException>(
            "error", () => fit.Run(Stream, _w.View, default, _codebook.Floats, _index.View, _codebook.Floats.SubView(1, 1)));
        fit.Dispose();
        Assert.Throws<ObjectDisposedException>(() => fit.Run(Stream, _w.View, default, _codebook.Floats, _index.View));
    }
}
