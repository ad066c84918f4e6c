using System.Globalization;
using System.Runtime.CompilerServices;
using global::TorchSharp;
using Kernels.Host;
using Kernels.Optimizers;
using Parameter = Kernels.Optimizers.Parameter;
using TorchParameter = global::TorchSharp.Modules.Parameter;

namespace Kernels.TorchSharp.Optimizers;

/// <summary>
/// A parameter group on its way through a step: where libtorch keeps its parameters and gradients now, and the optimizer
/// that borrows them. Its state is in one arena.
/// </summary>
internal sealed class ParameterSegment : IDisposable
{
    // Some hundred parameters take as long as it takes to wake a thread.
    private const long Grain = 256;

    private readonly TorchParameter[] _parameters;
    private readonly Slot[] _slots;
    private readonly string[] _names;
    private readonly int _group;
    private readonly int[] _changed = new int[1];
    private OptimizerOptions _options;
    private int _bound; // parameters with a gradient

    internal ParameterSegment(IReadOnlyList<TorchParameter> parameters, int group, KernelOptions options, StateStorage state)
    {
        _group = group;
        _parameters = [.. parameters];
        _names = [.. parameters.Select((_, i) => i.ToString(CultureInfo.InvariantCulture))];
        _slots = new Slot[_parameters.Length];
        _options = options.Effective;
        for (int i = 0; i < _slots.Length; i++)
        {
            _slots[i].StorageOfP = TensorChecks.Dense(_parameters[i], What(i), nameof(parameters));
            _slots[i].Length = _parameters[i].numel();
            _slots[i].State = SlotState.Bad; // not known yet
        }

        Optimizer = new Optimizer(
            HostMemory.Session, _options, [.. _parameters.Select((p, i) => Parameter.Unbound(_names[i], p.shape))],
            new OptimizerSettings { StateStorage = state });
    }

    /// <summary>Whether a parameter has no gradient, has one, or has one that cannot be used.</summary>
    private enum SlotState : byte
    {
        Frozen,
        Bound,
        Bad,
    }

    internal Optimizer Optimizer { get; }

    public void Dispose() => Optimizer.Dispose();

    internal string NameOf(int parameter) => _names[parameter];

    /// <summary>Finds the memory of all parameters and gradients, and checks them. Nothing is written.</summary>
    /// <exception cref="ObjectDisposedException">A parameter is disposed.</exception>
    /// <exception cref="ArgumentException">A gradient does not fit; the message says why.</exception>
    internal void Prepare(KernelOptions options)
    {
        OptimizerOptions effective = options.Effective;
        if (!ReferenceEquals(effective, _options))
        {
            Optimizer.SetOptions(effective);
            _options = effective;
        }

        _changed[0] = 0;
        var work = new ResolveWork(TorchLibrary.Loaded, _parameters, _slots, _changed);
        HostPool.Run(work, _slots.Length, Grain, Environment.ProcessorCount);
        if (_changed[0] == 0)
        {
            return;
        }

        _bound = 0;
        for (int i = 0; i < _slots.Length; i++)
        {
            _bound += _slots[i].FoundState == SlotState.Bound ? 1 : 0;
            if (_slots[i].FoundState == SlotState.Bad)
            {
                Diagnose(i);
            }
            else if (_slots[i].FoundP != _slots[i].P)
            {
                _slots[i].StorageOfP = TensorChecks.Dense(_parameters[i], ShapeOf(i), What(i), "parameters");
            }
        }

        if (_options is AdaGradNormOptions && _bound is not 0 && Array.FindIndex(_slots, s => s.IsLeftOut) is var left and >= 0)
        {
            throw TensorChecks.Refusal(
                $"{What(left)} must have a gradient, as others of the group do: AdaGradNorm has one rate for all.",
                "parameters");
        }
    }

    /// <summary>Takes the step, with the memory that has been found.</summary>
    internal void Step()
    {
        for (int i = 0; i < _slots.Length && _changed[0] != 0; i++)
        {
            ref Slot slot = ref _slots[i];
            if (slot.IsAsFound)
            {
                continue;
            }

            slot.P = slot.FoundP;
            slot.G = slot.FoundG;
            slot.TypeOfG = slot.FoundTypeOfG;
            slot.State = slot.FoundState;
            Optimizer.SetFrozen(i, slot.IsLeftOut);
            if (slot.State == SlotState.Bound)
            {
                _ = TensorChecks.TryStorage((torch.ScalarType)slot.TypeOfG, out Storage storage);
                Optimizer.Bind(
                    i, HostMemory.View(slot.P, slot.Length, slot.StorageOfP),
                    HostMemory.View(slot.G, slot.Length, storage));
            }
        }

        if (_bound > 0)
        {
            Optimizer.Step();
        }
    }

    private string What(int i) => $"Parameter {i} of group {_group}";

    private ReadOnlySpan<long> ShapeOf(int i) => (long[])[.. Optimizer.Parameters[i].Shape];

    /// <summary>Says what is wrong with a parameter or its gradient.</summary>
    private void Diagnose(int i)
    {
        _ = TensorChecks.Dense(_parameters[i], ShapeOf(i), What(i), "parameters");
        using torch.Tensor? gradient = _parameters[i].grad;
        _ = TensorChecks.Dense(gradient, $"The gradient of parameter {i} of group {_group}", "parameters");
        throw TensorChecks.Refusal(
            $"The gradient of parameter {i} of group {_group} must have {_slots[i].Length} elements, and has the shape "
            + $"{TensorChecks.Text(gradient!.shape)}.",
            "parameters");
    }

    /// <summary>What is known of a parameter, and what the last look found.</summary>
    private struct Slot
    {
        internal nint P;
        internal nint G;
        internal nint FoundP;
        internal nint FoundG;
        internal long Length;
        internal Storage StorageOfP;
        internal sbyte TypeOfG;
        internal sbyte FoundTypeOfG;
        internal SlotState State;
        internal SlotState FoundState;

        /// <summary>Whether the parameter has elements and no gradient.</summary>
        internal readonly bool IsLeftOut => FoundState == SlotState.Frozen && Length > 0;

        internal readonly bool IsAsFound =>
            P == FoundP && G == FoundG && TypeOfG == FoundTypeOfG && State == FoundState;
    }

    private readonly unsafe struct ResolveWork(TorchLibrary torch, TorchParameter[] parameters, Slot[] slots, int[] changed)
        : IHostWork
    {
        // What libtorch knows of a tensor lies in five places, each known from the one before. A step's numbers have driven
        // them out of the caches, so that some parameters are looked at side by side.
        private const int Batch = 16;

        [SkipLocalsInit]
        public void Run(long begin, long end)
        {
            nint* handles = stackalloc nint[Batch];
            nint* gradients = stackalloc nint[Batch];
            bool isChanged = false;
            for (long first = begin; first < end; first += Batch)
            {
                int count = (int)Math.Min(Batch, end - first);
                for (int k = 0; k < count; k++)
                {
                    TorchParameter parameter = parameters[first + k];
                    handles[k] = parameter.IsInvalid ? 0 : parameter.Handle;
                }

                for (int k = 0; k < count; k++)
                {
                    TorchLibrary.Prefetch(handles[k]);
                }

                for (int k = 0; k < count; k++)
                {
                    gradients[k] = handles[k] == 0 ? 0 : torch.GradientOf(handles[k]);
                    TorchLibrary.Prefetch(gradients[k]);
                }

                for (int k = 0; k < count; k++)
                {
                    ref Slot slot = ref slots[first + k];
                    Find(handles[k], gradients[k], ref slot);
                    isChanged |= !slot.IsAsFound;
                }
            }

            if (isChanged)
            {
                Volatile.Write(ref changed[0], 1);
            }
        }

        private void Find(nint handle, nint gradient, ref Slot slot)
        {
            slot.FoundState = SlotState.Bad;
            slot.FoundG = 0;
            slot.FoundTypeOfG = 0;
            if (handle == 0)
            {
                return;
            }

            slot.FoundP = torch.Data(handle);
            if (gradient == 0)
            {
                slot.FoundState = SlotState.Frozen;
                return;
            }

            slot.FoundG = torch.Data(gradient);
            slot.FoundTypeOfG = torch.Type(gradient);
            // What is where the last gradient was is on the same device.
            bool isOnHost = (slot.FoundG == slot.G && slot.G != 0)
                || torch.DeviceType(gradient) == (int)global::TorchSharp.DeviceType.CPU;
            if (isOnHost && torch.IsContiguous(gradient) != 0 && torch.Length(gradient) == slot.Length
                && TensorChecks.TryStorage((global::TorchSharp.torch.ScalarType)slot.FoundTypeOfG, out _))
            {
                slot.FoundState = SlotState.Bound;
            }

            torch.Leave(gradient);
        }
    }
}
