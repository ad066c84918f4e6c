using System.Runtime.ExceptionServices;
using Kernels.Tests.Support;
using Kernels.VectorQuantization;

namespace Kernels.Tests.Validation;

/// <summary>Bad calls of the codebook objects: 4 codes of length 4; 4 rows in views of 16 numbers.</summary>
public sealed partial class BadCallTests
{
    private static IEnumerable<BadCall> Codebooks() =>
        CodebookConstructors().Concat(CodebookCalls()).Concat(ResidualCalls()).Concat(VqBridgeCalls());

    private static IEnumerable<BadCall> CodebookConstructors()
    {
        yield return Bad<ArgumentNullException>("Codebook..ctor", "null", "session", _ => new Codebook(null!, 4, 4));
        yield return Bad<ArgumentNullException>("ResidualCodebook..ctor", "null", "session", _ => new ResidualCodebook(null!, 2, 4, 4));
        yield return Bad<ArgumentNullException>("VqBridge..ctor", "null", "session", _ => new VqBridge(null!, 16, 4));
        foreach ((string what, string argument, int codes, int dimension) in new[]
        {
            ("no codes", "codes", 0, 4), ("too many codes", "codes", (1 << 30) + 1, 4), ("no dimension", "dimension", 4, 0),
            ("a huge dimension", "dimension", 4, (1 << 20) + 1),
        })
        {
            yield return Bad<ArgumentOutOfRangeException>("Codebook..ctor", what, argument, _ => new Codebook(TestDevices.Session, codes, dimension));
            yield return Bad<ArgumentOutOfRangeException>("ResidualCodebook..ctor", what, argument, _ => new ResidualCodebook(TestDevices.Session, 2, codes, dimension));
            yield return Bad<ArgumentOutOfRangeException>("VqBridge..ctor", what, argument, _ => new VqBridge(TestDevices.Session, codes, dimension, new BridgeOptions { Patch = 1 }));
        }

        foreach ((string what, CodebookSettings settings) in new (string, CodebookSettings)[]
        {
            ("no metric", new() { Metric = (CodeMetric)9 }), ("no heads", new() { Heads = 0 }),
            ("no learning", new() { Learning = (CodebookLearning)9 }), ("a negative beta", new() { Commitment = -1 }),
            ("no beta", new() { Commitment = double.NaN }), ("a decay", new() { MovingMeans = new EmaOptions { Decay = 2 } }),
            ("a threshold", new() { Learning = CodebookLearning.MovingMeans, Restart = new RestartOptions { Threshold = -1 } }),
        })
        {
            yield return Bad<ArgumentOutOfRangeException>("Codebook..ctor", what, "settings", _ => new Codebook(TestDevices.Session, 4, 4, settings));
            yield return Bad<ArgumentOutOfRangeException>("ResidualCodebook..ctor", what, "settings", _ => new ResidualCodebook(TestDevices.Session, 2, 4, 4, settings));
            yield return Bad<ArgumentOutOfRangeException>("VqBridge..ctor", what, "settings", _ => new VqBridge(TestDevices.Session, 16, 4, null, settings));
        }

        yield return Bad<ArgumentException>("Codebook..ctor", "restart without moving means", "settings", _ => new Codebook(TestDevices.Session, 4, 4, new() { Restart = new() }));
        yield return Bad<ArgumentOutOfRangeException>("Codebook..ctor", "too many codes in all", "codes", _ => new Codebook(TestDevices.Session, 1 << 29, 4, new() { Heads = 4 }));
        yield return Bad<ArgumentOutOfRangeException>("ResidualCodebook..ctor", "no stages", "stages", _ => new ResidualCodebook(TestDevices.Session, 0, 4, 4));
        yield return Bad<ArgumentException>("ResidualCodebook..ctor", "rotation", "settings", _ => new ResidualCodebook(TestDevices.Session, 2, 4, 4, new() { Rotation = true }));
        yield return Bad<ArgumentException>("VqBridge..ctor", "a broken patch", "codes", _ => new VqBridge(TestDevices.Session, 24, 4));
        yield return Bad<ArgumentException>("VqBridge..ctor", "heads of their own", "settings", _ => new VqBridge(TestDevices.Session, 16, 4, null, new() { Heads = 2 }));
        yield return Bad<ArgumentOutOfRangeException>("VqBridge..ctor", "no width", "options", _ => new VqBridge(TestDevices.Session, 16, 4, new() { Width = 0 }));
    }

    private static IEnumerable<BadCall> CodebookCalls()
    {
        yield return Book<ArgumentException>("rows too long", "x", (f, b) => b.Encode(f.P, Int(f.X, 3)));
        yield return Book<ArgumentException>("another device", "x", (f, b) => b.Encode(f.ForeignTensor.View, Int(f.X, 4)));
        yield return Book<ArgumentException>("an index elsewhere", "index", (f, b) => b.Encode(f.P, Int(f.ForeignTensor.Floats, 4)));
        yield return Book<ObjectDisposedException>("a disposed buffer", null, (f, b) => b.Encode(f.Disposed, Int(f.X, 4)));
        yield return Book<ArgumentException>("distances too short", "distance", (f, b) => b.Encode(f.P, Int(f.X, 4), f.Y.SubView(0, 3)));
        yield return Book<ArgumentException>("distances on the index", "distance", (f, b) => b.Encode(f.P, Int(f.X, 4), f.X.SubView(0, 4)));
        yield return Book<ArgumentException>("the index on the rows", "index", (f, b) => b.Encode(f.M, Int(f.M, 4)));
        yield return Book<ArgumentException>("the index on the codes", "index", (f, b) => b.Encode(f.P, Int(b.View, 4)));
        yield return Book<ArgumentException>("decoded too short", "output", (f, b) => b.Decode(Int(f.X, 4), f.M.SubView(0, 15)));
        yield return Book<ArgumentException>("decoded onto the index", "output", (f, b) => b.Decode(Int(f.M, 4), f.M));
        yield return Book<ArgumentException>("decoded onto the codes", "output", (f, b) => b.Decode(Int(f.X, 4), b.View));
        yield return Book<ArgumentException>("the output too short", "output", (f, b) => b.Forward(f.P, f.M.SubView(0, 15), Int(f.X, 4)));
        yield return Book<ArgumentException>("the output in 16 bits", "output", (f, b) => b.Forward(f.P.Slice(0, 8), f.M.SubView(0, 4).Cast<ushort>(), Int(f.X, 2)));
        yield return Book<ArgumentException>("the output on the rows", "output", (f, b) => b.Forward(f.P, f.P, Int(f.X, 4)));
        yield return Book<ArgumentException>("losses too short", "loss", (f, b) => b.Forward(f.P, f.G, Int(f.X, 4), f.Y.SubView(0, 1)));
        yield return Book<ArgumentException>("losses on the output", "loss", (f, b) => b.Forward(f.P, f.M, Int(f.X, 4), f.M.SubView(3, 2)));
        yield return Book<ArgumentException>("the index on the output", "index", (f, b) => b.Forward(f.P, f.M, Int(f.M, 4)));
        yield return Book<ArgumentException>("a gradient too short", "grad", (f, b) => b.Backward(f.P, Int(f.X, 4), f.M.SubView(0, 15), f.G));
        yield return Book<ArgumentException>("a gradient of the rows too short", "gradX", (f, b) => b.Backward(f.P, Int(f.X, 4), default, f.M.SubView(0, 15)));
        yield return Book<ArgumentException>("a gradient on the rows", "gradX", (f, b) => b.Backward(f.P, Int(f.X, 4), f.G, f.P));
        yield return Book<ArgumentException>("a gradient on the index", "gradX", (f, b) => b.Backward(f.P, Int(f.M, 4), f.G, f.M));
        yield return Book<InvalidOperationException>("no moving means", null, (f, b) => b.Update(f.P, Int(f.X, 4)));
        yield return Book<InvalidOperationException>("no moving means of spans", null, (_, b) => b.Update());
        yield return Book<InvalidOperationException>("no moving counts", null, (_, b) => b.ClusterSize.ToString());
        yield return Book<InvalidOperationException>("no moving sums", null, (_, b) => b.ClusterSum.ToString());
        yield return Book<ArgumentException>("a broken row", "x", (_, b) => b.Encode(new float[7], new int[2]));
        yield return Book<ArgumentException>("an index too long", "index", (_, b) => b.Encode(new float[8], new int[3]));
        yield return Book<ArgumentException>("decoded span too long", "output", (_, b) => b.Decode(new int[2], new float[12]));
        yield return Book<ArgumentException>("an output span too long", "output", (_, b) => b.Forward(new float[8], new float[12], new int[2]));
        yield return Book<ArgumentException>("an index span too short", "index", (_, b) => b.Forward(new float[8], new float[8], new int[1]));
        yield return Book<InvalidOperationException>("back before forward", null, (_, b) => b.Backward([], new float[8]));
        yield return Book<InvalidOperationException>("back after encoding", null, (_, b) =>
        {
            b.Forward(new float[8], new float[8], new int[2]);
            b.Encode(new float[8], new int[2]);
            b.Backward([], new float[8]);
        });
        yield return Book<ArgumentException>("a gradient span too short", "grad", (_, b) =>
        {
            b.Forward(new float[8], new float[8], new int[2]);
            b.Backward(new float[4], new float[8]);
        });
        yield return Book<ArgumentException>("a gradient span too long", "gradX", (_, b) =>
        {
            b.Forward(new float[8], new float[8], new int[2]);
            b.Backward([], new float[12]);
        });
        yield return Book<ArgumentNullException>("no options of k-means", "options", (f, b) => b.Fit(f.P, null!));
        yield return Book<ArgumentException>("a broken row of k-means", "x", (f, b) => b.Fit(f.M.SubView(0, 7), new KMeansOptions()));
        yield return Book<ArgumentException>("a broken span of k-means", "x", (_, b) => b.Fit(new float[7], new KMeansOptions()));
        yield return Book<ArgumentException>("k-means elsewhere", "x", (f, b) => b.Fit(f.ForeignTensor.View, new KMeansOptions()));
        yield return Book<ArgumentOutOfRangeException>("negative steps of k-means", "options", (f, b) => b.Fit(f.P, new KMeansOptions { Iterations = -1 }));
        yield return Book<ArgumentOutOfRangeException>("no such head", "head", (_, b) => b.Usage(1));
        yield return Book<ArgumentException>("codes too short", "codes", (_, b) => b.SetCodes(new float[15]));
        yield return Book<ArgumentException>("codes too long", "codes", (_, b) => b.GetCodes(new float[17]));
        yield return Book<ArgumentException>("no name", "name", (_, b) => b.AsParameter(" "));
        yield return Book<ArgumentNullException>("saved nowhere", "stream", (_, b) => b.Save(null!));
        yield return Book<ArgumentNullException>("loaded from nowhere", "stream", (_, b) => b.Load(null!));
        yield return Book<InvalidDataException>("no file", null, (_, b) => b.Load(new MemoryStream([1, 2, 3])));
        yield return Bad<InvalidOperationException>("Codebook.Gradient", "no learning", null, _ =>
        {
            using var book = new Codebook(TestDevices.Session, 4, 4);
            book.Gradient.ToString();
        });
        yield return Bad<ArgumentException>("Codebook.Encode", "a broken index", "index", f =>
        {
            using var book = new Codebook(TestDevices.Session, 4, 4, new() { Heads = 2 });
            book.Encode(f.P, Int(f.X, 3));
        });
        foreach ((string member, Action<BadCallFixture, Codebook> call) in new (string, Action<BadCallFixture, Codebook>)[]
        {
            ("Encode", (f, b) => b.Encode(f.P, Int(f.X, 4))), ("Decode", (_, b) => b.Decode(new int[1], new float[4])),
            ("Forward", (_, b) => b.Forward([], [], [])), ("Backward", (f, b) => b.Backward(f.P, Int(f.X, 4), f.G, f.G)),
            ("Update", (_, b) => b.Update()), ("Usage", (_, b) => b.Usage()), ("SetCodes", (_, b) => b.SetCodes(new float[16])),
            ("GetCodes", (_, b) => b.GetCodes(new float[16])), ("Save", (_, b) => b.Save(new MemoryStream())),
            ("Load", (_, b) => b.Load(new MemoryStream())), ("Fit", (_, b) => b.Fit(new float[4], new KMeansOptions())),
        })
        {
            yield return Bad<ObjectDisposedException>($"Codebook.{member}", "disposed", null, f =>
            {
                var book = new Codebook(TestDevices.Session, 4, 4);
                book.Dispose();
                book.Dispose();
                call(f, book);
            });
        }
    }

    private static IEnumerable<BadCall> ResidualCalls()
    {
        yield return Residual<ArgumentException>("a broken index", "index", (f, b) => b.Encode(f.P, Int(f.X, 7)));
        yield return Residual<ArgumentException>("rows too long", "x", (f, b) => b.Encode(f.P, Int(f.X, 6)));
        yield return Residual<ArgumentException>("the index on the rows", "index", (f, b) => b.Encode(f.M, Int(f.M, 8)));
        yield return Residual<ArgumentException>("decoded too short", "output", (f, b) => b.Decode(Int(f.X, 8), f.M.SubView(0, 15)));
        yield return Residual<ArgumentException>("decoded onto a stage's codes", "output", (f, b) => b.Decode(Int(f.X, 8), b.Stage(1).View));
        yield return Residual<ArgumentException>("decoded in 16 bits", "output", (f, b) => b.Decode(Int(f.X, 4), f.M.SubView(0, 4).Cast<ushort>()));
        yield return Residual<ArgumentException>("the output on the rows", "output", (f, b) => b.Forward(f.P, f.P, Int(f.X, 8)));
        yield return Residual<ArgumentException>("losses too short", "loss", (f, b) => b.Forward(f.P, f.G, Int(f.X, 8), f.Y.SubView(0, 2)));
        yield return Residual<ArgumentException>("losses on the index", "loss", (f, b) => b.Forward(f.P, f.G, Int(f.X, 8), f.X.SubView(4, 4)));
        yield return Residual<ArgumentException>("a gradient too short", "grad", (f, b) => b.Backward(f.P, Int(f.X, 8), f.M.SubView(0, 15), f.G));
        yield return Residual<ArgumentException>("a gradient on the rows", "gradX", (f, b) => b.Backward(f.P, Int(f.X, 8), f.G, f.P));
        yield return Residual<ArgumentException>("a gradient on a part of the other", "gradX", (f, b) => b.Backward(f.P.Slice(0, 8), Int(f.X, 4), f.M.SubView(0, 8), f.M.SubView(4, 8)));
        yield return Residual<InvalidOperationException>("no moving means", null, (f, b) => b.Update(f.P, Int(f.X, 8)));
        yield return Residual<InvalidOperationException>("back before forward", null, (_, b) => b.Backward([], new float[4]));
        yield return Residual<ArgumentException>("an index span too short", "index", (_, b) => b.Encode(new float[8], new int[3]));
        yield return Residual<ArgumentOutOfRangeException>("no such stage", "stage", (_, b) => b.Stage(2));
        yield return Residual<ArgumentNullException>("no options of k-means", "options", (_, b) => b.Fit(new float[4], null!));
        yield return Residual<ArgumentException>("a broken row of k-means", "x", (f, b) => b.Fit(f.M.SubView(0, 7), new KMeansOptions()));
        yield return Residual<ArgumentOutOfRangeException>("negative steps of k-means", "options", (f, b) => b.Fit(f.P, new KMeansOptions { Iterations = -1 }));
        yield return Residual<ArgumentNullException>("saved nowhere", "stream", (_, b) => b.Save(null!));
        yield return Residual<ArgumentNullException>("loaded from nowhere", "stream", (_, b) => b.Load(null!));
        yield return Residual<InvalidDataException>("no file", null, (_, b) => b.Load(new MemoryStream([1, 2, 3])));
        yield return Bad<ObjectDisposedException>("ResidualCodebook.Encode", "disposed", null, f =>
        {
            var book = new ResidualCodebook(TestDevices.Session, 2, 4, 4);
            book.Dispose();
            book.Dispose();
            book.Encode(f.P, Int(f.X, 8));
        });
    }

    private static IEnumerable<BadCall> VqBridgeCalls()
    {
        yield return Vq<ArgumentException>("rows too long", "x", (f, b) => b.Encode(f.P, Int(f.X, 3)));
        yield return Vq<ArgumentException>("decoded too short", "output", (f, b) => b.Decode(Int(f.X, 4), f.M.SubView(0, 15)));
        yield return Vq<ArgumentException>("the output on the rows", "output", (f, b) => b.Forward(f.P, f.P, Int(f.X, 4)));
        yield return Vq<InvalidOperationException>("back before forward", null, (f, b) => b.Backward(f.P, Int(f.X, 4), f.G, f.G));
        yield return Vq<InvalidOperationException>("a span back before forward", null, (_, b) => b.Backward([], new float[4]));
        yield return Vq<ArgumentException>("a gradient on the rows", "gradX", (f, b) =>
        {
            b.Project();
            b.Backward(f.P, Int(f.X, 4), f.G, f.P);
        });
        yield return Vq<ArgumentException>("codes too short", "codes", (_, b) => b.SetCodes(new float[15]));
        yield return Vq<ArgumentException>("codes too long", "codes", (_, b) => b.GetCodes(new float[17]));
        yield return Vq<ArgumentException>("no name", "name", (_, b) => b.AsParameter(" "));
        yield return Vq<ArgumentOutOfRangeException>("no such learning", "learning", (_, b) => b.Export((CodebookLearning)9));
        yield return Vq<ArgumentNullException>("saved nowhere", "stream", (_, b) => b.Save(null!));
        yield return Vq<ArgumentNullException>("loaded from nowhere", "stream", (_, b) => b.Load(null!));
        yield return Vq<InvalidDataException>("no file", null, (_, b) => b.Load(new MemoryStream([1, 2, 3])));
        yield return Bad<ObjectDisposedException>("VqBridge.Project", "disposed", null, _ =>
        {
            var vq = new VqBridge(TestDevices.Session, 4, 4, new BridgeOptions { Patch = 1, Width = 4 });
            vq.Dispose();
            vq.Dispose();
            vq.Project();
        });
    }

    private static BadCall Book<TException>(string what, string? argument, Action<BadCallFixture, Codebook> call)
        where TException : Exception => Bad<TException>("Codebook", what, argument, f =>
        {
            using var book = new Codebook(TestDevices.Session, 4, 4, new() { Learning = CodebookLearning.Gradient });
            Unchanged(book.Save, () => call(f, book));
        });

    private static BadCall Residual<TException>(string what, string? argument, Action<BadCallFixture, ResidualCodebook> call)
        where TException : Exception => Bad<TException>("ResidualCodebook", what, argument, f =>
        {
            using var book = new ResidualCodebook(TestDevices.Session, 2, 4, 4);
            Unchanged(book.Save, () => call(f, book));
        });

    private static BadCall Vq<TException>(string what, string? argument, Action<BadCallFixture, VqBridge> call)
        where TException : Exception => Bad<TException>("VqBridge", what, argument, f =>
        {
            using var vq = new VqBridge(TestDevices.Session, 4, 4, new BridgeOptions { Patch = 1, Width = 4, Depth = 1 });
            Unchanged(vq.Save, () => call(f, vq));
        });

    /// <summary>Throws what the call throws, once it is known that it changed nothing that is saved.</summary>
    private static void Unchanged(Action<Stream> save, Action call)
    {
        byte[] before = Bytes();
        Exception? thrown = Record.Exception(call);
        Assert.Equal(before, Bytes());
        if (thrown is not null)
        {
            ExceptionDispatchInfo.Throw(thrown);
        }

        byte[] Bytes()
        {
            using var stream = new MemoryStream();
            save(stream);
            return stream.ToArray();
        }
    }
}
