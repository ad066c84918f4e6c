using ILGPU.Runtime;
using Kernels.Dct;
using Kernels.References;
using Kernels.References.Dct;
using Kernels.Tests.Linear;
using Kernels.Tests.Support;

namespace Kernels.Tests.Dct;

public sealed class TransformProperties
{
    // All small ones; products of all radices, primes, of which those above 61 make a convolution of each smooth size, and
    // layers of real models with 43 and 7 in them.
    private static readonly int[] s_long =
    [
        68, 77, 97, 120, 127, 128, 134, 135, 146, 166, 256, 343, 360, 512, 625, 1000, 1023, 1024, 2187,
    ];

    private static readonly int[] s_short = [1, 2, 3, 5, 8, 14, 18, 67, 77];

    public static TheoryData<Basis, DctPlace> Places()
    {
        var data = new TheoryData<Basis, DctPlace>();
        foreach (Basis basis in Enum.GetValues<Basis>())
        {
            foreach (DctPlace place in DctDevice.Places)
            {
                data.Add(basis, place);
            }
        }

        return data;
    }

    [Theory]
    [MemberData(nameof(Places))]
    public void Rows_and_columns_are_within_the_bounds_of_the_definition(Basis basis, DctPlace place)
    {
        var random = new Random(1);
        bool isOwn = place == DctPlace.Own;
        foreach (int n in isOwn ? [.. Enumerable.Range(1, 64), .. s_long] : s_short)
        {
            if (basis == Basis.Hadamard && (n & (n - 1)) != 0)
            {
                continue;
            }

            // Fewer lines than a segment, a full one, and a full one with one more.
            int lines = n <= 64 ? new[] { 1, 5, 16, 17 }[n % 4] : 3;
            float[] x = LinearDevice.Random(random, lines * n);
            Bounded[] wanted = new TransformReference(DctDevice.KindOf(basis), n).Apply(x);
            (float[] rows, float[] columns) = Run(place, basis, n, x);
            LinearDevice.AssertWithin(wanted, rows, $"{place} {basis}, {lines} rows of {n}");
            LinearDevice.AssertWithin(
                wanted, DctDevice.Transposed(columns, lines), $"{place} {basis}, {lines} columns of {n}");
        }
    }

    [Theory]
    [InlineData(4096)]
    [InlineData(3584)]
    [InlineData(11008)]
    [InlineData(4099)]
    public void Long_lines_are_within_a_bound_that_hardly_grows(int n)
    {
        float[] x = LinearDevice.Random(new Random(2), n);
        Bounded[] wanted = new TransformReference(TransformKind.Dct2, n).Apply(x);
        (float[] rows, float[] columns) = Run(DctPlace.Own, Basis.Dct2, n, x);
        LinearDevice.AssertWithin(wanted, rows, $"a row of {n}");
        LinearDevice.AssertWithin(wanted, columns, $"a column of {n}");
    }

    /// <summary>The bound of a length is that of the way that it goes.</summary>
    [Fact]
    public void The_oracle_knows_which_lengths_are_convolutions()
    {
        Assert.Equal(TransformReference.MostDirect, TransformPlan.MostDirect);
        foreach (int n in new[] { 61 * 64, 67, 2 * 67, 67 * 71, 4099 })
        {
            var plan = new TransformPlan(Basis.Dct2, n);
            Assert.Equal(n % 61 != 0, plan.IsConvolved);
            Assert.InRange(plan.Size, plan.IsConvolved ? (2 * plan.Points) - 1 : plan.Points, 4 * plan.Points);
        }
    }

    [Theory]
    [MemberData(nameof(Places))]
    public void There_and_back_is_where_it_was_and_norms_stay(Basis basis, DctPlace place)
    {
        foreach (int n in basis == Basis.Hadamard ? [1, 32] : new[] { 1, 15, 22, 32, 67 })
        {
            Accelerator accelerator = DctDevice.Accelerator(place);
            AcceleratorStream stream = accelerator.DefaultStream;
            float[] x = LinearDevice.Random(new Random(3), 18 * n);
            using var there = new Transform(accelerator, basis, n, DctDevice.Walk(place));
            using var back = new Transform(accelerator, Transform.InverseOf(basis), n, DctDevice.Walk(place));
            using var tensor = new GuardedTensor(accelerator, x, shift: 3);
            there.Rows(stream, tensor.View, tensor.View, 18);
            stream.Synchronize();
            float[] y = tensor.Values();
            back.Rows(stream, tensor.View, tensor.View, 18);
            stream.Synchronize();
            float[] again = tensor.Values();
            Bounded[] bounds = new TransformReference(DctDevice.KindOf(basis), n).Apply(x);
            for (int row = 0; row < 18; row++)
            {
                double before = Norm(x, row, n);
                // The bounds are the same for all numbers of a line: the root of n of them, once or twice.
                double off = Math.Sqrt(n) * bounds[row * n].Bound;
                Assert.Equal(before, Norm(y, row, n), off + 1e-300);
                for (int i = row * n; i < (row + 1) * n; i++)
                {
                    Assert.Equal(x[i], again[i], (2.1 * off) + 1e-300);
                }
            }
        }
    }

    [Theory]
    [MemberData(nameof(Places))]
    public void A_line_has_the_same_bits_in_any_company_and_keeps_its_NaN(Basis basis, DctPlace place)
    {
        const int N = 16;
        float[] x = LinearDevice.Random(new Random(4), 19 * N);
        (float[] all, float[] allColumns) = Run(place, basis, N, x);
        (float[] last, float[] lastColumn) = Run(place, basis, N, x[(18 * N)..]);
        Assert.Equal(all[(18 * N)..], last);
        Assert.Equal(DctDevice.Transposed(allColumns, 19)[(18 * N)..], lastColumn);

        float[] broken = [.. x];
        broken[(3 * N) + 7] = float.NaN;
        broken[17 * N] = float.PositiveInfinity;
        (float[] rows, float[] columns) = Run(place, basis, N, broken);
        columns = DctDevice.Transposed(columns, 19);
        allColumns = DctDevice.Transposed(allColumns, 19);
        for (int i = 0; i < x.Length; i++)
        {
            if (i / N == 17)
            {
                Assert.False(float.IsFinite(rows[i]));
                Assert.False(float.IsFinite(columns[i]));
            }
            else
            {
                Assert.Equal(i / N == 3 ? float.NaN : all[i], rows[i]);
                Assert.Equal(i / N == 3 ? float.NaN : allColumns[i], columns[i]);
            }
        }
    }

    private static double Norm(float[] values, int row, int n) =>
        Math.Sqrt(values.AsSpan(row * n, n).ToArray().Sum(v => (double)v * v));

    private static (float[] Rows, float[] Columns) Run(DctPlace place, Basis basis, int n, float[] x)
    {
        Accelerator accelerator = DctDevice.Accelerator(place);
        AcceleratorStream stream = accelerator.DefaultStream;
        int lines = x.Length / n;
        using var transform = new Transform(accelerator, basis, n, DctDevice.Walk(place));
        using var from = new GuardedTensor(accelerator, x, shift: 1);
        using var turned = new GuardedTensor(accelerator, DctDevice.Transposed(x, n), shift: 2);
        using var rows = new GuardedTensor(accelerator, new float[x.Length]);
        using var columns = new GuardedTensor(accelerator, new float[x.Length], shift: 3);
        transform.Rows(stream, from.View, rows.View, lines);
        transform.Columns(stream, turned.View, columns.View, lines);
        stream.Synchronize();
        Assert.Equal(x, from.Values());
        return (rows.Values(), columns.Values());
    }
}
