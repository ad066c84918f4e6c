using FsCheck.Xunit;
using Kernels.References.Quantization;
using Kernels.Tests.Support;

namespace Kernels.Tests.References.Quantization;

public sealed class AssignReferenceTests
{
    [Property(MaxTest = 100)]
    public void The_distance_is_the_least(int seed)
    {
        var random = new Random(seed);
        int k = new[] { 1, 2, 3, 5, 16, 256 }[random.Next(6)];
        int length = random.Next(3) == 0 ? 1 << random.Next(4) : 1;
        // Integers have ties and duplicates.
        bool isShort = random.Next(2) == 0;
        float[] codebook = Codes(k * length);
        codebook = length == 1 ? [.. codebook.Order()] : codebook;
        var assign = new AssignReference(codebook, length);
        foreach (float scale in new[] { 1f, 0.5f, -2f, isShort ? 4f : 0.3f })
        {
            float[] w = Codes(length);
            int code = assign.Nearest(w, scale);
            decimal[] distances = [.. codebook.Chunk(length).Select(c => c.Zip(w, (a, b) =>
                ((decimal)b - ((decimal)a * (decimal)scale)) * ((decimal)b - ((decimal)a * (decimal)scale))).Sum())];
            Assert.Equal(Array.IndexOf(distances, distances.Min()), code);
            Assert.True(assign.Admits(w, scale, code));
        }

        float[] Codes(int n) => isShort
            ? Numbers.Integers(random, n, 6)
            : [.. Numbers.Uniform(random, n).Select(v => MathF.Round(v * 8192) / 8192)];
    }

    [Fact]
    public void A_weight_in_the_middle_has_the_lower_code()
    {
        var assign = new AssignReference([-1, 0, 1, 4]);
        Assert.Equal([0, 0, 1, 1, 2, 2, 3], Array.ConvertAll([-9, -0.5f, -0.25f, 0.5f, 0.75f, 2.5f, 2.75f], At));
        // With a negative scale the order turns, and the rule does not: 1 is between -1 (-2) and 0 (-2).
        Assert.Equal(0, assign.Nearest(1, -2));
        Assert.Equal(1, assign.Nearest(-1, -2));
        Assert.Equal(3, assign.Nearest(-9, -2));
        // One bit decides.
        Assert.Equal(2, At(MathF.BitIncrement(0.5f)));

        int At(float w) => assign.Nearest(w, 1);
    }

    [Fact]
    public void A_middle_that_is_rounded_admits_both_codes_about_it()
    {
        // The middle is 2^-61 below 0.5, which binary32 and binary64 take for it.
        var assign = new AssignReference([-8.6736174e-19f, 1]);
        Assert.Equal(1, assign.Nearest(0.5f, 1));
        Assert.True(assign.Admits([0.5f], 1, 0));
        Assert.False(assign.Admits([0.25f], 1, 1));
        Assert.False(new AssignReference([0, 1]).Admits([0.5f], 1, 1));
    }

    [Fact]
    public void A_difference_that_binary64_does_not_see_decides()
    {
        float tiny = float.Epsilon;
        var assign = new AssignReference([-1, 1]);
        Assert.Equal(0, assign.Nearest(0, 1));
        Assert.Equal(1, assign.Nearest(tiny, 1));
        Assert.Equal(0, assign.Nearest(-tiny, 3));
        Assert.Equal(1, new AssignReference([1, 0, 0, -1], 2).Nearest([0, -tiny], 1));
    }

    [Fact]
    public void Of_equal_codes_the_first_is_taken()
    {
        var assign = new AssignReference([-1, -1, 0, 0, 0, 1, 1]);
        float[] weights = [-5, -0.5f, -0.25f, 0, 0.5f, 0.75f, 7];
        Assert.Equal([0, 0, 2, 2, 2, 5, 5], Array.ConvertAll(weights, w => assign.Nearest(w, 1)));
        Assert.Equal(5, assign.Nearest(float.PositiveInfinity, 1));
        Assert.False(assign.Admits([0.1f], 1, 3));
        Assert.False(assign.Admits([0.1f], 1, 4));
        Assert.Equal(1, new AssignReference([1, 2, 0, 0, 0, -0f], 2).Nearest([0, 0], 1));
    }

    [Fact]
    public void What_is_not_finite_has_a_code()
    {
        var assign = new AssignReference([-3, -1, 0, 2, 5]);
        const float Inf = float.PositiveInfinity;
        Assert.Equal((4, 0), (assign.Nearest(Inf, 2), assign.Nearest(-Inf, 2)));
        Assert.Equal((0, 4), (assign.Nearest(Inf, -2), assign.Nearest(-Inf, -2)));
        Assert.Equal((0, 0, 0), (assign.Nearest(float.NaN, 1), assign.Nearest(1, float.NaN), assign.Nearest(Inf, Inf)));
        Assert.Equal(2, assign.Nearest(1, Inf));
        Assert.Equal((2, 2, 2), (assign.Nearest(5, 0), assign.Nearest(-Inf, 0), assign.Nearest(float.NaN, -0f)));
        Assert.False(assign.Admits([float.NaN], 1, 2));
        Assert.False(assign.Admits([Inf], 1, 3));
        var pairs = new AssignReference([5, 5, 0, 1, 0, 0], 2);
        Assert.Equal((0, 0), (pairs.Nearest([float.NaN, 0], 1), pairs.Nearest([0, -Inf], 1)));
        Assert.Equal(2, pairs.Nearest([1, Inf], 0));
    }

    [Fact]
    public void A_codebook_that_does_not_ascend_is_refused()
    {
        Assert.Throws<ArgumentException>("codebook", () => new AssignReference([0, 2, 1]));
        Assert.Throws<ArgumentException>("codebook", () => new AssignReference([]));
        Assert.Throws<ArgumentException>("codebook", () => new AssignReference([0, float.NaN]));
        Assert.Throws<ArgumentException>("codebook", () => new AssignReference([0, float.PositiveInfinity], 2));
        Assert.Throws<ArgumentException>("codebook", () => new AssignReference([0, 1, 2], 2));
        Assert.Throws<ArgumentException>("w", () => new AssignReference([0, 1]).Nearest([0, 1], 1));
    }

    [Fact]
    public void Binary32_searches_among_the_middles_are_within_the_bounds_and_few_others_are()
    {
        var random = new Random(5);
        int others = 0;
        for (int run = 0; run < 3000; run++)
        {
            float[] codebook = Numbers.Ascending(random, 7);
            float scale = MathF.Pow(10, (random.NextSingle() * 6) - 3) * (random.Next(2) == 0 ? 1 : -1);
            int near = random.Next(6);
            // On a middle, or next to it.
            float w = scale * ((codebook[near] + codebook[near + 1]) / 2);
            w = random.Next(3) switch { 0 => w, 1 => MathF.BitIncrement(w), _ => MathF.BitDecrement(w) };
            var assign = new AssignReference(codebook);
            float[] xs = [w / scale, w * (1 / scale)];
            foreach (float x in xs)
            {
                int code = Enumerable.Range(0, 6).Count(j => x > (codebook[j] + codebook[j + 1]) / 2);
                Assert.True(assign.Admits([w], scale, code));
                others += code != assign.Nearest(w, scale) ? 1 : 0;
            }

            float[] scaled = Array.ConvertAll(codebook, c => c * scale);
            int third = Enumerable.Range(0, 6).Count(j => scale > 0
                ? w > (scaled[j] + scaled[j + 1]) / 2
                : w < (scaled[j] + scaled[j + 1]) / 2);
            Assert.True(assign.Admits([w], scale, third));
            // A thousandth of a gap away nothing is left to chance.
            float gap = codebook[near + 1] - codebook[near];
            float off = scale * (((codebook[near] + codebook[near + 1]) / 2) + (gap / 1000) + 1e-6f);
            Assert.False(assign.Admits([off], scale, near));
        }

        Assert.InRange(others, 100, 3000);
    }

    [Fact]
    public void The_middle_of_two_scaled_codes_may_be_off_by_their_roundings()
    {
        var random = new Random(8);
        float[] codebook = [-0.7f, MathF.BitIncrement(0.7f)];
        var assign = new AssignReference(codebook);
        int others = 0;
        for (int run = 0; run < 1000; run++)
        {
            float scale = 1 + random.NextSingle();
            float w = 1e-7f * random.NextSingle();
            int code = w > ((scale * codebook[0]) + (scale * codebook[1])) / 2 ? 1 : 0;
            Assert.True(assign.Admits([w], scale, code));
            others += code != assign.Nearest(w, scale) ? 1 : 0;
            Assert.False(assign.Admits([3e-7f], scale, 0));
        }

        Assert.InRange(others, 100, 900);
    }

    [Fact]
    public void Without_roundings_only_the_nearest_code_is_right()
    {
        var assign = new AssignReference([-2, 0, 1, 3]);
        Assert.False(assign.Admits([0.5f], 1, 2));
        Assert.False(assign.Admits([MathF.BitIncrement(0.5f)], 1, 1));
        Assert.True(assign.Admits([0.5f], 1, 1));
        Assert.False(assign.Admits([0.5f], 1, -1));
        Assert.False(assign.Admits([0.5f], 1, 4));
    }

    [Fact]
    public void A_middle_without_roundings_below_a_code_does_not_hide_the_one_above()
    {
        // The middle of 0 and the second is exact, that of the second and the third is rounded up, to w.
        float above = 6.76702f;
        float middle = (1.3772705f + above) / 2;
        var nearest = new AssignReference([0, 1.3772705f, above]);
        Assert.Equal(2, nearest.Nearest(middle, 1));
        Assert.True(nearest.Admits([middle], 1, 1));
        Assert.False(nearest.Admits([middle], 1, 0));
    }

    [Fact]
    public void Binary32_distances_of_vectors_are_within_the_bounds()
    {
        var random = new Random(6);
        for (int run = 0; run < 2000; run++)
        {
            int length = 2 << random.Next(3);
            float[] codebook = Numbers.Uniform(random, 16 * length);
            float scale = random.Next(3) == 0 ? 1 : 0.37f;
            // Between two codes.
            float[] w = [.. Enumerable.Range(0, length).Select(
                i => scale * ((codebook[i] + codebook[length + i]) / 2))];
            var assign = new AssignReference(codebook, length);
            float[] distances = [.. codebook.Chunk(length).Select(c =>
                FloatSum.Tree([.. c.Zip(w, (a, b) => (b - (scale * a)) * (b - (scale * a)))]))];
            Assert.True(assign.Admits(w, scale, Array.IndexOf(distances, distances.Min())));
            Assert.False(assign.Admits(w, scale, Array.IndexOf(distances, distances.Max())));
        }
    }

    [Fact]
    public void Groups_and_blocks_have_their_own()
    {
        var random = new Random(7);
        float[] w = Numbers.Integers(random, 5 * 6, 9);
        int[] boundaries = [0, 1, 1, 4, 5];
        QuantizationScope groups = QuantizationScope.Groups(boundaries, 6);
        QuantizationScope blocks = QuantizationScope.Blocks(4, 30);
        Assert.Equal((4, 8), (groups.Count, blocks.Count));
        Assert.Equal((28, 2), blocks.Run(7));
        Assert.Equal((6, 0), groups.Run(1));
        float[] codebook = [-9, 0, 1, -5, -1, 4, -2, 0, 2, -7, -6, 8];
        float[] scale = [1, -1, 2, 0, 1, 1, 4, 2];
        var shape = new CodebookShape(5, 6, 3, 1, groups, blocks);
        int[] index = AssignReference.Assign(shape, w, codebook, scale);
        int[] rowGroup = [0, 2, 2, 2, 3];
        for (int i = 0; i < w.Length; i++)
        {
            float[] own = codebook.AsSpan(3 * rowGroup[i / 6], 3).ToArray();
            Assert.Equal(new AssignReference(own).Nearest(w[i], scale[i / 4]), index[i]);
        }

        Assert.Equal(-1, AssignReference.FirstWrong(shape, w, codebook, scale, index));
        index[13] = (index[13] + 1) % 3;
        Assert.Equal(13, AssignReference.FirstWrong(shape, w, codebook, scale, index));

        var pairs = new CodebookShape(5, 6, 3, 2);
        float[] three = codebook[..6];
        index = AssignReference.Assign(pairs, w, three, []);
        Assert.Equal(15, index.Length);
        Assert.All(Enumerable.Range(0, 15), i => Assert.Equal(
            new AssignReference(three, 2).Nearest(w.AsSpan(2 * i, 2), 1), index[i]));
    }

    [Property(MaxTest = 50)]
    public void Quantizing_what_was_dequantized_changes_nothing(int seed)
    {
        var random = new Random(seed);
        float[] w = Numbers.Gaussian(random, 60);
        float[] codebook = Numbers.Ascending(random, 5);
        var shape = new CodebookShape(6, 10, 5);
        int[] index = AssignReference.Assign(shape, w, codebook, []);
        float[] q = Array.ConvertAll(DequantizeReference.Evaluate(shape, index, codebook, []), v => (float)v.Value);
        Assert.Equal(index, AssignReference.Assign(shape, q, codebook, []));
    }

    [Fact]
    public void Shapes_that_do_not_fit_are_refused()
    {
        Assert.Throws<ArgumentOutOfRangeException>("codes", () => new CodebookShape(2, 3, 0));
        Assert.Throws<ArgumentOutOfRangeException>("length", () => new CodebookShape(2, 3, 4, 0));
        Assert.Throws<ArgumentException>("columns", () => new CodebookShape(2, 3, 4, 2));
        Assert.Throws<ArgumentException>("codebooks", () => new CodebookShape(2, 3, 4, 1, QuantizationScope.Tensor(7)));
        Assert.Throws<ArgumentException>(
            "scales", () => new CodebookShape(2, 4, 4, 2, null, QuantizationScope.Blocks(3, 8)));
        Assert.Throws<ArgumentException>("boundaries", () => QuantizationScope.Groups([0, 3, 2], 4));
        Assert.Throws<ArgumentException>("boundaries", () => QuantizationScope.Groups([1, 2], 4));
        Assert.Throws<ArgumentException>("boundaries", () => QuantizationScope.Groups([0], 4));
        Assert.Throws<ArgumentOutOfRangeException>("block", () => QuantizationScope.Blocks(0, 4));
        var shape = new CodebookShape(2, 3, 2);
        Assert.Throws<ArgumentException>("w", () => AssignReference.Assign(shape, new float[5], [0, 1], []));
        Assert.Throws<ArgumentException>("codebook", () => AssignReference.Assign(shape, new float[6], [0, 1, 2], []));
        Assert.Throws<ArgumentException>("scale", () => AssignReference.Assign(shape, new float[6], [0, 1], [1]));
        Assert.Throws<ArgumentOutOfRangeException>(
            "index", () => DequantizeReference.Evaluate(shape, [0, 0, 2, 0, 0, 0], [0, 1], []));
    }
}
