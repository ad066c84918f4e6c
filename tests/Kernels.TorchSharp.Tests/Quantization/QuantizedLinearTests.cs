using global::TorchSharp;
using Kernels.Quantization;
using Kernels.TorchSharp.Optimizers;
using Kernels.TorchSharp.Quantization;
using Kernels.TorchSharp.Tests.Support;
using TorchLinear = global::TorchSharp.Modules.Linear;

namespace Kernels.TorchSharp.Tests.Quantization;

public sealed class QuantizedLinearTests
{
    private const int Inputs = 24;
    private const int Outputs = 10;
    private const int Codes = 5;

    [TorchTheory]
    [InlineData(false)]
    [InlineData(true)]
    public void Products_and_gradients_of_whole_numbers_are_exact(bool scaled)
    {
        // Sums of small whole numbers are exact in any order.
        var layout = new CodebookLayout(
            Outputs, Inputs, new CodeFormat(Codes), codebooks: WeightScope.Groups([0, 4, Outputs]),
            scales: scaled ? WeightScope.Rows : null);
        var random = new Random(1);
        using var layer = new QuantizedLinear(layout);
        torch.Tensor index = Whole(random, 0, Codes, Outputs, Inputs);
        torch.Tensor codebook = Whole(random, -4, 5, 2, Codes);
        torch.Tensor scale = Whole(random, 1, 4, Outputs);
        using (torch.no_grad())
        {
            using torch.Tensor bytes = index.to(torch.ScalarType.Byte);
            new Pack(HostMemory.Session.Accelerator, layout).Run(
                HostMemory.Session.Stream, HostMemory.Bytes(bytes), HostMemory.Bytes(layer.get_buffer("packed")!));
            layer.get_parameter("codebook")!.copy_(codebook);
            layer.get_parameter("bias")!.copy_(Whole(random, -3, 4, Outputs));
            if (scaled)
            {
                layer.get_parameter("scale")!.copy_(scale);
            }
        }

        // The same in operations of torch.
        torch.Tensor book = codebook.requires_grad_();
        torch.Tensor rate = scale.requires_grad_();
        torch.Tensor group = torch.cat([torch.zeros(4, torch.ScalarType.Int64), torch.ones(Outputs - 4, torch.ScalarType.Int64)]);
        torch.Tensor weights = book.index([group]).gather(1, index.to(torch.ScalarType.Int64));
        weights = scaled ? weights * rate.unsqueeze(1) : weights;
        foreach (int rows in (int[])[1, 6, 40])
        {
            torch.Tensor x = Whole(random, -3, 4, 2, rows, Inputs).requires_grad_();
            torch.Tensor same = x.detach().clone().requires_grad_();
            torch.Tensor g = Whole(random, -3, 4, 2, rows, Outputs);
            layer.zero_grad();
            book.grad = null;
            rate.grad = null;

            torch.Tensor y = layer.forward(x);
            (y * g).sum().backward();

            torch.Tensor wanted = torch.matmul(same, weights.t()) + layer.get_parameter("bias")!.detach();
            (wanted * g).sum().backward(retain_graph: true);
            Assert.Equal(wanted.shape, y.shape);
            Assert.Equal(Tensors.Values(wanted), Tensors.Values(y));
            Assert.Equal(Tensors.Values(same.grad!), Tensors.Values(x.grad!));
            Assert.Equal(Tensors.Values(book.grad!), Tensors.Values(layer.get_parameter("codebook")!.grad!));
            Assert.Equal(Tensors.Values(g.sum([0L, 1L])), Tensors.Values(layer.get_parameter("bias")!.grad!));
            if (scaled)
            {
                Assert.Equal(Tensors.Values(rate.grad!), Tensors.Values(layer.get_parameter("scale")!.grad!));
            }
        }
    }

    [TorchFact]
    public void A_dense_layer_in_codes_learns_to_be_what_it_was()
    {
        torch.random.manual_seed(5);
        using TorchLinear dense = torch.nn.Linear(Inputs, Outputs);
        var layout = new CodebookLayout(Outputs, Inputs, new CodeFormat(Codes));
        using QuantizedLinear layer = QuantizedLinear.From(dense, layout);
        Assert.Equal("bias codebook packed", string.Join(' ', layer.state_dict().Keys.Order(StringComparer.Ordinal)));
        using KernelOptimizer optimizer = KernelOptimizers.Adam(layer.parameters(), lr: 0.01);
        using torch.Tensor x = torch.tensor(Tensors.Draw(4, 64 * Inputs), 64, Inputs);
        using torch.Tensor wanted = dense.forward(x).detach();
        var losses = new List<float>();
        for (int step = 0; step < 40; step++)
        {
            using DisposeScope scope = torch.NewDisposeScope();
            optimizer.zero_grad();
            torch.Tensor loss = torch.nn.functional.mse_loss(layer.forward(x), wanted);
            loss.backward();
            losses.Add(loss.item<float>());
            optimizer.step();
        }

        Assert.True(losses[^1] < losses[0], string.Join(", ", losses));
    }

    [TorchFact]
    public void Tensors_and_layouts_that_do_not_fit_are_refused()
    {
        var layout = new CodebookLayout(Outputs, Inputs, new CodeFormat(Codes));
        using var layer = new QuantizedLinear(layout, hasBias: false);
        Assert.Equal([3L, Outputs], layer.forward(torch.zeros(3, Inputs)).shape);
        Assert.Equal([0L, Outputs], layer.forward(torch.zeros(0, Inputs)).shape);
        Assert.Throws<ArgumentException>(() => layer.forward(torch.zeros(3, Inputs + 1)));
        Assert.Throws<ArgumentException>(() => layer.forward(torch.zeros(3, Inputs, torch.ScalarType.Float64)));
        Assert.Throws<ArgumentException>(() => layer.forward(torch.zeros(3, Inputs, torch.ScalarType.BFloat16)));
        Assert.Throws<ArgumentException>(() => layer.forward(torch.zeros(Inputs, 3).t()));
        Assert.Throws<ArgumentNullException>(() => layer.forward(null!));
        Assert.Throws<ArgumentException>(() => new QuantizedLinear(
            new CodebookLayout(Outputs, Inputs, new CodeFormat(Codes), length: 2)));
        Assert.Throws<ArgumentException>(() => new QuantizedLinear(new CodebookLayout(
            Outputs, Inputs, new CodeFormat(Codes, Packing.Fields, PackingOrder.Linear))));
        using TorchLinear dense = torch.nn.Linear(Inputs, Outputs + 1);
        Assert.Throws<ArgumentException>(() => QuantizedLinear.From(dense, layout));
        var freed = torch.zeros(3, Inputs);
        freed.Dispose();
        Assert.Throws<ObjectDisposedException>(() => layer.forward(freed));
    }

    private static torch.Tensor Whole(Random random, int least, int below, params long[] shape) => torch.tensor(
        Enumerable.Range(0, (int)Tensors.Length(shape)).Select(_ => (float)random.Next(least, below)).ToArray(), shape);
}
