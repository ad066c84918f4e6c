using System.Collections.Concurrent;
using ILGPU.Runtime;
using Kernels.Launching;
using Kernels.Optimizers;
using Kernels.References;
using Kernels.References.Optimizers;
using Kernels.Tests.Reductions;
using Kernels.Tests.Support;

namespace Kernels.Tests.Optimizers;

/// <summary>What is fused into the steps of the algorithms that need sums over whole tensors.</summary>
public sealed class WholeTensorExtrasTests
{
    private const ulong Seed = 0x0123456789ABCDEF;

    private static readonly ConcurrentDictionary<
        (Accelerator Accelerator, DeviceFacts Facts, Algorithm Algorithm, int Length), object> s_loaded = new();

    /// <summary>One algorithm over n parameters: rows of 7 where n allows it for Adafactor's matrices.</summary>
    public enum Algorithm
    {
        Lamb,
        AdafactorMatrix,
        AdafactorVector,
        AdaGradNorm,
    }

    public static TheoryData<Algorithm, int> Cases()
    {
        var cases = new TheoryData<Algorithm, int>();
        foreach (Algorithm algorithm in Enum.GetValues<Algorithm>())
        {
            foreach (int n in new[] { 7, 259, 7 * 300 })
            {
                cases.Add(algorithm, n);
            }
        }

        return cases;
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void The_average_and_the_copy_follow_the_updated_parameters(Algorithm algorithm, int n)
    {
        var draw = new Draw(n);
        float[] start = draw.Floats(n);
        float[] gradient = draw.Floats(n);
        foreach ((Accelerator accelerator, DeviceFacts facts) in ReductionDevice.Walks(tiny: n < 300))
        {
            uint[] plain = Step(accelerator, facts, algorithm, F32(start), gradient, default, Storage.F32);
            foreach (Storage storage in new[] { Storage.F16, Storage.BF16 })
            {
                using var average = new GuardedTensor(accelerator, start);
                using var copy = new GuardedTensor(accelerator, storage, new uint[n]);
                uint[] bits = Step(accelerator, facts, algorithm, F32(start), gradient, new UpdateExtras
                {
                    Average = average.Floats,
                    AverageRate = 1 - 0.75,
                    Copy = copy.View,
                }, Storage.F32);
                Assert.Equal(plain, bits);
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
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Stochastic_rounding_follows_the_counter_generator(Algorithm algorithm, int n)
    {
        var draw = new Draw(n + 1);
        float[] start = draw.Floats(n);
        float[] gradient = draw.Floats(n);
        foreach ((Accelerator accelerator, DeviceFacts facts) in ReductionDevice.Walks(tiny: n < 300))
        {
            using var copy = new GuardedTensor(accelerator, Storage.BF16, new uint[n]);
            var extras = new UpdateExtras { StochasticRounding = true, Seed = Seed, FirstElement = 8 };
            uint[] master = Step(
                accelerator, facts, algorithm, F32(start), gradient, extras with { Copy = copy.View }, Storage.F32);
            Assert.Equal(Rounded(master), copy.Bits());

            // Parameters in BF16 are rounded like the copy of the master that starts from them.
            uint[] narrow = StepData.Encode(start, Storage.BF16);
            master = Step(
                accelerator, facts, algorithm, Array.ConvertAll(narrow, x => x << 16), gradient,
                extras with { Copy = copy.View }, Storage.F32);
            Assert.Equal(Rounded(master), copy.Bits());
            Assert.Equal(Rounded(master), Step(accelerator, facts, algorithm, narrow, gradient, extras, Storage.BF16));
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void A_skipped_step_changes_no_bit(Algorithm algorithm, int n)
    {
        var draw = new Draw(n + 2);
        float[] start = draw.Floats(n);
        foreach ((Accelerator accelerator, DeviceFacts facts) in ReductionDevice.Walks(tiny: n < 300))
        {
            foreach (Storage storage in Enum.GetValues<Storage>())
            {
                uint[] bits = StepData.Encode(start, storage);
                // NaN with a payload must come back as it was.
                bits[0] = storage switch { Storage.F32 => 0xFF812345, Storage.F16 => 0xFC12, _ => 0xFF91 };
                using var average = new GuardedTensor(accelerator, draw.Floats(n));
                using var copy = new GuardedTensor(accelerator, Storage.F16, StepData.Encode(draw.Floats(n), Storage.F16));
                using var control = new GuardedTensor(accelerator, [2f, 1f]);
                uint[][] before = [average.Bits(), copy.Bits()];
                Assert.Equal(bits, Step(accelerator, facts, algorithm, bits, draw.Floats(n), new UpdateExtras
                {
                    Control = control.Floats,
                    Average = average.Floats,
                    AverageRate = 0.5,
                    Copy = storage == Storage.F32 ? copy.View : default,
                }, storage));
                Assert.Equal(before, [average.Bits(), copy.Bits()]);
            }
        }
    }

    /// <summary>The optimizer object: masters with copies, averages, some borrowed or with options of their own.</summary>
    [Theory]
    [InlineData(Algorithm.Lamb, false)]
    [InlineData(Algorithm.Lamb, true)]
    [InlineData(Algorithm.AdafactorMatrix, false)]
    [InlineData(Algorithm.AdaGradNorm, false)]
    public void The_optimizer_keeps_masters_copies_and_averages(Algorithm algorithm, bool ownOptions)
    {
        var draw = new Draw(5);
        float[] w = draw.Floats(7 * 40);
        float[] b = draw.Floats(40);
        OptimizerOptions options = algorithm switch
        {
            Algorithm.Lamb => new LambOptions { LearningRate = 0.1 },
            Algorithm.AdaGradNorm => new AdaGradNormOptions { LearningRate = 0.1 },
            _ => new AdafactorOptions(),
        };
        Parameter[] parameters =
        [
            new Parameter("w", w, 7, 40),
            new Parameter("b", b) { Options = ownOptions ? options with { LearningRate = 0.2 } : null },
        ];
        using var plain = new Optimizer(TestDevices.Session, options, parameters);
        using var full = new Optimizer(TestDevices.Session, options, parameters, new OptimizerSettings
        {
            Parameters = Storage.BF16,
            Master = true,
            StochasticRounding = true,
            Seed = Seed,
            Averaging = WeightAveraging.Exponential,
            AverageDecay = 0.75,
        });
        float[][] averages = [w, b];
        for (int step = 1; step <= 3; step++)
        {
            float[][] gradients = [draw.Floats(w.Length), draw.Floats(b.Length)];
            foreach (Optimizer optimizer in new[] { plain, full })
            {
                optimizer.SetGradient("w", gradients[0]);
                optimizer.SetGradient("b", gradients[1]);
                optimizer.Step();
            }

            long first = 0;
            for (int i = 0; i < 2; i++)
            {
                string name = parameters[i].Name;
                float[] p = Read(plain, plain.View(name));
                Assert.Equal(p, Read(full, full.View(name)));
                uint[] rounded = Rounded(Array.ConvertAll(p, BitConverter.SingleToUInt32Bits), first, (uint)step);
                Assert.Equal(Array.ConvertAll(rounded, x => BitConverter.UInt32BitsToSingle(x << 16)), Read(full, full.Copy(name)));
                float[] average = Read(full, full.Average(name));
                for (int k = 0; k < p.Length; k++)
                {
                    Bounded wanted = AveragingReference.Exponential(averages[i][k], p[k], 0.75);
                    Assert.True(wanted.Admits(average[k]), $"{name}[{k}] must be {wanted}, and is {average[k]:R}.");
                }

                averages[i] = average;
                first += (p.Length + 255) / 256 * 256;
            }
        }

        using var file = new MemoryStream();
        full.Save(file);
        file.Position = 0;
        using var loaded = new Optimizer(TestDevices.Session, options, parameters, full.Settings);
        loaded.Load(file);
        Assert.Equal(averages[0], Read(loaded, loaded.Average("w")));
    }

    private static float[] Read(Optimizer optimizer, TensorView view)
    {
        var values = new float[view.Length];
        optimizer.Download(view, values);
        return values;
    }

    private static uint[] F32(float[] values) => Array.ConvertAll(values, BitConverter.SingleToUInt32Bits);

    private static uint[] Rounded(uint[] master, long first = 8, uint step = 1)
    {
        var rounded = new uint[master.Length];
        for (int i = 0; i < master.Length; i++)
        {
            rounded[i] = NarrowingReference.ToBFloat16(
                BitConverter.UInt32BitsToSingle(master[i]), PhiloxReference.RoundingBits((ulong)(first + i), step, Seed));
        }

        return rounded;
    }

    private static uint[] Step(
        Accelerator accelerator, DeviceFacts facts, Algorithm algorithm, uint[] start, float[] gradient,
        UpdateExtras extras, Storage storage)
    {
        int n = start.Length;
        AcceleratorStream stream = accelerator.DefaultStream;
        using var p = new GuardedTensor(accelerator, storage, start);
        using var g = new GuardedTensor(accelerator, gradient);
        using var a = new GuardedTensor(accelerator, new float[n]);
        using var b = new GuardedTensor(accelerator, new float[n]);
        object launcher = s_loaded.GetOrAdd((accelerator, facts, algorithm, n), static key => key.Algorithm switch
        {
            Algorithm.Lamb => new Lamb(key.Accelerator, [key.Length], key.Facts),
            Algorithm.AdafactorMatrix => new Adafactor(
                key.Accelerator, Adafactor.Placed([[7, key.Length / 7]]), key.Facts),
            Algorithm.AdafactorVector => new Adafactor(
                key.Accelerator, Adafactor.Placed([[key.Length]]), key.Facts),
            _ => new AdaGradNorm(key.Accelerator, key.Length, key.Facts),
        });
        switch (launcher)
        {
            case Lamb lamb:
                lamb.Step(stream, p.View, g.View, a.Floats, b.Floats, 1, new LambOptions(), extras);
                break;
            case Adafactor adafactor when algorithm == Algorithm.AdafactorMatrix:
                adafactor.Step(
                    stream, p.View, g.View, a.Floats.SubView(0, 7), b.Floats.SubView(0, n / 7), 1,
                    new AdafactorOptions(), extras);
                break;
            case Adafactor adafactor:
                adafactor.Step(stream, p.View, g.View, a.Floats, default, 1, new AdafactorOptions(), extras);
                break;
            case AdaGradNorm norm:
                norm.Step(stream, p.View, g.View, a.Floats.SubView(0, 1), 1, new AdaGradNormOptions(), extras);
                break;
        }

        accelerator.Synchronize();
        return p.Bits();
    }
}
