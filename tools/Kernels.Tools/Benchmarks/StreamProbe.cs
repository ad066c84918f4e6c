using System.Numerics;
using ILGPU;
using ILGPU.Runtime;

namespace Kernels.Tools.Benchmarks;

/// <summary>
/// A walk over memory with hardly any arithmetic, the floor that memory sets: of eight streams some are read and some are
/// written, as many as suit the reads and writes of a call; the written ones are among the read ones where a call works in
/// place.
/// </summary>
internal sealed class StreamProbe : IDisposable
{
    private const int Streams = 8;

    private readonly AcceleratorStream _stream;
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _source;
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _target;
    private readonly int _length;
    private readonly int _group;
    private readonly Action _launch;

    internal StreamProbe(Session session, Cost cost)
    {
        _stream = session.Stream;
        Reads = (int)Math.Round(Streams * cost.Read / cost.Bytes);
        Writes = Streams - Reads;
        Accelerator accelerator = session.Accelerator;
        // Whole groups, as the kernels have them: no bounds check. PoCL makes SIMD of a group's items.
        _group = Math.Min(accelerator.MaxNumThreadsPerGroup, accelerator.AcceleratorType == AcceleratorType.OpenCL ? 1024 : 256);
        int groups = (int)Math.Clamp(Math.Round(cost.Bytes / (sizeof(float) * Streams * _group)), 1, int.MaxValue / (Streams * _group));
        _length = groups * _group;
        _source = accelerator.Allocate1D<float>((long)_length * Math.Max(Reads, cost.InPlace ? Writes : 0));
        _source.MemSetToZero(_stream);
        _target = cost.InPlace ? _source : accelerator.Allocate1D<float>((long)_length * Math.Max(Writes, 1));
        _target.MemSetToZero(_stream);
        if (accelerator.AcceleratorType == AcceleratorType.CPU)
        {
            _launch = Host;
            return;
        }

        Action<AcceleratorStream, KernelConfig, ArrayView<float>, ArrayView<float>, long, SpecializedValue<int>, SpecializedValue<int>>
            kernel = accelerator.LoadKernel<
                ArrayView<float>, ArrayView<float>, long, SpecializedValue<int>, SpecializedValue<int>>(Walk);
        _launch = () => kernel(
            _stream, new KernelConfig(groups, _group), _source.View, _target.View, _length, SpecializedValue.New(Reads),
            SpecializedValue.New(Writes));
    }

    /// <summary>How many of the eight streams are read.</summary>
    internal int Reads { get; }

    /// <summary>How many are written.</summary>
    internal int Writes { get; }

    /// <summary>Puts one walk on the session's stream.</summary>
    internal void Launch() => _launch();

    public void Dispose()
    {
        _source.Dispose();
        _target.Dispose();
    }

    // The sum converges, whatever is written where it is read: neither overflow nor denormals.
    private static void Walk(
        ArrayView<float> source, ArrayView<float> target, long length, SpecializedValue<int> reads,
        SpecializedValue<int> writes)
    {
        long i = ((long)Grid.IdxX * Group.DimX) + Group.IdxX;
        // Written out: the numbers are constants of the kernel, and loops over them keep PoCL from making SIMD of the items.
        float sum = Read(source, i, 0, reads) + Read(source, i + length, 1, reads) + Read(source, i + (2 * length), 2, reads)
            + Read(source, i + (3 * length), 3, reads) + Read(source, i + (4 * length), 4, reads)
            + Read(source, i + (5 * length), 5, reads) + Read(source, i + (6 * length), 6, reads)
            + Read(source, i + (7 * length), 7, reads);
        sum = (sum * 0.0625f) + 1;
        Write(target, i, 0, writes, sum);
        Write(target, i + length, 1, writes, sum);
        Write(target, i + (2 * length), 2, writes, sum);
        Write(target, i + (3 * length), 3, writes, sum);
        Write(target, i + (4 * length), 4, writes, sum);
        Write(target, i + (5 * length), 5, writes, sum);
        Write(target, i + (6 * length), 6, writes, sum);
        Write(target, i + (7 * length), 7, writes, sum);
        // What is only read must not be left out.
        if (writes == 0 && sum < 0)
        {
            target[0] = sum;
        }
    }

    private static float Read(ArrayView<float> source, long i, int stream, int streams) =>
        stream < streams ? source[i] : 0;

    private static void Write(ArrayView<float> target, long i, int stream, int streams, float value)
    {
        if (stream < streams)
        {
            target[i] = value;
        }
    }

    private void Host()
    {
        _stream.Synchronize();
        int pieces = Environment.ProcessorCount;
        var sums = new float[pieces];
        Parallel.For(0, pieces, piece =>
        {
            int first = (int)((long)_length * piece / pieces);
            int last = (int)((long)_length * (piece + 1) / pieces);
            Span<float> source = Span(_source);
            Span<float> target = Span(_target);
            int i = first;
            Vector<float> all = Vector<float>.Zero;
            for (; i + Vector<float>.Count <= last; i += Vector<float>.Count)
            {
                Vector<float> sum = Vector<float>.Zero;
                for (int j = 0; j < Reads; j++)
                {
                    sum += new Vector<float>(source[((j * _length) + i)..]);
                }

                sum = (sum * 0.0625f) + Vector<float>.One;
                for (int j = 0; j < Writes; j++)
                {
                    sum.CopyTo(target[((j * _length) + i)..]);
                }

                all += sum;
            }

            sums[piece] = Vector.Sum(all);
        });
        _ = sums;
    }

    private static unsafe Span<float> Span(MemoryBuffer1D<float, Stride1D.Dense> buffer) =>
        new(buffer.NativePtr.ToPointer(), checked((int)buffer.Length));
}
