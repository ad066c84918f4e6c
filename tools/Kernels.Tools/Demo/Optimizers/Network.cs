using ILGPU;
using ILGPU.Runtime;
using Kernels.Linear;
using Kernels.Optimizers;

namespace Kernels.Tools.Demo.Optimizers;

/// <summary>
/// A network of 64 inputs, rectified hidden layers and 10 classes, trained by softmax cross-entropy, all of it on the
/// session's device. Weights are [outputs, inputs].
/// </summary>
internal sealed class Network : IDisposable
{
    private readonly Session _session;
    private readonly Optimizer _optimizer;
    private readonly MatMul _matMul;
    private readonly Activations _activations;
    private readonly ColumnSum _columnSum;
    private readonly SoftmaxCrossEntropy _crossEntropy;
    private readonly Predictions _predictions;
    private readonly Layer[] _layers;
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _losses;
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _mean;
    private readonly MemoryBuffer1D<int, Stride1D.Dense> _labels;
    private readonly MemoryBuffer1D<int, Stride1D.Dense> _predicted;
    private readonly MemoryBuffer1D<int, Stride1D.Dense> _right;

    /// <summary>Over the parameters that <see cref="Initial"/> made, with room for batches of that many digits.</summary>
    internal Network(Session session, Optimizer optimizer, int maxRows)
    {
        _session = session;
        _optimizer = optimizer;
        Accelerator accelerator = session.Accelerator;
        _matMul = new MatMul(accelerator);
        _activations = new Activations(accelerator);
        _columnSum = new ColumnSum(accelerator);
        _crossEntropy = new SoftmaxCrossEntropy(accelerator);
        _predictions = new Predictions(accelerator);
        _layers = [.. optimizer.Parameters.Where(p => p.Shape.Count == 2).Select(p => new Layer(
            (int)p.Shape[1], (int)p.Shape[0], accelerator.Allocate1D<float>(maxRows * p.Shape[1]),
            accelerator.Allocate1D<float>(maxRows * p.Shape[0])))];
        _losses = accelerator.Allocate1D<float>(maxRows);
        _mean = accelerator.Allocate1D<float>(1);
        _labels = accelerator.Allocate1D<int>(maxRows);
        _predicted = accelerator.Allocate1D<int>(maxRows);
        _right = accelerator.Allocate1D<int>(1);
    }

    /// <summary>The parameters in He's initialisation (He et al. 2015), the same for the same seed.</summary>
    internal static IReadOnlyList<Parameter> Initial(int seed, IReadOnlyList<int> hidden)
    {
        var random = new Random(seed);
        int[] widths = [Digits.Inputs, .. hidden, Digits.Classes];
        return
        [
            .. Enumerable.Range(0, widths.Length - 1).SelectMany(i => (Parameter[])
            [
                new(WeightOf(i), Normal(random, widths[i + 1], widths[i]), widths[i + 1], widths[i]),
                new(BiasOf(i), widths[i + 1]),
            ]),
        ];
    }

    /// <summary>The name of a layer's weight among the parameters.</summary>
    internal static string WeightOf(int layer) => $"layers.{layer}.weight";

    /// <summary>Loss and gradients of the mean over some digits; the gradients are then with the optimizer.</summary>
    internal double Backward(Digits digits, int first, int rows)
    {
        AcceleratorStream stream = _session.Stream;
        Load(digits, first, rows);
        Forward(rows);
        ArrayView<float> logits = _layers[^1].Output(rows);
        _crossEntropy.Evaluate(
            stream, logits, _labels.View.SubView(0, rows), _losses.View.SubView(0, rows), _mean.View, rows,
            Digits.Classes, gradient: logits);
        for (int i = _layers.Length - 1; i >= 0; i--)
        {
            Layer layer = _layers[i];
            _matMul.Multiply(
                stream, layer.Output(rows), true, layer.Input(rows), false, _optimizer.Gradient(WeightOf(i)),
                layer.Outputs, layer.Inputs, rows);
            _columnSum.Sum(stream, layer.Output(rows), _optimizer.Gradient(BiasOf(i)), rows, layer.Outputs);
            if (i > 0)
            {
                ArrayView<float> gradient = _layers[i - 1].Output(rows);
                _matMul.Multiply(
                    stream, layer.Output(rows), false, _optimizer.View(WeightOf(i)), false, gradient, rows, layer.Inputs,
                    layer.Outputs);
                _activations.Backward(stream, layer.Input(rows), gradient, gradient, Activation.Relu);
            }
        }

        float loss = 0;
        _mean.View.BaseView.CopyToCPU(stream, new Span<float>(ref loss));
        stream.Synchronize();
        return loss;
    }

    /// <summary>The gradient of a layer's weight, and what it is the product of, after <see cref="Backward"/>.</summary>
    internal LayerGradient GradientOf(int layer, int rows)
    {
        Layer at = _layers[layer];
        var gradient = new float[at.Outputs * at.Inputs];
        var outputs = new float[rows * at.Outputs];
        var inputs = new float[rows * at.Inputs];
        _optimizer.Download(_optimizer.Gradient(WeightOf(layer)), gradient);
        _optimizer.Download(at.Output(rows), outputs);
        _optimizer.Download(at.Input(rows), inputs);
        return new LayerGradient(gradient, outputs, inputs, rows);
    }

    /// <summary>Share of the digits that are recognised.</summary>
    internal double Accuracy(Digits digits)
    {
        AcceleratorStream stream = _session.Stream;
        int rows = digits.Count;
        Load(digits, 0, rows);
        Forward(rows);
        ArrayView<int> predicted = _predicted.View.SubView(0, rows);
        _predictions.Predict(stream, _layers[^1].Output(rows), predicted, rows, Digits.Classes);
        _predictions.Count(stream, predicted, _labels.View.SubView(0, rows), _right.View);
        int right = 0;
        _right.View.BaseView.CopyToCPU(stream, new Span<int>(ref right));
        stream.Synchronize();
        return (double)right / rows;
    }

    /// <summary>What a layer got, [rows, inputs], after <see cref="Accuracy"/>.</summary>
    internal float[] InputsOf(int layer, int rows) => Downloaded(_layers[layer].Input(rows));

    /// <summary>What the last layer gave, [rows, classes], after <see cref="Accuracy"/>.</summary>
    internal float[] Logits(int rows) => Downloaded(_layers[^1].Output(rows));

    public void Dispose()
    {
        MemoryBuffer[] buffers =
            [.. _layers.SelectMany(l => (MemoryBuffer[])[l.X, l.Y]), _losses, _mean, _labels, _predicted, _right];
        Array.ForEach(buffers, b => b.Dispose());
    }

    private float[] Downloaded(ArrayView<float> view)
    {
        var values = new float[view.Length];
        _optimizer.Download(view, values);
        return values;
    }

    private static string BiasOf(int layer) => $"layers.{layer}.bias";

    private static float[] Normal(Random random, int outputs, int inputs)
    {
        double scale = Math.Sqrt(2.0 / inputs);
        var values = new float[outputs * inputs];
        for (int i = 0; i < values.Length; i++)
        {
            // Box and Muller; 1 - u is never 0.
            double radius = Math.Sqrt(-2 * Math.Log(1 - random.NextDouble()));
            values[i] = (float)(scale * radius * Math.Cos(2 * Math.PI * random.NextDouble()));
        }

        return values;
    }

    private void Load(Digits digits, int first, int rows)
    {
        int pixels = rows * Digits.Inputs;
        _layers[0].X.View.BaseView.SubView(0, pixels).CopyFromCPU<float, ArrayView<float>>(
            _session.Stream, digits.Pixels.AsSpan(first * Digits.Inputs, pixels));
        _labels.View.BaseView.SubView(0, rows).CopyFromCPU<int, ArrayView<int>>(
            _session.Stream, digits.Labels.AsSpan(first, rows));
    }

    private void Forward(int rows)
    {
        for (int i = 0; i < _layers.Length; i++)
        {
            Layer layer = _layers[i];
            bool isLast = i == _layers.Length - 1;
            _matMul.Multiply(
                _session.Stream, layer.Input(rows), false, _optimizer.View(WeightOf(i)), true,
                isLast ? layer.Output(rows) : _layers[i + 1].Input(rows), rows, layer.Outputs, layer.Inputs,
                _optimizer.View(BiasOf(i)), isLast ? Activation.None : Activation.Relu);
        }
    }

    // Y has the logits in the last layer, and on the way back the gradients of what a layer gives.
    private readonly record struct Layer(
        int Inputs, int Outputs, MemoryBuffer1D<float, Stride1D.Dense> X, MemoryBuffer1D<float, Stride1D.Dense> Y)
    {
        internal ArrayView<float> Input(int rows) => X.View.SubView(0, (long)rows * Inputs);

        internal ArrayView<float> Output(int rows) => Y.View.SubView(0, (long)rows * Outputs);
    }
}

/// <summary>The gradient of a weight over a batch.</summary>
/// <param name="Values">[outputs, inputs].</param>
/// <param name="Outputs">[rows, outputs], the gradients of what the layer gave for each digit.</param>
/// <param name="Inputs">[rows, inputs], what it got. The gradient is the product of the two over the digits.</param>
/// <param name="Rows">Digits of the batch.</param>
internal sealed record LayerGradient(float[] Values, float[] Outputs, float[] Inputs, int Rows);
