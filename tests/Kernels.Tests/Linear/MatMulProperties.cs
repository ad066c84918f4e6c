using ILGPU.Runtime;
using Kernels.Launching;
using Kernels.Linear;
using Kernels.References;
using Kernels.References.Linear;
using Kernels.Tests.Support;

namespace Kernels.Tests.Linear;

public sealed class MatMulProperties
{
    private static readonly int[] s_sizes =
        [0, 1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 32, 33, 61, 63, 64, 65, 68, 97, 127, 128, 129];

    private static readonly int[] s_small = [0, 1, 3, 4, 15, 16, 17, 20, 33, 64, 65, 68];

    private readonly record struct Case(
        int M, int N, int K, bool TransposeA, bool TransposeB, bool Bias, Activation Activation, bool Accumulate)
    {
        internal Func<Bounded, Bounded>? Reference => Activation switch
        {
            Activation.Relu => ActivationReference.Relu,
            Activation.Gelu => ActivationReference.Gelu,
            _ => null,
        };
    }

    [Theory]
    [MemberData(nameof(LinearPlaces.All), MemberType = typeof(LinearPlaces))]
    public void Matches_the_reference_within_its_bound(LinearPlace place)
    {
        int cases = place switch
        {
            LinearPlace.Own => 120,
            LinearPlace.Tile => 60,
            LinearPlace.Warp32Tile => 24,
            _ => 12,
        };
        var random = new Random(1);
        var matMul = new MatMul(LinearDevice.Accelerator(place), LinearDevice.Walk(place));
        int[] sizes = place is LinearPlace.Warp32Tile or LinearPlace.Warp32Panel ? s_small : s_sizes;
        for (int i = 0; i < cases; i++)
        {
            int Size() => sizes[random.Next(sizes.Length)];
            // Every fourth case all aligned.
            int unit = random.Next(4) == 0 ? 4 : 1;
            var what = new Case(
                Size() / unit * unit, Size() / unit * unit, Size() / unit * unit, random.Next(2) == 0,
                random.Next(2) == 0, random.Next(2) == 0, (Activation)(i % 3), random.Next(3) == 0);
            Check(place, matMul, what, random, shift: unit == 4 ? 0 : random.Next(3));
        }
    }

    [Theory]
    [MemberData(nameof(LinearPlaces.All), MemberType = typeof(LinearPlaces))]
    public void All_transposes_and_activations_agree_with_the_reference(LinearPlace place)
    {
        var random = new Random(2);
        var matMul = new MatMul(LinearDevice.Accelerator(place), LinearDevice.Walk(place));
        foreach (int size in new[] { 20, 21 })
        {
            for (int i = 0; i < 12; i++)
            {
                var what = new Case(size, size + 4, size + 8, (i & 1) != 0, (i & 2) != 0, true, (Activation)(i / 4), true);
                if (place == LinearPlace.Tile && what is { Activation: not Activation.None, TransposeA: true })
                {
                    continue; // PoCL compiles a tile for some seconds, and the two do not meet in it
                }

                Check(place, matMul, what, random, shift: 0);
            }
        }
    }

    [Fact]
    public void Sums_longer_than_a_slice_keep_their_order()
    {
        var random = new Random(3);
        var matMul = new MatMul(LinearDevice.Accelerator(LinearPlace.Own), null);
        foreach (int k in new[] { 255, 256, 257, 511, 512, 513, 1031 })
        {
            Check(LinearPlace.Own, matMul, new Case(9, 21, k, false, true, true, Activation.Gelu, true), random, 0);
        }
    }

    [Theory]
    [MemberData(nameof(LinearPlaces.All), MemberType = typeof(LinearPlaces))]
    public void A_row_alone_has_the_bits_it_has_among_others(LinearPlace place)
    {
        // The order of the sums depends on no launch shape, no group, no place in a tile.
        var random = new Random(4);
        const int Rows = 37, N = 21, K = 70;
        float[] a = LinearDevice.Random(random, Rows * K);
        float[] b = LinearDevice.Random(random, K * N);
        var matMul = new MatMul(LinearDevice.Accelerator(place), LinearDevice.Walk(place));
        float[] all = Run(place, matMul, a, false, b, false, Rows, N, K);
        foreach (int row in new[] { 0, 5, 36 })
        {
            float[] one = Run(place, matMul, a[(row * K)..((row + 1) * K)], false, b, false, 1, N, K);
            Assert.Equal(all[(row * N)..((row + 1) * N)], one);
        }
    }

    [Theory]
    [MemberData(nameof(LinearPlaces.All), MemberType = typeof(LinearPlaces))]
    public void Runs_again_with_the_same_bits(LinearPlace place)
    {
        var random = new Random(5);
        float[] a = LinearDevice.Random(random, 65 * 33);
        float[] b = LinearDevice.Random(random, 33 * 40);
        var matMul = new MatMul(LinearDevice.Accelerator(place), LinearDevice.Walk(place));
        float[] first = Run(place, matMul, a, true, b, true, 65, 40, 33);
        for (int i = 0; i < 3; i++)
        {
            Assert.Equal(first, Run(place, matMul, a, true, b, true, 65, 40, 33));
        }
    }

    [Theory]
    [MemberData(nameof(LinearPlaces.All), MemberType = typeof(LinearPlaces))]
    public void Special_values_reach_their_row_and_column_alone(LinearPlace place)
    {
        const int M = 19, N = 18, K = 17;
        var random = new Random(6);
        float[] a = Array.ConvertAll(LinearDevice.Random(random, M * K), x => x + 10f);
        float[] b = Array.ConvertAll(LinearDevice.Random(random, K * N), x => x + 10f);
        a[(7 * K) + 3] = float.NaN;
        a[(18 * K) + 16] = float.PositiveInfinity;
        b[(16 * N) + 17] = float.NaN;
        var matMul = new MatMul(LinearDevice.Accelerator(place), LinearDevice.Walk(place));
        float[] c = Run(place, matMul, a, false, b, false, M, N, K);
        for (int i = 0; i < M; i++)
        {
            for (int j = 0; j < N; j++)
            {
                float value = c[(i * N) + j];
                Assert.Equal(i == 7 || j == 17, float.IsNaN(value));
                Assert.Equal(i == 18 && j != 17, float.IsPositiveInfinity(value));
            }
        }
    }

    [Fact]
    public void Rejects_what_does_not_fit()
    {
        Accelerator accelerator = TestDevices.Session.Accelerator;
        AcceleratorStream stream = TestDevices.Session.Stream;
        var matMul = new MatMul(accelerator);
        using var a = accelerator.Allocate1D(new float[6]);
        using var b = accelerator.Allocate1D(new float[12]);
        using var c = accelerator.Allocate1D<float>(8);
        using var halves = accelerator.Allocate1D<ushort>(6);
        void Multiply(TensorView x, TensorView y, TensorView z, int m = 2, int n = 4, int k = 3, TensorView bias = default) =>
            matMul.Multiply(stream, x, false, y, false, z, m, n, k, bias);

        Multiply(a.View, b.View, c.View);
        Assert.Throws<ArgumentNullException>("accelerator", () => new MatMul(null!));
        Assert.Throws<ArgumentNullException>(
            "stream", () => matMul.Multiply(null!, a.View, false, b.View, false, c.View, 2, 4, 3));
        Assert.Throws<ArgumentException>("a", () => Multiply(a.View.SubView(0, 5), b.View, c.View));
        Assert.Throws<ArgumentException>("b", () => Multiply(a.View, b.View.SubView(0, 11), c.View));
        Assert.Throws<ArgumentException>("c", () => Multiply(a.View, b.View, c.View.SubView(0, 7)));
        Assert.Throws<ArgumentException>("bias", () => Multiply(a.View, b.View, c.View, bias: a.View));
        Assert.Throws<ArgumentException>("a", () => Multiply(halves.View, b.View, c.View));
        Assert.Throws<ArgumentException>("c", () => Multiply(a.View, b.View, b.View.SubView(0, 8)));
        Assert.Throws<ArgumentException>("c", () => Multiply(a.View, b.View, c.View, bias: c.View.SubView(0, 4)));
        Assert.Throws<ArgumentException>("a", () => Multiply(a.View, b.View, c.View, m: 65536, k: 65536));
        Assert.Throws<ArgumentOutOfRangeException>("m", () => Multiply(a.View, b.View, c.View, m: -1));
        Assert.Throws<ArgumentOutOfRangeException>("n", () => Multiply(a.View, b.View, c.View, n: -1));
        Assert.Throws<ArgumentOutOfRangeException>("k", () => Multiply(a.View, b.View, c.View, k: (1 << 30) + 1));
        Assert.Throws<ArgumentOutOfRangeException>("activation", () => matMul.Multiply(
            stream, a.View, false, b.View, false, c.View, 2, 4, 3, default, (Activation)9));
        using var elsewhere = TestDevices.Warp(2).Allocate1D<float>(6);
        Assert.Throws<ArgumentException>("a", () => Multiply(elsewhere.View, b.View, c.View));
        Assert.Throws<ArgumentException>("stream", () => matMul.Multiply(
            TestDevices.Warp(2).DefaultStream, a.View, false, b.View, false, c.View, 2, 4, 3));
        var gone = accelerator.Allocate1D<float>(6);
        TensorView view = gone.View;
        gone.Dispose();
        Assert.Throws<ObjectDisposedException>(() => Multiply(view, b.View, c.View));
    }

    [Fact]
    public void Several_threads_may_multiply_at_once()
    {
        var matMul = new MatMul(TestDevices.Session.Accelerator);
        var random = new Random(7);
        float[] a = LinearDevice.Random(random, 40 * 50);
        float[] b = LinearDevice.Random(random, 50 * 60);
        float[] wanted = Run(LinearPlace.Own, matMul, a, false, b, false, 40, 60, 50);
        Parallel.For(0, 8, _ => Assert.Equal(
            wanted, Run(LinearPlace.Own, matMul, a, false, b, false, 40, 60, 50, ownStream: true)));
    }

    [Fact]
    public void Plans_cover_the_product()
    {
        var random = new Random(8);
        for (int i = 0; i < 2000; i++)
        {
            int m = random.Next(1, 1 << random.Next(1, 20));
            int n = random.Next(1, 1 << random.Next(1, 12));
            var facts = new DeviceFacts(
                DeviceClass.OpenClCpu, random.Next(1, 200), 8, 1 << random.Next(4, 13), int.MaxValue, 1 << 20);
            foreach (TileWalk walk in Enum.GetValues<TileWalk>())
            {
                TilePlan plan = TilePlan.For(facts, walk, m, n);
                long panels = (n + 63) / 64;
                long rows = walk switch
                {
                    TileWalk.Tile => 64,
                    TileWalk.Panel => plan.Blocks * 4,
                    _ => plan.Blocks * TilePlan.HostBlockRows,
                };
                long covered = plan.Groups / panels * rows;
                Assert.True(plan.Groups % panels == 0 && covered >= m && covered - m < rows, $"{walk} {m} {n} {plan}");
                Assert.True(walk != TileWalk.Panel || plan.GroupSize <= facts.MaxGroup);
            }
        }
    }

    private static void Check(LinearPlace place, MatMul matMul, Case what, Random random, int shift)
    {
        float[] a = LinearDevice.Random(random, what.M * what.K);
        float[] b = LinearDevice.Random(random, what.K * what.N);
        float[] bias = what.Bias ? LinearDevice.Random(random, what.N) : [];
        float[] c0 = LinearDevice.Random(random, what.M * what.N);
        Bounded[] wanted = MatMulReference.Multiply(
            a, what.TransposeA, b, what.TransposeB, what.M, what.N, what.K, bias, what.Accumulate ? c0 : [], what.Reference);
        float[] got = Run(
            place, matMul, a, what.TransposeA, b, what.TransposeB, what.M, what.N, what.K, bias, c0, what.Activation,
            what.Accumulate, shift);
        LinearDevice.AssertWithin(wanted, got, $"{place} {what}");
    }

    private static float[] Run(
        LinearPlace place, MatMul matMul, float[] a, bool transposeA, float[] b, bool transposeB, int m, int n, int k,
        float[]? bias = null, float[]? c0 = null, Activation activation = Activation.None, bool accumulate = false,
        int shift = 0, bool ownStream = false)
    {
        Accelerator accelerator = LinearDevice.Accelerator(place);
        using var viewA = new GuardedTensor(accelerator, a, shift);
        using var viewB = new GuardedTensor(accelerator, b, shift);
        using var viewC = new GuardedTensor(accelerator, c0 ?? new float[m * n], shift);
        using var viewBias = new GuardedTensor(accelerator, bias ?? []);
        using AcceleratorStream? own = ownStream ? accelerator.CreateStream() : null;
        AcceleratorStream stream = own ?? accelerator.DefaultStream;
        accelerator.Synchronize();
        matMul.Multiply(
            stream, viewA.View, transposeA, viewB.View, transposeB, viewC.View, m, n, k,
            bias is null or [] ? default : viewBias.View, activation, accumulate);
        stream.Synchronize();
        Assert.Equal(a, viewA.Values());
        Assert.Equal(b, viewB.Values());
        return viewC.Values();
    }
}
