using ILGPU.Runtime;
using Kernels.Optimizers;
using Kernels.References;
using Kernels.References.VectorQuantization;
using Kernels.Tests.Linear;
using Kernels.Tests.Support;
using Kernels.VectorQuantization;

namespace Kernels.Tests.VectorQuantization;

/// <summary>Residual vector quantization: every stage is a codebook over what the ones before have left.</summary>
public sealed class ResidualCodebookProperties
{
    private const int Stages = 3;

    private static readonly CodebookSettings[] s_settings =
        [new(), new() { Heads = 2 }, new() { Heads = 2, SharedHeads = true }, new() { Certified = true }];

    public static TheoryData<int> Settings() => [.. Enumerable.Range(0, s_settings.Length)];

    [Theory]
    [MemberData(nameof(Settings))]
    public void Every_stage_finds_the_codes_nearest_to_the_rest_and_the_sum_comes_back(int settings)
    {
        var c = new CodebookCase(40, 11, 5, s_settings[settings], settings);
        using ResidualCodebook book = Create(c, settings, out float[][] books);
        int[] index = new int[c.Entries * Stages];
        book.Encode(c.X, index);
        float[] output = new float[c.X.Length];
        book.Decode(index, output);
        float[] rest = [.. c.X];
        float[] sum = new float[rest.Length];
        for (int s = 0; s < Stages; s++)
        {
            int[] own = OfStage(c, index, s);
            new CodebookCase(c.Rows, c.Codes, c.Dimension, c.Settings, 0) { X = rest, Book = books[s] }.AssertNearest(own);
            Step(c, books[s], own, rest, sum);
        }

        Assert.Equal(sum, output);
        index[0] = -1;
        book.Decode(index, output);
        Assert.NotEqual(sum, output);
    }

    [Theory]
    [MemberData(nameof(Settings))]
    public void A_step_has_the_losses_and_gradients_of_its_stages(int settings)
    {
        const double Beta = 0.4;
        var c = new CodebookCase(
            30, 6, 4, s_settings[settings] with { Learning = CodebookLearning.Gradient, Commitment = Beta }, 30 + settings);
        using ResidualCodebook book = Create(c, settings, out float[][] books);
        int[] index = new int[c.Entries * Stages];
        float[] output = new float[c.X.Length];
        float[] gradX = new float[c.X.Length];
        CodebookLoss[] losses = book.Forward(c.X, output, index);
        book.Backward(c.Grad, gradX);
        int[] encoded = new int[index.Length];
        float[] decoded = new float[output.Length];
        var wantedX = Array.ConvertAll(c.Grad, g => (Bounded)g);
        float[] rest = [.. c.X];
        float[] sum = new float[rest.Length];
        for (int s = 0; s < Stages; s++)
        {
            int[] own = OfStage(c, index, s);
            int[] places = c.Places(own);
            (_, Bounded codebook, Bounded commitment, Bounded[] dx, int[] counts) =
                QuantizeReference.Evaluate(rest, books[s], places, c.Dimension, Beta);
            LinearDevice.AssertWithin([codebook, commitment], [losses[s].Codebook, losses[s].Commitment], $"loss {s}");
            LinearDevice.AssertWithin(
                QuantizeReference.CodebookGradient(rest, books[s], places, c.Dimension),
                CodebookCase.Values(book.Stage(s).Gradient), $"gradient {s}");
            Assert.Equal(counts, CodebookCase.Values(book.Stage(s).Counts));
            for (int i = 0; i < dx.Length; i++)
            {
                wantedX[i] += dx[i];
            }

            Step(c, books[s], own, rest, sum);
        }

        LinearDevice.AssertWithin(wantedX, gradX, "gradX");
        Assert.Equal(sum, output);
        book.Encode(c.X, encoded);
        book.Decode(encoded, decoded);
        Assert.Equal(index, encoded);
        Assert.Equal(output, decoded);
    }

    [Fact]
    public void Moving_means_of_every_stage_are_those_of_its_rests()
    {
        var c = new CodebookCase(50, 5, 4, new CodebookSettings { Learning = CodebookLearning.MovingMeans }, 50);
        using ResidualCodebook book = Create(c, 50, out float[][] books);
        int[] index = new int[c.Entries * Stages];
        book.Forward(c.X, new float[c.X.Length], index);
        book.Update();
        float[] rest = [.. c.X];
        for (int s = 0; s < Stages; s++)
        {
            int[] own = OfStage(c, index, s);
            Bounded[] codes = new EmaReference().Update(
                books[s], [.. Enumerable.Repeat(1f, c.Codes)], books[s], rest, own).Codes;
            LinearDevice.AssertWithin(codes, CodebookCase.Values(book.Stage(s).View), $"codes {s}");
            Step(c, books[s], own, rest, new float[rest.Length]);
        }
    }

    /// <summary>
    /// With a code of zeros in every stage, whose search is certified, |rest| grows by the rounding of r - e alone; of
    /// small integers it is never rounded.
    /// </summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void The_rest_does_not_grow_where_every_stage_has_a_code_of_zeros(bool integers)
    {
        const int N = 60, D = 6, K = 9, MaxStages = 5;
        var random = new Random(3);
        float[] Draw(int length) => [.. Enumerable.Range(0, length).Select(
            _ => integers ? random.Next(-9, 10) : (random.NextSingle() - 0.5f) * 3)];
        using var book = new ResidualCodebook(
            TestDevices.Session, MaxStages, K, D, new CodebookSettings { Certified = !integers });
        float[][] books = [.. Enumerable.Range(0, MaxStages).Select(_ => Draw(K * D))];
        for (int s = 0; s < MaxStages; s++)
        {
            books[s].AsSpan(4 * D, D).Clear();
            book.Stage(s).SetCodes(books[s]);
        }

        float[] x = Draw(N * D);
        int[] index = new int[N * MaxStages];
        book.Encode(x, index);
        int fell = 0;
        for (int row = 0; row < N; row++)
        {
            double before = double.PositiveInfinity;
            float[] rest = x[(row * D)..((row + 1) * D)];
            for (int s = 0; s <= MaxStages; s++)
            {
                double square = rest.Sum(r => (double)r * r);
                // (1 + u)^2, and the binary64 sums.
                Assert.True(square <= before * (integers ? 1 : 1 + (3 * Bounded.UnitRoundoff)), $"Row {row}, stage {s}.");
                fell += square < before ? 1 : 0;
                before = square;
                for (int i = 0; s < MaxStages && i < D; i++)
                {
                    rest[i] -= books[s][(index[(row * MaxStages) + s] * D) + i];
                }
            }
        }

        Assert.True(fell > 2 * N);
    }

    [Theory]
    [InlineData(CodebookLearning.Gradient)]
    [InlineData(CodebookLearning.MovingMeans)]
    public void Views_give_the_bits_of_spans(CodebookLearning learning)
    {
        var c = new CodebookCase(25, 7, 4, new CodebookSettings { Heads = 2, Learning = learning }, 60);
        Accelerator accelerator = TestDevices.Session.Accelerator;
        using ResidualCodebook spans = Create(c, 60, out _);
        using ResidualCodebook views = Create(c, 60, out _);
        int[] index = new int[c.Entries * Stages];
        float[] output = new float[c.X.Length];
        float[] gradX = new float[c.X.Length];
        CodebookLoss[] losses = spans.Forward(c.X, output, index);
        spans.Backward(c.Grad, gradX);
        using var x = new GuardedTensor(accelerator, c.X, 1);
        using var y = new GuardedTensor(accelerator, new float[c.X.Length], 2);
        using var grad = new GuardedTensor(accelerator, c.Grad);
        using var dx = new GuardedTensor(accelerator, new float[c.X.Length], 3);
        using var loss = new GuardedTensor(accelerator, new float[2 * Stages]);
        using GuardedTensor places = LearnCase.Integers(accelerator, new int[index.Length]);
        views.Forward(x.View, y.View, LearnCase.View(places), loss.Floats);
        views.Backward(x.View, LearnCase.View(places), grad.View, dx.View);
        views.Backward(x.View, LearnCase.View(places), grad.View, grad.View);
        TestDevices.Session.Synchronize();
        Assert.Equal(index, LearnCase.Values(places));
        Assert.Equal(output, y.Values());
        Assert.Equal(gradX, dx.Values());
        Assert.Equal(gradX, grad.Values());
        Assert.Equal(losses.SelectMany(l => new[] { l.Codebook, l.Commitment }), loss.Values());
        if (learning == CodebookLearning.MovingMeans)
        {
            spans.Update();
            views.Update(x.View, LearnCase.View(places));
        }

        Assert.Equal(CodebookCase.Saved(spans.Save), CodebookCase.Saved(views.Save));
        views.Encode(x.View, LearnCase.View(places));
        spans.Encode(c.X, index);
        views.Decode(LearnCase.View(places), y.View);
        spans.Decode(index, output);
        TestDevices.Session.Synchronize();
        Assert.Equal(index, LearnCase.Values(places));
        Assert.Equal(output, y.Values());
    }

    [Fact]
    public void Rows_of_16_bits_are_widened_first()
    {
        var c = new CodebookCase(20, 7, 6, new CodebookSettings(), 70);
        uint[] bits = RowCase.Bits(Storage.BF16, c.X);
        using ResidualCodebook book = Create(c, 70, out _);
        using var x = new GuardedTensor(TestDevices.Session.Accelerator, Storage.BF16, bits, 1);
        using GuardedTensor places = LearnCase.Integers(TestDevices.Session.Accelerator, new int[c.Entries * Stages]);
        book.Encode(c.X, new int[c.Entries * Stages]); // what is in the scratch memory must not matter
        book.Encode(x.View, LearnCase.View(places));
        TestDevices.Session.Synchronize();
        int[] index = new int[c.Entries * Stages];
        book.Encode(RowCase.Floats(Storage.BF16, bits), index);
        Assert.Equal(index, LearnCase.Values(places));
    }

    /// <summary>Every stage learns: the loss of the last falls.</summary>
    [Theory]
    [InlineData(CodebookLearning.Gradient)]
    [InlineData(CodebookLearning.MovingMeans)]
    public void Learns(CodebookLearning learning)
    {
        var random = new Random(5);
        float[] x = [.. Enumerable.Range(0, 200 * 4).Select(_ => random.NextSingle() - 0.5f)];
        using var book = new ResidualCodebook(
            TestDevices.Session, Stages, 8, 4, new CodebookSettings { Learning = learning });
        using Optimizer? optimizer = learning == CodebookLearning.Gradient
            ? new Optimizer(TestDevices.Session, new AdamOptions { LearningRate = 0.02 }, book.AsParameters())
            : null;
        float[] output = new float[x.Length];
        float[] losses = new float[41];
        for (int step = 0; step < losses.Length; step++)
        {
            losses[step] = book.Forward(x, output, new int[200 * Stages])[^1].Codebook;
            if (optimizer is null)
            {
                book.Update();
            }
            else
            {
                book.Backward([], output);
                optimizer.Step();
            }
        }

        Assert.InRange(losses[^1], 0, 0.5f * losses[0]);
    }

    [Fact]
    public void Starts_from_the_centres_of_what_is_left()
    {
        var c = new CodebookCase(120, 8, 3, new CodebookSettings { Heads = 2 }, 65);
        var options = new KMeansOptions { Seed = 2, Iterations = 4 };
        using ResidualCodebook book = Create(c, 65, out _);
        using Codebook single = c.Create();
        book.Fit(c.X, options);
        float[] rest = [.. c.X];
        int[] index = new int[c.Entries * Stages];
        book.Encode(c.X, index);
        for (int s = 0; s < Stages; s++)
        {
            single.Fit(rest, options);
            float[] codes = CodebookCase.Values(single.View);
            Assert.Equal(codes, CodebookCase.Values(book.Stage(s).View));
            double before = rest.Sum(r => (double)r * r);
            Step(c, codes, OfStage(c, index, s), rest, new float[rest.Length]);
            Assert.True(rest.Sum(r => (double)r * r) < before);
        }

        using ResidualCodebook views = Create(c, 66, out _);
        using var x = new GuardedTensor(TestDevices.Session.Accelerator, c.X);
        views.Fit(x.View, options);
        Assert.Equal(CodebookCase.Saved(book.Save), CodebookCase.Saved(views.Save));
    }

    [Fact]
    public void Comes_back_from_a_file_and_refuses_another_number_of_stages()
    {
        var settings = new CodebookSettings { Learning = CodebookLearning.MovingMeans };
        using var book = new ResidualCodebook(TestDevices.Session, 2, 4, 3, settings);
        using var other = new ResidualCodebook(TestDevices.Session, 2, 4, 3, settings with { Seed = 9 });
        using var more = new ResidualCodebook(TestDevices.Session, 3, 4, 3, settings);
        using var fewer = new ResidualCodebook(TestDevices.Session, 1, 4, 3, settings);
        byte[] file = CodebookCase.Saved(book.Save);
        Assert.NotEqual(CodebookCase.Values(book.Stage(0).View), CodebookCase.Values(book.Stage(1).View));
        Assert.NotEqual(file, CodebookCase.Saved(other.Save));
        other.Load(new MemoryStream(file));
        Assert.Equal(file, CodebookCase.Saved(other.Save));
        byte[] before = CodebookCase.Saved(more.Save);
        Assert.Contains(
            "lacks the tensor 'layers.2.embed'",
            Assert.Throws<InvalidDataException>(() => more.Load(new MemoryStream(file))).Message, StringComparison.Ordinal);
        Assert.Equal(before, CodebookCase.Saved(more.Save));
        Assert.Contains(
            "a tensor 'layers.1.embed'",
            Assert.Throws<InvalidDataException>(() => fewer.Load(new MemoryStream(file))).Message, StringComparison.Ordinal);
    }

    private static ResidualCodebook Create(CodebookCase c, int seed, out float[][] books)
    {
        var book = new ResidualCodebook(TestDevices.Session, Stages, c.Codes, c.Dimension, c.Settings);
        books =
        [
            .. Enumerable.Range(0, Stages).Select(s =>
                new CodebookCase(1, c.Codes, c.Dimension, c.Settings, (100 * seed) + s).Book),
        ];
        for (int s = 0; s < Stages; s++)
        {
            book.Stage(s).SetCodes(books[s]);
        }

        return book;
    }

    /// <summary>[rows, heads] of [rows, stages, heads].</summary>
    private static int[] OfStage(CodebookCase c, int[] index, int stage) =>
        LearnCase.OfHead(index, stage, Stages, c.Settings.Heads);

    /// <summary>sum += e, rest -= e, in binary32.</summary>
    private static void Step(CodebookCase c, float[] codes, int[] index, float[] rest, float[] sum)
    {
        int[] places = c.Places(index);
        for (int i = 0; i < rest.Length; i++)
        {
            int place = places[i / c.Dimension];
            float e = place < 0 ? 0 : codes[(place * c.Dimension) + (i % c.Dimension)];
            rest[i] -= e;
            sum[i] += e;
        }
    }
}
