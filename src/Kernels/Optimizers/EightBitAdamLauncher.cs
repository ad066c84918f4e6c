using System.Diagnostics.CodeAnalysis;
using ILGPU;
using ILGPU.Runtime;
using Kernels.DeviceCode.Optimizers;
using Kernels.Host;
using Kernels.Launching;
using Kernels.Validation;

namespace Kernels.Optimizers;

/// <summary>
/// Adam or AdamW with block-wise 8-bit state (Dettmers et al. 2021, arXiv:2110.02861), loaded on the caller's
/// accelerator: 2.03 bytes of state a parameter instead of 8, and 16.06 bytes of traffic instead of 28.
/// </summary>
/// <remarks>
/// <para>
/// State: for each of the two moments one byte a parameter and one F32 scale for each block of 256 consecutive
/// parameters, the last one shorter. Buffers of zeros are a fresh state. The mathematics is that of
/// <see cref="UpdateLauncher"/> with <see cref="AdamOptions"/>; only what is kept between steps is coarser. Use it for
/// tensors of some thousand parameters or more whose gradients in a block are of comparable size; keep embeddings that
/// are rarely touched in F32.
/// </para>
/// <para>
/// Where a gradient is not finite, or its square overflows, the element's state becomes 0 and the rest of its block is
/// not affected; the parameter becomes what Adam computes: NaN for a gradient that is not finite.
/// </para>
/// <para>
/// Load once, step often. A step allocates nothing and does not synchronize (a kernel is compiled when its combination
/// of storages is first used), and may be called from several threads. On ILGPU's CPU accelerator the step runs on the
/// host's SIMD units and is done when the call returns.
/// </para>
/// <example><code>
/// var adam = new EightBitAdamLauncher(accelerator, new AdamWOptions { LearningRate = 1e-3 });
/// adam.Step(stream, weights.View, gradients.View, codesM.View, codesV.View, scalesM.View, scalesV.View, step: 1);
/// </code></example>
/// </remarks>
[RequiresDynamicCode(LoadedKernels.Reason)]
public sealed class EightBitAdamLauncher
{
    private readonly EightBitUpdater _updater;
    private readonly StateKernels _stateKernels;

    /// <summary>Loads the optimizer that the options ask for.</summary>
    /// <param name="accelerator">Where the tensors will lie.</param>
    /// <param name="options">Adam or AdamW, without AMSGrad.</param>
    /// <exception cref="ArgumentNullException">An argument is null.</exception>
    /// <exception cref="ArgumentException">The options ask for AMSGrad.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of range.</exception>
    /// <exception cref="ObjectDisposedException">The accelerator is disposed.</exception>
    /// <exception cref="NotSupportedException">The device's groups have less than 256 items.</exception>
    public EightBitAdamLauncher(Accelerator accelerator, AdamOptions options)
    {
        Require.NotNull(accelerator);
        Require.NotNull(options);
        ObjectDisposedException.ThrowIf(accelerator.IsDisposed, accelerator);
        Check(options);
        Options = options;
        _updater = Load(accelerator, options);
        _stateKernels = new StateKernels(accelerator);
    }

    /// <summary>Consecutive parameters that share a scale: 256.</summary>
    public static int BlockLength => Update.BlockLength;

    /// <summary>The options a step uses unless it is given others.</summary>
    public AdamOptions Options { get; }

    /// <summary>How many scales a moment of so many parameters has: ceil(n / 256).</summary>
    /// <param name="n">Parameters.</param>
    /// <returns>Scales.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The number is negative.</exception>
    public static long ScaleCount(long n)
    {
        Require.AtLeast(n, 0);
        return (n / Update.BlockLength) + (n % Update.BlockLength == 0 ? 0 : 1);
    }

    /// <summary>Enqueues one step over n parameters.</summary>
    /// <param name="stream">A stream of the accelerator.</param>
    /// <param name="p">Parameters, [n], updated in place; F32, F16 or BF16.</param>
    /// <param name="g">Gradients, [n], only read; F32, F16 or BF16.</param>
    /// <param name="codesM">Codes of the mean of the gradients, [n], updated in place.</param>
    /// <param name="codesV">Codes of the mean of the squared gradients, [n], updated in place.</param>
    /// <param name="absmaxM">Scales of the mean, [ceil(n / 256)], updated in place.</param>
    /// <param name="absmaxV">Scales of the mean square, [ceil(n / 256)], updated in place.</param>
    /// <param name="step">The number of this step, from 1.</param>
    /// <param name="options">Options of this step, such as another learning rate; null takes the loaded ones.</param>
    /// <param name="extras">What is fused into the same pass.</param>
    /// <exception cref="ArgumentNullException"><paramref name="stream"/> is null.</exception>
    /// <exception cref="ArgumentException">
    /// A length, accelerator or stream does not fit, tensors overlap, or the options ask for AMSGrad.
    /// </exception>
    /// <exception cref="ArgumentOutOfRangeException">The step, an option or a rate is out of range.</exception>
    /// <exception cref="ObjectDisposedException">A buffer or the accelerator is disposed.</exception>
    public void Step(
        AcceleratorStream stream, TensorView p, TensorView g, ArrayView<byte> codesM, ArrayView<byte> codesV,
        ArrayView<float> absmaxM, ArrayView<float> absmaxV, int step, AdamOptions? options = null,
        in UpdateExtras extras = default) =>
        Step(stream, p, g, codesM, codesV, absmaxM, absmaxV, step, options, extras, walk: null);

    internal void Step(
        AcceleratorStream stream, TensorView p, TensorView g, ArrayView<byte> codesM, ArrayView<byte> codesV,
        ArrayView<float> absmaxM, ArrayView<float> absmaxV, int step, AdamOptions? options, in UpdateExtras extras,
        LinearWalk? walk)
    {
        Accelerator accelerator = _updater.Accelerator;
        ObjectDisposedException.ThrowIf(accelerator.IsDisposed, accelerator);
        Require.Stream(accelerator, stream);
        Require.AtLeast(step, 1);
        if (options is null)
        {
            options = Options;
        }
        else if (!ReferenceEquals(options, Options))
        {
            Check(options);
        }

        long n = p.Length;
        long scales = ScaleCount(n);
        Require.Tensor(accelerator, n, p);
        Require.Tensor(accelerator, n, g);
        Require.Tensor(accelerator, n, codesM);
        Require.Tensor(accelerator, n, codesV);
        Require.Tensor(accelerator, scales, absmaxM);
        Require.Tensor(accelerator, scales, absmaxV);
        UpdateCall call = new()
        {
            P = p,
            G = g,
            Moments = new() { CodesM = codesM, CodesV = codesV, ScalesM = absmaxM, ScalesV = absmaxV },
            GradientFactor = options.Maximize ? -1f : 1f,
            Step = step,
            RandomStep = (uint)step,
            Extras = extras,
        };
        UpdateLauncher.CheckExtras(accelerator, call, extras, []);
        Require.Apart(
        [
            TensorRange.Of(p, nameof(p)), TensorRange.Of(g, nameof(g)),
            TensorRange.Of(codesM, nameof(codesM)), TensorRange.Of(codesV, nameof(codesV)),
            TensorRange.Of(absmaxM, nameof(absmaxM)), TensorRange.Of(absmaxV, nameof(absmaxV)),
            TensorRange.Of(extras.Average, "extras.Average"), TensorRange.Of(extras.Copy, "extras.Copy"),
            TensorRange.Of(extras.Control, "extras.Control"),
        ]);
        if (n == 0)
        {
            return;
        }

        _updater.Step(stream, call, options, walk ?? _updater.WalkFor(_updater.IsAligned(call), extras.StochasticRounding));
    }

    /// <summary>Enqueues the way from F32 to codes and scales, as a step does it at its end.</summary>
    /// <param name="stream">A stream of the accelerator.</param>
    /// <param name="x">Values, [n], only read. What is not finite becomes 0, and what is negative where there is no sign.</param>
    /// <param name="codes">Codes, [n], written.</param>
    /// <param name="absmax">Scales, [ceil(n / 256)], written.</param>
    /// <param name="map">With a sign for the mean, without for the mean square.</param>
    /// <exception cref="ArgumentNullException"><paramref name="stream"/> is null.</exception>
    /// <exception cref="ArgumentException">A length, accelerator or stream does not fit, or tensors overlap.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The map is not defined.</exception>
    /// <exception cref="ObjectDisposedException">A buffer or the accelerator is disposed.</exception>
    public void Quantize(
        AcceleratorStream stream, ArrayView<float> x, ArrayView<byte> codes, ArrayView<float> absmax, EightBitMap map)
    {
        CheckState(stream, x, codes, absmax, map);
        if (x.Length == 0)
        {
            return;
        }

        bool isSigned = map == EightBitMap.WithSign;
        if (_updater.Facts.Class == DeviceClass.Host)
        {
            HostEightBitAdam.Quantize(x, codes, absmax, isSigned, _updater.Facts.Cores);
            return;
        }

        lock (StateKernels.Gate)
        {
            for (long first = 0; first < absmax.Length; first += _updater.Facts.MaxGrid)
            {
                (isSigned ? _stateKernels.QuantizeSigned : _stateKernels.QuantizeUnsigned)(
                    stream, Grid(first, absmax.Length), x, codes, absmax, first);
            }
        }
    }

    /// <summary>Enqueues the way from codes and scales to F32: a state to save, or to look at.</summary>
    /// <param name="stream">A stream of the accelerator.</param>
    /// <param name="codes">Codes, [n], only read.</param>
    /// <param name="absmax">Scales, [ceil(n / 256)], only read.</param>
    /// <param name="x">Values, [n], written.</param>
    /// <param name="map">With a sign for the mean, without for the mean square.</param>
    /// <exception cref="ArgumentNullException"><paramref name="stream"/> is null.</exception>
    /// <exception cref="ArgumentException">A length, accelerator or stream does not fit, or tensors overlap.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The map is not defined.</exception>
    /// <exception cref="ObjectDisposedException">A buffer or the accelerator is disposed.</exception>
    public void Dequantize(
        AcceleratorStream stream, ArrayView<byte> codes, ArrayView<float> absmax, ArrayView<float> x, EightBitMap map)
    {
        CheckState(stream, x, codes, absmax, map);
        if (x.Length == 0)
        {
            return;
        }

        bool isSigned = map == EightBitMap.WithSign;
        if (_updater.Facts.Class == DeviceClass.Host)
        {
            HostEightBitAdam.Dequantize(codes, absmax, x, isSigned, _updater.Facts.Cores);
            return;
        }

        lock (StateKernels.Gate)
        {
            for (long first = 0; first < absmax.Length; first += _updater.Facts.MaxGrid)
            {
                (isSigned ? _stateKernels.DequantizeSigned : _stateKernels.DequantizeUnsigned)(
                    stream, Grid(first, absmax.Length), codes, absmax, x, first);
            }
        }
    }

    internal static EightBitUpdater Load(Accelerator accelerator, AdamOptions options)
    {
        var updater = new EightBitUpdater(accelerator, (Updater<AdamRule>)options.Form.Load(accelerator));
        return updater.Facts.Class == DeviceClass.Host || updater.Facts.MaxGroup >= BlockLength
            ? updater
            : throw new NotSupportedException(
                $"A block of {BlockLength} parameters needs a group of as many items, and {accelerator.Name} has "
                + $"{updater.Facts.MaxGroup}.");
    }

    private static void Check(AdamOptions options)
    {
        options.Validate(nameof(options));
        if (options.AmsGrad)
        {
            throw new ArgumentException("AMSGrad has no 8-bit state.", nameof(options));
        }
    }

    private void CheckState(
        AcceleratorStream stream, ArrayView<float> x, ArrayView<byte> codes, ArrayView<float> absmax, EightBitMap map)
    {
        Accelerator accelerator = _updater.Accelerator;
        ObjectDisposedException.ThrowIf(accelerator.IsDisposed, accelerator);
        Require.Stream(accelerator, stream);
        Require.Defined(map);
        Require.Tensor(accelerator, x.Length, x);
        Require.Tensor(accelerator, x.Length, codes);
        Require.Tensor(accelerator, ScaleCount(x.Length), absmax);
        Require.Apart(
        [
            TensorRange.Of(x, nameof(x)), TensorRange.Of(codes, nameof(codes)),
            TensorRange.Of(absmax, nameof(absmax)),
        ]);
    }

    private KernelConfig Grid(long first, long blocks) =>
        ((int)Math.Min(blocks - first, _updater.Facts.MaxGrid), Update.BlockLength);

    /// <summary>The kernels of whole state tensors; launches hold the gate, as in Updater.</summary>
    [RequiresDynamicCode(LoadedKernels.Reason)]
    private sealed class StateKernels(Accelerator accelerator)
    {
        internal static readonly Lock Gate = new();

        internal Action<AcceleratorStream, KernelConfig, ArrayView<float>, ArrayView<byte>, ArrayView<float>, long>
            QuantizeSigned => field ??=
            accelerator.LoadKernel<ArrayView<float>, ArrayView<byte>, ArrayView<float>, long>(
                EightBitState.QuantizeSigned);

        internal Action<AcceleratorStream, KernelConfig, ArrayView<float>, ArrayView<byte>, ArrayView<float>, long>
            QuantizeUnsigned => field ??=
            accelerator.LoadKernel<ArrayView<float>, ArrayView<byte>, ArrayView<float>, long>(
                EightBitState.QuantizeUnsigned);

        internal Action<AcceleratorStream, KernelConfig, ArrayView<byte>, ArrayView<float>, ArrayView<float>, long>
            DequantizeSigned => field ??=
            accelerator.LoadKernel<ArrayView<byte>, ArrayView<float>, ArrayView<float>, long>(
                EightBitState.DequantizeSigned);

        internal Action<AcceleratorStream, KernelConfig, ArrayView<byte>, ArrayView<float>, ArrayView<float>, long>
            DequantizeUnsigned => field ??=
            accelerator.LoadKernel<ArrayView<byte>, ArrayView<float>, ArrayView<float>, long>(
                EightBitState.DequantizeUnsigned);
    }
}
