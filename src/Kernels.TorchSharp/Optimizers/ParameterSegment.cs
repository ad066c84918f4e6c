using System.Globalization;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
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
    private readonly Sight[] _sights;
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
        _sights = new Sight[_parameters.Length];
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
        var work = new ResolveWork(TorchLibrary.Loaded, _parameters, _slots, _sights, _changed);
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

    /// <summary>
    /// Where a parameter and its gradient were at the last look, to be asked for early, and what they were like, to be
    /// compared.
    /// </summary>
    private struct Sight
    {
        internal nint Handle; // 0: the functions are to be asked
        internal nint Tensor;
        internal nint Autograd;
        internal nint Storage;
        internal nint Gradient;
        internal nint GradientStorage;
        internal Vector256<byte> Facts;
        internal Vector256<byte> GradientFacts; // of the last one that could be used; else 0, as no tensor's are
        internal nint Offset;
        internal nint GradientOffset;
        internal sbyte GradientType;
    }

    private readonly unsafe struct ResolveWork(
        TorchLibrary torch, TorchParameter[] parameters, Slot[] slots, Sight[] sights, int[] changed)
        : IHostWork
    {
        // What libtorch knows of a tensor lies in five places, each known from the one before. A step's numbers have driven
        // them out of the caches, so that they are asked for where they were at the last look, a batch ahead.
        private const int Batch = 8;

        [SkipLocalsInit]
        public void Run(long begin, long end)
        {
            TensorLayout? layout = torch.Layout;
            nint* handles = stackalloc nint[2 * Batch];
            nint* ahead = handles + Batch;
            bool isChanged = false;
            Ask(layout, begin, end, ahead);
            for (long first = begin; first < end; first += Batch)
            {
                nint* looked = handles;
                handles = ahead;
                ahead = looked;
                Ask(layout, first + Batch, end, ahead);
                int count = (int)Math.Min(Batch, end - first);
                for (int k = 0; k < count; k++)
                {
                    ref Slot slot = ref slots[first + k];
                    if (layout is null || !TryLook(layout, handles[k], ref sights[first + k], ref slot))
                    {
                        Find(handles[k], ref slot, ref sights[first + k]);
                    }

                    isChanged |= !slot.IsAsFound;
                }
            }

            if (isChanged)
            {
                Volatile.Write(ref changed[0], 1);
            }
        }

        private void Ask(TensorLayout? layout, long first, long end, nint* handles)
        {
            int count = (int)Math.Clamp(end - first, 0, Batch);
            for (int k = 0; k < count; k++)
            {
                TorchParameter parameter = parameters[first + k];
                handles[k] = parameter.IsInvalid ? 0 : parameter.Handle;
                ref Sight sight = ref sights[first + k];
                layout?.Prefetch(
                    sight.Handle, sight.Tensor, sight.Autograd, sight.Storage, sight.Gradient, sight.GradientStorage);
            }
        }

        /// <summary>Looks at a parameter whose nature, and whose gradient's, is as it was; false if that has changed.</summary>
        private bool TryLook(TensorLayout layout, nint handle, ref Sight sight, ref Slot slot)
        {
            if (handle == 0 || handle != sight.Handle || TensorLayout.TensorOf(handle) != sight.Tensor
                || layout.FactsOf(sight.Tensor) != sight.Facts)
            {
                return false;
            }

            nint autograd = layout.AutogradOf(sight.Tensor);
            nint gradient = autograd == 0 ? torch.Undefined : layout.GradientIn(autograd);
            nint g = 0;
            SlotState state = SlotState.Frozen;
            sbyte type = 0;
            nint storage = layout.StorageOf(sight.Tensor);
            nint gradientStorage = 0;
            if (gradient != torch.Undefined)
            {
                if (layout.FactsOf(gradient) != sight.GradientFacts)
                {
                    return false;
                }

                gradientStorage = layout.StorageOf(gradient);
                g = layout.DataOf(gradientStorage) + sight.GradientOffset;
                type = sight.GradientType;
                state = SlotState.Bound;
            }

            nint p = layout.DataOf(storage) + sight.Offset;
            if (autograd != sight.Autograd || storage != sight.Storage || gradient != sight.Gradient
                || gradientStorage != sight.GradientStorage)
            {
                sight.Autograd = autograd;
                sight.Storage = storage;
                sight.Gradient = gradient;
                sight.GradientStorage = gradientStorage;
            }

            if (p != slot.FoundP || g != slot.FoundG || type != slot.FoundTypeOfG || state != slot.FoundState)
            {
                slot.FoundP = p;
                slot.FoundG = g;
                slot.FoundTypeOfG = type;
                slot.FoundState = state;
            }

            return true;
        }

        /// <summary>Remembers what the functions have said.</summary>
        private void Remember(nint handle, nint gradient, in Slot slot, ref Sight sight)
        {
            sight.Handle = 0;
            if (torch.Layout is not { } layout || slot.Length == 0 || slot.FoundState == SlotState.Bad)
            {
                return;
            }

            sight.Tensor = TensorLayout.TensorOf(handle);
            sight.Storage = layout.StorageOf(sight.Tensor);
            sight.Facts = layout.FactsOf(sight.Tensor);
            sight.Offset = slot.FoundP - layout.DataOf(sight.Storage);
            sight.GradientFacts = default;
            if (slot.FoundState == SlotState.Bound)
            {
                nint tensor = TensorLayout.TensorOf(gradient);
                sight.GradientFacts = layout.FactsOf(tensor);
                sight.GradientOffset = slot.FoundG - layout.DataOf(layout.StorageOf(tensor));
                sight.GradientType = slot.FoundTypeOfG;
            }

            sight.Handle = handle;
        }

        /// <summary>Asks the library's functions.</summary>
        private void Find(nint handle, ref Slot slot, ref Sight sight)
        {
            slot.FoundState = SlotState.Bad;
            slot.FoundG = 0;
            slot.FoundTypeOfG = 0;
            if (handle == 0)
            {
                return;
            }

            slot.FoundP = torch.Data(handle);
            nint gradient = torch.GradientOf(handle);
            if (gradient == 0)
            {
                slot.FoundState = SlotState.Frozen;
                Remember(handle, gradient, slot, ref sight);
                return;
            }

            slot.FoundG = torch.Data(gradient);
            slot.FoundTypeOfG = torch.Type(gradient);
            if (torch.DeviceType(gradient) == (int)global::TorchSharp.DeviceType.CPU
                && torch.IsContiguous(gradient) != 0 && torch.Length(gradient) == slot.Length
                && TensorChecks.TryStorage((global::TorchSharp.torch.ScalarType)slot.FoundTypeOfG, out _))
            {
                slot.FoundState = SlotState.Bound;
            }

            Remember(handle, gradient, slot, ref sight);
            torch.Leave(gradient);
        }
    }
}
