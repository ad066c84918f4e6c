using ILGPU;
using ILGPU.Runtime;
using Kernels.Dct;
using Kernels.References.Dct;
using Kernels.Tests.Linear;
using Kernels.Tests.Support;
using ProjectionSide = Kernels.Dct.ProjectionSide;

namespace Kernels.Tests.Dct;

public sealed class RemapProperties
{
    [Theory]
    [InlineData(1, 1, 1)]
    [InlineData(5, 8, 8)]
    [InlineData(3, 40, 7)]
    [InlineData(34, 20, 15)]
    [InlineData(2, 300, 130)]
    public void A_state_goes_where_the_product_with_the_two_bases_would_take_it(int rows, int columns, int rank)
    {
        var random = new Random(rows);
        float[] state = LinearDevice.Random(random, rows * rank);
        int[] previous = Choose(random, columns, rank);
        int[] current = Choose(random, columns, rank);
        float[] wanted = RemapReference.Apply(state, previous, current);
        Assert.Equal(wanted, Move(state, previous, current, rows, columns, ProjectionSide.Right));
        float[] turned = Move(
            DctDevice.Transposed(state, rank), previous, current, columns, rows, ProjectionSide.Left);
        Assert.Equal(wanted, DctDevice.Transposed(turned, rows));

        // m (Q_previous Q_current^T), with Q as it is. Columns of Q have norm 1, so products of magnitudes sum to at most 1;
        // in binary64 an entry has five roundings, its products and their sums one for each column and each of the rank.
        var basis = new TransformReference(TransformKind.Dct2, columns);
        for (int i = 0; i < wanted.Length; i++)
        {
            double rotated = 0;
            double size = 0;
            for (int j = 0; j < rank; j++)
            {
                double product = Enumerable.Range(0, columns).Sum(
                    c => basis.Entry(previous[j], c) * basis.Entry(current[i % rank], c));
                rotated += product * state[(i / rank * rank) + j];
                size += Math.Abs(state[(i / rank * rank) + j]);
            }

            Assert.Equal(wanted[i], rotated, Math.ScaleB((columns + rank + 12) * size, -53));
        }
    }

    [Fact]
    public void What_is_no_column_takes_nothing_along()
    {
        float[] state = LinearDevice.Random(new Random(9), 4 * 3);
        float[] moved = Move(state, [2, 5, 7], [-1, 5, int.MaxValue], 4, 8, ProjectionSide.Right);
        for (int i = 0; i < moved.Length; i++)
        {
            Assert.Equal(i % 3 == 1 ? state[i] : 0, moved[i]);
        }
    }

    private static float[] Move(
        float[] state, int[] previous, int[] current, int rows, int columns, ProjectionSide side)
    {
        Accelerator accelerator = TestDevices.Session.Accelerator;
        AcceleratorStream stream = accelerator.DefaultStream;
        using var selector = new ColumnSelector(
            accelerator, rows, columns, previous.Length, new ColumnSelectorOptions { Side = side });
        using var from = new GuardedTensor(accelerator, state, shift: 1);
        using var to = new GuardedTensor(accelerator, [.. state.Select(_ => float.NaN)], shift: 2);
        using MemoryBuffer1D<int, Stride1D.Dense> before = accelerator.Allocate1D(previous);
        using MemoryBuffer1D<int, Stride1D.Dense> after = accelerator.Allocate1D(current);
        selector.Remap(stream, from.View, before.View, after.View, to.View);
        stream.Synchronize();
        Assert.Equal(state, from.Values());
        return to.Values();
    }

    private static int[] Choose(Random random, int columns, int rank)
    {
        int[] all = [.. Enumerable.Range(0, columns)];
        random.Shuffle(all);
        return [.. all.Take(rank).Order()];
    }
}
