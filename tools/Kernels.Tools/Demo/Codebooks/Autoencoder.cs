using ILGPU;
using ILGPU.Runtime;
using Kernels.Linear;

namespace Kernels.Tools.Demo.Codebooks;

/// <summary>One linear layer from a patch to the length of a code, and one back. Weights are [outputs, inputs].</summary>
internal sealed class Autoencoder : IDisposable
{
    private readonly Session _session;
    private readonly MatMul _matMul;
    private readonly ColumnSum _columnSum;
    private readonly Adam _adam;
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _parameters;
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _gradients;
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _columnScratch;

    internal Autoencoder(Session session)
    {
        _session = session;
        Accelerator accelerator = session.Accelerator;
        _matMul = new MatMul(accelerator);
        _columnSum = new ColumnSum(accelerator);
        _parameters = accelerator.Allocate1D(VqStart.Network());
        _gradients = accelerator.Allocate1D<float>(_parameters.Length);
        _columnScratch = accelerator.Allocate1D<float>(
            Math.Max(1, ColumnSum.ScratchLength(VqSetting.Batch, Photograph.PatchLength)));
        _adam = new Adam(session, _parameters.View, _gradients.View);
        Encoder = new Layer(0, Photograph.PatchLength, VqSetting.Dimension);
        Decoder = new Layer(Encoder.End, VqSetting.Dimension, Photograph.PatchLength);
    }

    internal Layer Encoder { get; }

    internal Layer Decoder { get; }

    /// <summary>Enqueues y = x W^T + b.</summary>
    internal void Forward(Layer layer, ArrayView<float> x, ArrayView<float> y, int rows) => _matMul.Multiply(
        _session.Stream, x, false, layer.Weight(_parameters), true, y, rows, layer.Outputs, layer.Inputs,
        layer.Bias(_parameters));

    /// <summary>Enqueues the gradients of a layer from those of its result, and of its input where asked for.</summary>
    internal void Backward(
        Layer layer, ArrayView<float> x, ArrayView<float> gradY, int rows, ArrayView<float> gradX = default)
    {
        AcceleratorStream stream = _session.Stream;
        _matMul.Multiply(
            stream, gradY, true, x, false, layer.Weight(_gradients), layer.Outputs, layer.Inputs, rows);
        _columnSum.Sum(
            stream, gradY, layer.Bias(_gradients), rows, layer.Outputs, _columnScratch.View.BaseView);
        if (gradX.Length > 0)
        {
            _matMul.Multiply(
                stream, gradY, false, layer.Weight(_parameters), false, gradX, rows, layer.Inputs, layer.Outputs);
        }
    }

    internal void Step(double rate) => _adam.Step(rate);

    public void Dispose()
    {
        _adam.Dispose();
        _parameters.Dispose();
        _gradients.Dispose();
        _columnScratch.Dispose();
    }

    /// <summary>Where a layer lies among the parameters, and the same among the gradients.</summary>
    internal readonly record struct Layer(int Begin, int Inputs, int Outputs)
    {
        internal int End => Begin + ((Inputs + 1) * Outputs);

        internal ArrayView<float> Weight(MemoryBuffer1D<float, Stride1D.Dense> buffer) =>
            buffer.View.SubView(Begin, Inputs * Outputs);

        internal ArrayView<float> Bias(MemoryBuffer1D<float, Stride1D.Dense> buffer) =>
            buffer.View.SubView(Begin + (Inputs * Outputs), Outputs);
    }
}
