using Kernels.Optimizers;
using Kernels.Tests.Linear;
using Kernels.Tests.Support;

namespace Kernels.Tests.Dct;

/// <summary>What Trion and Muon must both do around their own mathematics.</summary>
internal static class OrthogonalDevice
{
    private const int Rows = 18;
    private const int N = 20;

    internal static float[] Read(Optimizer optimizer, string name, string state, int length)
    {
        var values = new float[length];
        optimizer.DownloadState(name, state, values);
        return values;
    }

    internal static float[] Download(Optimizer optimizer, string name, int length)
    {
        var values = new float[length];
        optimizer.Download(name, values);
        return values;
    }

    /// <summary>A NaN in one gradient changes nothing at all, and an optimizer loaded from before goes on alike.</summary>
    internal static void SkipAndReload(OptimizerOptions options)
    {
        var random = new Random(6);
        var settings = new OptimizerSettings { LossScaling = new LossScalerOptions { InitialScale = 8 } };
        using var optimizer = new Optimizer(
            TestDevices.Session, options,
            [new Parameter("w", LinearDevice.Random(random, Rows * N), Rows, N), new Parameter("b", new float[7])], settings);
        float[] g = LinearDevice.Random(random, Rows * N);
        optimizer.SetGradient("w", g);
        optimizer.SetGradient("b", LinearDevice.Random(random, 7));
        optimizer.Step();
        optimizer.Step();
        using var before = new MemoryStream();
        optimizer.Save(before);
        float[][] kept = Everything(optimizer);
        float[] broken = [.. g];
        broken[3] = float.NaN;
        optimizer.SetGradient("w", broken);
        optimizer.Step();
        Assert.Equal(2, optimizer.StepCount);
        Assert.Equal(kept, Everything(optimizer));
        Assert.Contains(kept[1], v => v != 0);

        using var again = new Optimizer(
            TestDevices.Session, options, [new Parameter("w", Rows, N), new Parameter("b", 7)], settings);
        before.Position = 0;
        again.Load(before);
        Assert.Equal(kept, Everything(again));
        foreach (Optimizer each in new[] { optimizer, again })
        {
            // The skip has halved the scale of the one.
            var scale = (float)each.LossScale;
            each.SetGradient("w", [.. g.Select(v => v * scale)]);
            each.SetGradient("b", [.. new[] { 1, -2, 3, -4, 5, -6, 7 }.Select(v => v * scale)]);
            each.LearningRateFactor = 0.5;
            each.Step();
            each.Step();
            Assert.Equal(4, each.StepCount);
        }

        Assert.Equal(Everything(again), Everything(optimizer));
        Assert.NotEqual(kept, Everything(optimizer));
    }

    /// <summary>The plain way, the controlled one, 16-bit gradients, masters and averages are the same steps.</summary>
    internal static void Ways(OptimizerOptions options)
    {
        var random = new Random(7);
        // Numbers that 16 bits hold.
        float[] p = Array.ConvertAll(LinearDevice.Random(random, Rows * N), Narrow);
        float[] g = Array.ConvertAll(LinearDevice.Random(random, Rows * N), Narrow);
        (float[] plain, float[] average) = Run(
            options, new OptimizerSettings { Averaging = WeightAveraging.Stochastic }, p, g, 1);
        double norm = Math.Sqrt(g.Sum(v => (double)v * v));
        foreach ((string what, OptimizerSettings settings, float scale) in new[]
        {
            ("plain", new OptimizerSettings(), 1f),
            ("scaled", new() { LossScaling = new LossScalerOptions { InitialScale = 1024 } }, 1024f),
            ("narrow", new() { Gradients = Storage.BF16 }, 1f),
            ("half", new() { Gradients = Storage.F16, LossScaling = new LossScalerOptions { InitialScale = 4 } }, 4f),
            ("master", new() { Parameters = Storage.BF16, Master = true, Gradients = Storage.BF16 }, 1f),
            ("unclipped", new() { MaxGradientNorm = 1.5 * norm }, 1f),
        })
        {
            float[] got = Run(options, settings, p, g, scale).Values;
            for (int i = 0; i < p.Length; i++)
            {
                Assert.True(Math.Abs(plain[i] - got[i]) < 2e-5, $"{what}, {i}: {got[i]} for {plain[i]}");
            }
        }

        // The mean of three steps in one direction is somewhere between where they began and where they ended.
        Assert.NotEqual(plain, average);

        // Clipped gradients are smaller ones.
        (float[] clipped, _) = Run(options, new OptimizerSettings { MaxGradientNorm = norm / 4 }, p, g, 1);
        (float[] smaller, _) = Run(options, new OptimizerSettings(), p, [.. g.Select(v => v / 4)], 1);
        for (int i = 0; i < p.Length; i++)
        {
            Assert.Equal(smaller[i], clipped[i], 2e-5f);
        }
    }

    /// <summary>What is no matrix is stepped as by an optimizer of the side group's options, whatever the schedule.</summary>
    internal static void Side(OptimizerOptions options, AdamWOptions side)
    {
        var random = new Random(8);
        Parameter[] parameters =
        [
            new Parameter("vector", LinearDevice.Random(random, 40)),
            new Parameter("wide", LinearDevice.Random(random, 9 * 100), 9, 100),
            new Parameter("cube", LinearDevice.Random(random, 24), 2, 3, 4),
        ];
        using var matrices = new Optimizer(TestDevices.Session, options, parameters);
        using var adam = new Optimizer(TestDevices.Session, side with { Maximize = options.Maximize }, parameters);
        foreach (Optimizer optimizer in new[] { matrices, adam })
        {
            var gradients = new Random(9);
            for (int t = 0; t < 3; t++)
            {
                foreach (Parameter parameter in parameters)
                {
                    optimizer.SetGradient(parameter.Name, LinearDevice.Random(gradients, (int)parameter.Length));
                }

                optimizer.LearningRateFactor = 1.0 / (t + 1);
                optimizer.Step();
            }
        }

        foreach (Parameter parameter in parameters)
        {
            float[] wanted = Download(adam, parameter.Name, (int)parameter.Length);
            Assert.NotEqual(parameter.Values.ToArray(), wanted);
            float[] got = Download(matrices, parameter.Name, wanted.Length);
            for (int i = 0; i < got.Length; i++)
            {
                Assert.Equal(wanted[i], got[i], 1e-6f);
            }
        }
    }

    /// <summary>What a parameter of its own may not ask for.</summary>
    internal static void Refuses(OptimizerOptions options, params OptimizerOptions[] others)
    {
        foreach (OptimizerOptions other in others)
        {
            Assert.ThrowsAny<ArgumentException>(() => new Optimizer(
                TestDevices.Session, options, [new Parameter("w", Rows, N) { Options = other }]));
        }
    }

    private static float Narrow(float v) => BitConverter.UInt32BitsToSingle(BitConverter.SingleToUInt32Bits(v) & 0xFFFF0000);

    private static float[][] Everything(Optimizer optimizer) =>
    [
        Download(optimizer, "w", Rows * N), Read(optimizer, "w", "momentum_buffer", Rows * N), Download(optimizer, "b", 7),
        Read(optimizer, "b", "exp_avg", 7), Read(optimizer, "b", "exp_avg_sq", 7),
    ];

    private static (float[] Values, float[] Average) Run(
        OptimizerOptions options, OptimizerSettings settings, float[] p, float[] g, float scale)
    {
        using var optimizer = new Optimizer(TestDevices.Session, options, [new Parameter("w", p, Rows, N)], settings);
        for (int t = 0; t < 3; t++)
        {
            optimizer.Step([.. g.Select(v => v * scale)]);
        }

        float[] average = [];
        if (settings.Averaging != WeightAveraging.None)
        {
            average = new float[p.Length];
            optimizer.Download(optimizer.Average("w"), average);
        }

        return (Download(optimizer, "w", p.Length), average);
    }
}
