using ILGPU.Runtime;
using Kernels.Dct;

namespace Kernels.Tests.Validation;

public sealed partial class BadCallTests
{
    private static IEnumerable<BadCall> Transforms()
    {
        const string New = "Transform..ctor";
        yield return Bad<ArgumentNullException>(New, "null", "accelerator", _ => new Transform(null!, Basis.Dct2, 4));
        yield return Bad<ArgumentOutOfRangeException>(New, "no such basis", "basis", f => new Transform(f.Accelerator, (Basis)9, 4));
        yield return Bad<ArgumentOutOfRangeException>(New, "no length", "length", f => new Transform(f.Accelerator, Basis.Dct2, 0));
        yield return Bad<ArgumentOutOfRangeException>(New, "a negative length", "length", f => new Transform(f.Accelerator, Basis.Dct2, -4));
        yield return Bad<ArgumentOutOfRangeException>(New, "too long", "length", f => new Transform(f.Accelerator, Basis.Dct2, Transform.MaxLength + 1));
        yield return Bad<ArgumentOutOfRangeException>(New, "no power of two", "length", f => new Transform(f.Accelerator, Basis.Hadamard, 12));

        foreach ((string name, string lines, TransformCaller call) in new (string, string, TransformCaller)[]
        {
            ("Transform.Rows", "rows", (t, stream, x, y, n) => t.Rows(stream, x, y, n)),
            ("Transform.Columns", "columns", (t, stream, x, y, n) => t.Columns(stream, x, y, n)),
        })
        {
            yield return Lines<ArgumentNullException>("no stream", "stream", (f, t) => call(t, null!, f.P, f.G, 4));
            yield return Lines<ArgumentException>("another's stream", "stream", (f, t) => call(t, f.Foreign.DefaultStream, f.P, f.G, 4));
            yield return Lines<ArgumentOutOfRangeException>("negative", lines, (f, t) => call(t, f.Stream, f.P, f.G, -1));
            yield return Lines<ArgumentOutOfRangeException>("too many", lines, (f, t) => call(t, f.Stream, f.P, f.G, (1 << 30) + 1));
            yield return Lines<ArgumentException>("x too long", "x", (f, t) => call(t, f.Stream, f.P, f.M.SubView(0, 12), 3));
            yield return Lines<ArgumentException>("no x", "x", (f, t) => call(t, f.Stream, default, f.G, 4));
            yield return Lines<ArgumentException>("y too short", "y", (f, t) => call(t, f.Stream, f.P, f.M.SubView(0, 15), 4));
            yield return Lines<ArgumentException>("x in 16 bits", "x", (f, t) => call(t, f.Stream, f.M.SubView(0, 8).Cast<ILGPU.Half>(), f.G, 4));
            yield return Lines<ArgumentException>("y in 16 bits", "y", (f, t) => call(t, f.Stream, f.P, f.M.SubView(0, 8).Cast<ushort>(), 4));
            yield return Lines<ArgumentException>("another's x", "x", (f, t) => call(t, f.Stream, f.ForeignTensor.View, f.G, 4));
            yield return Lines<ArgumentException>("another's y", "y", (f, t) => call(t, f.Stream, f.P, f.ForeignTensor.View, 4));
            yield return Lines<ObjectDisposedException>("a disposed x", null, (f, t) => call(t, f.Stream, f.Disposed, f.G, 4));
            yield return Lines<ObjectDisposedException>("a disposed y", null, (f, t) => call(t, f.Stream, f.P, f.Disposed, 4));
            yield return Lines<ArgumentException>("a part of x", "y", (f, t) => call(t, f.Stream, f.M.SubView(0, 8), f.M.SubView(4, 8), 2));
            yield return Lines<ObjectDisposedException>("disposed", null, (f, t) =>
            {
                t.Dispose();
                call(t, f.Stream, f.P, f.G, 4);
            });

            // Lines of 4 numbers.
            BadCall Lines<TException>(string what, string? argument, Action<BadCallFixture, Transform> bad)
                where TException : Exception => Bad<TException>(name, what, argument, f =>
                {
                    using var transform = new Transform(f.Accelerator, Basis.Dct2, 4);
                    bad(f, transform);
                });
        }
    }

    private static IEnumerable<BadCall> Selectors()
    {
        const string New = "ColumnSelector..ctor";
        yield return Bad<ArgumentNullException>(New, "null", "accelerator", _ => new ColumnSelector(null!, 4, 4, 2));
        yield return Bad<ArgumentOutOfRangeException>(New, "no rows", "rows", f => new ColumnSelector(f.Accelerator, 0, 4, 2));
        yield return Bad<ArgumentOutOfRangeException>(New, "no columns", "columns", f => new ColumnSelector(f.Accelerator, 4, 0, 2));
        yield return Bad<ArgumentOutOfRangeException>(New, "too many rows", "rows", f => new ColumnSelector(f.Accelerator, (1 << 30) + 1, 4, 2));
        yield return Bad<ArgumentOutOfRangeException>(New, "no rank", "rank", f => new ColumnSelector(f.Accelerator, 4, 4, 0));
        yield return Bad<ArgumentOutOfRangeException>(New, "a rank above the columns", "rank", f => new ColumnSelector(f.Accelerator, 6, 4, 5));
        yield return Bad<ArgumentOutOfRangeException>(New, "a rank above the rows", "rank", f => new ColumnSelector(f.Accelerator, 4, 6, 5));
        foreach ((string what, string argument, int rows, int columns, ColumnSelectorOptions options) in
            new (string, string, int, int, ColumnSelectorOptions)[]
            {
                ("no such basis", "options", 4, 4, new() { Basis = (Basis)9 }),
                ("no such norm", "options", 4, 4, new() { Norm = (ColumnNorm)9 }),
                ("no such side", "options", 4, 4, new() { Side = (ProjectionSide)9 }),
                ("columns no power of two", "columns", 12, 6, new() { Basis = Basis.Hadamard }),
                ("rows no power of two", "rows", 6, 12, new() { Basis = Basis.Hadamard }),
                ("columns too long", "columns", 1, Transform.MaxLength + 1, new() { Side = ProjectionSide.Right }),
                ("rows too long", "rows", Transform.MaxLength + 1, 1, new() { Side = ProjectionSide.Left }),
            })
        {
            yield return Bad<ArgumentOutOfRangeException>(
                New, what, argument, f => new ColumnSelector(f.Accelerator, rows, columns, 2, options));
        }

        yield return Choose<ArgumentNullException>("no stream", "stream", (f, s) => s.Select(null!, f.P, Int(f.X, 2), f.V.SubView(0, 8), f.Y.SubView(0, 1)));
        yield return Choose<ArgumentException>("another's stream", "stream", (f, s) => s.Select(f.Foreign.DefaultStream, f.P, Int(f.X, 2), f.V.SubView(0, 8), f.Y.SubView(0, 1)));
        yield return Choose<ArgumentException>("g too short", "g", (f, s) => s.Select(f.Stream, f.M.SubView(0, 15), Int(f.X, 2), f.V.SubView(0, 8), f.Y.SubView(0, 1)));
        yield return Choose<ArgumentException>("no g", "g", (f, s) => s.Select(f.Stream, default, Int(f.X, 2), f.V.SubView(0, 8), f.Y.SubView(0, 1)));
        yield return Choose<ArgumentException>("g in 16 bits", "g", (f, s) => s.Select(f.Stream, f.M.SubView(0, 8).Cast<ILGPU.Half>(), Int(f.X, 2), f.V.SubView(0, 8), f.Y.SubView(0, 1)));
        yield return Choose<ArgumentException>("another's g", "g", (f, s) => s.Select(f.Stream, f.ForeignTensor.View, Int(f.X, 2), f.V.SubView(0, 8), f.Y.SubView(0, 1)));
        yield return Choose<ObjectDisposedException>("a disposed g", null, (f, s) => s.Select(f.Stream, f.Disposed, Int(f.X, 2), f.V.SubView(0, 8), f.Y.SubView(0, 1)));
        yield return Choose<ArgumentException>("index too short", "index", (f, s) => s.Select(f.Stream, f.P, Int(f.X, 1), f.V.SubView(0, 8), f.Y.SubView(0, 1)));
        yield return Choose<ArgumentException>("index too long", "index", (f, s) => s.Select(f.Stream, f.P, Int(f.X, 3), f.V.SubView(0, 8), f.Y.SubView(0, 1)));
        yield return Choose<ArgumentException>("no index", "index", (f, s) => s.Select(f.Stream, f.P, default, f.V.SubView(0, 8), f.Y.SubView(0, 1)));
        yield return Choose<ArgumentException>("another's index", "index", (f, s) => s.Select(f.Stream, f.P, Int(f.ForeignTensor.Floats, 2), f.V.SubView(0, 8), f.Y.SubView(0, 1)));
        yield return Choose<ArgumentException>("projected too short", "projected", (f, s) => s.Select(f.Stream, f.P, Int(f.X, 2), f.V.SubView(0, 7), f.Y.SubView(0, 1)));
        yield return Choose<ArgumentException>("projected in 16 bits", "projected", (f, s) => s.Select(f.Stream, f.P, Int(f.X, 2), f.V.SubView(0, 4).Cast<ushort>(), f.Y.SubView(0, 1)));
        yield return Choose<ArgumentException>("another's projected", "projected", (f, s) => s.Select(f.Stream, f.P, Int(f.X, 2), f.ForeignTensor.Floats.SubView(0, 8), f.Y.SubView(0, 1)));
        yield return Choose<ArgumentException>("two energies", "energy", (f, s) => s.Select(f.Stream, f.P, Int(f.X, 2), f.V.SubView(0, 8), f.Y.SubView(0, 2)));
        yield return Choose<ArgumentException>("an empty energy", "energy", (f, s) => s.Select(f.Stream, f.P, Int(f.X, 2), f.V.SubView(0, 8), f.Y.SubView(0, 0)));
        yield return Choose<ArgumentException>("energy in 16 bits", "energy", (f, s) => s.Select(f.Stream, f.P, Int(f.X, 2), f.V.SubView(0, 8), f.Y.SubView(0, 1).Cast<ushort>().SubView(0, 1)));
        yield return Choose<ArgumentException>("another's energy", "energy", (f, s) => s.Select(f.Stream, f.P, Int(f.X, 2), f.V.SubView(0, 8), f.ForeignTensor.Floats.SubView(0, 1)));
        yield return Choose<ArgumentException>("index on g", "index", (f, s) => s.Select(f.Stream, f.X, Int(f.X, 2), f.V.SubView(0, 8), f.Y.SubView(0, 1)));
        yield return Choose<ArgumentException>("projected on g", "projected", (f, s) => s.Select(f.Stream, f.V, Int(f.X, 2), f.V.SubView(0, 8), f.Y.SubView(0, 1)));
        yield return Choose<ArgumentException>("projected on index", "projected", (f, s) => s.Select(f.Stream, f.P, Int(f.X, 2), f.X.SubView(1, 8), f.Y.SubView(0, 1)));
        yield return Choose<ArgumentException>("energy on g", "energy", (f, s) => s.Select(f.Stream, f.Y, Int(f.X, 2), f.V.SubView(0, 8), f.Y.SubView(0, 1)));
        yield return Choose<ArgumentException>("energy on index", "energy", (f, s) => s.Select(f.Stream, f.P, Int(f.X, 2), f.V.SubView(0, 8), f.X.SubView(1, 1)));
        yield return Choose<ArgumentException>("energy on projected", "energy", (f, s) => s.Select(f.Stream, f.P, Int(f.X, 2), f.V.SubView(0, 8), f.V.SubView(7, 1)));
        yield return Choose<ObjectDisposedException>("disposed", null, (f, s) =>
        {
            s.Dispose();
            s.Select(f.Stream, f.P, Int(f.X, 2), f.V.SubView(0, 8), f.Y.SubView(0, 1));
        });

        yield return Coordinates<ArgumentNullException>("no stream", "stream", (f, s) => s.Project(null!, f.P, Int(f.X, 2), f.V.SubView(0, 8)));
        yield return Coordinates<ArgumentException>("another's stream", "stream", (f, s) => s.Project(f.Foreign.DefaultStream, f.P, Int(f.X, 2), f.V.SubView(0, 8)));
        yield return Coordinates<ArgumentException>("g too short", "g", (f, s) => s.Project(f.Stream, f.M.SubView(0, 15), Int(f.X, 2), f.V.SubView(0, 8)));
        yield return Coordinates<ArgumentException>("g in 16 bits", "g", (f, s) => s.Project(f.Stream, f.M.SubView(0, 8).Cast<ILGPU.Half>(), Int(f.X, 2), f.V.SubView(0, 8)));
        yield return Coordinates<ArgumentException>("another's g", "g", (f, s) => s.Project(f.Stream, f.ForeignTensor.View, Int(f.X, 2), f.V.SubView(0, 8)));
        yield return Coordinates<ObjectDisposedException>("a disposed g", null, (f, s) => s.Project(f.Stream, f.Disposed, Int(f.X, 2), f.V.SubView(0, 8)));
        yield return Coordinates<ArgumentException>("index too long", "index", (f, s) => s.Project(f.Stream, f.P, Int(f.X, 3), f.V.SubView(0, 8)));
        yield return Coordinates<ArgumentException>("another's index", "index", (f, s) => s.Project(f.Stream, f.P, Int(f.ForeignTensor.Floats, 2), f.V.SubView(0, 8)));
        yield return Coordinates<ArgumentException>("projected too short", "projected", (f, s) => s.Project(f.Stream, f.P, Int(f.X, 2), f.V.SubView(0, 7)));
        yield return Coordinates<ArgumentException>("projected in 16 bits", "projected", (f, s) => s.Project(f.Stream, f.P, Int(f.X, 2), f.V.SubView(0, 4).Cast<ushort>()));
        yield return Coordinates<ArgumentException>("projected on g", "projected", (f, s) => s.Project(f.Stream, f.V, Int(f.X, 2), f.V.SubView(0, 8)));
        yield return Coordinates<ArgumentException>("projected on index", "projected", (f, s) => s.Project(f.Stream, f.P, Int(f.X, 2), f.X.SubView(1, 8)));
        yield return Coordinates<ObjectDisposedException>("disposed", null, (f, s) =>
        {
            s.Dispose();
            s.Project(f.Stream, f.P, Int(f.X, 2), f.V.SubView(0, 8));
        });

        yield return Back<ArgumentNullException>("no stream", "stream", (f, s) => s.BackProject(null!, f.V.SubView(0, 8), Int(f.X, 2), f.P));
        yield return Back<ArgumentException>("another's stream", "stream", (f, s) => s.BackProject(f.Foreign.DefaultStream, f.V.SubView(0, 8), Int(f.X, 2), f.P));
        yield return Back<ArgumentException>("projected too long", "projected", (f, s) => s.BackProject(f.Stream, f.V.SubView(0, 9), Int(f.X, 2), f.P));
        yield return Back<ArgumentException>("projected in 16 bits", "projected", (f, s) => s.BackProject(f.Stream, f.V.SubView(0, 4).Cast<ushort>(), Int(f.X, 2), f.P));
        yield return Back<ArgumentException>("another's projected", "projected", (f, s) => s.BackProject(f.Stream, f.ForeignTensor.Floats.SubView(0, 8), Int(f.X, 2), f.P));
        yield return Back<ArgumentException>("index too short", "index", (f, s) => s.BackProject(f.Stream, f.V.SubView(0, 8), Int(f.X, 1), f.P));
        yield return Back<ArgumentException>("no index", "index", (f, s) => s.BackProject(f.Stream, f.V.SubView(0, 8), default, f.P));
        yield return Back<ArgumentException>("another's index", "index", (f, s) => s.BackProject(f.Stream, f.V.SubView(0, 8), Int(f.ForeignTensor.Floats, 2), f.P));
        yield return Back<ArgumentException>("full too short", "full", (f, s) => s.BackProject(f.Stream, f.V.SubView(0, 8), Int(f.X, 2), f.M.SubView(0, 15)));
        yield return Back<ArgumentException>("full in 16 bits", "full", (f, s) => s.BackProject(f.Stream, f.V.SubView(0, 8), Int(f.X, 2), f.M.SubView(0, 8).Cast<ushort>()));
        yield return Back<ArgumentException>("another's full", "full", (f, s) => s.BackProject(f.Stream, f.V.SubView(0, 8), Int(f.X, 2), f.ForeignTensor.View));
        yield return Back<ObjectDisposedException>("a disposed full", null, (f, s) => s.BackProject(f.Stream, f.V.SubView(0, 8), Int(f.X, 2), f.Disposed));
        yield return Back<ArgumentOutOfRangeException>("keep is no number", "keep", (f, s) => s.BackProject(f.Stream, f.V.SubView(0, 8), Int(f.X, 2), f.P, double.NaN));
        yield return Back<ArgumentOutOfRangeException>("an infinite keep", "keep", (f, s) => s.BackProject(f.Stream, f.V.SubView(0, 8), Int(f.X, 2), f.P, double.PositiveInfinity));
        yield return Back<ArgumentOutOfRangeException>("a keep beyond F32", "keep", (f, s) => s.BackProject(f.Stream, f.V.SubView(0, 8), Int(f.X, 2), f.P, -1e39));
        yield return Back<ArgumentOutOfRangeException>("factor is no number", "factor", (f, s) => s.BackProject(f.Stream, f.V.SubView(0, 8), Int(f.X, 2), f.P, factor: double.NaN));
        yield return Back<ArgumentOutOfRangeException>("an infinite factor", "factor", (f, s) => s.BackProject(f.Stream, f.V.SubView(0, 8), Int(f.X, 2), f.P, factor: double.NegativeInfinity));
        yield return Back<ArgumentException>("projected on full", "projected", (f, s) => s.BackProject(f.Stream, f.V.SubView(0, 8), Int(f.X, 2), f.V));
        yield return Back<ArgumentException>("full on index", "full", (f, s) => s.BackProject(f.Stream, f.V.SubView(0, 8), Int(f.X, 2), f.X));
        yield return Back<ObjectDisposedException>("disposed", null, (f, s) =>
        {
            s.Dispose();
            s.BackProject(f.Stream, f.V.SubView(0, 8), Int(f.X, 2), f.P);
        });

        yield return Move<ArgumentNullException>("no stream", "stream", (f, s) => s.Remap(null!, f.V.SubView(0, 8), Int(f.X, 2), Int(f.Y, 2), f.M.SubView(0, 8)));
        yield return Move<ArgumentException>("another's stream", "stream", (f, s) => s.Remap(f.Foreign.DefaultStream, f.V.SubView(0, 8), Int(f.X, 2), Int(f.Y, 2), f.M.SubView(0, 8)));
        yield return Move<ArgumentException>("state too long", "state", (f, s) => s.Remap(f.Stream, f.V.SubView(0, 9), Int(f.X, 2), Int(f.Y, 2), f.M.SubView(0, 8)));
        yield return Move<ArgumentException>("state in 16 bits", "state", (f, s) => s.Remap(f.Stream, f.V.SubView(0, 4).Cast<ushort>(), Int(f.X, 2), Int(f.Y, 2), f.M.SubView(0, 8)));
        yield return Move<ArgumentException>("another's state", "state", (f, s) => s.Remap(f.Stream, f.ForeignTensor.Floats.SubView(0, 8), Int(f.X, 2), Int(f.Y, 2), f.M.SubView(0, 8)));
        yield return Move<ArgumentException>("previous too long", "previous", (f, s) => s.Remap(f.Stream, f.V.SubView(0, 8), Int(f.X, 3), Int(f.Y, 2), f.M.SubView(0, 8)));
        yield return Move<ArgumentException>("no previous", "previous", (f, s) => s.Remap(f.Stream, f.V.SubView(0, 8), default, Int(f.Y, 2), f.M.SubView(0, 8)));
        yield return Move<ArgumentException>("another's previous", "previous", (f, s) => s.Remap(f.Stream, f.V.SubView(0, 8), Int(f.ForeignTensor.Floats, 2), Int(f.Y, 2), f.M.SubView(0, 8)));
        yield return Move<ArgumentException>("current too short", "current", (f, s) => s.Remap(f.Stream, f.V.SubView(0, 8), Int(f.X, 2), Int(f.Y, 1), f.M.SubView(0, 8)));
        yield return Move<ArgumentException>("another's current", "current", (f, s) => s.Remap(f.Stream, f.V.SubView(0, 8), Int(f.X, 2), Int(f.ForeignTensor.Floats, 2), f.M.SubView(0, 8)));
        yield return Move<ArgumentException>("moved too short", "moved", (f, s) => s.Remap(f.Stream, f.V.SubView(0, 8), Int(f.X, 2), Int(f.Y, 2), f.M.SubView(0, 7)));
        yield return Move<ArgumentException>("moved in 16 bits", "moved", (f, s) => s.Remap(f.Stream, f.V.SubView(0, 8), Int(f.X, 2), Int(f.Y, 2), f.M.SubView(0, 4).Cast<ILGPU.Half>()));
        yield return Move<ArgumentException>("another's moved", "moved", (f, s) => s.Remap(f.Stream, f.V.SubView(0, 8), Int(f.X, 2), Int(f.Y, 2), f.ForeignTensor.Floats.SubView(0, 8)));
        yield return Move<ArgumentException>("in place", "moved", (f, s) => s.Remap(f.Stream, f.V.SubView(0, 8), Int(f.X, 2), Int(f.Y, 2), f.V.SubView(0, 8)));
        yield return Move<ArgumentException>("moved on previous", "moved", (f, s) => s.Remap(f.Stream, f.V.SubView(0, 8), Int(f.X, 2), Int(f.Y, 2), f.X.SubView(1, 8)));
        yield return Move<ArgumentException>("moved on current", "moved", (f, s) => s.Remap(f.Stream, f.V.SubView(0, 8), Int(f.X, 2), Int(f.Y, 2), f.Y.SubView(1, 8)));
        yield return Move<ObjectDisposedException>("disposed", null, (f, s) =>
        {
            s.Dispose();
            s.Remap(f.Stream, f.V.SubView(0, 8), Int(f.X, 2), Int(f.Y, 2), f.M.SubView(0, 8));
        });
    }

    private static BadCall Choose<TException>(string what, string? argument, Action<BadCallFixture, ColumnSelector> call)
        where TException : Exception => Chosen<TException>("ColumnSelector.Select", what, argument, call);

    private static BadCall Coordinates<TException>(string what, string? argument, Action<BadCallFixture, ColumnSelector> call)
        where TException : Exception => Chosen<TException>("ColumnSelector.Project", what, argument, call);

    private static BadCall Back<TException>(string what, string? argument, Action<BadCallFixture, ColumnSelector> call)
        where TException : Exception => Chosen<TException>("ColumnSelector.BackProject", what, argument, call);

    private static BadCall Move<TException>(string what, string? argument, Action<BadCallFixture, ColumnSelector> call)
        where TException : Exception => Chosen<TException>("ColumnSelector.Remap", what, argument, call);

    /// <summary>Two of the four columns of four rows.</summary>
    private static BadCall Chosen<TException>(
        string member, string what, string? argument, Action<BadCallFixture, ColumnSelector> call)
        where TException : Exception => Bad<TException>(member, what, argument, f =>
        {
            using var selector = new ColumnSelector(f.Accelerator, 4, 4, 2);
            call(f, selector);
        });

    private delegate void TransformCaller(
        Transform transform, AcceleratorStream stream, TensorView x, TensorView y, int lines);
}
