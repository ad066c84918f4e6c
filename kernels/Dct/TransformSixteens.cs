using ILGPU;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Linear;

namespace Kernels.DeviceCode.Dct;

/// <summary>Transforms on OpenCL CPU devices: an item has sixteen lines, and the compiler makes SIMD of them.</summary>
/// <remarks>
/// Source: Makhoul 1980, "A fast cosine transform in one and two dimensions"; the tables say how each kind becomes a Fourier
/// transform, and <see cref="FourierStages"/> does it.
/// Shapes: x, y [rows, columns], or sparse, as <see cref="TransformLines"/> says; a line is a row or a column.
/// Storage: F32, arithmetic binary32.
/// Traffic: x is read once and y written once; sixteen lines stay in the cache of a core.
/// Needs: groups of one item that share the segments; for each group 4 Points + 16 units of sixteen floats of scratch.
/// Order: the arithmetic of a line is the same in every launch; sums of a segment go by its lines, of columns by sixteens.
/// Domain: NaN or infinity in a line stays in that line.
/// Error: derived in the reference.
/// </remarks>
internal static class TransformSixteens
{
    private const int Width = Sixteen.Width;

    [DeviceKernel("dct/transform.rowsixteens")]
    internal static void Rows(TransformLines lines, TransformTables t, ArrayView<Sixteen> scratch)
    {
        long begin = (4L * t.Points + Width) * Grid.IdxX;
        var memory = new SixteenMemory { View = scratch, First = begin };
        var spare = new SixteenMemory { View = scratch, First = begin + 2L * t.Points };
        long tile = begin + 4L * t.Points;
        ArrayView<float> turned = scratch.SubView(tile, Width).Cast<float>();
        for (Place place = Place.First(lines); place.IsInside(lines); place.Next(lines))
        {
            int row = place.Line;
            int count = IntrinsicMath.Min(Width, lines.Lines - row);
            Clear(memory, lines, t);
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
                LoadRows(lines, t, memory, scratch, tile, turned, row);
            }

            SixteenMemory result = TransformPasses.Alone<Sixteen, SixteenMemory>(memory, spare, t);
            if (lines.IsOutputSparse != 0)
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
                StoreRows(lines, t, result, scratch, tile, turned, place, count);
            }
        }
    }

    [DeviceKernel("dct/transform.columnsixteens")]
    internal static void Columns(TransformLines lines, TransformTables t, ArrayView<Sixteen> scratch)
    {
        long begin = (4L * t.Points + Width) * Grid.IdxX;
        var memory = new SixteenMemory { View = scratch, First = begin };
        var spare = new SixteenMemory { View = scratch, First = begin + 2L * t.Points };
        for (Place place = Place.First(lines); place.IsInside(lines); place.Next(lines))
        {
            int column = place.Line;
            long scores = (long)place.Segment * t.Length;
            int count = IntrinsicMath.Min(Width, lines.Lines - column);
            Clear(memory, lines, t);
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
            int outputs = lines.IsOutputSparse != 0 ? lines.Rank : t.Length;
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

                if (lines.IsScored != 0)
                {
                    Sixteen inside = y.First(count);
                    float squares = inside.Times(inside).Sum();
                    float magnitudes = inside.Magnitude().Sum();
                    if (!place.IsFirst)
                    {
                        squares = lines.Squares[scores + i] + squares;
                        magnitudes = lines.Magnitudes[scores + i] + magnitudes;
                    }

                    lines.Squares[scores + i] = squares;
                    lines.Magnitudes[scores + i] = magnitudes;
                }
            }
        }
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
        TransformLines lines, TransformTables t, SixteenMemory memory, ArrayView<Sixteen> scratch, long tile,
        ArrayView<float> turned, int row)
    {
        int last = lines.Lines - 1;
        int c = 0;
        for (; c + Width <= t.Length; c += Width)
        {
            for (int r = 0; r < Width; r++)
            {
                long at = (long)IntrinsicMath.Min(row + r, last) * t.Length + c;
                Sixteen x = Sixteen.Contiguous(lines.X, at);
                if (lines.HasAddend != 0)
                {
                    x += Sixteen.Contiguous(lines.Addend, at);
                }

                scratch[tile + r] = x;
            }

            for (int i = 0; i < Width; i++)
            {
                memory.WritePart(t.Parts[c + i], Turned(turned, i));
            }
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
        TransformLines lines, TransformTables t, SixteenMemory result, ArrayView<Sixteen> scratch, long tile,
        ArrayView<float> turned, Place place, int count)
    {
        int row = place.Line;
        long scores = (long)place.Segment * t.Length;
        int c = 0;
        for (; c + Width <= t.Length; c += Width)
        {
            for (int i = 0; i < Width; i++)
            {
                scratch[tile + i] = result.ReadPart(t.Parts[t.Length + c + i]);
            }

            Sixteen squares = default;
            Sixteen magnitudes = default;
            if (lines.IsScored != 0 && !place.IsFirst)
            {
                squares = Sixteen.Contiguous(lines.Squares, scores + c);
                magnitudes = Sixteen.Contiguous(lines.Magnitudes, scores + c);
            }

            for (int r = 0; r < count; r++)
            {
                long at = (long)(row + r) * t.Length + c;
                Sixteen y = Turned(turned, r);
                if (lines.IsBlended != 0)
                {
                    y *= lines.Factor;
                    if (lines.Keep != 0f)
                    {
                        y = Sixteen.Contiguous(lines.Y, at) * lines.Keep + y;
                    }
                }

                y.Store(lines.Y, at);
                squares.AddProducts(y, y);
                magnitudes += y.Magnitude();
            }

            if (lines.IsScored != 0)
            {
                squares.Store(lines.Squares, scores + c);
                magnitudes.Store(lines.Magnitudes, scores + c);
            }
        }

        for (; c < t.Length; c++)
        {
            scratch[tile] = result.ReadPart(t.Parts[t.Length + c]);
            float squares = 0f;
            float magnitudes = 0f;
            if (lines.IsScored != 0 && !place.IsFirst)
            {
                squares = lines.Squares[scores + c];
                magnitudes = lines.Magnitudes[scores + c];
            }

            for (int r = 0; r < count; r++)
            {
                long at = (long)(row + r) * t.Length + c;
                float y = turned[r];
                if (lines.IsBlended != 0)
                {
                    y *= lines.Factor;
                    if (lines.Keep != 0f)
                    {
                        y = lines.Y[at] * lines.Keep + y;
                    }
                }

                lines.Y[at] = y;
                squares += y * y;
                magnitudes += IntrinsicMath.Abs(y);
            }

            if (lines.IsScored != 0)
            {
                lines.Squares[scores + c] = squares;
                lines.Magnitudes[scores + c] = magnitudes;
            }
        }
    }

    /// <summary>Sixteen lines of a segment; a group takes segments, and goes through each of them.</summary>
    private struct Place
    {
        public int Segment;
        public int Line;
        public bool IsFirst;

        internal static Place First(TransformLines lines) =>
            new() { Segment = Grid.IdxX, Line = Grid.IdxX * lines.SegmentLines, IsFirst = true };

        internal readonly bool IsInside(TransformLines lines) => Line < lines.Lines;

        internal void Next(TransformLines lines)
        {
            Line += Width;
            IsFirst = false;
            if (Line >= IntrinsicMath.Min((Segment + 1) * lines.SegmentLines, lines.Lines))
            {
                Segment += Grid.DimX;
                Line = Segment * lines.SegmentLines;
                IsFirst = true;
            }
        }
    }

    /// <summary>A column of the tile.</summary>
    private static Sixteen Turned(ArrayView<float> tile, int column) =>
        Sixteen.Strided(tile, 0, Width - 1, Width, column);

    /// <summary>Sixteen columns of a row; the last again beyond the end.</summary>
    private static Sixteen Across(ArrayView<float> view, long row, int column, int columns) =>
        column + Width <= columns
            ? Sixteen.Contiguous(view, row + column)
            : Sixteen.Strided(view, column, columns - 1, 1, row);
}
