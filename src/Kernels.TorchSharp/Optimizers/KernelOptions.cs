using System.Text.Json;
using System.Text.Json.Serialization;
using Kernels.Optimizers;
using TorchOptions = global::TorchSharp.Modules.OptimizerOptions;

namespace Kernels.TorchSharp.Optimizers;

/// <summary>
/// The options of a parameter group: an algorithm of the library with its options, and the learning rate that TorchSharp's
/// schedulers change.
/// </summary>
public sealed class KernelOptions : TorchOptions
{
    private static readonly JsonSerializerOptions s_json = new()
    {
        NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
    };

    private OptimizerOptions _algorithm;
    private OptimizerOptions? _effective;

    /// <summary>Options of a group.</summary>
    /// <param name="algorithm">The algorithm and its options; its learning rate is where schedules begin.</param>
    /// <exception cref="ArgumentNullException">There is no algorithm.</exception>
    public KernelOptions(OptimizerOptions algorithm)
    {
        ArgumentNullException.ThrowIfNull(algorithm);
        _algorithm = algorithm;
        LearningRate = algorithm.LearningRate;
        InitialLearningRate = algorithm.LearningRate;
    }

    /// <summary>
    /// The algorithm and its options. Its learning rate is <see cref="TorchOptions.LearningRate"/> in truth; where it has
    /// rates for other parameters too, those are multiplied by what that is of its own.
    /// </summary>
    /// <exception cref="ArgumentNullException">The value is null.</exception>
    /// <exception cref="ArgumentException">The value is of another algorithm.</exception>
    public OptimizerOptions Algorithm
    {
        get => _algorithm;
        set
        {
            ArgumentNullException.ThrowIfNull(value);
            if (value.GetType() != _algorithm.GetType())
            {
                throw new ArgumentException(
                    $"The algorithm must stay {_algorithm.GetType().Name}, and is {value.GetType().Name}.", nameof(value));
            }

            _algorithm = value;
            _effective = null;
        }
    }

    /// <summary>The options with the learning rate that counts; the same object until something changes.</summary>
    internal OptimizerOptions Effective
    {
        get
        {
            double rate = LearningRate ?? _algorithm.LearningRate;
            if (_effective is null || _effective.LearningRate != rate)
            {
                OptimizerOptions scaled = rate != _algorithm.LearningRate && _algorithm.LearningRate > 0
                    ? _algorithm.Scaled(rate / _algorithm.LearningRate)
                    : _algorithm;
                _effective = scaled with { LearningRate = rate };
            }

            return _effective;
        }
    }

    /// <summary>The first of the betas, or the momentum; null where the algorithm has none.</summary>
    internal double? Beta1 => _algorithm switch
    {
        AdamOptions o => o.Beta1,
        AdaBeliefOptions o => o.Beta1,
        DiffGradOptions o => o.Beta1,
        LionOptions o => o.Beta1,
        LambOptions o => o.Beta1,
        DctAdamWOptions o => o.Beta1,
        _ => null,
    };

    /// <summary>The second of the betas.</summary>
    internal double Beta2 => _algorithm switch
    {
        AdamOptions o => o.Beta2,
        AdaBeliefOptions o => o.Beta2,
        DiffGradOptions o => o.Beta2,
        LionOptions o => o.Beta2,
        LambOptions o => o.Beta2,
        DctAdamWOptions o => o.Beta2,
        _ => 0,
    };

    /// <summary>The momentum; null where the algorithm has none.</summary>
    internal double? Momentum => _algorithm switch
    {
        SgdOptions o => o.Momentum,
        RmsPropOptions o => o.Momentum,
        MuonOptions o => o.Momentum,
        TrionOptions o => o.Momentum,
        _ => null,
    };

    /// <summary>Gives the algorithm other betas.</summary>
    internal void SetBetas(double beta1, double beta2) => Algorithm = _algorithm switch
    {
        AdamOptions o => o with { Beta1 = beta1, Beta2 = beta2 },
        AdaBeliefOptions o => o with { Beta1 = beta1, Beta2 = beta2 },
        DiffGradOptions o => o with { Beta1 = beta1, Beta2 = beta2 },
        LionOptions o => o with { Beta1 = beta1, Beta2 = beta2 },
        LambOptions o => o with { Beta1 = beta1, Beta2 = beta2 },
        DctAdamWOptions o => o with { Beta1 = beta1, Beta2 = beta2 },
        OptimizerOptions o => o,
    };

    /// <summary>Gives the algorithm another momentum.</summary>
    internal void SetMomentum(double momentum) => Algorithm = _algorithm switch
    {
        SgdOptions o => o with { Momentum = momentum },
        RmsPropOptions o => o with { Momentum = momentum },
        MuonOptions o => o with { Momentum = momentum },
        TrionOptions o => o with { Momentum = momentum },
        OptimizerOptions o => o,
    };

    /// <inheritdoc/>
    public override void SaveStateDict(BinaryWriter writer)
    {
        ArgumentNullException.ThrowIfNull(writer);
        base.SaveStateDict(writer);
        writer.Write(_algorithm.GetType().Name);
        writer.Write(JsonSerializer.Serialize(_algorithm, _algorithm.GetType(), s_json));
    }

    /// <inheritdoc/>
    /// <exception cref="InvalidDataException">The file has another algorithm, or options that are none.</exception>
    public override void LoadStateDict(BinaryReader reader)
    {
        ArgumentNullException.ThrowIfNull(reader);
        double initial = reader.ReadDouble();
        double rate = reader.ReadDouble();
        string name = reader.ReadString();
        string text = reader.ReadString();
        if (!string.Equals(name, _algorithm.GetType().Name, StringComparison.Ordinal))
        {
            throw new InvalidDataException(
                $"The file's options must be {_algorithm.GetType().Name}, and are {name}.");
        }

        try
        {
            var algorithm = (OptimizerOptions)JsonSerializer.Deserialize(text, _algorithm.GetType(), s_json)!;
            algorithm.Validate("options");
            (algorithm with { LearningRate = rate }).Validate("options");
            Take(algorithm, rate, initial);
        }
        catch (Exception e) when (e is JsonException or ArgumentException)
        {
            throw new InvalidDataException($"The file's options are no {name}: {e.Message}", e);
        }
    }

    /// <inheritdoc/>
    /// <exception cref="ArgumentException">The source is of another algorithm.</exception>
    public override void LoadStateDict(TorchOptions source)
    {
        ArgumentNullException.ThrowIfNull(source);
        if (source is not KernelOptions other)
        {
            throw new ArgumentException(
                $"The options must be {nameof(KernelOptions)}, and are {source.GetType().Name}.", nameof(source));
        }

        Take(other._algorithm, other.LearningRate, other.InitialLearningRate);
    }

    private void Take(OptimizerOptions algorithm, double? rate, double initial)
    {
        Algorithm = algorithm;
        LearningRate = rate;
        InitialLearningRate = initial;
    }
}
