using System.Diagnostics.CodeAnalysis;
using System.Numerics;
using ILGPU;
using ILGPU.Runtime;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Optimizers;
using Kernels.DeviceCode.Reductions;
using Kernels.DeviceCode.Storage;
using Kernels.Host;
using Kernels.Launching;
using Kernels.Validation;

namespace Kernels.Optimizers;

/// <summary>A loaded AdaGradNorm: <see cref="AdaGradNormOptions"/> over views.</summary>
/// <remarks>
/// Load once per accelerator. A step allocates nothing, after the first with a kind of storage, and never waits; it
/// owns its scratch memory, so steps of one object must be on one stream, one after the other.
/// </remarks>
[RequiresDynamicCode(LoadedKernels.Reason)]
public sealed class AdaGradNorm : IDisposable
{
    private static readonly string[] s_stateNames = ["sum"];
    private readonly Accelerator _accelerator;
    private readonly DeviceFacts _facts;
    private readonly long _maxLength;
    private readonly PartialSums _partials;
    private readonly StepScratch _scratch; // the rate
    private readonly ItemLauncher<AdaGradNormAccumulate> _accumulate;
    private readonly KernelSets _kernels;

    /// <summary>Allocates the scratch memory: about an eighth of a byte for each element.</summary>
    /// <param name="accelerator">Where the tensors lie.</param>
    /// <param name="maxLength">The most elements of a step.</param>
    /// <exception cref="ArgumentNullException">There is no accelerator.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The length is negative.</exception>
    public AdaGradNorm(Accelerator accelerator, long maxLength)
        : this(accelerator, maxLength, null)
    {
    }

    internal AdaGradNorm(Accelerator accelerator, long maxLength, DeviceFacts? facts)
    {
        Require.NotNull(accelerator);
        Require.AtLeast(maxLength, 0);
        _accelerator = accelerator;
        _facts = facts ?? DeviceFacts.Of(accelerator);
        _maxLength = maxLength;
        _accumulate = new(accelerator, _facts);
        _partials = new(accelerator, _facts, ReductionPlan.Tiles(maxLength));
        _scratch = new StepScratch(accelerator, 1);
        _kernels = new(accelerator, _facts);
    }

    /// <summary>Enqueues one step.</summary>
    /// <param name="stream">Stream of the accelerator.</param>
    /// <param name="p">Parameters, [n], updated in place.</param>
    /// <param name="g">Gradients, [n], read only.</param>
    /// <param name="sum">b², [1], updated in place; <see cref="AdaGradNormOptions.InitialAccumulator"/> at first.</param>
    /// <param name="step">The number of this step, from 1; only stochastic rounding depends on it.</param>
    /// <param name="options">The options.</param>
    /// <param name="extras">What is fused into the pass that writes the parameters.</param>
    /// <exception cref="ArgumentException">A length differs, a tensor lies elsewhere, or two overlap.</exception>
    /// <exception cref="ArgumentNullException">The stream or the options are missing.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The step or an option is out of range.</exception>
    /// <exception cref="ObjectDisposedException">This, the stream or a buffer is disposed.</exception>
    public void Step(
        AcceleratorStream stream, TensorView p, TensorView g, ArrayView<float> sum, int step,
        AdaGradNormOptions options, in UpdateExtras extras = default)
    {
        ObjectDisposedException.ThrowIf(_partials.IsDisposed, this);
        Require.Stream(_accelerator, stream);
        Require.NotNull(options);
        options.Validate(nameof(options));
        Require.AtLeast(step, 1);
        Require.Tensor(_accelerator, p.Length, p);
        UpdateCall call = new()
        {
            P = p,
            G = g,
            A = sum,
            GradientFactor = options.Maximize ? -1f : 1f,
            Step = step,
            RandomStep = (uint)step,
            Extras = extras,
        };
        StepArguments.Check(_accelerator, call, [sum], s_stateNames, [1]);
        if (p.Length > _maxLength)
        {
            throw new ArgumentException(
                $"At most {_maxLength} elements were announced, and {p.Length} are given.", nameof(p));
        }

        Step(stream, call, options);
    }

    /// <summary>Enqueues a step whose arguments are known to be right.</summary>
    internal void Step(AcceleratorStream stream, in UpdateCall call, AdaGradNormOptions options)
    {
        if (call.Length == 0)
        {
            return;
        }

        UpdateCall written = call;
        // Every pass obeys the control, which is always there.
        written.Extras = call.Extras with { Control = default };
        UpdateDispatch.Run(written, new Launch(this, stream, call, options));
    }

    /// <summary>Frees the scratch memory; enqueued work must have ended.</summary>
    public void Dispose()
    {
        _partials.Dispose();
        _scratch.Dispose();
    }

    [UnconditionalSuppressMessage("AOT", "IL3050", Justification = LoadedKernels.Told)]
    private readonly struct Launch(
        AdaGradNorm norm, AcceleratorStream stream, UpdateCall call, AdaGradNormOptions options) : IUpdateLaunch
    {
        public void Run<TParam, TGrad, TExtras>(UpdateTensors<TParam, TGrad> t, TExtras extras)
            where TParam : struct, IStorage
            where TGrad : struct, IStorage
            where TExtras : struct, IExtras
        {
            Loaded<TParam, TGrad, TExtras> kernels = norm._kernels.Get(
                static (accelerator, facts) => new Loaded<TParam, TGrad, TExtras>(accelerator, facts));
            ArrayView<StepControl> control = norm._scratch.Control(call);
            long used = 0;
            ArrayView<float> rate = norm._scratch.Next(ref used, 1);
            Decay decay = options.FoldDecay();
            LinearWalk walk = LinearPlan.WalkFor(norm._facts, Alignment.IsPacked(norm._accelerator, call));
            long tiles = ReductionPlan.Tiles(call.Length);
            Tiles(kernels, t, control, decay, walk);
            (Partials left, long count) = norm._partials.Fold(stream, tiles);
            var accumulate = new AdaGradNormAccumulate
            {
                From = left,
                Count = count,
                Control = control,
                Sum = call.A,
                Rate = rate,
                LearningRate = (float)options.LearningRate,
            };
            norm._accumulate.Run(stream, accumulate, 0, 1);
            if (walk == LinearWalk.Host)
            {
                HostUpdate.Run(call, new HostAdaGradNorm { Decay = decay, Rate = rate[0] }, norm._facts.Cores);
                return;
            }

            var apply = new AdaGradNormApply<TParam, TGrad, TExtras>
            {
                T = t,
                Extras = extras,
                Control = control,
                Rate = rate,
                Decay = decay,
            };
            long packets = 0;
            if (walk == LinearWalk.Packets && kernels.Packets is not null)
            {
                packets = call.P.Length / 4;
                kernels.Packets.Run(
                    stream, new AdaGradNormApplyPacket<TParam, TGrad, TExtras> { Single = apply }, 0, packets);
            }

            kernels.Apply.Run(stream, apply, packets * 4, call.P.Length);
        }

        private void Tiles<TParam, TGrad, TExtras>(
            Loaded<TParam, TGrad, TExtras> kernels, UpdateTensors<TParam, TGrad> t, ArrayView<StepControl> control,
            Decay decay, LinearWalk walk)
            where TParam : struct, IStorage
            where TGrad : struct, IStorage
            where TExtras : struct, IExtras
        {
            var source = new GradientSource<TGrad> { G = t.G, Control = control, Factor = t.GradientFactor };
            HostGradient host = walk == LinearWalk.Host ? new HostGradient(call, decay) : default;
            Partials partials = norm._partials.Of(0, ReductionPlan.Tiles(call.Length));
            if (call.Places is not null)
            {
                HostReduction.Tiles(host, call.Length, partials, norm._facts.Cores);
                return;
            }

            if (decay.L2 == 0f)
            {
                kernels.Plain.Tiles(stream, source, host, call.Length, partials, walk);
                return;
            }

            var coupled = new CoupledSource<TParam, TGrad> { P = t.P, Gradient = source, Decay = decay };
            kernels.Coupled.Tiles(stream, coupled, host, call.Length, partials, walk);
        }
    }

    [RequiresDynamicCode(LoadedKernels.Reason)]
    private sealed class Loaded<TParam, TGrad, TExtras>(Accelerator accelerator, DeviceFacts facts)
        where TParam : struct, IStorage
        where TGrad : struct, IStorage
        where TExtras : struct, IExtras
    {
        internal SquareReducer<GradientSource<TGrad>> Plain { get; } = new(accelerator, facts);

        internal SquareReducer<CoupledSource<TParam, TGrad>> Coupled { get; } = new(accelerator, facts);

        internal ItemLauncher<AdaGradNormApply<TParam, TGrad, TExtras>> Apply { get; } = new(accelerator, facts);

        internal ItemLauncher<AdaGradNormApplyPacket<TParam, TGrad, TExtras>>? Packets { get; } =
            facts.Class == DeviceClass.Gpu ? new(accelerator, facts) : null;
    }

    /// <summary>The second pass on the host.</summary>
    private struct HostAdaGradNorm : IUpdateRule
    {
        internal Decay Decay;
        internal float Rate;

        public static int StateCount => 0;

        public readonly Element<T> Apply<T>(Element<T> e, T g)
            where T : struct, ILane<T>
        {
            e.P = Decay.Step(e.P, g, Rate);
            return e;
        }
    }

    /// <summary>The gradient of the step, on the host.</summary>
    private readonly unsafe struct HostGradient : IHostSource
    {
        private readonly HostTensors _tensors;
        private readonly Decay _decay;

        internal HostGradient(in UpdateCall call, Decay decay)
        {
            _ = HostTensors.TryResolve(call, out _tensors); // the sum of a skipped step is not used
            _decay = decay;
        }

        public readonly float* Values(long first, int count, float* room)
        {
            float* decoded = stackalloc float[SumOfSquares.StripLength];
            float* g = _tensors.Gradients(first, count, room);
            float* p = _decay.L2 == 0f ? g : _tensors.Parameters(first, count, decoded);
            int i = 0;
            for (; i <= count - Vector<float>.Count; i += Vector<float>.Count)
            {
                HostLane gradient = new(Vector.Load(g + i) * _tensors.Factor);
                _decay.Gradient(new HostLane(Vector.Load(p + i)), gradient).Value.Store(room + i);
            }

            for (; i < count; i++)
            {
                room[i] = _decay.Gradient(Lane.Of(p[i]), Lane.Of(g[i] * _tensors.Factor)).Value;
            }

            return room;
        }
    }
}
