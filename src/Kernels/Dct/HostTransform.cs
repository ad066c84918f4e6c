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
    public ComplexLane<HostLane> Read(int point)
    {
        float* at = _parts + (2L * point * Vector<float>.Count);
        ComplexLane<HostLane> read = default;
        read.Re.Value = Vector.Load(at);
        read.Im.Value = Vector.Load(at + Vector<float>.Count);
        return read;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Write(int point, ComplexLane<HostLane> value)
    {
        float* at = _parts + (2L * point * Vector<float>.Count);
        value.Re.Value.Store(at);
        value.Im.Value.Store(at + Vector<float>.Count);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public HostLane ReadPart(int part) => new(Vector.Load(_parts + ((long)part * Vector<float>.Count)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void WritePart(int part, HostLane value) => value.Value.Store(_parts + ((long)part * Vector<float>.Count));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Begin(int done, int points)
    {
    }
}

/// <summary>Transforms on ILGPU's CPU accelerator; a unit is a segment of lines.</summary>
internal unsafe struct HostTransform : IHostWork
{
    public TransformLines Lines;
    public TransformTables Tables;
    public float* X;
    public float* Addend;
    public float* Y;
    public float* Squares;
    public float* Magnitudes;
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
        int room = 2 * Tables.Size * Width;
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
                if (Lines.IsScored)
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

        float* lanes = stackalloc float[Width];
        int inputs = Lines.IsInputSparse != 0 ? Lines.Rank : Tables.Length;
        for (int i = LoadTiles(parts, line, count); i < inputs; i++)
        {
            int number = Lines.IsInputSparse != 0 ? Lines.Index[i] : i;
            if ((uint)number < (uint)Tables.Length)
            {
                long at = At(inputs, line, i);
                float* part = parts + ((long)Tables.Parts[number] * Width);
                Copy(X + at, part, inputs, count);
                if (Lines.HasAddend != 0)
                {
                    Copy(Addend + at, lanes, inputs, count);
                    (Vector.Load(part) + Vector.Load(lanes)).Store(part);
                }
            }
        }
    }

    /// <summary>Loads whole rows by tiles.</summary>
    /// <returns>The numbers of a row that are done.</returns>
    private readonly int LoadTiles(float* parts, int line, int count)
    {
        int done = 0;
        if (!HostTile.IsSupported || IsColumns || Lines.IsInputSparse != 0 || count < Width)
        {
            return done;
        }

        float* tile = stackalloc float[HostTile.Room];
        for (; done + Width <= Tables.Length; done += Width)
        {
            for (int lane = 0; lane < Width; lane++)
            {
                long at = At(Tables.Length, line + lane, done);
                Vector<float> x = Vector.Load(X + at);
                (Lines.HasAddend != 0 ? x + Vector.Load(Addend + at) : x).Store(tile + (lane * Width));
            }

            HostTile.Transpose(tile);
            fixed (int* part = &Tables.Parts[done])
            {
                for (int i = 0; i < Width; i++)
                {
                    Vector.Load(tile + (i * Width)).Store(parts + ((long)part[i] * Width));
                }
            }
        }

        return done;
    }

    /// <summary>Stores whole rows by tiles.</summary>
    /// <returns>The numbers of a row that are done.</returns>
    private readonly int StoreTiles(float* parts, int line, int count)
    {
        int done = 0;
        if (!HostTile.IsSupported || IsColumns || Lines.IsOutputSparse != 0)
        {
            return done;
        }

        float* tile = stackalloc float[HostTile.Room];
        for (; done + Width <= Tables.Length; done += Width)
        {
            fixed (int* part = &Tables.Parts[Tables.Length + done])
            {
                for (int i = 0; i < Width; i++)
                {
                    Vector.Load(parts + ((long)part[i] * Width)).Store(tile + (i * Width));
                }
            }

            HostTile.Transpose(tile);
            for (int lane = 0; lane < count; lane++)
            {
                float* y = Y + At(Tables.Length, line + lane, done);
                Blended(Vector.Load(tile + (lane * Width)), y).Store(y);
            }
        }

        return done;
    }

    /// <summary>What goes where some numbers are.</summary>
    private readonly Vector<float> Blended(Vector<float> value, float* y)
    {
        if (Lines.IsBlended != 0)
        {
            value *= Lines.Factor;
            value = Lines.Keep != 0 ? (Vector.Load(y) * Lines.Keep) + value : value;
        }

        return value;
    }

    private readonly void Store(float* parts, int line, int count)
    {
        float* lanes = stackalloc float[Width];
        int outputs = Lines.IsOutputSparse != 0 ? Lines.Rank : Tables.Length;
        for (int i = StoreTiles(parts, line, count); i < outputs; i++)
        {
            int number = Lines.IsOutputSparse != 0 ? Lines.Index[i] : i;
            Vector<float> value = (uint)number < (uint)Tables.Length
                ? Vector.Load(parts + ((long)Tables.Parts[Tables.Length + number] * Width))
                : default;
            float* y = Y + At(outputs, line, i);
            if (Lines.IsBlended != 0)
            {
                Copy(y, lanes, outputs, count);
                value = Blended(value, lanes);
            }

            if (IsColumns && count == Width)
            {
                value.Store(y);
                continue;
            }

            value.Store(lanes);
            for (int lane = 0; lane < count; lane++)
            {
                y[lane * (IsColumns ? 1L : outputs)] = lanes[lane];
            }
        }
    }

    /// <summary>A number of each line, beside each other.</summary>
    private readonly void Copy(float* x, float* lanes, int numbers, int count)
    {
        if (IsColumns && count == Width)
        {
            Vector.Load(x).Store(lanes);
            return;
        }

        long step = IsColumns ? 1 : numbers;
        for (int lane = 0; lane < count; lane++)
        {
            lanes[lane] = x[lane * step];
        }
    }

    /// <summary>Adds the lines just written to the sums of their segment, in order.</summary>
    private readonly void Score(long scores, int line, int count, bool isFirst)
    {
        if (Lines.HasSquares != 0)
        {
            Add<Square>(Squares + scores, line, count, isFirst);
        }

        if (Lines.HasMagnitudes != 0)
        {
            Add<Magnitude>(Magnitudes + scores, line, count, isFirst);
        }
    }

    private readonly void Add<TTerm>(float* sums, int line, int count, bool isFirst)
        where TTerm : struct, ITerm
    {
        if (isFirst)
        {
            new Span<float>(sums, Tables.Length).Clear();
        }

        if (IsColumns)
        {
            float* columns = Y + line;
            for (int i = 0; i < Tables.Length; i++, columns += Lines.Lines)
            {
                for (int lane = 0; lane < count; lane++)
                {
                    sums[i] += TTerm.Of(columns[lane]);
                }
            }

            return;
        }

        for (int lane = 0; lane < count; lane++)
        {
            float* y = Y + At(Tables.Length, line + lane, 0);
            int i = 0;
            for (; i <= Tables.Length - Width; i += Width)
            {
                (Vector.Load(sums + i) + TTerm.Of(Vector.Load(y + i))).Store(sums + i);
            }

            for (; i < Tables.Length; i++)
            {
                sums[i] += TTerm.Of(y[i]);
            }
        }
    }

    private readonly long At(int numbers, int line, int i) =>
        IsColumns ? ((long)i * Lines.Lines) + line : ((long)line * numbers) + i;

    /// <summary>What a number adds to a score.</summary>
    private interface ITerm
    {
        static abstract float Of(float y);

        static abstract Vector<float> Of(Vector<float> y);
    }

    private readonly struct Square : ITerm
    {
        public static float Of(float y) => y * y;

        public static Vector<float> Of(Vector<float> y) => y * y;
    }

    private readonly struct Magnitude : ITerm
    {
        public static float Of(float y) => MathF.Abs(y);

        public static Vector<float> Of(Vector<float> y) => Vector.Abs(y);
    }

    private static class Scratch
    {
        [ThreadStatic]
        internal static float[]? Parts;
    }
}
