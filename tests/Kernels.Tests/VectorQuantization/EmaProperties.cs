using ILGPU.Runtime;
using Kernels.Launching;
using Kernels.References;
using Kernels.References.VectorQuantization;
using Kernels.Tests.Linear;
using Kernels.Tests.Support;
using Kernels.VectorQuantization;

namespace Kernels.Tests.VectorQuantization;

public sealed class EmaProperties
{
    private static readonly (int Rows, int Codes, int Dimension, int Heads)[] s_shapes =
    [
        (1, 1, 1, 1), (70, 5, 3, 1), (150, 20, 16, 1), (90, 300, 21, 2), (200, 3, 33, 3), (4500, 2, 2, 1), (80, 1500, 2, 2),
    ];

    public static TheoryData<int, Choice, double, Storage, Storage> Cases()
    {
        var cases = new TheoryData<int, Choice, double, Storage, Storage>();
        for (int shape = 0; shape < s_shapes.Length; shape++)
        {
            foreach (double decay in new[] { 0, 0.8, 0.99 })
            {
                cases.Add(shape, Choice.Any, decay, Storage.F32, Storage.F32);
            }

            cases.Add(shape, Choice.One, 0.8, Storage.F32, Storage.F32);
        }

        foreach (Storage storage in new[] { Storage.F16, Storage.BF16 })
        {
            cases.Add(2, Choice.Any, 0.8, storage, storage);
            cases.Add(3, Choice.Few, 0.8, storage, Storage.F32);
            cases.Add(3, Choice.Any, 0.8, Storage.F32, storage);
        }

        return cases;
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Is_within_the_bounds_of_the_oracle(
        int shape, Choice choice, double decay, Storage rowStorage, Storage codeStorage)
    {
        (int n, int k, int d, int heads) = s_shapes[shape];
        var state = State.Draw(shape, n, k, d, heads, choice, rowStorage, codeStorage);
        float[] rows = LearnCase.Floats(rowStorage, state.X);
        float[] book = LearnCase.Floats(codeStorage, state.Codes);
        var options = new EmaOptions { Decay = decay, Epsilon = shape % 2 == 0 ? 1e-5 : 0.3 };
        Bounded[][] wanted = [[], [], []];
        for (int head = 0; head < heads; head++)
        {
            (Bounded[] codes, Bounded[] size, Bounded[] sum) = new EmaReference(decay, options.Epsilon).Update(
                book.AsSpan(head * k * d, k * d), state.Size.AsSpan(head * k, k), state.Sum.AsSpan(head * k * d, k * d),
                LearnCase.OfHead(rows, head, heads, d),
                LearnCase.Clean(LearnCase.OfHead(state.Index, head, heads, 1), k));
            wanted = [[.. wanted[0], .. codes], [.. wanted[1], .. size], [.. wanted[2], .. sum]];
        }

        wanted[0] = codeStorage switch
        {
            Storage.F32 => wanted[0],
            Storage.F16 => Array.ConvertAll(wanted[0], code => NarrowingReference.StoredAsFloat16(code)),
            _ => Array.ConvertAll(wanted[0], code => NarrowingReference.StoredAsBFloat16(code)),
        };
        foreach ((Accelerator accelerator, SegmentWalk? walk) in LearnCase.Places())
        {
            State got = Update(accelerator, walk, state, options, shift: shape % 3);
            string what = $"{accelerator.AcceleratorType} {walk}";
            AssertAdmitted(wanted[0], LearnCase.Floats(codeStorage, got.Codes), $"{what}, codes");
            LinearDevice.AssertWithin(wanted[1], got.Size, $"{what}, sizes");
            LinearDevice.AssertWithin(wanted[2], got.Sum, $"{what}, sums");

            // The same from the sums of two parts of the rows: another order, which the bound allows.
            State reduced = UpdateInParts(accelerator, walk, state, options);
            AssertAdmitted(wanted[0], LearnCase.Floats(codeStorage, reduced.Codes), $"{what}, codes of reduced sums");
            Assert.Equal(got.Size, reduced.Size);
            LinearDevice.AssertWithin(wanted[2], reduced.Sum, $"{what}, reduced sums");
        }
    }

    [Fact]
    public void Room_for_more_rows_changes_no_bit()
    {
        var state = State.Draw(7, 300, 40, 24, 2, Choice.Any, Storage.F32, Storage.F32);
        foreach ((Accelerator accelerator, SegmentWalk? walk) in LearnCase.Places())
        {
            State got = Update(accelerator, walk, state, new EmaOptions());
            State roomy = Update(accelerator, walk, state, new EmaOptions(), maxRows: 9000);
            Assert.Equal(got.Codes, roomy.Codes);
            Assert.Equal(got.Size, roomy.Size);
            Assert.Equal(got.Sum, roomy.Sum);
        }
    }

    [Fact]
    public void A_decay_of_1_keeps_sizes_and_sums()
    {
        var state = State.Draw(1, 60, 7, 20, 1, Choice.Any, Storage.F32, Storage.F32);
        foreach ((Accelerator accelerator, SegmentWalk? walk) in LearnCase.Places())
        {
            State got = Update(accelerator, walk, state, new EmaOptions { Decay = 1 });
            Assert.Equal(state.Size, got.Size);
            Assert.Equal(state.Sum, got.Sum);
        }
    }

    /// <summary>Nothing but what the batch says is left; a code of size 0 stays.</summary>
    [Fact]
    public void A_decay_of_0_without_smoothing_gives_the_means_and_keeps_a_code_without_rows()
    {
        float[] x = [1, 2, 3, 4, 5, 6, 7, 10];
        float[] codes = [10, 20, 30, 40, 50, 60];
        var state = new State(
            4, 3, 2, 1, Storage.F32, Storage.F32, LearnCase.Bits(Storage.F32, x), [0, 2, 2, -1],
            LearnCase.Bits(Storage.F32, codes), [1, 1, 1], codes);
        foreach ((Accelerator accelerator, SegmentWalk? walk) in LearnCase.Places())
        {
            State got = Update(accelerator, walk, state, new EmaOptions { Decay = 0, Epsilon = 0 });
            Assert.Equal([1, 2, 30, 40, 4, 5], LearnCase.Floats(Storage.F32, got.Codes));
            Assert.Equal([1, 0, 2], got.Size);
            Assert.Equal([1, 2, 0, 0, 8, 10], got.Sum);
        }
    }

    [Theory]
    [InlineData(0)]
    [InlineData(90)]
    public void Without_a_row_that_counts_nothing_changes(int rows)
    {
        var state = State.Draw(2, rows, 6, 18, 1, Choice.None, Storage.F32, Storage.BF16);
        foreach ((Accelerator accelerator, SegmentWalk? walk) in LearnCase.Places())
        {
            State got = Update(accelerator, walk, state, new EmaOptions());
            Assert.Equal(state.Codes, got.Codes);
            Assert.Equal(state.Size, got.Size);
            Assert.Equal(state.Sum, got.Sum);
        }
    }

    /// <summary>A head whose rows are all left out stays as it is beside one that learns.</summary>
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public void A_head_without_a_row_that_counts_stays(int head)
    {
        const int K = 6;
        const int D = 18;
        var state = State.Draw(3, 40, K, D, 2, Choice.Any, Storage.F32, Storage.F32);
        int[] index = [.. state.Index.Select((i, at) => at % 2 == head ? -1 : i)];
        var sizes = new Range(head * K, (head + 1) * K);
        var components = new Range(head * K * D, (head + 1) * K * D);
        foreach ((Accelerator accelerator, SegmentWalk? walk) in LearnCase.Places())
        {
            State got = Update(accelerator, walk, state with { Index = index }, new EmaOptions());
            Assert.Equal(state.Codes[components], got.Codes[components]);
            Assert.Equal(state.Size[sizes], got.Size[sizes]);
            Assert.Equal(state.Sum[components], got.Sum[components]);
            Assert.All(
                Enumerable.Range((1 - head) * K, K), code => Assert.NotEqual(state.Size[code], got.Size[code]));
        }
    }

    [Fact]
    public void What_is_not_finite_stays_in_its_code_and_dimension()
    {
        const int D = 18;
        var state = State.Draw(4, 80, 5, D, 1, Choice.Any, Storage.F32, Storage.F32);
        int row = Array.IndexOf(state.Index, 2);
        uint[] x = [.. state.X];
        x[(row * D) + 16] = 0x7FC00000;
        foreach ((Accelerator accelerator, SegmentWalk? walk) in LearnCase.Places())
        {
            State clean = Update(accelerator, walk, state, new EmaOptions());
            State got = Update(accelerator, walk, state with { X = x }, new EmaOptions());
            float[] codes = LearnCase.Floats(Storage.F32, clean.Codes);
            codes[(2 * D) + 16] = float.NaN;
            clean.Sum[(2 * D) + 16] = float.NaN;
            Assert.Equal(codes, LearnCase.Floats(Storage.F32, got.Codes));
            Assert.Equal(clean.Sum, got.Sum);
            Assert.Equal(clean.Size, got.Size);
        }
    }

    [Fact]
    public void An_update_allocates_no_managed_memory()
    {
        Accelerator accelerator = TestDevices.Session.Accelerator;
        using var x = new GuardedTensor(accelerator, new Draw(1).Floats(100 * 8));
        using GuardedTensor index = LearnCase.Integers(accelerator, LearnCase.Index(Choice.Any, 100, 9, 1));
        using var codes = new GuardedTensor(accelerator, new float[9 * 8]);
        using var size = new GuardedTensor(accelerator, new float[9]);
        using var sum = new GuardedTensor(accelerator, new float[9 * 8]);
        using var ema = new Ema(accelerator, 100, 9, 8);
        Allocations.AssertNone(accelerator, Update);

        void Update() => ema.Update(
            accelerator.DefaultStream, x.View, LearnCase.View(index), codes.View, size.Floats, sum.Floats, 100);
    }

    /// <summary>As <see cref="LinearDevice.AssertWithin"/>, but anything is admitted where the oracle has no bound.</summary>
    private static void AssertAdmitted(Bounded[] wanted, float[] got, string what)
    {
        for (int i = 0; i < got.Length; i++)
        {
            Assert.True(wanted[i].Admits(got[i]), $"{what}, element {i}: {got[i]:R}, expected {wanted[i]}");
        }
    }

    private static State Update(
        Accelerator accelerator, SegmentWalk? walk, State state, EmaOptions options, int shift = 0, int maxRows = 0)
    {
        using var rows = new GuardedTensor(accelerator, state.RowStorage, state.X, shift);
        using GuardedTensor index = LearnCase.Integers(accelerator, state.Index);
        using var codes = new GuardedTensor(accelerator, state.CodeStorage, state.Codes, shift);
        using var size = new GuardedTensor(accelerator, state.Size);
        using var sum = new GuardedTensor(accelerator, state.Sum, shift);
        using var ema = new Ema(
            accelerator, Math.Max(1, Math.Max(state.N, maxRows)), state.K, state.D, options, state.Heads, walk);
        ema.Update(
            accelerator.DefaultStream, rows.View, LearnCase.View(index), codes.View, size.Floats, sum.Floats, state.N);
        accelerator.Synchronize();
        Assert.Equal(state.X, rows.Bits());
        Assert.Equal(state.Index, LearnCase.Values(index));
        return state with { Codes = codes.Bits(), Size = size.Values(), Sum = sum.Values() };
    }

    /// <summary>As <see cref="Update"/>, each part of the rows summed by itself.</summary>
    private static State UpdateInParts(Accelerator accelerator, SegmentWalk? walk, State state, EmaOptions options)
    {
        int all = state.Heads * state.K;
        var sums = new float[all * state.D];
        var counts = new int[all];
        int half = state.N / 2;
        foreach ((int first, int rows) in new[] { (0, half), (half, state.N - half) })
        {
            int width = state.Heads * state.D;
            using var x = new GuardedTensor(
                accelerator, state.RowStorage, state.X[(first * width)..((first + rows) * width)]);
            using GuardedTensor index = LearnCase.Integers(
                accelerator, state.Index[(first * state.Heads)..((first + rows) * state.Heads)]);
            using var sum = new GuardedTensor(accelerator, new float[sums.Length]);
            using GuardedTensor count = LearnCase.Integers(accelerator, new int[all]);
            using var segments = new SegmentSum(
                accelerator, Math.Max(1, rows), state.K, state.D, state.Heads, walk);
            segments.Sum(accelerator.DefaultStream, x.View, LearnCase.View(index), sum.Floats, LearnCase.View(count), rows);
            accelerator.Synchronize();
            sums = [.. sums.Zip(sum.Values(), (a, b) => a + b)];
            counts = [.. counts.Zip(LearnCase.Values(count), (a, b) => a + b)];
        }

        using var reduced = new GuardedTensor(accelerator, sums);
        using GuardedTensor counted = LearnCase.Integers(accelerator, counts);
        using var codes = new GuardedTensor(accelerator, state.CodeStorage, state.Codes);
        using var size = new GuardedTensor(accelerator, state.Size);
        using var moving = new GuardedTensor(accelerator, state.Sum);
        using var ema = new Ema(accelerator, 1, state.K, state.D, options, state.Heads, walk);
        ema.UpdateFromSums(
            accelerator.DefaultStream, reduced.Floats, LearnCase.View(counted), codes.View, size.Floats, moving.Floats);
        accelerator.Synchronize();
        Assert.Equal(sums, reduced.Values());
        Assert.Equal(counts, LearnCase.Values(counted));
        return state with { Codes = codes.Bits(), Size = size.Values(), Sum = moving.Values() };
    }

    private sealed record State(
        int N, int K, int D, int Heads, Storage RowStorage, Storage CodeStorage, uint[] X, int[] Index, uint[] Codes,
        float[] Size, float[] Sum)
    {
        internal static State Draw(
            int seed, int n, int k, int d, int heads, Choice choice, Storage rowStorage, Storage codeStorage)
        {
            var draw = new Draw(seed);
            return new State(
                n, k, d, heads, rowStorage, codeStorage,
                LearnCase.Bits(rowStorage, draw.Floats(n * heads * d, 1e-3)),
                LearnCase.Index(choice, n * heads, k, seed),
                LearnCase.Bits(codeStorage, draw.Floats(heads * k * d, 1e-3)),
                [.. Enumerable.Range(0, heads * k).Select(_ => (float)draw.LogUniform(1e-3, 1e3))],
                draw.Floats(heads * k * d, 1e-3));
        }
    }
}
