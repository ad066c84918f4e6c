using System.Runtime.InteropServices;
using ILGPU;
using ILGPU.Runtime;

namespace Kernels.Quantization;

/// <summary>A matrix cut into parts that have one codebook and one scale each, on the device.</summary>
internal sealed class PartTable : IDisposable
{
    /// <summary>The most weights of a part.</summary>
    internal const int MostWeights = 4_096;

    internal PartTable(Accelerator accelerator, CodebookLayout layout)
    {
        var start = new List<int>();
        var bookOf = new List<int>();
        var scaleOf = new List<int>();
        (int[] books, int[] scales) = (Ends(layout, layout.Codebooks), Ends(layout, layout.Scales ?? WeightScope.Tensor));
        var firstOfBook = new int[books.Length + 1];
        var firstOfScale = new int[scales.Length + 1];
        int book = 0;
        int scale = 0;
        for (int at = 0; at < layout.WeightCount;)
        {
            while (books[book] <= at)
            {
                firstOfBook[++book] = start.Count;
            }

            while (scales[scale] <= at)
            {
                firstOfScale[++scale] = start.Count;
            }

            start.Add(at);
            bookOf.Add(book);
            scaleOf.Add(scale);
            at = (int)Math.Min(Math.Min(books[book], scales[scale]), (long)at + MostWeights);
        }

        Count = start.Count;
        firstOfBook.AsSpan(book + 1).Fill(Count);
        firstOfScale.AsSpan(scale + 1).Fill(Count);
        start.Add(layout.WeightCount);
        Start = Upload(accelerator, start);
        BookOf = Upload(accelerator, bookOf);
        ScaleOf = Upload(accelerator, scaleOf);
        Books = new FoldTable(accelerator, firstOfBook);
        Scales = new FoldTable(accelerator, firstOfScale);
    }

    internal int Count { get; }

    internal MemoryBuffer1D<int, Stride1D.Dense> Start { get; }

    internal MemoryBuffer1D<int, Stride1D.Dense> BookOf { get; }

    internal MemoryBuffer1D<int, Stride1D.Dense> ScaleOf { get; }

    internal FoldTable Books { get; }

    internal FoldTable Scales { get; }

    public void Dispose()
    {
        Start.Dispose();
        BookOf.Dispose();
        ScaleOf.Dispose();
        Books.Dispose();
        Scales.Dispose();
    }

    internal static MemoryBuffer1D<int, Stride1D.Dense> Upload(Accelerator accelerator, List<int> numbers)
    {
        MemoryBuffer1D<int, Stride1D.Dense> buffer = accelerator.Allocate1D<int>(numbers.Count);
        buffer.View.BaseView.CopyFromCPU(accelerator.DefaultStream, CollectionsMarshal.AsSpan(numbers));
        accelerator.DefaultStream.Synchronize();
        return buffer;
    }

    /// <summary>The end of each share.</summary>
    private static int[] Ends(CodebookLayout layout, WeightScope scope)
    {
        var ends = new int[scope.Count(layout.Rows, layout.Columns)];
        for (int share = 0; share < ends.Length; share++)
        {
            ends[share] = scope.Kind switch
            {
                WeightScopeKind.Tensor => layout.WeightCount,
                WeightScopeKind.Rows => (share + 1) * layout.Columns,
                WeightScopeKind.Groups => scope.Boundaries[share + 1] * layout.Columns,
                _ => (int)Math.Min((share + 1L) * scope.Block, layout.WeightCount),
            };
        }

        return ends;
    }
}

/// <summary>The parts of each share: in one go, or in chunks where a share has many.</summary>
internal sealed class FoldTable : IDisposable
{
    private const int Chunk = 64;

    internal FoldTable(Accelerator accelerator, int[] first)
    {
        Count = first.Length - 1;
        First = PartTable.Upload(accelerator, [.. first]);
        int most = 0;
        for (int share = 0; share < Count; share++)
        {
            most = Math.Max(most, first[share + 1] - first[share]);
        }

        if (most <= Chunk)
        {
            return;
        }

        var chunks = new List<int>();
        var firstChunk = new List<int>();
        for (int share = 0; share < Count; share++)
        {
            firstChunk.Add(chunks.Count);
            for (int part = first[share]; part < first[share + 1]; part += Chunk)
            {
                chunks.Add(part);
            }
        }

        firstChunk.Add(chunks.Count);
        ChunkCount = chunks.Count;
        chunks.Add(first[Count]);
        Chunks = PartTable.Upload(accelerator, chunks);
        FirstChunk = PartTable.Upload(accelerator, firstChunk);
    }

    /// <summary>Shares.</summary>
    internal int Count { get; }

    /// <summary>The first part of each share.</summary>
    internal MemoryBuffer1D<int, Stride1D.Dense> First { get; }

    /// <summary>0 where there are none.</summary>
    internal int ChunkCount { get; }

    /// <summary>The first part of each chunk.</summary>
    internal MemoryBuffer1D<int, Stride1D.Dense>? Chunks { get; }

    /// <summary>The first chunk of each share.</summary>
    internal MemoryBuffer1D<int, Stride1D.Dense>? FirstChunk { get; }

    public void Dispose()
    {
        First.Dispose();
        Chunks?.Dispose();
        FirstChunk?.Dispose();
    }
}
