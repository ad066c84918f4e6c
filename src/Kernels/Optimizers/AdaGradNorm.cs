using System.Numerics;
using ILGPU;
using ILGPU.Runtime;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Optimizers;
using Kernels.DeviceCode.Reductions;
using Kernels.DeviceCode.Storage;
using Kernels.Launching;
using Kernels.Validation;

namespace Kernels.Optimizers;

/// <summary>A loaded AdaGradNorm: <see cref="AdaGradNormOptions"/> over views.</summary>
/// <remarks>
/// Load once per accelerator. A step allocates nothing, after the first with a kind of storage, and never waits; it
/// owns its scratch memory, so steps of one object must be on one stream, one after the other.
/// </remarks>
public sealed class AdaGradNorm : IDisposable
{
    private readonly Accelerator _accelerator;
    private readonly DeviceFacts _facts;
    private readonly long _maxLength;
    private readonly PartialSums _partials;
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _scratch; // a control that changes nothing, and the rate
    private readonly ItemLauncher<AdaGradNormAccumulate> _accumulate;
    private readonly object?[] _loaded = new object?[9];

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
        _scratch = accelerator.Allocate1D([1f, 0f, 0f]);
    }

    private interface IKind
    {
        void Tiles(
            AcceleratorStream stream, in Call call, in Partials partials, LinearWalk walk);

        void Apply(AcceleratorStream stream, in Call call, LinearWalk walk);
    }

    /// <summary>Enqueues one step.</summary>
    /// <param name="stream">Stream of the accelerator.</param>
    /// <param name="p">Parameters, [n], updated in place.</param>
    /// <param name="g">Gradients, [n], read only.</param>
    /// <param name="sum">b², [1], updated in place; <see cref="AdaGradNormOptions.InitialAccumulator"/> at first.</param>
    /// <param name="options">The options.</param>
    /// <param name="control">Gradient factor and skip flag, [2]; may be empty.</param>
    /// <exception cref="ArgumentException">A length differs, a tensor lies elsewhere, or two overlap.</exception>
    /// <exception cref="ArgumentNullException">The stream or the options are missing.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of range.</exception>
    /// <exception cref="ObjectDisposedException">This, the stream or a buffer is disposed.</exception>
    public void Step(
        AcceleratorStream stream, TensorView p, TensorView g, ArrayView<float> sum, AdaGradNormOptions options,
        ArrayView<float> control = default)
    {
        ObjectDisposedException.ThrowIf(_partials.IsDisposed, this);
        Require.Stream(_accelerator, stream);
        Require.NotNull(options);
        options.Validate(nameof(options));
        Require.Tensor(_accelerator, p.Length, p);
        Require.Tensor(_accelerator, p.Length, g);
        Require.Tensor(_accelerator, 1, sum);
        Require.Apart(p, g, nameof(p), nameof(g));
        Require.Apart(p, sum, nameof(p), nameof(sum));
        Require.Apart(g, sum, nameof(g), nameof(sum));
        if (control.Length != 0)
        {
            Require.Tensor(_accelerator, 2, control);
            Require.Apart(p, control, nameof(p), nameof(control));
            Require.Apart(sum, control, nameof(sum), nameof(control));
        }

        if (p.Length > _maxLength)
        {
            throw new ArgumentException(
                $"At most {_maxLength} elements were announced, and {p.Length} are given.", nameof(p));
        }

        if (p.Length == 0)
        {
            return;
        }

        ArrayView<float> scratch = _scratch.View;
        var call = new Call
        {
            P = p,
            G = g,
            Control = (control.Length == 0 ? scratch.SubView(0, 2) : control).Cast<StepControl>(),
            Rate = scratch.SubView(2, 1),
            Factor = options.Maximize ? -1f : 1f,
            Decay = options.FoldDecay(),
        };
        LinearWalk walk = LinearPlan.WalkFor(
            _facts, Alignment.IsPacked(_accelerator, p) && Alignment.IsPacked(_accelerator, g));
        IKind kind = Load(p.Storage, g.Storage);
        long tiles = ReductionPlan.Tiles(p.Length);
        kind.Tiles(stream, call, _partials.Of(0, tiles), walk);
        (Partials left, long count) = _partials.Fold(stream, tiles);
        var accumulate = new AdaGradNormAccumulate
        {
            From = left,
            Count = count,
            Control = call.Control,
            Sum = sum,
            Rate = call.Rate,
            LearningRate = (float)options.LearningRate,
        };
        _accumulate.Run(stream, accumulate, 0, 1);
        kind.Apply(stream, call, walk);
    }

    /// <summary>Frees the scratch memory; enqueued work must have ended.</summary>
    public void Dispose()
    {
        _partials.Dispose();
        _scratch.Dispose();
    }

    private IKind Load(Storage p, Storage g)
    {
        ref object? loaded = ref _loaded[(int)p * 3 + (int)g];
        loaded ??= (p, g) switch
        {
            (Storage.F32, Storage.F32) => new Kind<F32, F32>(_accelerator, _facts),
            (Storage.F32, Storage.F16) => new Kind<F32, F16>(_accelerator, _facts),
            (Storage.F32, Storage.BF16) => new Kind<F32, BF16>(_accelerator, _facts),
            (Storage.F16, Storage.F32) => new Kind<F16, F32>(_accelerator, _facts),
            (Storage.F16, Storage.F16) => new Kind<F16, F16>(_accelerator, _facts),
            (Storage.F16, Storage.BF16) => new Kind<F16, BF16>(_accelerator, _facts),
            (Storage.BF16, Storage.F32) => new Kind<BF16, F32>(_accelerator, _facts),
            (Storage.BF16, Storage.F16) => new Kind<BF16, F16>(_accelerator, _facts),
            _ => new Kind<BF16, BF16>(_accelerator, _facts),
        };
        return (IKind)loaded;
    }

    private struct Call
    {
        internal TensorView P;
        internal TensorView G;
        internal ArrayView<StepControl> Control;
        internal ArrayView<float> Rate;
        internal float Factor;
        internal Decay Decay;
    }

    private sealed class Kind<TParam, TGrad>(Accelerator accelerator, DeviceFacts facts) : IKind
        where TParam : struct, IStorage
        where TGrad : struct, IStorage
    {
        private readonly SquareReducer<GradientSource<TGrad>> _plain = new(accelerator, facts);
        private readonly SquareReducer<CoupledSource<TParam, TGrad>> _coupled = new(accelerator, facts);
        private readonly ItemLauncher<AdaGradNormApply<TParam, TGrad>> _apply = new(accelerator, facts);
        private readonly ItemLauncher<AdaGradNormApplyPacket<TParam, TGrad>>? _packets =
            facts.Class == DeviceClass.Gpu ? new(accelerator, facts) : null;

        public void Tiles(AcceleratorStream stream, in Call call, in Partials partials, LinearWalk walk)
        {
            var source = new GradientSource<TGrad>
            {
                G = Stored.Of<TGrad>(call.G),
                Control = call.Control,
                Factor = call.Factor,
            };
            var host = new HostGradient(call, walk);
            if (call.Decay.L2 == 0f)
            {
                _plain.Tiles(stream, source, host, call.G.Length, partials, walk);
                return;
            }

            var coupled = new CoupledSource<TParam, TGrad>
            {
                P = Stored.Of<TParam>(call.P),
                Gradient = source,
                Decay = call.Decay,
            };
            _coupled.Tiles(stream, coupled, host, call.G.Length, partials, walk);
        }

        public void Apply(AcceleratorStream stream, in Call call, LinearWalk walk)
        {
            var work = new AdaGradNormApply<TParam, TGrad>
            {
                P = Stored.Of<TParam>(call.P),
                G = Stored.Of<TGrad>(call.G),
                Control = call.Control,
                Rate = call.Rate,
                Factor = call.Factor,
                Decay = call.Decay,
            };
            long packets = 0;
            if (walk == LinearWalk.Packets && _packets is not null)
            {
                packets = call.P.Length / 4;
                _packets.Run(stream, new AdaGradNormApplyPacket<TParam, TGrad> { Single = work }, 0, packets);
            }

            _apply.Run(stream, work, packets * 4, call.P.Length);
        }
    }

    /// <summary>The gradient of the step, on the host.</summary>
    private readonly unsafe struct HostGradient : IHostSource
    {
        private readonly HostStored _p;
        private readonly HostStored _g;
        private readonly float _factor;
        private readonly Decay _decay;

        internal HostGradient(in Call call, LinearWalk walk)
        {
            if (walk == LinearWalk.Host)
            {
                _p = new HostStored(call.P);
                _g = new HostStored(call.G);
                _factor = call.Factor * call.Control[0].GradientFactor;
                _decay = call.Decay;
            }
        }

        public readonly float* Values(long first, int count, float* room)
        {
            float* decoded = stackalloc float[SumOfSquares.StripLength];
            float* g = _g.Values(first, count, room);
            if (_decay.L2 == 0f)
            {
                int i = 0;
                for (; i <= count - Vector<float>.Count; i += Vector<float>.Count)
                {
                    Vector.Store(Vector.Load(g + i) * _factor, room + i);
                }

                for (; i < count; i++)
                {
                    room[i] = g[i] * _factor;
                }

                return room;
            }

            float* p = _p.Values(first, count, decoded);
            for (int i = 0; i < count; i++)
            {
                room[i] = _decay.Gradient(Lane.Of(p[i]), Lane.Of(g[i] * _factor)).Value;
            }

            return room;
        }
    }
}
