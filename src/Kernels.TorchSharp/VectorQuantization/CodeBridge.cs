using global::TorchSharp;
using ILGPU.Runtime;
using Kernels.VectorQuantization;
using TorchParameter = global::TorchSharp.Modules.Parameter;

namespace Kernels.TorchSharp.VectorQuantization;

/// <summary>VQBridge as a module: a small transformer over all codes, through which they learn so that none dies.</summary>
/// <remarks>
/// Source: FVQ, arXiv:2509.10140, see <see cref="Bridge"/>. The parameter <c>weights</c> is all of its weights, in the order
/// and at the offsets of <see cref="Weights"/>. The activations of a forward pass are the module's: go back through the last
/// forward pass only, once, and before an optimizer's step.
/// <example><code>
/// torch.Tensor codes = bridge.forward(quantize.get_parameter("embed"));
/// (Tensor output, Tensor index, Tensor loss) = quantize.Quantize(x, codes);
/// </code></example>
/// </remarks>
public sealed class CodeBridge : torch.nn.Module<torch.Tensor, torch.Tensor>
{
    private const string AllWeights = "weights";

    private readonly Bridge _bridge;

    /// <summary>A bridge with random weights.</summary>
    /// <param name="codes">Codes of the codebook, a multiple of the patch.</param>
    /// <param name="dimension">Length of a code.</param>
    /// <param name="options">The shape of the network; the published one by default.</param>
    /// <param name="seed">Key of the weights.</param>
    /// <exception cref="ArgumentException">The codes are not a multiple of the patch.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A size or an option is out of range.</exception>
    public CodeBridge(int codes, int dimension, BridgeOptions? options = null, ulong seed = 0)
        : base(nameof(CodeBridge))
    {
        _bridge = new Bridge(HostMemory.Session.Accelerator, codes, dimension, options);
        _bridge.Initialize(HostMemory.Session.Stream, seed);
        torch.Tensor weights = torch.empty(_bridge.Parameters.Length);
        HostMemory.Floats(weights).CopyFrom(HostMemory.Session.Stream, _bridge.Parameters);
        register_parameter(AllWeights, new TorchParameter(weights));
    }

    /// <summary>What the parameter <c>weights</c> consists of.</summary>
    public IReadOnlyList<BridgeWeight> Weights => _bridge.Weights;

    /// <summary>Projects codes.</summary>
    /// <param name="codes">The codes, [codes, dimension], Float32.</param>
    /// <returns>The projected codes, [codes, dimension].</returns>
    /// <exception cref="ArgumentException">A tensor is of another type, shape or layout, or not on the CPU.</exception>
    /// <exception cref="ObjectDisposedException">A tensor is disposed.</exception>
    public override torch.Tensor forward(torch.Tensor codes)
    {
        TensorChecks.Floats(codes, [_bridge.Codes, _bridge.Dimension], "The tensor of codes", nameof(codes));
        TorchParameter weights = get_parameter(AllWeights)!;
        TensorChecks.Floats(weights, [_bridge.Parameters.Length], "The parameter weights", AllWeights);
        return BridgeFunction.apply(codes, weights, _bridge);
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _bridge.Dispose();
        }

        base.Dispose(disposing);
    }
}

/// <summary>The passes of a bridge.</summary>
internal sealed class BridgeFunction : torch.autograd.SingleTensorFunction<BridgeFunction>
{
    private const string Kernels = "kernels";

    /// <inheritdoc/>
    public override string Name => nameof(BridgeFunction);

    /// <inheritdoc/>
    public override torch.Tensor forward(torch.autograd.AutogradContext ctx, params object[] vars)
    {
        ArgumentNullException.ThrowIfNull(ctx);
        ArgumentNullException.ThrowIfNull(vars);
        var codes = (torch.Tensor)vars[0];
        var weights = (torch.Tensor)vars[1];
        var bridge = (Bridge)vars[2];
        ctx.save_for_backward([codes]);
        ctx.save_data(Kernels, bridge);
        bridge.Parameters.CopyFrom(HostMemory.Session.Stream, HostMemory.Floats(weights));
        torch.Tensor projected = torch.empty_like(codes);
        bridge.Forward(HostMemory.Session.Stream, HostMemory.View(codes), HostMemory.View(projected));
        return projected;
    }

    /// <inheritdoc/>
    public override List<torch.Tensor> backward(torch.autograd.AutogradContext ctx, torch.Tensor grad_output)
    {
        ArgumentNullException.ThrowIfNull(ctx);
        ArgumentNullException.ThrowIfNull(grad_output);
        var bridge = (Bridge)ctx.get_data(Kernels);
        using torch.Tensor codes = ctx.get_saved_variables()[0];
        using torch.Tensor gradient = grad_output.contiguous();
        torch.Tensor toCodes = torch.empty_like(codes);
        bridge.Backward(
            HostMemory.Session.Stream, HostMemory.View(codes), HostMemory.View(gradient), HostMemory.View(toCodes));
        torch.Tensor toWeights = torch.empty(bridge.Gradients.Length);
        HostMemory.Floats(toWeights).CopyFrom(HostMemory.Session.Stream, bridge.Gradients);
        return [toCodes, toWeights, null!];
    }
}
