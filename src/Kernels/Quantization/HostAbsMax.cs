using System.Numerics;
using Kernels.DeviceCode.Quantization;
using Kernels.DeviceCode.VectorQuantization;
using Kernels.Host;
using Kernels.Launching;

namespace Kernels.Quantization;

/// <summary>The largest magnitudes on ILGPU's CPU accelerator, by SIMD along the run of a share; a unit is a weight.</summary>
internal unsafe struct HostAbsMax : IHostWork
{
    /// <summary>Weights worth a thread.</summary>
    internal const int Grain = 32_768;

    private const int Block = 1024;

    public HostStored Weights;

    /// <summary>Bits of magnitudes.</summary>
    public int* Largest;
    public ScopeTable Scope;
    public int Columns;

    public readonly void Run(long begin, long end)
    {
        float* room = stackalloc float[Block];
        for (long first = begin; first < end;)
        {
            int row = (int)first / Columns;
            long next = Math.Min(Math.Min(first + Block, end), Scope.End(row, (int)first, Columns));
            int count = (int)(next - first);
            Raise(ref Largest[Scope.Of(row, (int)first)], Of(Weights.Values(first, count, room), count));
            first = next;
        }
    }

    private static int Of(float* values, int count)
    {
        Vector<int> largest = default;
        int i = 0;
        for (; i <= count - Vector<int>.Count; i += Vector<int>.Count)
        {
            Vector<int> bits = Vector.Load((int*)values + i) & new Vector<int>(0x7FFFFFFF);
            Vector<int> isFinite = Vector.LessThan(bits, new Vector<int>(0x7F800000));
            largest = Vector.Max(largest, bits & isFinite);
        }

        int most = 0;
        for (int k = 0; k < Vector<int>.Count; k++)
        {
            most = Math.Max(most, largest[k]);
        }

        for (; i < count; i++)
        {
            most = Math.Max(most, SixteenIndices.Magnitude(values[i]));
        }

        return most;
    }

    private static void Raise(ref int largest, int value)
    {
        int was = Volatile.Read(ref largest);
        while (was < value)
        {
            int found = Interlocked.CompareExchange(ref largest, value, was);
            if (found == was)
            {
                return;
            }

            was = found;
        }
    }
}
