using Kernels.Dct;
using Kernels.Optimizers;
using Kernels.References;
using Kernels.References.Dct;
using Kernels.References.Optimizers;
using Kernels.Tests.Linear;
using Kernels.Tests.Support;
using ProjectionSide = Kernels.Dct.ProjectionSide;

namespace Kernels.Tests.Dct;

public sealed class DctAdamWProperties
{
    public static TheoryData<int, int, int, ProjectionSide, ErrorFeedback, bool> Cases() => new()
    {
        { 12, 8, 3, ProjectionSide.Auto, ErrorFeedback.None, false },
        { 8, 12, 3, ProjectionSide.Auto, ErrorFeedback.None, true },
        { 5, 17, 17, ProjectionSide.Right, ErrorFeedback.F32, true },
        { 18, 6, 4, ProjectionSide.Left, ErrorFeedback.F32, false },
        { 20, 30, 7, ProjectionSide.Right, ErrorFeedback.EightBit, true },
        { 19, 29, 6, ProjectionSide.Left, ErrorFeedback.FourBit, false },
        { 1, 1, 1, ProjectionSide.Auto, ErrorFeedback.None, true },
    };

    [Theory]
    [MemberData(nameof(Cases))]
    public void A_step_is_within_the_bounds_of_the_reference(
        int rows, int columns, int rank, ProjectionSide side, ErrorFeedback feedback, bool rotate)
    {
        var random = new Random(rows);
        var options = new DctAdamWOptions
        {
            Rank = rank,
            LearningRate = 0.03,
            WeightDecay = 0.1,
            Beta1 = 0.8,
            Beta2 = 0.95,
            Epsilon = 1e-3,
            Rotate = rotate,
            ErrorFeedback = feedback,
            UpdateInterval = rotate ? 1 : 3,
            Maximize = rank == 4,
            Selection = new() { Side = side, Norm = rank % 2 == 0 ? ColumnNorm.L1 : ColumnNorm.L2 },
        };
        var reference = new DctAdamWReference(
            rows, columns, rank, 0.03, 0.8, 0.95, 1e-3, 0.1, options.UpdateInterval,
            options.Selection.Norm == ColumnNorm.L2, rotate, feedback != ErrorFeedback.None,
            Enum.Parse<Kernels.References.Dct.ProjectionSide>(side.ToString()));
        float[] p = LinearDevice.Random(random, rows * columns);
        using var adam = new Optimizer(TestDevices.Session, options, [new Parameter("w", p, rows, columns)]);
        DctAdamWState before = reference.CreateState();
        for (int t = 1; t <= 5; t++)
        {
            float[] g = LinearDevice.Random(random, p.Length);
            adam.Step(g);
            int[] index = Array.ConvertAll(Read(adam, "index", rank), i => (int)i);
            Bounded[] wanted = [.. p.Select(v => Bounded.FromDouble(v))];
            Bounded[] gradient = [.. g.Select(v => Bounded.FromDouble(options.Maximize ? -v : v))];
            reference.Step(t, wanted, gradient, before, index);
            p = new float[p.Length];
            adam.Download("w", p);
            string what = $"{side} {feedback} {rank} of {rows} x {columns}, step {t}";
            LinearDevice.AssertWithin(wanted, p, $"{what}: p");
            Follow(adam, "exp_avg", before.Mean, what);
            Follow(adam, "exp_avg_sq", before.MeanSquare, what);
            if (feedback == ErrorFeedback.F32)
            {
                Follow(adam, "error", before.Error, what);
            }
            else if (feedback != ErrorFeedback.None)
            {
                var store = new ErrorBlockReference(feedback == ErrorFeedback.EightBit ? 8 : 4, bucket: 256);
                store.Stored(before.Error).CopyTo(before.Error, 0);
                Follow(adam, "error", before.Error, what);
            }
        }
    }

    /// <remarks>
    /// Exactly the two are the same: the transform is orthogonal, and AdamW's decay is one factor for all elements. So
    /// DCT-AdamW is as far from AdamW's exact parameters, taken back, as its own oracle's bound through four steps allows;
    /// and AdamW is from them, not taken back, as far as its oracle allows, from the narrowed transforms on.
    /// </remarks>
    [Fact]
    public void All_columns_make_AdamW_of_the_transformed_gradient()
    {
        const int Rows = 9;
        const int N = 16;
        const double Rate = 0.01, Beta1 = 0.9, Beta2 = 0.999, Epsilon = 1e-2, Decay = 0.1;
        var random = new Random(5);
        float[] p = LinearDevice.Random(random, Rows * N);
        var options = new DctAdamWOptions
        {
            Rank = N,
            LearningRate = Rate,
            Beta1 = Beta1,
            Beta2 = Beta2,
            Epsilon = Epsilon,
            WeightDecay = Decay,
            Selection = new() { Side = ProjectionSide.Right },
        };
        var there = new TransformReference(TransformKind.Dct2, N);
        var back = new TransformReference(TransformKind.Dct3, N);
        float[] turned = Turn(p);
        using var adam = new Optimizer(TestDevices.Session, options, [new Parameter("w", p, Rows, N)]);
        using var plain = new Optimizer(
            TestDevices.Session,
            new AdamWOptions
            {
                LearningRate = Rate,
                Beta1 = Beta1,
                Beta2 = Beta2,
                Epsilon = Epsilon,
                WeightDecay = Decay,
            },
            [new Parameter("w", turned)]);
        var oracle = new DctAdamWReference(
            Rows, N, N, Rate, Beta1, Beta2, Epsilon, Decay, side: Kernels.References.Dct.ProjectionSide.Right);
        DctAdamWState state = oracle.CreateState();
        Bounded[] direct = [.. p.Select(v => (Bounded)v)];
        var plainOracle = new AdamReference(Rate, Beta1, Beta2, Epsilon, Decay, decoupled: true);
        Bounded[] rotated = [.. there.Apply(Widen(p)).Select(Bounded.Rounded)];
        var moments = new Bounded[p.Length][];
        for (int t = 1; t <= 4; t++)
        {
            float[] g = LinearDevice.Random(random, p.Length);
            adam.Step(g);
            plain.Step(Turn(g));
            oracle.Step(t, direct, [.. g.Select(v => (Bounded)v)], state, [.. Enumerable.Range(0, N)]);
            double[] slope = there.Apply(Widen(g));
            for (int i = 0; i < p.Length; i++)
            {
                moments[i] ??= new Bounded[2];
                rotated[i] = plainOracle.Step(t, rotated[i], Bounded.Rounded(slope[i]), moments[i]);
            }
        }

        var got = new float[p.Length];
        var gotRotated = new float[p.Length];
        adam.Download("w", got);
        plain.Download("w", gotRotated);
        LinearDevice.AssertWithin(rotated, gotRotated, "AdamW of the transform");
        double[] wanted = back.Apply(Array.ConvertAll(rotated, b => b.Value));
        for (int i = 0; i < got.Length; i++)
        {
            Assert.Equal(wanted[i], got[i], direct[i].Bound);
        }

        float[] Turn(float[] values) => Array.ConvertAll(there.Apply(Widen(values)), v => (float)v);

        static double[] Widen(float[] values) => Array.ConvertAll(values, v => (double)v);
    }

    [Theory]
    [InlineData(ErrorFeedback.None)]
    [InlineData(ErrorFeedback.EightBit)]
    public void A_skipped_step_leaves_everything_as_it_was(ErrorFeedback feedback)
    {
        const int Rows = 20;
        const int N = 24;
        var random = new Random(6);
        var options = new DctAdamWOptions { Rank = 5, Rotate = true, ErrorFeedback = feedback };
        using var adam = new Optimizer(
            TestDevices.Session, options,
            [new Parameter("w", LinearDevice.Random(random, Rows * N), Rows, N), new Parameter("b", new float[7])],
            new OptimizerSettings { LossScaling = new LossScalerOptions { InitialScale = 8 } });
        float[] g = LinearDevice.Random(random, Rows * N);
        adam.SetGradient("w", g);
        adam.SetGradient("b", LinearDevice.Random(random, 7));
        adam.Step();
        adam.Step();
        using var before = new MemoryStream();
        adam.Save(before);
        float[] broken = [.. g];
        broken[3] = float.NaN;
        adam.SetGradient("w", broken);
        adam.Step();
        Assert.Equal(2, adam.StepCount);
        var p = new float[Rows * N];
        adam.Download("w", p);
        using var again = new Optimizer(
            TestDevices.Session, options, [new Parameter("w", Rows, N), new Parameter("b", 7)],
            new OptimizerSettings { LossScaling = new LossScalerOptions { InitialScale = 8 } });
        before.Position = 0;
        again.Load(before);
        foreach ((string state, int length) in new[] { ("exp_avg", 5 * N), ("exp_avg_sq", 5 * N), ("index", 5) })
        {
            Assert.Equal(Read(again, state, length), Read(adam, state, length));
        }

        if (feedback != ErrorFeedback.None)
        {
            Assert.Equal(Read(again, "error", Rows * N), Read(adam, "error", Rows * N));
        }

        var kept = new float[Rows * N];
        again.Download("w", kept);
        Assert.Equal(kept, p);

        // And both go on in the same way.
        adam.SetGradient("w", g);
        again.SetGradient("w", g);
        adam.SetGradient("b", new float[7]);
        again.SetGradient("b", new float[7]);
        adam.Step();
        Assert.Equal(3, adam.StepCount);
    }

    /// <summary>To the bit: a power of two comes out of every product and sum as it went in.</summary>
    [Fact]
    public void Scaled_gradients_and_other_storages_make_the_same_steps()
    {
        const int Rows = 18;
        const int N = 20;
        var random = new Random(7);
        // Numbers that 16 bits hold.
        float[] p = [.. LinearDevice.Random(random, Rows * N).Select(v => (float)(BFloat(v)))];
        float[] g = [.. LinearDevice.Random(random, Rows * N).Select(v => (float)(BFloat(v)))];
        var options = new DctAdamWOptions { Rank = 6, LearningRate = 0.01, Epsilon = 1e-2, WeightDecay = 0.1 };
        float[] plain = Run(options, new OptimizerSettings(), p, g, 1);
        float[] scaled = Run(
            options, new OptimizerSettings { LossScaling = new LossScalerOptions { InitialScale = 1024 } }, p, g, 1024);
        float[] narrow = Run(options, new OptimizerSettings { Gradients = Storage.BF16 }, p, g, 1);
        float[] feedback = Run(options with { ErrorFeedback = ErrorFeedback.F32 }, new OptimizerSettings(), p, g, 1);
        float[] both = Run(
            options with { ErrorFeedback = ErrorFeedback.F32 },
            new OptimizerSettings { LossScaling = new LossScalerOptions { InitialScale = 1024 } }, p, g, 1024);
        Assert.Equal(plain, scaled);
        Assert.Equal(plain, narrow);
        Assert.Equal(feedback, both);
        Assert.NotEqual(plain, feedback);

        static float BFloat(float v) => BitConverter.UInt32BitsToSingle(BitConverter.SingleToUInt32Bits(v) & 0xFFFF0000);

        static float[] Run(DctAdamWOptions options, OptimizerSettings settings, float[] p, float[] g, float scale)
        {
            using var adam = new Optimizer(TestDevices.Session, options, [new Parameter("w", p, Rows, N)], settings);
            for (int t = 0; t < 3; t++)
            {
                adam.Step([.. g.Select(v => v * scale)]);
            }

            var result = new float[p.Length];
            adam.Download("w", result);
            return result;
        }
    }

    [Fact]
    public void What_is_no_matrix_is_stepped_by_AdamW()
    {
        var random = new Random(8);
        float[] vector = LinearDevice.Random(random, 40);
        float[] few = LinearDevice.Random(random, 3 * 50);
        float[] wide = LinearDevice.Random(random, 9 * 100);
        float[][] all = [vector, few, wide];
        var options = new DctAdamWOptions { Rank = 4, MaxDimension = 100, WeightDecay = 0.01 };
        Parameter[] parameters =
        [
            new Parameter("vector", vector), new Parameter("few", few, 3, 50), new Parameter("wide", wide, 9, 100),
        ];
        using var dct = new Optimizer(TestDevices.Session, options, parameters);
        using var adam = new Optimizer(TestDevices.Session, new AdamWOptions(), parameters);
        foreach (Optimizer optimizer in new[] { dct, adam })
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

        for (int i = 0; i < all.Length; i++)
        {
            var got = new float[all[i].Length];
            var wanted = new float[all[i].Length];
            dct.Download(parameters[i].Name, got);
            adam.Download(parameters[i].Name, wanted);
            Assert.Equal(wanted, got);
        }
    }

    private static float[] Read(Optimizer adam, string state, int length)
    {
        var values = new float[length];
        adam.DownloadState("w", state, values);
        return values;
    }

    /// <summary>Checks a state, and goes on from what the device has.</summary>
    private static void Follow(Optimizer adam, string state, Bounded[] wanted, string what)
    {
        float[] got = Read(adam, state, wanted.Length);
        LinearDevice.AssertWithin(wanted, got, $"{what}: {state}");
        for (int i = 0; i < got.Length; i++)
        {
            wanted[i] = got[i];
        }
    }
}
