using System.Runtime.CompilerServices;
using Kernels.DeviceCode.Common;

namespace Kernels.DeviceCode.Dct;

/// <summary>The stages of an in-place Walsh-Hadamard transform, of 2, 4 or 8 points that are span apart: sums and differences.</summary>
internal static class HadamardStages
{
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void Two<T, TMemory>(TMemory memory, int span, int butterflies, int first, int step, int done)
        where T : struct, ILinearLane<T>
        where TMemory : struct, IFourierMemory<T>
    {
        for (int j = first; j < butterflies; j += step)
        {
            memory.Begin(done + 2 * j, 2);
            int k = j % span;
            int place = (j - k) * 2 + k;
            ComplexLane<T> x0 = memory.Read(place);
            ComplexLane<T> x1 = memory.Read(place + span);
            memory.Write(place, x0 + x1);
            memory.Write(place + span, x0 - x1);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void Four<T, TMemory>(TMemory memory, int span, int butterflies, int first, int step, int done)
        where T : struct, ILinearLane<T>
        where TMemory : struct, IFourierMemory<T>
    {
        for (int j = first; j < butterflies; j += step)
        {
            memory.Begin(done + 4 * j, 4);
            int k = j % span;
            int place = (j - k) * 4 + k;
            ComplexLane<T> x0 = memory.Read(place);
            ComplexLane<T> x1 = memory.Read(place + span);
            ComplexLane<T> x2 = memory.Read(place + 2 * span);
            ComplexLane<T> x3 = memory.Read(place + 3 * span);
            ComplexLane<T> sum01 = x0 + x1;
            ComplexLane<T> difference01 = x0 - x1;
            ComplexLane<T> sum23 = x2 + x3;
            ComplexLane<T> difference23 = x2 - x3;
            memory.Write(place, sum01 + sum23);
            memory.Write(place + span, difference01 + difference23);
            memory.Write(place + 2 * span, sum01 - sum23);
            memory.Write(place + 3 * span, difference01 - difference23);
        }
    }
}
