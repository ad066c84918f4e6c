using ILGPU;
using ILGPU.Util;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Reductions;

namespace Kernels.DeviceCode.Quantization;

/// <summary>A matrix of codes, as the passes of joint learning see it.</summary>
internal struct JointMatrix
{
    /// <summary>[rows, columns].</summary>
    public ArrayView<byte> Index;

    /// <summary>[codebooks, k].</summary>
    public ArrayView<float> Codebook;

    /// <summary>[scales]; not read unless <see cref="HasScale"/>.</summary>
    public ArrayView<float> Scale;
    public ScopeTable Codebooks;
    public ScopeTable Scales;
    public int Columns;
    public int Codes;
    public int HasScale;

    internal readonly float ScaleOf(int row, int weight)
    {
        float scale = 1f;
        if (HasScale != 0)
        {
            scale = Scale[Scales.Of(row, weight)];
        }

        return scale;
    }

    internal readonly long Book(int row, int weight) => (long)Codebooks.Of(row, weight) * Codes;

    /// <summary>An index that is of no code is the last one.</summary>
    internal readonly int Code(int weight) => IntrinsicMath.Min(Index[weight] & 0xFF, Codes - 1);
}

/// <summary>s c of the indices, or s and 0 for a code and the others; c alone for a code of -2. One weight per item.</summary>
internal struct JointValueWork : IItemWork
{
    /// <summary>Instead of a code: all of them, and without their scale.</summary>
    internal const int AllCodes = -1;
    internal const int WithoutScale = -2;

    public JointMatrix Matrix;
    public ArrayView<float> Value;
    public int Only;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        int weight = (int)i;
        int row = weight / Matrix.Columns;
        int code = Matrix.Code(weight);
        float scale = Matrix.ScaleOf(row, weight);
        float own = Matrix.Codebook[Matrix.Book(row, weight) + code];
        float value = Utilities.Select(Only == WithoutScale, own, scale * own);
        Value[i] = Utilities.Select(Only < 0, value, Utilities.Select(code == Only, scale, 0f));
    }
}

/// <summary>Where learning starts: latent numbers, or logits, whose codes are the indices, one weight per item.</summary>
/// <remarks>
/// A latent number is the index and the place of the weight between the codes, less than a half from it. Logits fall
/// with the distance of a code to the weight, in gaps of the codebook, and that of the index is 0 and the largest.
/// </remarks>
internal struct JointStartWork : IItemWork
{
    private const float Most = 0.49f;
    private const float Least = 0.05f;

    public JointMatrix Matrix;
    public ArrayView<float> Weights;

    /// <summary>Out: [m], or [m, k].</summary>
    public ArrayView<float> Start;
    public int IsLogits;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        int weight = (int)i;
        int row = weight / Matrix.Columns;
        int code = Matrix.Code(weight);
        int last = Matrix.Codes - 1;
        long book = Matrix.Book(row, weight);
        float scale = Matrix.ScaleOf(row, weight);
        float own = Matrix.Codebook[book + code];
        float x = Weights[i] / scale;
        x = Utilities.Select(IsFinite(x), x, own);
        if (IsLogits == 0)
        {
            float up = Matrix.Codebook[book + IntrinsicMath.Min(code + 1, last)] - own;
            float down = own - Matrix.Codebook[book + IntrinsicMath.Max(code - 1, 0)];
            float gap = Utilities.Select(x > own, up, down);
            float place = Utilities.Select(gap > 0f, (x - own) / gap, 0f);
            place = Utilities.Select(place > Most, Most, place);
            Start[i] = code + Utilities.Select(place < -Most, -Most, place);
            return;
        }

        float unit = (Matrix.Codebook[book + last] - Matrix.Codebook[book]) / last;
        float distance = Lane.Abs(Lane.Of(x - own)).Value;
        for (int other = 0; other <= last; other++)
        {
            float more = Lane.Abs(Lane.Of(x - Matrix.Codebook[book + other])).Value - distance;
            float gaps = Utilities.Select((more > 0f) & (unit > 0f), more / unit, 0f);
            Start[i * Matrix.Codes + other] = Utilities.Select(other == code, 0f, -(gaps + Least));
        }
    }

    /// <summary>Whether a number is finite.</summary>
    private static bool IsFinite(float x) => (Interop.FloatAsInt(x) & 0x7FFFFFFFu) < 0x7F800000u;
}

/// <summary>After a step: a latent number that left the codes comes back to the end, one per item.</summary>
internal struct JointClampWork : IItemWork
{
    public ArrayView<float> Latent;
    public float Last;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        float v = Latent[i];
        v = Utilities.Select(v < 0f, 0f, v);
        Latent[i] = Utilities.Select(v > Last, Last, v);
    }
}

/// <summary>After a step: codes ascend again, a code below the one before it being like it, one codebook per item.</summary>
internal struct JointAscendWork : IItemWork
{
    public ArrayView<float> Codebook;
    public int Codes;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        float largest = Codebook[i * Codes];
        for (int code = 1; code < Codes; code++)
        {
            float own = Codebook[i * Codes + code];
            largest = Utilities.Select(own < largest, largest, own);
            Codebook[i * Codes + code] = largest;
        }
    }
}

/// <summary>The nearest code, the lowest of a tie, one weight per item; NaN keeps what it has.</summary>
internal struct JointNearestWork : IItemWork
{
    public JointMatrix Matrix;
    public ArrayView<float> Weights;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        int weight = (int)i;
        int row = weight / Matrix.Columns;
        long book = Matrix.Book(row, weight);
        float scale = Matrix.ScaleOf(row, weight);
        float w = Weights[i];
        int best = Matrix.Code(weight);
        float least = Lane.Abs(Lane.Of(w - scale * Matrix.Codebook[book + best])).Value;
        for (int code = 0; code < Matrix.Codes; code++)
        {
            float distance = Lane.Abs(Lane.Of(w - scale * Matrix.Codebook[book + code])).Value;
            bool isLess = distance < least;
            least = Utilities.Select(isLess, distance, least);
            best = Utilities.Select(isLess, code, best);
        }

        Matrix.Index[i] = (byte)best;
    }
}

/// <summary>Descent along single weights, some columns of a row after each other, one row per item.</summary>
/// <remarks>
/// Source: coordinate descent on the layer's objective, as in QuantEase (Behdin et al. 2023, arXiv:2309.01885), with the
/// codes of a codebook: of all codes the one with the least 2 d g + d^2 H_jj, d the change of the weight and g half of the
/// objective's gradient there. With the change, the gradients of the later columns of the block move by d H_jl; those of
/// all columns are then a product of the changes and H.
/// Ties: the code in use, then the lowest. Domain: a column that is 0 in all activations, and NaN, keep their codes.
/// </remarks>
internal struct JointDescentWork : IItemWork
{
    /// <summary>Columns of a block.</summary>
    internal const int Block = 32;

    public JointMatrix Matrix;

    /// <summary>Twice (Q - W) H, [rows, columns].</summary>
    public ArrayView<float> Grad;

    /// <summary>H, [columns, columns].</summary>
    public ArrayView<float> Gram;

    /// <summary>Scratch, [block, rows].</summary>
    public ArrayView<float> Local;

    /// <summary>Out: 2 d, [rows, count].</summary>
    public ArrayView<float> Change;
    public int Rows;
    public int First;
    public int Count;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        int row = (int)i;
        int start = row * Matrix.Columns + First;
        for (int j = 0; j < Count; j++)
        {
            Local[(long)j * Rows + i] = Grad[start + j];
        }

        for (int j = 0; j < Count; j++)
        {
            int weight = start + j;
            long diagonal = (long)(First + j) * Matrix.Columns + First;
            float curvature = Gram[diagonal + j];
            float slope = Local[(long)j * Rows + i];
            long book = Matrix.Book(row, weight);
            float scale = Matrix.ScaleOf(row, weight);
            int code = Matrix.Code(weight);
            float value = scale * Matrix.Codebook[book + code];
            float least = 0f;
            float change = 0f;
            for (int other = 0; other < Matrix.Codes; other++)
            {
                float d = scale * Matrix.Codebook[book + other] - value;
                float cost = d * (slope + d * curvature);
                bool isLess = cost < least;
                least = Utilities.Select(isLess, cost, least);
                change = Utilities.Select(isLess, d, change);
                code = Utilities.Select(isLess, other, code);
            }

            Matrix.Index[weight] = (byte)code;
            Change[i * Count + j] = 2f * change;
            if (change != 0f)
            {
                for (int later = j + 1; later < Count; later++)
                {
                    Local[(long)later * Rows + i] += 2f * change * Gram[diagonal + later];
                }
            }
        }
    }
}
