using global::TorchSharp;
using ILGPU;
using Kernels.Quantization;
using TorchLinear = global::TorchSharp.Modules.Linear;
using TorchParameter = global::TorchSharp.Modules.Parameter;

namespace Kernels.TorchSharp.Quantization;

/// <summary>A dense layer whose weights are codes: y = x W^T + b, W = s C[I], and W stays packed.</summary>
/// <remarks>
/// Source: JLCM (arXiv:2309.17361), see <see cref="CodebookLayout"/>. The codes that weights have are the buffer
/// <c>packed</c>, bytes; the numbers behind them, the parameter <c>codebook</c>, [codebooks, k], and the scales, <c>scale</c>,
/// [scales], learn, as <c>bias</c> does. The gradients to x and to codebooks need the dense weights for a moment. Rows are
/// Float32, contiguous, on the CPU. Use a module from one thread at a time.
/// <example><code>
/// using var layer = QuantizedLinear.From(linear, new CodebookLayout(rows: 256, columns: 512, new CodeFormat(16)));
/// Tensor y = layer.forward(x);
/// </code></example>
/// </remarks>
public sealed class QuantizedLinear : torch.nn.Module<torch.Tensor, torch.Tensor>
{
    private const string PackedName = "packed";
    private const string CodebookName = "codebook";
    private const string ScaleName = "scale";
    private const string BiasName = "bias";

    private readonly LinearKernels _kernels;

    /// <summary>A layer of zeros, to be loaded.</summary>
    /// <param name="layout">The matrix, [outputs, inputs]; codes of one weight, planar, scales in F32.</param>
    /// <param name="hasBias">Whether there is a bias.</param>
    /// <exception cref="ArgumentNullException">There is no layout.</exception>
    /// <exception cref="ArgumentException">The layout has codes of several weights, linear order or scales in 16 bits.</exception>
    public QuantizedLinear(CodebookLayout layout, bool hasBias = true)
        : base(nameof(QuantizedLinear))
    {
        ArgumentNullException.ThrowIfNull(layout);
        if (layout.Length != 1 || layout.Format.Order != PackingOrder.Planar || layout.ScaleStorage != Storage.F32)
        {
            throw new ArgumentException(
                "The layout must have codes of one weight in planar order, and scales in F32; it has codes of "
                + $"{layout.Length}, {layout.Format.Order} order, and scales in {layout.ScaleStorage}.",
                nameof(layout));
        }

        Layout = layout;
        _kernels = new LinearKernels(layout);
        register_buffer(PackedName, torch.zeros(layout.PackedBytes, torch.ScalarType.Byte));
        register_parameter(CodebookName, new TorchParameter(torch.zeros(layout.CodebookCount, layout.Codes)));
        if (layout.ScaleCount > 0)
        {
            register_parameter(ScaleName, new TorchParameter(torch.zeros(layout.ScaleCount)));
        }

        if (hasBias)
        {
            register_parameter(BiasName, new TorchParameter(torch.zeros(layout.Rows)));
        }
    }

    /// <summary>What the matrix consists of.</summary>
    public CodebookLayout Layout { get; }

    /// <summary>Fits codes to a dense layer, by k-means.</summary>
    /// <param name="layer">The layer, Float32, on the CPU.</param>
    /// <param name="layout">What its matrix is to consist of; without scales.</param>
    /// <returns>The layer in codes.</returns>
    /// <exception cref="ArgumentNullException">An argument is null.</exception>
    /// <exception cref="ArgumentException">The layout has scales, or the layer's tensors do not fit.</exception>
    public static QuantizedLinear From(TorchLinear layer, CodebookLayout layout)
    {
        ArgumentNullException.ThrowIfNull(layer);
        ArgumentNullException.ThrowIfNull(layout);
        if (layout.ScaleCount > 0)
        {
            throw new ArgumentException(
                "Codes are fitted without scales: load codebook, scale and packed instead.", nameof(layout));
        }

        TensorChecks.Floats(layer.weight, [layout.Rows, layout.Columns], "The layer's weight", nameof(layer));
        if (layer.bias is not null)
        {
            TensorChecks.Floats(layer.bias, [layout.Rows], "The layer's bias", nameof(layer));
        }

        var result = new QuantizedLinear(layout, layer.bias is not null);
        using (torch.no_grad())
        {
            using torch.Tensor index = torch.empty(layout.CodeCount, torch.ScalarType.Byte);
            using var fit = new CodebookFit(HostMemory.Session.Accelerator, layout);
            fit.Run(
                HostMemory.Session.Stream, HostMemory.View(layer.weight!), default,
                HostMemory.Floats(result.get_parameter(CodebookName)!), HostMemory.Bytes(index));
            new Pack(HostMemory.Session.Accelerator, layout).Run(
                HostMemory.Session.Stream, HostMemory.Bytes(index), HostMemory.Bytes(result.get_buffer(PackedName)!));
            if (layer.bias is not null)
            {
                result.get_parameter(BiasName)!.copy_(layer.bias);
            }
        }

        return result;
    }

    /// <summary>y = x W^T + b.</summary>
    /// <param name="x">Rows, [..., inputs].</param>
    /// <returns>[..., outputs].</returns>
    /// <exception cref="ArgumentException">A tensor is of another type, shape or layout, or not on the CPU.</exception>
    /// <exception cref="ObjectDisposedException">A tensor is disposed.</exception>
    public override torch.Tensor forward(torch.Tensor x)
    {
        Storage storage = TensorChecks.Dense(x, "The tensor of rows", nameof(x));
        if (storage != Storage.F32 || x.dim() == 0 || x.shape[^1] != Layout.Columns)
        {
            throw new ArgumentException(
                $"The rows must be of {Layout.Columns} numbers in Float32; the tensor is {x.dtype} of the shape "
                + $"{TensorChecks.Text(x.shape)}.",
                nameof(x));
        }

        torch.Tensor packed = get_buffer(PackedName)!;
        TensorChecks.Of(packed, torch.ScalarType.Byte, [Layout.PackedBytes], "The buffer packed", PackedName);
        TorchParameter codebook = get_parameter(CodebookName)!;
        TensorChecks.Floats(codebook, [Layout.CodebookCount, Layout.Codes], "The parameter codebook", CodebookName);
        TorchParameter? scale = Optional(ScaleName, Layout.ScaleCount);
        TorchParameter? bias = Optional(BiasName, Layout.Rows);
        return LinearFunction.apply(x, codebook, scale!, bias!, packed, _kernels);
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _kernels.Dispose();
        }

        base.Dispose(disposing);
    }

    private TorchParameter? Optional(string name, long length)
    {
        TorchParameter? parameter = named_parameters(recurse: false).FirstOrDefault(
            p => string.Equals(p.name, name, StringComparison.Ordinal)).parameter;
        if (parameter is not null)
        {
            TensorChecks.Floats(parameter, [length], $"The parameter {name}", name);
        }

        return parameter;
    }
}

/// <summary>The launchers of a layer, made anew for more vectors than they were made for.</summary>
internal sealed class LinearKernels(CodebookLayout layout) : IDisposable
{
    private readonly Dequantize _dequantize = new(HostMemory.Session.Accelerator, layout);
    private readonly CodebookGradient _gradient = new(HostMemory.Session.Accelerator, layout);
    private readonly Unpack _unpack = new(HostMemory.Session.Accelerator, layout);
    private QuantizedProduct? _product;

    public void Dispose()
    {
        _dequantize.Dispose();
        _gradient.Dispose();
        _product?.Dispose();
    }

    internal torch.Tensor Multiply(
        torch.Tensor x, torch.Tensor packed, torch.Tensor codebook, torch.Tensor? scale, torch.Tensor? bias)
    {
        int rows = checked((int)(x.numel() / layout.Columns));
        torch.Tensor y = torch.empty([.. x.shape[..^1], layout.Rows]);
        if (rows == 0)
        {
            return y;
        }

        if (_product is null || _product.MaxVectors < rows)
        {
            _product?.Dispose();
            _product = new QuantizedProduct(HostMemory.Session.Accelerator, layout, rows);
        }

        _product.Multiply(
            HostMemory.Session.Stream, HostMemory.View(x), rows, HostMemory.Bytes(packed), HostMemory.View(codebook),
            View(scale), HostMemory.View(y), View(bias));
        return y;
    }

    /// <summary>The dense weights, [rows, columns].</summary>
    internal torch.Tensor Weights(torch.Tensor packed, torch.Tensor codebook, torch.Tensor? scale)
    {
        torch.Tensor weights = torch.empty(layout.Rows, layout.Columns);
        _dequantize.Run(
            HostMemory.Session.Stream, HostMemory.Bytes(packed), HostMemory.View(codebook), View(scale),
            HostMemory.View(weights));
        return weights;
    }

    /// <summary>The gradients of codebooks and scales from that of the dense weights.</summary>
    internal (torch.Tensor Codebook, torch.Tensor? Scale) Gradients(
        torch.Tensor gradient, torch.Tensor packed, torch.Tensor codebook, torch.Tensor? scale)
    {
        using torch.Tensor index = torch.empty(layout.CodeCount, torch.ScalarType.Byte);
        _unpack.Run(HostMemory.Session.Stream, HostMemory.Bytes(packed), HostMemory.Bytes(index));
        torch.Tensor toCodebook = torch.empty_like(codebook);
        torch.Tensor? toScale = scale is null ? null : torch.empty_like(scale);
        _gradient.Backward(
            HostMemory.Session.Stream, HostMemory.Bytes(index), HostMemory.Floats(gradient), HostMemory.Floats(codebook),
            Floats(scale), HostMemory.Floats(toCodebook), Floats(toScale));
        return (toCodebook, toScale);
    }

    private static TensorView View(torch.Tensor? tensor) => tensor is null ? default : HostMemory.View(tensor);

    private static ArrayView<float> Floats(torch.Tensor? tensor) => tensor is null ? default : HostMemory.Floats(tensor);
}

/// <summary>The product with a packed matrix, and its gradients.</summary>
internal sealed class LinearFunction : torch.autograd.SingleTensorFunction<LinearFunction>
{
    private const string Kernels = "kernels";

    /// <inheritdoc/>
    public override string Name => nameof(LinearFunction);

    /// <inheritdoc/>
    public override torch.Tensor forward(torch.autograd.AutogradContext ctx, params object[] vars)
    {
        ArgumentNullException.ThrowIfNull(ctx);
        ArgumentNullException.ThrowIfNull(vars);
        var x = (torch.Tensor)vars[0];
        var codebook = (torch.Tensor)vars[1];
        var scale = (torch.Tensor?)vars[2];
        var bias = (torch.Tensor?)vars[3];
        var packed = (torch.Tensor)vars[4];
        var kernels = (LinearKernels)vars[5];
        ctx.save_for_backward([x, codebook, packed, scale!]);
        ctx.save_data(Kernels, kernels);
        ctx.save_data(nameof(bias), bias is not null);
        return kernels.Multiply(x, packed, codebook, scale, bias);
    }

    /// <inheritdoc/>
    public override List<torch.Tensor> backward(torch.autograd.AutogradContext ctx, torch.Tensor grad_output)
    {
        ArgumentNullException.ThrowIfNull(ctx);
        ArgumentNullException.ThrowIfNull(grad_output);
        var kernels = (LinearKernels)ctx.get_data(Kernels);
        List<torch.Tensor> saved = ctx.get_saved_variables();
        (torch.Tensor x, torch.Tensor codebook, torch.Tensor packed, torch.Tensor? scale) =
            (saved[0], saved[1], saved[2], saved[3]);
        using torch.Tensor weights = kernels.Weights(packed, codebook, scale);
        torch.Tensor toX = torch.matmul(grad_output, weights);
        using torch.Tensor gradient = grad_output.reshape(-1, weights.shape[0]);
        using torch.Tensor rows = x.reshape(-1, weights.shape[1]);
        using torch.Tensor turned = gradient.t();
        using torch.Tensor product = torch.matmul(turned, rows);
        using torch.Tensor toWeights = product.contiguous();
        (torch.Tensor toCodebook, torch.Tensor? toScale) = kernels.Gradients(toWeights, packed, codebook, scale);
        torch.Tensor? toBias = (bool)ctx.get_data("bias") ? gradient.sum([0L]) : null;
        saved.ForEach(tensor => tensor?.Dispose());
        return [toX, toCodebook, toScale!, toBias!, null!, null!];
    }
}
