using ILGPU;
using ILGPU.Runtime;
using Kernels.Optimizers;
using Kernels.References;
using Kernels.References.Optimizers;
using Kernels.Tests.Support;

namespace Kernels.Tests.Optimizers;

/// <summary>8-bit Adam goes where Adam goes.</summary>
public sealed class EightBitAdamConvergence
{
    /// <summary>
    /// 1/2 sum of c_i (p_i - a_i)^2, curvatures over two decades: the loss falls to the rounding of the parameters, and
    /// every step on the way is the method's within half a step of the map, whatever came before.
    /// </summary>
    // How many steps it takes beside Adam has no bound that follows from the map: what v keeps of its value while it
    // decays is relative to the largest of the block, and adds up over the steps.
    [Fact]
    public void A_quadratic_of_ten_dimensions_falls_and_every_step_is_the_published_one()
    {
        const int N = 10;
        const int Steps = 600;
        double[] curvature = [.. Enumerable.Range(0, N).Select(i => Math.Pow(10, (2.0 * i / (N - 1)) - 1))];
        double[] target = [.. Enumerable.Range(0, N).Select(i => Math.Cos(3 * i) * 2)];
        Accelerator accelerator = TestDevices.Session.Accelerator;
        var options = new AdamOptions { LearningRate = 0.02 };
        var launcher = new EightBitAdamLauncher(accelerator, options);
        var reference = new EightBitAdamReference(new AdamReference(0.02));
        using MemoryBuffer1D<float, Stride1D.Dense> p = accelerator.Allocate1D(new float[N]);
        using MemoryBuffer1D<float, Stride1D.Dense> g = accelerator.Allocate1D(new float[N]);
        using MemoryBuffer1D<byte, Stride1D.Dense> codesM = accelerator.Allocate1D(new byte[N]);
        using MemoryBuffer1D<byte, Stride1D.Dense> codesV = accelerator.Allocate1D(new byte[N]);
        using MemoryBuffer1D<float, Stride1D.Dense> scaleM = accelerator.Allocate1D(new float[1]);
        using MemoryBuffer1D<float, Stride1D.Dense> scaleV = accelerator.Allocate1D(new float[1]);
        var values = new float[N];
        double start = Loss();
        for (int step = 1; step <= Steps; step++)
        {
            float[] gradient = [.. values.Select((x, i) => (float)(curvature[i] * (x - target[i])))];
            Bounded[] m = Decoded(codesM, scaleM, isSigned: true);
            Bounded[] v = Decoded(codesV, scaleV, isSigned: false);
            g.CopyFromCPU(gradient);
            launcher.Step(
                accelerator.DefaultStream, p.View, g.View, codesM.View, codesV.View, scaleM.View, scaleV.View, step);
            accelerator.Synchronize();
            float[] before = [.. values];
            p.CopyToCPU(values);
            for (int i = 0; i < N; i++)
            {
                Bounded wanted = reference.Step(step, before[i], gradient[i], ref m[i], ref v[i]);
                Assert.True(wanted.Admits(values[i]), $"step {step}: p[{i}] must be {wanted}, and is {values[i]:R}.");
            }

            Check(m, codesM, scaleM, isSigned: true);
            Check(v, codesV, scaleV, isSigned: false);
        }

        Assert.True(Loss() < 1e-10 * start, $"The loss fell from {start} to {Loss()}.");

        double Loss() => Enumerable.Range(0, N).Sum(i => 0.5 * curvature[i] * Math.Pow(values[i] - target[i], 2));

        static Bounded[] Decoded(
            MemoryBuffer1D<byte, Stride1D.Dense> codes, MemoryBuffer1D<float, Stride1D.Dense> scale, bool isSigned)
        {
            float factor = scale.GetAsArray1D()[0];
            return Array.ConvertAll(codes.GetAsArray1D(), c => EightBitAdamReference.Decode(c, factor, isSigned));
        }

        static void Check(
            Bounded[] wanted, MemoryBuffer1D<byte, Stride1D.Dense> codes, MemoryBuffer1D<float, Stride1D.Dense> scale,
            bool isSigned)
        {
            float factor = scale.GetAsArray1D()[0];
            Assert.True(EightBitAdamReference.AdmitsScale(wanted, factor));
            Assert.All(
                codes.GetAsArray1D().Zip(wanted),
                pair => Assert.True(EightBitAdamReference.AdmitsCode(pair.Second, factor, pair.First, isSigned)));
        }
    }

    /// <summary>Linear regression with noise from small batches: the loss ends at the noise, not at 0.</summary>
    [Fact]
    public void A_regression_ends_at_the_same_loss()
    {
        const int Features = 300;
        const int Samples = 1200;
        const int Batch = 100;
        var random = new Random(5);
        double[] truth = [.. Enumerable.Range(0, Features).Select(_ => Normal())];
        var x = new float[Samples][];
        var y = new double[Samples];
        for (int s = 0; s < Samples; s++)
        {
            x[s] = [.. Enumerable.Range(0, Features).Select(_ => (float)Normal())];
            y[s] = x[s].Zip(truth, (a, b) => a * b).Sum() + (3 * Normal());
        }

        var options = new AdamWOptions { LearningRate = 0.01, WeightDecay = 0.01 };
        (float[] full, float[] eight) = Train(options, Features, 600, Gradient);
        Assert.True(Loss(full) < 0.05 * Loss(new float[Features]));
        Assert.InRange(Loss(eight) / Loss(full), 0.97, 1.03);

        void Gradient(float[] p, float[] g, int step)
        {
            Array.Clear(g);
            for (int k = 0; k < Batch; k++)
            {
                int s = ((step * Batch) + k) % Samples;
                double error = Predict(p, s) - y[s];
                for (int i = 0; i < Features; i++)
                {
                    g[i] += (float)(error * x[s][i] / Batch);
                }
            }
        }

        double Loss(float[] p) => Enumerable.Range(0, Samples).Average(s => Math.Pow(Predict(p, s) - y[s], 2));

        double Predict(float[] p, int s)
        {
            double sum = 0;
            for (int i = 0; i < Features; i++)
            {
                sum += p[i] * x[s][i];
            }

            return sum;
        }

        double Normal() => Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
    }

    /// <summary>A thousand steps of noise: the paper's method in binary64 goes the same way, and there is no bias.</summary>
    [Fact]
    public void A_thousand_steps_of_noise_do_not_drift()
    {
        const int N = 512;
        const int Steps = 1000;
        var options = new AdamOptions { LearningRate = 1e-3 };
        (float[] full, float[] eight) = Train(options, N, Steps, Gradient);
        double[] ideal = TrainReference(new AdamReference(1e-3), N, Steps, Gradient);
        double spread = Root(Enumerable.Range(0, N).Select(i => (double)full[i]));
        double fromIdeal = Root(Enumerable.Range(0, N).Select(i => eight[i] - ideal[i]));
        double fromFull = Root(Enumerable.Range(0, N).Select(i => (double)eight[i] - full[i]));
        double bias = Enumerable.Range(0, N).Average(i => eight[i] - full[i]);
        // A random walk of 1000 steps of 1e-3 spreads by 0.03.
        Assert.InRange(spread, 0.01, 0.1);
        Assert.InRange(fromIdeal, 0, 0.02 * spread);
        Assert.InRange(fromFull, 0, 0.5 * spread);
        // Independent differences average to fromFull / sqrt(512); drift would not.
        Assert.InRange(bias, -4 * fromFull / Math.Sqrt(N), 4 * fromFull / Math.Sqrt(N));

        static double Root(IEnumerable<double> x) => Math.Sqrt(x.Average(y => y * y));

        // All runs draw the same: the seed follows the step.
        static void Gradient(float[] p, float[] g, int step)
        {
            var draw = new Random(step);
            for (int i = 0; i < g.Length; i++)
            {
                g[i] = (float)((draw.NextDouble() - 0.5) * (1 + (i % 7)));
            }
        }
    }

    /// <summary>The published method in binary64: decode, Adam, nearest code.</summary>
    private static double[] TrainReference(
        AdamReference adam, int n, int steps, Action<float[], float[], int> gradient)
    {
        var p = new double[n];
        var g = new float[n];
        var state = new Bounded[2][];
        state[0] = new Bounded[n];
        state[1] = new Bounded[n];
        Span<Bounded> element = stackalloc Bounded[2];
        for (int step = 1; step <= steps; step++)
        {
            gradient(Array.ConvertAll(p, x => (float)x), g, step);
            for (int i = 0; i < n; i++)
            {
                element[0] = state[0][i].Value;
                element[1] = state[1][i].Value;
                p[i] = adam.Step(step, p[i], g[i], element).Value;
                state[0][i] = element[0];
                state[1][i] = element[1];
            }

            for (int block = 0; block < n; block += EightBitAdamReference.BlockLength)
            {
                Encode(state[0], block, isSigned: true);
                Encode(state[1], block, isSigned: false);
            }
        }

        return p;

        void Encode(Bounded[] values, int first, bool isSigned)
        {
            int end = Math.Min(n, first + EightBitAdamReference.BlockLength);
            double scale = Enumerable.Range(first, end - first).Max(i => Math.Abs(values[i].Value));
            for (int i = first; i < end; i++)
            {
                int code = EightBitAdamReference.Nearest(values[i].Value / scale, isSigned);
                values[i] = EightBitAdamReference.Numbers(isSigned)[code] * scale;
            }
        }
    }

    /// <summary>The parameters after the same steps with state in F32 and in 8 bits, from zeros.</summary>
    private static (float[] Full, float[] Eight) Train(
        AdamOptions options, int n, int steps, Action<float[], float[], int> gradient)
    {
        Accelerator accelerator = TestDevices.Session.Accelerator;
        AcceleratorStream stream = accelerator.DefaultStream;
        int scales = (int)EightBitAdamLauncher.ScaleCount(n);
        using MemoryBuffer1D<float, Stride1D.Dense> p = accelerator.Allocate1D(new float[n]);
        using MemoryBuffer1D<float, Stride1D.Dense> g = accelerator.Allocate1D(new float[n]);
        using MemoryBuffer1D<float, Stride1D.Dense> m = accelerator.Allocate1D(new float[n]);
        using MemoryBuffer1D<float, Stride1D.Dense> v = accelerator.Allocate1D(new float[n]);
        using MemoryBuffer1D<byte, Stride1D.Dense> codesM = accelerator.Allocate1D(new byte[n]);
        using MemoryBuffer1D<byte, Stride1D.Dense> codesV = accelerator.Allocate1D(new byte[n]);
        using MemoryBuffer1D<float, Stride1D.Dense> scalesM = accelerator.Allocate1D(new float[scales]);
        using MemoryBuffer1D<float, Stride1D.Dense> scalesV = accelerator.Allocate1D(new float[scales]);
        var full = new UpdateLauncher(accelerator, options);
        var eight = new EightBitAdamLauncher(accelerator, options);
        float[] first = Run(step => full.Step(stream, p.View, g.View, [m.View, v.View], step));
        p.CopyFromCPU(new float[n]);
        float[] second = Run(
            step => eight.Step(stream, p.View, g.View, codesM.View, codesV.View, scalesM.View, scalesV.View, step));
        return (first, second);

        float[] Run(Action<int> takeStep)
        {
            var values = new float[n];
            var slope = new float[n];
            for (int step = 1; step <= steps; step++)
            {
                gradient(values, slope, step);
                g.CopyFromCPU(slope);
                takeStep(step);
                accelerator.Synchronize();
                p.CopyToCPU(values);
            }

            return values;
        }
    }
}
