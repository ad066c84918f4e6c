using global::TorchSharp;

namespace Kernels.TorchSharp.VectorQuantization;

/// <summary>
/// Rows become their codes. The gradient to the rows goes straight through, or turned as the rows are, and comes from the
/// commitment; that of the codes comes from the loss of the codebook.
/// </summary>
internal sealed class QuantizeFunction : torch.autograd.MultiTensorFunction<QuantizeFunction>
{
    private const string Settings = "settings";

    /// <inheritdoc/>
    public override string Name => nameof(QuantizeFunction);

    /// <summary>The code of each row, and [codebook loss, commitment loss].</summary>
    internal static (torch.Tensor Output, torch.Tensor Loss) Run(
        torch.Tensor x, torch.Tensor embed, torch.Tensor index, QuantizeSettings settings)
    {
        List<torch.Tensor> outputs = apply(x, embed, index, settings);
        return (outputs[0], outputs[1]);
    }

    /// <inheritdoc/>
    public override List<torch.Tensor> forward(torch.autograd.AutogradContext ctx, params object[] vars)
    {
        ArgumentNullException.ThrowIfNull(ctx);
        ArgumentNullException.ThrowIfNull(vars);
        var x = (torch.Tensor)vars[0];
        var embed = (torch.Tensor)vars[1];
        var index = (torch.Tensor)vars[2];
        var settings = (QuantizeSettings)vars[3];
        ctx.save_for_backward([x, embed, index]);
        ctx.save_data(Settings, settings);
        (torch.Tensor output, torch.Tensor loss) = settings.Kernels.Forward(x, embed, index, settings.Commitment);
        return [output, loss];
    }

    /// <inheritdoc/>
    public override List<torch.Tensor> backward(torch.autograd.AutogradContext ctx, List<torch.Tensor> grad_outputs)
    {
        ArgumentNullException.ThrowIfNull(ctx);
        ArgumentNullException.ThrowIfNull(grad_outputs);
        var settings = (QuantizeSettings)ctx.get_data(Settings);
        List<torch.Tensor> saved = ctx.get_saved_variables();
        (torch.Tensor x, torch.Tensor embed, torch.Tensor index) = (saved[0], saved[1], saved[2]);
        using torch.Tensor gradient = grad_outputs[0].contiguous();
        torch.Tensor loss = grad_outputs[1];
        torch.Tensor toRows = settings.Kernels.Through(x, embed, index, gradient, settings.Rotation);
        using torch.Tensor differences = settings.Kernels.Differences(x, embed, index);
        using torch.Tensor ofCommitment = loss[1] * settings.Commitment;
        using torch.Tensor pull = differences * ofCommitment;
        toRows.sub_(pull);
        torch.Tensor toCodes = settings.Kernels.Sums(differences, index);
        using torch.Tensor ofCodebook = loss[0];
        toCodes.mul_(ofCodebook);
        saved.ForEach(tensor => tensor.Dispose());
        return [toRows, toCodes, null!, null!];
    }
}

/// <summary>How a module quantizes.</summary>
/// <param name="Kernels">Its launchers.</param>
/// <param name="Commitment">Weight of the commitment.</param>
/// <param name="Rotation">Whether the gradient to the rows turns and scales as they do.</param>
internal sealed record QuantizeSettings(CodeKernels Kernels, double Commitment, bool Rotation);
