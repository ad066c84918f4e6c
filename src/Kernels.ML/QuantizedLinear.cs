using System.Globalization;
using ILGPU;
using ILGPU.Runtime;
using Kernels.Quantization;
using Kernels.Serialization;
using Microsoft.ML.Data;

namespace Kernels.ML;

/// <summary>
/// A linear predictor whose weights are codes: score = W x + b, where the weights are looked up in a codebook while they
/// are multiplied, and never stored as numbers.
/// </summary>
/// <remarks>With one output the score is a number, as ML.NET's evaluators want it; with several a vector.</remarks>
public sealed class QuantizedLinear : RowTransformer
{
    private const string FormatName = "kernels.quantizedlinear.1";

    private readonly Session _session;
    private readonly CodebookLayout _layout;
    private readonly AddedColumn[] _added;
    private readonly MemoryBuffer1D<byte, Stride1D.Dense> _packed;
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _codebook;
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _biases;
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _x;
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _y;
    private readonly QuantizedProduct _product;

    private QuantizedLinear(Session session, string output, string input, CodebookLayout layout)
        : base(input, layout.Columns)
    {
        _session = session;
        _layout = layout;
        _added = [Score(output, layout.Rows)];
        Accelerator accelerator = session.Accelerator;
        _packed = accelerator.Allocate1D<byte>((layout.PackedBytes + 3) / 4 * 4);
        _codebook = accelerator.Allocate1D<float>(layout.CodebookLength);
        _biases = accelerator.Allocate1D<float>(layout.Rows);
        _x = accelerator.Allocate1D<float>((long)BatchRows * layout.Columns);
        _y = accelerator.Allocate1D<float>((long)BatchRows * layout.Rows);
        _product = new QuantizedProduct(accelerator, layout, BatchRows);
    }

    /// <summary>Outputs of the predictor.</summary>
    public int Outputs => _layout.Rows;

    /// <summary>Bytes of the weights: codes and codebooks.</summary>
    public long WeightBytes => _layout.PackedBytes + (4L * _layout.CodebookLength);

    internal override IReadOnlyList<AddedColumn> Added => _added;

    /// <summary>Saves codes, codebooks and biases in safetensors format.</summary>
    /// <param name="stream">Where the file goes; stays open.</param>
    /// <exception cref="ArgumentNullException"><paramref name="stream"/> is null.</exception>
    /// <exception cref="ArgumentException">The stream cannot be written.</exception>
    /// <exception cref="ObjectDisposedException">This is disposed.</exception>
    public void Save(Stream stream) => Locked(() =>
    {
        var metadata = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["format"] = FormatName,
            ["inputs"] = InputLength.ToString(CultureInfo.InvariantCulture),
        };
        using var writer = new SafeTensorsWriter(
            stream,
            [
                new SafeTensorInfo("bias", SafeTensorType.F32, Outputs),
                new SafeTensorInfo("codebook", SafeTensorType.F32, _layout.CodebookCount, _layout.Codes),
                new SafeTensorInfo("packed", SafeTensorType.U8, _layout.PackedBytes),
            ],
            metadata, leaveOpen: true);
        byte[] packed = new byte[_packed.Length];
        _packed.View.CopyToCPU(_session.Stream, packed);
        float[] codebook = new float[_codebook.Length];
        _codebook.View.CopyToCPU(_session.Stream, codebook);
        float[] biases = new float[Outputs];
        _biases.View.CopyToCPU(_session.Stream, biases);
        writer.Write<float>("bias", biases);
        writer.Write<float>("codebook", codebook);
        writer.Write<byte>("packed", packed.AsSpan(0, (int)_layout.PackedBytes));
        writer.Finish();
    });

    /// <summary>Makes the transformer of a file that <see cref="Save"/> has written.</summary>
    /// <param name="session">Where the weights will be.</param>
    /// <param name="stream">The file; seekable; stays open.</param>
    /// <param name="outputColumnName">The column of the scores.</param>
    /// <param name="inputColumnName">The column of the vectors.</param>
    /// <exception cref="ArgumentNullException">An argument is null.</exception>
    /// <exception cref="InvalidDataException">The file is no such file; the message says why.</exception>
    /// <exception cref="ObjectDisposedException">The session is disposed.</exception>
    public static QuantizedLinear Load(Session session, Stream stream, string outputColumnName, string inputColumnName)
    {
        ArgumentNullException.ThrowIfNull(session);
        ArgumentNullException.ThrowIfNull(stream);
        ArgumentException.ThrowIfNullOrEmpty(outputColumnName);
        ArgumentException.ThrowIfNullOrEmpty(inputColumnName);
        using var file = new SafeTensorsFile(stream, leaveOpen: true);
        CodebookLayout layout = LayoutOf(file);
        float[] biases = new float[layout.Rows];
        file.Read<float>("bias", biases);
        float[] codebook = new float[layout.CodebookLength];
        file.Read<float>("codebook", codebook);
        byte[] packed = new byte[layout.PackedBytes];
        file.Read<byte>("packed", packed);
        var linear = new QuantizedLinear(session, outputColumnName, inputColumnName, layout);
        linear._biases.View.CopyFromCPU(session.Stream, biases);
        linear._codebook.View.CopyFromCPU(session.Stream, codebook);
        linear._packed.View.SubView(0, packed.Length).CopyFromCPU(session.Stream, packed);
        return linear;
    }

    internal static AddedColumn Score(string name, int outputs) => new(
        name, outputs == 1 ? NumberDataViewType.Single : new VectorDataViewType(NumberDataViewType.Single, outputs));

    internal static QuantizedLinear Quantize(
        Session session, string output, string input, CodebookLayout layout, float[] weights, float[] biases,
        CodebookFitOptions options)
    {
        using MemoryBuffer1D<float, Stride1D.Dense> w = session.Accelerator.Allocate1D<float>(weights.Length);
        using MemoryBuffer1D<byte, Stride1D.Dense> index = session.Accelerator.Allocate1D<byte>(layout.CodeCount);
        using var fit = new CodebookFit(session.Accelerator, layout, options);
        w.View.CopyFromCPU(session.Stream, weights);
        var linear = new QuantizedLinear(session, output, input, layout);
        linear._biases.View.CopyFromCPU(session.Stream, biases);
        fit.Run(session.Stream, w.View, default, linear._codebook.View, index.View);
        new Pack(session.Accelerator, layout).Run(
            session.Stream, index.View, linear._packed.View.SubView(0, layout.PackedBytes));
        session.Synchronize();
        return linear;
    }

    private protected override void MapCore(ReadOnlySpan<float> rows, int count, RowResults results, bool[] wanted)
    {
        ArrayView<float> x = _x.View.SubView(0, rows.Length);
        ArrayView<float> y = _y.View.SubView(0, (long)count * Outputs);
        x.CopyFromCPU(_session.Stream, rows);
        _product.Multiply(
            _session.Stream, x, count, _packed.View.SubView(0, _layout.PackedBytes), _codebook.View, default, y,
            _biases.View);
        y.CopyToCPU(_session.Stream, results.Numbers[0].AsSpan(0, count * Outputs));
    }

    private protected override void DisposeCore()
    {
        _product.Dispose();
        _packed.Dispose();
        _codebook.Dispose();
        _biases.Dispose();
        _x.Dispose();
        _y.Dispose();
    }

    private static CodebookLayout LayoutOf(SafeTensorsFile file)
    {
        if (!file.Metadata.TryGetValue("format", out string? format)
            || !string.Equals(format, FormatName, StringComparison.Ordinal))
        {
            throw new InvalidDataException($"The file's format must be '{FormatName}', and is '{format}'.");
        }

        if (!file.Metadata.TryGetValue("inputs", out string? text)
            || !int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int inputs) || inputs < 1)
        {
            throw new InvalidDataException($"The file's number of inputs must be at least 1, and is '{text}'.");
        }

        IReadOnlyList<long> bias = Find(file, "bias", SafeTensorType.F32);
        IReadOnlyList<long> codebook = Find(file, "codebook", SafeTensorType.F32);
        IReadOnlyList<long> packed = Find(file, "packed", SafeTensorType.U8);
        bool fits = bias is [> 0 and <= int.MaxValue] && codebook is [_, >= 2 and <= 256]
            && (codebook[0] == 1 || codebook[0] == bias[0]) && bias[0] * inputs <= int.MaxValue && packed.Count == 1;
        CodebookLayout? layout = !fits ? null : new CodebookLayout(
            (int)bias[0], inputs, new CodeFormat((int)codebook[1]),
            codebooks: codebook[0] == bias[0] && bias[0] > 1 ? WeightScope.Rows : WeightScope.Tensor);
        return layout is not null && layout.PackedBytes == packed[0]
            ? layout
            : throw new InvalidDataException(
                $"The shapes do not fit {inputs} inputs: bias [{string.Join(", ", bias)}], codebook "
                + $"[{string.Join(", ", codebook)}], packed [{string.Join(", ", packed)}].");
    }

    private static IReadOnlyList<long> Find(SafeTensorsFile file, string name, SafeTensorType type) =>
        file.TryFind(name, out SafeTensorInfo? tensor) && tensor.Type == type
            ? tensor.Shape
            : throw new InvalidDataException($"The file must have a tensor '{name}' of {type}.");
}
