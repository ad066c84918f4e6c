using Kernels.Quantization;
using Microsoft.ML;

namespace Kernels.ML;

/// <summary>Quantizes the weights of a linear predictor; see <see cref="QuantizedLinear"/>.</summary>
/// <remarks>
/// Made by <see cref="KernelsCatalog.ScoreQuantized"/> or <see cref="KernelsCatalog.ScoreQuantizedWeights"/>.
/// </remarks>
public sealed class QuantizedLinearEstimator : IEstimator<QuantizedLinear>
{
    private readonly TransformsCatalog _catalog;
    private readonly Session _session;
    private readonly string _output;
    private readonly string _input;
    private readonly float[] _weights;
    private readonly float[] _biases;
    private readonly QuantizedLinearOptions _options;

    /// <param name="catalog">ML.NET's transforms.</param>
    /// <param name="session">The device.</param>
    /// <param name="output">The column of the scores.</param>
    /// <param name="input">The column of the vectors.</param>
    /// <param name="weights">[outputs, inputs], row-major.</param>
    /// <param name="biases">[outputs].</param>
    /// <param name="options">How they are kept.</param>
    internal QuantizedLinearEstimator(
        TransformsCatalog catalog, Session session, string output, string input, float[] weights, float[] biases,
        QuantizedLinearOptions options)
    {
        _catalog = catalog;
        _session = session;
        _output = output;
        _input = input;
        _weights = weights;
        _biases = biases;
        _options = options;
    }

    private int Inputs => _weights.Length / _biases.Length;

    /// <summary>Finds the values of the weights, by k-means, and packs them. Reads no rows.</summary>
    /// <param name="input">Data with the column of the vectors.</param>
    /// <returns>The transformer, to be disposed of, alone or with the chain that it is in.</returns>
    /// <exception cref="ArgumentNullException"><paramref name="input"/> is null.</exception>
    /// <exception cref="ArgumentException">
    /// There is no such column, or its vectors have not a number for each weight.
    /// </exception>
    /// <exception cref="ObjectDisposedException">The session is disposed.</exception>
    public QuantizedLinear Fit(IDataView input)
    {
        ArgumentNullException.ThrowIfNull(input);
        (_, int length) = Columns.Vector(input.Schema, _input, nameof(input));
        if (length != Inputs)
        {
            throw new ArgumentException(
                $"The vectors of column '{_input}' must have {Inputs} numbers, one for each weight, and have {length}.",
                nameof(input));
        }

        var layout = new CodebookLayout(
            _biases.Length, Inputs, new CodeFormat(_options.Codes),
            codebooks: _options.CodebookPerOutput ? WeightScope.Rows : WeightScope.Tensor);
        return QuantizedLinear.Quantize(
            _session, _output, _input, layout, _weights, _biases,
            new CodebookFitOptions { Iterations = _options.Iterations });
    }

    /// <summary>The columns there will be.</summary>
    /// <param name="inputSchema">The columns there are.</param>
    /// <exception cref="ArgumentNullException"><paramref name="inputSchema"/> is null.</exception>
    /// <exception cref="ArgumentException">There is no column of vectors of that name.</exception>
    public SchemaShape GetOutputSchema(SchemaShape inputSchema)
    {
        ArgumentNullException.ThrowIfNull(inputSchema);
        Columns.CheckVector(inputSchema, _input, nameof(inputSchema));
        return Columns.With(_catalog, inputSchema, [QuantizedLinear.Score(_output, _biases.Length)]);
    }
}
