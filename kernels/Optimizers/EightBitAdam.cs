using System.Runtime.CompilerServices;
using ILGPU;
using ILGPU.Util;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Storage;

namespace Kernels.DeviceCode.Optimizers;

/// <summary>The moments of Adam in 8 bits: a code for every element and a scale for every block of each.</summary>
internal struct EightBitMoments
{
    public ArrayView<byte> CodesM;
    public ArrayView<byte> CodesV;
    public ArrayView<float> ScalesM;
    public ArrayView<float> ScalesV;
}

/// <summary>Which block a group steps, and by which rule.</summary>
internal interface IBlockRules
{
    /// <summary>Blocks of the launch.</summary>
    long Count();

    /// <summary>Index of block <paramref name="i"/> of the launch.</summary>
    long Block(long i);

    /// <summary>The rule of block <paramref name="i"/> of the launch.</summary>
    AdamRule Rule(long i);
}

/// <summary>Consecutive blocks with one rule.</summary>
internal readonly struct OneRule(AdamRule rule, long first, long count) : IBlockRules
{
    private readonly AdamRule _rule = rule;
    private readonly long _first = first;
    private readonly long _count = count;

    public readonly long Count() => _count;

    public readonly long Block(long i) => _first + i;

    public readonly AdamRule Rule(long i) => _rule;
}

/// <summary>The blocks of an arena whose segments differ.</summary>
internal readonly struct RuleTable(ArrayView<AdamRule> rules, ArrayView<Chunk> chunks) : IBlockRules
{
    private readonly ArrayView<AdamRule> _rules = rules;
    private readonly ArrayView<Chunk> _chunks = chunks;

    public readonly long Count() => _chunks.Length;

    public readonly long Block(long i) => _chunks[i].Block;

    public readonly AdamRule Rule(long i) => _rules[_chunks[i].Rule];
}

/// <summary>Adam and AdamW with block-wise 8-bit moments: decode, the rule of Adam in binary32, encode.</summary>
/// <remarks>
/// Source: Dettmers, Lewis, Shleifer, Zettlemoyer 2021, arXiv:2110.02861, with blocks of 256 instead of 2048; the
/// parameter moves by the moments before they are encoded, as there. We differ where v is tiny against its block: it
/// becomes the least number of the map and not 0, because m over epsilon alone would throw the parameter away.
/// Shapes: p, g, codes [n]; scales [ceil(n / 256)]; one group for each block, or one item for some blocks.
/// Storage: p and g as their type says, arithmetic binary32.
/// Traffic: reads p, g, both codes and scales; writes p, codes, scales: 16 + 16 / 256 bytes a parameter in F32
/// against 28 with moments in F32, of which 2.03 instead of 8 stay allocated.
/// Needs: shared memory of 544 or 144 floats, two barriers, group size 256 (elements) or 64 (packets); the serial walk
/// 512 floats of an item's own memory and group size 1.
/// Order: the largest magnitude of a block does not depend on the order: the same bits in every walk.
/// Domain: if m or v of an element is not finite after the update (the gradient is not, or its square overflows), both
/// are stored as 0, the parameter becomes what the rule says (NaN where the gradient is not finite), and the rest of
/// the block is as if that element's moments were 0. A block of zeros has scale 0; scales from 0 up to 2^-126 become
/// 2^-126, so that their reciprocal is finite.
/// Error: DynamicMap.
/// </remarks>
internal static class EightBitAdam
{
    private const float LeastNormal = 1.17549435e-38f;

    /// <summary>Whole blocks, one element per item: tensors that are not aligned, on GPUs.</summary>
    [DeviceKernel("optimizers/eightbit.step")]
    internal static void Step<TRules, TParam, TGrad, TExtras>(
        UpdateTensors<TParam, TGrad> t, TExtras extras, EightBitMoments s, TRules rules)
        where TRules : struct, IBlockRules
        where TParam : struct, IStorage
        where TGrad : struct, IStorage
        where TExtras : struct, IExtras
    {
        long block = rules.Block(Grid.IdxX);
        AdamRule rule = rules.Rule(Grid.IdxX);
        StepControl control = TExtras.HasControl ? extras.Control() : default;
        float factor = Factor<TExtras>(t.GradientFactor, control);
        float oldM = s.ScalesM[block];
        float oldV = s.ScalesV[block];
        long i = block * Update.BlockLength + Group.IdxX;
        Element<Lane> e = Apply(t, s, rule, factor, oldM, oldV, i);
        Largest largest = LargestOf256(e.A.Value, e.B.Value);
        if (TExtras.HasControl)
        {
            // The same for the whole grid, and behind the last barrier.
            if (control.Skip != 0f)
            {
                return;
            }
        }

        Store(t, extras, s, e, largest, i);
        if (Group.IdxX == 0)
        {
            s.ScalesM[block] = Scale(largest.M);
            s.ScalesV[block] = Scale(largest.V);
        }
    }

    /// <summary>The last block where it is not whole, one element per item.</summary>
    [DeviceKernel("optimizers/eightbit.steptail")]
    internal static void StepTail<TParam, TGrad, TExtras>(
        UpdateTensors<TParam, TGrad> t, TExtras extras, EightBitMoments s, AdamRule rule, long block)
        where TParam : struct, IStorage
        where TGrad : struct, IStorage
        where TExtras : struct, IExtras
    {
        StepControl control = TExtras.HasControl ? extras.Control() : default;
        float factor = Factor<TExtras>(t.GradientFactor, control);
        long i = block * Update.BlockLength + Group.IdxX;
        Element<Lane> e = default;
        if (i < s.CodesM.Length)
        {
            e = Apply(t, s, rule, factor, s.ScalesM[block], s.ScalesV[block], i);
        }

        Largest largest = LargestOf256(e.A.Value, e.B.Value);
        if (TExtras.HasControl)
        {
            if (control.Skip != 0f)
            {
                return;
            }
        }

        if (i < s.CodesM.Length)
        {
            Store(t, extras, s, e, largest, i);
        }

        if (Group.IdxX == 0)
        {
            s.ScalesM[block] = Scale(largest.M);
            s.ScalesV[block] = Scale(largest.V);
        }
    }

    /// <summary>Whole blocks, four elements per item: aligned tensors on GPUs.</summary>
    [DeviceKernel("optimizers/eightbit.steppackets")]
    internal static void StepPackets<TRules, TParam, TGrad, TExtras>(
        UpdateTensors<TParam, TGrad> t, TExtras extras, EightBitMoments s, TRules rules)
        where TRules : struct, IBlockRules
        where TParam : struct, IStorage
        where TGrad : struct, IStorage
        where TExtras : struct, IExtras
    {
        long block = rules.Block(Grid.IdxX);
        AdamRule rule = rules.Rule(Grid.IdxX);
        StepControl control = TExtras.HasControl ? extras.Control() : default;
        float factor = Factor<TExtras>(t.GradientFactor, control);
        float oldM = s.ScalesM[block];
        float oldV = s.ScalesV[block];
        long k = block * (Update.BlockLength / 4) + Group.IdxX;
        Quad p = Update.Decode(t.P, k);
        Quad g = Update.Decode(t.G, k);
        uint codesM = s.CodesM.Cast<uint>()[k];
        uint codesV = s.CodesV.Cast<uint>()[k];
        Element<Lane> x = Apply(rule, p.X, g.X * factor, codesM, codesV, oldM, oldV);
        Element<Lane> y = Apply(rule, p.Y, g.Y * factor, codesM >> 8, codesV >> 8, oldM, oldV);
        Element<Lane> z = Apply(rule, p.Z, g.Z * factor, codesM >> 16, codesV >> 16, oldM, oldV);
        Element<Lane> w = Apply(rule, p.W, g.W * factor, codesM >> 24, codesV >> 24, oldM, oldV);
        Largest largest = LargestOf64(
            Larger(Larger(Magnitude(x.A), Magnitude(y.A)), Larger(Magnitude(z.A), Magnitude(w.A))),
            Larger(Larger(x.B.Value, y.B.Value), Larger(z.B.Value, w.B.Value)));
        if (TExtras.HasControl)
        {
            if (control.Skip != 0f)
            {
                return;
            }
        }

        float inverseM = Inverse(largest.M);
        float inverseV = Inverse(largest.V);
        s.CodesM.Cast<uint>()[k] = CodeM(x.A, inverseM) | (CodeM(y.A, inverseM) << 8) | (CodeM(z.A, inverseM) << 16)
            | (CodeM(w.A, inverseM) << 24);
        s.CodesV.Cast<uint>()[k] = CodeV(x.B, inverseV) | (CodeV(y.B, inverseV) << 8) | (CodeV(z.B, inverseV) << 16)
            | (CodeV(w.B, inverseV) << 24);
        p = new Quad { X = x.P.Value, Y = y.P.Value, Z = z.P.Value, W = w.P.Value };
        t.P.WritePacket(k, Update.Encode(t.P, p, k));
        extras.OutputPacket(k, p);
        if (Group.IdxX == 0)
        {
            s.ScalesM[block] = Scale(largest.M);
            s.ScalesV[block] = Scale(largest.V);
        }
    }

    /// <summary>
    /// Some blocks per item, each in two plain loops: OpenCL CPU devices, whose compiler makes SIMD of the loops. Group
    /// size 1; the last block may be shorter.
    /// </summary>
    // In loops across the items of a group the moments would wait in memory at every barrier: 28 instead of 3.4 ns.
    [DeviceKernel("optimizers/eightbit.stepserial")]
    internal static void StepSerial<TRules, TParam, TGrad, TExtras>(
        UpdateTensors<TParam, TGrad> t, TExtras extras, EightBitMoments s, TRules rules, int blocks)
        where TRules : struct, IBlockRules
        where TParam : struct, IStorage
        where TGrad : struct, IStorage
        where TExtras : struct, IExtras
    {
        StepControl control = TExtras.HasControl ? extras.Control() : default;
        float factor = Factor<TExtras>(t.GradientFactor, control);
        if (TExtras.HasControl)
        {
            if (control.Skip != 0f)
            {
                return;
            }
        }

        ArrayView<float> m = LocalMemory.Allocate<float>(Update.BlockLength);
        ArrayView<float> v = LocalMemory.Allocate<float>(Update.BlockLength);
        ArrayView<ushort> noise = default;
        if (StripNoise.IsNeeded<TParam, TExtras>())
        {
            noise = LocalMemory.Allocate<ushort>(Update.BlockLength + StripNoise.Slack);
        }

        long end = IntrinsicMath.Min((Grid.IdxX + 1L) * blocks, rules.Count());
        for (long i = (long)Grid.IdxX * blocks; i < end; i++)
        {
            StepBlock(t, extras, s, rules.Rule(i), factor, rules.Block(i), m, v, noise);
        }
    }

    private static void StepBlock<TParam, TGrad, TExtras>(
        UpdateTensors<TParam, TGrad> t, TExtras extras, EightBitMoments s, AdamRule rule, float factor, long block,
        ArrayView<float> m, ArrayView<float> v, ArrayView<ushort> noise)
        where TParam : struct, IStorage
        where TGrad : struct, IStorage
        where TExtras : struct, IExtras
    {
        long first = block * Update.BlockLength;
        int count = (int)IntrinsicMath.Min(Update.BlockLength, s.CodesM.Length - first);
        float oldM = s.ScalesM[block];
        float oldV = s.ScalesV[block];
        int start = 0;
        if (StripNoise.IsNeeded<TParam, TExtras>())
        {
            start = StripNoise.Draw(t.P, extras, first, count, noise);
        }

        // Integers, which compilers reduce in any order: of numbers that are not negative the bits have the same order.
        int largestM = 0;
        int largestV = 0;
        for (int k = 0; k < count; k++)
        {
            Element<Lane> e = Apply(t, s, rule, factor, oldM, oldV, first + k);
            m[k] = e.A.Value;
            v[k] = e.B.Value;
            largestM = IntrinsicMath.Max(largestM, (int)Interop.FloatAsInt(Magnitude(e.A)));
            largestV = IntrinsicMath.Max(largestV, (int)Interop.FloatAsInt(e.B.Value));
            uint random = 0;
            if (StripNoise.IsNeeded<TParam, TExtras>())
            {
                random = noise[start + k];
            }

            t.P.Write(first + k, t.P.Encode(e.P.Value, random));
            extras.OutputRounded(first + k, e.P.Value, random);
        }

        Largest largest = default;
        largest.M = Interop.IntAsFloat((uint)largestM);
        largest.V = Interop.IntAsFloat((uint)largestV);
        float inverseM = Inverse(largest.M);
        float inverseV = Inverse(largest.V);
        for (int k = 0; k < count; k++)
        {
            s.CodesM[first + k] = (byte)CodeM(Lane.Of(m[k]), inverseM);
            s.CodesV[first + k] = (byte)CodeV(Lane.Of(v[k]), inverseV);
        }

        s.ScalesM[block] = Scale(largest.M);
        s.ScalesV[block] = Scale(largest.V);
    }

    /// <summary>codes and scales of signed values, one group of 256 for each block.</summary>
    /// <param name="x">Values, [n], only read; one that is not finite becomes 0.</param>
    /// <param name="codes">Codes, [n], written.</param>
    /// <param name="scales">Scales, [ceil(n / 256)], written.</param>
    /// <param name="first">First block.</param>
    [DeviceKernel("optimizers/eightbit.quantize.signed")]
    internal static void QuantizeSigned(ArrayView<float> x, ArrayView<byte> codes, ArrayView<float> scales, long first)
    {
        long block = first + Grid.IdxX;
        long i = block * Update.BlockLength + Group.IdxX;
        float value = 0f;
        if (i < x.Length)
        {
            value = Finite(Lane.Of(x[i])).Value;
        }

        Largest largest = LargestOf256(value, 0f);
        if (i < x.Length)
        {
            codes[i] = (byte)(int)DynamicMap.EncodeSigned(Lane.Of(value) * Inverse(largest.M)).Value;
        }

        if (Group.IdxX == 0)
        {
            scales[block] = Scale(largest.M);
        }
    }

    /// <summary>codes and scales of values that are not negative, as <see cref="QuantizeSigned"/>.</summary>
    /// <param name="x">Values, [n], only read; one that is negative or not finite becomes 0.</param>
    /// <param name="codes">Codes, [n], written.</param>
    /// <param name="scales">Scales, [ceil(n / 256)], written.</param>
    /// <param name="first">First block.</param>
    [DeviceKernel("optimizers/eightbit.quantize.unsigned")]
    internal static void QuantizeUnsigned(
        ArrayView<float> x, ArrayView<byte> codes, ArrayView<float> scales, long first)
    {
        long block = first + Grid.IdxX;
        long i = block * Update.BlockLength + Group.IdxX;
        float value = 0f;
        if (i < x.Length)
        {
            value = NotNegative(Lane.Of(x[i])).Value;
        }

        Largest largest = LargestOf256(0f, value);
        if (i < x.Length)
        {
            Lane v = Lane.Of(value);
            codes[i] = (byte)(int)DynamicMap.EncodeUnsigned(v, v * Inverse(largest.V)).Value;
        }

        if (Group.IdxX == 0)
        {
            scales[block] = Scale(largest.V);
        }
    }

    /// <summary>The values of signed codes, one group of 256 for each block.</summary>
    [DeviceKernel("optimizers/eightbit.dequantize.signed")]
    internal static void DequantizeSigned(
        ArrayView<byte> codes, ArrayView<float> scales, ArrayView<float> x, long first)
    {
        long block = first + Grid.IdxX;
        long i = block * Update.BlockLength + Group.IdxX;
        if (i < x.Length)
        {
            x[i] = DynamicMap.DecodeSigned(Number(codes[i])).Value * scales[block];
        }
    }

    /// <summary>The values of unsigned codes, one group of 256 for each block.</summary>
    [DeviceKernel("optimizers/eightbit.dequantize.unsigned")]
    internal static void DequantizeUnsigned(
        ArrayView<byte> codes, ArrayView<float> scales, ArrayView<float> x, long first)
    {
        long block = first + Grid.IdxX;
        long i = block * Update.BlockLength + Group.IdxX;
        if (i < x.Length)
        {
            x[i] = DynamicMap.DecodeUnsigned(Number(codes[i])).Value * scales[block];
        }
    }

    /// <summary>Both moments, or 0 for both if one is not finite.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Element<T> Confine<T>(Element<T> e)
        where T : struct, ILane<T>
    {
        T infinity = T.Of(float.PositiveInfinity);
        T a = T.Abs(e.A);
        T m = T.IfLess(a, infinity, e.A, T.Of(0f));
        T v = T.IfLess(a, infinity, e.B, T.Of(0f));
        e.A = T.IfLess(e.B, infinity, m, T.Of(0f));
        e.B = T.IfLess(e.B, infinity, v, T.Of(0f));
        return e;
    }

    /// <summary>x, or 0 if it is not finite.</summary>
    internal static T Finite<T>(T x)
        where T : struct, ILane<T> => T.IfLess(T.Abs(x), T.Of(float.PositiveInfinity), x, T.Of(0f));

    /// <summary>x, or 0 if it is negative or not finite.</summary>
    internal static T NotNegative<T>(T x)
        where T : struct, ILane<T> => T.IfGreater(Finite(x), T.Of(0f), x, T.Of(0f));

    /// <summary>What a block's codes are multiplied by.</summary>
    /// <param name="largest">Largest magnitude of the block.</param>
    internal static float Scale(float largest) =>
        Utilities.Select(largest > 0f, Utilities.Select(largest < LeastNormal, LeastNormal, largest), 0f);

    /// <summary>1 / scale; of no effect for a block of zeros.</summary>
    /// <param name="largest">Largest magnitude of the block.</param>
    internal static float Inverse(float largest) => 1f / Utilities.Select(largest < LeastNormal, LeastNormal, largest);

    private static float Factor<TExtras>(float factor, StepControl control)
        where TExtras : struct, IExtras => TExtras.HasControl ? factor * control.GradientFactor : factor;

    private static Element<Lane> Apply<TParam, TGrad>(
        UpdateTensors<TParam, TGrad> t, EightBitMoments s, AdamRule rule, float factor, float scaleM, float scaleV,
        long i)
        where TParam : struct, IStorage
        where TGrad : struct, IStorage => Apply(
            rule, t.P.Decode(t.P.Read(i)), t.G.Decode(t.G.Read(i)) * factor, s.CodesM[i], s.CodesV[i], scaleM, scaleV);

    // The mask is needed: a byte may arrive sign-extended on a device, and packets leave others above it.
    private static Lane Number(uint code) => Lane.Of((int)(code & 0xFFu));

    private static Element<Lane> Apply(
        AdamRule rule, float p, float g, uint codeM, uint codeV, float scaleM, float scaleV)
    {
        Element<Lane> e = default;
        e.P = Lane.Of(p);
        e.A = Lane.Of(DynamicMap.DecodeSigned(Number(codeM)).Value * scaleM);
        e.B = Lane.Of(DynamicMap.DecodeUnsigned(Number(codeV)).Value * scaleV);
        return Confine(rule.Apply(e, Lane.Of(g)));
    }

    private static void Store<TParam, TGrad, TExtras>(
        UpdateTensors<TParam, TGrad> t, TExtras extras, EightBitMoments s, Element<Lane> e, Largest largest, long i)
        where TParam : struct, IStorage
        where TGrad : struct, IStorage
        where TExtras : struct, IExtras
    {
        s.CodesM[i] = (byte)CodeM(e.A, Inverse(largest.M));
        s.CodesV[i] = (byte)CodeV(e.B, Inverse(largest.V));
        WriteParameter(t, extras, i, e.P.Value);
    }

    private static void WriteParameter<TParam, TGrad, TExtras>(
        UpdateTensors<TParam, TGrad> t, TExtras extras, long i, float p)
        where TParam : struct, IStorage
        where TGrad : struct, IStorage
        where TExtras : struct, IExtras
    {
        t.P.Write(i, t.P.Encode(p, t.P.Random(i >> 2).Lane((int)(i & 3))));
        extras.Output(i, p);
    }

    private static uint CodeM(Lane m, float inverse) => (uint)(int)DynamicMap.EncodeSigned(m * inverse).Value;

    private static uint CodeV(Lane v, float inverse) => (uint)(int)DynamicMap.EncodeUnsigned(v, v * inverse).Value;

    private static float Magnitude(Lane x) => Lane.Abs(x).Value;

    private static float Larger(float a, float b) => Utilities.Select(a > b, a, b);

    private struct Largest
    {
        public float M;
        public float V;
    }

    /// <summary>The largest |m| and v of a group of 256, in two levels of 16; all items must come here.</summary>
    private static Largest LargestOf256(float m, float v)
    {
        ArrayView<float> shared = SharedMemory.Allocate<float>(544);
        int item = Group.IdxX;
        shared[item] = Magnitude(Lane.Of(m));
        shared[256 + item] = v;
        Group.Barrier();
        if (item < 32)
        {
            // Items 0 .. 15 take m, 16 .. 31 take v.
            int row = (item & 15) + ((item >> 4) << 8);
            float rowLargest = Larger(
                LargestOf8(shared, row, 16), LargestOf8(shared, row + 128, 16));
            shared[512 + item] = rowLargest;
        }

        Group.Barrier();
        Largest largest = default;
        largest.M = Larger(LargestOf8(shared, 512, 1), LargestOf8(shared, 520, 1));
        largest.V = Larger(LargestOf8(shared, 528, 1), LargestOf8(shared, 536, 1));
        return largest;
    }

    /// <summary>The largest m and v of a group of 64, in two levels of 8; all items must come here.</summary>
    private static Largest LargestOf64(float m, float v)
    {
        ArrayView<float> shared = SharedMemory.Allocate<float>(144);
        int item = Group.IdxX;
        shared[item] = m;
        shared[64 + item] = v;
        Group.Barrier();
        if (item < 16)
        {
            int row = (item & 7) + ((item >> 3) << 6);
            shared[128 + item] = LargestOf8(shared, row, 8);
        }

        Group.Barrier();
        Largest largest = default;
        largest.M = LargestOf8(shared, 128, 1);
        largest.V = LargestOf8(shared, 136, 1);
        return largest;
    }

    private static float LargestOf8(ArrayView<float> x, int first, int stride) => Larger(
        Larger(
            Larger(x[first], x[first + stride]),
            Larger(x[first + 2 * stride], x[first + 3 * stride])),
        Larger(
            Larger(x[first + 4 * stride], x[first + 5 * stride]),
            Larger(x[first + 6 * stride], x[first + 7 * stride])));
}
