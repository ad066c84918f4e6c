using global::TorchSharp;
using ILGPU;
using ILGPU.Runtime;
using Kernels.TorchSharp.Optimizers;
using Kernels.TorchSharp.Tests.Support;
using Kernels.TorchSharp.VectorQuantization;
using Kernels.VectorQuantization;

namespace Kernels.TorchSharp.Tests.VectorQuantization;

public sealed class CodeBridgeTests
{
    private const int Codes = 32;
    private const int Dimension = 6;

    private static readonly BridgeOptions s_options = new() { Patch = 4, Width = 16, Heads = 2, Depth = 1 };

    [TorchFact]
    public void Codes_and_gradients_are_those_of_the_library()
    {
        using var module = new CodeBridge(Codes, Dimension, s_options, seed: 3);
        Accelerator accelerator = HostMemory.Session.Accelerator;
        using var bridge = new Bridge(accelerator, Codes, Dimension, s_options);
        bridge.Initialize(accelerator.DefaultStream, seed: 3);
        float[] numbers = Tensors.Draw(1, Codes * Dimension);
        float[] g = Tensors.Draw(2, Codes * Dimension);
        using MemoryBuffer1D<float, Stride1D.Dense> codes = accelerator.Allocate1D(numbers);
        using MemoryBuffer1D<float, Stride1D.Dense> gradient = accelerator.Allocate1D(g);
        using MemoryBuffer1D<float, Stride1D.Dense> projected = accelerator.Allocate1D<float>(Codes * Dimension);
        using MemoryBuffer1D<float, Stride1D.Dense> toCodes = accelerator.Allocate1D<float>(Codes * Dimension);
        bridge.Forward(accelerator.DefaultStream, codes.View, projected.View);
        bridge.Backward(accelerator.DefaultStream, codes.View, gradient.View, toCodes.View);

        using torch.Tensor x = torch.tensor(numbers, Codes, Dimension).requires_grad_();
        using torch.Tensor y = module.forward(x);
        y.backward([torch.tensor(g, Codes, Dimension)]);

        Assert.Equal(projected.GetAsArray1D(), Tensors.Values(y));
        Assert.Equal(toCodes.GetAsArray1D(), Tensors.Values(x.grad!));
        var weights = new float[bridge.Gradients.Length];
        bridge.Gradients.CopyToCPU(accelerator.DefaultStream, weights);
        Assert.Equal(weights, Tensors.Values(module.get_parameter("weights")!.grad!));
        Assert.Equal(weights.Length, module.Weights.Sum(w => w.Length));
    }

    [TorchFact]
    public void Codes_learn_through_the_bridge()
    {
        torch.random.manual_seed(4);
        using var bridge = new CodeBridge(Codes, Dimension, s_options);
        using var quantize = new VectorQuantize(Codes, Dimension);
        using KernelOptimizer optimizer = KernelOptimizers.Adam([.. bridge.parameters(), .. quantize.parameters()], lr: 1e-2);
        using torch.Tensor x = torch.randn(128, Dimension);
        var losses = new List<float>();
        for (int step = 0; step < 60; step++)
        {
            using DisposeScope scope = torch.NewDisposeScope();
            optimizer.zero_grad();
            torch.Tensor codes = bridge.forward(quantize.get_parameter("embed")!);
            (_, _, torch.Tensor loss) = quantize.Quantize(x, codes);
            loss.backward();
            losses.Add(loss.item<float>());
            optimizer.step();
        }

        Assert.True(losses[^1] < losses[0] / 2, string.Join(", ", losses));
    }

    [TorchFact]
    public void Codes_that_do_not_fit_are_refused()
    {
        using var module = new CodeBridge(Codes, Dimension, s_options);
        Assert.Throws<ArgumentException>(() => module.forward(torch.zeros(Codes, Dimension + 1)));
        Assert.Throws<ArgumentException>(() => module.forward(torch.zeros(Codes, Dimension, torch.ScalarType.BFloat16)));
        Assert.Throws<ArgumentException>(() => module.forward(torch.zeros(Dimension, Codes).t()));
        Assert.Throws<ArgumentException>(() => new CodeBridge(Codes + 1, Dimension, s_options));
        var freed = torch.zeros(Codes, Dimension);
        freed.Dispose();
        Assert.Throws<ObjectDisposedException>(() => module.forward(freed));
    }
}
