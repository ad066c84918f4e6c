using FsCheck.Xunit;
using Kernels.References.Quantization;
using static Kernels.Tests.References.Quantization.Numbers;

namespace Kernels.Tests.References.Quantization;

public sealed class GroupReferenceTests
{
    [Property(MaxTest = 60)]
    public void Groups_are_contiguous_and_a_permutation_with_rows_in_their_old_order(int seed)
    {
        var random = new Random(seed);
        int rows = random.Next(1, 40);
        int columns = random.Next(1, 12);
        int groups = random.Next(1, rows + 1);
        float[] w = random.Next(2) == 0 ? Integers(random, rows * columns, 1) : Gaussian(random, rows * columns);
        (int[] permutation, int[] boundaries) = GroupReference.Group(w, columns, groups, 4);
        Assert.Equal(Enumerable.Range(0, rows), permutation.Order());
        Assert.Equal((groups + 1, 0, rows), (boundaries.Length, boundaries[0], boundaries[^1]));
        for (int g = 0; g < groups; g++)
        {
            int[] own = permutation[boundaries[g]..boundaries[g + 1]];
            Assert.NotEmpty(own);
            Assert.Equal(own.Order(), own);
        }

        QuantizationScope scope = QuantizationScope.Groups(boundaries, columns);
        Assert.Equal(groups, scope.Count);
    }

    [Fact]
    public void Rows_of_one_kind_come_together()
    {
        // Three spreads and a skew, dealt like cards.
        var random = new Random(1);
        const int Columns = 1024;
        Func<float, float>[] kinds = [v => 0.1f * v, v => v, v => 4 * v, v => (v * v) - 1];
        int[] kind = Below(random, 50, 4);
        float[] w = [.. kind.SelectMany(own => Gaussian(random, Columns).Select(kinds[own]))];
        (int[] permutation, int[] boundaries) = GroupReference.Group(w, Columns, 4);
        for (int g = 0; g < 4; g++)
        {
            Assert.Single(permutation[boundaries[g]..boundaries[g + 1]].Select(row => kind[row]).Distinct());
        }

        int[] first = permutation[..boundaries[1]];
        Assert.All(first, row => Assert.Equal(0, kind[row])); // the least spread first
        double error = GroupReference.Error(w, Columns, permutation, boundaries);
        int[] sorted = [.. Enumerable.Range(0, 50)];
        Assert.True(error < 0.1 * GroupReference.Error(w, Columns, sorted, boundaries));
        Assert.True(error < GroupReference.Error(w, Columns, permutation, [0, 50]));
        Assert.Equal(0, GroupReference.Error(w, Columns, sorted, [.. Enumerable.Range(0, 51)]));
    }

    [Fact]
    public void The_order_within_a_row_does_not_matter_and_equal_rows_stay()
    {
        var random = new Random(2);
        float[] w = Gaussian(random, 20 * 9);
        (int[] permutation, int[] boundaries) = GroupReference.Group(w, 9, 3);
        int[] order = [4, 0, 8, 1, 3, 2, 7, 5, 6];
        (int[] other, int[] same) = GroupReference.Group(GroupReference.PermuteColumns<float>(w, order), 9, 3);
        Assert.Equal(permutation, other);
        Assert.Equal(boundaries, same);
        (permutation, boundaries) = GroupReference.Group([.. Enumerable.Repeat(1.5f, 8)], 2, 1);
        Assert.Equal([0, 1, 2, 3], permutation);
        Assert.Equal([0, 4], boundaries);
        (permutation, boundaries) = GroupReference.Group([0, 0, 3, -3, 1, -1], 2, 3);
        Assert.Equal([0, 2, 1], permutation);
        Assert.Equal([0, 1, 2, 3], boundaries);
    }

    [Fact]
    public void Quantiles_of_a_row_are_its_own()
    {
        // Of 1, 1, 2, 3 at the places 3/4 and 9/4.
        Assert.Equal([1, 2.25, 10, 10], GroupReference.Quantiles([3, 1, 2, 1, 10, 10, 10, 10], 4, 2));
    }

    [Fact]
    public void A_permuted_network_is_the_same_function()
    {
        var random = new Random(3);
        int[] sizes = [5, 12, 7, 3];
        (float[] Weight, float[] Bias)[] layers = [.. Enumerable.Range(0, 3).Select(l =>
            (Integers(random, sizes[l] * sizes[l + 1]), l == 1 ? [] : Integers(random, sizes[l + 1])))];
        int[][] permutations = [Shuffle(12), Shuffle(7), []];
        (float[] Weight, float[] Bias)[] other = GroupReference.PermuteChain(layers, permutations);
        Assert.NotEqual(layers[1].Weight, other[1].Weight);
        Assert.Equal(layers[1].Bias, other[1].Bias); // none
        for (int run = 0; run < 20; run++)
        {
            float[] x = Integers(random, 5);
            Assert.Equal(Network(layers, x), Network(other, x));
        }

        // A permuted last layer has permuted outputs.
        permutations[2] = [2, 0, 1];
        other = GroupReference.PermuteChain(layers, permutations);
        float[] input = Integers(random, 5);
        float[] y = Network(layers, input);
        Assert.Equal([y[2], y[0], y[1]], Network(other, input));

        // Undone.
        (float[] Weight, float[] Bias)[] back = GroupReference.PermuteChain(
            other, [.. permutations.Select(p => GroupReference.Inverse(p))]);
        Assert.Equal(layers.SelectMany(l => l.Weight), back.SelectMany(l => l.Weight));
        Assert.Equal(layers.SelectMany(l => l.Bias), back.SelectMany(l => l.Bias));

        int[] Shuffle(int n) => [.. Enumerable.Range(0, n).OrderBy(_ => random.Next())];

        static float[] Network((float[] Weight, float[] Bias)[] layers, float[] x)
        {
            foreach ((float[] weight, float[] bias) in layers)
            {
                float[] input = x;
                x = [.. weight.Chunk(input.Length).Select((row, i) => Math.Max(
                    0, row.Zip(input, (a, b) => a * b).Sum() + (bias.Length == 0 ? 0 : bias[i])))];
            }

            return x;
        }
    }

    [Fact]
    public void Quantizing_in_groups_and_permuting_back_is_quantizing_each_row_by_its_group()
    {
        var random = new Random(4);
        float[] w = Gaussian(random, 12 * 8);
        (int[] permutation, int[] boundaries) = GroupReference.Group(w, 8, 3);
        float[] moved = GroupReference.PermuteRows<float>(w, 8, permutation);
        var shape = new CodebookShape(12, 8, 4, 1, QuantizationScope.Groups(boundaries, 8));
        float[] books = [.. Enumerable.Range(0, 3).SelectMany(_ => Ascending(random, 4, 2))];
        int[] index = GroupReference.PermuteRows<int>(
            AssignReference.Assign(shape, moved, books, []), 8, GroupReference.Inverse(permutation));
        for (int i = 0; i < index.Length; i++)
        {
            int place = Array.IndexOf(permutation, i / 8);
            int group = boundaries.Count(b => b <= place) - 1;
            Assert.Equal(new AssignReference(books.AsSpan(4 * group, 4)).Nearest(w[i], 1), index[i]);
        }
    }

    [Fact]
    public void Wrong_calls_are_refused()
    {
        Assert.Throws<ArgumentOutOfRangeException>("groups", () => GroupReference.Group([1, 2], 1, 3));
        Assert.Throws<ArgumentOutOfRangeException>("groups", () => GroupReference.Group([1, 2], 1, 0));
        Assert.Throws<ArgumentException>("w", () => GroupReference.Group([1, 2, 3], 2, 1));
        Assert.Throws<ArgumentException>("w", () => GroupReference.Group([1, float.NaN], 1, 1));
        Assert.Throws<ArgumentException>("permutation", () => GroupReference.PermuteRows<float>([1, 2], 1, [0, 0]));
        Assert.Throws<ArgumentException>("permutation", () => GroupReference.PermuteColumns<float>([1, 2], [0, 2]));
        Assert.Throws<ArgumentException>("permutation", () => GroupReference.Inverse([-1, 0]));
        Assert.Throws<ArgumentException>("permutations", () => GroupReference.PermuteChain([([1], [])], []));
    }
}
