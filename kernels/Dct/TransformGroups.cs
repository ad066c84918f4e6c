using ILGPU;
using Kernels.DeviceCode.Common;

namespace Kernels.DeviceCode.Dct;

/// <summary>How a group walks over lines.</summary>
internal struct TransformGroupShape
{
    /// <summary>Lines at a time, a power of two up to 16.</summary>
    public int Lanes;

    /// <summary>Items of a line, a power of two.</summary>
    public int Items;

    /// <summary>1 if lines are columns.</summary>
    public int IsColumns;

    /// <summary>Floats of memory of a line.</summary>
    public int Room;
}

/// <summary>Transforms on GPUs: a group has some lines in its memory, and the items of a line share its butterflies.</summary>
/// <remarks>
/// Source, Shapes, Storage, Error: as <see cref="TransformSixteens"/>.
/// Traffic: x is read once and y written once, in runs of a warp; sums are made in the memory of the group; tables come
/// from the caches.
/// Needs: Lanes * Items items a group; memory of a group of Lanes * Room floats, shared or, for long lines, global; 2 Points
/// floats a line, twice that if there is a stage of another prime, 4 Size of a convolution. A barrier for each pass.
/// Order: the arithmetic of a line is the same in every launch; sums of a segment go by its lines.
/// Domain: NaN or infinity in a line stays in that line.
/// </remarks>
internal static class TransformGroups
{
    [DeviceKernel("dct/transform.shared")]
    internal static void Shared(TransformLines lines, TransformTables t, TransformGroupShape s) =>
        Walk(lines, t, s, SharedMemory.GetDynamic<float>(), 0);

    [DeviceKernel("dct/transform.global")]
    internal static void Global(TransformLines lines, TransformTables t, TransformGroupShape s, ArrayView<float> scratch) =>
        Walk(lines, t, s, scratch, (long)Grid.IdxX * s.Lanes * s.Room);

    private static void Walk(
        TransformLines lines, TransformTables t, TransformGroupShape s, ArrayView<float> view, long begin)
    {
        int lane = s.IsColumns != 0 ? Group.IdxX & (s.Lanes - 1) : Group.IdxX / s.Items;
        int first = s.IsColumns != 0 ? Group.IdxX / s.Lanes : Group.IdxX & (s.Items - 1);
        // Rows lie one behind the other, columns beside each other: as in x, so that a warp reads and writes in runs.
        var memory = new GroupMemory
        {
            View = view,
            First = begin + (s.IsColumns != 0 ? lane : lane * s.Room),
            Stride = s.IsColumns != 0 ? s.Lanes : 1,
            Imaginary = t.Size * (s.IsColumns != 0 ? s.Lanes : 1),
        };
        GroupMemory spare = memory;
        spare.First += 2 * memory.Imaginary;
        for (int unit = Grid.IdxX; (long)unit * lines.SegmentLines < lines.Lines; unit += Grid.DimX)
        {
            for (int part = 0; part < lines.SegmentLines; part += s.Lanes)
            {
                int line = unit * lines.SegmentLines + part + lane;
                GroupMemory result = Transform(lines, t, s, memory, spare, line, first);
                Store(lines, t, s, result, line, first);
                if (lines.IsScored)
                {
                    result.First -= s.IsColumns != 0 ? lane : lane * s.Room;
                    Score(lines, t, s, result, unit * lines.SegmentLines + part, part == 0);
                }

                Group.Barrier();
            }
        }
    }

    private static GroupMemory Transform(
        TransformLines lines, TransformTables t, TransformGroupShape s, GroupMemory memory, GroupMemory spare, int line,
        int first)
    {
        bool isInside = line < lines.Lines;
        if (lines.IsInputSparse != 0)
        {
            TransformPasses.Clear<Lane, GroupMemory>(memory, t, first, s.Items);
            Group.Barrier();
        }
        else if (t.HasGaps != 0)
        {
            TransformPasses.FillGaps<Lane, GroupMemory>(memory, t, first, s.Items);
            Group.Barrier();
        }

        int inputs = lines.IsInputSparse != 0 ? lines.Rank : t.Length;
        for (int i = first; i < inputs; i += s.Items)
        {
            float x = 0f;
            if (isInside)
            {
                long at = At(s, lines.Lines, inputs, line, i);
                x = lines.X[at];
                if (lines.HasAddend != 0)
                {
                    x += lines.Addend[at];
                }
            }

            int number = lines.IsInputSparse != 0 ? lines.Index[i] : i;
            if ((uint)number < (uint)t.Length)
            {
                memory.WritePart(t.Parts[number], Lane.Of(x));
            }
        }

        Group.Barrier();
        if (t.CopyCount > 0)
        {
            TransformPasses.Copy<Lane, GroupMemory>(memory, t, first, s.Items);
            Group.Barrier();
        }

        if (t.InputPairs > 0)
        {
            TransformPasses.Mix<Lane, GroupMemory>(memory, t, 0, t.InputPairs, first, s.Items);
            Group.Barrier();
        }

        int transforms = t.IsConvolved ? 2 : 1; // as in TransformPasses.Alone
        for (int transform = 0; transform < transforms; transform++)
        {
            if (t.IsConvolved)
            {
                if (transform == 0)
                {
                    TransformPasses.Spread<Lane, GroupMemory>(memory, spare, t, first, s.Items);
                }
                else
                {
                    TransformPasses.Filter<Lane, GroupMemory>(memory, spare, t, first, s.Items);
                }

                (memory, spare) = (spare, memory);
                Group.Barrier();
            }

            int factors = 0;
            int span = 1;
            for (int i = 0; i < t.PrimeCount; i++)
            {
                int prime = t.Primes[i];
                FourierStages.Any<Lane, GroupMemory>(
                    memory, spare, t.Factors, factors, prime, span, t.Points, first, s.Items, 0);
                (memory, spare) = (spare, memory);
                span *= prime;
                factors += 2 * span;
                Group.Barrier();
            }

            for (ulong radices = t.Radices; radices != 0; radices >>= 4)
            {
                int radix = (int)(radices & 15);
                if (span == 1)
                {
                    TransformPasses.Stage<Lane, GroupMemory, NotTurned>(memory, t, radix, factors, span, first, s.Items, 0);
                }
                else
                {
                    TransformPasses.Stage<Lane, GroupMemory, Turned>(memory, t, radix, factors, span, first, s.Items, 0);
                }

                factors += 2 * (radix - 1) * span;
                span *= radix;
                Group.Barrier();
            }
        }

        if (t.IsConvolved)
        {
            TransformPasses.Gather<Lane, GroupMemory>(memory, t, first, s.Items);
            Group.Barrier();
        }

        if (t.OutputPairs > 0)
        {
            TransformPasses.Mix<Lane, GroupMemory>(
                memory, t, t.InputPairs, t.InputPairs + t.OutputPairs, first, s.Items);
            Group.Barrier();
        }

        return memory;
    }

    private static void Store(
        TransformLines lines, TransformTables t, TransformGroupShape s, GroupMemory result, int line, int first)
    {
        int outputs = lines.IsOutputSparse != 0 ? lines.Rank : t.Length;
        for (int i = first; i < outputs; i += s.Items)
        {
            if (line < lines.Lines)
            {
                long at = At(s, lines.Lines, outputs, line, i);
                int number = lines.IsOutputSparse != 0 ? lines.Index[i] : i;
                float y = 0f;
                if ((uint)number < (uint)t.Length)
                {
                    y = result.ReadPart(t.Parts[t.Length + number]).Value;
                }

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

    /// <summary>Adds the lines of the group to the sums of their segment, in order, from the memory of the group.</summary>
    private static void Score(
        TransformLines lines, TransformTables t, TransformGroupShape s, GroupMemory result, int line, bool isFirst)
    {
        long scores = (long)(line / lines.SegmentLines) * t.Length;
        int count = IntrinsicMath.Min(s.Lanes, lines.Lines - line);
        int step = s.IsColumns != 0 ? 1 : s.Room;
        for (int i = Group.IdxX; i < t.Length; i += Group.DimX)
        {
            float squares = 0f;
            float magnitudes = 0f;
            if (!isFirst)
            {
                squares = lines.HasSquares != 0 ? lines.Squares[scores + i] : 0f;
                magnitudes = lines.HasMagnitudes != 0 ? lines.Magnitudes[scores + i] : 0f;
            }

            int part = t.Parts[t.Length + i];
            GroupMemory memory = result;
            for (int lane = 0; lane < count; lane++)
            {
                float y = memory.ReadPart(part).Value;
                squares += y * y;
                magnitudes += IntrinsicMath.Abs(y);
                memory.First += step;
            }

            if (lines.HasSquares != 0)
            {
                lines.Squares[scores + i] = squares;
            }

            if (lines.HasMagnitudes != 0)
            {
                lines.Magnitudes[scores + i] = magnitudes;
            }
        }
    }

    private static long At(TransformGroupShape s, int lines, int numbers, int line, int i) =>
        s.IsColumns != 0 ? (long)i * lines + line : (long)line * numbers + i;
}
