using ILGPU;
using ILGPU.Runtime;
using Kernels.Linear;
using Kernels.Optimizers;

namespace Kernels.Tools.Demo.Optimizers;

/// <summary>
/// A network of 64 inputs, 128 rectified hidden units and 10 classes, trained by softmax cross-entropy, all of it on
/// the session's device. Weights are [outputs, inputs].
/// </summary>
internal sealed class Network : IDisposable
{
    internal const int Hidden = 128;

    private const string HiddenWeight = "hidden.weight";
    private const string HiddenBias = "hidden.bias";
    private const string OutputWeight = "output.weight";
    private const string OutputBias = "output.bias";

    private readonly Session _session;
    private readonly Optimizer _optimizer;
    private readonly MatMul _matMul;
    private readonly Activations _activations;
    private readonly ColumnSum _columnSum;
    private readonly SoftmaxCrossEntropy _crossEntropy;
    private readonly Predictions _predictions;
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _x;
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _hidden;
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _hiddenGradient;
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _logits;
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _losses;
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _mean;
    private readonly MemoryBuffer1D<int, Stride1D.Dense> _labels;
    private readonly MemoryBuffer1D<int, Stride1D.Dense> _predicted;
    private readonly MemoryBuffer1D<int, Stride1D.Dense> _right;

    /// <summary>Room for batches of up to <paramref name="maxRows"/> digits.</summary>
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
        _x = accelerator.Allocate1D<float>((long)maxRows * Digits.Inputs);
        _hidden = accelerator.Allocate1D<float>((long)maxRows * Hidden);
        _hiddenGradient = accelerator.Allocate1D<float>((long)maxRows * Hidden);
        _logits = accelerator.Allocate1D<float>((long)maxRows * Digits.Classes);
        _losses = accelerator.Allocate1D<float>(maxRows);
        _mean = accelerator.Allocate1D<float>(1);
        _labels = accelerator.Allocate1D<int>(maxRows);
        _predicted = accelerator.Allocate1D<int>(maxRows);
        _right = accelerator.Allocate1D<int>(1);
    }

    /// <summary>The parameters in He's initialisation (He et al. 2015), the same for the same seed.</summary>
    internal static IReadOnlyList<Parameter> Initial(int seed)
    {
        var random = new Random(seed);
        return
        [
            new Parameter(HiddenWeight, Normal(random, Hidden, Digits.Inputs), Hidden, Digits.Inputs),
            new Parameter(HiddenBias, Hidden),
            new Parameter(OutputWeight, Normal(random, Digits.Classes, Hidden), Digits.Classes, Hidden),
            new Parameter(OutputBias, Digits.Classes),
        ];
    }

    /// <summary>Loss and gradients of the mean over some digits; the gradients are then with the optimizer.</summary>
    internal double Backward(Digits digits, int first, int rows)
    {
        AcceleratorStream stream = _session.Stream;
        Load(digits, first, rows);
        Forward(rows);
        ArrayView<float> x = _x.View.SubView(0, (long)rows * Digits.Inputs);
        ArrayView<float> hidden = _hidden.View.SubView(0, (long)rows * Hidden);
        ArrayView<float> hiddenGradient = _hiddenGradient.View.SubView(0, (long)rows * Hidden);
        ArrayView<float> logits = _logits.View.SubView(0, (long)rows * Digits.Classes);
        _crossEntropy.Evaluate(
            stream, logits, _labels.View.SubView(0, rows), _losses.View.SubView(0, rows), _mean.View, rows,
            Digits.Classes, gradient: logits);
        _matMul.Multiply(
            stream, logits, true, hidden, false, _optimizer.Gradient(OutputWeight), Digits.Classes, Hidden, rows);
        _columnSum.Sum(stream, logits, _optimizer.Gradient(OutputBias), rows, Digits.Classes);
        _matMul.Multiply(
            stream, logits, false, _optimizer.View(OutputWeight), false, hiddenGradient, rows, Hidden, Digits.Classes);
        _activations.Backward(stream, hidden, hiddenGradient, hiddenGradient, Activation.Relu);
        _matMul.Multiply(
            stream, hiddenGradient, true, x, false, _optimizer.Gradient(HiddenWeight), Hidden, Digits.Inputs, rows);
        _columnSum.Sum(stream, hiddenGradient, _optimizer.Gradient(HiddenBias), rows, Hidden);
        float loss = 0;
        _mean.View.BaseView.CopyToCPU(stream, ref loss, 1);
        stream.Synchronize();
        return loss;
    }

    /// <summary>Share of the digits that are recognised.</summary>
    internal double Accuracy(Digits digits)
    {
        AcceleratorStream stream = _session.Stream;
        int rows = digits.Count;
        Load(digits, 0, rows);
        Forward(rows);
        ArrayView<int> predicted = _predicted.View.SubView(0, rows);
        _predictions.Predict(
            stream, _logits.View.SubView(0, (long)rows * Digits.Classes), predicted, rows, Digits.Classes);
        _predictions.Count(stream, predicted, _labels.View.SubView(0, rows), _right.View);
        int right = 0;
        _right.View.BaseView.CopyToCPU(stream, ref right, 1);
        stream.Synchronize();
        return (double)right / rows;
    }

    public void Dispose()
    {
        MemoryBuffer[] buffers =
            [_x, _hidden, _hiddenGradient, _logits, _losses, _mean, _labels, _predicted, _right];
        Array.ForEach(buffers, b => b.Dispose());
    }

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
        _x.View.BaseView.SubView(0, pixels).CopyFromCPU(
            _session.Stream, ref digits.Pixels[first * Digits.Inputs], pixels);
        _labels.View.BaseView.SubView(0, rows).CopyFromCPU(_session.Stream, ref digits.Labels[first], rows);
        // The arrays are the garbage collector's to move once this returns.
        _session.Synchronize();
    }

    private void Forward(int rows)
    {
        ArrayView<float> hidden = _hidden.View.SubView(0, (long)rows * Hidden);
        _matMul.Multiply(
            _session.Stream, _x.View.SubView(0, (long)rows * Digits.Inputs), false, _optimizer.View(HiddenWeight), true,
            hidden, rows, Hidden, Digits.Inputs, _optimizer.View(HiddenBias), Activation.Relu);
        _matMul.Multiply(
            _session.Stream, hidden, false, _optimizer.View(OutputWeight), true,
            _logits.View.SubView(0, (long)rows * Digits.Classes), rows, Digits.Classes, Hidden,
            _optimizer.View(OutputBias));
    }
}
