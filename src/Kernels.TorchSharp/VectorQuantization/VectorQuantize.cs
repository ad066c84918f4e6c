using global::TorchSharp;
using Kernels.VectorQuantization;
using TorchParameter = global::TorchSharp.Modules.Parameter;

namespace Kernels.TorchSharp.VectorQuantization;

/// <summary>
/// A codebook as a module: rows become their nearest codes, and the codes learn by the gradient of the module's loss.
/// </summary>
/// <remarks>
/// Source: van den Oord et al. 2017, arXiv:1711.00937, equation 3; the rotation is that of Fifty et al. 2024,
/// arXiv:2410.06424. The matrix of distances is never stored. Rows are Float32, Float16 or BFloat16, contiguous, on the CPU,
/// and are read where they lie; the codes are the parameter <c>embed</c>, [codes, dimension], Float32. Of a row with NaN the
/// index is -1, and output and gradient are 0. Use a module from one thread at a time.
/// <example><code>
/// using var quantize = new VectorQuantize(codes: 512, dimension: 64);
/// (Tensor output, Tensor index, Tensor loss) = quantize.forward(encoder.forward(x));
/// (reconstruction(decoder.forward(output), x) + loss).backward();
/// </code></example>
/// </remarks>
public sealed class VectorQuantize
    : torch.nn.Module<torch.Tensor, (torch.Tensor Output, torch.Tensor Index, torch.Tensor Loss)>
{
    private const string Embed = "embed";

    private readonly int _codes;
    private readonly int _dimension;
    private readonly CodeKernels _kernels;
    private readonly QuantizeSettings _settings;

    /// <summary>A codebook whose codes are uniform in +-1 / codes.</summary>
    /// <param name="codes">Codes, 1 to 2^30.</param>
    /// <param name="dimension">Length of a code, 1 to 2^20.</param>
    /// <param name="metric">What is smallest at the nearest code.</param>
    /// <param name="commitment">Weight of the commitment loss, not negative.</param>
    /// <param name="rotation">Whether the gradient to a row turns and scales as the row does; else it goes straight through.</param>
    /// <param name="certified">Whether the index is proven to be that of the nearest code.</param>
    /// <exception cref="ArgumentOutOfRangeException">A size, the metric or the weight is out of range.</exception>
    public VectorQuantize(
        int codes, int dimension, CodeMetric metric = CodeMetric.L2, double commitment = 0.25, bool rotation = false,
        bool certified = false)
        : base(nameof(VectorQuantize))
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(codes, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(dimension, 1);
        if (!(commitment >= 0 && double.IsFinite(commitment)))
        {
            throw new ArgumentOutOfRangeException(nameof(commitment), commitment, "Must be finite and not negative.");
        }

        _codes = codes;
        _dimension = dimension;
        _kernels = new CodeKernels(codes, dimension, metric, certified);
        _settings = new QuantizeSettings(_kernels, commitment, rotation);
        using torch.Tensor start = torch.rand(codes, dimension);
        register_parameter(Embed, new TorchParameter(start.mul(2.0 / codes).sub_(1.0 / codes)));
    }

    /// <summary>Quantizes rows.</summary>
    /// <param name="x">The rows, [..., dimension].</param>
    /// <returns>
    /// The codes of the rows, as <paramref name="x"/>; their indices, [...], Int64; and the loss, a number: the mean of
    /// (e - z)^2 over the components of the rows that have a code, once for the codes and times the commitment for the rows.
    /// </returns>
    /// <exception cref="ArgumentException">A tensor is of another type, shape or layout, or not on the CPU.</exception>
    /// <exception cref="ObjectDisposedException">A tensor is disposed.</exception>
    public override (torch.Tensor Output, torch.Tensor Index, torch.Tensor Loss) forward(torch.Tensor x) =>
        Quantize(x, Codes());

    /// <summary>Quantizes rows by other codes, such as those that a <see cref="CodeBridge"/> makes of this module's.</summary>
    /// <param name="x">The rows, [..., dimension].</param>
    /// <param name="codes">The codes, [codes, dimension], Float32.</param>
    /// <returns>As of <see cref="forward"/>.</returns>
    /// <exception cref="ArgumentException">A tensor is of another type, shape or layout, or not on the CPU.</exception>
    /// <exception cref="ObjectDisposedException">A tensor is disposed.</exception>
    public (torch.Tensor Output, torch.Tensor Index, torch.Tensor Loss) Quantize(torch.Tensor x, torch.Tensor codes)
    {
        Check(x);
        TensorChecks.Floats(codes, [_codes, _dimension], "The tensor of codes", nameof(codes));
        using torch.Tensor index = _kernels.Search(x, codes);
        (torch.Tensor output, torch.Tensor losses) = QuantizeFunction.Run(x, codes, index, _settings);
        using (losses)
        {
            return (output, Whole(x, index), losses.sum());
        }
    }

    /// <summary>Finds the nearest codes.</summary>
    /// <param name="x">The rows, [..., dimension].</param>
    /// <returns>Their indices, [...], Int64.</returns>
    /// <exception cref="ArgumentException">A tensor is of another type, shape or layout, or not on the CPU.</exception>
    /// <exception cref="ObjectDisposedException">A tensor is disposed.</exception>
    public torch.Tensor Encode(torch.Tensor x)
    {
        Check(x);
        using torch.Tensor index = _kernels.Search(x, Codes());
        return Whole(x, index);
    }

    /// <summary>Gives the codes of indices, with a gradient to the codes.</summary>
    /// <param name="index">Indices, [...], Int64, each of a code.</param>
    /// <returns>The codes, [..., dimension].</returns>
    /// <exception cref="ArgumentNullException">There are no indices.</exception>
    public torch.Tensor Decode(torch.Tensor index)
    {
        ArgumentNullException.ThrowIfNull(index);
        using torch.Tensor all = index.reshape(-1);
        using torch.Tensor rows = Codes().index_select(0, all);
        return rows.reshape([.. index.shape, _dimension]);
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

    private static torch.Tensor Whole(torch.Tensor x, torch.Tensor index)
    {
        using torch.Tensor longs = index.to(torch.ScalarType.Int64);
        return longs.reshape(x.shape[..^1]);
    }

    private void Check(torch.Tensor x)
    {
        _ = TensorChecks.Dense(x, "The tensor of rows", nameof(x));
        if (x.dim() == 0 || x.shape[^1] != _dimension)
        {
            throw new ArgumentException(
                $"The rows must have {_dimension} numbers, and the shape is {TensorChecks.Text(x.shape)}.", nameof(x));
        }

        // The launchers count rows in 30 bits.
        ArgumentOutOfRangeException.ThrowIfGreaterThan(x.numel() / _dimension, 1 << 30, nameof(x));
    }

    private TorchParameter Codes()
    {
        TorchParameter embed = get_parameter(Embed)!;
        TensorChecks.Floats(embed, [_codes, _dimension], "The parameter embed", Embed);
        return embed;
    }
}
