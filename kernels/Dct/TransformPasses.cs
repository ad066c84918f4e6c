using System.Runtime.CompilerServices;
using ILGPU;
using Kernels.DeviceCode.Common;

namespace Kernels.DeviceCode.Dct;

/// <summary>The tables of a transform of one kind and length.</summary>
internal struct TransformTables
{
    /// <summary>The part of the Fourier memory that each number of a line goes to, then the one it comes from.</summary>
    public ArrayView<int> Parts;

    /// <summary>Parts that are copies of others: to, from, to, from, ... .</summary>
    public ArrayView<int> Copies;

    /// <summary>Pairs of points to mix: those of the input, then those of the output.</summary>
    public ArrayView<int> Pairs;

    /// <summary>Of each pair a, b of the first and a', b' of the second: four complex numbers.</summary>
    public ArrayView<float> PairFactors;

    /// <summary>The factors of the stages.</summary>
    public ArrayView<float> Factors;

    /// <summary>n, numbers of a line.</summary>
    public int Length;

    /// <summary>Complex points of the Fourier transform.</summary>
    public int Points;

    /// <summary>Points of the stages: those, or more where they make a convolution with a chirp.</summary>
    public int Size;

    /// <summary>Of a convolution, [Points]: e^(-i pi j^2 / Points).</summary>
    public ArrayView<float> Chirp;

    /// <summary>Of a convolution, [Size]: the conjugate of the transform of what it is with, over its size.</summary>
    public ArrayView<float> Filter;

    /// <summary>Of a convolution, [Size]: where the first stage has each point.</summary>
    public ArrayView<int> Places;

    /// <summary>1 if there are points without an imaginary part.</summary>
    public int HasGaps;

    /// <summary>Number of copied parts.</summary>
    public int CopyCount;

    /// <summary>Pairs to mix before the stages.</summary>
    public int InputPairs;

    /// <summary>Pairs to mix behind them.</summary>
    public int OutputPairs;

    /// <summary>The radices of the first stages, which go from one memory to another: primes from 7 on.</summary>
    public ArrayView<int> Primes;

    /// <summary>Number of those.</summary>
    public int PrimeCount;

    /// <summary>The radices of the other stages, four bits each, the first in the lowest.</summary>
    public ulong Radices;

    /// <summary>Points of a line in all stages together.</summary>
    public int StagePoints;

    /// <summary>1 for stages without factors: Walsh-Hadamard.</summary>
    public int IsHadamard;

    /// <summary>Whether the stages make a convolution.</summary>
    public readonly bool IsConvolved => Size != Points;
}

/// <summary>The passes of a transform over the memory of a line; between two of them all items of the line must meet.</summary>
/// <remarks>Compiled on the host as <see cref="FourierStages"/> are.</remarks>
internal static class TransformPasses
{
    /// <summary>Makes imaginary parts zero.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void FillGaps<T, TMemory>(TMemory memory, TransformTables t, int first, int step)
        where T : struct, ILinearLane<T>
        where TMemory : struct, IFourierMemory<T>
    {
        for (int i = first; i < t.Points; i += step)
        {
            T zero = default;
            memory.WritePart(2 * i + 1, zero);
        }
    }

    /// <summary>Makes all parts zero.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void Clear<T, TMemory>(TMemory memory, TransformTables t, int first, int step)
        where T : struct, ILinearLane<T>
        where TMemory : struct, IFourierMemory<T>
    {
        for (int i = first; i < t.Points; i += step)
        {
            ComplexLane<T> zero = default;
            memory.Write(i, zero);
        }
    }

    /// <summary>Copies parts.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void Copy<T, TMemory>(TMemory memory, TransformTables t, int first, int step)
        where T : struct, ILinearLane<T>
        where TMemory : struct, IFourierMemory<T>
    {
        for (int i = first; i < t.CopyCount; i += step)
        {
            memory.WritePart(t.Copies[2 * i], memory.ReadPart(t.Copies[2 * i + 1]));
        }
    }

    /// <summary>Of each pair y, y': a y + b conj(y') and a' y' + b' conj(y).</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void Mix<T, TMemory>(TMemory memory, TransformTables t, int begin, int end, int first, int step)
        where T : struct, ILinearLane<T>
        where TMemory : struct, IFourierMemory<T>
    {
        for (int i = begin + first; i < end; i += step)
        {
            int one = t.Pairs[2 * i];
            int other = t.Pairs[2 * i + 1];
            ComplexLane<T> y = memory.Read(one);
            ComplexLane<T> z = memory.Read(other);
            long at = 8L * i;
            memory.Write(
                other,
                z.Times(t.PairFactors[at + 4], t.PairFactors[at + 5])
                    + y.ConjugateTimes(t.PairFactors[at + 6], t.PairFactors[at + 7]));
            memory.Write(
                one,
                y.Times(t.PairFactors[at], t.PairFactors[at + 1])
                    + z.ConjugateTimes(t.PairFactors[at + 2], t.PairFactors[at + 3]));
        }
    }

    /// <summary>Of a convolution: points times the chirp, and zeros behind them, where the first stage has them.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void Spread<T, TMemory>(TMemory from, TMemory to, TransformTables t, int first, int step)
        where T : struct, ILinearLane<T>
        where TMemory : struct, IFourierMemory<T>
    {
        for (int i = first; i < t.Size; i += step)
        {
            ComplexLane<T> x = default;
            if (i < t.Points)
            {
                x = from.Read(i).Times(t.Chirp[2 * i], t.Chirp[2 * i + 1]);
            }

            to.Write(t.Places[i], x);
        }
    }

    /// <summary>Of a convolution: conjugate products; the transform of these is the conjugate of what is sought.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void Filter<T, TMemory>(TMemory from, TMemory to, TransformTables t, int first, int step)
        where T : struct, ILinearLane<T>
        where TMemory : struct, IFourierMemory<T>
    {
        for (int i = first; i < t.Size; i += step)
        {
            to.Write(t.Places[i], from.Read(i).ConjugateTimes(t.Filter[2 * i], t.Filter[2 * i + 1]));
        }
    }

    /// <summary>Of a convolution: its result times the chirp.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void Gather<T, TMemory>(TMemory memory, TransformTables t, int first, int step)
        where T : struct, ILinearLane<T>
        where TMemory : struct, IFourierMemory<T>
    {
        for (int i = first; i < t.Points; i += step)
        {
            memory.Write(i, memory.Read(i).ConjugateTimes(t.Chirp[2 * i], t.Chirp[2 * i + 1]));
        }
    }

    /// <summary>One stage, behind others that had so many points.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void Stage<T, TMemory, TTurn>(
        TMemory memory, TransformTables t, int radix, int at, int span, int first, int step, int done)
        where T : struct, ILinearLane<T>
        where TMemory : struct, IFourierMemory<T>
        where TTurn : struct, ITurn
    {
        int butterflies = t.Size / radix;
        if (t.IsHadamard != 0)
        {
            if (radix == 4)
            {
                HadamardStages.Four<T, TMemory>(memory, span, butterflies, first, step, done);
            }
            else
            {
                HadamardStages.Two<T, TMemory>(memory, span, butterflies, first, step, done);
            }
        }
        else if (radix == 8)
        {
            FourierStages.Eight<T, TMemory, TTurn>(memory, t.Factors, at, span, butterflies, first, step, done);
        }
        else if (radix == 4)
        {
            FourierStages.Four<T, TMemory, TTurn>(memory, t.Factors, at, span, butterflies, first, step, done);
        }
        else if (radix == 2)
        {
            FourierStages.Two<T, TMemory, TTurn>(memory, t.Factors, at, span, butterflies, first, step, done);
        }
        else if (radix == 3)
        {
            FourierStages.Three<T, TMemory, TTurn>(memory, t.Factors, at, span, butterflies, first, step, done);
        }
        else
        {
            FourierStages.Five<T, TMemory, TTurn>(memory, t.Factors, at, span, butterflies, first, step, done);
        }
    }

    /// <summary>All of it between load and store, of an item that has its lines to itself.</summary>
    /// <returns>Where the result is: in the memory, or in the spare one.</returns>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static TMemory Alone<T, TMemory>(TMemory memory, TMemory spare, TransformTables t)
        where T : struct, ILinearLane<T>
        where TMemory : struct, IFourierMemory<T>
    {
        Copy<T, TMemory>(memory, t, 0, 1);
        Mix<T, TMemory>(memory, t, 0, t.InputPairs, 0, 1);
        // A convolution has the stages twice, the first time in the spare memory.
        int transforms = t.IsConvolved ? 2 : 1;
        int done = 0;
        for (int transform = 0; transform < transforms; transform++)
        {
            if (t.IsConvolved)
            {
                if (transform == 0)
                {
                    Spread<T, TMemory>(memory, spare, t, 0, 1);
                }
                else
                {
                    Filter<T, TMemory>(memory, spare, t, 0, 1);
                }

                (memory, spare) = (spare, memory);
            }

            int at = 0;
            int span = 1;
            for (int i = 0; i < t.PrimeCount; i++)
            {
                int prime = t.Primes[i];
                FourierStages.Any<T, TMemory>(memory, spare, t.Factors, at, prime, span, t.Points, 0, 1, done);
                (memory, spare) = (spare, memory);
                span *= prime;
                done += t.Points;
                at += 2 * span;
            }

            for (ulong radices = t.Radices; radices != 0; radices >>= 4)
            {
                int radix = (int)(radices & 15);
                if (span == 1)
                {
                    Stage<T, TMemory, NotTurned>(memory, t, radix, at, span, 0, 1, done);
                }
                else
                {
                    Stage<T, TMemory, Turned>(memory, t, radix, at, span, 0, 1, done);
                }

                at += 2 * (radix - 1) * span;
                span *= radix;
                done += t.Size;
            }
        }

        if (t.IsConvolved)
        {
            Gather<T, TMemory>(memory, t, 0, 1);
        }

        Mix<T, TMemory>(memory, t, t.InputPairs, t.InputPairs + t.OutputPairs, 0, 1);
        return memory;
    }
}
