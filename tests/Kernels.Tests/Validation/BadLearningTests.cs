using Kernels.VectorQuantization;

namespace Kernels.Tests.Validation;

/// <summary>Bad calls of what learns a codebook: 4 codes of length 4, for at most 4 rows.</summary>
public sealed partial class BadCallTests
{
    private static IEnumerable<BadCall> Learning() =>
        Shapes("SegmentSum", "segments", (f, rows, codes, d, heads) => new SegmentSum(f.Accelerator, rows, codes, d, heads))
            .Concat(Shapes("Ema", "codes", (f, rows, codes, d, heads) => new Ema(f.Accelerator, rows, codes, d, null, heads)))
            .Concat(Shapes("Restart", "codes", (f, rows, codes, d, heads) => new Restart(f.Accelerator, rows, codes, d, null, heads)))
            .Concat(Shapes("KMeans", "codes", (f, rows, codes, d, heads) => new KMeans(f.Accelerator, rows, codes, d, null, heads)))
            .Concat(Sums())
            .Concat(Restarts())
            .Concat(Usages())
            .Concat(Means())
            .Concat(Updates());

    private static IEnumerable<BadCall> Shapes(
        string type, string codes, Func<BadCallFixture, int, int, int, int, IDisposable> create)
    {
        foreach ((string what, string argument, int[] size) in new (string, string, int[])[]
        {
            ("no rows", "maxRows", [0, 4, 4, 1]), ("no codes", codes, [4, 0, 4, 1]),
            ("no dimension", "dimension", [4, 4, 0, 1]), ("no heads", "heads", [4, 4, 4, 0]),
            ("too many rows in all", "maxRows", [1 << 29, 4, 4, 4]), ("too many codes in all", codes, [4, 1 << 29, 4, 4]),
        })
        {
            yield return Bad<ArgumentOutOfRangeException>(
                $"{type}..ctor", what, argument, f => create(f, size[0], size[1], size[2], size[3]).Dispose());
        }
    }

    private static IEnumerable<BadCall> Sums()
    {
        yield return Bad<ArgumentNullException>("SegmentSum..ctor", "null", "accelerator", _ => new SegmentSum(null!, 1, 1, 1));
        yield return Sum<ArgumentNullException>("no stream", "stream", (f, s) => s.Sum(null!, f.P, Int(f.X, 4), f.M, Int(f.Y, 4), 4));
        yield return Sum<ArgumentException>("another's stream", "stream", (f, s) => s.Sum(f.Foreign.DefaultStream, f.P, Int(f.X, 4), f.M, Int(f.Y, 4), 4));
        yield return Sum<ArgumentException>("rows too long", "x", (f, s) => s.Sum(f.Stream, f.P, Int(f.X, 3), f.M, Int(f.Y, 4), 3));
        yield return Sum<ArgumentException>("index too short", "index", (f, s) => s.Sum(f.Stream, f.P, Int(f.X, 3), f.M, Int(f.Y, 4), 4));
        yield return Sum<ArgumentException>("sums too short", "sums", (f, s) => s.Sum(f.Stream, f.P, Int(f.X, 4), f.M.SubView(0, 15), Int(f.Y, 4), 4));
        yield return Sum<ArgumentException>("counts too short", "counts", (f, s) => s.Sum(f.Stream, f.P, Int(f.X, 4), f.M, Int(f.Y, 3), 4));
        yield return Sum<ArgumentException>("sums on the rows", "sums", (f, s) => s.Sum(f.Stream, f.M, Int(f.X, 4), f.M, Int(f.Y, 4), 4));
        yield return Sum<ArgumentException>("sums on the index", "sums", (f, s) => s.Sum(f.Stream, f.P, Int(f.M, 4), f.M, Int(f.Y, 4), 4));
        yield return Sum<ArgumentException>("counts on the rows", "counts", (f, s) => s.Sum(f.Stream, f.V, Int(f.X, 4), f.M, Int(f.V, 4), 4));
        yield return Sum<ArgumentException>("counts on the index", "counts", (f, s) => s.Sum(f.Stream, f.P, Int(f.X, 4), f.M, Int(f.X, 4), 4));
        yield return Sum<ArgumentException>("counts on the sums", "counts", (f, s) => s.Sum(f.Stream, f.P, Int(f.X, 4), f.M, Int(f.M, 4), 4));
        yield return Sum<ArgumentOutOfRangeException>("too many rows", "rows", (f, s) => s.Sum(f.Stream, f.P, Int(f.X, 5), f.M, Int(f.Y, 4), 5));
        yield return Sum<ArgumentException>("another device", "x", (f, s) => s.Sum(f.Stream, f.ForeignTensor.View, Int(f.X, 4), f.M, Int(f.Y, 4), 4));
        yield return Sum<ObjectDisposedException>("a disposed buffer", null, (f, s) => s.Sum(f.Stream, f.Disposed, Int(f.X, 4), f.M, Int(f.Y, 4), 4));
        yield return Sum<ObjectDisposedException>("disposed", null, (f, s) =>
        {
            s.Dispose();
            s.Sum(f.Stream, f.P, Int(f.X, 4), f.M, Int(f.Y, 4), 4);
        });
    }

    private static IEnumerable<BadCall> Updates()
    {
        yield return Reduced<ArgumentNullException>("no stream", "stream", (f, e) => e.UpdateFromSums(null!, f.M, Int(f.X, 4), f.P, f.Y.SubView(0, 4), f.V));
        yield return Reduced<ArgumentException>("sums too short", "sums", (f, e) => e.UpdateFromSums(f.Stream, f.M.SubView(0, 12), Int(f.X, 4), f.P, f.Y.SubView(0, 4), f.V));
        yield return Reduced<ArgumentException>("too few counts", "counts", (f, e) => e.UpdateFromSums(f.Stream, f.M, Int(f.X, 3), f.P, f.Y.SubView(0, 4), f.V));
        yield return Reduced<ArgumentException>("too few sizes", "clusterSize", (f, e) => e.UpdateFromSums(f.Stream, f.M, Int(f.X, 4), f.P, f.Y.SubView(0, 3), f.V));
        yield return Reduced<ArgumentException>("the batch's sums are the moving ones", null, (f, e) => e.UpdateFromSums(f.Stream, f.V, Int(f.X, 4), f.P, f.Y.SubView(0, 4), f.V));
        yield return Reduced<ArgumentException>("counts among the sizes", null, (f, e) => e.UpdateFromSums(f.Stream, f.M, Int(f.Y, 4), f.P, f.Y.SubView(0, 4), f.V));
        yield return Reduced<ObjectDisposedException>("disposed", null, (f, e) =>
        {
            e.Dispose();
            e.UpdateFromSums(f.Stream, f.M, Int(f.X, 4), f.P, f.Y.SubView(0, 4), f.V);
        });
        yield return Bad<ArgumentNullException>("Ema..ctor", "null", "accelerator", _ => new Ema(null!, 1, 1, 1));
        foreach (double bad in new[] { -0.1, 1.1, double.NaN })
        {
            yield return Bad<ArgumentOutOfRangeException>(
                "Ema..ctor", $"decay {bad}", "options", f => new Ema(f.Accelerator, 1, 1, 1, new EmaOptions { Decay = bad }));
        }

        foreach (double bad in new[] { -1e-9, double.PositiveInfinity, double.NaN })
        {
            yield return Bad<ArgumentOutOfRangeException>(
                "Ema..ctor", $"epsilon {bad}", "options", f => new Ema(f.Accelerator, 1, 1, 1, new EmaOptions { Epsilon = bad }));
        }

        yield return Update<ArgumentNullException>("no stream", "stream", (f, e) => e.Update(null!, f.P, Int(f.X, 4), f.G, f.Y.SubView(0, 4), f.M, 4));
        yield return Update<ArgumentException>("another's stream", "stream", (f, e) => e.Update(f.Foreign.DefaultStream, f.P, Int(f.X, 4), f.G, f.Y.SubView(0, 4), f.M, 4));
        yield return Update<ArgumentException>("rows too long", "x", (f, e) => e.Update(f.Stream, f.P, Int(f.X, 3), f.G, f.Y.SubView(0, 4), f.M, 3));
        yield return Update<ArgumentException>("index too short", "index", (f, e) => e.Update(f.Stream, f.P, Int(f.X, 3), f.G, f.Y.SubView(0, 4), f.M, 4));
        yield return Update<ArgumentException>("codes too short", "codes", (f, e) => e.Update(f.Stream, f.P, Int(f.X, 4), f.V.SubView(0, 12), f.Y.SubView(0, 4), f.M, 4));
        yield return Update<ArgumentException>("sizes too short", "clusterSize", (f, e) => e.Update(f.Stream, f.P, Int(f.X, 4), f.G, f.Y.SubView(0, 3), f.M, 4));
        yield return Update<ArgumentException>("sums too short", "clusterSum", (f, e) => e.Update(f.Stream, f.P, Int(f.X, 4), f.G, f.Y.SubView(0, 4), f.M.SubView(0, 15), 4));
        yield return Update<ArgumentException>("codes on the rows", "codes", (f, e) => e.Update(f.Stream, f.P, Int(f.X, 4), f.P, f.Y.SubView(0, 4), f.M, 4));
        yield return Update<ArgumentException>("sums on the codes", "clusterSum", (f, e) => e.Update(f.Stream, f.P, Int(f.X, 4), f.M, f.Y.SubView(0, 4), f.M, 4));
        yield return Update<ArgumentException>("sizes on the index", "clusterSize", (f, e) => e.Update(f.Stream, f.P, Int(f.X, 4), f.G, f.X.SubView(3, 4), f.M, 4));
        yield return Update<ArgumentOutOfRangeException>("too many rows", "rows", (f, e) => e.Update(f.Stream, f.P, Int(f.X, 5), f.G, f.Y.SubView(0, 4), f.M, 5));
        yield return Update<ArgumentException>("another device", "x", (f, e) => e.Update(f.Stream, f.ForeignTensor.View, Int(f.X, 4), f.G, f.Y.SubView(0, 4), f.M, 4));
        yield return Update<ObjectDisposedException>("a disposed buffer", null, (f, e) => e.Update(f.Stream, f.P, Int(f.X, 4), f.Disposed, f.Y.SubView(0, 4), f.M, 4));
        yield return Update<ObjectDisposedException>("disposed", null, (f, e) =>
        {
            e.Dispose();
            e.Update(f.Stream, f.P, Int(f.X, 4), f.G, f.Y.SubView(0, 4), f.M, 4);
        });
    }

    private static IEnumerable<BadCall> Restarts()
    {
        yield return Bad<ArgumentNullException>("Restart..ctor", "null", "accelerator", _ => new Restart(null!, 1, 1, 1));
        foreach (double bad in new[] { -1, double.NaN, double.PositiveInfinity })
        {
            yield return Bad<ArgumentOutOfRangeException>(
                "Restart..ctor", $"threshold {bad}", "options", f => new Restart(f.Accelerator, 1, 1, 1, new RestartOptions { Threshold = bad }));
            yield return Bad<ArgumentOutOfRangeException>(
                "Restart..ctor", $"reset {bad}", "options", f => new Restart(f.Accelerator, 1, 1, 1, new RestartOptions { Reset = bad }));
        }

        yield return Run<ArgumentNullException>("no stream", "stream", (f, r) => r.Run(null!, f.P, f.G, f.Y.SubView(0, 4), f.M, 4, 0));
        yield return Run<ArgumentException>("rows too long", "x", (f, r) => r.Run(f.Stream, f.P, f.G, f.Y.SubView(0, 4), f.M, 3, 0));
        yield return Run<ArgumentException>("index too short", "index", (f, r) => r.Run(f.Stream, f.P, f.G, f.Y.SubView(0, 4), f.M, 4, 0, Int(f.X, 3)));
        yield return Run<ArgumentException>("codes too short", "codes", (f, r) => r.Run(f.Stream, f.P, f.V.SubView(0, 12), f.Y.SubView(0, 4), f.M, 4, 0));
        yield return Run<ArgumentException>("sizes too short", "clusterSize", (f, r) => r.Run(f.Stream, f.P, f.G, f.Y.SubView(0, 3), f.M, 4, 0));
        yield return Run<ArgumentException>("sums too short", "clusterSum", (f, r) => r.Run(f.Stream, f.P, f.G, f.Y.SubView(0, 4), f.M.SubView(0, 3), 4, 0));
        yield return Run<ArgumentException>("codes on the rows", "codes", (f, r) => r.Run(f.Stream, f.P, f.P, f.Y.SubView(0, 4), f.M, 4, 0));
        yield return Run<ArgumentOutOfRangeException>("too many rows", "rows", (f, r) => r.Run(f.Stream, f.P, f.G, f.Y.SubView(0, 4), f.M, 5, 0));
        yield return Run<ArgumentOutOfRangeException>("a negative step", "step", (f, r) => r.Run(f.Stream, f.P, f.G, f.Y.SubView(0, 4), f.M, 4, -1));
        yield return Run<ArgumentException>("another device", "x", (f, r) => r.Run(f.Stream, f.ForeignTensor.View, f.G, f.Y.SubView(0, 4), f.M, 4, 0));
        yield return Run<ObjectDisposedException>("disposed", null, (f, r) =>
        {
            r.Dispose();
            r.Run(f.Stream, f.P, f.G, f.Y.SubView(0, 4), f.M, 4, 0);
        });
    }

    private static IEnumerable<BadCall> Usages()
    {
        yield return Bad<ArgumentNullException>("Usage..ctor", "null", "accelerator", _ => new Usage(null!, 1));
        yield return Bad<ArgumentOutOfRangeException>("Usage..ctor", "no codes", "codes", f => new Usage(f.Accelerator, 0));
        yield return Bad<ArgumentOutOfRangeException>("Usage..ctor", "no heads", "heads", f => new Usage(f.Accelerator, 1, 0));
        yield return Measure<ArgumentNullException>("no stream", "stream", (f, u) => u.Measure(null!, Int(f.X, 4), f.Y.SubView(0, 1)));
        yield return Measure<ArgumentException>("counts too short", "counts", (f, u) => u.Measure(f.Stream, Int(f.X, 3), f.Y.SubView(0, 1)));
        yield return Measure<ArgumentException>("usage too long", "usage", (f, u) => u.Measure(f.Stream, Int(f.X, 4), f.Y));
        yield return Measure<ArgumentException>("perplexity too long", "perplexity", (f, u) => u.Measure(f.Stream, Int(f.X, 4), f.Y.SubView(0, 1), f.M));
        yield return Measure<ArgumentException>("usage on the counts", "usage", (f, u) => u.Measure(f.Stream, Int(f.X, 4), f.X.SubView(0, 1)));
        yield return Measure<ArgumentException>("both in one place", "perplexity", (f, u) => u.Measure(f.Stream, Int(f.X, 4), f.Y.SubView(0, 1), f.Y.SubView(0, 1)));
        yield return Measure<ArgumentException>("another device", "usage", (f, u) => u.Measure(f.Stream, Int(f.X, 4), f.ForeignTensor.Floats.SubView(0, 1)));
        yield return Measure<ObjectDisposedException>("disposed", null, (f, u) =>
        {
            u.Dispose();
            u.Measure(f.Stream, Int(f.X, 4), f.Y.SubView(0, 1));
        });
        yield return Bad<ArgumentNullException>("UsageWindow..ctor", "null", "accelerator", _ => new UsageWindow(null!, 1, 1));
        yield return Bad<ArgumentOutOfRangeException>("UsageWindow..ctor", "no rows", "maxRows", f => new UsageWindow(f.Accelerator, 0, 1));
        yield return Window<ArgumentNullException>("no stream", "stream", (f, w) => w.Add(null!, Int(f.X, 4), 4));
        yield return Window<ArgumentException>("index too short", "index", (f, w) => w.Add(f.Stream, Int(f.X, 3), 4));
        yield return Window<ArgumentOutOfRangeException>("too many rows", "rows", (f, w) => w.Add(f.Stream, Int(f.X, 5), 5));
        yield return Window<ArgumentException>("usage too long", "usage", (f, w) => w.Measure(f.Stream, f.Y));
        yield return Window<ObjectDisposedException>("disposed", null, (f, w) =>
        {
            w.Dispose();
            w.Add(f.Stream, Int(f.X, 4), 4);
        });
    }

    private static IEnumerable<BadCall> Means()
    {
        yield return Bad<ArgumentNullException>("KMeans..ctor", "null", "accelerator", _ => new KMeans(null!, 1, 1, 1));
        yield return Bad<ArgumentOutOfRangeException>(
            "KMeans..ctor", "negative iterations", "options", f => new KMeans(f.Accelerator, 1, 1, 1, new KMeansOptions { Iterations = -1 }));
        yield return Fit<ArgumentNullException>("no stream", "stream", (f, k) => k.Fit(null!, f.P, f.M, 4));
        yield return Fit<ArgumentException>("rows too long", "x", (f, k) => k.Fit(f.Stream, f.P, f.M, 3));
        yield return Fit<ArgumentException>("codes too short", "codes", (f, k) => k.Fit(f.Stream, f.P, f.M.SubView(0, 12), 4));
        yield return Fit<ArgumentException>("mask too short", "mask", (f, k) => k.Fit(f.Stream, f.P, f.M, 4, Int(f.X, 3)));
        yield return Fit<ArgumentException>("codes on the rows", "codes", (f, k) => k.Fit(f.Stream, f.M, f.M, 4));
        yield return Fit<ArgumentException>("codes on the mask", "codes", (f, k) => k.Fit(f.Stream, f.P, f.M, 4, Int(f.M, 4)));
        yield return Fit<ArgumentOutOfRangeException>("too many rows", "rows", (f, k) => k.Fit(f.Stream, f.P, f.M, 5));
        yield return Fit<ArgumentException>("another device", "x", (f, k) => k.Fit(f.Stream, f.ForeignTensor.View, f.M, 4));
        yield return Fit<ObjectDisposedException>("disposed", null, (f, k) =>
        {
            k.Dispose();
            k.Fit(f.Stream, f.P, f.M, 4);
        });
    }

    private static BadCall Run<TException>(string what, string? argument, Action<BadCallFixture, Restart> call)
        where TException : Exception => Bad<TException>("Restart.Run", what, argument, f =>
        {
            using var restart = new Restart(f.Accelerator, 4, 4, 4);
            call(f, restart);
        });

    private static BadCall Measure<TException>(string what, string? argument, Action<BadCallFixture, Usage> call)
        where TException : Exception => Bad<TException>("Usage.Measure", what, argument, f =>
        {
            using var usage = new Usage(f.Accelerator, 4);
            call(f, usage);
        });

    private static BadCall Window<TException>(string what, string? argument, Action<BadCallFixture, UsageWindow> call)
        where TException : Exception => Bad<TException>("UsageWindow.Add", what, argument, f =>
        {
            using var window = new UsageWindow(f.Accelerator, 4, 4);
            call(f, window);
        });

    private static BadCall Fit<TException>(string what, string? argument, Action<BadCallFixture, KMeans> call)
        where TException : Exception => Bad<TException>("KMeans.Fit", what, argument, f =>
        {
            using var kMeans = new KMeans(f.Accelerator, 4, 4, 4);
            call(f, kMeans);
        });

    private static BadCall Sum<TException>(string what, string? argument, Action<BadCallFixture, SegmentSum> call)
        where TException : Exception => Bad<TException>("SegmentSum.Sum", what, argument, f =>
        {
            using var sum = new SegmentSum(f.Accelerator, 4, 4, 4);
            call(f, sum);
        });

    private static BadCall Update<TException>(string what, string? argument, Action<BadCallFixture, Ema> call)
        where TException : Exception => Bad<TException>("Ema.Update", what, argument, f =>
        {
            using var ema = new Ema(f.Accelerator, 4, 4, 4);
            call(f, ema);
        });

    private static BadCall Reduced<TException>(string what, string? argument, Action<BadCallFixture, Ema> call)
        where TException : Exception => Bad<TException>("Ema.UpdateFromSums", what, argument, f =>
        {
            using var ema = new Ema(f.Accelerator, 4, 4, 4);
            call(f, ema);
        });
}
