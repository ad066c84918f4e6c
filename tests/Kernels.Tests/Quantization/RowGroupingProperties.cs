using ILGPU.Runtime;
using Kernels.Quantization;
using Kernels.References.Quantization;
using Kernels.Tests.Support;

namespace Kernels.Tests.Quantization;

public sealed class RowGroupingProperties
{
    [Theory]
    [InlineData(1, 1, 1, 16)]
    [InlineData(7, 5, 7, 3)]
    [InlineData(40, 30, 4, 16)]
    [InlineData(100, 64, 9, 16)]
    public void Groups_are_those_of_the_oracle(int rows, int columns, int groups, int quantiles)
    {
        for (int seed = 0; seed < 3; seed++)
        {
            float[] w = Rows(new Draw(seed), rows, columns, repeats: seed == 2);
            var grouping = RowGrouping.Group(w, columns, groups, quantiles);
            (int[] permutation, int[] boundaries) = GroupReference.Group(w, columns, groups, quantiles);
            Assert.Equal(boundaries, grouping.Boundaries.ToArray());
            Assert.Equal(permutation, grouping.Permutation.ToArray());
            Assert.Equal(GroupReference.Inverse(permutation), RowGrouping.Inverse(permutation));
        }
    }

    [Fact]
    public void Equal_rows_stay_as_they_were()
    {
        var grouping = RowGrouping.Group([1, 2, 3, 3, 2, 1, 2, 1, 3], 3, 1);
        Assert.Equal([0, 1, 2], grouping.Permutation.ToArray());
        Assert.Equal([0, 3], grouping.Boundaries.ToArray());
    }

    [Fact]
    public void What_cannot_be_grouped_is_refused()
    {
        Assert.Throws<ArgumentOutOfRangeException>("groups", () => RowGrouping.Group([1, 2], 1, 3));
        Assert.Throws<ArgumentOutOfRangeException>("groups", () => RowGrouping.Group([], 1, 1));
        Assert.Throws<ArgumentOutOfRangeException>("columns", () => RowGrouping.Group([1, 2], 0, 1));
        Assert.Throws<ArgumentOutOfRangeException>("quantiles", () => RowGrouping.Group([1, 2], 1, 1, 0));
        Assert.Throws<ArgumentException>("w", () => RowGrouping.Group([1, 2, 3], 2, 1));
        Assert.Throws<ArgumentException>("w", () => RowGrouping.Group([1, float.NaN], 1, 1));
        Assert.Throws<ArgumentException>("permutation", () => RowGrouping.Inverse([0, 0]));
        Assert.Throws<ArgumentException>("permutation", () => new Permute(TestDevices.Session.Accelerator, [0, 2]));
        Assert.Throws<ArgumentException>("permutation", () => new Permute(TestDevices.Session.Accelerator, [1, -1]));
    }

    [Theory]
    [InlineData(Storage.F32)]
    [InlineData(Storage.F16)]
    [InlineData(Storage.BF16)]
    public void Rows_and_columns_move_bit_for_bit(Storage storage)
    {
        const int Rows = 13, Columns = 21;
        Accelerator accelerator = TestDevices.Session.Accelerator;
        var random = new Random(1);
        uint most = storage == Storage.F32 ? uint.MaxValue : ushort.MaxValue;
        uint[] bits = [.. Enumerable.Range(0, Rows * Columns).Select(_ => (uint)random.NextInt64(most))];
        int[] order = [.. Enumerable.Range(0, Rows).OrderBy(_ => random.Next())];
        int[] columns = [.. Enumerable.Range(0, Columns).OrderBy(_ => random.Next())];
        using var x = new GuardedTensor(accelerator, storage, bits, 1);
        using var y = new GuardedTensor(accelerator, storage, new uint[bits.Length], 2);
        using var rows = new Permute(accelerator, order);
        using var ofColumns = new Permute(accelerator, columns);
        rows.Rows(accelerator.DefaultStream, x.View, Columns, y.View);
        accelerator.Synchronize();
        Assert.Equal(GroupReference.PermuteRows<uint>(bits, Columns, order), y.Bits());
        ofColumns.Columns(accelerator.DefaultStream, x.View, Rows, y.View);
        accelerator.Synchronize();
        Assert.Equal(GroupReference.PermuteColumns<uint>(bits, columns), y.Bits());
        Assert.Equal(bits, x.Bits());

        byte[] codes = Array.ConvertAll(bits, b => (byte)b);
        using var from = new GuardedBytes(accelerator, codes, 1);
        using var to = new GuardedBytes(accelerator, new byte[codes.Length], 2);
        rows.Rows(accelerator.DefaultStream, from.View, Columns, to.View);
        accelerator.Synchronize();
        Assert.Equal(GroupReference.PermuteRows<byte>(codes, Columns, order), to.Bytes());
        Allocations.AssertNone(accelerator, () => rows.Rows(accelerator.DefaultStream, x.View, Columns, y.View));
    }

    /// <summary>Whole numbers, so that sums are exact in any order.</summary>
    [Fact]
    public void A_chain_of_layers_keeps_its_function()
    {
        const int Inputs = 6, Hidden = 40, Outputs = 5;
        Accelerator accelerator = TestDevices.Session.Accelerator;
        var random = new Random(3);
        float[] first = Whole(random, Hidden * Inputs);
        float[] bias = Whole(random, Hidden);
        float[] second = Whole(random, Outputs * Hidden);
        float[] x = Whole(random, Inputs);
        int[] order = RowGrouping.Group(first, Inputs, 4).Permutation.ToArray();
        using var permute = new Permute(accelerator, order);
        float[] movedFirst = Moved(accelerator, first, (from, to) => permute.Rows(accelerator.DefaultStream, from, Inputs, to));
        float[] movedBias = Moved(accelerator, bias, (from, to) => permute.Rows(accelerator.DefaultStream, from, 1, to));
        float[] movedSecond = Moved(accelerator, second, (from, to) => permute.Columns(accelerator.DefaultStream, from, Outputs, to));
        Assert.NotEqual(first, movedFirst);
        Assert.Equal(Chain(first, bias, second, x), Chain(movedFirst, movedBias, movedSecond, x));
    }

    [Fact]
    public void Permutations_that_do_not_fit_are_refused()
    {
        Accelerator accelerator = TestDevices.Session.Accelerator;
        AcceleratorStream stream = accelerator.DefaultStream;
        using var x = new GuardedTensor(accelerator, new float[6]);
        using var y = new GuardedTensor(accelerator, new float[6]);
        using var half = new GuardedTensor(accelerator, Storage.BF16, new uint[6]);
        using var permute = new Permute(accelerator, [1, 0]);
        Assert.Throws<ArgumentNullException>("stream", () => permute.Rows(null!, x.View, 3, y.View));
        Assert.Throws<ArgumentException>("x", () => permute.Rows(stream, x.View, 2, y.View));
        Assert.Throws<ArgumentException>("y", () => permute.Rows(stream, x.View, 3, half.View));
        Assert.Throws<ArgumentException>("y", () => permute.Rows(stream, x.View, 3, x.View));
        Assert.Throws<ArgumentOutOfRangeException>("columns", () => permute.Rows(stream, x.View, 0, y.View));
        Assert.Throws<ArgumentOutOfRangeException>("rows", () => permute.Columns(stream, x.View, 0, y.View));
        permute.Dispose();
        Assert.Throws<ObjectDisposedException>(() => permute.Rows(stream, x.View, 3, y.View));
    }

    private static float[] Rows(Draw draw, int rows, int columns, bool repeats)
    {
        float[] w = draw.Floats(rows * columns, 1e-2, 10);
        for (int row = 0; row < rows; row++)
        {
            float scale = draw.OneOf(0.1f, 1f, 8f);
            for (int i = row * columns; i < (row + 1) * columns; i++)
            {
                w[i] = repeats && row % 3 == 2 ? w[i - columns] : w[i] * scale;
            }
        }

        return w;
    }

    private static float[] Whole(Random random, int count) => [.. Enumerable.Range(0, count).Select(_ => (float)random.Next(-9, 10))];

    private static float[] Moved(Accelerator accelerator, float[] values, Action<TensorView, TensorView> move)
    {
        using var x = new GuardedTensor(accelerator, values);
        using var y = new GuardedTensor(accelerator, new float[values.Length]);
        move(x.View, y.View);
        accelerator.Synchronize();
        return y.Values();
    }

    private static float[] Chain(float[] first, float[] bias, float[] second, float[] x)
    {
        float[] hidden = [.. bias.Select((b, row) => Math.Max(0, b + Dot(first, row, x)))];
        return [.. Enumerable.Range(0, second.Length / hidden.Length).Select(row => Dot(second, row, hidden))];
    }

    private static float Dot(float[] w, int row, float[] x)
    {
        float sum = 0;
        for (int i = 0; i < x.Length; i++)
        {
            sum += w[(row * x.Length) + i] * x[i];
        }

        return sum;
    }
}
