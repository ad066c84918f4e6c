using Kernels.VectorQuantization;

namespace Kernels.Tests.Validation;

/// <summary>Bad calls of what learns a codebook: 4 codes of length 4, for at most 4 rows.</summary>
public sealed partial class BadCallTests
{
    private static IEnumerable<BadCall> Learning() =>
        Shapes("SegmentSum", "segments", (f, rows, codes, d, heads) => new SegmentSum(f.Accelerator, rows, codes, d, heads))
            .Concat(Shapes("Ema", "codes", (f, rows, codes, d, heads) => new Ema(f.Accelerator, rows, codes, d, null, heads)))
            .Concat(Sums())
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
}
