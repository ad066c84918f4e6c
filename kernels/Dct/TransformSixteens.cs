using ILGPU;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Linear;

namespace Kernels.DeviceCode.Dct;

/// <summary>Transforms on OpenCL CPU devices: an item has sixteen lines, and the compiler makes SIMD of them.</summary>
/// <remarks>
/// Source: Makhoul 1980, "A fast cosine transform in one and two dimensions"; the tables say how each kind becomes a Fourier
/// transform, and <see cref="FourierStages"/> does it. Of lengths with a prime above 61 the stages make a convolution
/// (Bluestein 1970, "A linear filtering approach to the computation of discrete Fourier transform").
/// Shapes: x, y [rows, columns], or sparse, as <see cref="TransformLines"/> says; a line is a row or a column.
/// Storage: F32, arithmetic binary32.
/// Traffic: x is read once and y written once, and both are asked for while the lines before are computed; sixteen lines
/// stay in the cache of a core.
/// Needs: groups of one item that share the segments; for each group 4 Size + 259 units of sixteen floats of scratch,
/// and 2 n more for scores. If scored, y is written by sixteens: [lines / 16][n][16], rounded up.
/// Order: the arithmetic of a line is the same in every launch; sums of a segment go by every sixteenth of its lines, and
/// those sixteen by halves.
/// Domain: NaN or infinity in a line stays in that line.
/// Error: derived in the reference.
/// </remarks>
internal static class TransformSixteens
{
    private const int Width = Sixteen.Width;

    [DeviceKernel("dct/transform.rowsixteens")]
    internal static void Rows(TransformLines lines, TransformTables t, ArrayView<Sixteen> scratch)
    {
        long begin = lines.UnitsOfGroup * Grid.IdxX;
        var memory = new SixteenMemory { View = scratch, First = begin };
        var spare = new SixteenMemory { View = scratch, First = begin + 2L * t.Size };
        SixteenTile tile = SixteenTile.In(scratch, begin + 4L * t.Size);
        long sums = begin + 4L * t.Size + SixteenTile.Room;
        for (Place place = Place.First(lines); place.IsInside(lines); place.Next(lines))
        {
            int row = place.Line;
            int count = IntrinsicMath.Min(Width, lines.Lines - row);
            Clear(memory, lines, t);
            memory.Ahead = Ahead(lines, t, place, isColumns: false);
            spare.Ahead = memory.Ahead;
            if (lines.IsInputSparse != 0)
            {
                for (int i = 0; i < lines.Rank; i++)
                {
                    int number = lines.Index[i];
                    if ((uint)number < (uint)t.Length)
                    {
                        memory.WritePart(
                            t.Parts[number], Sixteen.Strided(lines.X, row, lines.Lines - 1, lines.Rank, i));
                    }
                }
            }
            else
            {
                LoadRows(lines, t, memory, tile, row);
            }

            SixteenMemory result = TransformPasses.Alone<Sixteen, SixteenMemory>(memory, spare, t);
            if (lines.IsScored)
            {
                StoreScored(lines, t, result, scratch, sums, place, count, tile);
            }
            else if (lines.IsOutputSparse != 0)
            {
                for (int i = 0; i < lines.Rank; i++)
                {
                    int number = lines.Index[i];
                    Sixteen y = default;
                    if ((uint)number < (uint)t.Length)
                    {
                        y = result.ReadPart(t.Parts[t.Length + number]);
                    }

                    y.StoreStrided(lines.Y, row, count, lines.Rank, i);
                }
            }
            else
            {
                StoreRows(lines, t, result, tile, row, count);
            }
        }
    }

    [DeviceKernel("dct/transform.columnsixteens")]
    internal static void Columns(TransformLines lines, TransformTables t, ArrayView<Sixteen> scratch)
    {
        long begin = lines.UnitsOfGroup * Grid.IdxX;
        var memory = new SixteenMemory { View = scratch, First = begin };
        var spare = new SixteenMemory { View = scratch, First = begin + 2L * t.Size };
        SixteenTile tile = SixteenTile.In(scratch, begin + 4L * t.Size);
        long sums = begin + 4L * t.Size + SixteenTile.Room;
        for (Place place = Place.First(lines); place.IsInside(lines); place.Next(lines))
        {
            int column = place.Line;
            int count = IntrinsicMath.Min(Width, lines.Lines - column);
            Clear(memory, lines, t);
            memory.Ahead = Ahead(lines, t, place, isColumns: true);
            spare.Ahead = memory.Ahead;
            int inputs = lines.IsInputSparse != 0 ? lines.Rank : t.Length;
            for (int i = 0; i < inputs; i++)
            {
                long at = (long)i * lines.Lines;
                Sixteen x = Across(lines.X, at, column, lines.Lines);
                if (lines.HasAddend != 0)
                {
                    x += Across(lines.Addend, at, column, lines.Lines);
                }

                int number = lines.IsInputSparse != 0 ? lines.Index[i] : i;
                if ((uint)number < (uint)t.Length)
                {
                    memory.WritePart(t.Parts[number], x);
                }
            }

            SixteenMemory result = TransformPasses.Alone<Sixteen, SixteenMemory>(memory, spare, t);
            if (lines.IsScored)
            {
                StoreScored(lines, t, result, scratch, sums, place, count, tile);
            }

            int outputs = lines.IsScored ? 0 : lines.IsOutputSparse != 0 ? lines.Rank : t.Length;
            for (int i = 0; i < outputs; i++)
            {
                long at = (long)i * lines.Lines;
                int number = lines.IsOutputSparse != 0 ? lines.Index[i] : i;
                Sixteen y = default;
                if ((uint)number < (uint)t.Length)
                {
                    y = result.ReadPart(t.Parts[t.Length + number]);
                }

                if (lines.IsBlended != 0)
                {
                    y *= lines.Factor;
                    if (lines.Keep != 0f)
                    {
                        y = Across(lines.Y, at, column, lines.Lines) * lines.Keep + y;
                    }
                }

                if (count == Width)
                {
                    y.Store(lines.Y, at + column);
                }
                else
                {
                    y.StoreFirst(lines.Y, at + column, count);
                }
            }
        }
    }

    /// <summary>
    /// What is asked for while stages run: where their result goes, and the next lines. The first lines are asked for at once.
    /// </summary>
    private static SixteensAhead Ahead(TransformLines lines, TransformTables t, Place place, bool isColumns)
    {
        int inputs = lines.IsInputSparse != 0 ? lines.Rank : t.Length;
        if (place.IsFirstOfGroup)
        {
            Of(lines.X, lines, place.Line, inputs, isColumns, 0).Ask();
        }

        Place next = place;
        next.Next(lines);
        int outputs = lines.IsOutputSparse != 0 ? lines.Rank : t.Length;
        return new()
        {
            Input = Of(lines.X, lines, next.Line, inputs, isColumns, next.IsInside(lines) ? t.StagePoints : 0),
            Output = lines.IsScored
                ? LinesAhead.In(lines.Y, (long)(place.Line / Width) * outputs * Width, Width, outputs, t.StagePoints)
                : Of(lines.Y, lines, place.Line, outputs, isColumns, t.StagePoints),
        };
    }

    /// <summary>Numbers of sixteen rows, or of columns beside each other.</summary>
    private static LinesAhead Of(ArrayView<float> view, TransformLines lines, int line, int numbers, bool isColumns, int points)
    {
        if (isColumns)
        {
            return LinesAhead.In(view, line, lines.Lines, numbers, points);
        }

        int count = IntrinsicMath.Min(Width, lines.Lines - line) * numbers;
        return LinesAhead.In(view, (long)line * numbers, Width, (count + Width - 1) / Width, points);
    }

    /// <summary>Zeros where the load puts nothing.</summary>
    private static void Clear(SixteenMemory memory, TransformLines lines, TransformTables t)
    {
        if (lines.IsInputSparse != 0)
        {
            TransformPasses.Clear<Sixteen, SixteenMemory>(memory, t, 0, 1);
        }
        else if (t.HasGaps != 0)
        {
            TransformPasses.FillGaps<Sixteen, SixteenMemory>(memory, t, 0, 1);
        }
    }

    /// <summary>Sixteen numbers of sixteen rows at a time are turned in a tile, so that each cache line is read once.</summary>
    private static void LoadRows(
        TransformLines lines, TransformTables t, SixteenMemory memory, SixteenTile tile, int row)
    {
        int last = lines.Lines - 1;
        int c = 0;
        while (c + Width <= t.Length)
        {
            int tiles = IntrinsicMath.Min(SixteenTile.Count, (t.Length - c) / Width);
            for (int r = 0; r < Width; r += tile.One)
            {
                long at = (long)IntrinsicMath.Min(row + r, last) * t.Length + c;
                for (int k = 0; k < tiles; k += tile.One)
                {
                    Sixteen x = Sixteen.Contiguous(lines.X, at + k * Width);
                    if (lines.HasAddend != 0)
                    {
                        x += Sixteen.Contiguous(lines.Addend, at + k * Width);
                    }

                    tile.Put(k, r, x);
                }
            }

            for (int quarter = 0; quarter < 4 * tiles; quarter += tile.One)
            {
                SixteenMasks masks = tile.Masks();
                for (int i = 0; i < 4; i += tile.One)
                {
                    memory.WritePart(t.Parts[c + 4 * quarter + i], tile.Column(quarter, i, masks));
                }
            }

            c += tiles * Width;
        }

        for (; c < t.Length; c++)
        {
            Sixteen x = Sixteen.Strided(lines.X, row, last, t.Length, c);
            if (lines.HasAddend != 0)
            {
                x += Sixteen.Strided(lines.Addend, row, last, t.Length, c);
            }

            memory.WritePart(t.Parts[c], x);
        }
    }

    private static void StoreRows(
        TransformLines lines, TransformTables t, SixteenMemory result, SixteenTile tile, int row, int count)
    {
        int c = 0;
        while (c + Width <= t.Length)
        {
            int tiles = IntrinsicMath.Min(SixteenTile.Count, (t.Length - c) / Width);
            for (int k = 0; k < tiles; k += tile.One)
            {
                for (int i = 0; i < Width; i += tile.One)
                {
                    tile.Put(k, i, result.ReadPart(t.Parts[t.Length + c + k * Width + i]));
                }
            }

            SixteenMasks masks = tile.Masks();
            for (int r = 0; r < count; r += tile.One)
            {
                long at = (long)(row + r) * t.Length + c;
                for (int k = 0; k < tiles; k += tile.One)
                {
                    Sixteen y = tile.Column(4 * k + (r >> 2), r & 3, masks);
                    if (lines.IsBlended != 0)
                    {
                        y *= lines.Factor;
                        if (lines.Keep != 0f)
                        {
                            y = Sixteen.Contiguous(lines.Y, at + k * Width) * lines.Keep + y;
                        }
                    }

                    y.Store(lines.Y, at + k * Width);
                }
            }

            c += tiles * Width;
        }

        for (; c < t.Length; c++)
        {
            result.ReadPart(t.Parts[t.Length + c]).Store(tile.View, 0);
            for (int r = 0; r < count; r++)
            {
                long at = (long)(row + r) * t.Length + c;
                float y = tile.View[r];
                if (lines.IsBlended != 0)
                {
                    y *= lines.Factor;
                    if (lines.Keep != 0f)
                    {
                        y = lines.Y[at] * lines.Keep + y;
                    }
                }

                lines.Y[at] = y;
            }
        }
    }

    /// <summary>
    /// Sixteen lines as they lie, each number of a line beside that of the others, and the scores of each number: sums
    /// of lanes as long as the segment lasts, then one.
    /// </summary>
    private static void StoreScored(
        TransformLines lines, TransformTables t, SixteenMemory result, ArrayView<Sixteen> scratch, long sums,
        Place place, int count, SixteenTile tile)
    {
        ArrayView<Sixteen> to = lines.Y.Cast<Sixteen>();
        long first = (long)(place.Line / Width) * t.Length;
        int one = 1 + Sixteen.Zero(first);
        for (int i = 0; i < t.Length; i += one)
        {
            Sixteen y = result.ReadPart(t.Parts[t.Length + i]);
            to[first + i] = y;
            if (count < Width)
            {
                y = y.First(count);
            }

            if (lines.HasSquares != 0)
            {
                Add(scratch, sums + i, y.Times(y), place.IsFirst);
            }

            if (lines.HasMagnitudes != 0)
            {
                Add(scratch, sums + t.Length + i, y.Magnitude(), place.IsFirst);
            }
        }

        if (place.IsLast(lines))
        {
            long scores = (long)place.Segment * t.Length;
            for (int i = 0; i < t.Length; i += one)
            {
                if (lines.HasSquares != 0)
                {
                    lines.Squares[scores + i] = scratch[sums + i].Sum();
                }

                if (lines.HasMagnitudes != 0)
                {
                    lines.Magnitudes[scores + i] = scratch[sums + t.Length + i].Sum();
                }
            }
        }
    }

    private static void Add(ArrayView<Sixteen> sums, long at, Sixteen x, bool isFirst)
    {
        if (!isFirst)
        {
            x = sums[at] + x;
        }

        sums[at] = x;
    }

    /// <summary>Sixteen lines of a segment; a group takes segments, and goes through each of them.</summary>
    private struct Place
    {
        public int Segment;
        public int Line;
        public bool IsFirst;
        public bool IsFirstOfGroup;

        internal static Place First(TransformLines lines) =>
            new() { Segment = Grid.IdxX, Line = Grid.IdxX * lines.SegmentLines, IsFirst = true, IsFirstOfGroup = true };

        internal readonly bool IsInside(TransformLines lines) => Line < lines.Lines;

        internal readonly bool IsLast(TransformLines lines) =>
            Line + Width >= IntrinsicMath.Min((Segment + 1) * lines.SegmentLines, lines.Lines);

        internal void Next(TransformLines lines)
        {
            bool isLast = IsLast(lines);
            Line += Width;
            IsFirst = false;
            IsFirstOfGroup = false;
            if (isLast)
            {
                Segment += Grid.DimX;
                Line = Segment * lines.SegmentLines;
                IsFirst = true;
            }
        }
    }

    /// <summary>Sixteen columns of a row; the last again beyond the end.</summary>
    private static Sixteen Across(ArrayView<float> view, long row, int column, int columns) =>
        column + Width <= columns
            ? Sixteen.Contiguous(view, row + column)
            : Sixteen.Strided(view, column, columns - 1, 1, row);
}
