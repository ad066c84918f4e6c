using Kernels.Dct;

namespace Kernels.Tests.Validation;

/// <summary>Bad calls of the Newton-Schulz iteration.</summary>
public sealed partial class BadCallTests
{
    private static IEnumerable<BadCall> Orthogonal()
    {
        yield return Bad<ArgumentNullException>("NewtonSchulz..ctor", "null", "accelerator", _ => new NewtonSchulz(null!, 4, 4));
        yield return Bad<ArgumentOutOfRangeException>(
            "NewtonSchulz..ctor", "no rows", "maxRows", f => new NewtonSchulz(f.Accelerator, 0, 4));
        yield return Bad<ArgumentOutOfRangeException>(
            "NewtonSchulz..ctor", "no columns", "maxColumns", f => new NewtonSchulz(f.Accelerator, 4, 0));
        yield return Row<ArgumentNullException>(
            "null", "stream", (f, n) => n.Orthogonalize(null!, f.P, f.G, 4, 4));
        yield return Row<ArgumentException>(
            "another's stream", "stream", (f, n) => n.Orthogonalize(f.Foreign.DefaultStream, f.P, f.G, 4, 4));
        yield return Row<ArgumentOutOfRangeException>(
            "no rows", "rows", (f, n) => n.Orthogonalize(f.Stream, f.P, f.G, 0, 4));
        yield return Row<ArgumentOutOfRangeException>(
            "more rows than announced", "rows", (f, n) => n.Orthogonalize(f.Stream, f.P, f.G, 8, 2));
        yield return Row<ArgumentOutOfRangeException>(
            "more columns than announced", "columns", (f, n) => n.Orthogonalize(f.Stream, f.P, f.G, 2, 8));
        yield return Row<ArgumentException>(
            "length of x", "x", (f, n) => n.Orthogonalize(f.Stream, f.P.Slice(0, 15), f.G, 4, 4));
        yield return Row<ArgumentException>(
            "length of y", "y", (f, n) => n.Orthogonalize(f.Stream, f.P, default, 4, 4));
        yield return Row<ArgumentException>(
            "storage", "x", (f, n) => n.Orthogonalize(f.Stream, f.X.Cast<ushort>().SubView(0, 16), f.G, 4, 4));
        yield return Row<ArgumentException>(
            "x of another", "x", (f, n) => n.Orthogonalize(f.Stream, f.ForeignTensor.View, f.G, 4, 4));
        yield return Row<ArgumentException>(
            "x over y", "y", (f, n) => n.Orthogonalize(f.Stream, f.P.Slice(0, 8), f.P.Slice(4, 8), 2, 4));
        yield return Row<ObjectDisposedException>(
            "disposed memory", null, (f, n) => n.Orthogonalize(f.Stream, f.Disposed, f.G, 4, 4));
        yield return Row<ObjectDisposedException>("disposed", null, (f, n) =>
        {
            n.Dispose();
            n.Orthogonalize(f.Stream, f.P, f.G, 4, 4);
        });

        static BadCall Row<TException>(string what, string? argument, Action<BadCallFixture, NewtonSchulz> call)
            where TException : Exception => Bad<TException>("NewtonSchulz.Orthogonalize", what, argument, f =>
        {
            using var orthogonal = new NewtonSchulz(f.Accelerator, 4, 4);
            call(f, orthogonal);
        });
    }
}
