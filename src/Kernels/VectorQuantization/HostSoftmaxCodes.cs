using System.Numerics;
using System.Runtime.CompilerServices;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Linear;
using Kernels.DeviceCode.VectorQuantization;
using Kernels.Host;
using Kernels.Launching;

namespace Kernels.VectorQuantization;

/// <summary>What happens to a row of a tile.</summary>
internal enum SoftmaxCodesPass
{
    /// <summary>Rows and gradients come to the tile.</summary>
    Load,

    /// <summary>Logits and t go into the state.</summary>
    Weigh,

    /// <summary>dl goes over the logits.</summary>
    Delta,

    /// <summary>The gradient leaves the tile.</summary>
    Store,
}

/// <summary>The passes between the products on ILGPU's CPU accelerator, by SIMD along a row; a unit is a row.</summary>
internal unsafe struct HostSoftmaxCodes : IHostWork
{
    public HostStored View;
    public int* Index; // null: of codes
    public long First;
    public long Stride;
    public long FirstIndex;
    public int IndexStride;
    public int CodeCount;
    public int Dimension;

    /// <summary>[rows, d].</summary>
    public float* Tile;

    /// <summary>[2 rows, codes].</summary>
    public float* Scores;
    public float* Largest;
    public float* Sum;
    public float* Weighted;
    public int Rows;
    public int Codes;
    public bool IsFirst;
    public SoftmaxCodesPass Pass;

    public readonly void Run(long begin, long end)
    {
        for (long row = begin; row < end; row++)
        {
            switch (Pass)
            {
                case SoftmaxCodesPass.Load:
                    Load(row);
                    break;
                case SoftmaxCodesPass.Weigh:
                    Weigh(row);
                    break;
                case SoftmaxCodesPass.Delta:
                    Delta(row);
                    break;
                default:
                    Store(row);
                    break;
            }
        }
    }

    /// <summary>The gradients of the rows go to their hard codes.</summary>
    internal readonly void Hard(float* gradCodes)
    {
        for (int row = 0; row < Rows; row++)
        {
            if (!Counts(row))
            {
                continue;
            }

            float* from = Tile + ((long)row * Dimension);
            float* to = gradCodes + ((long)Index[FirstIndex + ((long)row * IndexStride)] * Dimension);
            for (int i = 0; i < Dimension; i++)
            {
                to[i] += from[i];
            }
        }
    }

    private readonly bool Counts(long row) =>
        Index is null || (uint)Index[FirstIndex + (row * IndexStride)] < (uint)CodeCount;

    private readonly void Load(long row)
    {
        float* to = Tile + (row * Dimension);
        if (!Counts(row))
        {
            new Span<float>(to, Dimension).Clear();
            return;
        }

        float* from = View.Values(First + (row * Stride), Dimension, to);
        if (from != to)
        {
            new Span<float>(from, Dimension).CopyTo(new Span<float>(to, Dimension));
        }
    }

    private readonly void Store(long row)
    {
        long at = First + (row * Stride);
        if (!Counts(row))
        {
            View.Clear(at, Dimension);
            return;
        }

        float* from = Tile + (row * Dimension);
        float* to = View.Place(at, from);
        if (to != from)
        {
            new Span<float>(from, Dimension).CopyTo(new Span<float>(to, Dimension));
        }

        View.Store(from, at, Dimension);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private readonly void Weigh(long row)
    {
        int width = Vector<float>.Count;
        int codes = Codes;
        float* logits = Scores + (row * codes);
        float* values = Scores + ((Rows + row) * codes);
        float old = IsFirst ? float.NegativeInfinity : Largest[row];
        HostLane most = HostLane.Of(old);
        int c = 0;
        for (; c + width <= codes; c += width)
        {
            var logit = new HostLane(Vector.Load(logits + c));
            most = HostLane.IfGreater(logit, most, logit, most);
        }

        float max = old;
        for (int lane = 0; lane < width; lane++)
        {
            max = GroupTree.Larger(max, most.Value[lane]);
        }

        for (; c < codes; c++)
        {
            max = GroupTree.Larger(max, logits[c]);
        }

        HostLane shift = HostLane.Of(max);
        Vector<float> sums = Vector<float>.Zero;
        Vector<float> products = Vector<float>.Zero;
        for (c = 0; c + width <= codes; c += width)
        {
            Vector<float> weight = Exponential.OfNegative(new HostLane(Vector.Load(logits + c)) - shift).Value;
            sums += weight;
            products += weight * Vector.Load(values + c);
        }

        float sum = Vector.Sum(sums);
        float weighted = Vector.Sum(products);
        for (; c < codes; c++)
        {
            float weight = Exponential.OfNegative(Lane.Of(logits[c] - max)).Value;
            sum += weight;
            weighted += weight * values[c];
        }

        if (!IsFirst)
        {
            float factor = Exponential.OfNegative(Lane.Of(old - max)).Value;
            sum = (Sum[row] * factor) + sum;
            weighted = (Weighted[row] * factor) + weighted;
        }

        Largest[row] = max;
        Sum[row] = sum;
        Weighted[row] = weighted;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private readonly void Delta(long row)
    {
        int width = Vector<float>.Count;
        int codes = Codes;
        float* logits = Scores + (row * codes);
        float* values = Scores + ((Rows + row) * codes);
        if (!Counts(row))
        {
            new Span<float>(logits, codes).Clear();
            return;
        }

        float max = Largest[row];
        HostLane shift = HostLane.Of(max);
        float share = 1f / Sum[row];
        float mean = Weighted[row] * share;
        int c = 0;
        for (; c + width <= codes; c += width)
        {
            SoftmaxCodesKernel.Slope(
                new HostLane(Vector.Load(logits + c)) - shift, new HostLane(Vector.Load(values + c)), share, mean)
                .Value.Store(logits + c);
        }

        for (; c < codes; c++)
        {
            logits[c] = SoftmaxCodesKernel.Slope(Lane.Of(logits[c] - max), Lane.Of(values[c]), share, mean).Value;
        }
    }
}
