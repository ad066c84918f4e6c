using Kernels.Serialization;
using Kernels.VectorQuantization;
using Microsoft.ML.Data;

namespace Kernels.ML;

/// <summary>
/// Gives each vector of a column the key of its nearest code, and, where that is wanted, the code in the vector's place.
/// </summary>
/// <remarks>
/// Code i has the key value i + 1, as keys count; a vector with a NaN has none, a missing value. Rows are computed when
/// they are read, up to 4,096 at a time, on the device of the session.
/// </remarks>
public sealed class VectorQuantizer : RowTransformer
{
    private readonly Codebook _codebook;
    private readonly AddedColumn[] _added;
    private readonly int[] _index;

    internal VectorQuantizer(Codebook codebook, string output, string input, string? quantized)
        : base(input, codebook.Dimension)
    {
        _codebook = codebook;
        _added = AddedColumns(output, quantized, codebook.Codes, codebook.Dimension);
        _index = new int[BatchRows];
    }

    /// <summary>Codes of the codebook.</summary>
    public int Codes => _codebook.Codes;

    internal override IReadOnlyList<AddedColumn> Added => _added;

    /// <summary>Reads the codes.</summary>
    /// <returns>[codes, length of a vector].</returns>
    /// <exception cref="ObjectDisposedException">This is disposed.</exception>
    public float[] GetCodes()
    {
        float[] codes = new float[_codebook.View.Length];
        Locked(() => _codebook.GetCodes(codes));
        return codes;
    }

    /// <summary>Saves the codes in safetensors format, as <see cref="Codebook.Save"/> does.</summary>
    /// <param name="stream">Where the file goes; stays open.</param>
    /// <exception cref="ArgumentNullException"><paramref name="stream"/> is null.</exception>
    /// <exception cref="ArgumentException">The stream cannot be written.</exception>
    /// <exception cref="ObjectDisposedException">This is disposed.</exception>
    public void Save(Stream stream) => Locked(() => _codebook.Save(stream));

    /// <summary>Makes the transformer of a file that <see cref="Save"/> or a codebook has written.</summary>
    /// <param name="session">Where the codes will be.</param>
    /// <param name="stream">The file; seekable; stays open.</param>
    /// <param name="outputColumnName">The column of the keys.</param>
    /// <param name="inputColumnName">The column of the vectors.</param>
    /// <param name="options">The metric and the column of the codes; the rest does not matter.</param>
    /// <exception cref="ArgumentNullException">An argument is null.</exception>
    /// <exception cref="InvalidDataException">The file is no codebook of one head, or of another metric.</exception>
    /// <exception cref="ObjectDisposedException">The session is disposed.</exception>
    public static VectorQuantizer Load(
        Session session, Stream stream, string outputColumnName, string inputColumnName,
        VectorQuantizerOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(session);
        ArgumentNullException.ThrowIfNull(stream);
        ArgumentException.ThrowIfNullOrEmpty(outputColumnName);
        ArgumentException.ThrowIfNullOrEmpty(inputColumnName);
        options ??= new VectorQuantizerOptions();
        long start = stream.Position;
        IReadOnlyList<long> shape;
        using (var file = new SafeTensorsFile(stream, leaveOpen: true))
        {
            shape = file.TryFind("embed", out SafeTensorInfo? embed) ? embed.Shape : [];
        }

        if (shape is not [1, > 0 and <= int.MaxValue, > 0 and <= int.MaxValue])
        {
            throw new InvalidDataException(
                $"The tensor 'embed' must be of the shape [1, codes, numbers], and is [{string.Join(", ", shape)}].");
        }

        stream.Position = start;
        var codebook = new Codebook(
            session, (int)shape[1], (int)shape[2], new CodebookSettings { Metric = options.Metric });
        try
        {
            codebook.Load(stream);
            return new VectorQuantizer(codebook, outputColumnName, inputColumnName, options.QuantizedColumnName);
        }
        catch
        {
            codebook.Dispose();
            throw;
        }
    }

    internal static AddedColumn[] AddedColumns(string output, string? quantized, int codes, int length)
    {
        var key = new AddedColumn(output, new KeyDataViewType(typeof(uint), codes));
        return quantized is null
            ? [key]
            : [key, new AddedColumn(quantized, new VectorDataViewType(NumberDataViewType.Single, length))];
    }

    private protected override void MapCore(ReadOnlySpan<float> rows, int count, RowResults results, bool[] wanted)
    {
        Span<int> index = _index.AsSpan(0, count);
        _codebook.Encode(rows, index);
        for (int i = 0; i < count; i++)
        {
            results.Keys[0][i] = (uint)(index[i] + 1);
        }

        if (_added.Length > 1 && wanted[1])
        {
            _codebook.Decode(index, results.Numbers[1].AsSpan(0, rows.Length));
        }
    }

    private protected override void DisposeCore() => _codebook.Dispose();
}
