using System.Numerics;
using System.Runtime.CompilerServices;
using Kernels.DeviceCode.Dct;
using Kernels.Host;

namespace Kernels.Dct;

/// <summary>As many lines as a SIMD register has lanes, part by part.</summary>
internal readonly unsafe struct HostFourierMemory(float* parts) : IFourierMemory<HostLane>
{
    private readonly float* _parts = parts;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public ComplexLane<HostLane> Read(int point) => ComplexLane<HostLane>.Of(ReadPart(2 * point), ReadPart((2 * point) + 1));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Write(int point, ComplexLane<HostLane> value)
    {
        WritePart(2 * point, value.Re);
        WritePart((2 * point) + 1, value.Im);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public HostLane ReadPart(int part) => new(Vector.Load(_parts + ((long)part * Vector<float>.Count)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void WritePart(int part, HostLane value) => value.Value.Store(_parts + ((long)part * Vector<float>.Count));
}

/// <summary>Transforms on ILGPU's CPU accelerator; a unit is a segment of lines.</summary>
internal unsafe struct HostTransform : IHostWork
{
    public TransformLines Lines;
    public TransformTables Tables;
    public float* X;
    public float* Addend;
    public float* Y;
    public bool IsColumns;

    private static int Width => Vector<float>.Count;

    /// <summary>Runs all segments.</summary>
    internal static void Run(in HostTransform work, int threads)
    {
        const long Grain = 16_384; // numbers worth a thread
        long segments = (work.Lines.Lines + work.Lines.SegmentLines - 1L) / work.Lines.SegmentLines;
        HostPool.Run(
            work, segments, Math.Max(1, Grain / work.Lines.SegmentLines / work.Tables.Length), threads);
    }

    public readonly void Run(long begin, long end)
    {
        int room = 2 * Tables.Points * Width;
        if (Scratch.Parts is null || Scratch.Parts.Length < 2 * room)
        {
            Scratch.Parts = GC.AllocateUninitializedArray<float>(2 * room, pinned: true);
        }

        float* parts = (float*)Unsafe.AsPointer(ref Scratch.Parts[0]); // pinned
        for (long segment = begin; segment < end; segment++)
        {
            int first = (int)segment * Lines.SegmentLines;
            int last = Math.Min(first + Lines.SegmentLines, Lines.Lines);
            for (int line = first; line < last; line += Width)
            {
                int count = Math.Min(Width, last - line);
                Load(parts, line, count);
                TransformPasses.Alone<HostLane, HostFourierMemory>(
                    new HostFourierMemory(parts), new HostFourierMemory(parts + room), Tables);
                Store(Tables.PrimeCount % 2 == 1 ? parts + room : parts, line, count);
                if (Lines.IsScored != 0)
                {
                    Score(segment * Tables.Length, line, count, line == first);
                }
            }
        }
    }

    private readonly void Load(float* parts, int line, int count)
    {
        if (Lines.IsInputSparse != 0 || Tables.HasGaps != 0 || count < Width)
        {
            new Span<float>(parts, 2 * Tables.Points * Width).Clear();
        }

        int inputs = Lines.IsInputSparse != 0 ? Lines.Rank : Tables.Length;
        for (int i = 0; i < inputs; i++)
        {
            int number = Lines.IsInputSparse != 0 ? Lines.Index[i] : i;
            if ((uint)number >= (uint)Tables.Length)
            {
                continue;
            }

            float* part = parts + ((long)Tables.Parts[number] * Width);
            float* x = X + At(inputs, line, i);
            float* addend = Addend + At(inputs, line, i);
            long step = IsColumns ? 1 : inputs;
            for (int lane = 0; lane < count; lane++)
            {
                part[lane] = Lines.HasAddend != 0 ? x[lane * step] + addend[lane * step] : x[lane * step];
            }
        }
    }

    private readonly void Store(float* parts, int line, int count)
    {
        int outputs = Lines.IsOutputSparse != 0 ? Lines.Rank : Tables.Length;
        for (int i = 0; i < outputs; i++)
        {
            int number = Lines.IsOutputSparse != 0 ? Lines.Index[i] : i;
            bool isNone = (uint)number >= (uint)Tables.Length;
            float* part = parts + (isNone ? 0 : (long)Tables.Parts[Tables.Length + number] * Width);
            float* y = Y + At(outputs, line, i);
            long step = IsColumns ? 1 : outputs;
            for (int lane = 0; lane < count; lane++)
            {
                float value = isNone ? 0 : part[lane];
                if (Lines.IsBlended != 0)
                {
                    value *= Lines.Factor;
                    value = Lines.Keep != 0 ? (y[lane * step] * Lines.Keep) + value : value;
                }

                y[lane * step] = value;
            }
        }
    }

    /// <summary>Adds the lines just written to the sums of their segment, in order.</summary>
    private readonly void Score(long scores, int line, int count, bool isFirst)
    {
        for (int i = 0; i < Tables.Length; i++)
        {
            float squares = isFirst ? 0 : Lines.Squares[scores + i];
            float magnitudes = isFirst ? 0 : Lines.Magnitudes[scores + i];
            for (int lane = 0; lane < count; lane++)
            {
                float y = Y[At(Tables.Length, line + lane, i)];
                squares += y * y;
                magnitudes += MathF.Abs(y);
            }

            Lines.Squares[scores + i] = squares;
            Lines.Magnitudes[scores + i] = magnitudes;
        }
    }

    private readonly long At(int numbers, int line, int i) =>
        IsColumns ? ((long)i * Lines.Lines) + line : ((long)line * numbers) + i;

    private static class Scratch
    {
        [ThreadStatic]
        internal static float[]? Parts;
    }
}
