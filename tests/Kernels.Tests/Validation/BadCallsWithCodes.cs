using ILGPU;
using Kernels.VectorQuantization;

namespace Kernels.Tests.Validation;

public sealed partial class BadCallTests
{
    private static IEnumerable<BadCall> WithCodes()
    {
        yield return Bad<ArgumentNullException>("NearestCode..ctor", "null", "accelerator", _ => new NearestCode(null!, 1, 1, 1));
        yield return Bad<ArgumentOutOfRangeException>("NearestCode..ctor", "no rows", "maxRows", f => new NearestCode(f.Accelerator, 0, 1, 1));
        yield return Bad<ArgumentOutOfRangeException>("NearestCode..ctor", "no codes", "codes", f => new NearestCode(f.Accelerator, 1, 0, 1));
        yield return Bad<ArgumentOutOfRangeException>("NearestCode..ctor", "no dimension", "dimension", f => new NearestCode(f.Accelerator, 1, 1, 0));
        yield return Bad<ArgumentOutOfRangeException>("NearestCode..ctor", "no heads", "heads", f => new NearestCode(f.Accelerator, 1, 1, 1, heads: 0));
        yield return Bad<ArgumentOutOfRangeException>("NearestCode..ctor", "a negative split", "splits", f => new NearestCode(f.Accelerator, 1, 1, 1, splits: -1));
        yield return Bad<ArgumentOutOfRangeException>("NearestCode..ctor", "no code to find", "top", f => new NearestCode(f.Accelerator, 1, 1, 1, top: 0));
        yield return Bad<ArgumentOutOfRangeException>("NearestCode..ctor", "too many codes to find", "top", f => new NearestCode(f.Accelerator, 1, 64, 1, top: 33));
        yield return Bad<ArgumentException>("NearestCode..ctor", "several certified codes", "certified", f => new NearestCode(f.Accelerator, 1, 4, 1, certified: true, top: 2));
        yield return Bad<ArgumentOutOfRangeException>("NearestCode..ctor", "no such metric", "metric", f => new NearestCode(f.Accelerator, 1, 1, 1, (CodeMetric)9));
        yield return Search<ArgumentNullException>("no stream", "stream", (f, n) => n.Search(null!, f.P, f.G, Int(f.X, 4), 4));
        yield return Search<ArgumentException>("rows too short", "x", (f, n) => n.Search(f.Stream, f.P, f.G, Int(f.X, 3), 3));
        yield return Search<ArgumentException>("codes too short", "codes", (f, n) => n.Search(f.Stream, f.P, f.M.SubView(0, 12), Int(f.X, 4), 4));
        yield return Search<ArgumentException>("index too short", "index", (f, n) => n.Search(f.Stream, f.P, f.G, Int(f.X, 3), 4));
        yield return Search<ArgumentException>("distance too long", "distance", (f, n) => n.Search(f.Stream, f.P, f.G, Int(f.X, 4), 4, f.Y));
        yield return Search<ArgumentException>("margin too long", "margin", (f, n) => n.Search(f.Stream, f.P, f.G, Int(f.X, 4), 4, margin: f.Y));
        yield return Search<ArgumentException>("score too long", "score", (f, n) => n.Search(f.Stream, f.P, f.G, Int(f.X, 4), 4, score: f.Y));
        yield return Search<ArgumentException>("scores among the rows", null, (f, n) => n.Search(f.Stream, f.M, f.G, Int(f.X, 4), 4, score: f.M.SubView(0, 4)));
        yield return Bad<ArgumentException>("NearestCode.Search", "scores of a certified search", "score", f =>
        {
            using var nearest = new NearestCode(f.Accelerator, 4, 4, 4, certified: true);
            nearest.Search(f.Stream, f.P, f.G, Int(f.X, 4), 4, score: f.Y.SubView(0, 4));
        });
        yield return Bad<ArgumentNullException>("NearestMerge..ctor", "null", "accelerator", _ => new NearestMerge(null!));
        yield return Merge<ArgumentNullException>("no stream", "stream", (f, m) => m.Merge(null!, Int(f.M, 8), f.V.SubView(0, 8), Int(f.X, 2), Int(f.Y, 4), 4));
        yield return Merge<ArgumentOutOfRangeException>("negative results", "results", (f, m) => m.Merge(f.Stream, Int(f.M, 8), f.V.SubView(0, 8), Int(f.X, 2), Int(f.Y, 4), -1));
        yield return Merge<ArgumentOutOfRangeException>("too many codes to find", "top", (f, m) => m.Merge(f.Stream, Int(f.M, 8), f.V.SubView(0, 8), Int(f.X, 2), Int(f.Y, 4), 4, top: 33));
        yield return Merge<ArgumentOutOfRangeException>("no shard", null, (f, m) => m.Merge(f.Stream, Int(f.M, 8), f.V.SubView(0, 8), Int(f.X, 0), Int(f.Y, 4), 4));
        yield return Merge<ArgumentException>("too few indices", "shardIndex", (f, m) => m.Merge(f.Stream, Int(f.M, 7), f.V.SubView(0, 8), Int(f.X, 2), Int(f.Y, 4), 4));
        yield return Merge<ArgumentException>("too few scores", "shardScore", (f, m) => m.Merge(f.Stream, Int(f.M, 8), f.V.SubView(0, 7), Int(f.X, 2), Int(f.Y, 4), 4));
        yield return Merge<ArgumentException>("too short a result", "index", (f, m) => m.Merge(f.Stream, Int(f.M, 8), f.V.SubView(0, 8), Int(f.X, 2), Int(f.Y, 3), 4));
        yield return Merge<ArgumentException>("no distances to take from", "shardDistance", (f, m) => m.Merge(f.Stream, Int(f.M, 8), f.V.SubView(0, 8), Int(f.X, 2), Int(f.Y, 4), 4, distance: f.Y.SubView(4, 4)));
        yield return Merge<ArgumentException>("the result on the scores", null, (f, m) => m.Merge(f.Stream, Int(f.M, 8), f.V.SubView(0, 8), Int(f.X, 2), Int(f.V, 4), 4));
        yield return Merge<ArgumentException>("outputs on each other", null, (f, m) => m.Merge(f.Stream, Int(f.M, 8), f.V.SubView(0, 8), Int(f.X, 2), Int(f.Y, 4), 4, score: f.Y.SubView(2, 4)));
        yield return Search<ArgumentException>("an output on a code", null, (f, n) => n.Search(f.Stream, f.P, f.M, Int(f.M, 4), 4));
        yield return Search<ArgumentException>("outputs on each other", null, (f, n) => n.Search(f.Stream, f.P, f.G, Int(f.X, 4), 4, f.X.SubView(2, 4)));
        yield return Search<ArgumentOutOfRangeException>("too many rows", "rows", (f, n) => n.Search(f.Stream, f.P, f.G, Int(f.X, 5), 5));
        yield return Search<ArgumentException>("another device", "x", (f, n) => n.Search(f.Stream, f.ForeignTensor.View, f.G, Int(f.X, 4), 4));
        yield return Search<ObjectDisposedException>("a disposed buffer", null, (f, n) => n.Search(f.Stream, f.Disposed, f.G, Int(f.X, 4), 4));
        yield return Search<ObjectDisposedException>("disposed", null, (f, n) =>
        {
            n.Dispose();
            n.Search(f.Stream, f.P, f.G, Int(f.X, 4), 4);
        });
        yield return Bad<ArgumentNullException>("Quantize..ctor", "null", "accelerator", _ => new Quantize(null!, 1, 1, 1));
        yield return Bad<ArgumentOutOfRangeException>("Quantize..ctor", "no rows", "maxRows", f => new Quantize(f.Accelerator, 0, 1, 1));
        yield return Bad<ArgumentOutOfRangeException>("Quantize..ctor", "no codes", "codes", f => new Quantize(f.Accelerator, 1, 0, 1));
        yield return Bad<ArgumentOutOfRangeException>("Quantize..ctor", "no dimension", "dimension", f => new Quantize(f.Accelerator, 1, 1, 0));
        yield return Bad<ArgumentOutOfRangeException>("Quantize..ctor", "no heads", "heads", f => new Quantize(f.Accelerator, 1, 1, 1, heads: 0));
        yield return Quantize<ArgumentNullException>("no stream", "stream", (f, q) => q.Apply(null!, f.P, f.G, Int(f.X, 4), 4));
        yield return Quantize<ArgumentException>("rows too long", "x", (f, q) => q.Apply(f.Stream, f.P, f.G, Int(f.X, 3), 3));
        yield return Quantize<ArgumentException>("codes too short", "codes", (f, q) => q.Apply(f.Stream, f.P, f.M.SubView(0, 12), Int(f.X, 4), 4));
        yield return Quantize<ArgumentException>("index too short", "index", (f, q) => q.Apply(f.Stream, f.P, f.G, Int(f.X, 3), 4));
        yield return Quantize<ArgumentException>("output too short", "output", (f, q) => q.Apply(f.Stream, f.P, f.G, Int(f.X, 4), 4, output: f.M.SubView(0, 12)));
        yield return Quantize<ArgumentException>("another storage", "output", (f, q) => q.Apply(f.Stream, f.P, f.G, Int(f.X, 4), 4, output: f.Y.SubView(0, 8).Cast<ushort>()));
        yield return Quantize<ArgumentException>("three losses", "loss", (f, q) => q.Apply(f.Stream, f.P, f.G, Int(f.X, 4), 4, loss: f.Y.SubView(0, 3)));
        yield return Quantize<ArgumentException>("gradX too short", "gradX", (f, q) => q.Apply(f.Stream, f.P, f.G, Int(f.X, 4), 4, gradX: f.M.SubView(0, 12)));
        yield return Quantize<ArgumentException>("too few counts", "counts", (f, q) => q.Apply(f.Stream, f.P, f.G, Int(f.X, 4), 4, counts: Int(f.Y, 3)));
        yield return Quantize<ArgumentException>("grad too short", "grad", (f, q) => q.Apply(f.Stream, f.P, f.G, Int(f.X, 4), 4, gradX: f.M, grad: f.V.SubView(0, 12)));
        yield return Quantize<ArgumentException>("an output on a code", null, (f, q) => q.Apply(f.Stream, f.P, f.M, Int(f.X, 4), 4, output: f.M));
        yield return Quantize<ArgumentException>("the same for two outputs", null, (f, q) => q.Apply(f.Stream, f.P, f.G, Int(f.X, 4), 4, output: f.M, gradX: f.M));
        yield return Quantize<ArgumentException>("losses among the counts", null, (f, q) => q.Apply(f.Stream, f.P, f.G, Int(f.X, 4), 4, loss: f.Y.SubView(2, 2), counts: Int(f.Y, 4)));
        yield return Quantize<ArgumentException>("output on the incoming gradient", null, (f, q) => q.Apply(f.Stream, f.P, f.G, Int(f.X, 4), 4, output: f.M, gradX: f.V, grad: f.M));
        yield return Quantize<ArgumentOutOfRangeException>("too many rows", "rows", (f, q) => q.Apply(f.Stream, f.P, f.G, Int(f.X, 5), 5));
        yield return Quantize<ArgumentOutOfRangeException>("negative beta", "beta", (f, q) => q.Apply(f.Stream, f.P, f.G, Int(f.X, 4), 4, beta: -1));
        yield return Quantize<ArgumentOutOfRangeException>("beta is no number", "beta", (f, q) => q.Apply(f.Stream, f.P, f.G, Int(f.X, 4), 4, beta: double.NaN));
        yield return Quantize<ArgumentException>("another device", "x", (f, q) => q.Apply(f.Stream, f.ForeignTensor.View, f.G, Int(f.X, 4), 4));
        yield return Quantize<ObjectDisposedException>("a disposed buffer", null, (f, q) => q.Apply(f.Stream, f.Disposed, f.G, Int(f.X, 4), 4));
        yield return Quantize<ObjectDisposedException>("disposed", null, (f, q) =>
        {
            q.Dispose();
            q.Apply(f.Stream, f.P, f.G, Int(f.X, 4), 4);
        });
        yield return Bad<ArgumentNullException>("Rotate..ctor", "null", "accelerator", _ => new Rotate(null!, 1, 1, 1));
        yield return Bad<ArgumentOutOfRangeException>("Rotate..ctor", "no codes", "codes", f => new Rotate(f.Accelerator, 1, 0, 1));
        yield return Rotate<ArgumentNullException>("no stream", "stream", (f, r) => r.Backward(null!, f.P, f.G, Int(f.X, 4), 4, f.M, f.V));
        yield return Rotate<ArgumentException>("rows too long", "x", (f, r) => r.Backward(f.Stream, f.P, f.G, Int(f.X, 3), 3, f.M, f.V));
        yield return Rotate<ArgumentException>("codes too short", "codes", (f, r) => r.Backward(f.Stream, f.P, f.M.SubView(0, 12), Int(f.X, 4), 4, f.M, f.V));
        yield return Rotate<ArgumentException>("index too short", "index", (f, r) => r.Backward(f.Stream, f.P, f.G, Int(f.X, 3), 4, f.M, f.V));
        yield return Rotate<ArgumentException>("no incoming gradient", "grad", (f, r) => r.Backward(f.Stream, f.P, f.G, Int(f.X, 4), 4, default, f.V));
        yield return Rotate<ArgumentException>("no gradient", "gradX", (f, r) => r.Backward(f.Stream, f.P, f.G, Int(f.X, 4), 4, f.M, default));
        yield return Rotate<ArgumentException>("output too short", "output", (f, r) => r.Backward(f.Stream, f.P, f.G, Int(f.X, 4), 4, f.M, f.V, f.Y.SubView(0, 4)));
        yield return Rotate<ArgumentException>("two outputs in one place", null, (f, r) => r.Backward(f.Stream, f.P, f.G, Int(f.X, 4), 4, f.M, f.V, f.V));
        yield return Rotate<ArgumentException>("a gradient on a code", null, (f, r) => r.Backward(f.Stream, f.P, f.V, Int(f.X, 4), 4, f.M, f.V));
        yield return Rotate<ArgumentException>("no output", "output", (f, r) => r.Forward(f.Stream, f.P, f.G, Int(f.X, 4), 4, default));
        yield return Rotate<ArgumentOutOfRangeException>("too many rows", "rows", (f, r) => r.Backward(f.Stream, f.P, f.G, Int(f.X, 5), 5, f.M, f.V));
        yield return Rotate<ArgumentException>("another device", "grad", (f, r) => r.Backward(f.Stream, f.P, f.G, Int(f.X, 4), 4, f.ForeignTensor.View, f.V));
        yield return Rotate<ObjectDisposedException>("a disposed buffer", null, (f, r) => r.Backward(f.Stream, f.P, f.G, Int(f.X, 4), 4, f.Disposed, f.V));
        yield return Bad<ArgumentNullException>("SoftmaxCodes..ctor", "null", "accelerator", _ => new SoftmaxCodes(null!, 1, 1, 1));
        yield return Bad<ArgumentOutOfRangeException>("SoftmaxCodes..ctor", "no rows", "maxRows", f => new SoftmaxCodes(f.Accelerator, 0, 1, 1));
        yield return Softmax<ArgumentNullException>("no stream", "stream", (f, s) => s.Backward(null!, f.P, f.G, Int(f.X, 4), 4, f.M, f.V));
        yield return Softmax<ArgumentException>("rows too long", "x", (f, s) => s.Backward(f.Stream, f.P, f.G, Int(f.X, 3), 3, f.M, f.V));
        yield return Softmax<ArgumentException>("codes too short", "codes", (f, s) => s.Backward(f.Stream, f.P, f.M.SubView(0, 12), Int(f.X, 4), 4, f.M, f.V));
        yield return Softmax<ArgumentException>("index too short", "index", (f, s) => s.Backward(f.Stream, f.P, f.G, Int(f.X, 3), 4, f.M, f.V));
        yield return Softmax<ArgumentException>("no incoming gradient", "grad", (f, s) => s.Backward(f.Stream, f.P, f.G, Int(f.X, 4), 4, default, f.V));
        yield return Softmax<ArgumentException>("gradX too short", "gradX", (f, s) => s.Backward(f.Stream, f.P, f.G, Int(f.X, 4), 4, f.M, f.V.SubView(0, 12)));
        yield return Softmax<ArgumentException>("gradCodes too short", "gradCodes", (f, s) => s.Backward(f.Stream, f.P, f.G, Int(f.X, 4), 4, f.M, default, f.V.SubView(0, 12)));
        yield return Softmax<ArgumentException>("gradient of the codes on them", null, (f, s) => s.Backward(f.Stream, f.P, f.V, Int(f.X, 4), 4, f.M, default, f.V));
        yield return Softmax<ArgumentException>("two outputs in one place", null, (f, s) => s.Backward(f.Stream, f.P, f.G, Int(f.X, 4), 4, f.M, f.V, f.V));
        yield return Softmax<ArgumentOutOfRangeException>("too many rows", "rows", (f, s) => s.Backward(f.Stream, f.P, f.G, Int(f.X, 5), 5, f.M, f.V));
        yield return Softmax<ArgumentException>("another device", "grad", (f, s) => s.Backward(f.Stream, f.P, f.G, Int(f.X, 4), 4, f.ForeignTensor.View, f.V));
        yield return Softmax<ObjectDisposedException>("disposed", null, (f, s) =>
        {
            s.Dispose();
            s.Backward(f.Stream, f.P, f.G, Int(f.X, 4), 4, f.M, f.V);
        });
    }

    private static ArrayView<int> Int(ArrayView<float> view, long length) => view.SubView(0, length).Cast<int>();

    /// <summary>A search for the nearest of 4 codes of length 4, for at most 4 rows.</summary>
    private static BadCall Search<TException>(string what, string? argument, Action<BadCallFixture, NearestCode> call)
        where TException : Exception => Bad<TException>("NearestCode.Search", what, argument, f =>
        {
            using var nearest = new NearestCode(f.Accelerator, 4, 4, 4);
            call(f, nearest);
        });

    private static BadCall Merge<TException>(string what, string? argument, Action<BadCallFixture, NearestMerge> call)
        where TException : Exception => Bad<TException>(
            "NearestMerge.Merge", what, argument, f => call(f, new NearestMerge(f.Accelerator)));

    /// <summary>A pass over at most 4 rows with 4 codes of length 4.</summary>
    private static BadCall Quantize<TException>(string what, string? argument, Action<BadCallFixture, Quantize> call)
        where TException : Exception => Bad<TException>("Quantize.Apply", what, argument, f =>
        {
            using var quantize = new Quantize(f.Accelerator, 4, 4, 4);
            call(f, quantize);
        });

    private static BadCall Rotate<TException>(string what, string? argument, Action<BadCallFixture, Rotate> call)
        where TException : Exception => Bad<TException>(
            "Rotate.Backward", what, argument, f => call(f, new Rotate(f.Accelerator, 4, 4, 4)));

    private static BadCall Softmax<TException>(string what, string? argument, Action<BadCallFixture, SoftmaxCodes> call)
        where TException : Exception => Bad<TException>("SoftmaxCodes.Backward", what, argument, f =>
        {
            using var softmax = new SoftmaxCodes(f.Accelerator, 4, 4, 4);
            call(f, softmax);
        });
}
