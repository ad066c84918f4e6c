using Microsoft.ML;
using Microsoft.ML.Trainers;

namespace Kernels.ML;

/// <summary>The components of this package among ML.NET's own.</summary>
/// <remarks>
/// <example><code>
/// var pipeline = context.Transforms.QuantizeVectors(session, "Code", "Features", new() { Codes = 64 })
///     .Append(context.Transforms.Conversion.MapKeyToVector("OneHot", "Code"));
/// using var model = pipeline.Fit(data);
/// IDataView coded = model.Transform(data);
/// </code></example>
/// </remarks>
public static class KernelsCatalog
{
    /// <summary>Fits a codebook to the vectors of a column, and gives each the key of its nearest code.</summary>
    /// <param name="catalog">ML.NET's transforms.</param>
    /// <param name="session">The device; it must outlive what is fitted.</param>
    /// <param name="outputColumnName">The column of the keys, added.</param>
    /// <param name="inputColumnName">The column of the vectors of Single, all of one length.</param>
    /// <param name="options">Codes, and how they are fitted.</param>
    /// <exception cref="ArgumentNullException">An argument is null.</exception>
    /// <exception cref="ArgumentException">A name is empty.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of range.</exception>
    public static VectorQuantizerEstimator QuantizeVectors(
        this TransformsCatalog catalog, Session session, string outputColumnName, string inputColumnName,
        VectorQuantizerOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(session);
        ArgumentException.ThrowIfNullOrEmpty(outputColumnName);
        ArgumentException.ThrowIfNullOrEmpty(inputColumnName);
        options ??= new VectorQuantizerOptions();
        options.Validate(nameof(options));
        return new VectorQuantizerEstimator(catalog, session, outputColumnName, inputColumnName, options);
    }

    /// <summary>Scores vectors by a trained linear model of ML.NET, of one output, whose weights become codes.</summary>
    /// <param name="catalog">ML.NET's transforms.</param>
    /// <param name="session">The device; it must outlive what is fitted.</param>
    /// <param name="outputColumnName">The column of the scores, added: <c>Score</c> for ML.NET's evaluators.</param>
    /// <param name="inputColumnName">The column of the vectors of Single.</param>
    /// <param name="model">The model: <c>trained.LastTransformer.Model</c> of a linear regression, for one.</param>
    /// <param name="options">How weights are kept.</param>
    /// <exception cref="ArgumentNullException">An argument is null.</exception>
    /// <exception cref="ArgumentException">A name is empty, or a weight is not finite.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of range.</exception>
    public static QuantizedLinearEstimator ScoreQuantized(
        this TransformsCatalog catalog, Session session, string outputColumnName, string inputColumnName,
        LinearModelParameters model, QuantizedLinearOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(model);
        return Linear(
            catalog, session, outputColumnName, inputColumnName, [.. model.Weights], [model.Bias], options, nameof(model));
    }

    /// <summary>Scores vectors by a matrix whose weights become codes.</summary>
    /// <param name="catalog">ML.NET's transforms.</param>
    /// <param name="session">The device; it must outlive what is fitted.</param>
    /// <param name="outputColumnName">The column of the scores, added.</param>
    /// <param name="inputColumnName">The column of the vectors of Single.</param>
    /// <param name="weights">[outputs, inputs].</param>
    /// <param name="biases">[outputs]; zeros if null.</param>
    /// <param name="options">How weights are kept.</param>
    /// <exception cref="ArgumentNullException">An argument is null.</exception>
    /// <exception cref="ArgumentException">
    /// A name or the matrix is empty, a weight is not finite, or there is not one bias for each output.
    /// </exception>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of range.</exception>
    public static QuantizedLinearEstimator ScoreQuantizedWeights(
        this TransformsCatalog catalog, Session session, string outputColumnName, string inputColumnName,
        float[,] weights, float[]? biases = null, QuantizedLinearOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(weights);
        int outputs = weights.GetLength(0);
        biases ??= new float[outputs];
        if (biases.Length != outputs)
        {
            throw new ArgumentException(
                $"There must be {outputs} biases, one for each output, and are {biases.Length}.", nameof(biases));
        }

        return Linear(
            catalog, session, outputColumnName, inputColumnName, [.. weights.Cast<float>()], [.. biases], options,
            nameof(weights));
    }

    private static QuantizedLinearEstimator Linear(
        TransformsCatalog catalog, Session session, string outputColumnName, string inputColumnName, float[] weights,
        float[] biases, QuantizedLinearOptions? options, string argument)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(session);
        ArgumentException.ThrowIfNullOrEmpty(outputColumnName);
        ArgumentException.ThrowIfNullOrEmpty(inputColumnName);
        options ??= new QuantizedLinearOptions();
        options.Validate(nameof(options));
        if (weights.Length == 0 || Array.Exists(weights, w => !float.IsFinite(w)))
        {
            throw new ArgumentException("There must be weights, and all must be finite.", argument);
        }

        return new QuantizedLinearEstimator(
            catalog, session, outputColumnName, inputColumnName, weights, biases, options);
    }
}
