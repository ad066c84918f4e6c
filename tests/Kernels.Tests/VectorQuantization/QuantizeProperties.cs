using ILGPU;
using ILGPU.Runtime;
using Kernels.Launching;
using Kernels.References;
using Kernels.References.VectorQuantization;
using Kernels.Tests.Support;
using Kernels.VectorQuantization;

namespace Kernels.Tests.VectorQuantization;

public sealed class QuantizeProperties
{
    [Flags]
    public enum Wanted
    {
        None = 0,
        Output = 1,
        Loss = 2,
        GradX = 4,
        Counts = 8,
        All = 15,
    }

    public static TheoryData<int, bool, Storage, Storage> Cases()
    {
        var cases = new TheoryData<int, bool, Storage, Storage>();
        for (int shape = 0; shape < RowCase.Shapes.Length; shape++)
        {
            cases.Add(shape, shape % 2 == 0, Storage.F32, Storage.F32);
        }

        foreach (Storage rows in Enum.GetValues<Storage>())
        {
            foreach (Storage codes in Enum.GetValues<Storage>().Where(c => (rows, c) != (Storage.F32, Storage.F32)))
            {
                cases.Add(3, true, rows, codes);
                cases.Add(6, false, rows, codes);
            }
        }

        return cases;
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Agrees_with_the_oracle(int shape, bool hasGrad, Storage rows, Storage codes)
    {
        (int n, int k, int d, int heads) = RowCase.Shapes[shape];
        var c = new RowCase(n, k, d, heads, rows, codes, 10 * shape);
        const double Beta = 0.3;
        foreach ((Accelerator accelerator, RowWalk? walk) in RowCase.Places(small: shape is 1 or 2 or 3 && (rows, codes) == (Storage.F32, Storage.F32)))
        {
            string what = $"{accelerator.AcceleratorType} {walk}";
            Result got = Apply(accelerator, walk, c, hasGrad, Beta, shift: shape % 2);
            (Bounded[] output, Bounded codebook, Bounded commitment, Bounded[] gradX, int[] counts) =
                QuantizeReference.Evaluate(
                    c.XFloats, c.BookFloats, c.OracleIndex, d, Beta, hasGrad ? c.GradFloats : [],
                    RowPlan.LossDepth((long)n * heads, d));
            Assert.Equal(
                RowCase.Bits(rows, Array.ConvertAll(output, o => (float)o.Value)), got.Output);
            RowCase.AssertWithin([codebook, commitment], Storage.F32, got.Loss, $"{what} loss");
            RowCase.AssertWithin(gradX, rows, got.GradX, $"{what} gradX");
            Assert.Equal(counts, got.Counts);
        }
    }

    /// <summary>Small integers are exact in every order.</summary>
    [Fact]
    public void Losses_of_small_integers_are_exact()
    {
        const int N = 128, K = 16, D = 16;
        var random = new Random(5);
        float[] x = [.. Enumerable.Range(0, N * D).Select(_ => (float)random.Next(-8, 9))];
        float[] codes = [.. Enumerable.Range(0, K * D).Select(_ => (float)random.Next(-8, 9))];
        int[] index = [.. Enumerable.Range(0, N).Select(_ => random.Next(K))];
        (_, Bounded codebook, _, Bounded[] gradX, int[] counts) = QuantizeReference.Evaluate(x, codes, index, D);
        foreach ((Accelerator accelerator, RowWalk? walk) in RowCase.Places())
        {
            Result got = Apply(accelerator, walk, N, K, D, 1, Of(x), Of(codes), index);
            Assert.Equal((float)codebook.Value, BitConverter.UInt32BitsToSingle(got.Loss[0]));
            Assert.Equal((float)codebook.Value / 4, BitConverter.UInt32BitsToSingle(got.Loss[1]));
            Assert.Equal(Array.ConvertAll(gradX, g => (float)g.Value), RowCase.Floats(Storage.F32, got.GradX));
            Assert.Equal(counts, got.Counts);
        }
    }

    [Fact]
    public void Each_output_is_the_same_without_the_others_and_in_place()
    {
        foreach (Storage storage in Enum.GetValues<Storage>())
        {
            var c = new RowCase(21, 9, 20, 2, storage, Storage.F32, 3);
            foreach ((Accelerator accelerator, RowWalk? walk) in RowCase.Places(small: storage == Storage.BF16))
            {
                Result all = Apply(accelerator, walk, c, true, 0.25);
                foreach (Wanted wanted in (Wanted[])[Wanted.None, Wanted.Output, Wanted.Loss, Wanted.GradX, Wanted.Counts])
                {
                    Result one = Apply(accelerator, walk, c, true, 0.25, wanted: wanted);
                    Assert.Equal(wanted == Wanted.Output ? all.Output : Untouched(one.Output.Length, storage), one.Output);
                    Assert.Equal(wanted == Wanted.Loss ? all.Loss : Untouched(2, Storage.F32), one.Loss);
                    Assert.Equal(wanted == Wanted.GradX ? all.GradX : Untouched(one.GradX.Length, storage), one.GradX);
                    Assert.Equal(
                        wanted == Wanted.Counts
                            ? all.Counts
                            : Array.ConvertAll(Untouched(all.Counts.Length, Storage.F32), b => (int)b),
                        one.Counts);
                }

                using var x = new GuardedTensor(accelerator, storage, c.X);
                using var codes = new GuardedTensor(accelerator, c.BookFloats);
                using var grad = new GuardedTensor(accelerator, storage, c.Grad);
                using MemoryBuffer1D<int, Stride1D.Dense> index = accelerator.Allocate1D(c.Index);
                using var quantize = new Quantize(accelerator, 21, 9, 20, 2, walk);
                quantize.Apply(
                    accelerator.DefaultStream, x.View, codes.View, index.View, 21, output: x.View, gradX: grad.View,
                    grad: grad.View);
                accelerator.Synchronize();
                Assert.Equal(all.Output, x.Bits());
                Assert.Equal(all.GradX, grad.Bits());
                using var again = new GuardedTensor(accelerator, storage, c.X);
                using var output = new GuardedTensor(accelerator, storage, c.X);
                grad.Dispose();
                using var fresh = new GuardedTensor(accelerator, storage, c.Grad);
                quantize.Apply(
                    accelerator.DefaultStream, again.View, codes.View, index.View, 21, output: output.View,
                    gradX: again.View, grad: fresh.View);
                accelerator.Synchronize();
                Assert.Equal(all.GradX, again.Bits());
                Assert.Equal(all.Output, output.Bits());
            }
        }
    }

    [Fact]
    public void Rows_without_a_code_count_for_nothing_whatever_is_in_them()
    {
        const int N = 40, K = 5, D = 12;
        float[] x = new Draw(1).Floats(N * D);
        float[] codes = new Draw(2).Floats(K * D);
        int[] index = [.. Enumerable.Range(0, N).Select(i => i % K)];
        foreach ((Accelerator accelerator, RowWalk? walk) in RowCase.Places())
        {
            // A row that has none is as if it were not there, though it is no number.
            float[] bad = [.. x];
            bad.AsSpan(7 * D, D).Fill(float.NaN);
            bad.AsSpan(9 * D, D).Fill(float.PositiveInfinity);
            int[] masked = [.. index];
            masked[7] = -1;
            masked[9] = K;
            Result got = Apply(accelerator, walk, N, K, D, 1, Of(bad), Of(codes), masked);
            Bounded[] gradX = QuantizeReference.Evaluate(
                bad, codes, [.. masked.Select(i => i == K ? -1 : i)], D).GradX;
            RowCase.AssertWithin(gradX, Storage.F32, got.GradX, "gradX");
            Assert.All(got.Output[(7 * D)..(8 * D)], v => Assert.Equal(0u, v));
            Assert.All(got.GradX[(9 * D)..(10 * D)], v => Assert.Equal(0u, v));
            Assert.True(float.IsFinite(BitConverter.UInt32BitsToSingle(got.Loss[0])));
            Assert.Equal(N - 2, got.Counts.Sum());

            // All of them: the means are 0.
            Result none = Apply(accelerator, walk, N, K, D, 1, Of(bad), Of(codes), [.. masked.Select(_ => -1)]);
            Assert.Equal([0u, 0u], none.Loss);
            Assert.All(none.Output.Concat(none.GradX), v => Assert.Equal(0u, v));
            Assert.All(none.Counts, n => Assert.Equal(0, n));

            // None at all.
            Result empty = Apply(accelerator, walk, 0, K, D, 1, [], Of(codes), []);
            Assert.Equal([0u, 0u], empty.Loss);
            Assert.All(empty.Counts, n => Assert.Equal(0, n));
        }
    }

    [Fact]
    public void What_is_no_number_stays_in_its_element_and_shows_in_the_loss()
    {
        const int N = 20, K = 5, D = 19;
        float[] codes = new Draw(2).Floats(K * D);
        int[] index = [.. Enumerable.Range(0, N).Select(i => i % K)];
        foreach ((Accelerator accelerator, RowWalk? walk) in RowCase.Places())
        {
            Result clean = Apply(accelerator, walk, N, K, D, 1, Of(new Draw(1).Floats(N * D)), Of(codes), index);
            foreach (int place in (int[])[3, (6 * D) + 18, (N * D) - 1])
            {
                float[] x = new Draw(1).Floats(N * D);
                x[place] = float.NaN;
                Result got = Apply(accelerator, walk, N, K, D, 1, Of(x), Of(codes), index);
                Assert.True(float.IsNaN(BitConverter.UInt32BitsToSingle(got.Loss[0])));
                Assert.True(float.IsNaN(BitConverter.UInt32BitsToSingle(got.Loss[1])));
                Assert.True(float.IsNaN(BitConverter.UInt32BitsToSingle(got.GradX[place])));
                got.GradX[place] = clean.GradX[place];
                Assert.Equal(clean.GradX, got.GradX);
                Assert.Equal(clean.Output, got.Output);
            }
        }
    }

    /// <summary>The whole first step of VQBridge: every projected code is 0, so the first wins, and only it has rows.</summary>
    [Fact]
    public void With_codes_that_are_all_0_the_gradient_is_that_of_the_rows()
    {
        const int N = 33, K = 50, D = 8;
        Accelerator accelerator = TestDevices.Session.Accelerator;
        float[] rows = new Draw(4).Floats(N * D);
        using var x = new GuardedTensor(accelerator, rows);
        using var codes = new GuardedTensor(accelerator, new float[K * D]);
        using MemoryBuffer1D<int, Stride1D.Dense> index = accelerator.Allocate1D(new int[N]);
        using MemoryBuffer1D<int, Stride1D.Dense> counts = accelerator.Allocate1D(new int[K]);
        using var gradX = new GuardedTensor(accelerator, new float[N * D]);
        using var nearest = new NearestCode(accelerator, N, K, D);
        using var quantize = new Quantize(accelerator, N, K, D);
        nearest.Search(accelerator.DefaultStream, x.View, codes.View, index.View, N);
        quantize.Apply(
            accelerator.DefaultStream, x.View, codes.View, index.View, N, gradX: gradX.View, counts: counts.View);
        accelerator.Synchronize();
        Assert.Equal(N, counts.GetAsArray1D()[0]);
        Bounded[] wanted = QuantizeReference.Evaluate(rows, new float[K * D], new int[N], D).GradX;
        RowCase.AssertWithin(wanted, Storage.F32, gradX.Bits(), "gradX");
    }

    /// <summary>A search in the exported codebook, and what it gives, must be that of training.</summary>
    [Fact]
    public void Quantizing_what_was_quantized_changes_nothing()
    {
        const int N = 50, K = 40, D = 12;
        Accelerator accelerator = TestDevices.Session.Accelerator;
        using var x = new GuardedTensor(accelerator, new Draw(6).Floats(N * D));
        using var codes = new GuardedTensor(accelerator, new Draw(7).Floats(K * D));
        using MemoryBuffer1D<int, Stride1D.Dense> index = accelerator.Allocate1D(new int[N]);
        using MemoryBuffer1D<float, Stride1D.Dense> loss = accelerator.Allocate1D(new float[2]);
        using var nearest = new NearestCode(accelerator, N, K, D);
        using var quantize = new Quantize(accelerator, N, K, D);
        nearest.Search(accelerator.DefaultStream, x.View, codes.View, index.View, N);
        quantize.Apply(accelerator.DefaultStream, x.View, codes.View, index.View, N, output: x.View);
        int[] first = index.GetAsArray1D();
        uint[] quantized = x.Bits();
        nearest.Search(accelerator.DefaultStream, x.View, codes.View, index.View, N);
        quantize.Apply(accelerator.DefaultStream, x.View, codes.View, index.View, N, output: x.View, loss: loss.View);
        Assert.Equal(first, index.GetAsArray1D());
        Assert.Equal(quantized, x.Bits());
        Assert.Equal([0f, 0f], loss.GetAsArray1D());
    }

    [Fact]
    public void A_pass_allocates_no_managed_memory_and_repeats_its_bits()
    {
        var c = new RowCase(3000, 11, 8, 1, Storage.F32, Storage.F32, 8);
        Accelerator accelerator = TestDevices.Session.Accelerator;
        Result first = Apply(accelerator, null, c, true, 0.25);
        using var x = new GuardedTensor(accelerator, c.RowStorage, c.X);
        using var codes = new GuardedTensor(accelerator, c.BookFloats);
        using var index = new GuardedTensor(accelerator, Storage.F32, Array.ConvertAll(c.Index, i => (uint)i));
        using var grad = new GuardedTensor(accelerator, c.RowStorage, c.Grad);
        using var output = new GuardedTensor(accelerator, c.RowStorage, c.X);
        using var gradX = new GuardedTensor(accelerator, c.RowStorage, c.X);
        using var loss = new GuardedTensor(accelerator, new float[2]);
        using var counts = new GuardedTensor(accelerator, new float[11]);
        // Room for more rows changes no bit.
        using var quantize = new Quantize(accelerator, 5000, 11, 8);
        Allocations.AssertNone(accelerator, Pass);
        Assert.Equal(first.Loss, loss.Bits());
        Assert.Equal(first.GradX, gradX.Bits());
        Assert.Equal(first.Counts, Array.ConvertAll(counts.Bits(), b => (int)b));

        void Pass() => quantize.Apply(
            accelerator.DefaultStream, x.View, codes.View, index.Floats.Cast<int>(), 3000, output.View, loss.Floats,
            gradX.View, counts.Floats.Cast<int>(), grad.View);
    }

    private sealed record Result(uint[] Output, uint[] Loss, uint[] GradX, int[] Counts);

    private static uint[] Of(float[] values) => RowCase.Bits(Storage.F32, values);

    private static uint[] Untouched(int length, Storage storage) =>
        [.. Enumerable.Repeat(storage == Storage.F32 ? 0xDEADBEEF : 0xDEAD, length)];

    private static Result Apply(
        Accelerator accelerator, RowWalk? walk, RowCase c, bool hasGrad, double beta, int shift = 0,
        Wanted wanted = Wanted.All) => Apply(
            accelerator, walk, c.Rows, c.Codes, c.Dimension, c.Heads, c.X, c.Book, c.Index, c.RowStorage, c.CodeStorage,
            hasGrad ? c.Grad : null, beta, shift, wanted);

    private static Result Apply(
        Accelerator accelerator, RowWalk? walk, int n, int k, int d, int heads, uint[] x, uint[] codes, int[] index,
        Storage rowStorage = Storage.F32, Storage codeStorage = Storage.F32, uint[]? grad = null, double beta = 0.25,
        int shift = 0, Wanted wanted = Wanted.All)
    {
        using var rows = new GuardedTensor(accelerator, rowStorage, x, shift);
        using var book = new GuardedTensor(accelerator, codeStorage, codes, shift);
        using var places = new GuardedTensor(accelerator, Storage.F32, Array.ConvertAll(index, i => (uint)i));
        using var incoming = new GuardedTensor(accelerator, rowStorage, grad ?? [], shift);
        using var output = new GuardedTensor(accelerator, rowStorage, Untouched(x.Length, rowStorage), shift);
        using var gradX = new GuardedTensor(accelerator, rowStorage, Untouched(x.Length, rowStorage), shift);
        using var loss = new GuardedTensor(accelerator, Storage.F32, Untouched(2, Storage.F32));
        using var counts = new GuardedTensor(accelerator, Storage.F32, Untouched(heads * k, Storage.F32));
        using var quantize = new Quantize(accelerator, Math.Max(n, 1), k, d, heads, walk);
        quantize.Apply(
            accelerator.DefaultStream, rows.View, book.View, places.Floats.Cast<int>(), n,
            wanted.HasFlag(Wanted.Output) ? output.View : default,
            wanted.HasFlag(Wanted.Loss) ? loss.Floats : default,
            wanted.HasFlag(Wanted.GradX) ? gradX.View : default,
            wanted.HasFlag(Wanted.Counts) ? counts.Floats.Cast<int>() : default,
            grad is null ? default : incoming.View, beta);
        accelerator.Synchronize();
        Assert.Equal(x, rows.Bits());
        Assert.Equal(codes, book.Bits());
        return new Result(
            output.Bits(), loss.Bits(), gradX.Bits(), Array.ConvertAll(counts.Bits(), b => (int)b));
    }
}
