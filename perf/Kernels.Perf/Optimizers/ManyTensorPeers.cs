#if PEERS
using BenchmarkDotNet.Attributes;
using TorchSharp;
using static TorchSharp.torch;

namespace Kernels.Perf.Optimizers;

public partial class ManyTensorBenchmarks
{
    // torch._fused_adamw_ is what PyTorch's AdamW(fused=True) calls; TorchSharp reaches it through TorchScript only.
    private const string Script = """
        def step(p: List[Tensor], g: List[Tensor], m: List[Tensor], v: List[Tensor], x: List[Tensor], t: List[Tensor]) -> int:
            torch._fused_adamw_(p, g, m, v, x, t, lr=0.001, beta1=0.9, beta2=0.999, weight_decay=0.01, eps=1e-08,
                                amsgrad=False, maximize=False)
            return 0

        """;

    private optim.Optimizer _torch = null!;
    private jit.CompilationUnit _fused = null!;
    private Tensor[][] _lists = [];

    /// <summary>TorchSharp's AdamW.</summary>
    [Benchmark(OperationsPerInvoke = Steps)]
    public void TorchSharpAdamW()
    {
        for (int step = 0; step < Steps; step++)
        {
            _torch.step();
        }
    }

    /// <summary>libtorch's fused AdamW.</summary>
    [Benchmark(OperationsPerInvoke = Steps)]
    public void LibTorchFused()
    {
        for (int step = 0; step < Steps; step++)
        {
            _fused.invoke("step", [.. _lists]);
        }
    }

    partial void SetupPeers(float[] values)
    {
        set_num_threads(2);
        Tensor[] parameters = Copies(values);
        var list = new List<global::TorchSharp.Modules.Parameter>();
        foreach (Tensor tensor in parameters)
        {
            var parameter = new global::TorchSharp.Modules.Parameter(tensor);
            parameter.grad = torch.tensor(values);
            list.Add(parameter);
        }

        _torch = optim.AdamW(list, lr: 1e-3, weight_decay: 0.01);
        Tensor[] steps = [.. Enumerable.Range(0, Tensors).Select(_ => torch.tensor(100f))];
        _lists =
        [
            Copies(values), Copies(values), Copies(values), Copies(Array.ConvertAll(values, Math.Abs)), [], steps,
        ];
        _fused = jit.compile(Script);
    }

    private Tensor[] Copies(float[] values) => [.. Enumerable.Range(0, Tensors).Select(_ => torch.tensor(values))];
}
#endif
