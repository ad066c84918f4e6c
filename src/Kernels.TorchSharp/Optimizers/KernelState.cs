using System.Runtime.InteropServices;
using global::TorchSharp;
using ILGPU.Runtime;
using Kernels.Host;
using Kernels.Optimizers;
using TorchOptions = global::TorchSharp.Modules.OptimizerOptions;
using TorchParameter = global::TorchSharp.Modules.Parameter;
using TorchState = global::TorchSharp.Modules.OptimizerState;

namespace Kernels.TorchSharp.Optimizers;

/// <summary>The state of a parameter: a part of the arena of its group.</summary>
public sealed class KernelState : TorchState
{
    private const double Relative = 1e-5;
    private const double Absolute = 1e-8;

    private readonly ParameterSegment _segment;
    private readonly int _index;

    internal KernelState(TorchParameter parameter, ParameterSegment segment, int index)
        : base(parameter)
    {
        _segment = segment;
        _index = index;
    }

    /// <summary>Steps that the parameter has taken.</summary>
    public int Steps => _segment.Optimizer.StepsOf(_segment.NameOf(_index));

    /// <summary>The names of the state tensors, such as <c>exp_avg</c>.</summary>
    public IReadOnlyList<string> Names => [.. Tensors().Select(t => t.State)];

    /// <summary>A copy of a state tensor in Float32, decoded where it is kept otherwise.</summary>
    /// <param name="name">One of <see cref="Names"/>.</param>
    /// <returns>A new tensor.</returns>
    /// <exception cref="ArgumentException">There is no such state.</exception>
    public torch.Tensor this[string name]
    {
        get
        {
            StateTensor tensor = Tensors().Find(t => string.Equals(t.State, name, StringComparison.Ordinal));
            if (tensor.Shape is null)
            {
                throw new ArgumentException($"There is no state '{name}'; there is [{string.Join(", ", Names)}].", nameof(name));
            }

            var values = new float[LengthOf(tensor)];
            _segment.Optimizer.DownloadState(_segment.NameOf(_index), name, values);
            return tensor.Shape.Aggregate(1L, (a, b) => a * b) == values.Length
                ? torch.tensor(values, tensor.Shape)
                : torch.tensor(values);
        }
    }

    /// <inheritdoc/>
    public override void SaveStateDict(BinaryWriter writer)
    {
        ArgumentNullException.ThrowIfNull(writer);
        writer.Write(Steps);
        List<StateTensor> tensors = Tensors();
        writer.Write(tensors.Count);
        foreach (StateTensor tensor in tensors)
        {
            Span<byte> bytes = BytesOf(tensor);
            writer.Write(tensor.State);
            writer.Write(bytes.Length);
            writer.Write(bytes);
        }
    }

    /// <inheritdoc/>
    /// <exception cref="InvalidDataException">The file's state does not fit; nothing of this parameter is changed.</exception>
    public override void LoadStateDict(BinaryReader reader)
    {
        ArgumentNullException.ThrowIfNull(reader);
        int steps = reader.ReadInt32();
        List<StateTensor> tensors = Tensors();
        int count = reader.ReadInt32();
        if (steps < 0 || count != tensors.Count)
        {
            throw new InvalidDataException(
                $"The file's state must be {tensors.Count} tensors after some steps, and is {count} after {steps}.");
        }

        var read = new byte[count][];
        for (int i = 0; i < count; i++)
        {
            string name = reader.ReadString();
            int length = reader.ReadInt32();
            int wanted = BytesOf(tensors[i]).Length;
            if (!string.Equals(name, tensors[i].State, StringComparison.Ordinal) || length != wanted)
            {
                throw new InvalidDataException(
                    $"The file's state must be {wanted} bytes of '{tensors[i].State}', and is {length} of '{name}'.");
            }

            read[i] = reader.ReadBytes(length);
            if (read[i].Length != length)
            {
                throw new EndOfStreamException($"The file ends within '{name}'.");
            }
        }

        for (int i = 0; i < count; i++)
        {
            read[i].CopyTo(BytesOf(tensors[i]));
        }

        _segment.Optimizer.SetSteps(_index, steps);
    }

    /// <inheritdoc/>
    /// <exception cref="ArgumentException">The source has other state; nothing is changed.</exception>
    public override void LoadStateDict(TorchState source)
    {
        ArgumentNullException.ThrowIfNull(source);
        List<StateTensor> own = Tensors();
        if (source is not KernelState other || !other.Fits(own))
        {
            throw new ArgumentException(
                $"The state must be [{string.Join(", ", Names)}] of a parameter of this shape, and is that of a "
                + $"{source.GetType()}{((source as KernelState)?.Names is { } names ? $" with [{string.Join(", ", names)}]" : "")}.",
                nameof(source));
        }

        List<StateTensor> tensors = other.Tensors();
        for (int i = 0; i < own.Count; i++)
        {
            BytesOf(tensors[i]).CopyTo(BytesOf(own[i]));
        }

        _segment.Optimizer.SetSteps(_index, other.Steps);
    }

    /// <inheritdoc/>
    public override bool ApproximatelyEquals(TorchState other)
    {
        if (other is not KernelState state || state.Steps != Steps || !state.Fits(Tensors()))
        {
            return false;
        }

        foreach (StateTensor tensor in Tensors())
        {
            var own = new float[LengthOf(tensor)];
            var theirs = new float[own.Length];
            _segment.Optimizer.DownloadState(_segment.NameOf(_index), tensor.State, own);
            state._segment.Optimizer.DownloadState(state._segment.NameOf(state._index), tensor.State, theirs);
            for (int i = 0; i < own.Length; i++)
            {
                if (!(Math.Abs((double)own[i] - theirs[i]) <= Absolute + Relative * Math.Abs(theirs[i])))
                {
                    return false;
                }
            }
        }

        return true;
    }

    /// <summary>Not supported: state starts with its optimizer.</summary>
    /// <param name="options">Not used.</param>
    /// <exception cref="NotSupportedException">Always.</exception>
    public override void Initialize(TorchOptions options) =>
        throw new NotSupportedException("The state starts with its optimizer: make another one.");

    /// <summary>The state lies on the CPU and stays there.</summary>
    /// <param name="device">The CPU.</param>
    /// <exception cref="NotSupportedException">It is another device.</exception>
    public override void to(torch.Device device)
    {
        ArgumentNullException.ThrowIfNull(device);
        if (device.type != DeviceType.CPU)
        {
            throw new NotSupportedException($"The state lies on the CPU, and cannot move to {device}.");
        }
    }

    private static unsafe Span<byte> BytesOf(StateTensor tensor)
    {
        if (tensor.Codes.IsValid)
        {
            return MemoryMarshal.CreateSpan(ref tensor.Codes.LoadEffectiveAddress(), checked((int)tensor.Codes.Length));
        }

        if (tensor.Indices.IsValid)
        {
            return MemoryMarshal.AsBytes(
                MemoryMarshal.CreateSpan(ref tensor.Indices.LoadEffectiveAddress(), checked((int)tensor.Indices.Length)));
        }

        return new Span<byte>(
            HostTensors.Address(tensor.View), checked((int)(tensor.View.Length * tensor.View.ElementBytes)));
    }

    private static long LengthOf(StateTensor tensor) => tensor.Decoder is not null ? tensor.DecodedLength
        : tensor.Codes.IsValid ? tensor.Codes.Length
        : tensor.Indices.IsValid ? tensor.Indices.Length
        : tensor.View.Length;

    private bool Fits(List<StateTensor> wanted)
    {
        List<StateTensor> own = Tensors();
        return own.Count == wanted.Count && own.Zip(wanted).All(pair =>
            string.Equals(pair.First.State, pair.Second.State, StringComparison.Ordinal)
            && BytesOf(pair.First).Length == BytesOf(pair.Second).Length);
    }

    // What belongs to the group as a whole goes with its first parameter.
    private List<StateTensor> Tensors() =>
        [.. _segment.Optimizer.StateOf(_index), .. _index == 0 ? _segment.Optimizer.SharedState : []];
}
