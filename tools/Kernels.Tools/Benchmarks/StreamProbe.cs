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
    private readonly Action _launch;

    internal StreamProbe(Session session, Cost cost)
    {
        _stream = session.Stream;
        Reads = (int)Math.Round(Streams * cost.Read / cost.Bytes);
        Writes = Streams - Reads;
        _length = (int)Math.Clamp(cost.Bytes / (sizeof(float) * Streams), 1, int.MaxValue / Streams);
        Accelerator accelerator = session.Accelerator;
        _source = accelerator.Allocate1D<float>((long)_length * Math.Max(Reads, cost.InPlace ? Writes : 0));
        _source.MemSetToZero(_stream);
        _target = cost.InPlace ? _source : accelerator.Allocate1D<float>((long)_length * Math.Max(Writes, 1));
        _target.MemSetToZero(_stream);
        if (accelerator.AcceleratorType == AcceleratorType.CPU)
        {
            _launch = Host;
            return;
        }

        var kernel = accelerator.LoadAutoGroupedKernel<
            Index1D, ArrayView<float>, ArrayView<float>, int, SpecializedValue<int>, SpecializedValue<int>>(Walk);
        _launch = () => kernel(
            _stream, _length, _source.View, _target.View, _length, SpecializedValue.New(Reads), SpecializedValue.New(Writes));
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
        Index1D i, ArrayView<float> source, ArrayView<float> target, int length, SpecializedValue<int> reads,
        SpecializedValue<int> writes)
    {
        float sum = 0;
        for (int j = 0; j < reads; j++)
        {
            sum += source[(j * length) + i];
        }

        sum = (sum * 0.0625f) + 1;
        for (int j = 0; j < writes; j++)
        {
            target[(j * length) + i] = sum;
        }

        // What is only read must not be left out.
        if (writes == 0 && sum < 0)
        {
            target[0] = sum;
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
