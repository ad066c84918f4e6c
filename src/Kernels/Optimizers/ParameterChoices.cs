namespace Kernels.Optimizers;

/// <summary>Options of each parameter, which are frozen, and the factor of all learning rates.</summary>
internal sealed class ParameterChoices
{
    private readonly OptimizerOptions _common;
    private readonly OptimizerEngine _engine;
    private readonly OptimizerOptions[] _options;
    private readonly bool[] _frozen;

    internal ParameterChoices(OptimizerOptions common, OptimizerEngine engine, IReadOnlyList<Parameter> parameters)
    {
        _common = common;
        _engine = engine;
        _frozen = [.. parameters.Select(p => p.IsFrozen)];
        _options = [.. parameters.Select(p => Fitting(p.Options ?? common, p.Name))];
    }

    internal double LearningRateFactor { get; set; } = 1;

    internal bool[] Frozen => _frozen;

    /// <summary>Gives a parameter other options.</summary>
    /// <exception cref="ArgumentException">They are of another algorithm or ask for other state.</exception>
    internal void SetOptions(int parameter, OptimizerOptions options, string name) =>
        _options[parameter] = Fitting(options, name);

    /// <summary>Gives all parameters the same other options.</summary>
    /// <exception cref="ArgumentException">They are of another algorithm or ask for other state.</exception>
    internal void SetOptions(OptimizerOptions options) => Array.Fill(_options, Fitting(options, "all parameters"));

    /// <summary>The options of each parameter with the learning rate that counts.</summary>
    internal OptimizerOptions[] Effective() => Array.ConvertAll(
        _options, o => LearningRateFactor == 1 ? o : o.Scaled(LearningRateFactor));

    private OptimizerOptions Fitting(OptimizerOptions options, string name)
    {
        options.Validate(nameof(options));
        return _engine.Fits(options) && options.Maximize == _common.Maximize
            ? options
            : throw new ArgumentException(
                $"The options of '{name}' must ask for the algorithm and the state of the optimizer's "
                + $"{_common.GetType().Name}, and are {options}.",
                nameof(options));
    }
}
