using ILGPU;
using ILGPU.Runtime;
using Kernels.Launching;
using Kernels.References;
using Kernels.References.VectorQuantization;
using Kernels.Tests.Support;
using Kernels.VectorQuantization;

namespace Kernels.Tests.VectorQuantization;

public sealed class RotateProperties
{
    public static TheoryData<int, Storage, Storage> Cases()
    {
        var cases = new TheoryData<int, Storage, Storage>();
        for (int shape = 0; shape < RowCase.Shapes.Length; shape++)
        {
            cases.Add(shape, Storage.F32, Storage.F32);
        }

        foreach (Storage rows in Enum.GetValues<Storage>())
        {
            foreach (Storage codes in Enum.GetValues<Storage>().Where(c => (rows, c) != (Storage.F32, Storage.F32)))
            {
                cases.Add(3, rows, codes);
                cases.Add(2, rows, codes);
            }
        }

        return cases;
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Agrees_with_the_oracle(int shape, Storage rows, Storage codes)
    {
        (int n, int k, int d, int heads) = RowCase.Shapes[shape];
        var c = new RowCase(n, k, d, heads, rows, codes, 20 + shape);
        float[] book = c.BookFloats;
        float[] q = new float[n * heads * d];
        int[] index = c.OracleIndex;
        for (int row = 0; row < index.Length; row++)
        {
            book.AsSpan(Math.Max(index[row], 0) * d, d).CopyTo(q.AsSpan(row * d));
        }

        (Bounded[] output, Bounded[] gradX) = RotateReference.Evaluate(c.XFloats, q, c.GradFloats, d);
        for (int i = 0; i < output.Length; i++)
        {
            if (index[i / d] < 0)
            {
                output[i] = 0;
                gradX[i] = 0;
            }
        }

        foreach ((Accelerator accelerator, RowWalk? walk) in RowCase.Places(small: shape is 1 or 2 or 3 && (rows, codes) == (Storage.F32, Storage.F32)))
        {
            string what = $"{accelerator.AcceleratorType} {walk}";
            Result got = Apply(accelerator, walk, c, shift: shape % 2);
            Assert.Equal(RowCase.Bits(rows, Array.ConvertAll(output, o => (float)o.Value)), got.Output);
            RowCase.AssertWithin(gradX, rows, got.GradX, $"{what} gradX");
        }
    }

    /// <summary>Rows and codes near opposite directions, and exactly so: no component is farther off than an isometry.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(16)]
    [InlineData(64)]
    public void Opposite_directions_stay_isometric(int d)
    {
        const int N = 24;
        float[] x = new Draw(d).Floats(N * d, 1e-2, 1e2);
        x[0] = 1; // no row is 0
        for (int row = 0; row < N; row++)
        {
            x[row * d] = x[row * d] == 0 ? 1 : x[row * d];
        }

        float[] grad = new Draw(d + 1).Floats(N * d, 1e-2, 1e2);
        float[] codes = Array.ConvertAll(x, v => -2 * v);
        for (int row = 0; row < N; row++)
        {
            // Every other is a little off, by less and less.
            codes[row * d] *= row % 2 == 0 ? 1 : 1 + MathF.ScaleB(1, -row);
        }

        int[] index = [.. Enumerable.Range(0, N)];
        Bounded[] gradX = RotateReference.Evaluate(x, codes, grad, d).GradX;
        foreach ((Accelerator accelerator, RowWalk? walk) in RowCase.Places(small: d == 3))
        {
            Result got = Apply(accelerator, walk, N, N, d, 1, Of(x), Of(codes), index, Of(grad));
            RowCase.AssertWithin(gradX, Storage.F32, got.GradX, $"{accelerator.AcceleratorType} {walk}");
            float[] values = RowCase.Floats(Storage.F32, got.GradX);
            for (int row = 0; row < N; row++)
            {
                double wanted = Norm(codes.AsSpan(row * d, d)) / Norm(x.AsSpan(row * d, d)) * Norm(grad.AsSpan(row * d, d));
                double norm = Norm(values.AsSpan(row * d, d));
                if (row % 2 == 0)
                {
                    Assert.Equal(wanted, norm, wanted * Bounded.Gamma(4 * (d + 8)));
                }

                // Whatever w is, as long as it is a unit.
                Assert.InRange(norm, 0, 3 * wanted * (1 + Bounded.Gamma(4 * (d + 8))));
            }
        }
    }

    [Fact]
    public void Without_a_direction_it_is_defined()
    {
        const int D = 11;
        float[] g = new Draw(3).Floats(4 * D);
        float[] row = new Draw(4).Floats(D);
        float[] code = new Draw(5).Floats(D);
        var zero = new float[D];
        zero[3] = -0f;
        // z = 0; e = 0; both; neither, and a code out of range.
        float[] x = [.. zero, .. row, .. zero, .. row];
        float[] codes = [.. code, .. zero];
        foreach ((Accelerator accelerator, RowWalk? walk) in RowCase.Places())
        {
            Result got = Apply(accelerator, walk, 4, 2, D, 1, Of(x), Of(codes), [0, 1, 1, 2], Of(g));
            Assert.Equal(Of(g)[..D], got.GradX[..D]);
            Assert.All(got.GradX[D..(2 * D)], v => Assert.Equal(0u, v));
            Assert.Equal(Of(g)[(2 * D)..(3 * D)], got.GradX[(2 * D)..(3 * D)]);
            Assert.All(got.GradX[(3 * D)..], v => Assert.Equal(0u, v));
            Assert.Equal([.. Of(code), .. Of(zero), .. Of(zero), .. new uint[D]], got.Output);
        }
    }

    /// <summary>Only |e| / |z| counts: squares of the components may be far out of range.</summary>
    [Theory]
    [InlineData(-120, -120)]
    [InlineData(100, 100)]
    [InlineData(-100, -60)]
    [InlineData(-60, -100)]
    [InlineData(120, 60)]
    [InlineData(-30, 30)]
    public void Norms_neither_overflow_nor_underflow(int powerZ, int powerE)
    {
        const int N = 6, D = 21;
        float[] x = new Draw(6).Floats(N * D, 1e-2, 1e1);
        float[] codes = new Draw(7).Floats(N * D, 1e-2, 1e1);
        float[] grad = new Draw(8).Floats(N * D, 1e-2, 1e1);
        int[] index = [.. Enumerable.Range(0, N)];
        Bounded[] plain = RotateReference.Evaluate(x, codes, grad, D).GradX;
        // The gradient's own scale is that of the ratio.
        double scale = Math.ScaleB(1, powerE - powerZ);
        Bounded[] gradX = Array.ConvertAll(plain, v => new Bounded(v.Value * scale, (v.Bound * scale) + 1e-44));
        foreach ((Accelerator accelerator, RowWalk? walk) in RowCase.Places(small: powerZ == -100))
        {
            Result got = Apply(
                accelerator, walk, N, N, D, 1, Of(Array.ConvertAll(x, v => MathF.ScaleB(v, powerZ))),
                Of(Array.ConvertAll(codes, v => MathF.ScaleB(v, powerE))), index, Of(grad));
            RowCase.AssertWithin(gradX, Storage.F32, got.GradX, $"{accelerator.AcceleratorType} {walk}");
        }
    }

    [Fact]
    public void A_row_that_is_no_number_harms_no_other()
    {
        const int N = 9, K = 3, D = 13;
        var c = new RowCase(N, K, D, 1, Storage.F32, Storage.F32, 9);
        int[] index = [.. Enumerable.Range(0, N).Select(i => i % K)];
        foreach ((Accelerator accelerator, RowWalk? walk) in RowCase.Places())
        {
            Result clean = Apply(accelerator, walk, N, K, D, 1, c.X, c.Book, index, c.Grad);
            foreach (float bad in (float[])[float.NaN, float.PositiveInfinity])
            {
                uint[] x = [.. c.X];
                x[(4 * D) + 12] = BitConverter.SingleToUInt32Bits(bad);
                uint[] grad = [.. c.Grad];
                grad[(6 * D) + 1] = BitConverter.SingleToUInt32Bits(bad);
                Result got = Apply(accelerator, walk, N, K, D, 1, x, c.Book, index, grad);
                float[] values = RowCase.Floats(Storage.F32, got.GradX);
                Assert.All(values[(4 * D)..(5 * D)], v => Assert.False(float.IsFinite(v)));
                Assert.All(values[(6 * D)..(7 * D)], v => Assert.False(float.IsFinite(v)));
                clean.GradX.AsSpan(4 * D, D).CopyTo(got.GradX.AsSpan(4 * D));
                clean.GradX.AsSpan(6 * D, D).CopyTo(got.GradX.AsSpan(6 * D));
                Assert.Equal(clean.GradX, got.GradX);
                Assert.Equal(clean.Output, got.Output);
            }
        }
    }

    [Fact]
    public void Is_the_same_in_place_and_with_the_output_in_the_same_pass()
    {
        foreach (Storage storage in Enum.GetValues<Storage>())
        {
            var c = new RowCase(19, 5, 20, 2, storage, Storage.F32, 11);
            foreach ((Accelerator accelerator, RowWalk? walk) in RowCase.Places(small: storage == Storage.BF16))
            {
                Result all = Apply(accelerator, walk, c);
                using var x = new GuardedTensor(accelerator, storage, c.X);
                using var codes = new GuardedTensor(accelerator, c.BookFloats);
                using var grad = new GuardedTensor(accelerator, storage, c.Grad);
                using var gradX = new GuardedTensor(accelerator, storage, c.X);
                using MemoryBuffer1D<int, Stride1D.Dense> index = accelerator.Allocate1D(c.Index);
                var rotate = new Rotate(accelerator, 19, 5, 20, 2, walk);
                rotate.Backward(
                    accelerator.DefaultStream, x.View, codes.View, index.View, 19, grad.View, gradX.View, x.View);
                accelerator.Synchronize();
                Assert.Equal(all.Output, x.Bits());
                Assert.Equal(all.GradX, gradX.Bits());

                using var again = new GuardedTensor(accelerator, storage, c.X);
                rotate.Backward(
                    accelerator.DefaultStream, again.View, codes.View, index.View, 19, grad.View, again.View);
                accelerator.Synchronize();
                Assert.Equal(all.GradX, again.Bits());

                using var third = new GuardedTensor(accelerator, storage, c.X);
                rotate.Backward(
                    accelerator.DefaultStream, third.View, codes.View, index.View, 19, grad.View, grad.View);
                rotate.Forward(accelerator.DefaultStream, third.View, codes.View, index.View, 19, third.View);
                accelerator.Synchronize();
                Assert.Equal(all.GradX, grad.Bits());
                Assert.Equal(all.Output, third.Bits());
            }
        }
    }

    [Fact]
    public void A_pass_allocates_no_managed_memory()
    {
        var c = new RowCase(500, 7, 24, 1, Storage.BF16, Storage.F32, 12);
        Accelerator accelerator = TestDevices.Session.Accelerator;
        using var x = new GuardedTensor(accelerator, c.RowStorage, c.X);
        using var codes = new GuardedTensor(accelerator, c.BookFloats);
        using var index = new GuardedTensor(accelerator, Storage.F32, Array.ConvertAll(c.Index, i => (uint)i));
        using var grad = new GuardedTensor(accelerator, c.RowStorage, c.Grad);
        using var gradX = new GuardedTensor(accelerator, c.RowStorage, c.X);
        var rotate = new Rotate(accelerator, 500, 7, 24);
        Allocations.AssertNone(accelerator, Pass);
        Assert.Equal(Apply(accelerator, null, c).GradX, gradX.Bits());

        void Pass() => rotate.Backward(
            accelerator.DefaultStream, x.View, codes.View, index.Floats.Cast<int>(), 500, grad.View, gradX.View);
    }

    [Fact]
    public void No_rows_are_no_work() =>
        Assert.Empty(Apply(TestDevices.Session.Accelerator, null, 0, 3, 4, 1, [], new uint[12], [], []).GradX);

    private sealed record Result(uint[] Output, uint[] GradX);

    private static uint[] Of(float[] values) => RowCase.Bits(Storage.F32, values);

    private static double Norm(ReadOnlySpan<float> values)
    {
        double sum = 0;
        foreach (float v in values)
        {
            sum += (double)v * v;
        }

        return Math.Sqrt(sum);
    }

    private static Result Apply(Accelerator accelerator, RowWalk? walk, RowCase c, int shift = 0) => Apply(
        accelerator, walk, c.Rows, c.Codes, c.Dimension, c.Heads, c.X, c.Book, c.Index, c.Grad, c.RowStorage,
        c.CodeStorage, shift);

    private static Result Apply(
        Accelerator accelerator, RowWalk? walk, int n, int k, int d, int heads, uint[] x, uint[] codes, int[] index,
        uint[] grad, Storage rowStorage = Storage.F32, Storage codeStorage = Storage.F32, int shift = 0)
    {
        using var rows = new GuardedTensor(accelerator, rowStorage, x, shift);
        using var book = new GuardedTensor(accelerator, codeStorage, codes, shift);
        using var places = new GuardedTensor(accelerator, Storage.F32, Array.ConvertAll(index, i => (uint)i));
        using var incoming = new GuardedTensor(accelerator, rowStorage, grad, shift);
        using var output = new GuardedTensor(accelerator, rowStorage, new uint[x.Length], shift);
        using var gradX = new GuardedTensor(accelerator, rowStorage, new uint[x.Length], shift);
        using var alone = new GuardedTensor(accelerator, rowStorage, new uint[x.Length], shift);
        var rotate = new Rotate(accelerator, Math.Max(n, 1), k, d, heads, walk);
        rotate.Backward(
            accelerator.DefaultStream, rows.View, book.View, places.Floats.Cast<int>(), n, incoming.View, gradX.View,
            output.View);
        rotate.Forward(
            accelerator.DefaultStream, rows.View, book.View, places.Floats.Cast<int>(), n, alone.View);
        accelerator.Synchronize();
        Assert.Equal(x, rows.Bits());
        Assert.Equal(grad, incoming.Bits());
        Assert.Equal(output.Bits(), alone.Bits());
        return new Result(output.Bits(), gradX.Bits());
    }
}
