using System.Runtime.CompilerServices;
using ILGPU;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Storage;
using static Kernels.DeviceCode.Optimizers.EightBitBlock;

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
        float factor = Update.Factor<TExtras>(t.GradientFactor, control);
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
        float factor = Update.Factor<TExtras>(t.GradientFactor, control);
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
        float factor = Update.Factor<TExtras>(t.GradientFactor, control);
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
        float factor = Update.Factor<TExtras>(t.GradientFactor, control);
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

    private static Element<Lane> Apply<TParam, TGrad>(
        UpdateTensors<TParam, TGrad> t, EightBitMoments s, AdamRule rule, float factor, float scaleM, float scaleV,
        long i)
        where TParam : struct, IStorage
        where TGrad : struct, IStorage => Apply(
            rule, t.P.Decode(t.P.Read(i)), t.G.Decode(t.G.Read(i)) * factor, s.CodesM[i], s.CodesV[i], scaleM, scaleV);

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
}
