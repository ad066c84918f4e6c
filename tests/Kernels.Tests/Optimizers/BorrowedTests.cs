using ILGPU;
using ILGPU.Runtime;
using Kernels.Optimizers;
using Kernels.Tests.Support;

namespace Kernels.Tests.Optimizers;

/// <summary>
/// Parameters in the caller's memory step as those in the arena, bit for bit: on the host in one walk, on a device by
/// launches of their own.
/// </summary>
public sealed class BorrowedTests
{
    private const int Steps = 3;

    private static readonly long[] s_lengths = [1, 255, 256, 0, 257, 5000];

    private static readonly Dictionary<string, (OptimizerOptions Options, OptimizerSettings Settings)> s_cases =
        new(StringComparer.Ordinal)
        {
            ["adamw"] = (new AdamWOptions { WeightDecay = 0.1 }, new()),
            ["sgd"] = (new SgdOptions { LearningRate = 0.1 }, new()),
            ["adamw.bf16"] = (new AdamWOptions(), new() { Parameters = Storage.BF16, Gradients = Storage.BF16 }),
            ["adamw.stochastic"] = (
                new AdamWOptions(), new() { Parameters = Storage.BF16, Gradients = Storage.F16, StochasticRounding = true }),
            ["adamw.average"] = (new AdamWOptions(), new() { Averaging = WeightAveraging.Exponential }),
            ["adamw.eightbit"] = (new AdamWOptions(), new() { StateStorage = StateStorage.EightBit }),
            ["lamb"] = (new LambOptions { WeightDecay = 0.1 }, new()),
            ["adafactor"] = (new AdafactorOptions(), new()),
        };

    public static TheoryData<string> Names => [.. s_cases.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public void A_borrowed_parameter_steps_as_one_of_the_arena(string name)
    {
        (OptimizerOptions options, OptimizerSettings settings) = s_cases[name];
        Follow(options, settings, scale: 1, _ => true);
        if (!settings.StochasticRounding)
        {
            // Borrowed ones are last in the arena, and random numbers are those of the place.
            Follow(options, settings, scale: 1, i => i % 2 == 0);
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(1e-25f)] // the squares are 0: the sum is taken again, scaled
    [InlineData(1e25f)]
    public void The_rate_of_AdaGradNorm_is_of_all_borrowed_parameters_on_the_host(float scale)
    {
        var options = new AdaGradNormOptions { LearningRate = 0.1, WeightDecay = 0.01, InitialAccumulator = 0 };
        if (TestDevices.IsHost)
        {
            Follow(options, new(), scale, i => i % 2 == 0);
            Follow(options with { Decoupled = true }, new(), scale, _ => true);
        }
        else
        {
            Assert.Throws<ArgumentException>(() => Follow(options, new(), scale, _ => true));
        }
    }

    [Fact]
    public void A_frozen_parameter_has_no_part_in_the_rate_of_AdaGradNorm_on_the_host()
    {
        if (TestDevices.IsHost)
        {
            LeaveOut(new AdaGradNormOptions { LearningRate = 0.1 }, isZero: false);
            // Of zeros the coupled decay is zero too.
            LeaveOut(new AdaGradNormOptions { LearningRate = 0.1, WeightDecay = 0.01 }, isZero: true);
        }
    }

    /// <summary>Whose values or decay are zero has, with a gradient of zeros, as much part in a step as a frozen one.</summary>
    private static void LeaveOut(AdaGradNormOptions options, bool isZero)
    {
        Session session = TestDevices.Session;
        using var memory = new Memory(session.Accelerator);
        float[][] values = [.. s_lengths.Select((n, i) => Values(i, n, isZero && i is 1 or 5 ? 0 : 1))];
        using var arena = new Optimizer(session, options, [.. values.Select((v, i) => new Parameter($"{i}", v))]);
        using var borrowed = new Optimizer(
            session, options,
            [
                .. values.Select((v, i) => v.Length == 0
                    ? new Parameter($"{i}", v)
                    : new Parameter($"{i}", memory.New(v, Storage.F32), memory.New(v, Storage.F32)) { IsFrozen = i == 5 }),
            ]);
        for (int step = 0; step < Steps; step++)
        {
            bool[] isFrozen = [.. values.Select((_, i) => (i == 1 && (isZero ? step < 2 : step == 1)) || (i == 5 && step < 2))];
            for (int i = 0; i < values.Length; i++)
            {
                if (values[i].Length > 0)
                {
                    float[] g = Values(100 * step + i, values[i].Length, 1);
                    borrowed.SetGradient($"{i}", g);
                    arena.SetGradient($"{i}", isFrozen[i] ? new float[g.Length] : g);
                    borrowed.SetFrozen($"{i}", isFrozen[i]);
                }
            }

            arena.Step();
            borrowed.Step();
            for (int i = 0; i < values.Length; i++)
            {
                Assert.Equal(Download(arena, arena.View($"{i}")), Download(borrowed, borrowed.View($"{i}")));
            }
        }

        Assert.Equal(isZero ? 1 : 2, borrowed.StepsOf("1"));
        Assert.Equal(1, borrowed.StepsOf("5"));
    }

    private static void Follow(OptimizerOptions options, OptimizerSettings settings, float scale, Func<int, bool> isBorrowed)
    {
        Session session = TestDevices.Session;
        using var memory = new Memory(session.Accelerator);
        float[][] values = [.. s_lengths.Select((n, i) => Values(i, n, 1))];
        Parameter[] borrowed =
        [
            .. values.Select((v, i) => isBorrowed(i) && v.Length > 0
                ? new Parameter($"{i}", memory.New(v, settings.Parameters), memory.New(v, settings.Gradients))
                : new Parameter($"{i}", v)),
        ];
        using var arena = new Optimizer(
            session, options, [.. values.Select((v, i) => new Parameter($"{i}", v))], settings);
        using var mixed = new Optimizer(session, options, borrowed, settings);
        for (int i = 0; i < values.Length; i++)
        {
            mixed.Upload($"{i}", values[i]); // and so to the average
        }

        for (int step = 0; step < Steps; step++)
        {
            for (int i = 0; i < values.Length; i++)
            {
                if (values[i].Length > 0)
                {
                    float[] g = Values(100 * step + i, values[i].Length, scale);
                    arena.SetGradient($"{i}", g);
                    mixed.SetGradient($"{i}", g);
                }
            }

            arena.SetFrozen("1", step == 1 && options is not AdaGradNormOptions);
            mixed.SetFrozen("1", step == 1 && options is not AdaGradNormOptions);
            arena.Step();
            mixed.Step();
            for (int i = 0; i < values.Length; i++)
            {
                Assert.Equal(Download(arena, arena.View($"{i}")), Download(mixed, mixed.View($"{i}")));
                if (settings.Averaging != WeightAveraging.None)
                {
                    Assert.Equal(Download(arena, arena.Average($"{i}")), Download(mixed, mixed.Average($"{i}")));
                }
            }
        }
    }

    private static float[] Download(Optimizer optimizer, TensorView view)
    {
        var values = new float[view.Length];
        if (values.Length > 0)
        {
            optimizer.Download(view, values);
        }

        return values;
    }

    private static float[] Values(int seed, long length, float scale)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, (int)length).Select(_ => scale * (float)(random.NextDouble() - 0.5))];
    }

    private sealed class Memory(Accelerator accelerator) : IDisposable
    {
        private readonly List<MemoryBuffer> _buffers = [];

        public void Dispose() => _buffers.ForEach(b => b.Dispose());

        internal TensorView New(float[] values, Storage storage)
        {
            TensorView view = storage switch
            {
                Storage.F32 => Kept(accelerator.Allocate1D<float>(values.Length)).View,
                Storage.F16 => Kept(accelerator.Allocate1D<ILGPU.Half>(values.Length)).View,
                _ => (TensorView)Kept(accelerator.Allocate1D<ushort>(values.Length)).View,
            };
            TensorCopy.Upload(accelerator.DefaultStream, values, view);
            return view;
        }

        private MemoryBuffer1D<T, Stride1D.Dense> Kept<T>(MemoryBuffer1D<T, Stride1D.Dense> buffer)
            where T : unmanaged
        {
            _buffers.Add(buffer);
            return buffer;
        }
    }
}
