using System.Diagnostics.CodeAnalysis;
using ILGPU;
using ILGPU.Runtime;
using Kernels.Launching;
using Kernels.Linear;

namespace Kernels.VectorQuantization;

/// <summary>The two passes of a bridge and their memory; what the caller gives has been checked.</summary>
[RequiresDynamicCode(LoadedKernels.Reason)]
internal sealed class BridgePass : IDisposable
{
    private readonly Accelerator _accelerator;
    private readonly MatMul _matMul;
    private readonly Activations _activations;
    private readonly ColumnSum _columnSum;
    private readonly LayerNorm _layerNorm;
    private readonly Attention _attention;
    private readonly List<MemoryBuffer1D<float, Stride1D.Dense>> _buffers = [];
    private readonly BridgeOptions _options;
    private readonly BridgeWeights _weights;
    private readonly TensorView _parameters;
    private readonly TensorView _gradients;
    private readonly int _tokens;
    private readonly Block[] _blocks;
    private readonly Normal _compressed;
    private readonly Normal _last;
    private readonly TensorView _x;          // [tokens, width]: the residual stream; backward, its gradient
    private readonly TensorView _narrow;     // [tokens, width]: a gradient on its way to the stream
    private readonly TensorView _hiddenGrad; // [tokens, ratio width]
    private readonly TensorView _qkvGrad;    // [tokens, 3 width]
    private readonly TensorView _dots;       // scratch of attention
    private readonly TensorView _partSums;   // scratch of column sums

    internal BridgePass(
        Accelerator accelerator, int tokens, BridgeOptions options, BridgeWeights weights, TensorView parameters,
        TensorView gradients, TileWalk? walk)
    {
        bool launch = walk is not null and not TileWalk.Host;
        _accelerator = accelerator;
        _matMul = new MatMul(accelerator, walk);
        _activations = new Activations(accelerator, launch);
        _columnSum = new ColumnSum(accelerator, launch);
        _layerNorm = new LayerNorm(accelerator, walk);
        _attention = new Attention(accelerator, walk);
        _tokens = tokens;
        _options = options;
        _weights = weights;
        _parameters = parameters;
        _gradients = gradients;
        int width = options.Width;
        int hidden = options.MlpRatio * width;
        _blocks = new Block[options.Depth];
        for (int i = 0; i < _blocks.Length; i++)
        {
            _blocks[i] = new Block(
                NewNormal(), New(3L * width), New(width), NewBuffer(Attention.StateLength(tokens, options.Heads)),
                NewNormal(), New(hidden), New(hidden));
        }

        _compressed = options.CompressNorm ? NewNormal() : default;
        _last = NewNormal();
        _x = New(width);
        _narrow = New(width);
        if (options.Depth > 0)
        {
            _hiddenGrad = New(hidden);
            _qkvGrad = New(3L * width);
            _dots = New(options.Heads);
        }

        int widest = Math.Max(weights.Recover.Outputs, Math.Max(3 * width, hidden));
        _partSums = NewBuffer(ColumnSum.ScratchLength(tokens, widest));
    }

    /// <summary>Bytes of all buffers.</summary>
    internal long Bytes => _buffers.Sum(buffer => buffer.LengthInBytes);

    internal void Forward(AcceleratorStream stream, TensorView codes, TensorView projected)
    {
        int size = _options.Width / _options.Heads;
        Linear(stream, codes, _weights.Compress, _x);
        if (_options.CompressNorm)
        {
            // Once to keep, and once more in place.
            Normalise(stream, _compressed);
            _layerNorm.Forward(stream, _x, _x, _compressed.Factors, _tokens, _options.Width, _options.Epsilon);
        }

        for (int i = 0; i < _blocks.Length; i++)
        {
            Block block = _blocks[i];
            BridgeWeights.Block layers = _weights.Blocks[i];
            Normalise(stream, block.First);
            Linear(stream, block.First.Y, layers.Qkv, block.Qkv);
            _attention.Forward(stream, block.Qkv, block.Mixed, block.State, _tokens, _options.Heads, size);
            Linear(stream, block.Mixed, layers.Project, _x, accumulate: true);
            Normalise(stream, block.Second);
            Linear(stream, block.Second.Y, layers.Expand, block.Hidden);
            _activations.Forward(stream, block.Hidden, block.Active, Activation.Gelu);
            Linear(stream, block.Active, layers.Reduce, _x, accumulate: true);
        }

        Normalise(stream, _last);
        Linear(stream, _last.Y, _weights.Recover, projected);
    }

    internal void Backward(AcceleratorStream stream, TensorView codes, TensorView gradProjected, TensorView gradCodes)
    {
        int size = _options.Width / _options.Heads;
        LinearBack(stream, _last.Y, gradProjected, _weights.Recover, _narrow);
        NormaliseBack(stream, _last, accumulate: false);
        for (int i = _blocks.Length - 1; i >= 0; i--)
        {
            Block block = _blocks[i];
            BridgeWeights.Block layers = _weights.Blocks[i];
            LinearBack(stream, block.Active, _x, layers.Reduce, _hiddenGrad);
            _activations.Backward(stream, block.Hidden, _hiddenGrad, _hiddenGrad, Activation.Gelu);
            LinearBack(stream, block.Second.Y, _hiddenGrad, layers.Expand, _narrow);
            NormaliseBack(stream, block.Second, accumulate: true);
            LinearBack(stream, block.Mixed, _x, layers.Project, _narrow);
            _attention.Backward(
                stream, block.Qkv, block.Mixed, block.State, _narrow, _qkvGrad, _dots, _tokens, _options.Heads, size);
            LinearBack(stream, block.First.Y, _qkvGrad, layers.Qkv, _narrow);
            NormaliseBack(stream, block.First, accumulate: true);
        }

        if (_options.CompressNorm)
        {
            _layerNorm.Backward(
                stream, _compressed.Y, _compressed.Factors, _x, _x, _tokens, _options.Width);
        }

        LinearBack(stream, codes, _x, _weights.Compress, gradCodes);
    }

    public void Dispose()
    {
        foreach (MemoryBuffer1D<float, Stride1D.Dense> buffer in _buffers)
        {
            buffer.Dispose();
        }
    }

    private TensorView New(long columns) => NewBuffer(_tokens * columns);

    private TensorView NewBuffer(long length)
    {
        if (length == 0)
        {
            return default;
        }

        MemoryBuffer1D<float, Stride1D.Dense> buffer = _accelerator.Allocate1D<float>(length);
        _buffers.Add(buffer);
        return buffer.View;
    }

    private Normal NewNormal() => new(New(_options.Width), New(1));

    private void Normalise(AcceleratorStream stream, Normal to) =>
        _layerNorm.Forward(stream, _x, to.Y, to.Factors, _tokens, _options.Width, _options.Epsilon);

    private void NormaliseBack(AcceleratorStream stream, Normal from, bool accumulate) =>
        _layerNorm.Backward(stream, from.Y, from.Factors, _narrow, _x, _tokens, _options.Width, accumulate);

    private void Linear(
        AcceleratorStream stream, TensorView x, BridgeLayer layer, TensorView y, bool accumulate = false) =>
        _matMul.Multiply(
            stream, x, false, Weight(_parameters, layer), true, y, _tokens, layer.Outputs, layer.Inputs,
            Bias(_parameters, layer), accumulate: accumulate);

    /// <summary>The gradients of a layer's weight and bias, and of its input unless that is empty.</summary>
    private void LinearBack(AcceleratorStream stream, TensorView x, TensorView dy, BridgeLayer layer, TensorView dx)
    {
        _matMul.Multiply(
            stream, dy, true, x, false, Weight(_gradients, layer), layer.Outputs, layer.Inputs, _tokens);
        long scratch = ColumnSum.ScratchLength(_tokens, layer.Outputs);
        _columnSum.Sum(
            stream, dy, Bias(_gradients, layer), _tokens, layer.Outputs,
            scratch == 0 ? default : _partSums.Slice(0, scratch));
        if (!dx.IsEmpty)
        {
            _matMul.Multiply(
                stream, dy, false, Weight(_parameters, layer), false, dx, _tokens, layer.Inputs, layer.Outputs);
        }
    }

    private static TensorView Weight(TensorView all, BridgeLayer layer) =>
        all.Slice(layer.Weight, (long)layer.Outputs * layer.Inputs);

    private static TensorView Bias(TensorView all, BridgeLayer layer) => all.Slice(layer.Bias, layer.Outputs);

    private readonly record struct Normal(TensorView Y, TensorView Factors);

    private sealed record Block(
        Normal First, TensorView Qkv, TensorView Mixed, TensorView State, Normal Second, TensorView Hidden,
        TensorView Active);
}
