using BenchmarkDotNet.Attributes;
using ILGPU;
using ILGPU.Runtime;
using Kernels.Linear;
using Kernels.Perf.Support;
using Kernels.VectorQuantization;

namespace Kernels.Perf.VectorQuantization;

/// <summary>VQBridge, forward and backward with all gradients; and its attention alone.</summary>
public partial class BridgeBenchmarks
{
    private Session _session = null!;
    private MemoryBuffer1D<float, Stride1D.Dense> _codes = null!;
    private MemoryBuffer1D<float, Stride1D.Dense> _projected = null!;
    private MemoryBuffer1D<float, Stride1D.Dense> _grad = null!;
    private MemoryBuffer1D<float, Stride1D.Dense> _gradCodes = null!;
    private MemoryBuffer1D<float, Stride1D.Dense>[] _attentionTensors = [];
    private Bridge _bridge = null!;
    private Attention _attention = null!;

    /// <summary>Codes, length of a code and width; 16 codes a patch, 4 heads, 2 blocks.</summary>
    public readonly record struct Shape(int Codes, int Dimension, int Width)
    {
        /// <summary>Tokens.</summary>
        public int Tokens => Codes / 16;

        /// <inheritdoc/>
        public override string ToString() => $"{Codes} x {Dimension}, {Width}";
    }

    /// <summary>A small one, where launches cost more than products, and the published sizes.</summary>
    public static IEnumerable<Shape> Shapes => [new(1024, 16, 64), new(16_384, 64, 64), new(16_384, 64, 256)];

    /// <summary>What is projected.</summary>
    [ParamsSource(nameof(Shapes))]
    public Shape Sizes { get; set; }

    /// <summary>Allocates and loads.</summary>
    [GlobalSetup]
    public void Setup()
    {
        _session = Bench.Open();
        Accelerator accelerator = _session.Accelerator;
        long length = (long)Sizes.Codes * Sizes.Dimension;
        _codes = Bench.Tensor(_session, length, 1);
        _grad = Bench.Tensor(_session, length, 2);
        _projected = accelerator.Allocate1D<float>(length);
        _gradCodes = accelerator.Allocate1D<float>(length);
        _bridge = new Bridge(accelerator, Sizes.Codes, Sizes.Dimension, new BridgeOptions { Width = Sizes.Width });
        _bridge.Initialize(_session.Stream, 1);
        _attention = new Attention(accelerator);
        long width = (long)Sizes.Tokens * Sizes.Width;
        _attentionTensors =
        [
            Bench.Tensor(_session, 3 * width, 3), accelerator.Allocate1D<float>(width),
            accelerator.Allocate1D<float>(Attention.StateLength(Sizes.Tokens, 4)), Bench.Tensor(_session, width, 4),
            accelerator.Allocate1D<float>(3 * width), accelerator.Allocate1D<float>(4 * Sizes.Tokens),
        ];
        SetupPeers(_codes.GetAsArray1D(), _grad.GetAsArray1D());
    }

    /// <summary>Releases.</summary>
    [GlobalCleanup]
    public void Cleanup()
    {
        _bridge.Dispose();
        Array.ForEach(_attentionTensors, t => t.Dispose());
        _codes.Dispose();
        _grad.Dispose();
        _projected.Dispose();
        _gradCodes.Dispose();
        _session.Dispose();
    }

    /// <summary>Forward alone.</summary>
    [Benchmark]
    public void BridgeForward()
    {
        _bridge.Forward(_session.Stream, _codes.View, _projected.View);
        _session.Synchronize();
    }

    /// <summary>Forward and backward.</summary>
    [Benchmark(Baseline = true)]
    public void BridgeBoth()
    {
        _bridge.Forward(_session.Stream, _codes.View, _projected.View);
        _bridge.Backward(_session.Stream, _codes.View, _grad.View, _gradCodes.View);
        _session.Synchronize();
    }

    /// <summary>Attention of one block, forward and backward.</summary>
    [Benchmark]
    public void AttentionBoth()
    {
        (int tokens, int size) = (Sizes.Tokens, Sizes.Width / 4);
        _attention.Forward(
            _session.Stream, _attentionTensors[0].View, _attentionTensors[1].View, _attentionTensors[2].View, tokens, 4,
            size);
        _attention.Backward(
            _session.Stream, _attentionTensors[0].View, _attentionTensors[1].View, _attentionTensors[2].View,
            _attentionTensors[3].View, _attentionTensors[4].View, _attentionTensors[5].View, tokens, 4, size);
        _session.Synchronize();
    }

    partial void SetupPeers(float[] codes, float[] grad);
}
