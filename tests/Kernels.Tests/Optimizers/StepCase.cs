using FsCheck;
using FsCheck.Fluent;
using Kernels.References;
using Kernels.Tests.Support;

namespace Kernels.Tests.Optimizers;

/// <summary>One step of one optimizer over a tensor: everything follows from these few numbers.</summary>
public sealed record StepCase(string Form, int Length, int Shift, int Step, Storage P, Storage G, int Seed);

/// <summary>Generates and shrinks steps.</summary>
public static class StepCases
{
    private static readonly int[] s_lengths =
        [0, 1, 2, 3, 4, 5, 15, 16, 17, 31, 32, 33, 63, 64, 65, 255, 256, 257, 1023, 1024, 1025, 1027, 4099];

    public static Arbitrary<StepCase> StepCase() => Arb.From(
        from form in Gen.Elements<string>(ElementwiseForms.Names)
        from length in Gen.Elements(s_lengths)
        from shift in Gen.Frequency((2, Gen.Constant(0)), (1, Gen.Choose(1, 3)))
        from step in Gen.Elements(1, 2, 3, 5, 6, 7, 100, 10_000)
        from storage in Gen.Frequency(
            (4, Gen.Constant((P: Storage.F32, G: Storage.F32))),
            (1, Gen.Elements(
                (P: Storage.F16, G: Storage.F16), (P: Storage.BF16, G: Storage.BF16), (P: Storage.F32, G: Storage.BF16))))
        from seed in Gen.Choose(0, int.MaxValue - 1)
        select new StepCase(form, length, shift, step, storage.P, storage.G, seed),
        Smaller);

    private static IEnumerable<StepCase> Smaller(StepCase c)
    {
        foreach (int length in s_lengths.Where(n => n < c.Length))
        {
            yield return c with { Length = length };
        }

        if (c.Shift != 0)
        {
            yield return c with { Shift = 0 };
        }

        if (c.P != Storage.F32 || c.G != Storage.F32)
        {
            yield return c with { P = Storage.F32, G = Storage.F32 };
        }
    }
}

/// <summary>The tensors of a step on the host: raw bits, and the numbers they stand for.</summary>
public sealed class StepData
{
    public StepData(StepCase c)
        : this(c, null)
    {
    }

    /// <summary>With these options in place of random ones.</summary>
    public StepData(StepCase c, Pairing? pairing)
    {
        var draw = new Draw(c.Seed);
        Pairing = pairing ?? ElementwiseForms.Create(c.Form, draw);
        P = Encode(draw.Floats(c.Length), c.P);
        G = Encode(draw.Floats(c.Length), c.G);
        foreach (string name in Pairing.Options.StateNames)
        {
            float[] values = draw.Floats(c.Length);
            bool isSquare = name is not ("exp_avg" or "momentum_buffer" or "grad_avg" or "previous_grad");
            State.Add(isSquare ? Array.ConvertAll(values, v => v * v) : values);
        }

        if (SlotOf("grad_avg") >= 0)
        {
            // A mean square is at least the square of the mean; otherwise the step is outside the domain.
            float[] mean = State[SlotOf("grad_avg")];
            for (int i = 0; i < mean.Length; i++)
            {
                State[0][i] += mean[i] * mean[i];
            }
        }
    }

    public Pairing Pairing { get; }

    public uint[] P { get; }

    public uint[] G { get; }

    public List<float[]> State { get; } = [];

    /// <summary>Position of the oracle's state tensor in the library's order.</summary>
    public int SlotOf(string name) => Pairing.Options.StateNames.ToList().IndexOf(name);

    public static uint[] Encode(float[] values, Storage storage) => Array.ConvertAll(values, v => storage switch
    {
        Storage.F32 => BitConverter.SingleToUInt32Bits(v),
        Storage.F16 => NarrowingReference.ToFloat16(v),
        _ => NarrowingReference.ToBFloat16(v),
    });

    public static float Decode(uint bits, Storage storage) => storage switch
    {
        Storage.F32 => BitConverter.UInt32BitsToSingle(bits),
        Storage.F16 => NarrowingReference.FromFloat16((ushort)bits),
        _ => NarrowingReference.FromBFloat16((ushort)bits),
    };
}
