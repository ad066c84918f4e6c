using ILGPU;
using ILGPU.Runtime;
using Kernels.References;
using Kernels.References.VectorQuantization;
using Kernels.Tests.Support;
using Kernels.VectorQuantization;

namespace Kernels.Tests.VectorQuantization;

public sealed class SoftmaxCodesProperties
{
    /// <summary>Edges of tiles and groups; one of everything; several heads; several tiles of rows and of codes.</summary>
    private static readonly (int Rows, int Codes, int Dimension, int Heads, int TileRows, int TileCodes)[] s_shapes =
    [
        (1, 1, 1, 1, 0, 0), (3, 5, 3, 2, 2, 3), (17, 40, 8, 1, 8, 16), (33, 65, 12, 1, 33, 13), (20, 130, 33, 2, 7, 64),
        (40, 300, 16, 1, 0, 0), (9, 1030, 4, 1, 0, 0), (300, 20, 5, 1, 0, 0),
    ];

    public static TheoryData<int, float, Storage, Storage> Cases()
    {
        var cases = new TheoryData<int, float, Storage, Storage>();
        for (int shape = 0; shape < s_shapes.Length; shape++)
        {
            cases.Add(shape, 2f, Storage.F32, Storage.F32);
        }

        // Almost one-hot, and almost uniform.
        cases.Add(3, 30f, Storage.F32, Storage.F32);
        cases.Add(3, 0.01f, Storage.F32, Storage.F32);
        cases.Add(2, 2f, Storage.BF16, Storage.F32);
        cases.Add(2, 2f, Storage.F32, Storage.F16);
        cases.Add(4, 2f, Storage.F16, Storage.BF16);
        return cases;
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Agrees_with_the_oracle(int shape, float size, Storage rowStorage, Storage codeStorage)
    {
        (int n, int k, int d, int heads, int tileRows, int tileCodes) = s_shapes[shape];
        Case c = Case.Of(n, k, d, heads, size / MathF.Sqrt(d), rowStorage, codeStorage, shape);
        (Bounded[] gradX, Bounded[] gradCodes) = c.Oracle();
        foreach ((Accelerator accelerator, bool launch) in Places(small: shape == 1))
        {
            Result got = Backward(accelerator, launch, c, tileRows, tileCodes, shift: shape % 2);
            string what = $"{accelerator.AcceleratorType} {launch}";
            RowCase.AssertWithin(gradX, rowStorage, got.GradX, $"{what} gradX");
            RowCase.AssertWithin(gradCodes, Storage.F32, got.GradCodes, $"{what} gradCodes");
        }
    }

    [Fact]
    public void Each_gradient_is_the_same_without_the_other_and_in_place()
    {
        Case c = Case.Of(21, 37, 8, 2, 1f, Storage.F32, Storage.BF16, 50);
        foreach ((Accelerator accelerator, bool launch) in Places())
        {
            Result all = Backward(accelerator, launch, c, 8, 16);
            Result rows = Backward(accelerator, launch, c, 8, 16, wantsCodes: false);
            Result codes = Backward(accelerator, launch, c, 8, 16, wantsRows: false);
            Assert.Equal(all.GradX, rows.GradX);
            Assert.Equal(all.GradCodes, codes.GradCodes);
            Assert.All(codes.GradX, v => Assert.Equal(0xDEADBEEF, v));
            Assert.All(rows.GradCodes, v => Assert.Equal(0xDEADBEEF, v));
            foreach (bool ontoX in (bool[])[true, false])
            {
                using var x = new GuardedTensor(accelerator, c.RowStorage, c.X);
                using var book = new GuardedTensor(accelerator, c.CodeStorage, c.Book);
                using var grad = new GuardedTensor(accelerator, c.RowStorage, c.Grad);
                using MemoryBuffer1D<int, Stride1D.Dense> index = accelerator.Allocate1D(c.Index);
                using var softmax = new SoftmaxCodes(accelerator, 21, 37, 8, 2, 8, 16, launch);
                TensorView to = ontoX ? x.View : grad.View;
                softmax.Backward(accelerator.DefaultStream, x.View, book.View, index.View, 21, grad.View, to);
                accelerator.Synchronize();
                Assert.Equal(all.GradX, (ontoX ? x : grad).Bits());
            }
        }
    }

    [Fact]
    public void A_row_without_a_code_gives_nothing_whatever_is_in_it()
    {
        Case c = Case.Of(12, 9, 5, 1, 1f, Storage.F32, Storage.F32, 51);
        int row = Array.FindIndex(c.Index, i => i >= 0 && i < 9);
        foreach ((Accelerator accelerator, bool launch) in Places())
        {
            foreach (float bad in (float[])[float.NaN, float.NegativeInfinity])
            {
                uint bits = BitConverter.SingleToUInt32Bits(bad);
                uint[] x = [.. c.X];
                x[(row * 5) + 2] = bits;
                // It has a code: its own gradient and that of all codes are no numbers.
                Result got = Backward(accelerator, launch, c with { X = x }, 5, 4);
                Result clean = Backward(accelerator, launch, c, 5, 4);
                Assert.All(RowCase.Floats(Storage.F32, got.GradX)[(row * 5)..((row + 1) * 5)], v => Assert.True(float.IsNaN(v)));
                Assert.All(RowCase.Floats(Storage.F32, got.GradCodes), v => Assert.False(float.IsFinite(v)));
                clean.GradX.AsSpan(row * 5, 5).CopyTo(got.GradX.AsSpan(row * 5));
                Assert.Equal(clean.GradX, got.GradX);

                // It has none: as if it were not there.
                int[] index = [.. c.Index];
                index[row] = -1;
                uint[] grad = [.. c.Grad];
                grad[(row * 5) + 1] = bits;
                Case without = c with { X = x, Index = index, Grad = grad };
                (Bounded[] gradX, Bounded[] gradCodes) = without.Oracle();
                got = Backward(accelerator, launch, without, 5, 4);
                RowCase.AssertWithin(gradX, Storage.F32, got.GradX, "gradX");
                RowCase.AssertWithin(gradCodes, Storage.F32, got.GradCodes, "gradCodes");
                Assert.All(got.GradX[(row * 5)..((row + 1) * 5)], v => Assert.Equal(0u, v));
            }
        }
    }

    /// <summary>Two tied codes share the softmax, whichever of them is the hard one.</summary>
    [Fact]
    public void Equal_codes_differ_by_the_hard_part_alone()
    {
        const int N = 10, K = 6, D = 4;
        Case c = Case.Of(N, K, D, 1, 1f, Storage.F32, Storage.F32, 52);
        uint[] book = [.. c.Book];
        book.AsSpan(0, D).CopyTo(book.AsSpan(4 * D));
        c = c with { Book = book, Index = [.. Enumerable.Repeat(2, N)] };
        foreach ((Accelerator accelerator, bool launch) in Places())
        {
            Result got = Backward(accelerator, launch, c, 4, 0);
            Assert.Equal(got.GradCodes[..D], got.GradCodes[(4 * D)..(5 * D)]);
        }
    }

    [Fact]
    public void Without_rows_the_gradient_of_the_codes_is_0()
    {
        Case c = Case.Of(0, 7, 3, 2, 1f, Storage.F32, Storage.F32, 53);
        foreach ((Accelerator accelerator, bool launch) in Places(small: true))
        {
            Assert.All(Backward(accelerator, launch, c, 0, 0).GradCodes, v => Assert.Equal(0u, v));
        }
    }

    [Fact]
    public void Scratch_memory_is_nothing_beside_the_matrix_of_logits()
    {
        using var softmax = new SoftmaxCodes(TestDevices.Session.Accelerator, 32_768, 262_144, 8);
        Assert.InRange(softmax.ScratchBytes, 1, 32_768L * 262_144 * 4 / 1000);
    }

    [Fact]
    public void A_pass_allocates_no_managed_memory_and_repeats_its_bits()
    {
        Case c = Case.Of(30, 50, 8, 1, 1f, Storage.F32, Storage.F32, 54);
        Accelerator accelerator = TestDevices.Session.Accelerator;
        using var x = new GuardedTensor(accelerator, c.RowStorage, c.X);
        using var book = new GuardedTensor(accelerator, c.CodeStorage, c.Book);
        using var grad = new GuardedTensor(accelerator, c.RowStorage, c.Grad);
        using var index = new GuardedTensor(accelerator, Storage.F32, Array.ConvertAll(c.Index, i => (uint)i));
        using var gradX = new GuardedTensor(accelerator, c.RowStorage, c.X);
        using var gradCodes = new GuardedTensor(accelerator, new float[c.Book.Length]);
        using var softmax = new SoftmaxCodes(accelerator, 30, 50, 8);
        Allocations.AssertNone(accelerator, Pass);
        Result once = Backward(accelerator, false, c, 0, 0);
        Assert.Equal(once.GradX, gradX.Bits());
        Assert.Equal(once.GradCodes, gradCodes.Bits());

        void Pass() => softmax.Backward(
            accelerator.DefaultStream, x.View, book.View, index.Floats.Cast<int>(), 30, grad.View, gradX.View,
            gradCodes.Floats);
    }

    /// <summary>The device as it is and, since it is slow, for small cases the launches on a simulated warp of 32.</summary>
    private static IEnumerable<(Accelerator Accelerator, bool Launch)> Places(bool small = false)
    {
        yield return (TestDevices.Session.Accelerator, false);
        if (TestDevices.IsHost && small)
        {
            yield return (TestDevices.Warp(32), true);
        }
    }

    private sealed record Result(uint[] GradX, uint[] GradCodes);

    private sealed record Case(
        int Rows, int Codes, int Dimension, int Heads, uint[] X, uint[] Book, uint[] Grad, int[] Index, Storage RowStorage,
        Storage CodeStorage)
    {
        internal static Case Of(
            int rows, int codes, int d, int heads, float size, Storage rowStorage, Storage codeStorage, int seed)
        {
            var random = new Random(seed);
            return new Case(
                rows, codes, d, heads, Bits(rows, rowStorage, size), Bits(codes, codeStorage, 2f),
                Bits(rows, rowStorage, 1f),
                [.. Enumerable.Range(0, rows * heads).Select(
                    i => i > 0 && random.Next(6) == 0 ? random.Next(2) == 0 ? -1 : codes : random.Next(codes))],
                rowStorage, codeStorage);

            uint[] Bits(int count, Storage storage, float scale) => RowCase.Bits(
                storage,
                [.. Enumerable.Range(0, count * heads * d).Select(_ => scale * (float)((random.NextDouble() * 2) - 1))]);
        }

        /// <summary>Head by head.</summary>
        internal (Bounded[] GradX, Bounded[] GradCodes) Oracle()
        {
            float[] x = RowCase.Floats(RowStorage, X);
            float[] grad = RowCase.Floats(RowStorage, Grad);
            float[] book = RowCase.Floats(CodeStorage, Book);
            var gradX = new Bounded[x.Length];
            var gradCodes = new Bounded[book.Length];
            for (int head = 0; head < Heads; head++)
            {
                int[] index = [.. Enumerable.Range(0, Rows).Select(row => Index[(row * Heads) + head])];
                (Bounded[] dx, Bounded[] dc) = SoftmaxCodesReference.Backward(
                    Part(x), book.AsSpan(head * Codes * Dimension, Codes * Dimension),
                    [.. index.Select(i => i >= Codes ? -1 : i)], Part(grad), Dimension);
                dc.CopyTo(gradCodes, head * Codes * Dimension);
                for (int i = 0; i < dx.Length; i++)
                {
                    gradX[(((i / Dimension * Heads) + head) * Dimension) + (i % Dimension)] = dx[i];
                }

                float[] Part(float[] all) => [.. Enumerable.Range(0, Rows).SelectMany(
                    row => all[(((row * Heads) + head) * Dimension)..(((row * Heads) + head + 1) * Dimension)])];
            }

            return (gradX, gradCodes);
        }
    }

    private static Result Backward(
        Accelerator accelerator, bool launch, Case c, int tileRows, int tileCodes, int shift = 0, bool wantsRows = true,
        bool wantsCodes = true)
    {
        using var x = new GuardedTensor(accelerator, c.RowStorage, c.X, shift);
        using var book = new GuardedTensor(accelerator, c.CodeStorage, c.Book, shift);
        using var grad = new GuardedTensor(accelerator, c.RowStorage, c.Grad, shift);
        using var index = new GuardedTensor(accelerator, Storage.F32, Array.ConvertAll(c.Index, i => (uint)i));
        using var gradX = new GuardedTensor(
            accelerator, c.RowStorage, [.. c.X.Select(_ => c.RowStorage == Storage.F32 ? 0xDEADBEEF : 0xDEAD)], shift);
        using var gradCodes = new GuardedTensor(accelerator, Storage.F32, [.. c.Book.Select(_ => 0xDEADBEEF)], shift);
        using var softmax = new SoftmaxCodes(
            accelerator, Math.Max(c.Rows, 1), c.Codes, c.Dimension, c.Heads, tileRows, tileCodes, launch);
        softmax.Backward(
            accelerator.DefaultStream, x.View, book.View, index.Floats.Cast<int>(), c.Rows, grad.View,
            wantsRows ? gradX.View : default, wantsCodes ? gradCodes.Floats : default);
        accelerator.Synchronize();
        Assert.Equal(c.X, x.Bits());
        Assert.Equal(c.Book, book.Bits());
        Assert.Equal(c.Grad, grad.Bits());
        return new Result(gradX.Bits(), gradCodes.Bits());
    }
}
