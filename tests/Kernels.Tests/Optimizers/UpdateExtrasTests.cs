using ILGPU.Runtime;
using Kernels.Launching;
using Kernels.Optimizers;
using Kernels.References;
using Kernels.References.Optimizers;
using Kernels.Tests.Support;

namespace Kernels.Tests.Optimizers;

/// <summary>What is fused into a step: control, averages, copies, stochastic rounding.</summary>
public sealed class UpdateExtrasTests
{
    /// <summary>Where a step is taken, and in which walk.</summary>
    public enum Where
    {
        /// <summary>The device under test in its own walk.</summary>
        Own,

        /// <summary>One element per item, on a CPU accelerator with warps of 32.</summary>
        Elements,

        /// <summary>Four elements per item, there too.</summary>
        Packets,
    }

    private static readonly AdamWOptions s_options = new() { LearningRate = 0.01 };

    // Simulated warps are the same whatever the device under test: they run with the CPU accelerator's tests.
    private static readonly Where[] s_places = TestDevices.IsHost ? Enum.GetValues<Where>() : [Where.Own];

    public static TheoryData<int, Where> Lengths()
    {
        var data = new TheoryData<int, Where>();
        foreach (Where place in s_places)
        {
            foreach (int n in new[] { 1, 3, 255, 257, 1024, 4099 })
            {
                if (place == Where.Own || n <= 1024)
                {
                    data.Add(n, place);
                }
            }
        }

        return data;
    }

    public static TheoryData<Where> Places() => [.. s_places];

    [Theory]
    [MemberData(nameof(Lengths))]
    public void A_skipped_step_changes_no_bit(int n, Where place)
    {
        Accelerator accelerator = On(place);
        var draw = new Draw(n);
        foreach (Storage storage in Enum.GetValues<Storage>())
        {
            uint[] bits = StepData.Encode(draw.Floats(n), storage);
            // NaN with a payload must come back as it was.
            bits[0] = storage switch { Storage.F32 => 0xFF812345, Storage.F16 => 0xFC12, _ => 0xFF91 };
            float[] mean = draw.Floats(n);
            mean[^1] = BitConverter.UInt32BitsToSingle(0x7F812345);
            using var p = new GuardedTensor(accelerator, storage, bits);
            using var g = new GuardedTensor(accelerator, draw.Floats(n));
            using var m = new GuardedTensor(accelerator, mean);
            using var v = new GuardedTensor(accelerator, draw.Floats(n));
            using var average = new GuardedTensor(accelerator, draw.Floats(n));
            using var copy = new GuardedTensor(accelerator, Storage.BF16, StepData.Encode(draw.Floats(n), Storage.BF16));
            using var control = new GuardedTensor(accelerator, [2f, 1f]);
            uint[][] before = [.. new[] { m, v, average, copy }.Select(t => t.Bits())];
            new UpdateLauncher(accelerator, s_options).Step(
                accelerator.DefaultStream, p.View, g.View, [m.Floats, v.Floats], 1, null, new UpdateExtras
                {
                    Control = control.Floats,
                    Average = average.Floats,
                    AverageRate = 0.5,
                    Copy = storage == Storage.F32 ? copy.View : default,
                },
                Walk(place));
            accelerator.Synchronize();
            Assert.Equal(bits, p.Bits());
            Assert.Equal(before, [.. new[] { m, v, average, copy }.Select(t => t.Bits())]);
        }
    }

    [Theory]
    [MemberData(nameof(Lengths))]
    public void A_power_of_two_as_loss_scale_gives_the_bits_of_the_unscaled_step(int n, Where place)
    {
        float[] g = new Draw(n).Floats(n);
        uint[] plain = Step(place, n, g, default);
        using var control = new GuardedTensor(On(place), [1f / 1024, 0f]);
        uint[] scaled = Step(place, n, Array.ConvertAll(g, x => x * 1024), new UpdateExtras { Control = control.Floats });
        Assert.Equal(plain, scaled);
    }

    [Theory]
    [MemberData(nameof(Lengths))]
    public void The_average_and_the_copy_follow_the_updated_parameters(int n, Where place)
    {
        Accelerator accelerator = On(place);
        var draw = new Draw(n);
        float[] start = draw.Floats(n);
        foreach ((Storage storage, bool controlled) in new[] { (Storage.F16, true), (Storage.BF16, false) })
        {
            // Under a control that changes nothing as well: what is fused into a step is fused into a guarded one.
            using var control = new GuardedTensor(accelerator, [1f, 0f]);
            using var average = new GuardedTensor(accelerator, start);
            using var copy = new GuardedTensor(accelerator, storage, new uint[n]);
            uint[] bits = Step(place, n, draw.Floats(n), new UpdateExtras
            {
                Control = controlled ? control.Floats : default,
                Average = average.Floats,
                AverageRate = 1 - 0.75,
                Copy = copy.View,
            });
            float[] p = Array.ConvertAll(bits, BitConverter.UInt32BitsToSingle);
            Assert.Equal(StepData.Encode(p, storage), copy.Bits());
            float[] got = average.Values();
            for (int i = 0; i < n; i++)
            {
                Bounded wanted = AveragingReference.Exponential(start[i], p[i], 0.75);
                Assert.True(wanted.Admits(got[i]), $"average[{i}] must be {wanted}, and is {got[i]:R}.");
            }
        }
    }

    [Theory]
    [MemberData(nameof(Places))]
    public void Stochastic_rounding_follows_the_counter_generator_in_every_split(Where place)
    {
        const int n = 4096;
        Accelerator accelerator = On(place);
        const ulong seed = 0x0123456789ABCDEF;
        float[] g = new Draw(3).Floats(n);
        using var copy = new GuardedTensor(accelerator, Storage.BF16, new uint[n]);
        uint[] master = Step(
            place, n, g, new UpdateExtras { Copy = copy.View, StochasticRounding = true, Seed = seed }, step: 7);
        uint[] whole = copy.Bits();
        for (int i = 0; i < n; i++)
        {
            ushort wanted = NarrowingReference.ToBFloat16(
                BitConverter.UInt32BitsToSingle(master[i]), PhiloxReference.RoundingBits((ulong)i, 7, seed));
            Assert.Equal(wanted, whole[i]);
        }

        using var parts = new GuardedTensor(accelerator, Storage.BF16, new uint[n]);
        foreach ((int first, int length) in new[] { (0, 1004), (1004, 3092) })
        {
            Step(
                place, length, g[first..(first + length)], new UpdateExtras
                {
                    Copy = parts.View.Slice(first, length),
                    StochasticRounding = true,
                    Seed = seed,
                    FirstElement = first,
                },
                step: 7, start: 0.5f);
        }

        Assert.Equal(whole, parts.Bits());
    }

    [Fact]
    public void Stochastic_rounding_is_right_on_average_and_takes_only_the_two_neighbours()
    {
        // A rate of 0 leaves the master; its copy is drawn anew with every step number.
        const int n = 256;
        const int draws = 512;
        Accelerator accelerator = TestDevices.Session.Accelerator;
        const float value = 1.0009765625f; // an eighth of the way from 1 to 1.0078125
        using var copy = new GuardedTensor(accelerator, Storage.BF16, new uint[n]);
        int up = 0;
        var together = new int[8, 8];
        for (int step = 1; step <= draws; step++)
        {
            Step(
                Where.Own, n, new float[n], new UpdateExtras { Copy = copy.View, StochasticRounding = true, Seed = 42 }, step,
                value, new AdamWOptions { LearningRate = 0 });
            uint[] bits = copy.Bits();
            Assert.All(bits, b => Assert.InRange(b, 0x3F80u, 0x3F81u));
            up += bits.Count(b => b == 0x3F81);
            for (int i = 0; i < n; i++)
            {
                for (int k = 0; k < 8; k++)
                {
                    together[i % 8, k] += bits[i] == 0x3F81 && bits[(i & ~7) + k] == 0x3F81 ? 1 : 0;
                }
            }
        }

        // Binomial with p = 1/8: five standard deviations.
        const double trials = n * draws;
        double deviation = Math.Sqrt(trials * (1.0 / 8) * (7.0 / 8));
        Assert.InRange(up, trials / 8 - 5 * deviation, trials / 8 + 5 * deviation);
        // The eight of one draw know nothing of each other: two go up together as often as chance has it.
        for (int a = 0; a < 8; a++)
        {
            for (int b = 0; b < 8; b++)
            {
                double chance = a == b ? 1.0 / 8 : 1.0 / 64;
                double spread = 5 * Math.Sqrt(trials / 8 * chance * (1 - chance));
                Assert.InRange(together[a, b], trials / 8 * chance - spread, trials / 8 * chance + spread);
            }
        }
    }

    private static Accelerator On(Where place) =>
        place == Where.Own ? TestDevices.Session.Accelerator : TestDevices.Warp(32);

    private static LinearWalk? Walk(Where place) => place switch
    {
        Where.Elements => LinearWalk.Elements,
        Where.Packets => LinearWalk.Packets,
        _ => null,
    };

    private static uint[] Step(
        Where place, int n, float[] gradient, UpdateExtras extras, int step = 1, float start = 0.5f,
        AdamWOptions? options = null)
    {
        Accelerator accelerator = On(place);
        using var p = new GuardedTensor(accelerator, [.. Enumerable.Repeat(start, n)]);
        using var g = new GuardedTensor(accelerator, gradient);
        using var m = new GuardedTensor(accelerator, new float[n]);
        using var v = new GuardedTensor(accelerator, new float[n]);
        new UpdateLauncher(accelerator, options ?? s_options).Step(
            accelerator.DefaultStream, p.View, g.View, [m.Floats, v.Floats], step, null, extras, Walk(place));
        accelerator.Synchronize();
        return p.Bits();
    }
}
