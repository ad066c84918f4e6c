using ILGPU;
using ILGPU.Runtime;

namespace Kernels.Optimizers;

/// <summary>A state tensor of one parameter, or of the optimizer as a whole.</summary>
/// <param name="State">Its name, such as <c>exp_avg</c>.</param>
/// <param name="View">Where it lies, F32; empty where it is kept as codes.</param>
/// <param name="Shape">Its shape.</param>
internal readonly record struct StateTensor(string State, TensorView View, long[] Shape)
{
    /// <summary>What follows the name of a state in the name of its scales.</summary>
    internal const string Scales = ".absmax";

    /// <summary>8-bit codes; invalid where the state is F32.</summary>
    internal ArrayView<byte> Codes { get; init; }

    /// <summary>Reads the numbers behind the codes, where they are not those of a map.</summary>
    internal StateDecoder? Decoder { get; init; }

    /// <summary>Numbers behind the codes, if there is a decoder.</summary>
    internal long DecodedLength { get; init; }

    /// <summary>Whole numbers; invalid where the state is F32.</summary>
    internal ArrayView<int> Indices { get; init; }

    /// <summary>The scales of the codes.</summary>
    internal TensorView CodeScales { get; init; }

    /// <summary>What the codes stand for.</summary>
    internal EightBitMap Map { get; init; }
}

/// <summary>Reads the numbers of a state that is kept in another form; waits for the work before.</summary>
internal delegate void StateDecoder(AcceleratorStream stream, Span<float> values);

/// <summary>What an optimizer does with its arena: the state it keeps there and the launches of a step.</summary>
internal abstract class OptimizerEngine : IDisposable
{
    /// <summary>The state tensors of a parameter.</summary>
    internal abstract IReadOnlyList<StateTensor> StateOf(int parameter);

    /// <summary>State of the optimizer as a whole.</summary>
    internal virtual IReadOnlyList<StateTensor> SharedState => [];

    /// <summary>Whether these options can be those of a parameter.</summary>
    internal abstract bool Fits(OptimizerOptions options);

    /// <summary>Lays out the launches until options or the frozen parameters change again.</summary>
    /// <param name="options">Of each parameter, with the learning rate that counts.</param>
    /// <param name="frozen">Which parameters stay.</param>
    /// <param name="steps">Steps each has taken.</param>
    internal abstract void Arrange(OptimizerOptions[] options, ReadOnlySpan<bool> frozen, ReadOnlySpan<int> steps);

    /// <summary>Takes other learning rates, all of them by one factor: the launches stay as they are laid out.</summary>
    /// <param name="options">Of each parameter, with the learning rate that counts.</param>
    internal abstract void Rescale(OptimizerOptions[] options);

    /// <summary>Enqueues a step and counts it for every parameter that is not frozen.</summary>
    /// <param name="stream">The session's stream.</param>
    /// <param name="call">Parameters, gradients and extras of the whole arena.</param>
    /// <param name="steps">Steps each parameter has taken; counted up.</param>
    internal abstract void Step(AcceleratorStream stream, in UpdateCall call, int[] steps);

    /// <summary>Takes the last step back from the counts: the device skipped it.</summary>
    internal abstract void TakeBack(int[] steps);

    public abstract void Dispose();
}
