using ILGPU.Runtime;
using Kernels.Optimizers;
using Kernels.References;
using Kernels.References.VectorQuantization;
using Kernels.Tests.Linear;
using Kernels.Tests.Support;
using Kernels.VectorQuantization;

namespace Kernels.Tests.VectorQuantization;

/// <summary>The codebook object: what its launchers do together.</summary>
public sealed class CodebookProperties
{
    private static readonly CodebookSettings[] s_settings =
    [
        new(), new() { Heads = 3 }, new() { Heads = 3, SharedHeads = true }, new() { Metric = CodeMetric.Cosine, Heads = 2 },
        new() { Metric = CodeMetric.Dot }, new() { Certified = true, Heads = 2 },
    ];

    public static TheoryData<int> Settings() => [.. Enumerable.Range(0, s_settings.Length)];

    [Theory]
    [MemberData(nameof(Settings))]
    public void Finds_the_nearest_codes_and_gives_them_back(int settings)
    {
        foreach ((int rows, int codes, int d) in new[] { (70, 20, 5), (1, 1, 1), (33, 300, 16) })
        {
            var c = new CodebookCase(rows, codes, d, s_settings[settings], settings);
            using Codebook book = c.Create();
            int[] index = new int[c.Entries];
            book.Encode(c.X, index);
            c.AssertNearest(index);
            float[] output = new float[c.X.Length];
            index[0] = codes;
            index[^1] = -1;
            book.Decode(index, output);
            for (int i = 0; i < index.Length; i++)
            {
                float[] wanted = index[i] < 0 || index[i] >= codes
                    ? new float[d]
                    : c.CodesOf(i % c.Books)[(index[i] * d)..((index[i] + 1) * d)];
                Assert.Equal(wanted, output[(i * d)..((i + 1) * d)]);
            }
        }
    }

    [Theory]
    [MemberData(nameof(Settings))]
    public void A_step_has_the_losses_and_gradients_of_the_oracle(int settings)
    {
        const double Beta = 0.4;
        var c = new CodebookCase(
            50, 9, 6, s_settings[settings] with { Commitment = Beta, Learning = CodebookLearning.Gradient }, 10 + settings);
        c.X[2] = float.NaN;
        using Codebook book = c.Create();
        float[] output = new float[c.X.Length];
        float[] gradX = new float[c.X.Length];
        int[] index = new int[c.Entries];
        CodebookLoss loss = book.Forward(c.X, output, index);
        book.Backward(c.Grad, gradX);
        Assert.Equal(-1, index[0]);
        c.AssertNearest(index);
        int[] places = c.Places(index);
        float[] clean = [.. c.X];
        clean[2] = 0; // of a row that does not count
        (Bounded[] e, Bounded codebook, Bounded commitment, Bounded[] dx, int[] counts) =
            QuantizeReference.Evaluate(clean, c.Book, places, c.Dimension, Beta, c.Grad);
        Assert.Equal(Array.ConvertAll(e, value => (float)value.Value), output);
        LinearDevice.AssertWithin([codebook, commitment], [loss.Codebook, loss.Commitment], "loss");
        LinearDevice.AssertWithin(dx, gradX, "gradX");
        Assert.Equal(counts, CodebookCase.Values(book.Counts));
        LinearDevice.AssertWithin(
            QuantizeReference.CodebookGradient(clean, c.Book, places, c.Dimension), CodebookCase.Values(book.Gradient),
            "gradient");
        for (int head = 0; head < c.Books; head++)
        {
            CodebookUsage usage = book.Usage(head);
            int[] own = counts[(head * c.Codes)..((head + 1) * c.Codes)];
            Assert.Equal(own.Count(n => n > 0), usage.Used);
            Assert.True(UsageReference.Usage(own).Admits((float)usage.Share));
            Assert.True(UsageReference.Perplexity(own).Admits((float)usage.Perplexity));
        }

        book.Backward([], gradX);
        dx = QuantizeReference.Evaluate(clean, c.Book, places, c.Dimension, Beta).GradX;
        LinearDevice.AssertWithin(dx, gradX, "gradX of the commitment alone");
    }

    [Theory]
    [MemberData(nameof(Settings))]
    public void Moving_means_are_those_of_the_oracle(int settings)
    {
        var means = new EmaOptions { Decay = 0.7, Epsilon = 1e-3 };
        var c = new CodebookCase(
            60, 7, 5, s_settings[settings] with { Learning = CodebookLearning.MovingMeans, MovingMeans = means },
            20 + settings);
        using Codebook book = c.Create();
        int[] index = new int[c.Entries];
        book.Forward(c.X, new float[c.X.Length], index);
        book.Update();
        float[][] got =
            [CodebookCase.Values(book.View), CodebookCase.Values(book.ClusterSize), CodebookCase.Values(book.ClusterSum)];
        for (int b = 0; b < c.Books; b++)
        {
            float[] ones = [.. Enumerable.Repeat(1f, c.Codes)];
            (Bounded[] codes, Bounded[] size, Bounded[] sum) = new EmaReference(means.Decay, means.Epsilon).Update(
                c.CodesOf(b), ones, c.CodesOf(b), c.OfBook(c.X, b, c.Dimension), c.OfBook(index, b, 1));
            LinearDevice.AssertWithin(codes, Part(got[0], b, codes.Length), "codes");
            LinearDevice.AssertWithin(size, Part(got[1], b, size.Length), "sizes");
            LinearDevice.AssertWithin(sum, Part(got[2], b, sum.Length), "sums");
        }

        static float[] Part(float[] all, int book, int length) => all[(book * length)..((book + 1) * length)];
    }

    [Theory]
    [InlineData(CodebookLearning.None)]
    [InlineData(CodebookLearning.Gradient)]
    [InlineData(CodebookLearning.MovingMeans)]
    public void Views_give_the_bits_of_spans_whatever_batch_came_before(CodebookLearning learning)
    {
        var c = new CodebookCase(90, 12, 7, new CodebookSettings { Heads = 2, Learning = learning }, 3);
        Accelerator accelerator = TestDevices.Session.Accelerator;
        using Codebook spans = c.Create();
        using Codebook views = c.Create();
        float[] output = new float[c.X.Length];
        float[] gradX = new float[c.X.Length];
        int[] index = new int[c.Entries];
        CodebookLoss loss = spans.Forward(c.X, output, index);
        spans.Backward(c.Grad, gradX);
        using var x = new GuardedTensor(accelerator, c.X, 1);
        using var small = new GuardedTensor(accelerator, c.X[..(3 * spans.RowLength)], 1);
        using var grad = new GuardedTensor(accelerator, c.Grad, 3);
        using var y = new GuardedTensor(accelerator, new float[c.X.Length]);
        using var losses = new GuardedTensor(accelerator, new float[2]);
        using var distance = new GuardedTensor(accelerator, new float[c.Entries]);
        using GuardedTensor places = LearnCase.Integers(accelerator, new int[c.Entries]);
        views.Encode(small.View, LearnCase.View(places).SubView(0, 6));
        views.Forward(x.View, y.View, LearnCase.View(places), losses.Floats);
        views.Backward(x.View, LearnCase.View(places), grad.View, grad.View);
        TestDevices.Session.Synchronize();
        Assert.Equal(index, LearnCase.Values(places));
        Assert.Equal(output, y.Values());
        Assert.Equal(gradX, grad.Values());
        Assert.Equal([loss.Codebook, loss.Commitment], losses.Values());
        Assert.Equal(CodebookCase.Values(spans.Counts), CodebookCase.Values(views.Counts));
        if (learning == CodebookLearning.Gradient)
        {
            Assert.Equal(CodebookCase.Values(spans.Gradient), CodebookCase.Values(views.Gradient));
        }
        else if (learning == CodebookLearning.MovingMeans)
        {
            spans.Update();
            views.Update(x.View, LearnCase.View(places));
            Assert.Equal(CodebookCase.Values(spans.View), CodebookCase.Values(views.View));
        }

        views.Encode(x.View, LearnCase.View(places), distance.Floats);
        spans.Encode(c.X, index);
        views.Decode(LearnCase.View(places), y.View);
        spans.Decode(index, output);
        TestDevices.Session.Synchronize();
        Assert.Equal(index, LearnCase.Values(places));
        Assert.Equal(output, y.Values());
        Assert.All(distance.Values(), value => Assert.True(value >= 0));
    }

    [Theory]
    [InlineData(Storage.F16)]
    [InlineData(Storage.BF16)]
    public void Rows_of_16_bits_have_the_bits_of_the_same_rows_in_32(Storage storage)
    {
        var c = new CodebookCase(40, 8, 12, new CodebookSettings { Learning = CodebookLearning.Gradient }, 5);
        Accelerator accelerator = TestDevices.Session.Accelerator;
        uint[] bits = RowCase.Bits(storage, c.X);
        using var x = new GuardedTensor(accelerator, storage, bits, 1);
        using var wide = new GuardedTensor(accelerator, RowCase.Floats(storage, bits));
        using GuardedTensor index = LearnCase.Integers(accelerator, new int[c.Entries]);
        using GuardedTensor wideIndex = LearnCase.Integers(accelerator, new int[c.Entries]);
        using Codebook book = c.Create();
        using Codebook wideBook = c.Create();
        book.Encode(x.View, LearnCase.View(index));
        wideBook.Encode(wide.View, LearnCase.View(wideIndex));
        for (int pass = 0; pass < 2; pass++)
        {
            book.Backward(x.View, LearnCase.View(index), default, default);
            wideBook.Backward(wide.View, LearnCase.View(wideIndex), default, default);
        }

        Assert.Equal(LearnCase.Values(wideIndex), LearnCase.Values(index));
        Assert.Equal(CodebookCase.Values(wideBook.Gradient), CodebookCase.Values(book.Gradient));
    }

    [Fact]
    public void No_rows_are_no_reason_to_fail()
    {
        using var book = new Codebook(
            TestDevices.Session, 4, 3, new CodebookSettings { Learning = CodebookLearning.Gradient });
        book.Encode([], []);
        book.Decode(ReadOnlySpan<int>.Empty, []);
        Assert.Equal(new CodebookLoss(0, 0), book.Forward([], [], []));
        book.Backward([], []);
        Assert.Equal(new float[12], CodebookCase.Values(book.Gradient));
        Assert.Equal(new CodebookUsage(0, 0, 1), book.Usage());
        using var means = new Codebook(
            TestDevices.Session, 4, 3, new CodebookSettings { Learning = CodebookLearning.MovingMeans });
        float[] before = CodebookCase.Values(means.View);
        means.Forward([], [], []);
        means.Update();
        Assert.Equal(before, CodebookCase.Values(means.View));
    }

    [Fact]
    public void Starts_uniform_by_the_seed()
    {
        const int K = 1000;
        using var book = new Codebook(TestDevices.Session, K, 7, new CodebookSettings { Seed = 5 });
        using var same = new Codebook(TestDevices.Session, K, 7, new CodebookSettings { Seed = 5 });
        using var other = new Codebook(TestDevices.Session, K, 7, new CodebookSettings { Seed = 6 });
        float[] codes = new float[K * 7];
        book.GetCodes(codes);
        Assert.Equal(codes, CodebookCase.Values(same.View));
        Assert.NotEqual(codes, CodebookCase.Values(other.View));
        Assert.All(codes, code => Assert.InRange(code, -1f / K, 1f / K));
        // A mean of 7,000 numbers of variance 1/3: five of its deviations, and likewise of the squares.
        Assert.InRange(codes.Average() * K, -5 * 0.0069, 5 * 0.0069);
        Assert.InRange(codes.Average(code => code * code) * K * K, (1 / 3.0) - (5 * 0.0036), (1 / 3.0) + (5 * 0.0036));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void The_gradient_turns_where_the_settings_say_so(int heads)
    {
        const double Beta = 0.4;
        var c = new CodebookCase(
            30, 6, 5, new CodebookSettings { Rotation = true, Commitment = Beta, Heads = heads }, 80 + heads);
        using Codebook book = c.Create();
        int[] index = new int[c.Entries];
        float[] output = new float[c.X.Length];
        float[] gradX = new float[c.X.Length];
        book.Forward(c.X, output, index);
        book.Backward(c.Grad, gradX);
        Bounded[] turned = RotateReference.Evaluate(c.X, output, c.Grad, c.Dimension).GradX;
        Bounded[] commitment = QuantizeReference.Evaluate(c.X, c.Book, c.Places(index), c.Dimension, Beta).GradX;
        LinearDevice.AssertWithin(
            [.. turned.Zip(commitment, (t, m) => t + m)], gradX, "gradX");
        book.Backward([], gradX);
        LinearDevice.AssertWithin(commitment, gradX, "of the commitment alone");
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Dead_codes_start_again_from_rows(bool shared)
    {
        const double Threshold = 1.5;
        var settings = new CodebookSettings
        {
            Heads = 2,
            SharedHeads = shared,
            Learning = CodebookLearning.MovingMeans,
            Restart = new RestartOptions { Threshold = Threshold, Seed = 3 },
        };
        var c = new CodebookCase(60, 20, 4, settings, 90);
        using Codebook book = c.Create();
        using var plain = new Codebook(
            TestDevices.Session, c.Codes, c.Dimension, settings with { Restart = null });
        plain.SetCodes(c.Book);
        int restarted = 0;
        int[] index = new int[c.Entries];
        float[] output = new float[c.X.Length];
        book.Forward(c.X, output, index);
        book.Update();
        plain.Forward(c.X, output, index);
        plain.Update();
        for (int b = 0; b < c.Books; b++)
        {
            float[] size = Part(CodebookCase.Values(plain.ClusterSize), b, c.Codes);
            restarted += RestartReference.IsDead(size, Threshold).Count(dead => dead);
            Assert.True(RestartReference.Admits(
                Part(CodebookCase.Values(plain.View), b, c.Codes * c.Dimension),
                Part(CodebookCase.Values(book.View), b, c.Codes * c.Dimension), size, Threshold,
                c.OfBook(c.X, b, c.Dimension), c.OfBook(index, b, 1)));
        }

        Assert.True(restarted > 0);
        // Other rows at another step.
        float[] first = CodebookCase.Values(book.View);
        book.SetCodes(c.Book);
        book.Forward(c.X, output, index);
        book.Update();
        Assert.NotEqual(first, CodebookCase.Values(book.View));

        static float[] Part(float[] all, int book, int length) => all[(book * length)..((book + 1) * length)];
    }

    [Theory]
    [InlineData(CodebookLearning.None, false)]
    [InlineData(CodebookLearning.MovingMeans, true)]
    public void Starts_from_the_centres_of_rows(CodebookLearning learning, bool shared)
    {
        var c = new CodebookCase(
            80, 6, 3, new CodebookSettings { Heads = 2, SharedHeads = shared, Learning = learning }, 95);
        var options = new KMeansOptions { Seed = 4, Iterations = 3 };
        using Codebook book = c.Create();
        book.Fit(c.X, options);
        Accelerator accelerator = TestDevices.Session.Accelerator;
        using var x = new GuardedTensor(accelerator, c.X);
        using var codes = new GuardedTensor(accelerator, c.Book);
        using var means = new KMeans(
            accelerator, c.Entries / c.Books, c.Codes, c.Dimension, options, c.Books);
        means.Fit(TestDevices.Session.Stream, x.View, codes.Floats, c.Entries / c.Books);
        TestDevices.Session.Synchronize();
        Assert.Equal(codes.Values(), CodebookCase.Values(book.View));
        using Codebook views = c.Create();
        views.Fit(x.View, options);
        Assert.Equal(codes.Values(), CodebookCase.Values(views.View));
        if (learning == CodebookLearning.MovingMeans)
        {
            Assert.Equal(codes.Values(), CodebookCase.Values(book.ClusterSum));
            Assert.All(CodebookCase.Values(book.ClusterSize), size => Assert.Equal(1f, size));
        }

        views.Fit([], options);
        Assert.Equal(codes.Values(), CodebookCase.Values(views.View));
    }

    /// <summary>Four clusters, four codes: the loss must come down to the clusters' own variance.</summary>
    [Theory]
    [InlineData(CodebookLearning.Gradient)]
    [InlineData(CodebookLearning.MovingMeans)]
    public void Learns_the_means_of_clusters(CodebookLearning learning)
    {
        const int N = 256, D = 2;
        var random = new Random(1);
        float[] x = new float[N * D];
        for (int i = 0; i < N; i++)
        {
            x[i * D] = (i % 2 == 0 ? 1 : -1) + (0.05f * (random.NextSingle() - 0.5f));
            x[(i * D) + 1] = (i / 2 % 2 == 0 ? 1 : -1) + (0.05f * (random.NextSingle() - 0.5f));
        }

        using var book = new Codebook(TestDevices.Session, 4, D, new CodebookSettings { Learning = learning });
        book.SetCodes([0.1f, 0.1f, 0.1f, -0.1f, -0.1f, 0.1f, -0.1f, -0.1f]);
        using Optimizer? optimizer = learning == CodebookLearning.Gradient
            ? new Optimizer(TestDevices.Session, new SgdOptions { LearningRate = 2 }, [book.AsParameter()])
            : null;
        float[] output = new float[x.Length];
        int[] index = new int[N];
        float first = book.Forward(x, output, index).Codebook;
        float last = first;
        for (int step = 0; step < 30; step++)
        {
            if (optimizer is not null)
            {
                book.Backward([], output);
                optimizer.Step();
            }
            else
            {
                book.Update();
            }

            last = book.Forward(x, output, index).Codebook;
        }

        Assert.InRange(first, 0.7f, 0.9f);
        Assert.InRange(last, 0f, 0.05f * 0.05f / 12 * 1.5f);
        Assert.Equal(new CodebookUsage(4, 1, 4), book.Usage() with { Perplexity = Math.Round(book.Usage().Perplexity, 9) });
    }

    [Fact]
    public void Calls_of_views_allocate_no_managed_memory()
    {
        Accelerator accelerator = TestDevices.Session.Accelerator;
        foreach (CodebookLearning learning in Enum.GetValues<CodebookLearning>())
        {
            var c = new CodebookCase(64, 16, 8, new CodebookSettings { Learning = learning, Rotation = true }, 7);
            using var x = new GuardedTensor(accelerator, c.X);
            using var y = new GuardedTensor(accelerator, c.X);
            using var grad = new GuardedTensor(accelerator, c.Grad);
            using GuardedTensor index = LearnCase.Integers(accelerator, new int[c.Entries]);
            using Codebook book = c.Create();
            Allocations.AssertNone(accelerator, Step);

            void Step()
            {
                book.Encode(x.View, LearnCase.View(index));
                book.Decode(LearnCase.View(index), y.View);
                book.Forward(x.View, y.View, LearnCase.View(index));
                book.Backward(x.View, LearnCase.View(index), grad.View, grad.View);
                if (learning == CodebookLearning.MovingMeans)
                {
                    book.Update(x.View, LearnCase.View(index));
                }
            }
        }
    }
}
