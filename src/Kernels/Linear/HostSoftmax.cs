using System.Numerics;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Linear;
using Kernels.Host;

namespace Kernels.Linear;

/// <summary>
/// Softmax with cross-entropy on ILGPU's CPU accelerator; a unit is a row. The i-th SIMD lane adds classes i, i + width,
/// and so on, then come the lanes in order and the classes that fill no register.
/// </summary>
internal unsafe struct HostSoftmax : IHostWork
{
    public float* Logits;
    public int* Labels;
    public float* Losses;
    public float* Gradient; // null: none
    public int Classes;
    public float Scale;

    public readonly void Run(long begin, long end)
    {
        for (long row = begin; row < end; row++)
        {
            Evaluate(row);
        }
    }

    /// <summary>The mean of the losses, in the order of the devices' groups of <see cref="GroupTree.MaxGroup"/>.</summary>
    internal static float Mean(float* losses, int rows)
    {
        const int Lanes = GroupTree.MaxGroup;
        float* sums = stackalloc float[Lanes];
        new Span<float>(sums, Lanes).Clear();
        for (int i = 0; i < rows; i++)
        {
            sums[i % Lanes] += losses[i];
        }

        for (int half = Lanes / 2; half > 0; half /= 2)
        {
            for (int i = 0; i < half; i++)
            {
                sums[i] += sums[i + half];
            }
        }

        return sums[0] / rows;
    }

    private readonly void Evaluate(long row)
    {
        int width = Vector<float>.Count;
        int full = Classes - (Classes % width);
        float* x = Logits + (row * Classes);
        float max = float.NegativeInfinity;
        for (int c = 0; c < Classes; c++)
        {
            max = GroupTree.Larger(max, x[c]);
        }

        HostLane shift = HostLane.Of(max);
        Vector<float> lanes = Vector<float>.Zero;
        for (int c = 0; c < full; c += width)
        {
            lanes += Exponential.OfNegative(new HostLane(Vector.Load(x + c)) - shift).Value;
        }

        float sum = 0f;
        for (int i = 0; i < width; i++)
        {
            sum += lanes[i];
        }

        for (int c = full; c < Classes; c++)
        {
            sum += Exponential.OfNegative(Lane.Of(x[c] - max)).Value;
        }

        int label = Labels[row];
        Losses[row] = Logarithm.OfAtLeastOne(Lane.Of(sum)).Value - (x[label] - max);
        if (Gradient == null)
        {
            return;
        }

        float* g = Gradient + (row * Classes);
        float share = 1f / sum;
        // Before the label's logit may be overwritten.
        float own = ((Exponential.OfNegative(Lane.Of(x[label] - max)).Value * share) - 1f) * Scale;
        for (int c = 0; c < full; c += width)
        {
            (Exponential.OfNegative(new HostLane(Vector.Load(x + c)) - shift).Value * share * Scale).Store(g + c);
        }

        for (int c = full; c < Classes; c++)
        {
            g[c] = Exponential.OfNegative(Lane.Of(x[c] - max)).Value * share * Scale;
        }

        g[label] = own;
    }
}
