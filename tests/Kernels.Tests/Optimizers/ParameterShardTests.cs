using FsCheck.Xunit;
using Kernels.Optimizers;
using Kernels.Tests.Support;

namespace Kernels.Tests.Optimizers;

/// <summary>Parameters and their state, shared out over several optimizers as over several processes.</summary>
public sealed class ParameterShardTests
{
    private static readonly int[] s_lengths = [300, 3, 1024, 7, 256, 33, 1];

    public static TheoryData<OptimizerOptions> Algorithms() =>
    [
        new AdamWOptions { LearningRate = 0.01 },
        new SgdOptions { LearningRate = 0.01, Momentum = 0.9 },
        new DiffGradOptions { LearningRate = 0.01 },
        new LambOptions { LearningRate = 0.01 },
    ];

    [Property]
    public bool No_shard_has_more_than_twice_what_the_best_must_have(byte[] lengths, byte number)
    {
        int shards = (number % 7) + 1;
        long[] wide = Array.ConvertAll(lengths, length => (long)length);
        int[] shardOf = ParameterShards.Divide(wide, shards);
        var loads = new long[shards];
        for (int i = 0; i < wide.Length; i++)
        {
            loads[shardOf[i]] += wide[i];
        }

        // The best division's largest shard has at least the mean, and at least the longest. Whoever gets a parameter had
        // at most the mean before.
        double least = Math.Max(wide.Sum() / (double)shards, wide.DefaultIfEmpty().Max());
        return loads.Max() <= 2 * least && shardOf.SequenceEqual(ParameterShards.Divide(wide, shards));
    }

    [Fact]
    public void The_longest_go_first_and_each_to_the_emptiest()
    {
        Assert.Equal([0, 1, 1, 0], ParameterShards.Divide([7, 5, 4, 3], 2));
        Assert.Equal([0, 1, 2, 2, 0], ParameterShards.Divide([3, 3, 2, 2, 2], 3));
        Assert.Equal([0, 0], ParameterShards.Divide([1, 1], 1));
        Assert.Equal([0], ParameterShards.Divide([5], 1000));
        Assert.Empty(ParameterShards.Divide([], 4));
    }

    /// <summary>Three optimizers, two steps; two from their files, two more steps; one from theirs, one more.</summary>
    [Theory]
    [MemberData(nameof(Algorithms))]
    public void Shards_step_to_the_bits_of_one_optimizer_through_files_of_other_numbers(OptimizerOptions options)
    {
        using var whole = new Optimizer(TestDevices.Session, options, Parameters(_ => true));
        Train(whole, 5);
        byte[][] files = [];
        foreach ((int shards, int steps) in new[] { (3, 2), (2, 2), (1, 1) })
        {
            int[] shardOf = ParameterShards.Divide([.. s_lengths.Select(n => (long)n)], shards);
            var next = new List<byte[]>();
            for (int shard = 0; shard < shards; shard++)
            {
                using var part = new Optimizer(TestDevices.Session, options, Parameters(i => shardOf[i] == shard));
                if (files.Length > 0)
                {
                    part.LoadShards([.. files.Select(file => new MemoryStream(file))]);
                }

                Train(part, steps);
                next.Add(Saved(part));
            }

            files = [.. next];
        }

        Assert.Equal(Saved(whole), Assert.Single(files));
    }

    [Fact]
    public void Files_that_do_not_fit_are_refused_and_change_nothing()
    {
        var options = new AdamWOptions();
        using var some = new Optimizer(TestDevices.Session, options, Parameters(i => i < 3));
        using var rest = new Optimizer(TestDevices.Session, options, Parameters(i => i >= 3));
        using var later = new Optimizer(TestDevices.Session, options, Parameters(i => i >= 3));
        using var lion = new Optimizer(TestDevices.Session, new LionOptions(), Parameters(i => i >= 3));
        using var all = new Optimizer(TestDevices.Session, options, Parameters(_ => true));
        Train(later, 1);
        byte[] before = Saved(all);
        foreach ((Optimizer[] given, string reason) in new (Optimizer[], string)[]
            {
                ([some], "The file lacks"), ([some, lion], "LionOptions"), ([some, some, rest], "Two of the files"),
                ([some, later], "different steps"),
            })
        {
            Stream[] files = [.. given.Select(optimizer => new MemoryStream(Saved(optimizer)))];
            var refusal = Assert.Throws<InvalidDataException>(() => all.LoadShards(files));
            Assert.Contains(reason, refusal.Message, StringComparison.Ordinal);
            Assert.Equal(before, Saved(all));
        }

        all.LoadShards(new MemoryStream(Saved(rest)), new MemoryStream(Saved(some)));
        Assert.Equal(before, Saved(all));
    }

    [Fact]
    public void One_state_for_all_parameters_has_no_shards()
    {
        using var norm = new Optimizer(
            TestDevices.Session, new AdaGradNormOptions { LearningRate = 1 }, [new Parameter("a", 3)]);
        byte[] file = Saved(norm);
        Assert.Throws<InvalidOperationException>(() => norm.LoadShards(new MemoryStream(file)));
    }

    private static Parameter[] Parameters(Func<int, bool> has) =>
    [
        .. Enumerable.Range(0, s_lengths.Length).Where(has)
            .Select(i => new Parameter($"p{i}", new Draw(100 + i).Floats(s_lengths[i]))),
    ];

    private static void Train(Optimizer optimizer, int steps)
    {
        foreach (Parameter parameter in optimizer.Parameters)
        {
            optimizer.SetGradient(parameter.Name, new Draw((int)parameter.Length).Floats((int)parameter.Length));
        }

        for (int step = 0; step < steps; step++)
        {
            optimizer.Step();
        }
    }

    private static byte[] Saved(Optimizer optimizer)
    {
        using var stream = new MemoryStream();
        optimizer.Save(stream);
        return stream.ToArray();
    }
}
