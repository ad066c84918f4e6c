using Kernels.VectorQuantization;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace Kernels.ML;

/// <summary>Fits a codebook to the vectors of a column; see <see cref="VectorQuantizer"/>.</summary>
/// <remarks>Made by <see cref="KernelsCatalog.QuantizeVectors"/>.</remarks>
public sealed class VectorQuantizerEstimator : IEstimator<VectorQuantizer>
{
    private readonly TransformsCatalog _catalog;
    private readonly Session _session;
    private readonly string _output;
    private readonly string _input;
    private readonly VectorQuantizerOptions _options;

    internal VectorQuantizerEstimator(
        TransformsCatalog catalog, Session session, string output, string input, VectorQuantizerOptions options)
    {
        _catalog = catalog;
        _session = session;
        _output = output;
        _input = input;
        _options = options;
    }

    /// <summary>Fits the codebook: k-means of the first rows, then moving means over all, where there are passes.</summary>
    /// <param name="input">Data with the column of the vectors.</param>
    /// <returns>The transformer, to be disposed of, alone or with the chain that it is in.</returns>
    /// <exception cref="ArgumentNullException"><paramref name="input"/> is null.</exception>
    /// <exception cref="ArgumentException">There is no such column, it is of another type, or there are no rows.</exception>
    /// <exception cref="ObjectDisposedException">The session is disposed.</exception>
    public VectorQuantizer Fit(IDataView input)
    {
        ArgumentNullException.ThrowIfNull(input);
        (DataViewSchema.Column column, int length) = Columns.Vector(input.Schema, _input, nameof(input));
        float[] sample = [.. Batches(input, column, length, _options.SampleRows).FirstOrDefault() ?? []];
        if (sample.Length == 0)
        {
            throw new ArgumentException($"There must be rows in column '{_input}', and there are none.", nameof(input));
        }

        var codebook = new Codebook(_session, _options.Codes, length, new CodebookSettings
        {
            Metric = _options.Metric,
            Learning = _options.Passes > 0 ? CodebookLearning.MovingMeans : CodebookLearning.None,
            MovingMeans = _options.MovingMeans,
        });
        try
        {
            codebook.Fit(sample, _options.KMeans);
            for (int pass = 0; pass < _options.Passes; pass++)
            {
                Follow(codebook, input, column);
            }

            return new VectorQuantizer(codebook, _output, _input, _options.QuantizedColumnName);
        }
        catch
        {
            codebook.Dispose();
            throw;
        }
    }

    /// <summary>The columns there will be.</summary>
    /// <param name="inputSchema">The columns there are.</param>
    /// <exception cref="ArgumentNullException"><paramref name="inputSchema"/> is null.</exception>
    /// <exception cref="ArgumentException">There is no column of vectors of that name.</exception>
    public SchemaShape GetOutputSchema(SchemaShape inputSchema)
    {
        ArgumentNullException.ThrowIfNull(inputSchema);
        Columns.CheckVector(inputSchema, _input, nameof(inputSchema));

        // A shape knows that a vector has a length, but not which.
        return Columns.With(
            _catalog, inputSchema, VectorQuantizer.AddedColumns(_output, _options.QuantizedColumnName, _options.Codes, 1));
    }

    private static void Follow(Codebook codebook, IDataView input, DataViewSchema.Column column)
    {
        int length = codebook.Dimension;
        int rows = Math.Clamp((1 << 20) / length, 1, 4096);
        float[] output = new float[rows * length];
        int[] index = new int[rows];
        foreach (float[] batch in Batches(input, column, length, rows))
        {
            _ = codebook.Forward(batch, output.AsSpan(0, batch.Length), index.AsSpan(0, batch.Length / length));
            codebook.Update();
        }
    }

    /// <summary>The rows, some at a time; none is empty.</summary>
    private static IEnumerable<float[]> Batches(IDataView input, DataViewSchema.Column column, int length, int rows)
    {
        using DataViewRowCursor cursor = input.GetRowCursor([column]);
        ValueGetter<VBuffer<float>> getter = cursor.GetGetter<VBuffer<float>>(column);
        VBuffer<float> vector = default;
        var numbers = new List<float>();
        float[] row = new float[length];
        while (cursor.MoveNext())
        {
            getter(ref vector);
            Columns.CopyTo(vector, row, column.Name);
            numbers.AddRange(row);
            if (numbers.Count == (long)rows * length)
            {
                yield return [.. numbers];
                numbers.Clear();
            }
        }

        if (numbers.Count > 0)
        {
            yield return [.. numbers];
        }
    }
}
