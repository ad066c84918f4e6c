using ILGPU.Runtime;
using Kernels.Linear;
using Kernels.References;
using Kernels.References.Linear;
using Kernels.Tests.Support;

namespace Kernels.Tests.Linear;

public sealed class LayerNormProperties
{
    private static readonly (int Rows, int Columns)[] s_shapes =
    [
        (1, 1), (3, 2), (5, 7), (2, 15), (4, 16), (3, 17), (2, 31), (2, 33), (3, 64), (2, 129), (1, 1031),
    ];

    [Theory]
    [MemberData(nameof(LinearPlaces.Walks), MemberType = typeof(LinearPlaces))]
    public void Both_passes_are_within_the_bounds_of_the_reference(LinearPlace place)
    {
        var random = new Random(1);
        Accelerator accelerator = LinearDevice.Accelerator(place);
        var norm = new LayerNorm(accelerator, LinearDevice.Walk(place));
        foreach ((int rows, int columns) in place == LinearPlace.Own ? s_shapes : s_shapes.Where(s => s.Columns < 100))
        {
            // Around zero; far from it, where the variance must come from differences; and so small that epsilon rules.
            foreach ((float offset, float scale) in new[] { (0f, 1f), (1000f, 1f), (0f, 1e-3f) })
            {
                float[] x = Array.ConvertAll(LinearDevice.Random(random, rows * columns), v => offset + (scale * v));
                float[] dy = LinearDevice.Random(random, x.Length);
                float[] held = LinearDevice.Random(random, x.Length);
                string what = $"{place} {rows} x {columns}, {offset}, {scale}";
                (Bounded[] y, Bounded[] factors) = LayerNormReference.Forward(x, columns, 1e-6);
                Result got = Run(norm, accelerator, x, dy, held, columns);
                LinearDevice.AssertWithin(y, got.Y, $"{what}: y");
                LinearDevice.AssertWithin(factors, got.Factors, $"{what}: factors");
                LinearDevice.AssertWithin(
                    LayerNormReference.Backward(got.Y, got.Factors, dy, []), got.Dx, $"{what}: dx");
                LinearDevice.AssertWithin(
                    LayerNormReference.Backward(got.Y, got.Factors, dy, held), got.Added, $"{what}: added");
            }
        }
    }

    [Theory]
    [MemberData(nameof(LinearPlaces.Walks), MemberType = typeof(LinearPlaces))]
    public void A_row_that_is_not_finite_is_NaN_and_no_other(LinearPlace place)
    {
        const int Columns = 19;
        Accelerator accelerator = LinearDevice.Accelerator(place);
        var norm = new LayerNorm(accelerator, LinearDevice.Walk(place));
        float[] x = LinearDevice.Random(new Random(2), 5 * Columns);
        float[] dy = LinearDevice.Random(new Random(3), x.Length);
        Result clean = Run(norm, accelerator, x, dy, dy, Columns);
        x[Columns + 18] = float.NaN;
        x[3 * Columns] = float.NegativeInfinity;
        Result got = Run(norm, accelerator, x, dy, dy, Columns);
        for (int i = 0; i < x.Length; i++)
        {
            bool isLost = i / Columns is 1 or 3;
            Assert.Equal(isLost ? float.NaN : clean.Y[i], got.Y[i]);
            Assert.Equal(isLost ? float.NaN : clean.Dx[i], got.Dx[i]);
        }
    }

    [Theory]
    [MemberData(nameof(LinearPlaces.Walks), MemberType = typeof(LinearPlaces))]
    public void Both_passes_may_be_in_place_with_the_same_bits(LinearPlace place)
    {
        const int Columns = 37;
        Accelerator accelerator = LinearDevice.Accelerator(place);
        AcceleratorStream stream = accelerator.DefaultStream;
        var norm = new LayerNorm(accelerator, LinearDevice.Walk(place));
        float[] x = LinearDevice.Random(new Random(4), 4 * Columns);
        float[] dy = LinearDevice.Random(new Random(5), x.Length);
        Result apart = Run(norm, accelerator, x, dy, dy, Columns);
        using var same = new GuardedTensor(accelerator, x);
        using var back = new GuardedTensor(accelerator, dy);
        using var factors = new GuardedTensor(accelerator, new float[4]);
        norm.Forward(stream, same.View, same.View, factors.View, 4, Columns, 1e-6);
        norm.Backward(stream, same.View, factors.View, back.View, back.View, 4, Columns);
        stream.Synchronize();
        Assert.Equal(apart.Y, same.Values());
        Assert.Equal(apart.Dx, back.Values());

        // A row among others has the bits it has alone; no rows are no work.
        Assert.Equal(apart.Y[^Columns..], Run(norm, accelerator, x[^Columns..], dy[^Columns..], dy[^Columns..], Columns).Y);
        Assert.Empty(Run(norm, accelerator, [], [], [], Columns).Y);
    }

    private static Result Run(
        LayerNorm norm, Accelerator accelerator, float[] x, float[] dy, float[] held, int columns)
    {
        AcceleratorStream stream = accelerator.DefaultStream;
        int rows = x.Length / columns;
        using var input = new GuardedTensor(accelerator, x, shift: 1);
        using var y = new GuardedTensor(accelerator, new float[x.Length], shift: 2);
        using var factors = new GuardedTensor(accelerator, new float[rows]);
        using var back = new GuardedTensor(accelerator, dy, shift: 3);
        using var dx = new GuardedTensor(accelerator, new float[x.Length], shift: 1);
        using var added = new GuardedTensor(accelerator, held);
        norm.Forward(stream, input.View, y.View, factors.View, rows, columns, 1e-6);
        norm.Backward(stream, y.View, factors.View, back.View, dx.View, rows, columns);
        norm.Backward(stream, y.View, factors.View, back.View, added.View, rows, columns, accumulate: true);
        stream.Synchronize();
        Assert.Equal(x, input.Values());
        Assert.Equal(dy, back.Values());
        return new Result(y.Values(), factors.Values(), dx.Values(), added.Values());
    }

    private sealed record Result(float[] Y, float[] Factors, float[] Dx, float[] Added);
}
