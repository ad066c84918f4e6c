using ILGPU.Runtime;
using Kernels.Validation;

namespace Kernels.Optimizers;

/// <summary>
/// The parameters of an optimizer in device memory: values, gradients, and where the settings ask for them copies in 16
/// bits and averages. What is borrowed lies with the caller, but its copy and its average lie here.
/// </summary>
internal sealed class ParameterTensors : IDisposable
{
    private readonly Arena _arena;
    private readonly bool _hasMaster;
    private readonly bool _hasAverage;
    private readonly ArenaTensor _p;
    private readonly ArenaTensor _g;
    private readonly ArenaTensor _copy;
    private readonly ArenaTensor _average;

    internal ParameterTensors(Accelerator accelerator, Arena arena, OptimizerSettings settings)
    {
        _arena = arena;
        _hasMaster = settings.Master;
        _hasAverage = settings.Averaging != WeightAveraging.None;
        _p = ArenaTensor.Create(accelerator, arena.OwnedLength, _hasMaster ? Storage.F32 : settings.Parameters);
        _g = ArenaTensor.Create(accelerator, arena.OwnedLength, settings.Gradients);
        _copy = ArenaTensor.Create(accelerator, _hasMaster ? arena.Length : 0, settings.Parameters);
        _average = ArenaTensor.Create(accelerator, _hasAverage ? arena.Length : 0, Storage.F32);
    }

    /// <summary>Values of the whole arena.</summary>
    internal TensorView P => _p.View;

    /// <summary>Gradients of the whole arena.</summary>
    internal TensorView G => _g.View;

    /// <summary>Copies of the whole arena; empty without a master.</summary>
    internal TensorView Copy => _copy.View;

    /// <summary>Averages of the whole arena; empty without averaging.</summary>
    internal TensorView Average => _average.View;

    internal TensorView ValuesOf(int parameter) => _arena.Parameters[parameter].IsBorrowed
        ? _arena.Parameters[parameter].View
        : _arena.Segment(P, parameter);

    internal TensorView GradientOf(int parameter) => _arena.Parameters[parameter].IsBorrowed
        ? _arena.Parameters[parameter].Gradient
        : _arena.Segment(G, parameter);

    /// <exception cref="InvalidOperationException">The optimizer keeps no master.</exception>
    internal TensorView CopyOf(int parameter) => _hasMaster
        ? _arena.Segment(Copy, parameter)
        : throw new InvalidOperationException("There is no copy: the settings ask for no master.");

    /// <exception cref="InvalidOperationException">The optimizer keeps no average.</exception>
    internal TensorView AverageOf(int parameter) => _hasAverage
        ? _arena.Segment(Average, parameter)
        : throw new InvalidOperationException("There is no average: the settings ask for none.");

    /// <summary>The storage of a parameter's values, of an empty parameter too.</summary>
    internal Storage StorageOf(int parameter) =>
        _arena.Parameters[parameter].Length == 0 ? P.Storage : ValuesOf(parameter).Storage;

    /// <summary>Gives a parameter other values, in the copy and the average too.</summary>
    internal void Set(AcceleratorStream stream, int parameter, ReadOnlySpan<float> values)
    {
        if (values.IsEmpty)
        {
            return;
        }

        TensorCopy.Upload(stream, values, ValuesOf(parameter));
        if (_hasMaster)
        {
            TensorCopy.Upload(stream, values, CopyOf(parameter));
        }

        if (_hasAverage)
        {
            TensorCopy.Upload(stream, values, AverageOf(parameter));
        }
    }

    /// <summary>Takes the copies from the masters once more.</summary>
    internal void RenewCopies(AcceleratorStream stream)
    {
        for (int i = 0; i < _arena.Parameters.Count && _hasMaster; i++)
        {
            var values = new float[_arena.Parameters[i].Length];
            TensorCopy.Download(stream, ValuesOf(i), values);
            TensorCopy.Upload(stream, values, CopyOf(i));
        }
    }

    /// <summary>Refuses borrowed memory that does not fit.</summary>
    /// <exception cref="ArgumentException">It does not fit; the message says why.</exception>
    internal static void CheckBorrowed(
        Accelerator accelerator, IReadOnlyList<Parameter> parameters, OptimizerSettings settings)
    {
        foreach (Parameter parameter in parameters.Where(p => p.IsBorrowed && !p.View.IsEmpty))
        {
            Require.Tensor(accelerator, parameter.Length, parameter.View, $"{parameter.Name}.View");
            Require.Tensor(accelerator, parameter.Length, parameter.Gradient, $"{parameter.Name}.Gradient");
            Require.Apart(
                parameter.View, parameter.Gradient, $"{parameter.Name}.View", $"{parameter.Name}.Gradient");
            if (settings.Master && parameter.View.Storage != Storage.F32)
            {
                throw new ArgumentException(
                    $"With a master, the borrowed parameter '{parameter.Name}' must be F32, and is "
                    + $"{parameter.View.Storage}.",
                    nameof(parameters));
            }
        }
    }

    public void Dispose()
    {
        _p.Dispose();
        _g.Dispose();
        _copy.Dispose();
        _average.Dispose();
    }
}
