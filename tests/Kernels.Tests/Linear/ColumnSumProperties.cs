using ILGPU.Runtime;
using Kernels.Linear;
using Kernels.References.Linear;
using Kernels.Tests.Support;

namespace Kernels.Tests.Linear;

public sealed class ColumnSumProperties
{
    [Theory]
    [MemberData(nameof(LinearPlaces.Groups), MemberType = typeof(LinearPlaces))]
    public void Matches_the_reference_and_runs_again_with_the_same_bits(LinearPlace place)
    {
        var random = new Random(1);
        Accelerator accelerator = LinearDevice.Accelerator(place);
        var columnSum = new ColumnSum(accelerator, launch: place != LinearPlace.Own);
        foreach (int rows in new[] { 0, 1, 2, 127, 128, 129, 385 })
        {
            foreach (int columns in new[] { 0, 1, 8, 63, 64, 65, 131, 1089 })
            {
                float[] x = LinearDevice.Random(random, rows * columns);
                float[] held = LinearDevice.Random(random, columns);
                foreach (bool accumulate in new[] { false, true })
                {
                    float[] sums = Run(accelerator, columnSum, x, held, rows, columns, accumulate);
                    LinearDevice.AssertWithin(
                        MatMulReference.ColumnSum(x, rows, columns, accumulate ? held : []), sums,
                        $"{place} {rows} x {columns}");
                    Assert.Equal(sums, Run(accelerator, columnSum, x, held, rows, columns, accumulate));
                }
            }
        }
    }

    [Theory]
    [MemberData(nameof(LinearPlaces.Groups), MemberType = typeof(LinearPlaces))]
    public void NaN_stays_in_its_column_and_a_column_alone_has_the_same_bits(LinearPlace place)
    {
        const int Rows = 300, Columns = 70;
        Accelerator accelerator = LinearDevice.Accelerator(place);
        var columnSum = new ColumnSum(accelerator, launch: place != LinearPlace.Own);
        float[] x = LinearDevice.Random(new Random(2), Rows * Columns);
        x[(200 * Columns) + 66] = float.NaN;
        float[] sums = Run(accelerator, columnSum, x, new float[Columns], Rows, Columns, false);
        for (int j = 0; j < Columns; j++)
        {
            Assert.Equal(j == 66, float.IsNaN(sums[j]));
        }

        float[] one = [.. Enumerable.Range(0, Rows).Select(i => x[(i * Columns) + 5])];
        Assert.Equal(sums[5], Run(accelerator, columnSum, one, new float[1], Rows, 1, false)[0]);
    }

    [Fact]
    public void Rejects_what_does_not_fit()
    {
        Accelerator accelerator = TestDevices.Session.Accelerator;
        AcceleratorStream stream = TestDevices.Session.Stream;
        var columnSum = new ColumnSum(accelerator);
        using var x = accelerator.Allocate1D(new float[400]);
        using var sums = accelerator.Allocate1D(new float[2]);
        using var scratch = accelerator.Allocate1D(new float[4]);
        columnSum.Sum(stream, x.View, sums.View, 200, 2, scratch.View);
        Assert.Equal(0, ColumnSum.ScratchLength(128, 2));
        Assert.Equal(4, ColumnSum.ScratchLength(129, 2));
        Assert.Throws<ArgumentNullException>("accelerator", () => new ColumnSum(null!));
        Assert.Throws<ArgumentException>("scratch", () => columnSum.Sum(stream, x.View, sums.View, 200, 2));
        Assert.Throws<ArgumentException>(
            "scratch", () => columnSum.Sum(stream, x.View, sums.View, 200, 2, x.View.SubView(0, 4)));
        Assert.Throws<ArgumentException>("x", () => columnSum.Sum(stream, x.View, sums.View, 100, 2));
        Assert.Throws<ArgumentException>("sums", () => columnSum.Sum(stream, x.View, sums.View, 100, 4));
        Assert.Throws<ArgumentException>(
            "sums", () => columnSum.Sum(stream, x.View.SubView(0, 200), x.View.SubView(199, 2), 100, 2));
        Assert.Throws<ArgumentOutOfRangeException>("rows", () => columnSum.Sum(stream, x.View, sums.View, -1, 2));
        stream.Synchronize();
    }

    private static float[] Run(
        Accelerator accelerator, ColumnSum columnSum, float[] x, float[] held, int rows, int columns, bool accumulate)
    {
        using var viewX = new GuardedTensor(accelerator, x, shift: 1);
        using var sums = new GuardedTensor(accelerator, held);
        using var scratch = new GuardedTensor(
            accelerator, new float[ColumnSum.ScratchLength(rows, columns)], shift: 2);
        columnSum.Sum(accelerator.DefaultStream, viewX.View, sums.View, rows, columns, scratch.View, accumulate);
        accelerator.DefaultStream.Synchronize();
        _ = scratch.Values();
        return sums.Values();
    }
}
