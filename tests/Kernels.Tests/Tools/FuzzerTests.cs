using ILGPU;
using ILGPU.Runtime;
using Kernels.References.Fuzzing;
using Kernels.Tests.Support;
using Kernels.Tools.Fuzzing;
using Kernels.Tools.Operations;

namespace Kernels.Tests.Tools;

public sealed class FuzzerTests
{
    private const int GroupSize = 32;

    private static readonly FuzzTarget s_norm = FuzzTargets.Find("optimizers/gradnorm");

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(5)]
    public void Threads_do_not_change_what_is_found(int jobs)
    {
        FuzzReport report = Fuzzer.RunParallel(s_norm, [.. Enumerable.Repeat(Wrong, jobs)], new FuzzSettings { Cases = 200, Seed = 5 });
        FuzzReport alone = Fuzzer.Run(s_norm, Wrong, new FuzzSettings { Cases = 200, Seed = 5 });

        Assert.Equal(alone.Failure!.Index, report.Failure!.Index);
        Assert.Equal(alone.Failure.Message, report.Failure.Message);

        static Dictionary<string, FuzzTensor> Wrong(FuzzCase given) =>
            Norm(Exact(given) * (given.Length("g") == 17 ? 1.001 : 1));
    }

    [Fact]
    public void Threads_try_all_cases_once()
    {
        var seen = new int[3];
        int told = 0;

        FuzzReport report = Fuzzer.RunParallel(
            s_norm, [Right(0), Right(1), Right(2)], new FuzzSettings { Cases = 100, Progress = (done, _) => told = done });
        FuzzReport alone = Fuzzer.Run(s_norm, Right(0), new FuzzSettings { Cases = 100 });

        Assert.True(report.Passed, report.ToString());
        Assert.Equal(100, report.Cases);
        Assert.Equal(100, told);
        Assert.Equal(33, seen[1]);
        Assert.Equal(34, seen[2]);
        Assert.Equal(alone.Classes, report.Classes);
        Assert.Equal(alone.WorstShare, report.WorstShare);

        Func<FuzzCase, IReadOnlyDictionary<string, FuzzTensor>> Right(int job) => given =>
        {
            seen[job]++;
            return Norm(Exact(given));
        };
    }

    [Fact]
    public void A_case_that_fails_only_at_an_odd_place_stays_there()
    {
        FuzzReport report = Fuzzer.Run(s_norm, given => Norm(given.Shift % 4 != 0 ? -1 : Exact(given)));
        FuzzReport everywhere = Fuzzer.Run(s_norm, _ => Norm(-1));

        Assert.NotEqual(0, report.Failure!.Case.Shift % 4);
        Assert.Equal(1, report.Failure.Case.Elements);
        Assert.Equal(0, everywhere.Failure!.Case.Shift);
        Assert.Contains("misaligned", everywhere.Classes.Keys.Concat(report.Classes.Keys), StringComparer.Ordinal);
    }

    [Fact]
    public void A_missing_barrier_is_found_and_made_small()
    {
        // On the CPU accelerator, where a group's items are threads: simulated CUDA would report the race itself.
        Accelerator accelerator = TestDevices.Warp(GroupSize);
        using AcceleratorKernel kernel = new(accelerator);

        FuzzReport report = Fuzzer.Run(
            s_norm, kernel.Run, new FuzzSettings { Time = TimeSpan.FromSeconds(60), ShrinkTime = TimeSpan.FromSeconds(60) });

        Assert.NotNull(report.Failure);
        Assert.InRange(report.Failure.Case.Elements, 1, 8);
    }

    [Fact]
    public void Agreement_counts_equal_bits_and_takes_nan_for_nan()
    {
        var agreement = new Agreement();
        Dictionary<string, FuzzTensor> zero = Norm(0);
        agreement.Count("a", [zero, Norm(0), Norm(0)]);
        agreement.Count("a", [zero, Norm(0), Norm(-0d)]);
        agreement.Count("a", [Norm(double.NaN), Norm(-double.NaN)]);
        agreement.Count("a", [Integers(1, 2), Integers(1, 2)]);
        agreement.Count("a", [Integers(1, 2), Integers(1, 3)]);

        Assert.Equal(0.6, agreement.Share("a"));

        static Dictionary<string, FuzzTensor> Integers(params int[] values) =>
            new(StringComparer.Ordinal) { ["index"] = new FuzzTensor(values) };
    }

    [Theory]
    [InlineData("optimizers/sgd")]
    [InlineData("optimizers/adagradnorm")]
    [InlineData("optimizers/muon")]
    public void Steps_of_an_optimizer_at_odd_places_have_the_same_bits(string name)
    {
        FuzzTarget target = FuzzTargets.Find(name);
        var kernel = new OperationUnderTest(TestDevices.Session, OperationCatalog.Find(name));
        foreach (int index in Enumerable.Range(0, 20))
        {
            FuzzCase given = target.Draw(new FuzzDraw(name, 1, index));
            float[] aligned = kernel.Run(given)["p"].Floats;
            Assert.Equal(aligned, kernel.Run(given.At(3))["p"].Floats);
        }
    }

    private static double Exact(FuzzCase given) => Math.Sqrt(given.Floats("g").Sum(x => (double)x * x));

    private static Dictionary<string, FuzzTensor> Norm(double norm) =>
        new(StringComparer.Ordinal) { ["norm"] = new FuzzTensor([(float)norm], 1) };

    // Every item leaves the sum of its squares in shared memory, and the first adds them up too early.
    private static void Racing(ArrayView<float> g, ArrayView<float> norm)
    {
        ArrayView<float> sums = SharedMemory.Allocate<float>(GroupSize);
        float sum = 0;
        for (int i = Group.IdxX; i < g.IntLength; i += GroupSize)
        {
            sum += g[i] * g[i];
        }

        sums[Group.IdxX] = sum;
        if (Group.IdxX == 0)
        {
            float all = 0;
            for (int i = 0; i < GroupSize; i++)
            {
                all += sums[i];
            }

            norm[0] = MathF.Sqrt(all);
        }
    }

    private sealed class AcceleratorKernel(Accelerator accelerator) : IDisposable
    {
        private readonly AcceleratorStream _stream = accelerator.CreateStream();
        private readonly Action<AcceleratorStream, KernelConfig, ArrayView<float>, ArrayView<float>> _kernel =
            accelerator.LoadKernel<ArrayView<float>, ArrayView<float>>(Racing);

        internal IReadOnlyDictionary<string, FuzzTensor> Run(FuzzCase given)
        {
            using MemoryBuffer1D<float, Stride1D.Dense> g = accelerator.Allocate1D(given.Floats("g"));
            using MemoryBuffer1D<float, Stride1D.Dense> norm = accelerator.Allocate1D<float>(1);
            _kernel(_stream, new KernelConfig(1, GroupSize), g.View, norm.View);
            _stream.Synchronize();
            return Norm(norm.GetAsArray1D()[0]);
        }

        public void Dispose() => _stream.Dispose();
    }
}
