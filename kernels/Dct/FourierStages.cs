using System.Runtime.CompilerServices;
using ILGPU;
using Kernels.DeviceCode.Common;

namespace Kernels.DeviceCode.Dct;

/// <summary>How a stage reads its points.</summary>
internal interface ITurn
{
    static abstract ComplexLane<T> Read<T, TMemory>(TMemory memory, ArrayView<float> factors, int factor, int point)
        where T : struct, ILinearLane<T>
        where TMemory : struct, IFourierMemory<T>;
}

/// <summary>Times their factor.</summary>
internal struct Turned : ITurn
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ComplexLane<T> Read<T, TMemory>(TMemory memory, ArrayView<float> factors, int factor, int point)
        where T : struct, ILinearLane<T>
        where TMemory : struct, IFourierMemory<T> =>
        memory.Read(point).Times(factors[factor], factors[factor + 1]);
}

/// <summary>As they are: in the first stage all factors are 1.</summary>
internal struct NotTurned : ITurn
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ComplexLane<T> Read<T, TMemory>(TMemory memory, ArrayView<float> factors, int factor, int point)
        where T : struct, ILinearLane<T>
        where TMemory : struct, IFourierMemory<T> => memory.Read(point);
}

/// <summary>
/// The stages of an in-place Fourier transform, decimation in time: the input lies digit-reversed, the result in order.
/// A stage of radix r turns r transforms of span points into one: y_(k + c span) = sum_q W_r^(c q) W_(r span)^(q k) x_(k + q span).
/// </summary>
/// <remarks>
/// Source: Cooley and Tukey 1965; radix 3 and 5 as in Singleton 1969. The factors W_(r span)^(q k) of a stage lie in its
/// table at [q - 1][k], real and imaginary part beside each other, rounded from binary64. A butterfly belongs to one item:
/// butterflies first, first + step, ... .
/// On the host each stage is compiled at once and by itself, as <see cref="MethodImplOptions.AggressiveOptimization"/>
/// says: where the compiler takes several into one, it leaves the sums of complex numbers as calls, at thrice the time.
/// </remarks>
internal static class FourierStages
{
    private const float RootHalf = 0.70710678118654752f;
    private const float SinThird = 0.86602540378443865f;
    private const float CosFifth = 0.30901699437494742f;
    private const float CosTwoFifths = -0.80901699437494742f;
    private const float SinFifth = 0.95105651629515357f;
    private const float SinTwoFifths = 0.58778525229247313f;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void Two<T, TMemory, TTurn>(
        TMemory memory, ArrayView<float> factors, int at, int span, int butterflies, int first, int step,
        int done)
        where T : struct, ILinearLane<T>
        where TMemory : struct, IFourierMemory<T>
        where TTurn : struct, ITurn
    {
        for (int j = first; j < butterflies; j += step)
        {
            memory.Begin(done + 2 * j, 2);
            int k = j % span;
            int place = (j - k) * 2 + k;
            ComplexLane<T> x0 = memory.Read(place);
            ComplexLane<T> x1 = TTurn.Read<T, TMemory>(memory, factors, at + 2 * k, place + span);
            memory.Write(place, x0 + x1);
            memory.Write(place + span, x0 - x1);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void Three<T, TMemory, TTurn>(
        TMemory memory, ArrayView<float> factors, int at, int span, int butterflies, int first, int step,
        int done)
        where T : struct, ILinearLane<T>
        where TMemory : struct, IFourierMemory<T>
        where TTurn : struct, ITurn
    {
        for (int j = first; j < butterflies; j += step)
        {
            memory.Begin(done + 3 * j, 3);
            int k = j % span;
            int place = (j - k) * 3 + k;
            ComplexLane<T> x0 = memory.Read(place);
            ComplexLane<T> x1 = TTurn.Read<T, TMemory>(memory, factors, at + 2 * k, place + span);
            ComplexLane<T> x2 = TTurn.Read<T, TMemory>(memory, factors, at + 2 * (span + k), place + 2 * span);
            ComplexLane<T> sum = x1 + x2;
            ComplexLane<T> difference = (x1 - x2).Scaled(SinThird);
            ComplexLane<T> middle = x0 - sum.Scaled(0.5f);
            memory.Write(place, x0 + sum);
            memory.Write(place + span, middle.MinusITimes(difference));
            memory.Write(place + 2 * span, middle.PlusITimes(difference));
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void Four<T, TMemory, TTurn>(
        TMemory memory, ArrayView<float> factors, int at, int span, int butterflies, int first, int step,
        int done)
        where T : struct, ILinearLane<T>
        where TMemory : struct, IFourierMemory<T>
        where TTurn : struct, ITurn
    {
        for (int j = first; j < butterflies; j += step)
        {
            memory.Begin(done + 4 * j, 4);
            int k = j % span;
            int place = (j - k) * 4 + k;
            ComplexLane<T> x0 = memory.Read(place);
            ComplexLane<T> x1 = TTurn.Read<T, TMemory>(memory, factors, at + 2 * k, place + span);
            ComplexLane<T> x2 = TTurn.Read<T, TMemory>(memory, factors, at + 2 * (span + k), place + 2 * span);
            ComplexLane<T> x3 = TTurn.Read<T, TMemory>(memory, factors, at + 2 * (2 * span + k), place + 3 * span);
            ComplexLane<T> sum02 = x0 + x2;
            ComplexLane<T> difference02 = x0 - x2;
            ComplexLane<T> sum13 = x1 + x3;
            ComplexLane<T> difference13 = x1 - x3;
            memory.Write(place, sum02 + sum13);
            memory.Write(place + span, difference02.MinusITimes(difference13));
            memory.Write(place + 2 * span, sum02 - sum13);
            memory.Write(place + 3 * span, difference02.PlusITimes(difference13));
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void Five<T, TMemory, TTurn>(
        TMemory memory, ArrayView<float> factors, int at, int span, int butterflies, int first, int step,
        int done)
        where T : struct, ILinearLane<T>
        where TMemory : struct, IFourierMemory<T>
        where TTurn : struct, ITurn
    {
        for (int j = first; j < butterflies; j += step)
        {
            memory.Begin(done + 5 * j, 5);
            int k = j % span;
            int place = (j - k) * 5 + k;
            ComplexLane<T> x0 = memory.Read(place);
            ComplexLane<T> x1 = TTurn.Read<T, TMemory>(memory, factors, at + 2 * k, place + span);
            ComplexLane<T> x2 = TTurn.Read<T, TMemory>(memory, factors, at + 2 * (span + k), place + 2 * span);
            ComplexLane<T> x3 = TTurn.Read<T, TMemory>(memory, factors, at + 2 * (2 * span + k), place + 3 * span);
            ComplexLane<T> x4 = TTurn.Read<T, TMemory>(memory, factors, at + 2 * (3 * span + k), place + 4 * span);
            ComplexLane<T> sum14 = x1 + x4;
            ComplexLane<T> difference14 = x1 - x4;
            ComplexLane<T> sum23 = x2 + x3;
            ComplexLane<T> difference23 = x2 - x3;
            ComplexLane<T> even1 = x0 + sum14.Scaled(CosFifth) + sum23.Scaled(CosTwoFifths);
            ComplexLane<T> even2 = x0 + sum14.Scaled(CosTwoFifths) + sum23.Scaled(CosFifth);
            ComplexLane<T> odd1 = difference14.Scaled(SinFifth) + difference23.Scaled(SinTwoFifths);
            ComplexLane<T> odd2 = difference14.Scaled(SinTwoFifths) - difference23.Scaled(SinFifth);
            memory.Write(place, x0 + sum14 + sum23);
            memory.Write(place + span, even1.MinusITimes(odd1));
            memory.Write(place + 2 * span, even2.MinusITimes(odd2));
            memory.Write(place + 3 * span, even2.PlusITimes(odd2));
            memory.Write(place + 4 * span, even1.PlusITimes(odd1));
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void Eight<T, TMemory, TTurn>(
        TMemory memory, ArrayView<float> factors, int at, int span, int butterflies, int first, int step,
        int done)
        where T : struct, ILinearLane<T>
        where TMemory : struct, IFourierMemory<T>
        where TTurn : struct, ITurn
    {
        for (int j = first; j < butterflies; j += step)
        {
            memory.Begin(done + 8 * j, 8);
            int k = j % span;
            int place = (j - k) * 8 + k;
            ComplexLane<T> x0 = memory.Read(place);
            ComplexLane<T> x4 = TTurn.Read<T, TMemory>(memory, factors, at + 2 * (3 * span + k), place + 4 * span);
            ComplexLane<T> sum04 = x0 + x4;
            ComplexLane<T> difference04 = x0 - x4;
            ComplexLane<T> x2 = TTurn.Read<T, TMemory>(memory, factors, at + 2 * (span + k), place + 2 * span);
            ComplexLane<T> x6 = TTurn.Read<T, TMemory>(memory, factors, at + 2 * (5 * span + k), place + 6 * span);
            ComplexLane<T> sum26 = x2 + x6;
            ComplexLane<T> difference26 = x2 - x6;
            ComplexLane<T> even0 = sum04 + sum26;
            ComplexLane<T> even1 = difference04.MinusITimes(difference26);
            ComplexLane<T> even2 = sum04 - sum26;
            ComplexLane<T> even3 = difference04.PlusITimes(difference26);
            ComplexLane<T> x1 = TTurn.Read<T, TMemory>(memory, factors, at + 2 * k, place + span);
            ComplexLane<T> x5 = TTurn.Read<T, TMemory>(memory, factors, at + 2 * (4 * span + k), place + 5 * span);
            ComplexLane<T> sum15 = x1 + x5;
            ComplexLane<T> difference15 = x1 - x5;
            ComplexLane<T> x3 = TTurn.Read<T, TMemory>(memory, factors, at + 2 * (2 * span + k), place + 3 * span);
            ComplexLane<T> x7 = TTurn.Read<T, TMemory>(memory, factors, at + 2 * (6 * span + k), place + 7 * span);
            ComplexLane<T> sum37 = x3 + x7;
            ComplexLane<T> difference37 = x3 - x7;
            ComplexLane<T> odd0 = sum15 + sum37;
            ComplexLane<T> odd2 = sum15 - sum37;
            ComplexLane<T> one = difference15.MinusITimes(difference37);
            ComplexLane<T> three = difference15.PlusITimes(difference37);
            ComplexLane<T> odd1 = ComplexLane<T>.Of(one.Re + one.Im, one.Im - one.Re).Scaled(RootHalf);
            ComplexLane<T> odd3 = ComplexLane<T>.Of(three.Re - three.Im, three.Re + three.Im).Scaled(-RootHalf);
            memory.Write(place, even0 + odd0);
            memory.Write(place + 4 * span, even0 - odd0);
            memory.Write(place + span, even1 + odd1);
            memory.Write(place + 5 * span, even1 - odd1);
            memory.Write(place + 2 * span, even2.MinusITimes(odd2));
            memory.Write(place + 6 * span, even2.PlusITimes(odd2));
            memory.Write(place + 3 * span, even3 + odd3);
            memory.Write(place + 7 * span, even3 - odd3);
        }
    }

    /// <summary>
    /// A stage of any radix, from one memory to another: its factors W_(radix span)^j lie in the table at j.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void Any<T, TMemory>(
        TMemory from, TMemory to, ArrayView<float> factors, int at, int radix, int span, int points, int first, int step,
        int done)
        where T : struct, ILinearLane<T>
        where TMemory : struct, IFourierMemory<T>
    {
        int length = radix * span;
        for (int i = first; i < points; i += step)
        {
            from.Begin(done + i, 1);
            int output = i % length;
            int place = i - output + output % span;
            int power = 0;
            ComplexLane<T> sum = from.Read(place);
            for (int q = 1; q < radix; q++)
            {
                power += output;
                power -= power >= length ? length : 0;
                place += span;
                sum += from.Read(place).Times(factors[at + 2 * power], factors[at + 2 * power + 1]);
            }

            to.Write(i, sum);
        }
    }
}
