using Kernels.Optimizers;
using Kernels.References;
using Kernels.References.Dct;
using Kernels.Tests.Linear;
using Kernels.Tests.Support;

namespace Kernels.Tests.Dct;

/// <summary>What Trion and Muon must both do around their own mathematics.</summary>
internal static class OrthogonalDevice
{
    internal const int Rows = 18;
    internal const int N = 20;

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

    /// <summary>A part of an orthogonal matrix: the singular values are 1.</summary>
    internal static float[] Even(int rows, int columns)
    {
        var basis = new TransformReference(TransformKind.Dct4, Math.Max(rows, columns));
        return [.. Enumerable.Range(0, rows * columns).Select(i => (float)basis.Entry(i / columns, i % columns))];
    }

    /// <summary>
    /// A matrix and noise a fifth as large: no two steps have the same singular vectors, but none of the values is small,
    /// and so the bounds are.
    /// </summary>
    internal static float[] Uneven(Random random, float[] even)
    {
        double size = 0.2 * Math.Sqrt(even.Average(v => (double)v * v));
        return Array.ConvertAll(even, v => (float)(v + (size * ((2 * random.NextDouble()) - 1))));
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

    /// <summary>
    /// The plain way, the controlled one, 16-bit gradients, masters and averages are the same steps, within the oracle's
    /// bounds through three of them. A controlled step of Trion multiplies by the rate later; but for that all have the
    /// same bits: a power of two comes out of every product and sum as it went in.
    /// </summary>
    internal static void Ways(OptimizerOptions options, Action<int, Bounded[], Bounded[]> oracle)
    {
        var random = new Random(7);
        // Numbers that 16 bits hold.
        float[] p = Array.ConvertAll(LinearDevice.Random(random, Rows * N), Narrow);
        float[] g = Array.ConvertAll(Uneven(random, Even(Rows, N)), Narrow);
        (float[] controlled, float[] average) = Run(
            options, new OptimizerSettings { Averaging = WeightAveraging.Stochastic }, p, g, 1);
        float[] plain = Run(options, new OptimizerSettings(), p, g, 1).Values;
        Bounded[] wanted = [.. p.Select(v => (Bounded)v)];
        for (int t = 1; t <= 3; t++)
        {
            oracle(t, wanted, [.. g.Select(v => (Bounded)v)]);
        }

        LinearDevice.AssertWithin(wanted, plain, "plain");
        LinearDevice.AssertWithin(wanted, controlled, "controlled");
        double norm = Math.Sqrt(g.Sum(v => (double)v * v));
        foreach ((string what, OptimizerSettings settings, float scale) in new[]
        {
            ("scaled", new OptimizerSettings { LossScaling = new LossScalerOptions { InitialScale = 1024 } }, 1024f),
            ("narrow", new() { Gradients = Storage.BF16 }, 1f),
            ("half", new() { Gradients = Storage.F16, LossScaling = new LossScalerOptions { InitialScale = 4 } }, 4f),
            ("master", new() { Parameters = Storage.BF16, Master = true, Gradients = Storage.BF16 }, 1f),
            ("unclipped", new() { MaxGradientNorm = 1.5 * norm }, 1f),
        })
        {
            float[] got = Run(options, settings, p, g, scale).Values;
            Assert.True(got.SequenceEqual(controlled) || got.SequenceEqual(plain), what);
        }

        // The mean of three steps in one direction is somewhere between where they began and where they ended.
        Assert.NotEqual(controlled, average);

        // Clipped gradients are smaller ones: the norm of 256 numbers of size 2^20 is 2^24, what is added to it is below
        // half a unit in the last place, and so the factor is 1 / 4 exactly.
        float[] large = [.. Enumerable.Range(0, p.Length).Select(i => i >= 256 ? 0 : MathF.CopySign(1 << 20, g[i]))];
        random.Shuffle(large);
        (float[] clipped, _) = Run(options, new OptimizerSettings { MaxGradientNorm = 1 << 22 }, p, large, 1);
        (float[] smaller, _) = Run(
            options, new OptimizerSettings { Averaging = WeightAveraging.Stochastic }, p, [.. large.Select(v => v / 4)], 1);
        Assert.Equal(smaller, clipped);
    }

    /// <summary>What is no matrix has the bits that an optimizer of the side group's options gives, whatever the schedule.</summary>
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
            Assert.Equal(wanted, Download(matrices, parameter.Name, wanted.Length));
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
