using ILGPU;
using ILGPU.Runtime;
using Kernels.References.VectorQuantization;
using Kernels.Tests.Support;
using Kernels.VectorQuantization;

namespace Kernels.Tests.VectorQuantization;

/// <summary>Rows for a codebook object, and what the oracles say of them.</summary>
internal sealed class CodebookCase
{
    internal CodebookCase(int rows, int codes, int dimension, CodebookSettings settings, int seed)
    {
        var draw = new Draw(seed);
        Rows = rows;
        Codes = codes;
        Dimension = dimension;
        Settings = settings;
        X = draw.Floats(rows * settings.Heads * dimension, 1e-2, 1e2);
        Grad = draw.Floats(X.Length, 1e-2, 1e2);
        Book = draw.Floats(Books * codes * dimension, 1e-2, 1e2);
    }

    internal int Rows { get; }

    internal int Codes { get; }

    internal int Dimension { get; }

    internal CodebookSettings Settings { get; }

    internal int Books => Settings.SharedHeads ? 1 : Settings.Heads;

    internal int Entries => Rows * Settings.Heads;

    internal float[] X { get; init; }

    internal float[] Grad { get; }

    internal float[] Book { get; init; }

    internal Codebook Create()
    {
        var book = new Codebook(TestDevices.Session, Codes, Dimension, Settings);
        book.SetCodes(Book);
        return book;
    }

    /// <summary>The rows of a codebook, in their order.</summary>
    internal T[] OfBook<T>(T[] all, int book, int length) => LearnCase.OfHead(all, book, Books, length);

    internal float[] CodesOf(int book) => Book[(book * Codes * Dimension)..((book + 1) * Codes * Dimension)];

    /// <summary>Places among the codes of all books, one after the other.</summary>
    internal int[] Places(int[] index) =>
        [.. index.Select((code, i) => code < 0 ? -1 : ((i % Books) * Codes) + code)];

    internal void AssertNearest(int[] index)
    {
        Assert.Equal(Entries, index.Length);
        var metric = (NearestMetric)Settings.Metric;
        for (int book = 0; book < Books; book++)
        {
            NearestRow[] rows = new NearestReference(metric, CodesOf(book), Dimension).SearchAll(OfBook(X, book, Dimension));
            int[] got = OfBook(index, book, 1);
            for (int i = 0; i < got.Length; i++)
            {
                Assert.True(
                    Settings.Certified ? rows[i].Index[0] == got[i] : rows[i].Admits(got[i]),
                    $"Row {i} of book {book}: {got[i]}, and not {rows[i].Index[0]}.");
            }
        }
    }

    internal static float[] Values(ArrayView<float> view)
    {
        var values = new float[view.Length];
        view.CopyToCPU(TestDevices.Session.Stream, values);
        return values;
    }

    internal static int[] Values(ArrayView<int> view)
    {
        var values = new int[view.Length];
        view.CopyToCPU(TestDevices.Session.Stream, values);
        return values;
    }

    internal static byte[] Saved(Action<Stream> save)
    {
        using var stream = new MemoryStream();
        save(stream);
        return stream.ToArray();
    }
}
