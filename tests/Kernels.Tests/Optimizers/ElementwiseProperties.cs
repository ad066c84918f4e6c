using FsCheck.Xunit;
using ILGPU.Runtime;
using Kernels.Launching;
using Kernels.Optimizers;
using Kernels.References;
using Kernels.References.Optimizers;
using Kernels.Tests.Support;

namespace Kernels.Tests.Optimizers;

/// <summary>What holds for every element-wise optimizer, in every storage and on every device.</summary>
[Properties(Arbitrary = [typeof(StepCases)], QuietOnSuccess = true)]
public sealed class ElementwiseProperties
{
    [Property(MaxTest = 250)]
    public void Matches_the_reference(StepCase c)
    {
        var data = new StepData(c);
        StepResult result = Run(TestDevices.Session.Accelerator, c, data, walk: null);
        CompareWithReference(c, data, result);
    }

    /// <summary>Every form at every kind of step: among random forms a first step of one of them is rare.</summary>
    [Theory]
    [MemberData(nameof(FormNames))]
    public void Matches_the_reference_from_the_first_step_on(string form)
    {
        foreach (int step in new[] { 1, 2, 3, 5, 6, 7, 100 })
        {
            for (int seed = 1; seed <= 6; seed++)
            {
                var c = new StepCase(form, 21, 0, step, Storage.F32, Storage.F32, (1000 * step) + seed);
                var data = new StepData(c);
                CompareWithReference(c, data, Run(TestDevices.Session.Accelerator, c, data, walk: null));
            }
        }
    }

    /// <summary>On both sides of where AdaBelief's rectified rate becomes adaptive: a length of 5.</summary>
    [Theory]
    [InlineData(0.9, 5)] // 4.58
    [InlineData(0.9, 6)] // 5.39
    [InlineData(0.95, 5)]
    [InlineData(0.95, 6)]
    [InlineData(0.999, 5)] // 4.99
    [InlineData(0.999, 6)] // 5.99
    public void Rectification_begins_at_a_length_of_five(double beta2, int step)
    {
        foreach (bool degenerated in new[] { true, false })
        {
            var pairing = new Pairing(
                new AdaBeliefOptions { LearningRate = 0.1, Beta2 = beta2, DegeneratedToSgd = degenerated },
                new AdaBeliefReference(0.1, 0.9, beta2, degeneratedToSgd: degenerated));
            var c = new StepCase("adabelief.rectified", 21, 0, step, Storage.F32, Storage.F32, step);
            var data = new StepData(c, pairing);
            CompareWithReference(c, data, Run(TestDevices.Session.Accelerator, c, data, walk: null));
        }
    }

    [Property(MaxTest = 60)]
    public void Matches_the_reference_on_every_warp_size_and_walk(StepCase c)
    {
        StepCase small = c with { Length = Math.Min(c.Length, 257) };
        var data = new StepData(small);
        foreach (int warp in TestDevices.WarpSizes)
        {
            StepResult elements = Run(TestDevices.Warp(warp), small, data, LinearWalk.Elements);
            CompareWithReference(small, data, elements);
            if (small.Shift == 0)
            {
                Run(TestDevices.Warp(warp), small, data, LinearWalk.Packets).ShouldEqual(elements);
            }
        }
    }

    [Property(MaxTest = 60)]
    public void Every_walk_gives_the_same_bits(StepCase c)
    {
        StepCase aligned = c with { Shift = 0 };
        var data = new StepData(aligned);
        Accelerator accelerator = TestDevices.Session.Accelerator;
        StepResult natural = Run(accelerator, aligned, data, walk: null);
        // CPU accelerators of the session's kind have groups of 2: the device walks are too slow there beyond this.
        if (!TestDevices.IsHost || aligned.Length <= 257)
        {
            Run(accelerator, aligned, data, LinearWalk.Elements).ShouldEqual(natural);
            Run(accelerator, aligned, data, LinearWalk.Packets).ShouldEqual(natural);
        }

        Run(accelerator, aligned with { Shift = 1 }, data, walk: null).ShouldEqual(natural);
        Run(accelerator, aligned, data, walk: null).ShouldEqual(natural);
    }

    [Property(MaxTest = 60)]
    public void Two_parts_give_the_bits_of_the_whole(StepCase c)
    {
        var data = new StepData(c);
        Accelerator accelerator = TestDevices.Session.Accelerator;
        StepResult whole = Run(accelerator, c, data, walk: null);
        int cut = c.Length / 3;
        Run(accelerator, c, data, walk: null, cut).ShouldEqual(whole);
    }

    [Property(MaxTest = 40)]
    public void A_rate_of_zero_leaves_the_parameters_and_renews_the_state(StepCase c)
    {
        var data = new StepData(c with { P = Storage.F32 });
        ElementwiseOptions options = data.Pairing.Options with { LearningRate = 0, WeightDecay = 0 };
        StepResult result = Run(
            TestDevices.Session.Accelerator, c with { P = Storage.F32 }, data, null, options: options);
        // -0 - 0 * x is -0 or 0: compare values.
        Assert.Equal(data.P.Select(b => StepData.Decode(b, Storage.F32)), result.P.Select(b => StepData.Decode(b, Storage.F32)));
        StepResult moved = Run(
            TestDevices.Session.Accelerator, c with { P = Storage.F32 }, data, null,
            options: options with { LearningRate = 1e-3 });
        Assert.Equal(moved.State.SelectMany(s => s), result.State.SelectMany(s => s));
    }

    [Property(MaxTest = 40)]
    public void Signs_flip_together(StepCase c)
    {
        var data = new StepData(c);
        StepResult result = Run(TestDevices.Session.Accelerator, c, data, null);
        uint sign = c.P == Storage.F32 ? 0x80000000 : 0x8000;
        uint gradientSign = c.G == Storage.F32 ? 0x80000000 : 0x8000;
        var mirrored = new StepData(c);
        Flip(mirrored.P, sign);
        Flip(mirrored.G, gradientSign);
        foreach (string name in new[] { "exp_avg", "momentum_buffer", "grad_avg", "previous_grad" })
        {
            if (mirrored.SlotOf(name) >= 0)
            {
                float[] state = mirrored.State[mirrored.SlotOf(name)];
                for (int i = 0; i < state.Length; i++)
                {
                    state[i] = -state[i];
                }
            }
        }

        StepResult flipped = Run(TestDevices.Session.Accelerator, c, mirrored, null);
        Assert.Equal(
            result.P.Select(b => StepData.Decode(b, c.P)), flipped.P.Select(b => -StepData.Decode(b, c.P)));
    }

    [Theory]
    [MemberData(nameof(FormNames))]
    public void Zero_gradient_and_zero_state_leave_the_parameter(string form)
    {
        var c = new StepCase(form, 7, 0, 1, Storage.F32, Storage.F32, 5);
        var data = new StepData(c);
        Array.Clear(data.G);
        data.State.ForEach(Array.Clear);
        ElementwiseOptions options = data.Pairing.Options with { WeightDecay = 0, LearningRate = 0.1 };
        foreach (int step in new[] { 1, 2, 6 })
        {
            StepResult result = Run(
                TestDevices.Session.Accelerator, c with { Step = step }, data, null, options: options);
            Assert.Equal(
                data.P.Select(b => StepData.Decode(b, Storage.F32)),
                result.P.Select(b => StepData.Decode(b, Storage.F32)));
        }
    }

    [Theory]
    [MemberData(nameof(FormNames))]
    public void Infinity_and_NaN_stay_in_their_element(string form)
    {
        foreach (Storage storage in Enum.GetValues<Storage>())
        {
            var c = new StepCase(form, 37, 0, 3, storage, storage, 11);
            var data = new StepData(c);
            StepResult clean = Run(TestDevices.Session.Accelerator, c, data, null);
            int[] poisoned = [0, 5, 18, 36];
            float[] poison = [float.NaN, float.PositiveInfinity, float.NegativeInfinity, float.NaN];
            for (int k = 0; k < poisoned.Length; k++)
            {
                data.G[poisoned[k]] = StepData.Encode([poison[k]], storage)[0];
            }

            StepResult result = Run(TestDevices.Session.Accelerator, c, data, null);
            for (int i = 0; i < c.Length; i++)
            {
                if (!poisoned.Contains(i))
                {
                    Assert.Equal(clean.P[i], result.P[i]);
                    Assert.All(clean.State.Zip(result.State), s => Assert.Equal(s.First[i], s.Second[i]));
                }
            }

            Assert.True(float.IsNaN(StepData.Decode(result.P[0], storage)));
            Assert.True(float.IsNaN(StepData.Decode(result.P[36], storage)));
        }
    }

    /// <summary>0 times an infinite mean would be NaN.</summary>
    [Theory]
    [InlineData("adabelief.rectified")]
    [InlineData("adabelief.amsgrad.rectified")]
    public void A_step_of_AdaBelief_that_is_none_leaves_parameters_alone_whatever_the_gradient(string form)
    {
        foreach (LinearWalk? walk in new LinearWalk?[] { null, LinearWalk.Elements, LinearWalk.Packets })
        {
            var options = new AdaBeliefOptions { AmsGrad = form.Contains("ams"), DegeneratedToSgd = false };
            var c = new StepCase(form, 37, 0, 1, Storage.F32, Storage.F32, 15); // step 1 of betas by default: too early
            var data = new StepData(c);
            data.G[0] = BitConverter.SingleToUInt32Bits(float.PositiveInfinity);
            data.G[20] = BitConverter.SingleToUInt32Bits(float.NegativeInfinity);
            data.G[36] = BitConverter.SingleToUInt32Bits(float.NaN);
            Accelerator accelerator = walk is null ? TestDevices.Session.Accelerator : TestDevices.Warp(32);
            StepResult result = Run(accelerator, c, data, walk, options: options);
            Assert.Equal(data.P, result.P);
            Assert.False(float.IsFinite(BitConverter.UInt32BitsToSingle(result.State[0][20])));
        }
    }

    /// <summary>Without coupled decay a parameter does not enter its own gradient: 0 times infinity would be NaN.</summary>
    [Theory]
    [MemberData(nameof(FormNames))]
    public void A_parameter_that_is_not_finite_leaves_its_state_as_it_is(string form)
    {
        var c = new StepCase(form, 37, 0, 6, Storage.F32, Storage.F32, 13);
        var data = new StepData(c);
        ElementwiseOptions options = data.Pairing.Options with { WeightDecay = 0, LearningRate = 0.1 };
        foreach (LinearWalk? walk in new LinearWalk?[] { null, LinearWalk.Elements, LinearWalk.Packets })
        {
            Accelerator accelerator = walk is null ? TestDevices.Session.Accelerator : TestDevices.Warp(32);
            StepResult clean = Run(accelerator, c, data, walk, options: options);
            var poisoned = new StepData(c);
            poisoned.P[3] = BitConverter.SingleToUInt32Bits(float.PositiveInfinity);
            poisoned.P[20] = BitConverter.SingleToUInt32Bits(float.NegativeInfinity);
            poisoned.P[36] = BitConverter.SingleToUInt32Bits(float.NaN);
            StepResult result = Run(accelerator, c, poisoned, walk, options: options);
            Assert.Equal(clean.State, result.State);
            Assert.Equal(poisoned.P[3], result.P[3]);
            Assert.Equal(poisoned.P[20], result.P[20]);
            Assert.True(float.IsNaN(BitConverter.UInt32BitsToSingle(result.P[36])));
        }
    }

    public static TheoryData<string> FormNames() => [.. ElementwiseForms.Names];

    internal static StepResult Run(
        Accelerator accelerator, StepCase c, StepData data, LinearWalk? walk, int cut = 0,
        ElementwiseOptions? options = null, UpdateExtras extras = default)
    {
        options ??= data.Pairing.Options;
        using var p = new GuardedTensor(accelerator, c.P, data.P, c.Shift);
        using var g = new GuardedTensor(accelerator, c.G, data.G, c.Shift);
        GuardedTensor[] state = [.. data.State.Select(s => new GuardedTensor(accelerator, s, c.Shift))];
        var launcher = new UpdateLauncher(accelerator, options);
        foreach ((int first, int length) in cut == 0 ? [(0, c.Length)] : new[] { (0, cut), (cut, c.Length - cut) })
        {
            if (c.Length > 0)
            {
                launcher.Step(
                    accelerator.DefaultStream, p.View.Slice(first, length), g.View.Slice(first, length),
                    [.. state.Select(s => s.Floats.SubView(first, length))], c.Step, null, extras, walk);
            }
        }

        accelerator.Synchronize();
        Assert.Equal(data.G, g.Bits());
        var result = new StepResult(p.Bits(), [.. state.Select(s => s.Bits())]);
        foreach (GuardedTensor tensor in state)
        {
            tensor.Dispose();
        }

        return result;
    }

    private static void CompareWithReference(StepCase c, StepData data, StepResult result)
    {
        ElementwiseReference reference = data.Pairing.Reference;
        int[] slots = [.. reference.StateNames.Select(data.SlotOf)];
        var element = new Bounded[slots.Length];
        for (int i = 0; i < c.Length; i++)
        {
            for (int s = 0; s < slots.Length; s++)
            {
                element[s] = data.State[slots[s]][i];
            }

            Bounded p = reference.Step(
                c.Step, StepData.Decode(data.P[i], c.P), StepData.Decode(data.G[i], c.G), element);
            p = c.P switch
            {
                Storage.F32 => p,
                Storage.F16 => NarrowingReference.StoredAsFloat16(p),
                _ => NarrowingReference.StoredAsBFloat16(p),
            };
            Check(p, StepData.Decode(result.P[i], c.P), "p", i);
            for (int s = 0; s < slots.Length; s++)
            {
                Check(
                    element[s], BitConverter.UInt32BitsToSingle(result.State[slots[s]][i]), reference.StateNames[s], i);
            }
        }

        void Check(Bounded wanted, float got, string name, int i) => Assert.True(
            wanted.Admits(got), $"{c}: {name}[{i}] must be {wanted.Value:R} within {wanted.Bound:E3}, and is {got:R}.");
    }

    private static void Flip(uint[] bits, uint sign)
    {
        for (int i = 0; i < bits.Length; i++)
        {
            bits[i] ^= sign;
        }
    }
}

/// <summary>Raw bits of parameter and state after a step.</summary>
public sealed record StepResult(uint[] P, uint[][] State)
{
    public void ShouldEqual(StepResult other)
    {
        Assert.Equal(other.P, P);
        for (int s = 0; s < State.Length; s++)
        {
            Assert.Equal(other.State[s], State[s]);
        }
    }
}
