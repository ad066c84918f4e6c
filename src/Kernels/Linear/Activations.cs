using System.Diagnostics.CodeAnalysis;
using System.Numerics;
using ILGPU;
using ILGPU.Runtime;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Linear;
using Kernels.Host;
using Kernels.Launching;
using Kernels.Validation;

namespace Kernels.Linear;

/// <summary>Activations on their own, and the gradients through them, on the caller's accelerator.</summary>
/// <remarks>
/// <see cref="MatMul"/> applies an activation to its product; training with GELU needs the argument again on the way
/// back, so there the product is left as it is and <see cref="Forward"/> follows. Load once, call often: a call
/// allocates nothing and does not synchronize (a kernel is compiled when its activation is first used), and may be
/// made from several threads.
/// </remarks>
[RequiresDynamicCode(LoadedKernels.Reason)]
public sealed class Activations
{
    // As in ItemLauncher: two threads must not set an OpenCL kernel's arguments at once.
    private static readonly Lock s_gate = new();

    private static readonly int s_count = Enum.GetValues<Activation>().Length;

    private readonly Accelerator _accelerator;
    private readonly DeviceFacts _facts;
    private readonly LinearWalk _walk;
    private readonly Lazy<Action<AcceleratorStream, KernelConfig, ArrayView<float>, ArrayView<float>, long>>[] _forward;
    private readonly Lazy<Action<
        AcceleratorStream, KernelConfig, ArrayView<float>, ArrayView<float>, ArrayView<float>, long>>[] _backward;

    /// <summary>Prepares activations on an accelerator.</summary>
    /// <param name="accelerator">Where the tensors will lie.</param>
    /// <exception cref="ArgumentNullException"><paramref name="accelerator"/> is null.</exception>
    /// <exception cref="ObjectDisposedException">The accelerator is disposed.</exception>
    public Activations(Accelerator accelerator)
        : this(accelerator, launch: false)
    {
    }

    /// <summary>With launches even on the CPU accelerator, for tests.</summary>
    internal Activations(Accelerator accelerator, bool launch)
    {
        Require.NotNull(accelerator);
        ObjectDisposedException.ThrowIf(accelerator.IsDisposed, accelerator);
        _accelerator = accelerator;
        _facts = DeviceFacts.Of(accelerator);
        _walk = launch ? LinearWalk.Elements : LinearPlan.WalkFor(_facts, aligned: false);
        _forward = [.. Enumerable.Range(0, s_count).Select(a => new Lazy<Action<
            AcceleratorStream, KernelConfig, ArrayView<float>, ArrayView<float>, long>>(() =>
            accelerator.LoadKernel<ArrayView<float>, ArrayView<float>, long>((Activation)a switch
            {
                Activation.Relu => ActivationKernel.Forward<Relu>,
                Activation.Gelu => ActivationKernel.Forward<Gelu>,
                _ => ActivationKernel.Forward<Identity>,
            })))];
        _backward = [.. Enumerable.Range(0, s_count).Select(a => new Lazy<Action<
            AcceleratorStream, KernelConfig, ArrayView<float>, ArrayView<float>, ArrayView<float>, long>>(() =>
            accelerator.LoadKernel<ArrayView<float>, ArrayView<float>, ArrayView<float>, long>((Activation)a switch
            {
                Activation.Relu => ActivationKernel.Backward<Relu>,
                Activation.Gelu => ActivationKernel.Backward<Gelu>,
                _ => ActivationKernel.Backward<Identity>,
            })))];
    }

    /// <summary>Enqueues y = act(x).</summary>
    /// <param name="stream">A stream of the accelerator.</param>
    /// <param name="x">Arguments, [n], F32.</param>
    /// <param name="y">Values, [n], F32, written; x itself or apart from it.</param>
    /// <param name="activation">The activation.</param>
    /// <exception cref="ArgumentNullException"><paramref name="stream"/> is null.</exception>
    /// <exception cref="ArgumentException">A length, storage, accelerator or stream does not fit, or the tensors overlap in part.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The activation is out of range.</exception>
    /// <exception cref="ObjectDisposedException">A buffer, the stream or the accelerator is disposed.</exception>
    public void Forward(AcceleratorStream stream, TensorView x, TensorView y, Activation activation)
    {
        LinearChecks.Call(_accelerator, stream);
        Require.Defined(activation);
        LinearChecks.Floats(_accelerator, x.Length, x);
        LinearChecks.Floats(_accelerator, x.Length, y);
        LinearChecks.SameOrApart(x, y, nameof(x), nameof(y));
        if (_walk == LinearWalk.Host)
        {
            RunOnHost(x, default, y, activation, backward: false);
            return;
        }

        LinearPlan plan = LinearPlan.For(_facts, x.Length, _walk);
        while (plan.TryNext(out LinearLaunch launch))
        {
            lock (s_gate)
            {
                _forward[(int)activation].Value(
                    stream, (launch.Groups, launch.GroupSize), x.As<float>(), y.As<float>(), launch.First);
            }
        }
    }

    /// <summary>Enqueues dx = act'(x) dy.</summary>
    /// <param name="stream">A stream of the accelerator.</param>
    /// <param name="x">Arguments of the forward pass, [n], F32. For ReLU its values serve as well.</param>
    /// <param name="dy">Gradients of the values, [n], F32.</param>
    /// <param name="dx">Gradients of the arguments, [n], F32, written; dy itself or apart from it, apart from x.</param>
    /// <param name="activation">The activation.</param>
    /// <exception cref="ArgumentNullException"><paramref name="stream"/> is null.</exception>
    /// <exception cref="ArgumentException">A length, storage, accelerator or stream does not fit, or the tensors overlap in part.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The activation is out of range.</exception>
    /// <exception cref="ObjectDisposedException">A buffer, the stream or the accelerator is disposed.</exception>
    public void Backward(AcceleratorStream stream, TensorView x, TensorView dy, TensorView dx, Activation activation)
    {
        LinearChecks.Call(_accelerator, stream);
        Require.Defined(activation);
        LinearChecks.Floats(_accelerator, x.Length, x);
        LinearChecks.Floats(_accelerator, x.Length, dy);
        LinearChecks.Floats(_accelerator, x.Length, dx);
        Require.Apart(x, dx, nameof(x), nameof(dx));
        LinearChecks.SameOrApart(dy, dx, nameof(dy), nameof(dx));
        if (_walk == LinearWalk.Host)
        {
            RunOnHost(x, dy, dx, activation, backward: true);
            return;
        }

        LinearPlan plan = LinearPlan.For(_facts, x.Length, _walk);
        while (plan.TryNext(out LinearLaunch launch))
        {
            lock (s_gate)
            {
                _backward[(int)activation].Value(
                    stream, (launch.Groups, launch.GroupSize), x.As<float>(), dy.As<float>(), dx.As<float>(), launch.First);
            }
        }
    }

    private void RunOnHost(TensorView x, TensorView dy, TensorView to, Activation activation, bool backward)
    {
        switch (activation)
        {
            case Activation.Relu:
                RunOnHost<Relu>(x, dy, to, backward);
                break;
            case Activation.Gelu:
                RunOnHost<Gelu>(x, dy, to, backward);
                break;
            default:
                RunOnHost<Identity>(x, dy, to, backward);
                break;
        }
    }

    private unsafe void RunOnHost<TActivation>(TensorView x, TensorView dy, TensorView to, bool backward)
        where TActivation : struct, IActivation
    {
        const long Grain = 16_384;
        var work = new Work<TActivation>
        {
            X = HostMemory.Floats(x),
            Dy = HostMemory.Floats(dy),
            To = HostMemory.Floats(to),
            Backward = backward,
        };
        HostPool.Run(work, x.Length, Grain, _facts.Cores);
    }

    private unsafe struct Work<TActivation> : IHostWork
        where TActivation : struct, IActivation
    {
        public float* X;
        public float* Dy;
        public float* To;
        public bool Backward;

        public readonly void Run(long begin, long end)
        {
            int width = Vector<float>.Count;
            long i = begin;
            for (; i <= end - width; i += width)
            {
                HostLane x = new(Vector.Load(X + i));
                HostLane y = Backward ? TActivation.Back(x, new HostLane(Vector.Load(Dy + i))) : TActivation.Apply(x);
                y.Value.Store(To + i);
            }

            for (; i < end; i++)
            {
                Lane x = Lane.Of(X[i]);
                To[i] = (Backward ? TActivation.Back(x, Lane.Of(Dy[i])) : TActivation.Apply(x)).Value;
            }
        }
    }
}
