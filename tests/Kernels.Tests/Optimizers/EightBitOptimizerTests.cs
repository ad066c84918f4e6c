using System.Runtime.InteropServices;
using ILGPU.Runtime;
using Kernels.Optimizers;
using Kernels.References;
using Kernels.References.Optimizers;
using Kernels.Serialization;
using Kernels.Tests.Support;

namespace Kernels.Tests.Optimizers;

/// <summary>The optimizer object with its state in 8 bits: what the launchers give, bit for bit.</summary>
public sealed class EightBitOptimizerTests
{
    private static readonly int[] s_lengths = [5000, 7, 4096, 0, 4095, 10_001];
    private static readonly AdamWOptions s_options = new() { LearningRate = 0.01 };

    // Small parameters come first, each at a multiple of 256.
    private static readonly int[] s_firsts = [4352, 0, 9472, 256, 256, 13_568];

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void The_optimizer_gives_the_bits_of_the_launchers(bool ownOptions)
    {
        AdamWOptions[] options =
        [
            .. s_lengths.Select((_, i) => ownOptions ? s_options with { LearningRate = 0.01 * (i + 1) } : s_options),
        ];
        using Optimizer optimizer = Create(
            new OptimizerSettings(), [.. Parameters().Select((p, i) => p with { Options = options[i] })]);
        Train(optimizer, steps: 3);
        for (int i = 0; i < s_lengths.Length; i++)
        {
            Alone(options[i], i, 3).ShouldBeOf(optimizer, i);
            Assert.Equal(3, optimizer.StepsOf($"p{i}"));
        }
    }

    [Fact]
    public void So_it_does_where_all_parameters_are_large_or_small()
    {
        foreach (int[] chosen in new[] { new[] { 0, 2, 5 }, [1, 4], [2] })
        {
            Parameter[] parameters = Parameters();
            using Optimizer optimizer = Create(new OptimizerSettings(), [.. chosen.Select(i => parameters[i])]);
            Train(optimizer, steps: 2);
            foreach (int i in chosen)
            {
                Alone(s_options, i, 2).ShouldBeOf(optimizer, i);
            }
        }
    }

    [Fact]
    public void Averages_and_copies_rounded_stochastically_are_those_of_the_launchers()
    {
        var settings = new OptimizerSettings
        {
            Averaging = WeightAveraging.Exponential,
            AverageDecay = 0.75,
            Parameters = Storage.BF16,
            Master = true,
            StochasticRounding = true,
            Seed = 11,
        };
        using Optimizer optimizer = Create(settings, Parameters());
        Train(optimizer, steps: 3);
        for (int i = 0; i < s_lengths.Length; i++)
        {
            Alone(s_options, i, 3, settings).ShouldBeOf(optimizer, i);
        }
    }

    [Fact]
    public void Sixteen_bit_parameters_are_stepped_as_by_the_launchers()
    {
        var settings = new OptimizerSettings
        {
            Parameters = Storage.BF16,
            Gradients = Storage.BF16,
            StochasticRounding = true,
            Seed = 5,
        };
        using Optimizer optimizer = Create(settings, Parameters());
        Train(optimizer, steps: 2);
        for (int i = 0; i < s_lengths.Length; i++)
        {
            Alone(s_options, i, 2, settings).ShouldBeOf(optimizer, i);
        }
    }

    [Fact]
    public void A_loss_scale_is_divided_out_and_a_poisoned_step_changes_nothing()
    {
        var settings = new OptimizerSettings { LossScaling = new LossScalerOptions { InitialScale = 4 } };
        using Optimizer optimizer = Create(settings, Parameters());
        Train(optimizer, steps: 2, factor: 4);
        byte[] before = Saved(optimizer);
        optimizer.SetGradient("p5", [.. Gradient(5).Select((g, i) => i == 777 ? float.NaN : g)]);
        optimizer.Step();
        Assert.Equal(2, optimizer.StepCount);
        Assert.Equal(2, optimizer.StepsOf("p1"));
        Assert.Equal(2, optimizer.StepsOf("p5"));
        for (int i = 0; i < s_lengths.Length; i++)
        {
            Alone(s_options, i, 2).ShouldBeOf(optimizer, i);
        }

        // Nothing but the loss scale, which has backed off.
        Assert.Equal(Tensors(before), Tensors(Saved(optimizer)));
    }

    [Fact]
    public void Gradients_are_clipped_by_the_norm_of_all()
    {
        using Optimizer optimizer = Create(new OptimizerSettings { MaxGradientNorm = 1 }, Parameters());
        Train(optimizer, steps: 1);
        double norm = Math.Sqrt(s_lengths.SelectMany((_, i) => Gradient(i)).Sum(g => (double)g * g));
        Bounded exact = GradientNormReference.ScaledNorm([.. s_lengths.SelectMany((_, i) => Gradient(i))]);
        Assert.True(exact.Admits(optimizer.GradientNorm), $"{optimizer.GradientNorm:R}, expected {exact}");
        var mean = new float[s_lengths[0]];
        optimizer.DownloadState("p0", "exp_avg", mean);
        float[] gradient = Gradient(0);
        for (int i = 0; i < mean.Length; i++)
        {
            // The largest of the block is exact, 1 of 0.1 g / norm; others are within the map's largest step.
            double largest = gradient.Skip(i / 256 * 256).Take(256).Max(Math.Abs);
            Assert.Equal(0.1 * gradient[i] / norm, mean[i], 0.1 * largest / norm * 0.01);
        }
    }

    [Fact]
    public void Frozen_and_borrowed_parameters_keep_to_themselves()
    {
        Session session = TestDevices.Session;
        foreach (int lent in new[] { 4, 5 })
        {
            using var p = new GuardedTensor(session.Accelerator, Values(lent), shift: 1);
            using var g = new GuardedTensor(session.Accelerator, Gradient(lent), shift: 2);
            var borrowed = new Parameter($"p{lent}", p.View, g.View);
            Parameter[] parameters =
            [
                .. Parameters().Select((o, i) => i == lent ? borrowed : o with { IsFrozen = i is 1 or 2 }),
            ];
            using Optimizer optimizer = Create(new OptimizerSettings { MaxGradientNorm = 1e9 }, parameters);
            Train(optimizer, steps: 2);
            Alone(s_options, lent, 2).ShouldBeOf(optimizer, lent);
            Alone(s_options, 0, 2).ShouldBeOf(optimizer, 0);
            Alone(s_options, 2, 0).ShouldBeOf(optimizer, 2);
            optimizer.SetFrozen("p2", false);
            Train(optimizer, steps: 3);
            Alone(s_options, 2, 3).ShouldBeOf(optimizer, 2);
            Alone(s_options, lent, 5).ShouldBeOf(optimizer, lent);
            Assert.Equal(0, optimizer.StepsOf("p1"));
        }
    }

    [Fact]
    public void A_file_holds_codes_and_scales_and_goes_on_where_it_was()
    {
        var settings = new OptimizerSettings { Averaging = WeightAveraging.Stochastic };
        Parameter[] parameters = [.. Parameters(), new Parameter("matrix", new float[4200], 60, 70)];
        using Optimizer optimizer = Create(settings, parameters);
        Train(optimizer, steps: 3);
        byte[] saved = Saved(optimizer);
        using var file = new SafeTensorsFile(new MemoryStream(saved));
        Is("p0.exp_avg", SafeTensorType.U8, 5000);
        Is("p0.exp_avg.absmax", SafeTensorType.F32, 20);
        Is("p0.exp_avg_sq", SafeTensorType.U8, 5000);
        Is("p0.exp_avg_sq.absmax", SafeTensorType.F32, 20);
        Is("p4.exp_avg", SafeTensorType.F32, 4095);
        Is("matrix.exp_avg", SafeTensorType.U8, 60, 70);
        Assert.False(file.TryFind("p4.exp_avg.absmax", out _));

        using Optimizer other = Create(settings, parameters);
        Train(other, steps: 1);
        other.Load(new MemoryStream(saved));
        Assert.Equal(saved, Saved(other));
        Train(optimizer, steps: 2);
        Train(other, steps: 2);
        Assert.Equal(Saved(optimizer), Saved(other));

        using var full = new Optimizer(
            TestDevices.Session, s_options, parameters, settings with { StateStorage = StateStorage.F32 });
        byte[] untouched = Saved(full);
        InvalidDataException refused = Assert.Throws<InvalidDataException>(() => full.Load(new MemoryStream(saved)));
        Assert.Contains("p0.exp_avg", refused.Message, StringComparison.Ordinal);
        Assert.Equal(untouched, Saved(full));

        void Is(string name, SafeTensorType type, params long[] shape)
        {
            Assert.True(file.TryFind(name, out SafeTensorInfo? found), name);
            Assert.Equal(type, found.Type);
            Assert.Equal(shape, found.Shape);
        }
    }

    [Fact]
    public void A_step_allocates_no_managed_memory()
    {
        using Optimizer optimizer = Create(
            new OptimizerSettings(), [.. Parameters().Select((p, i) => p with { Options = s_options with { Beta1 = 0.1 * i } })]);
        Train(optimizer, steps: 3);
        Allocations.AssertNone(TestDevices.Session.Accelerator, optimizer.Step);
    }

    private static Optimizer Create(OptimizerSettings settings, Parameter[] parameters) => new(
        TestDevices.Session, s_options, parameters, settings with { StateStorage = StateStorage.EightBit });

    private static Parameter[] Parameters() => [.. s_lengths.Select((_, i) => new Parameter($"p{i}", Values(i)))];

    private static float[] Values(int i) => new Draw(100 + i).Floats(s_lengths[i]);

    private static float[] Gradient(int i) => new Draw(200 + i).Floats(s_lengths[i]);

    private static void Train(Optimizer optimizer, int steps, float factor = 1)
    {
        foreach (Parameter parameter in optimizer.Parameters)
        {
            if (parameter.Name[0] == 'p' && !parameter.IsBorrowed)
            {
                float[] gradient = Gradient(parameter.Name[1] - '0');
                optimizer.SetGradient(parameter.Name, Array.ConvertAll(gradient, g => g * factor));
            }
        }

        for (int step = 0; step < steps; step++)
        {
            optimizer.Step();
        }
    }

    private static byte[] Saved(Optimizer optimizer)
    {
        using var stream = new MemoryStream();
        optimizer.Save(stream);
        return stream.ToArray();
    }

    private static Dictionary<string, byte[]> Tensors(byte[] saved)
    {
        using var file = new SafeTensorsFile(new MemoryStream(saved));
        var tensors = new Dictionary<string, byte[]>(StringComparer.Ordinal);
        foreach (SafeTensorInfo tensor in file.Tensors)
        {
            var bytes = new byte[tensor.ByteLength];
            switch (tensor.Type)
            {
                case SafeTensorType.U8:
                    file.Read(tensor.Name, bytes.AsSpan());
                    break;
                case SafeTensorType.I64:
                    file.Read(tensor.Name, MemoryMarshal.Cast<byte, long>(bytes.AsSpan()));
                    break;
                default:
                    file.Read(tensor.Name, MemoryMarshal.Cast<byte, float>(bytes.AsSpan()));
                    break;
            }

            tensors.Add(tensor.Name, bytes);
        }

        return tensors;
    }

    /// <summary>What the launchers make of a parameter by itself.</summary>
    private static Result Alone(AdamWOptions options, int i, int steps, OptimizerSettings? settings = null)
    {
        settings ??= new OptimizerSettings();
        Accelerator accelerator = TestDevices.Session.Accelerator;
        AcceleratorStream stream = accelerator.DefaultStream;
        int n = s_lengths[i];
        int scales = (int)EightBitAdamLauncher.ScaleCount(n);
        Storage storage = settings.Master ? Storage.F32 : settings.Parameters;
        using var p = new GuardedTensor(accelerator, storage, StepData.Encode(Values(i), storage));
        using var g = new GuardedTensor(
            accelerator, settings.Gradients, StepData.Encode(Gradient(i), settings.Gradients));
        using var average = new GuardedTensor(accelerator, Values(i));
        using var copy = new GuardedTensor(accelerator, Storage.BF16, StepData.Encode(Values(i), Storage.BF16));
        using var m = new GuardedTensor(accelerator, new float[n]);
        using var v = new GuardedTensor(accelerator, new float[n]);
        using var codesM = new GuardedBytes(accelerator, new byte[n], 0);
        using var codesV = new GuardedBytes(accelerator, new byte[n], 0);
        using var scalesM = new GuardedTensor(accelerator, new float[scales]);
        using var scalesV = new GuardedTensor(accelerator, new float[scales]);
        var extras = new UpdateExtras
        {
            Average = settings.Averaging == WeightAveraging.None ? default : average.Floats,
            AverageRate = 1 - settings.AverageDecay,
            Copy = settings.Master ? copy.View : default,
            StochasticRounding = settings.StochasticRounding,
            Seed = settings.Seed,
            FirstElement = s_firsts[i],
        };
        var eight = new EightBitAdamLauncher(accelerator, options);
        var full = new UpdateLauncher(accelerator, options);
        bool isSmall = n < 4096;
        for (int step = 1; step <= steps && n > 0; step++)
        {
            if (isSmall)
            {
                full.Step(stream, p.View, g.View, [m.Floats, v.Floats], step, null, extras);
            }
            else
            {
                eight.Step(
                    stream, p.View, g.View, codesM.View, codesV.View, scalesM.Floats, scalesV.Floats, step, null, extras);
            }
        }

        if (!isSmall)
        {
            eight.Dequantize(stream, codesM.View, scalesM.Floats, m.Floats, EightBitMap.WithSign);
            eight.Dequantize(stream, codesV.View, scalesV.Floats, v.Floats, EightBitMap.WithoutSign);
        }

        accelerator.Synchronize();
        return new Result(
            [.. p.Bits().Select(b => StepData.Decode(b, storage))], m.Values(), v.Values(),
            settings.Averaging == WeightAveraging.None ? null : average.Values(),
            settings.Master ? [.. copy.Bits().Select(b => StepData.Decode(b, Storage.BF16))] : null);
    }

    private sealed record Result(float[] P, float[] M, float[] V, float[]? Average, float[]? Copy)
    {
        internal void ShouldBeOf(Optimizer optimizer, int i)
        {
            string name = $"p{i}";
            var got = new float[P.Length];
            optimizer.Download(name, got);
            Assert.Equal(P, got);
            optimizer.DownloadState(name, "exp_avg", got);
            Assert.Equal(M, got);
            optimizer.DownloadState(name, "exp_avg_sq", got);
            Assert.Equal(V, got);
            if (Average is not null)
            {
                optimizer.Download(optimizer.Average(name), got);
                Assert.Equal(Average, got);
            }

            if (Copy is not null)
            {
                optimizer.Download(optimizer.Copy(name), got);
                Assert.Equal(Copy, got);
            }
        }
    }
}
