using System.Numerics;
using Kernels.Host;

namespace Kernels.Linear;

/// <summary>
/// Layer normalisation on ILGPU's CPU accelerator; a unit is a row. The i-th SIMD lane adds columns i, i + width, and so
/// on, then come the lanes in order and the columns that fill no register.
/// </summary>
internal unsafe struct HostLayerNorm : IHostWork
{
    public float* From; // x, or backward y
    public float* To;   // y, or backward dx
    public float* Factors;
    public float* Dy;
    public int Columns;
    public float Epsilon;
    public bool IsBackward;
    public bool Accumulates;

    public readonly void Run(long begin, long end)
    {
        for (long row = begin; row < end; row++)
        {
            if (IsBackward)
            {
                Backward(row);
            }
            else
            {
                Forward(row);
            }
        }
    }

    private readonly void Forward(long row)
    {
        int width = Vector<float>.Count;
        int full = Columns - (Columns % width);
        float* x = From + (row * Columns);
        float* y = To + (row * Columns);
        Vector<float> lanes = Vector<float>.Zero;
        for (int c = 0; c < full; c += width)
        {
            lanes += Vector.Load(x + c);
        }

        float sum = Vector.Sum(lanes);
        for (int c = full; c < Columns; c++)
        {
            sum += x[c];
        }

        float mean = sum / Columns;
        var means = new Vector<float>(mean);
        lanes = Vector<float>.Zero;
        for (int c = 0; c < full; c += width)
        {
            Vector<float> difference = Vector.Load(x + c) - means;
            lanes += difference * difference;
        }

        sum = Vector.Sum(lanes);
        for (int c = full; c < Columns; c++)
        {
            sum += (x[c] - mean) * (x[c] - mean);
        }

        float factor = 1f / MathF.Sqrt((sum / Columns) + Epsilon);
        Factors[row] = factor;
        for (int c = 0; c < full; c += width)
        {
            ((Vector.Load(x + c) - means) * factor).Store(y + c);
        }

        for (int c = full; c < Columns; c++)
        {
            y[c] = (x[c] - mean) * factor;
        }
    }

    private readonly void Backward(long row)
    {
        int width = Vector<float>.Count;
        int full = Columns - (Columns % width);
        float* y = From + (row * Columns);
        float* dy = Dy + (row * Columns);
        float* dx = To + (row * Columns);
        Vector<float> lanes = Vector<float>.Zero;
        Vector<float> products = Vector<float>.Zero;
        for (int c = 0; c < full; c += width)
        {
            Vector<float> g = Vector.Load(dy + c);
            lanes += g;
            products += g * Vector.Load(y + c);
        }

        float mean = Vector.Sum(lanes);
        float along = Vector.Sum(products);
        for (int c = full; c < Columns; c++)
        {
            mean += dy[c];
            along += dy[c] * y[c];
        }

        mean /= Columns;
        along /= Columns;
        float factor = Factors[row];
        var means = new Vector<float>(mean);
        for (int c = 0; c < full; c += width)
        {
            Vector<float> value = (Vector.Load(dy + c) - means - (Vector.Load(y + c) * along)) * factor;
            (Accumulates ? Vector.Load(dx + c) + value : value).Store(dx + c);
        }

        for (int c = full; c < Columns; c++)
        {
            float value = factor * (dy[c] - mean - (y[c] * along));
            dx[c] = Accumulates ? dx[c] + value : value;
        }
    }
}
