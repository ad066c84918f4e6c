using System.Numerics;
using System.Runtime.InteropServices;
using Kernels.Optimizers;

namespace Kernels.Tools.Demo;

/// <summary>
/// A network of 64 inputs, 128 rectified hidden units and 10 classes, trained by softmax cross-entropy. Weights are
/// [outputs, inputs].
/// </summary>
internal sealed class Network(Session session, ITrainer trainer)
{
    internal const int Hidden = 128;

    private const string HiddenWeight = "hidden.weight";
    private const string HiddenBias = "hidden.bias";
    private const string OutputWeight = "output.weight";
    private const string OutputBias = "output.bias";

    private readonly float[] _w1 = new float[Hidden * Digits.Inputs];
    private readonly float[] _b1 = new float[Hidden];
    private readonly float[] _w2 = new float[Digits.Classes * Hidden];
    private readonly float[] _b2 = new float[Digits.Classes];
    private readonly float[] _dw1 = new float[Hidden * Digits.Inputs];
    private readonly float[] _db1 = new float[Hidden];
    private readonly float[] _dw2 = new float[Digits.Classes * Hidden];
    private readonly float[] _db2 = new float[Digits.Classes];
    private readonly float[] _hidden = new float[Hidden];
    private readonly float[] _hiddenGradient = new float[Hidden];
    private readonly float[] _scores = new float[Digits.Classes];

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

    /// <summary>Loss and gradients of the mean over some digits; the gradients are then with the trainer.</summary>
    internal double Backward(Digits digits, int first, int count)
    {
        Load();
        Array.Clear(_dw1);
        Array.Clear(_db1);
        Array.Clear(_dw2);
        Array.Clear(_db2);
        double loss = 0;
        for (int i = first; i < first + count; i++)
        {
            ReadOnlySpan<float> x = digits.Pixels.AsSpan(i * Digits.Inputs, Digits.Inputs);
            Forward(x);
            loss += Softmax(digits.Labels[i]);
            Array.Clear(_hiddenGradient);
            for (int k = 0; k < Digits.Classes; k++)
            {
                float gradient = (_scores[k] - (k == digits.Labels[i] ? 1f : 0f)) / count;
                _db2[k] += gradient;
                AddScaled(gradient, _hidden, _dw2.AsSpan(k * Hidden, Hidden));
                AddScaled(gradient, _w2.AsSpan(k * Hidden, Hidden), _hiddenGradient);
            }

            for (int j = 0; j < Hidden; j++)
            {
                if (_hidden[j] > 0)
                {
                    _db1[j] += _hiddenGradient[j];
                    AddScaled(_hiddenGradient[j], x, _dw1.AsSpan(j * Digits.Inputs, Digits.Inputs));
                }
            }
        }

        TensorCopy.Upload(session.Stream, _dw1, trainer.Gradient(HiddenWeight));
        TensorCopy.Upload(session.Stream, _db1, trainer.Gradient(HiddenBias));
        TensorCopy.Upload(session.Stream, _dw2, trainer.Gradient(OutputWeight));
        TensorCopy.Upload(session.Stream, _db2, trainer.Gradient(OutputBias));
        return loss / count;
    }

    /// <summary>Share of the digits that are recognised.</summary>
    internal double Accuracy(Digits digits)
    {
        Load();
        int right = 0;
        for (int i = 0; i < digits.Count; i++)
        {
            Forward(digits.Pixels.AsSpan(i * Digits.Inputs, Digits.Inputs));
            right += _scores.AsSpan().IndexOf(_scores.Max()) == digits.Labels[i] ? 1 : 0;
        }

        return (double)right / digits.Count;
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

    private void Load()
    {
        TensorCopy.Download(session.Stream, trainer.View(HiddenWeight), _w1);
        TensorCopy.Download(session.Stream, trainer.View(HiddenBias), _b1);
        TensorCopy.Download(session.Stream, trainer.View(OutputWeight), _w2);
        TensorCopy.Download(session.Stream, trainer.View(OutputBias), _b2);
    }

    private void Forward(ReadOnlySpan<float> x)
    {
        for (int j = 0; j < Hidden; j++)
        {
            _hidden[j] = Math.Max(0, _b1[j] + Dot(_w1.AsSpan(j * Digits.Inputs, Digits.Inputs), x));
        }

        for (int k = 0; k < Digits.Classes; k++)
        {
            _scores[k] = _b2[k] + Dot(_w2.AsSpan(k * Hidden, Hidden), _hidden);
        }
    }

    // Turns scores into probabilities and returns the loss.
    private double Softmax(int label)
    {
        float largest = _scores.Max();
        double sum = 0;
        foreach (float score in _scores)
        {
            sum += Math.Exp(score - largest);
        }

        double loss = Math.Log(sum) - (_scores[label] - largest);
        for (int k = 0; k < Digits.Classes; k++)
        {
            _scores[k] = (float)(Math.Exp(_scores[k] - largest) / sum);
        }

        return loss;
    }

    // Lengths are multiples of the vector's.
    private static float Dot(ReadOnlySpan<float> a, ReadOnlySpan<float> b)
    {
        ReadOnlySpan<Vector<float>> left = MemoryMarshal.Cast<float, Vector<float>>(a);
        ReadOnlySpan<Vector<float>> right = MemoryMarshal.Cast<float, Vector<float>>(b);
        Vector<float> sum = Vector<float>.Zero;
        for (int i = 0; i < left.Length; i++)
        {
            sum += left[i] * right[i];
        }

        return Vector.Sum(sum);
    }

    private static void AddScaled(float scale, ReadOnlySpan<float> x, Span<float> y)
    {
        ReadOnlySpan<Vector<float>> from = MemoryMarshal.Cast<float, Vector<float>>(x);
        Span<Vector<float>> to = MemoryMarshal.Cast<float, Vector<float>>(y);
        for (int i = 0; i < to.Length; i++)
        {
            to[i] += scale * from[i];
        }
    }
}
