using ILGPU;
using ILGPU.Util;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Reductions;
using Kernels.DeviceCode.Storage;
using Kernels.DeviceCode.VectorQuantization;
using Sixteen = Kernels.DeviceCode.Linear.Sixteen;

namespace Kernels.DeviceCode.Quantization;

/// <summary>Where codes are found by counting.</summary>
internal static class AssignArguments
{
    /// <summary>Up to so many codes, limits are counted; with more, they are searched.</summary>
    internal const int MostCounted = 16;

    /// <summary>Limits of a codebook at least, so that they can be counted by fours.</summary>
    internal const int LeastWidth = 4;
}

/// <summary>The nearest code of each weight, or of each few.</summary>
/// <remarks>
/// Source: QLoRA's code search, arXiv:2305.14314, as bitsandbytes does it; what is decided here beyond it is in
/// AssignReference. The code of a number x = w / s is how many limits are below it. A limit is the middle of two
/// neighbouring codes; of equal codes all but the last have the limit of the last, so that the first of them is found,
/// and beyond the last different code a limit is infinite.
/// Shapes: w [rows, columns], index [rows, columns / length], codebooks [codebooks, k, length], limits [codebooks, width],
/// width the least power of two that is not less than k and 4.
/// Storage: w and scales F32, F16, BF16; arithmetic binary32.
/// Traffic: the weights once, a byte for each code.
/// Ties: the lower code. NaN has code 0, unless its scale is 0, which makes every x 0. Order: none; one code each.
/// Domain: any bits; a codebook that does not ascend gives some code below k.
/// </remarks>
internal struct AssignArguments<TWeight, TScale>
    where TWeight : struct, IStorage
    where TScale : struct, IStorage
{
    public TWeight Weights;
    public TScale Scales;
    public ArrayView<float> Codebook;
    public ArrayView<float> Limits;
    public ArrayView<byte> Index;
    public ScopeTable Codebooks;
    public ScopeTable ScaleScope;

    /// <summary>Weights in all.</summary>
    public int Count;
    public int Columns;
    public int Codes;
    public int Width;
    public int HasScale;

    /// <summary>Whether both share numbers are asked for by rows or blocks at all.</summary>
    public int HasShares;

    /// <summary>Whether four codes and their weights are aligned.</summary>
    public int IsPacked;

    internal readonly float Weight(long i) => Weights.Decode(Weights.Read(i));

    /// <summary>The scale of a share; 1 if there are no scales.</summary>
    internal readonly float Scale(int share)
    {
        float scale = 1f;
        if (HasScale != 0)
        {
            scale = Scales.Decode(Scales.Read(share));
        }

        return scale;
    }

    /// <summary>Which codebook and which scale the weights from one to another have; whether it is one for all.</summary>
    internal readonly bool TryShares(int first, int last, out int codebook, out int scale)
    {
        codebook = 0;
        scale = 0;
        if (HasShares == 0)
        {
            return true;
        }

        int row = first / Columns;
        int lastRow = row;
        if (last - row * Columns >= Columns)
        {
            lastRow = last / Columns;
        }

        codebook = Codebooks.Of(row, first);
        scale = ScaleScope.Of(row, first);
        return (codebook == Codebooks.Of(lastRow, last)) & (scale == ScaleScope.Of(lastRow, last));
    }

    /// <summary>w / s, and 0 for a scale of 0.</summary>
    internal static float Quotient(float weight, float scale) => Utilities.Select(scale == 0f, 0f, weight / scale);

    /// <summary>The code of a number.</summary>
    internal readonly int Find(float x, int limits)
    {
        int code = 0;
        if (Width <= AssignArguments.MostCounted)
        {
            for (int limit = 0; limit < Codes - 1; limit++)
            {
                code += Utilities.Select(x > Limits[limits + limit], 1, 0);
            }
        }
        else
        {
            for (int step = Width / 2; step > 0; step /= 2)
            {
                code += Utilities.Select(x > Limits[limits + code + step - 1], step, 0);
            }
        }

        return code;
    }

    /// <summary>Stores the code of one weight.</summary>
    internal readonly void One(int weight)
    {
        TryShares(weight, weight, out int codebook, out int share);
        Index[weight] = (byte)Find(Quotient(Weight(weight), Scale(share)), codebook * Width);
    }
}

/// <summary>The limits of a codebook, one codebook per item.</summary>
internal struct AssignLimitWork : IItemWork
{
    public ArrayView<float> Codebook;
    public ArrayView<float> Limits;
    public int Codes;
    public int Width;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        for (int code = Codes - 1; code < Width; code++)
        {
            Limits[i * Width + code] = float.PositiveInfinity;
        }

        float limit = float.PositiveInfinity;
        float above = Codebook[(i + 1) * Codes - 1];
        for (int code = Codes - 2; code >= 0; code--)
        {
            float own = Codebook[i * Codes + code];
            float sum = own + above;
            bool fits = (sum < float.PositiveInfinity) & (sum > float.NegativeInfinity);
            float middle = Utilities.Select(fits, 0.5f * sum, 0.5f * own + 0.5f * above);
            limit = Utilities.Select(own == above, limit, middle);
            Limits[i * Width + code] = limit;
            above = own;
        }
    }
}

/// <summary>Sixteen weights per item, for OpenCL CPU devices.</summary>
internal struct AssignSixteenWork<TWeight, TScale> : IItemWork
    where TWeight : struct, IStorage
    where TScale : struct, IStorage
{
    public AssignArguments<TWeight, TScale> Arguments;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        int first = (int)i * Sixteen.Width;
        int last = IntrinsicMath.Min(first + Sixteen.Width, Arguments.Count) - 1;
        bool isOne = Arguments.TryShares(first, last, out int codebook, out int share);
        if (isOne & (last - first == Sixteen.Width - 1))
        {
            All(first, codebook * Arguments.Width, Arguments.Scale(share));
            return;
        }

        for (int weight = first; weight <= last; weight++)
        {
            Arguments.One(weight);
        }
    }

    private readonly void All(int first, int limits, float scale)
    {
        var x = Sixteen.Decoded(Arguments.Weights, first);
        if (Arguments.HasScale != 0)
        {
            x = x.Over(scale);
            if (scale == 0f)
            {
                x = Sixteen.Of(0f);
            }
        }

        var codes = SixteenIndices.Of(0);
        if (Arguments.Width <= AssignArguments.MostCounted)
        {
            for (int limit = limits; limit < limits + Arguments.Width; limit += AssignArguments.LeastWidth)
            {
                codes.CountAbove(x, Arguments.Limits[limit]);
                codes.CountAbove(x, Arguments.Limits[limit + 1]);
                codes.CountAbove(x, Arguments.Limits[limit + 2]);
                codes.CountAbove(x, Arguments.Limits[limit + 3]);
            }
        }
        else
        {
            for (int step = Arguments.Width / 2; step > 0; step /= 2)
            {
                codes.StepAbove(x, Arguments.Limits, limits + step - 1, step);
            }
        }

        codes.Store(Arguments.Index, first);
    }
}

/// <summary>Four weights per item, for GPUs: one access of 16 bytes, or 8, and one of 4.</summary>
internal struct AssignFourWork<TWeight, TScale> : IItemWork
    where TWeight : struct, IStorage
    where TScale : struct, IStorage
{
    public AssignArguments<TWeight, TScale> Arguments;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        int first = (int)i * 4;
        int last = IntrinsicMath.Min(first + 4, Arguments.Count) - 1;
        bool isOne = Arguments.TryShares(first, last, out int codebook, out int share);
        if (isOne & (last - first == 3) & (Arguments.IsPacked != 0))
        {
            All(i, codebook * Arguments.Width, Arguments.Scale(share));
            return;
        }

        for (int weight = first; weight <= last; weight++)
        {
            Arguments.One(weight);
        }
    }

    private readonly void All(long i, int limits, float scale)
    {
        QuadBits raw = Arguments.Weights.ReadPacket(i);
        float x = Quotient(raw.X, scale);
        float y = Quotient(raw.Y, scale);
        float z = Quotient(raw.Z, scale);
        float w = Quotient(raw.W, scale);
        int codeX = 0;
        int codeY = 0;
        int codeZ = 0;
        int codeW = 0;
        if (Arguments.Width <= AssignArguments.MostCounted)
        {
            for (int at = 0; at < Arguments.Codes - 1; at++)
            {
                float limit = Arguments.Limits[limits + at];
                codeX += Utilities.Select(x > limit, 1, 0);
                codeY += Utilities.Select(y > limit, 1, 0);
                codeZ += Utilities.Select(z > limit, 1, 0);
                codeW += Utilities.Select(w > limit, 1, 0);
            }
        }
        else
        {
            for (int step = Arguments.Width / 2; step > 0; step /= 2)
            {
                int before = limits + step - 1;
                codeX += Utilities.Select(x > Arguments.Limits[before + codeX], step, 0);
                codeY += Utilities.Select(y > Arguments.Limits[before + codeY], step, 0);
                codeZ += Utilities.Select(z > Arguments.Limits[before + codeZ], step, 0);
                codeW += Utilities.Select(w > Arguments.Limits[before + codeW], step, 0);
            }
        }

        Arguments.Index.Cast<uint>()[i] = (uint)(codeX | (codeY << 8) | (codeZ << 16) | (codeW << 24));
    }

    private readonly float Quotient(uint raw, float scale) =>
        AssignArguments<TWeight, TScale>.Quotient(Arguments.Weights.Decode(raw), scale);
}

/// <summary>Weights of a code.</summary>
internal interface IAssignLength
{
    static abstract int Length { get; }
}

/// <summary>Two weights.</summary>
internal readonly struct TwoWeights : IAssignLength
{
    public static int Length => 2;
}

/// <summary>Four weights.</summary>
internal readonly struct FourWeights : IAssignLength
{
    public static int Length => 4;
}

/// <summary>Eight weights.</summary>
internal readonly struct EightWeights : IAssignLength
{
    public static int Length => 8;
}

/// <summary>The same, sixteen codes per item, for OpenCL CPU devices.</summary>
internal struct AssignVectorSixteenWork<TWeight, TScale, TLength> : IItemWork
    where TWeight : struct, IStorage
    where TScale : struct, IStorage
    where TLength : struct, IAssignLength
{
    public AssignArguments<TWeight, TScale> Arguments;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        int code = (int)i * Sixteen.Width;
        int codes = IntrinsicMath.Min(Sixteen.Width, Arguments.Count / TLength.Length - code);
        int first = code * TLength.Length;
        bool isOne = Arguments.TryShares(first, first + codes * TLength.Length - 1, out int codebook, out int share);
        if (isOne & (codes == Sixteen.Width))
        {
            All(first, codebook, Arguments.Scale(share));
            return;
        }

        var one = new AssignVectorWork<TWeight, TScale, TLength> { Arguments = Arguments };
        for (int other = 0; other < codes; other++)
        {
            one.Item(code + other, default);
        }
    }

    private readonly void All(int first, int codebook, float scale)
    {
        Sixteen x0 = Numbers(first, 0, scale);
        Sixteen x1 = Numbers(first, 1, scale);
        Sixteen x2 = default;
        Sixteen x3 = default;
        Sixteen x4 = default;
        Sixteen x5 = default;
        Sixteen x6 = default;
        Sixteen x7 = default;
        if (TLength.Length > 2)
        {
            x2 = Numbers(first, 2, scale);
            x3 = Numbers(first, 3, scale);
        }

        if (TLength.Length > 4)
        {
            x4 = Numbers(first, 4, scale);
            x5 = Numbers(first, 5, scale);
            x6 = Numbers(first, 6, scale);
            x7 = Numbers(first, 7, scale);
        }

        long at = (long)codebook * Arguments.Codes * TLength.Length;
        var best = SixteenIndices.Of(0);
        var least = Sixteen.Of(float.PositiveInfinity);
        for (int code = 0; code < Arguments.Codes; code++)
        {
            Sixteen distance = Square(x0, at) + Square(x1, at + 1);
            if (TLength.Length > 2)
            {
                distance += Square(x2, at + 2);
                distance += Square(x3, at + 3);
            }

            if (TLength.Length > 4)
            {
                distance += Square(x4, at + 4);
                distance += Square(x5, at + 5);
                distance += Square(x6, at + 6);
                distance += Square(x7, at + 7);
            }

            at += TLength.Length;
            best.TakeIfGreater(least, distance, code);
            least = Sixteen.IfGreater(least, distance, distance, least);
        }

        best.Store(Arguments.Index, first / TLength.Length);
    }

    private readonly Sixteen Numbers(int first, int k, float scale)
    {
        var x = Sixteen.DecodedStrided(Arguments.Weights, first + k, TLength.Length);
        if (Arguments.HasScale != 0)
        {
            x = x.Over(scale);
            if (scale == 0f)
            {
                x = Sixteen.Of(0f);
            }
        }

        return x;
    }

    private readonly Sixteen Square(Sixteen x, long at)
    {
        Sixteen difference = x - Sixteen.Of(Arguments.Codebook[at]);
        return difference.Times(difference);
    }
}

/// <summary>The code of the least squared distance to a few weights, one code per item.</summary>
/// <remarks>Squares are added in ascending order. What is not finite has code 0, since no distance is less than infinity.</remarks>
internal struct AssignVectorWork<TWeight, TScale, TLength> : IItemWork
    where TWeight : struct, IStorage
    where TScale : struct, IStorage
    where TLength : struct, IAssignLength
{
    public AssignArguments<TWeight, TScale> Arguments;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        int weight = (int)i * TLength.Length;
        Arguments.TryShares(weight, weight, out int codebook, out int share);
        float scale = Arguments.Scale(share);
        long at = (long)codebook * Arguments.Codes * TLength.Length;
        var x = default(Eight);
        x.V0 = Number(weight, 0, scale);
        x.V1 = Number(weight, 1, scale);
        if (TLength.Length > 2)
        {
            x.V2 = Number(weight, 2, scale);
            x.V3 = Number(weight, 3, scale);
        }

        if (TLength.Length > 4)
        {
            x.V4 = Number(weight, 4, scale);
            x.V5 = Number(weight, 5, scale);
            x.V6 = Number(weight, 6, scale);
            x.V7 = Number(weight, 7, scale);
        }

        int best = 0;
        float least = float.PositiveInfinity;
        for (int code = 0; code < Arguments.Codes; code++)
        {
            float distance = Distance(x, at + code * TLength.Length);
            best = Utilities.Select(distance < least, code, best);
            least = Utilities.Select(distance < least, distance, least);
        }

        Arguments.Index[i] = (byte)best;
    }

    private readonly float Number(int weight, int k, float scale) =>
        AssignArguments<TWeight, TScale>.Quotient(Arguments.Weight(weight + k), scale);

    private readonly float Distance(Eight x, long at)
    {
        float sum = Square(x.V0, at) + Square(x.V1, at + 1);
        if (TLength.Length > 2)
        {
            sum += Square(x.V2, at + 2);
            sum += Square(x.V3, at + 3);
        }

        if (TLength.Length > 4)
        {
            sum += Square(x.V4, at + 4);
            sum += Square(x.V5, at + 5);
            sum += Square(x.V6, at + 6);
            sum += Square(x.V7, at + 7);
        }

        return sum;
    }

    private readonly float Square(float x, long at)
    {
        float difference = x - Arguments.Codebook[at];
        return difference * difference;
    }
}
