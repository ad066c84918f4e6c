using ILGPU;
using ILGPU.Runtime;
using Kernels.Dct;
using Kernels.References;
using Kernels.References.Dct;
using Kernels.Tests.Linear;
using Kernels.Tests.Support;
using ProjectionSide = Kernels.Dct.ProjectionSide;

namespace Kernels.Tests.Dct;

public sealed class SelectProperties
{
    private static readonly (int Rows, int Columns, int Rank)[] s_shapes =
    [
        (1, 1, 1), (5, 3, 2), (17, 16, 16), (3, 16, 1), (40, 24, 7), (33, 35, 12), (70, 64, 20), (1100, 8, 3),
    ];

    public static TheoryData<DctPlace> Places() => [.. DctDevice.Places];

    [Theory]
    [MemberData(nameof(Places))]
    public void What_is_chosen_may_be_chosen_and_its_coordinates_are_within_bounds(DctPlace place)
    {
        var random = new Random(1);
        foreach ((int rows, int columns, int rank) in place == DctPlace.Own ? s_shapes : s_shapes[1..5])
        {
            foreach (Basis basis in Enum.GetValues<Basis>())
            {
                var options = new ColumnSelectorOptions
                {
                    Basis = basis,
                    Norm = random.Next(2) == 0 ? ColumnNorm.L1 : ColumnNorm.L2,
                };
                if (basis == Basis.Hadamard && (columns & (columns - 1)) != 0)
                {
                    continue;
                }

                float[] g = LinearDevice.Random(random, rows * columns);
                var reference = new SelectReference(
                    new TransformReference(DctDevice.KindOf(basis), columns), g, options.Norm == ColumnNorm.L2);
                foreach (ProjectionSide side in new[] { ProjectionSide.Right, ProjectionSide.Left })
                {
                    string what = $"{place} {basis} {side} {options.Norm}, {rank} of {rows} x {columns}";
                    Selection got = side == ProjectionSide.Right
                        ? Select(place, g, columns, rank, options with { Side = side })
                        : Transposed(
                            Select(place, DctDevice.Transposed(g, columns), rows, rank, options with { Side = side }), rows);
                    Assert.True(reference.Admits(got.Index), $"{what}: {string.Join(", ", got.Index)}");
                    LinearDevice.AssertWithin(reference.Project(got.Index), got.Projected, $"{what}: projected");
                    LinearDevice.AssertWithin([reference.Energy(got.Index)], [got.Energy], $"{what}: energy");
                }
            }
        }
    }

    [Theory]
    [MemberData(nameof(Places))]
    public void Ties_go_to_the_lowest_index(DctPlace place)
    {
        // All coordinates of a row with one number are +-1/8 there.
        var g = new float[3 * 64];
        g[5] = 1;
        g[64 + 60] = -2;
        var options = new ColumnSelectorOptions { Basis = Basis.Hadamard, Side = ProjectionSide.Right };
        Selection got = Select(place, g, 64, 9, options);
        Assert.Equal(Enumerable.Range(0, 9), got.Index);
        Assert.Equal(9f / 64, got.Energy);
        // Two columns are above the others.
        g[128] = 1;
        g[128 + 16] = 1;
        Assert.Equal([0, 1, 2, 3, 4, 5], Select(place, g, 64, 6, options).Index);
        Assert.Equal([0, 1, 2, 3, 4], Select(place, new float[64 * 4], 64, 5, options).Index);
        Assert.Equal(1, Select(place, new float[64 * 4], 64, 5, options).Energy);
    }

    [Theory]
    [MemberData(nameof(Places))]
    public void A_NaN_is_below_all_numbers_and_keeps_to_its_row(DctPlace place)
    {
        float[] g = LinearDevice.Random(new Random(2), 20 * 12);
        var options = new ColumnSelectorOptions { Side = ProjectionSide.Right };
        float[] broken = [.. g];
        broken[(7 * 12) + 3] = float.NaN;
        Selection got = Select(place, broken, 12, 4, options);
        Assert.Equal([0, 1, 2, 3], got.Index);
        Assert.Equal(float.NaN, got.Energy);
        var lost = new SelectReference(new TransformReference(TransformKind.Dct2, 12), broken, false);
        Assert.True(lost.Admits(got.Index));
        Assert.False(lost.Admits([0, 1, 2, 4]));
        Bounded[] wanted = new SelectReference(new TransformReference(TransformKind.Dct2, 12), g, false).Project(got.Index);
        for (int i = 0; i < got.Projected.Length; i++)
        {
            Assert.True(i / 4 == 7 ? float.IsNaN(got.Projected[i]) : wanted[i].Admits(got.Projected[i]));
        }
    }

    [Fact]
    public void The_choice_does_not_change_with_scale_or_the_order_of_rows()
    {
        const int N = 24;
        const int Rows = 37;
        var random = new Random(3);
        foreach (ColumnNorm norm in Enum.GetValues<ColumnNorm>())
        {
            // Columns of the transform that differ by a fifth, in any order.
            int[] order = [.. Enumerable.Range(0, N)];
            random.Shuffle(order);
            var s = new double[Rows * N];
            for (int i = 0; i < s.Length; i++)
            {
                s[i] = Math.Pow(1.2, -order[i % N]) * (random.Next(2) == 0 ? 1 : -1);
            }

            double[] wide = new TransformReference(TransformKind.Dct3, N).Apply(s);
            float[] g = Array.ConvertAll(wide, v => (float)v);
            var options = new ColumnSelectorOptions { Norm = norm, Side = ProjectionSide.Right };
            int[] wanted = [.. Enumerable.Range(0, N).Where(j => order[j] < 10)];
            Assert.Equal(wanted, Select(DctPlace.Own, g, N, 10, options).Index);
            Assert.Equal(wanted, Select(DctPlace.Own, Array.ConvertAll(g, v => v * -3e10f), N, 10, options).Index);
            Assert.Equal(wanted, Select(DctPlace.Own, Array.ConvertAll(g, v => v * 1e-12f), N, 10, options).Index);
            float[][] rows = [.. g.Chunk(N)];
            random.Shuffle(rows);
            Assert.Equal(wanted, Select(DctPlace.Own, [.. rows.SelectMany(r => r)], N, 10, options).Index);
        }
    }

    [Fact]
    public void Energy_grows_with_the_rank_and_squares_lose_least()
    {
        const int N = 9;
        var random = new Random(4);
        float[] g = LinearDevice.Random(random, 6 * N);
        var reference = new SelectReference(new TransformReference(TransformKind.Dct2, N), g, squares: true);
        float last = 0;
        for (int rank = 1; rank <= N; rank++)
        {
            var options = new ColumnSelectorOptions { Norm = ColumnNorm.L2, Side = ProjectionSide.Right };
            Selection got = Select(DctPlace.Own, g, N, rank, options);
            Assert.True(got.Energy >= last);
            last = got.Energy;
            double best = 0;
            for (int set = 0; set < 1 << N; set++)
            {
                if (System.Numerics.BitOperations.PopCount((uint)set) == rank)
                {
                    int[] index = [.. Enumerable.Range(0, N).Where(j => (set >> j & 1) == 1)];
                    best = Math.Max(best, reference.Energy(index).Value);
                }
            }

            Bounded mine = reference.Energy(got.Index);
            Assert.True(mine.Value >= best - (2 * mine.Bound), $"{rank}: {mine.Value} of {best}");
        }

        // Of all columns, the part and the whole are sums of the same numbers in the same order: one rounded number over
        // itself.
        Assert.Equal(1, last);
    }

    [Theory]
    [MemberData(nameof(Places))]
    public void The_way_back_is_the_inverse_of_what_was_kept(DctPlace place)
    {
        var random = new Random(5);
        foreach ((int rows, int columns, int rank) in place == DctPlace.Own ? s_shapes[..^1] : s_shapes[1..5])
        {
            float[] g = LinearDevice.Random(random, rows * columns);
            float[] held = LinearDevice.Random(random, rows * columns);
            var right = new ColumnSelectorOptions { Side = ProjectionSide.Right };
            Selection selection = Select(place, g, columns, rank, right);
            var scattered = new float[g.Length];
            for (int i = 0; i < selection.Projected.Length; i++)
            {
                scattered[(i / rank * columns) + selection.Index[i % rank]] = selection.Projected[i];
            }

            Bounded[] wanted = new TransformReference(TransformKind.Dct3, columns).Apply(scattered);
            (float[] full, float[] blended, float[] again) = Back(place, selection, held, columns, right);
            LinearDevice.AssertWithin(wanted, full, $"{place} {rank} of {rows} x {columns}: full");
            Bounded[] mixed = [.. wanted.Select((w, i) =>
                (Bounded.FromDouble(held[i]) * Bounded.Rounded((float)0.9)) + (Bounded.FromDouble(-2.5) * w))];
            LinearDevice.AssertWithin(mixed, blended, $"{place} {rank} of {rows} x {columns}: blended");
            // Projecting what is in the subspace changes nothing but roundings.
            Bounded[] twice = new SelectReference(
                new TransformReference(TransformKind.Dct2, columns), full, false).Project(selection.Index);
            LinearDevice.AssertWithin(twice, again, $"{place} {rank} of {rows} x {columns}: again");
            for (int i = 0; i < again.Length; i++)
            {
                double off = twice[i].Bound + (Math.Sqrt(columns) * wanted[i / rank * columns].Bound);
                Assert.True(Math.Abs(again[i] - selection.Projected[i]) <= off);
            }

            // The left of the transposed one does the same.
            Selection turned = Transposed(selection, rank);
            (float[] fullLeft, float[] blendedLeft, float[] againLeft) = Back(
                place, turned, DctDevice.Transposed(held, columns), rows, right with { Side = ProjectionSide.Left });
            Assert.Equal(full, DctDevice.Transposed(fullLeft, rows));
            Assert.Equal(blended, DctDevice.Transposed(blendedLeft, rows));
            Assert.Equal(again, DctDevice.Transposed(againLeft, rows));
        }
    }

    [Fact]
    public void Projecting_on_known_columns_gives_the_bits_of_the_choice_and_unknown_ones_are_zero()
    {
        float[] g = LinearDevice.Random(new Random(6), 37 * 50);
        var options = new ColumnSelectorOptions { Side = ProjectionSide.Right };
        Selection selection = Select(DctPlace.Own, g, 50, 11, options);
        Accelerator accelerator = TestDevices.Session.Accelerator;
        AcceleratorStream stream = accelerator.DefaultStream;
        using var selector = new ColumnSelector(accelerator, 37, 50, 11, options);
        using var tensor = new GuardedTensor(accelerator, g);
        using var projected = new GuardedTensor(accelerator, new float[37 * 11]);
        using MemoryBuffer1D<int, Stride1D.Dense> index = accelerator.Allocate1D(selection.Index);
        selector.Project(stream, tensor.View, index.View, projected.View);
        stream.Synchronize();
        Assert.Equal(selection.Projected, projected.Values());

        int[] odd = [.. selection.Index];
        odd[0] = -5;
        odd[10] = 50;
        index.CopyFromCPU(odd);
        selector.Project(stream, tensor.View, index.View, projected.View);
        stream.Synchronize();
        float[] got = projected.Values();
        for (int i = 0; i < got.Length; i++)
        {
            Assert.Equal(i % 11 is 0 or 10 ? 0 : selection.Projected[i], got[i]);
        }

        using var full = new GuardedTensor(accelerator, g);
        using var wanted = new GuardedTensor(accelerator, g);
        using var all = new GuardedTensor(accelerator, selection.Projected);
        selector.BackProject(stream, projected.View, index.View, wanted.View);
        selector.BackProject(stream, all.View, index.View, full.View);
        stream.Synchronize();
        Assert.Equal(wanted.Values(), full.Values());
    }

    private static Selection Transposed(Selection selection, int columns) =>
        selection with { Projected = DctDevice.Transposed(selection.Projected, columns) };

    private static Selection Select(DctPlace place, float[] g, int columns, int rank, ColumnSelectorOptions options)
    {
        Accelerator accelerator = DctDevice.Accelerator(place);
        AcceleratorStream stream = accelerator.DefaultStream;
        int rows = g.Length / columns;
        using var selector = new ColumnSelector(accelerator, rows, columns, rank, options, DctDevice.Walk(place));
        using var tensor = new GuardedTensor(accelerator, g, shift: 1);
        using var projected = new GuardedTensor(accelerator, new float[selector.ProjectedLength], shift: 2);
        using var energy = new GuardedTensor(accelerator, new float[1]);
        using MemoryBuffer1D<int, Stride1D.Dense> index = accelerator.Allocate1D<int>(rank);
        selector.Select(stream, tensor.View, index.View, projected.View, energy.View);
        stream.Synchronize();
        Assert.Equal(g, tensor.Values());
        return new Selection(index.GetAsArray1D(), projected.Values(), energy.Values()[0]);
    }

    private static (float[] Full, float[] Blended, float[] Again) Back(
        DctPlace place, Selection selection, float[] held, int columns, ColumnSelectorOptions options)
    {
        Accelerator accelerator = DctDevice.Accelerator(place);
        AcceleratorStream stream = accelerator.DefaultStream;
        int rows = held.Length / columns;
        using var selector = new ColumnSelector(
            accelerator, rows, columns, selection.Index.Length, options, DctDevice.Walk(place));
        using var projected = new GuardedTensor(accelerator, selection.Projected, shift: 1);
        using var full = new GuardedTensor(accelerator, [.. held.Select(_ => float.NaN)], shift: 2);
        using var blended = new GuardedTensor(accelerator, held, shift: 3);
        using MemoryBuffer1D<int, Stride1D.Dense> index = accelerator.Allocate1D(selection.Index);
        selector.BackProject(stream, projected.View, index.View, full.View);
        selector.BackProject(stream, projected.View, index.View, blended.View, keep: 0.9, factor: -2.5);
        stream.Synchronize();
        Assert.Equal(selection.Projected, projected.Values());
        using var scaled = new GuardedTensor(accelerator, [.. held.Select(_ => float.NaN)]);
        selector.BackProject(stream, projected.View, index.View, scaled.View, keep: 0, factor: -2);
        stream.Synchronize();
        Assert.Equal(full.Values().Select(v => -2 * v), scaled.Values());
        selector.Project(stream, full.View, index.View, projected.View);
        stream.Synchronize();
        return (full.Values(), blended.Values(), projected.Values());
    }

    private sealed record Selection(int[] Index, float[] Projected, float Energy);
}
