using Kernels.Linear;
using Kernels.VectorQuantization;

namespace Kernels.Tests.Validation;

public sealed partial class BadCallTests
{
    private static IEnumerable<BadCall> Bridges()
    {
        yield return Bad<ArgumentNullException>("LayerNorm..ctor", "null", "accelerator", _ => new LayerNorm(null!));
        yield return Normal<ArgumentNullException>("no stream", "stream", (f, n) => n.Forward(null!, f.P, f.G, f.X.SubView(0, 4), 4, 4, 0));
        yield return Normal<ArgumentException>("x too long", "x", (f, n) => n.Forward(f.Stream, f.P, f.G, f.X.SubView(0, 4), 4, 3, 0));
        yield return Normal<ArgumentException>("factors too short", "factors", (f, n) => n.Forward(f.Stream, f.P, f.G, f.X.SubView(0, 3), 4, 4, 0));
        yield return Normal<ArgumentException>("factors on y", "factors", (f, n) => n.Forward(f.Stream, f.P, f.M, f.M.SubView(0, 4), 4, 4, 0));
        yield return Normal<ArgumentException>("y on a part of x", "y", (f, n) => n.Forward(f.Stream, f.M.SubView(0, 8), f.M.SubView(4, 8), f.X.SubView(0, 2), 2, 4, 0));
        yield return Normal<ArgumentOutOfRangeException>("no columns", "columns", (f, n) => n.Forward(f.Stream, f.P, f.G, f.X.SubView(0, 4), 4, 0, 0));
        yield return Normal<ArgumentOutOfRangeException>("a negative epsilon", "epsilon", (f, n) => n.Forward(f.Stream, f.P, f.G, f.X.SubView(0, 4), 4, 4, -1e-9));
        yield return Normal<ArgumentException>("another device", "x", (f, n) => n.Forward(f.Stream, f.ForeignTensor.View, f.G, f.X.SubView(0, 4), 4, 4, 0));
        yield return Normal<ObjectDisposedException>("a disposed buffer", null, (f, n) => n.Forward(f.Stream, f.Disposed, f.G, f.X.SubView(0, 4), 4, 4, 0));
        yield return Normal<ArgumentException>("dx on y", "dx", (f, n) => n.Backward(f.Stream, f.P, f.X.SubView(0, 4), f.G, f.P, 4, 4));
        yield return Normal<ArgumentException>("added in place", "dx", (f, n) => n.Backward(f.Stream, f.P, f.X.SubView(0, 4), f.G, f.G, 4, 4, accumulate: true));
        yield return Normal<ArgumentException>("dy too short", "dy", (f, n) => n.Backward(f.Stream, f.P, f.X.SubView(0, 4), f.M.SubView(0, 12), f.G, 4, 4));

        yield return Bad<ArgumentNullException>("Attention..ctor", "null", "accelerator", _ => new Attention(null!));
        yield return Bad<ArgumentOutOfRangeException>("Attention.StateLength", "no heads", "heads", _ => Attention.StateLength(4, 0));
        yield return Mix<ArgumentNullException>("no stream", "stream", (f, a) => a.Forward(null!, f.M.SubView(0, 12), f.X.SubView(0, 4), f.Y.SubView(0, 4), 2, 1, 2));
        yield return Mix<ArgumentException>("qkv too short", "qkv", (f, a) => a.Forward(f.Stream, f.M.SubView(0, 11), f.X.SubView(0, 4), f.Y.SubView(0, 4), 2, 1, 2));
        yield return Mix<ArgumentException>("mixed too long", "mixed", (f, a) => a.Forward(f.Stream, f.M.SubView(0, 12), f.X.SubView(0, 5), f.Y.SubView(0, 4), 2, 1, 2));
        yield return Mix<ArgumentException>("state too short", "state", (f, a) => a.Forward(f.Stream, f.M.SubView(0, 12), f.X.SubView(0, 4), f.Y.SubView(0, 3), 2, 1, 2));
        yield return Mix<ArgumentException>("mixed on qkv", "mixed", (f, a) => a.Forward(f.Stream, f.M.SubView(0, 12), f.M.SubView(8, 4), f.Y.SubView(0, 4), 2, 1, 2));
        yield return Mix<ArgumentOutOfRangeException>("a size too large", "size", (f, a) => a.Forward(f.Stream, f.M, f.X, f.Y, 2, 1, 257));
        yield return Mix<ArgumentOutOfRangeException>("no heads", "heads", (f, a) => a.Forward(f.Stream, f.M, f.X, f.Y, 2, 0, 2));
        yield return Mix<ArgumentException>("gradQkv on qkv", "gradQkv", (f, a) => a.Backward(f.Stream, f.M.SubView(0, 12), f.X.SubView(0, 4), f.Y.SubView(0, 4), f.V.SubView(0, 4), f.M.SubView(0, 12), f.V.SubView(8, 2), 2, 1, 2));
        yield return Mix<ArgumentException>("scratch too long", "scratch", (f, a) => a.Backward(f.Stream, f.M.SubView(0, 12), f.X.SubView(0, 4), f.Y.SubView(0, 4), f.X.SubView(4, 4), f.V.SubView(0, 12), f.V.SubView(12, 3), 2, 1, 2));
        yield return Mix<ArgumentException>("scratch on grad", "scratch", (f, a) => a.Backward(f.Stream, f.M.SubView(0, 12), f.X.SubView(0, 4), f.Y.SubView(0, 4), f.X.SubView(4, 4), f.V.SubView(0, 12), f.X.SubView(6, 2), 2, 1, 2));
        yield return Mix<ArgumentException>("grad too short", "grad", (f, a) => a.Backward(f.Stream, f.M.SubView(0, 12), f.X.SubView(0, 4), f.Y.SubView(0, 4), f.X.SubView(4, 3), f.V.SubView(0, 12), f.V.SubView(12, 2), 2, 1, 2));

        yield return Bad<ArgumentNullException>("Bridge..ctor", "null", "accelerator", _ => new Bridge(null!, 16, 1));
        yield return Bad<ArgumentOutOfRangeException>("Bridge..ctor", "no codes", "codes", f => new Bridge(f.Accelerator, 0, 1));
        yield return Bad<ArgumentOutOfRangeException>("Bridge..ctor", "no dimension", "dimension", f => new Bridge(f.Accelerator, 16, 0));
        yield return Bad<ArgumentException>("Bridge..ctor", "a broken patch", "codes", f => new Bridge(f.Accelerator, 24, 1));
        foreach ((string what, BridgeOptions options) in new (string, BridgeOptions)[]
        {
            ("no patch", new() { Patch = 0 }), ("no width", new() { Width = 0 }), ("no heads", new() { Heads = 0 }),
            ("a broken head", new() { Width = 6 }), ("a wide head", new() { Width = 257, Heads = 1 }),
            ("a negative depth", new() { Depth = -1 }), ("no hidden width", new() { MlpRatio = 0 }),
            ("epsilon", new() { Epsilon = double.NaN }), ("a huge patch", new() { Patch = 1 << 29 }),
        })
        {
            yield return Bad<ArgumentOutOfRangeException>("Bridge..ctor", what, "options", f => new Bridge(f.Accelerator, 1 << 29, 4, options));
        }

        yield return Over<ArgumentException>("no such weight", "name", (f, b) => b.Parameter("recover"));
        yield return Over<ArgumentNullException>("no name", "name", (f, b) => b.Gradient(null!));
        yield return Over<ArgumentNullException>("no stream for the start", "stream", (f, b) => b.Initialize(null!, 1));
        yield return Over<ArgumentNullException>("no stream", "stream", (f, b) => b.Forward(null!, f.P, f.G));
        yield return Over<ArgumentException>("another's stream", "stream", (f, b) => b.Forward(f.Foreign.DefaultStream, f.P, f.G));
        yield return Over<ArgumentException>("codes too short", "codes", (f, b) => b.Forward(f.Stream, f.X.SubView(0, 12), f.G));
        yield return Over<ArgumentException>("projected too short", "projected", (f, b) => b.Forward(f.Stream, f.P, f.X.SubView(0, 12)));
        yield return Over<ArgumentException>("in place", "projected", (f, b) => b.Forward(f.Stream, f.P, f.P));
        yield return Over<ArgumentException>("onto its parameters", "projected", (f, b) => b.Forward(f.Stream, f.P, b.Parameters.SubView(0, 16)));
        yield return Over<ArgumentException>("of its gradients", "codes", (f, b) => b.Forward(f.Stream, b.Gradients.SubView(0, 16), f.G));
        yield return Over<ObjectDisposedException>("a disposed buffer", null, (f, b) => b.Forward(f.Stream, f.Disposed, f.G));
        yield return Over<InvalidOperationException>("back before forward", null, (f, b) => b.Backward(f.Stream, f.P, f.G));
        yield return Over<ArgumentException>("gradient in place", "gradCodes", (f, b) => b.Backward(f.Stream, f.P, f.G, f.G));
        yield return Over<ArgumentException>("gradient onto the codes", "gradCodes", (f, b) => b.Backward(f.Stream, f.P, f.G, f.P));
        yield return Over<ArgumentException>("gradient too short", "gradProjected", (f, b) => b.Backward(f.Stream, f.P, f.X.SubView(0, 12)));
        yield return Over<ObjectDisposedException>("disposed", null, (f, b) =>
        {
            b.Dispose();
            b.Forward(f.Stream, f.P, f.G);
        });

        yield return Bad<ArgumentOutOfRangeException>("BridgeLayout.SquareOrder", "no patch", "patchSide", _ => BridgeLayout.SquareOrder(4, 0));
        yield return Bad<ArgumentOutOfRangeException>("BridgeLayout.SquareOrder", "a broken patch", "patchSide", _ => BridgeLayout.SquareOrder(4, 3));
        yield return Bad<ArgumentOutOfRangeException>("BridgeLayout.SquareOrder", "too large", "side", _ => BridgeLayout.SquareOrder(32_769, 1));
        yield return Bad<ArgumentException>("BridgeLayout.FromSquare", "a length", "square", _ => BridgeLayout.FromSquare(new float[15], new float[15], 4, 2));
        yield return Bad<ArgumentException>("BridgeLayout.ToSquare", "other lengths", "square", _ => BridgeLayout.ToSquare(new float[16], new float[32], 4, 2));
        yield return Bad<ArgumentException>("BridgeLayout.ToSquare", "in place", "square", _ =>
        {
            var codes = new float[16];
            BridgeLayout.ToSquare(codes, codes, 4, 2);
        });
        yield return Bad<ArgumentException>("BridgeLayout.CompressFromConvolution", "a length", "convolution", _ => BridgeLayout.CompressFromConvolution(new float[9], new float[9], 2, 2));
        yield return Bad<ArgumentOutOfRangeException>("BridgeLayout.CompressFromConvolution", "no dimension", "dimension", _ => BridgeLayout.CompressFromConvolution([], [], 0, 2));

        yield return Bad<ArgumentNullException>("SimVq..ctor", "null", "accelerator", _ => new SimVq(null!, 1, 1));
        yield return Bad<ArgumentOutOfRangeException>("SimVq..ctor", "no codes", "codes", f => new SimVq(f.Accelerator, 0, 1));
        yield return Bad<ArgumentOutOfRangeException>("SimVq..ctor", "no dimension", "dimension", f => new SimVq(f.Accelerator, 1, 0));
        yield return Sim<ArgumentNullException>("no stream", "stream", (f, s) => s.Forward(null!, f.P, f.G, f.X));
        yield return Sim<ArgumentException>("codes too short", "codes", (f, s) => s.Forward(f.Stream, f.M.SubView(0, 12), f.G, f.X));
        yield return Sim<ArgumentException>("a weight too short", "weight", (f, s) => s.Forward(f.Stream, f.P, f.M.SubView(0, 12), f.X));
        yield return Sim<ArgumentException>("a bias too long", "bias", (f, s) => s.Forward(f.Stream, f.P, f.G, f.X, f.Y));
        yield return Sim<ArgumentException>("in place", "projected", (f, s) => s.Forward(f.Stream, f.P, f.G, f.P));
        yield return Sim<ArgumentException>("gradient onto the weight", "gradWeight", (f, s) => s.Backward(f.Stream, f.P, f.G, f.X, f.G));
        yield return Sim<ArgumentException>("gradients on each other", "gradCodes", (f, s) => s.Backward(f.Stream, f.P, f.G, f.X, f.Y, default, f.Y));
        yield return Sim<ArgumentException>("a bias too short", "gradBias", (f, s) => s.Backward(f.Stream, f.P, f.G, f.X, f.Y, f.M.SubView(0, 3)));
        yield return Sim<ObjectDisposedException>("disposed", null, (f, s) =>
        {
            s.Dispose();
            s.Forward(f.Stream, f.P, f.G, f.X);
        });
    }

    private static BadCall Normal<TException>(string what, string? argument, Action<BadCallFixture, LayerNorm> call)
        where TException : Exception => Bad<TException>(
            "LayerNorm", what, argument, f => call(f, new LayerNorm(f.Accelerator)));

    private static BadCall Mix<TException>(string what, string? argument, Action<BadCallFixture, Attention> call)
        where TException : Exception => Bad<TException>(
            "Attention", what, argument, f => call(f, new Attention(f.Accelerator)));

    /// <summary>A bridge over 4 codes of length 4, one a patch.</summary>
    private static BadCall Over<TException>(string what, string? argument, Action<BadCallFixture, Bridge> call)
        where TException : Exception => Bad<TException>("Bridge", what, argument, f =>
        {
            using var bridge = new Bridge(f.Accelerator, 4, 4, new BridgeOptions { Patch = 1, Width = 4, Depth = 1 });
            call(f, bridge);
        });

    private static BadCall Sim<TException>(string what, string? argument, Action<BadCallFixture, SimVq> call)
        where TException : Exception => Bad<TException>("SimVq", what, argument, f =>
        {
            using var simVq = new SimVq(f.Accelerator, 4, 4);
            call(f, simVq);
        });
}
