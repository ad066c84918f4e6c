using FsCheck;
using FsCheck.Fluent;
using Kernels.Optimizers;
using Kernels.References.Optimizers;
using Kernels.Tests.Support;

namespace Kernels.Tests.Optimizers;

/// <summary>One step of 8-bit Adam: everything follows from these few numbers.</summary>
public sealed record EightBitCase(int Length, int Shift, int Step, Storage P, Storage G, int Seed);

/// <summary>Generates and shrinks steps.</summary>
public static class EightBitCases
{
    private static readonly int[] s_lengths = [0, 1, 3, 255, 256, 257, 512, 1027];

    public static Arbitrary<EightBitCase> EightBitCase() => Arb.From(
        from length in Gen.Elements(s_lengths)
        from shift in Gen.Frequency((2, Gen.Constant(0)), (1, Gen.Choose(1, 3)))
        from step in Gen.Elements(1, 2, 100, 10_000)
        from storage in Gen.Frequency(
            (3, Gen.Constant((P: Storage.F32, G: Storage.F32))),
            (1, Gen.Elements(
                (P: Storage.F16, G: Storage.F16), (P: Storage.BF16, G: Storage.BF16), (P: Storage.F32, G: Storage.BF16))))
        from seed in Gen.Choose(0, int.MaxValue - 1)
        select new EightBitCase(length, shift, step, storage.P, storage.G, seed),
        c => s_lengths.Where(n => n < c.Length).Select(n => c with { Length = n }));
}

/// <summary>The tensors of a step on the host.</summary>
public sealed class EightBitData
{
    public EightBitData(EightBitCase c)
    {
        var draw = new Draw(c.Seed);
        double rate = draw.OneOf(0, draw.LogUniform(1e-6, 1));
        double beta1 = draw.OneOf(0, 0.5, 0.9, 0.95);
        double beta2 = draw.OneOf(0, 0.9, 0.99, 0.999);
        double epsilon = draw.LogUniform(1e-10, 1e-2);
        double decay = draw.OneOf(0, draw.LogUniform(1e-4, 0.5));
        bool decoupled = draw.OneOf(true, false);
        bool maximize = draw.OneOf(false, false, true);
        Options = new AdamOptions
        {
            LearningRate = rate,
            Beta1 = beta1,
            Beta2 = beta2,
            Epsilon = epsilon,
            WeightDecay = decay,
            Decoupled = decoupled,
            Maximize = maximize,
        };
        Reference = new EightBitAdamReference(
            new AdamReference(rate, beta1, beta2, epsilon, decay, decoupled, maximize: maximize));
        P = StepData.Encode(draw.Floats(c.Length), c.P);
        G = StepData.Encode(draw.Floats(c.Length), c.G);
        CodesM = Codes(draw, c.Length);
        CodesV = Codes(draw, c.Length);
        ScalesM = Scales(draw, c.Length, 1);
        ScalesV = Scales(draw, c.Length, 2);
    }

    public AdamOptions Options { get; }

    public EightBitAdamReference Reference { get; }

    public uint[] P { get; }

    public uint[] G { get; }

    public byte[] CodesM { get; }

    public byte[] CodesV { get; }

    public float[] ScalesM { get; }

    public float[] ScalesV { get; }

    private static byte[] Codes(Draw draw, int n)
    {
        var codes = new byte[n];
        for (int i = 0; i < n; i++)
        {
            codes[i] = (byte)draw.Below(256);
        }

        return codes;
    }

    private static float[] Scales(Draw draw, int n, int power)
    {
        var scales = new float[EightBitAdamLauncher.ScaleCount(n)];
        for (int i = 0; i < scales.Length; i++)
        {
            scales[i] = draw.OneOf(0f, 1f, (float)Math.Pow(draw.LogUniform(1e-6, 1e3), power));
        }

        return scales;
    }
}

/// <summary>What a step leaves: raw bits.</summary>
public sealed record EightBitResult(uint[] P, byte[] CodesM, byte[] CodesV, uint[] ScalesM, uint[] ScalesV)
{
    public void ShouldEqual(EightBitResult other)
    {
        Assert.Equal(other.P, P);
        Assert.Equal(other.ScalesM, ScalesM);
        Assert.Equal(other.ScalesV, ScalesV);
        Assert.Equal(other.CodesM, CodesM);
        Assert.Equal(other.CodesV, CodesV);
    }
}
