using ILGPU;
using Kernels.Quantization;

namespace Kernels.Tests.Validation;

/// <summary>Bad calls of what packs codes and of what learns them; more of them are beside their properties.</summary>
public sealed partial class BadCallTests
{
    private static readonly CodebookLayout s_small = new(4, 4, new CodeFormat(4));

    private static IEnumerable<BadCall> PackedCodes()
    {
        yield return Bad<ArgumentOutOfRangeException>("CodeFormat..ctor", "one code", "codes", _ => new CodeFormat(1));
        yield return Bad<ArgumentException>("Pack.Run", "in place", "packed", f =>
            new Pack(f.Accelerator, s_small).Run(f.Stream, Bytes(f.X, 16), Bytes(f.X, 16)));
        yield return Bad<ArgumentException>("Unpack.Run", "too few bytes", "packed", f =>
            new Unpack(f.Accelerator, s_small).Run(f.Stream, Bytes(f.X, 12), Bytes(f.Y, 16)));
        yield return Bad<ArgumentException>("Dequantize.Run", "weights on the codebook", "w", f =>
        {
            using var dequantize = new Dequantize(f.Accelerator, s_small);
            dequantize.Run(f.Stream, Bytes(f.X, (int)s_small.PackedBytes), f.M.SubView(0, 4), default, f.M);
        });
        yield return Bad<ArgumentException>("QuantizedProduct.Multiply", "in place", "y", f =>
        {
            using var product = new QuantizedProduct(f.Accelerator, s_small);
            product.Multiply(
                f.Stream, f.M.SubView(0, 4), 1, Bytes(f.X, (int)s_small.PackedBytes), f.V.SubView(0, 4), default,
                f.M.SubView(0, 4));
        });
    }

    private static IEnumerable<BadCall> LearnedCodes()
    {
        yield return Bad<ArgumentException>("Latent.Backward", "gradient on the latent", null, f =>
        {
            using var latent = new Latent(f.Accelerator, s_small);
            latent.Backward(f.Stream, f.X, f.M.SubView(0, 4), default, f.Y, f.X);
        });
        yield return Bad<ArgumentException>("Mapping.Forward", "too few logits", "logits", f =>
        {
            using var mapping = new Mapping(f.Accelerator, s_small);
            mapping.Forward(f.Stream, f.X, f.M.SubView(0, 4), default, f.Y);
        });
        yield return Bad<ArgumentException>("CodebookGradient.Backward", "gradient on the codebook", null, f =>
        {
            using var gradient = new CodebookGradient(f.Accelerator, s_small);
            gradient.Backward(f.Stream, Bytes(f.X, 16), f.Y, f.M.SubView(0, 4), default, f.M.SubView(0, 4));
        });
        yield return Bad<ArgumentException>("Reconstruction.Evaluate", "gradient on the weights", null, f =>
        {
            using var reconstruction = new Reconstruction(f.Accelerator, 4, 4, 0);
            reconstruction.Evaluate(f.Stream, f.X, f.Y, f.X, f.M.SubView(0, 1));
        });
        yield return Bad<ArgumentNullException>("JointQuantizer..ctor", "null", "session", _ => new JointQuantizer(null!, s_small));
    }

    private static ArrayView<byte> Bytes(ArrayView<float> view, int count) => view.SubView(0, count / 4).Cast<byte>();
}
