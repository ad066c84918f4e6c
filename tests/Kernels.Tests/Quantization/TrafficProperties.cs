using ILGPU;
using ILGPU.Runtime;
using Kernels.Quantization;
using Kernels.Tests.Linear;
using Kernels.Tests.Support;

namespace Kernels.Tests.Quantization;

/// <summary>What works on quantized matrices reads and writes, where the device counts it: what the contracts of the
/// kernels declare, by whole sectors.</summary>
[Collection(CountedLaunches.Name)]
public sealed class TrafficProperties : IDisposable
{
    private const int Rows = 64;

    private static readonly Accelerator s_accelerator = TestDevices.Session.Accelerator;
    private static readonly AcceleratorStream s_stream = s_accelerator.DefaultStream;

    private readonly List<IDisposable> _buffers = [];
    private readonly Random _random = new(1);

    public void Dispose() => _buffers.ForEach(buffer => buffer.Dispose());

    [Theory]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(5)]
    [InlineData(8)]
    [InlineData(16)]
    [InlineData(100)]
    [InlineData(256)]
    public void Packed_codes_and_what_they_stand_for_are_moved_once_and_stored_by_whole_sectors(int k)
    {
        CodebookLayout layout = Layout(k);
        int weights = layout.WeightCount;
        ArrayView<byte> index = Index(layout);
        ArrayView<byte> packed = Bytes(layout.PackedBytes);
        if (Count(() => new Pack(s_accelerator, layout).Run(s_stream, index, packed)) is not { } pack)
        {
            return;
        }

        Assert.Equal((index.Length, packed.Length, packed.Length), (pack.Read, pack.Written, pack.Stored));
        Traffic unpack = Count(() => new Unpack(s_accelerator, layout).Run(s_stream, packed, index))!;
        Assert.Equal((packed.Length, index.Length, index.Length), (unpack.Read, unpack.Written, unpack.Stored));

        ArrayView<float> codebook = Floats(k);
        ArrayView<float> scale = Floats(Rows);
        ArrayView<float> w = Floats(weights);
        using var dequantize = new Dequantize(s_accelerator, layout);
        Traffic rows = Count(() => dequantize.Run(s_stream, packed, codebook, scale, w))!;
        Assert.Equal((4L * weights, 4L * weights), (rows.Written, rows.Stored));
        Assert.InRange(rows.Read, packed.Length, packed.Length + (4 * (k + Rows)));

        // A vector, and a number for each row.
        using var product = new QuantizedProduct(s_accelerator, layout);
        ArrayView<float> x = Floats(layout.Columns);
        ArrayView<float> y = Floats(Rows);
        Traffic look = Count(() => product.Multiply(s_stream, x, 1, packed, codebook, scale, y))!;
        Assert.Equal(4L * Rows, look.Stored);
        Assert.InRange(look.Read, packed.Length, packed.Length + (4 * (k + Rows + layout.Columns)));
    }

    [Theory]
    [InlineData(4)]
    [InlineData(16)]
    [InlineData(200)]
    public void A_search_reads_the_weights_once_and_stores_whole_sectors(int k)
    {
        CodebookLayout layout = Layout(k);
        int weights = layout.WeightCount;
        using var assign = new Assign(s_accelerator, layout);
        ArrayView<float> w = Floats(weights);
        ArrayView<float> codebook = Floats(k);
        ArrayView<float> scale = Floats(Rows);
        ArrayView<byte> index = Index(layout);
        if (Count(() => assign.Run(s_stream, w, codebook, scale, index)) is { } search)
        {
            // Besides, the limits between codes are made of them and read.
            long limits = 4L * assign.Width;
            Assert.InRange(search.Read, 4L * weights, (4L * (weights + k + Rows)) + limits);
            Assert.Equal(weights + limits, search.Stored);
            Assert.InRange(search.Written, search.Stored, weights + (8 * limits));
        }
    }

    [Theory]
    [InlineData(2, 1)]
    [InlineData(16, 1)]
    [InlineData(16, 4)]
    public void A_step_of_a_fit_reads_the_weights_once_from_memory(int k, int length)
    {
        var layout = new CodebookLayout(Rows, 4096, new CodeFormat(k), length);
        int weights = layout.WeightCount;
        using var none = new CodebookFit(s_accelerator, layout, new() { Iterations = 0, Start = CodebookStart.Given });
        using var one = new CodebookFit(s_accelerator, layout, new() { Iterations = 1, Start = CodebookStart.Given });
        ArrayView<float> w = Floats(weights);
        ArrayView<float> codebook = Floats(layout.CodebookLength);
        ArrayView<byte> index = Bytes(layout.CodeCount);
        if (Count(() => none.Run(s_stream, w, default, codebook, index)) is { } start)
        {
            Traffic step = Count(() => one.Run(s_stream, w, default, codebook, index))!;
            // Of vectors a search reads the weights, and sums their planes, with the indices and what they count for each.
            long sums = 8L * k * length * (weights / length / 256);
            long read = length == 1 ? 4L * weights : (4L * weights) + (4L * weights) + (5L * weights);
            Assert.InRange(step.Read - start.Read, read, read + (2 * sums) + (64 * k * length) + (1 << 14));
        }
    }

    [Theory]
    [InlineData(2)]
    [InlineData(16)]
    [InlineData(256)]
    public void Gradients_of_codes_and_latent_numbers_read_and_write_what_they_must(int k)
    {
        CodebookLayout layout = Layout(k);
        int weights = layout.WeightCount;
        using var gradient = new CodebookGradient(s_accelerator, layout);
        ArrayView<byte> index = Index(layout);
        ArrayView<float> grad = Floats(weights);
        ArrayView<float> codebook = Floats(k);
        ArrayView<float> scale = Floats(Rows);
        ArrayView<float> to = Floats(k);
        if (Count(() => gradient.Backward(s_stream, index, grad, codebook, scale, to)) is not { } sums)
        {
            return;
        }

        // Parts of a row have k sums, which are scaled and added: written and read twice.
        long parts = 4L * k * Rows * ((layout.Columns + 4095) / 4096);
        Assert.InRange(sums.Read, 5L * weights, (5L * weights) + (3 * parts) + (64 * Rows) + (8 * k));
        Assert.InRange(sums.Stored, 2 * parts, (3 * parts) + (4 * k));

        using var latent = new Latent(s_accelerator, layout);
        ArrayView<float> v = Floats(weights);
        ArrayView<float> gradLatent = Floats(weights);
        ArrayView<float> value = Floats(weights);
        Traffic learned = Count(
            () => latent.Backward(s_stream, v, codebook, scale, grad, gradLatent, value, index))!;
        Assert.InRange(learned.Read, 8L * weights, (8L * weights) + (4 * (k + Rows)));
        Assert.Equal((9L * weights, 9L * weights), (learned.Written, learned.Stored));
    }

    [Theory]
    [InlineData(2)]
    [InlineData(5)]
    [InlineData(16)]
    [InlineData(20)]
    public void A_mapping_reads_logits_once_and_writes_their_gradient_once(int k)
    {
        var layout = new CodebookLayout(Rows, 512, new CodeFormat(k), scales: WeightScope.Rows);
        using var mapping = new Mapping(s_accelerator, layout);
        int weights = layout.WeightCount;
        ArrayView<float> logits = Floats(weights * k);
        ArrayView<float> gradLogits = Floats(weights * k);
        ArrayView<float> codebook = Floats(k);
        ArrayView<float> scale = Floats(Rows);
        ArrayView<float> grad = Floats(weights);
        ArrayView<float> value = Floats(weights);
        ArrayView<byte> index = Bytes(weights);
        if (Count(() => mapping.Backward(
            s_stream, logits, codebook, scale, grad, gradLogits, value, index)) is { } all)
        {
            Assert.InRange(all.Read, 4L * weights * (k + 1), (4L * weights * (k + 1)) + (4 * (k + Rows)));
            Assert.Equal(weights * ((4L * k) + 5), all.Stored);
            if (k <= 16)
            {
                // Of a warp: every code, the sectors of a lookup, a scale.
                long warp = 32 * (k + ((k + 7) / 8) + 1);
                Assert.InRange(all.Loaded, all.Read, (4L * weights * (k + 1)) + (weights / 32 * warp));
                Assert.Equal(all.Stored, all.Written);
            }
        }
    }

    /// <summary>What all launches of some work move; null where nobody counts.</summary>
    private static Traffic? Count(Action work) => Traffic.TryCount(work, out Traffic[] launches)
        ? new Traffic(
            "", launches.Sum(l => l.Read), launches.Sum(l => l.Loaded), launches.Sum(l => l.Written),
            launches.Sum(l => l.Stored))
        : null;

    /// <summary>Rows of whole blocks.</summary>
    private static CodebookLayout Layout(int k)
    {
        var format = CodeFormat.Densest(k);
        return new CodebookLayout(Rows, 4 * 32 * format.Steps, format, scales: WeightScope.Rows);
    }

    private ArrayView<byte> Index(CodebookLayout layout)
    {
        ArrayView<byte> view = Bytes(layout.CodeCount);
        var codes = new byte[layout.CodeCount];
        for (int i = 0; i < codes.Length; i++)
        {
            codes[i] = (byte)_random.Next(layout.Codes);
        }

        view.CopyFromCPU(s_stream, codes);
        return view;
    }

    private ArrayView<byte> Bytes(long length)
    {
        MemoryBuffer1D<byte, Stride1D.Dense> buffer = s_accelerator.Allocate1D<byte>(length);
        _buffers.Add(buffer);
        return buffer.View;
    }

    /// <summary>Random numbers, ascending.</summary>
    private ArrayView<float> Floats(int length)
    {
        MemoryBuffer1D<float, Stride1D.Dense> buffer = s_accelerator.Allocate1D(
            LinearDevice.Random(_random, length).Order().ToArray());
        _buffers.Add(buffer);
        return buffer.View;
    }
}
