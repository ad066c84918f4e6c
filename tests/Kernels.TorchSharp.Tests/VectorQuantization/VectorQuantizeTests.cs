using global::TorchSharp;
using Kernels.References;
using Kernels.References.VectorQuantization;
using Kernels.TorchSharp.Optimizers;
using Kernels.TorchSharp.Tests.Support;
using Kernels.TorchSharp.VectorQuantization;

namespace Kernels.TorchSharp.Tests.VectorQuantization;

public sealed class VectorQuantizeTests
{
    private const int Codes = 37;
    private const int Dimension = 12;
    private const double Commitment = 0.25; // a power of two: multiplying by it rounds nothing

    [TorchTheory]
    [InlineData(false)]
    [InlineData(true)]
    public void Output_loss_and_gradients_are_within_the_oracles_bound(bool rotation)
    {
        using VectorQuantize module = Module(rotation);
        float[] embed = Tensors.Values(module.get_parameter("embed")!);
        // More rows the second time: the launchers are made anew.
        foreach (int rows in (int[])[15, 60, 30])
        {
            float[] z = Tensors.Draw(rows, rows * Dimension);
            float[] g = Tensors.Draw(rows + 1, rows * Dimension);
            using torch.Tensor x = torch.tensor(z, 3, rows / 3, Dimension).requires_grad_();
            using torch.Tensor weights = torch.tensor(g, 3, rows / 3, Dimension);
            module.zero_grad();

            (torch.Tensor output, torch.Tensor index, torch.Tensor loss) = module.forward(x);
            ((output * weights).sum() + loss).backward();

            Assert.Equal([3L, rows / 3], index.shape);
            int[] chosen = [.. index.data<long>().Select(i => (int)i)];
            for (int row = 0; row < rows; row++)
            {
                Assert.Equal(Nearest(z.AsSpan(row * Dimension, Dimension), embed), chosen[row]);
            }

            float[] e = [.. chosen.SelectMany(k => embed[(k * Dimension)..((k + 1) * Dimension)])];
            Assert.Equal(e, Tensors.Values(output));
            (_, Bounded codebook, Bounded commitment, Bounded[] straight, _) = QuantizeReference.Evaluate(
                z, embed, chosen, Dimension, Commitment, g);
            Admits("loss", [codebook + commitment], [loss.item<float>()]);
            Admits("codes", QuantizeReference.CodebookGradient(z, embed, chosen, Dimension),
                Tensors.Values(module.get_parameter("embed")!.grad!));
            Bounded[] turned = RotateReference.Evaluate(z, e, g, Dimension).GradX;
            Bounded factor = Bounded.Rounded(2 * Commitment / (rows * Dimension));
            Admits(
                "rows",
                rotation
                    ? [.. turned.Select((t, i) => t + factor * (Bounded.FromDouble(z[i]) - Bounded.FromDouble(e[i])))]
                    : straight,
                Tensors.Values(x.grad!));
        }
    }

    [TorchFact]
    public void The_codes_learn_with_the_network_around_them()
    {
        torch.random.manual_seed(3);
        using torch.nn.Module<torch.Tensor, torch.Tensor> encoder = torch.nn.Linear(64, Dimension);
        using torch.nn.Module<torch.Tensor, torch.Tensor> decoder = torch.nn.Linear(Dimension, 64);
        using VectorQuantize module = Module(rotation: true);
        using KernelOptimizer optimizer = KernelOptimizers.AdamW(
            [.. encoder.parameters(), .. module.parameters(), .. decoder.parameters()], lr: 1e-2);
        var losses = new List<float>();
        for (int step = 0; step < 60; step++)
        {
            using DisposeScope scope = torch.NewDisposeScope();
            (torch.Tensor pixels, _) = Digits.Batch(step, 64);
            optimizer.zero_grad();
            (torch.Tensor output, _, torch.Tensor loss) = module.forward(encoder.forward(pixels));
            torch.Tensor error = torch.nn.functional.mse_loss(decoder.forward(output), pixels);
            losses.Add(error.item<float>());
            (error + loss).backward();
            optimizer.step();
        }

        Assert.True(losses[^1] < losses[0] / 2, string.Join(", ", losses));
    }

    [TorchFact]
    public void Codes_are_saved_found_and_given_back()
    {
        using VectorQuantize module = Module(rotation: false);
        Assert.Equal("embed", Assert.Single(module.state_dict().Keys));
        using torch.Tensor x = torch.tensor(Tensors.Draw(5, 6 * Dimension), 6, Dimension);
        using torch.Tensor index = module.Encode(x);
        using torch.Tensor codes = module.Decode(index);
        Assert.Equal(Tensors.Values(module.forward(x).Output), Tensors.Values(codes));
        (torch.Tensor output, torch.Tensor none, torch.Tensor loss) = module.forward(torch.zeros(0, Dimension));
        Assert.Equal([0L, Dimension], output.shape);
        Assert.Equal([0L], none.shape);
        Assert.Equal(0, loss.item<float>());
    }

    [TorchFact]
    public void Rows_that_do_not_fit_are_refused()
    {
        using VectorQuantize module = Module(rotation: false);
        var freed = torch.zeros(3, Dimension);
        freed.Dispose();
        Refuse<ArgumentException>(torch.zeros(3, Dimension, torch.ScalarType.Float64), "Float32");
        Refuse<ArgumentException>(torch.zeros(3, Dimension + 1), $"{Dimension} numbers");
        Refuse<ArgumentException>(torch.zeros(Dimension, 3).t(), "contiguous");
        Refuse<ArgumentException>(torch.zeros(3, Dimension, device: torch.META), "CPU");
        Refuse<ObjectDisposedException>(freed, "disposed");
        Assert.Throws<ArgumentNullException>(() => module.forward(null!));
        Assert.Throws<ArgumentOutOfRangeException>(() => new VectorQuantize(0, 3));
        Assert.Throws<ArgumentOutOfRangeException>(() => new VectorQuantize(3, 3, commitment: -1));
        module.to(torch.ScalarType.Float64);
        Refuse<ArgumentException>(torch.zeros(3, Dimension), "embed");

        void Refuse<T>(torch.Tensor x, string why)
            where T : Exception
        {
            Assert.Contains(why, Assert.Throws<T>(() => module.forward(x)).Message, StringComparison.Ordinal);
            Assert.Contains(why, Assert.Throws<T>(() => module.Encode(x)).Message, StringComparison.Ordinal);
        }
    }

    private static VectorQuantize Module(bool rotation)
    {
        var module = new VectorQuantize(Codes, Dimension, commitment: Commitment, rotation: rotation, certified: true);
        using IDisposable _ = torch.no_grad();
        module.get_parameter("embed")!.copy_(torch.tensor(Tensors.Draw(1, Codes * Dimension), Codes, Dimension));
        return module;
    }

    private static int Nearest(ReadOnlySpan<float> z, float[] codes)
    {
        int best = -1;
        double least = double.PositiveInfinity;
        for (int k = 0; k < Codes; k++)
        {
            double distance = 0;
            for (int i = 0; i < Dimension; i++)
            {
                double difference = (double)z[i] - codes[k * Dimension + i];
                distance += difference * difference;
            }

            if (distance < least)
            {
                (best, least) = (k, distance);
            }
        }

        return best;
    }

    private static void Admits(string what, Bounded[] wanted, float[] got)
    {
        Assert.Equal(wanted.Length, got.Length);
        for (int i = 0; i < got.Length; i++)
        {
            Assert.True(wanted[i].IsInDomain && wanted[i].Admits(got[i]), $"{what}[{i}] is {got[i]:R}, and must be {wanted[i]}.");
        }
    }
}
