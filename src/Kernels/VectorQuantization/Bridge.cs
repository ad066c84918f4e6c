using System.Diagnostics.CodeAnalysis;
using ILGPU;
using ILGPU.Runtime;
using Kernels.Launching;
using Kernels.Linear;
using Kernels.Optimizers;
using Kernels.Validation;

namespace Kernels.VectorQuantization;

/// <summary>
/// VQBridge: a small transformer over the whole codebook, through which every code moves in every step, so that none
/// dies. Training searches the projected codes; afterwards they are an ordinary codebook, and the bridge is gone.
/// </summary>
/// <remarks>
/// <para>
/// Source: FVQ, arXiv:2509.10140, and its code, with patches of codes in a row as the paper's text has them
/// (<see cref="BridgeLayout"/> imports the code's square ones). With T = codes / patch tokens: x = W_c patch + b_c; in
/// each block x += attention(LN(x)), x += MLP(LN(x)); projected patch = W_e LN(x) + b_e. Layer normalisation has no
/// scale and shift, GELU its tanh form, and there are no positions. There is no residual from the codes to the result:
/// with the zeros that <see cref="Initialize"/> gives to the last layer every code is projected to exactly 0.
/// </para>
/// <para>
/// All parameters are one tensor, and all gradients another with the same layout, so that one launch of an
/// <see cref="UpdateLauncher"/> steps them all. Matrices are [outputs, inputs], row-major.
/// </para>
/// <para>
/// Load once for a shape, call often: a call allocates nothing and does not wait. The object holds the activations, so
/// its calls must be on one stream, one after the other. Arithmetic is binary32; the same call gives the same bits on a
/// device. NaN in one code reaches all of them, through attention.
/// </para>
/// <example><code>
/// using var bridge = new Bridge(accelerator, codes: 4096, dimension: 16, new BridgeOptions { Width = 64 });
/// bridge.Initialize(stream, seed: 1);
/// bridge.Forward(stream, codes.View, projected.View);
/// // search, losses, gradient of the projected codes
/// bridge.Backward(stream, codes.View, gradProjected.View, gradCodes.View);
/// adam.Step(stream, bridge.Parameters, bridge.Gradients, [mean.View, square.View], step);
/// </code></example>
/// </remarks>
[RequiresDynamicCode(LoadedKernels.Reason)]
public sealed class Bridge : IDisposable
{
    private readonly Accelerator _accelerator;
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _parameters;
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _gradients;
    private readonly BridgeWeights _weights;
    private readonly BridgePass _pass;
    private TensorView _forwardCodes;
    private bool _isForward;

    /// <summary>Allocates parameters, gradients and activations for a shape, and loads the kernels. Parameters are zero.</summary>
    /// <param name="accelerator">Where the tensors lie.</param>
    /// <param name="codes">Codes of the codebook, 1 to 2^30, a multiple of the patch.</param>
    /// <param name="dimension">Length of a code, 1 to 2^20.</param>
    /// <param name="options">The shape of the network; the published one by default.</param>
    /// <exception cref="ArgumentNullException"><paramref name="accelerator"/> is null.</exception>
    /// <exception cref="ArgumentException">The codes are not a multiple of the patch.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A size or an option is out of range.</exception>
    /// <exception cref="ObjectDisposedException">The accelerator is disposed.</exception>
    public Bridge(Accelerator accelerator, int codes, int dimension, BridgeOptions? options = null)
        : this(accelerator, codes, dimension, options, walk: null)
    {
    }

    /// <summary>With a walk that the device would not choose itself, for tests.</summary>
    /// <param name="accelerator">Where the tensors lie.</param>
    /// <param name="codes">Codes of the codebook.</param>
    /// <param name="dimension">Length of a code.</param>
    /// <param name="options">The shape of the network.</param>
    /// <param name="walk">The walk of the products.</param>
    /// <param name="withCodes">
    /// Whether there is room for the codes behind the parameters, and for their gradient behind the gradients: then one
    /// launch of an optimizer steps both.
    /// </param>
    internal Bridge(
        Accelerator accelerator, int codes, int dimension, BridgeOptions? options, TileWalk? walk, bool withCodes = false)
    {
        Require.NotNull(accelerator);
        ObjectDisposedException.ThrowIf(accelerator.IsDisposed, accelerator);
        LinearChecks.PositiveSize(codes);
        Require.InRange(dimension, 1, (1 << 20) + 1);
        options ??= new BridgeOptions();
        options.Validate(nameof(options));
        Require.InRange((double)options.Patch * dimension, 1, LinearChecks.MaxSize + 1.0, nameof(options));
        if (codes % options.Patch != 0)
        {
            throw new ArgumentException(
                $"The number of codes must be a multiple of the patch, {options.Patch}, and is {codes}.", nameof(codes));
        }

        _accelerator = accelerator;
        Codes = codes;
        Dimension = dimension;
        Options = options;
        _weights = new BridgeWeights(options, dimension);
        long room = withCodes ? (long)codes * dimension : 0;
        _parameters = accelerator.Allocate1D<float>(_weights.Length + room);
        _gradients = accelerator.Allocate1D<float>(_weights.Length + room);
        _parameters.MemSetToZero();
        _gradients.MemSetToZero();
        accelerator.DefaultStream.Synchronize();
        _pass = new BridgePass(
            accelerator, codes / options.Patch, options, _weights, Parameters, Gradients, walk);
    }

    /// <summary>Codes of the codebook.</summary>
    public int Codes { get; }

    /// <summary>Length of a code.</summary>
    public int Dimension { get; }

    /// <summary>The shape of the network.</summary>
    public BridgeOptions Options { get; }

    /// <summary>The weights: names, shapes and places, in the order of the computation.</summary>
    public IReadOnlyList<BridgeWeight> Weights => _weights.All;

    /// <summary>
    /// All parameters, F32. Each weight begins at a multiple of four; what lies between stays zero under an optimizer,
    /// since its gradient is zero.
    /// </summary>
    public ArrayView<float> Parameters => AllParameters.SubView(0, _weights.Length);

    /// <summary>All gradients, F32, in the layout of <see cref="Parameters"/>; <see cref="Backward"/> writes them.</summary>
    public ArrayView<float> Gradients => AllGradients.SubView(0, _weights.Length);

    /// <summary><see cref="Parameters"/>, and the codes behind them where there is room for them.</summary>
    internal ArrayView<float> AllParameters => _parameters.View;

    /// <summary><see cref="Gradients"/>, and the gradient of the codes likewise.</summary>
    internal ArrayView<float> AllGradients => _gradients.View;

    /// <summary>Bytes of the activations and scratch memory; nothing in them grows with the square of the tokens.</summary>
    public long ScratchBytes => _pass.Bytes;

    /// <summary>One weight, F32, [out, in] or [out].</summary>
    /// <param name="name">Its name in <see cref="Weights"/>.</param>
    /// <returns>A part of <see cref="Parameters"/>.</returns>
    /// <exception cref="ArgumentNullException"><paramref name="name"/> is null.</exception>
    /// <exception cref="ArgumentException">There is no such weight.</exception>
    public ArrayView<float> Parameter(string name) => Part(Parameters, name);

    /// <summary>The gradient of one weight, F32, [out, in] or [out].</summary>
    /// <param name="name">Its name in <see cref="Weights"/>.</param>
    /// <returns>A part of <see cref="Gradients"/>.</returns>
    /// <exception cref="ArgumentNullException"><paramref name="name"/> is null.</exception>
    /// <exception cref="ArgumentException">There is no such weight.</exception>
    public ArrayView<float> Gradient(string name) => Part(Gradients, name);

    /// <summary>
    /// Gives the parameters their first values, as published: matrices uniform in +-sqrt(6 / (in + out)), biases zero,
    /// the last layer zero. The numbers depend on the seed, the weight and the place in it alone. Waits for the copy.
    /// </summary>
    /// <param name="stream">A stream of the accelerator.</param>
    /// <param name="seed">The key of the Philox generator.</param>
    /// <exception cref="ArgumentNullException"><paramref name="stream"/> is null.</exception>
    /// <exception cref="ArgumentException">The stream is of another accelerator.</exception>
    /// <exception cref="ObjectDisposedException">This, the stream or the accelerator is disposed.</exception>
    public void Initialize(AcceleratorStream stream, ulong seed)
    {
        ObjectDisposedException.ThrowIf(_parameters.IsDisposed, this);
        LinearChecks.Call(_accelerator, stream);
        var values = new float[_weights.Length];
        for (int i = 0; i < Weights.Count; i++)
        {
            BridgeWeight weight = Weights[i];
            if (weight.Shape.Count == 2 && !weight.Name.StartsWith("recover", StringComparison.Ordinal))
            {
                float limit = (float)Math.Sqrt(6.0 / ((double)weight.Shape[0] + weight.Shape[1]));
                StartValues.Uniform(values.AsSpan((int)weight.Offset, (int)weight.Length), 0, limit, (uint)i, seed);
            }
        }

        TensorCopy.Upload(stream, values, Parameters);
        _isForward = false;
    }

    /// <summary>Enqueues the forward pass, and keeps its activations for <see cref="Backward"/>.</summary>
    /// <param name="stream">A stream of the accelerator.</param>
    /// <param name="codes">The codes, [codes, dimension], row-major, F32.</param>
    /// <param name="projected">The projected codes, [codes, dimension], F32, written.</param>
    /// <exception cref="ArgumentNullException"><paramref name="stream"/> is null.</exception>
    /// <exception cref="ArgumentException">A length, storage, accelerator or stream does not fit, or tensors overlap.</exception>
    /// <exception cref="ObjectDisposedException">This, a buffer, the stream or the accelerator is disposed.</exception>
    public void Forward(AcceleratorStream stream, TensorView codes, TensorView projected)
    {
        Check(stream, codes, projected, nameof(projected));
        Require.Apart(codes, projected, nameof(codes), nameof(projected));
        _pass.Forward(stream, codes, projected);
        _forwardCodes = codes;
        _isForward = true;
    }

    /// <summary>
    /// Enqueues the backward pass of the last <see cref="Forward"/>: writes <see cref="Gradients"/> and the gradient of
    /// the codes. Neither the codes nor the parameters may have changed since; a forward pass is good for one backward
    /// pass, so that a step of an optimizer between two of them is noticed.
    /// </summary>
    /// <param name="stream">A stream of the accelerator.</param>
    /// <param name="codes">The codes given to <see cref="Forward"/>, the same view.</param>
    /// <param name="gradProjected">The gradient to the projected codes, [codes, dimension], F32.</param>
    /// <param name="gradCodes">The gradient of the codes, [codes, dimension], F32, written; empty for none.</param>
    /// <exception cref="ArgumentNullException"><paramref name="stream"/> is null.</exception>
    /// <exception cref="ArgumentException">A length, storage, accelerator or stream does not fit, or tensors overlap.</exception>
    /// <exception cref="InvalidOperationException">There is no forward pass of these codes to go back through.</exception>
    /// <exception cref="ObjectDisposedException">This, a buffer, the stream or the accelerator is disposed.</exception>
    public void Backward(
        AcceleratorStream stream, TensorView codes, TensorView gradProjected, TensorView gradCodes = default)
    {
        Check(stream, codes, gradProjected, nameof(gradProjected));
        if (!gradCodes.IsEmpty)
        {
            Check(stream, codes, gradCodes, nameof(gradCodes));
            Require.Apart(codes, gradCodes, nameof(codes), nameof(gradCodes));
            Require.Apart(gradProjected, gradCodes, nameof(gradProjected), nameof(gradCodes));
        }

        if (!_isForward || codes != _forwardCodes)
        {
            throw new InvalidOperationException(
                "Backward must follow a Forward of the same codes, one for each, with nothing changed between them.");
        }

        _isForward = false;
        _pass.Backward(stream, codes, gradProjected, gradCodes);
    }

    /// <summary>Frees parameters, gradients and activations; enqueued work must have ended.</summary>
    public void Dispose()
    {
        _parameters.Dispose();
        _gradients.Dispose();
        _pass.Dispose();
    }

    private ArrayView<float> Part(ArrayView<float> all, string name)
    {
        Require.NotNull(name);
        BridgeWeight weight = Weights.FirstOrDefault(w => string.Equals(w.Name, name, StringComparison.Ordinal))
            ?? throw new ArgumentException(
                $"The weight must be one of {string.Join(", ", Weights.Select(w => w.Name))}, and is {name}.",
                nameof(name));
        return all.SubView(weight.Offset, weight.Length);
    }

    private void Check(AcceleratorStream stream, TensorView codes, TensorView other, string name)
    {
        ObjectDisposedException.ThrowIf(_parameters.IsDisposed, this);
        LinearChecks.Call(_accelerator, stream);
        LinearChecks.Floats(_accelerator, (long)Codes * Dimension, codes);
        LinearChecks.Floats(_accelerator, (long)Codes * Dimension, other, name);
        Require.Apart(Parameters, other, nameof(Parameters), name);
        Require.Apart(Gradients, other, nameof(Gradients), name);
        Require.Apart(Gradients, codes, nameof(Gradients), nameof(codes));
    }
}
