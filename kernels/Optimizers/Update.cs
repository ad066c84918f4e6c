using ILGPU;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Storage;

namespace Kernels.DeviceCode.Optimizers;

/// <summary>The tensors of a step. State the rule does not keep stays empty.</summary>
internal struct UpdateTensors<TParam, TGrad>
    where TParam : struct, IStorage
    where TGrad : struct, IStorage
{
    public TParam P;
    public TGrad G;
    public ArrayView<float> A;
    public ArrayView<float> B;
    public ArrayView<float> C;

    /// <summary>Multiplies every gradient: -1 to maximize, times what the host knows of the loss scale.</summary>
    public float GradientFactor;
}

/// <summary>One group's work in an arena whose segments differ: a block of elements and the rule for it.</summary>
internal struct Chunk
{
    /// <summary>Index of the block; its first element is this times <see cref="Update.BlockLength"/>.</summary>
    public int Block;

    /// <summary>Index into the table of rules.</summary>
    public int Rule;
}

/// <summary>Four rules on their way to the table, as an argument: a copy from the host would wait for the device.</summary>
internal struct RuleSet<TRule>
    where TRule : unmanaged, IUpdateRule
{
    public TRule First;
    public TRule Second;
    public TRule Third;
    public TRule Fourth;
}

/// <summary>The walks of every element-wise optimizer; the mathematics is in the rule.</summary>
/// <remarks>
/// Shapes: all tensors [n]; the launch covers exactly the elements from <c>first</c> on, so there is no bounds check.
/// Storage: p and g as their type says, state F32, arithmetic binary32.
/// Traffic: every tensor is read once and, but for g, written once.
/// Needs: no shared memory; any group size.
/// Order: elements are independent: the same bits for every launch shape and every walk.
/// Domain: NaN and infinity in one element stay in that element.
/// </remarks>
internal static class Update
{
    /// <summary>Elements in one block of an arena: 256, one group of scalar or 64 items of packet work.</summary>
    internal const int BlockLength = 256;

    /// <summary>Elements of a strip.</summary>
    internal const int StripLength = 1024;

    /// <summary>One element per item: tails, tensors that are not aligned, and OpenCL CPU devices, which vectorise it.</summary>
    // The index is long before the multiplication: with 32-bit indices PoCL cannot prove the accesses contiguous and
    // does not vectorise (0.76 against 0.20 ns a parameter in cache).
    [DeviceKernel("optimizers/update.elements")]
    internal static void Elements<TRule, TParam, TGrad, TExtras>(
        UpdateTensors<TParam, TGrad> t, TExtras extras, TRule rule, long first)
        where TRule : unmanaged, IUpdateRule
        where TParam : struct, IStorage
        where TGrad : struct, IStorage
        where TExtras : struct, IExtras
    {
        StepControl control = default;
        if (TExtras.HasControl)
        {
            control = extras.Control();
            Group.Barrier(); // as in BlockElements
        }

        StepElement(t, extras, rule, control, first + (long)Grid.IdxX * Group.DimX + Group.IdxX);
    }

    /// <summary>Four elements per item in 128-bit accesses (64-bit for 16-bit storage): aligned tensors on GPUs.</summary>
    [DeviceKernel("optimizers/update.packets")]
    internal static void Packets<TRule, TParam, TGrad, TExtras>(
        UpdateTensors<TParam, TGrad> t, TExtras extras, TRule rule, long first)
        where TRule : unmanaged, IUpdateRule
        where TParam : struct, IStorage
        where TGrad : struct, IStorage
        where TExtras : struct, IExtras =>
        StepPacket(t, extras, rule, first + (long)Grid.IdxX * Group.DimX + Group.IdxX);

    /// <summary>One block of an arena per group, one element per item: group size <see cref="BlockLength"/>.</summary>
    [DeviceKernel("optimizers/update.blockelements")]
    internal static void BlockElements<TRule, TParam, TGrad, TExtras>(
        UpdateTensors<TParam, TGrad> t, TExtras extras, ArrayView<TRule> rules, ArrayView<Chunk> chunks)
        where TRule : unmanaged, IUpdateRule
        where TParam : struct, IStorage
        where TGrad : struct, IStorage
        where TExtras : struct, IExtras
    {
        Chunk chunk = chunks[Grid.IdxX];
        TRule rule = rules[chunk.Rule];
        // Separates what is uniform from what is not: PoCL then keeps the rule in registers and vectorises the rest.
        StepControl control = extras.Control();
        Group.Barrier();
        StepElement(t, extras, rule, control, (long)chunk.Block * BlockLength + Group.IdxX);
    }

    /// <summary>One block of an arena per group, four elements per item: group size BlockLength / 4.</summary>
    [DeviceKernel("optimizers/update.blockpackets")]
    internal static void BlockPackets<TRule, TParam, TGrad, TExtras>(
        UpdateTensors<TParam, TGrad> t, TExtras extras, ArrayView<TRule> rules, ArrayView<Chunk> chunks)
        where TRule : unmanaged, IUpdateRule
        where TParam : struct, IStorage
        where TGrad : struct, IStorage
        where TExtras : struct, IExtras
    {
        Chunk chunk = chunks[Grid.IdxX];
        TRule rule = rules[chunk.Rule];
        StepPacket(t, extras, rule, (long)chunk.Block * (BlockLength / 4) + Group.IdxX);
    }

    /// <summary>Writes rules into the table: one item, and as many of the four as <paramref name="count"/> says.</summary>
    [DeviceKernel("optimizers/update.rules")]
    internal static void SetRules<TRule>(ArrayView<TRule> rules, int first, int count, RuleSet<TRule> set)
        where TRule : unmanaged, IUpdateRule
    {
        rules[first] = set.First;
        if (count > 1)
        {
            rules[first + 1] = set.Second;
        }

        if (count > 2)
        {
            rules[first + 2] = set.Third;
        }

        if (count > 3)
        {
            rules[first + 3] = set.Fourth;
        }
    }

    /// <summary>
    /// Strips of elements, one item each, in plain loops: OpenCL CPU devices, where a step rounds stochastically. Group
    /// size 1.
    /// </summary>
    // One draw serves eight elements: in a walk of one element per item each would draw for itself, 9 ns of a core.
    [DeviceKernel("optimizers/update.strips")]
    internal static void Strips<TRule, TParam, TGrad, TExtras>(
        UpdateTensors<TParam, TGrad> t, TExtras extras, TRule rule, long length)
        where TRule : unmanaged, IUpdateRule
        where TParam : struct, IStorage
        where TGrad : struct, IStorage
        where TExtras : struct, IExtras
    {
        StepControl control = TExtras.HasControl ? extras.Control() : default;
        if (TExtras.HasControl)
        {
            if (control.Skip != 0f)
            {
                return;
            }
        }

        float factor = Factor<TExtras>(t.GradientFactor, control);

        ArrayView<ushort> noise = LocalMemory.Allocate<ushort>(StripLength + StripNoise.Slack);
        long first = (long)Grid.IdxX * StripLength;
        StepStrip(t, extras, rule, factor, first, (int)IntrinsicMath.Min(StripLength, length - first), noise);
    }

    /// <summary>Blocks of an arena, some per item, each in plain loops, as <see cref="Strips"/>.</summary>
    [DeviceKernel("optimizers/update.blockstrips")]
    internal static void BlockStrips<TRule, TParam, TGrad, TExtras>(
        UpdateTensors<TParam, TGrad> t, TExtras extras, ArrayView<TRule> rules, ArrayView<Chunk> chunks, int blocks)
        where TRule : unmanaged, IUpdateRule
        where TParam : struct, IStorage
        where TGrad : struct, IStorage
        where TExtras : struct, IExtras
    {
        StepControl control = TExtras.HasControl ? extras.Control() : default;
        if (TExtras.HasControl)
        {
            if (control.Skip != 0f)
            {
                return;
            }
        }

        float factor = Factor<TExtras>(t.GradientFactor, control);

        ArrayView<ushort> noise = LocalMemory.Allocate<ushort>(BlockLength + StripNoise.Slack);
        long end = IntrinsicMath.Min((Grid.IdxX + 1L) * blocks, chunks.Length);
        for (long i = (long)Grid.IdxX * blocks; i < end; i++)
        {
            Chunk chunk = chunks[i];
            StepStrip(t, extras, rules[chunk.Rule], factor, (long)chunk.Block * BlockLength, BlockLength, noise);
        }
    }

    /// <summary>What gradients are multiplied by, in a step with control or without.</summary>
    internal static float Factor<TExtras>(float factor, StepControl control)
        where TExtras : struct, IExtras => TExtras.HasControl ? factor * control.GradientFactor : factor;

    private static void StepStrip<TRule, TParam, TGrad, TExtras>(
        UpdateTensors<TParam, TGrad> t, TExtras extras, TRule rule, float factor, long first, int count,
        ArrayView<ushort> noise)
        where TRule : unmanaged, IUpdateRule
        where TParam : struct, IStorage
        where TGrad : struct, IStorage
        where TExtras : struct, IExtras
    {
        int start = StripNoise.Draw(t.P, extras, first, count, noise);
        for (int k = 0; k < count; k++)
        {
            uint random = noise[start + k];
            float p = Advance(t, rule, factor, first + k);
            t.P.Write(first + k, t.P.Encode(p, random));
            extras.OutputRounded(first + k, p, random);
        }
    }

    private static void StepElement<TRule, TParam, TGrad, TExtras>(
        UpdateTensors<TParam, TGrad> t, TExtras extras, TRule rule, StepControl control, long i)
        where TRule : unmanaged, IUpdateRule
        where TParam : struct, IStorage
        where TGrad : struct, IStorage
        where TExtras : struct, IExtras
    {
        if (TExtras.HasControl)
        {
            if (control.Skip != 0f)
            {
                return;
            }
        }

        float factor = Factor<TExtras>(t.GradientFactor, control);

        float p = Advance(t, rule, factor, i);
        t.P.Write(i, t.P.Encode(p, t.P.Random(i >> 2).Lane((int)(i & 3))));
        extras.Output(i, p);
    }

    /// <summary>Steps the state of an element; its parameter, which is not yet written.</summary>
    private static float Advance<TRule, TParam, TGrad>(
        UpdateTensors<TParam, TGrad> t, TRule rule, float factor, long i)
        where TRule : unmanaged, IUpdateRule
        where TParam : struct, IStorage
        where TGrad : struct, IStorage
    {
        Element<Lane> e = default;
        e.P = Lane.Of(t.P.Decode(t.P.Read(i)));
        if (TRule.StateCount > 0)
        {
            e.A = Lane.Of(t.A[i]);
        }

        if (TRule.StateCount > 1)
        {
            e.B = Lane.Of(t.B[i]);
        }

        if (TRule.StateCount > 2)
        {
            e.C = Lane.Of(t.C[i]);
        }

        e = rule.Apply(e, Lane.Of(t.G.Decode(t.G.Read(i)) * factor));
        if (TRule.StateCount > 0)
        {
            t.A[i] = e.A.Value;
        }

        if (TRule.StateCount > 1)
        {
            t.B[i] = e.B.Value;
        }

        if (TRule.StateCount > 2)
        {
            t.C[i] = e.C.Value;
        }

        return e.P.Value;
    }

    private static void StepPacket<TRule, TParam, TGrad, TExtras>(
        UpdateTensors<TParam, TGrad> t, TExtras extras, TRule rule, long k)
        where TRule : unmanaged, IUpdateRule
        where TParam : struct, IStorage
        where TGrad : struct, IStorage
        where TExtras : struct, IExtras
    {
        StepControl control = TExtras.HasControl ? extras.Control() : default;
        if (TExtras.HasControl)
        {
            if (control.Skip != 0f)
            {
                return;
            }
        }

        float factor = Factor<TExtras>(t.GradientFactor, control);

        Quad p = Decode(t.P, k);
        Quad g = Decode(t.G, k);
        Quad a = TRule.StateCount > 0 ? t.A.Cast<Quad>()[k] : default;
        Quad b = TRule.StateCount > 1 ? t.B.Cast<Quad>()[k] : default;
        Quad c = TRule.StateCount > 2 ? t.C.Cast<Quad>()[k] : default;
        Element<Lane> x = rule.Apply(Pack(p.X, a.X, b.X, c.X), Lane.Of(g.X * factor));
        Element<Lane> y = rule.Apply(Pack(p.Y, a.Y, b.Y, c.Y), Lane.Of(g.Y * factor));
        Element<Lane> z = rule.Apply(Pack(p.Z, a.Z, b.Z, c.Z), Lane.Of(g.Z * factor));
        Element<Lane> w = rule.Apply(Pack(p.W, a.W, b.W, c.W), Lane.Of(g.W * factor));
        p = new Quad { X = x.P.Value, Y = y.P.Value, Z = z.P.Value, W = w.P.Value };
        t.P.WritePacket(k, Encode(t.P, p, k));
        if (TRule.StateCount > 0)
        {
            t.A.Cast<Quad>()[k] = new Quad { X = x.A.Value, Y = y.A.Value, Z = z.A.Value, W = w.A.Value };
        }

        if (TRule.StateCount > 1)
        {
            t.B.Cast<Quad>()[k] = new Quad { X = x.B.Value, Y = y.B.Value, Z = z.B.Value, W = w.B.Value };
        }

        if (TRule.StateCount > 2)
        {
            t.C.Cast<Quad>()[k] = new Quad { X = x.C.Value, Y = y.C.Value, Z = z.C.Value, W = w.C.Value };
        }

        extras.OutputPacket(k, p);
    }

    private static Element<Lane> Pack(float p, float a, float b, float c) =>
        new() { P = Lane.Of(p), A = Lane.Of(a), B = Lane.Of(b), C = Lane.Of(c) };

    internal static Quad Decode<TStorage>(TStorage s, long k)
        where TStorage : struct, IStorage
    {
        QuadBits raw = s.ReadPacket(k);
        return new Quad { X = s.Decode(raw.X), Y = s.Decode(raw.Y), Z = s.Decode(raw.Z), W = s.Decode(raw.W) };
    }

    internal static QuadBits Encode<TStorage>(TStorage s, Quad value, long k)
        where TStorage : struct, IStorage
    {
        QuadBits random = s.Random(k);
        return new QuadBits
        {
            X = s.Encode(value.X, random.X),
            Y = s.Encode(value.Y, random.Y),
            Z = s.Encode(value.Z, random.Z),
            W = s.Encode(value.W, random.W),
        };
    }
}
