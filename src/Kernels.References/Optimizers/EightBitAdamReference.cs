namespace Kernels.References.Optimizers;

/// <summary>Block-wise 8-bit state: the published map, its nearest codes, and a step of Adam between them.</summary>
/// <param name="adam">The step in binary64; without AMSGrad.</param>
/// <exception cref="ArgumentNullException">The step is null.</exception>
/// <exception cref="ArgumentException">The step keeps other states than mean and mean square.</exception>
/// <remarks>
/// Source: Dettmers et al. 2021, arXiv:2110.02861, section 2 and appendix F; the map as bitsandbytes builds it
/// (create_dynamic_map with 7 exponent bits of 8).
/// </remarks>
public sealed class EightBitAdamReference(AdamReference adam)
{
    /// <summary>Elements that share a scale.</summary>
    public const int BlockLength = 256;

    private const double LeastNormal = 1.1754943508222875e-38;

    // A kernel may compute where a value lies between two numbers of the map, in steps of the map; 2^-12 of a step.
    private const double StepTolerance = 1.0 / 4096;

    private static readonly double[] s_signed = Build(isSigned: true);
    private static readonly double[] s_unsigned = Build(isSigned: false);

    private readonly AdamReference _adam = Checked(adam);

    /// <summary>The numbers of a map, ascending; 256.</summary>
    /// <param name="isSigned">With a sign, for the mean; without, for the mean square.</param>
    /// <returns>The numbers in binary64.</returns>
    public static IReadOnlyList<double> Numbers(bool isSigned) => isSigned ? s_signed : s_unsigned;

    /// <summary>The code of the nearest number; of two, the lower.</summary>
    /// <param name="x">The value in units of the scale.</param>
    /// <param name="isSigned">Which map.</param>
    /// <returns>0 to 255.</returns>
    public static int Nearest(double x, bool isSigned)
    {
        double[] numbers = isSigned ? s_signed : s_unsigned;
        int best = 0;
        for (int code = 1; code < numbers.Length; code++)
        {
            if (Math.Abs(numbers[code] - x) < Math.Abs(numbers[best] - x))
            {
                best = code;
            }
        }

        return best;
    }

    /// <summary>The value a code stands for.</summary>
    /// <param name="code">0 to 255.</param>
    /// <param name="scale">The scale of the block.</param>
    /// <param name="isSigned">Which map.</param>
    /// <returns>The value; the bound covers a number of the map within 2^-23 and the product.</returns>
    public static Bounded Decode(int code, float scale, bool isSigned)
    {
        double number = (isSigned ? s_signed : s_unsigned)[code];
        return new Bounded(number, number == 1 ? 0 : Math.Abs(number) * 2.01 * Bounded.UnitRoundoff) * scale;
    }

    /// <summary>Whether a scale is right for the values of a block.</summary>
    /// <param name="values">The values; those that are not finite do not count.</param>
    /// <param name="scale">The scale found.</param>
    /// <returns>Whether it is the largest magnitude within the bounds; 2^-126 for lesser ones, and 0 for zeros.</returns>
    public static bool AdmitsScale(ReadOnlySpan<Bounded> values, float scale)
    {
        double least = 0;
        double most = 0;
        foreach (Bounded value in values)
        {
            if (double.IsFinite(value.Value))
            {
                least = Math.Max(least, Math.Abs(value.Value) - value.Bound);
                most = Math.Max(most, Math.Abs(value.Value) + value.Bound);
            }
        }

        return (scale == 0 && least <= 0)
            || (scale >= Math.Max(least, LeastNormal) && scale <= Math.Max(most, LeastNormal) && most > 0);
    }

    /// <summary>Whether a code is nearest to a value of which only an interval is known.</summary>
    /// <param name="value">The value.</param>
    /// <param name="scale">The scale of the block, as found.</param>
    /// <param name="code">The code found.</param>
    /// <param name="isSigned">Which map. Without a sign, what is not 0 never becomes 0.</param>
    /// <returns>Whether some number of the interval has this nearest code; neighbours near the middle both do.</returns>
    public static bool AdmitsCode(Bounded value, float scale, int code, bool isSigned)
    {
        if (scale == 0)
        {
            return Math.Abs(value.Value) <= value.Bound && code == Nearest(0, isSigned);
        }

        Bounded x = value * (Bounded.FromDouble(1) / scale);
        double slack = x.Bound + (StepTolerance * Spacing(x.Value, isSigned));
        int first = Nearest(x.Value - slack, isSigned);
        int last = Nearest(x.Value + slack, isSigned);
        if (!isSigned && value.Value + value.Bound > 0)
        {
            last = Math.Max(last, 1);
            first = value.Value - value.Bound > 0 ? Math.Max(first, 1) : first;
        }

        return code >= first && code <= last;
    }

    /// <summary>One step of one element from codes, before encoding.</summary>
    /// <param name="t">The number of this step; the first is 1.</param>
    /// <param name="p">The parameter.</param>
    /// <param name="g">The gradient.</param>
    /// <param name="m">The decoded mean before the step; after it, on return.</param>
    /// <param name="v">The decoded mean square before the step; after it, on return.</param>
    /// <returns>The parameter after the step.</returns>
    public Bounded Step(int t, Bounded p, Bounded g, ref Bounded m, ref Bounded v)
    {
        Span<Bounded> state = [m, v];
        p = _adam.Step(t, p, g, state);
        bool isFinite = double.IsFinite(state[0].Value) && double.IsFinite(state[1].Value);
        m = isFinite ? state[0] : 0;
        v = isFinite ? state[1] : 0;
        return p;
    }

    /// <summary>The distance to the neighbours, the larger of the two.</summary>
    private static double Spacing(double x, bool isSigned)
    {
        double[] numbers = isSigned ? s_signed : s_unsigned;
        int code = Nearest(x, isSigned);
        return Math.Max(Step(Math.Max(code - 1, 0)), Step(Math.Min(code, 254)));

        double Step(int lower) => numbers[lower + 1] - numbers[lower];
    }

    // Seven decades, the lowest first; decade i is 10^(i - 7) .. 10^(i - 6) in 2^i equal parts, twice as many without
    // a sign; the middles of the parts, with 0 and 1.
    private static double[] Build(bool isSigned)
    {
        var numbers = new List<double> { 0, 1 };
        for (int decade = 0; decade < 7; decade++)
        {
            int parts = isSigned ? 1 << decade : 2 << decade;
            double power = Math.Pow(10, decade - 6);
            for (int part = 0; part < parts; part++)
            {
                double left = 0.1 + (0.9 * part / parts);
                double right = 0.1 + (0.9 * (part + 1) / parts);
                double middle = power * (left + right) / 2;
                numbers.Add(middle);
                if (isSigned)
                {
                    numbers.Add(-middle);
                }
            }
        }

        numbers.Sort();
        return [.. numbers];
    }

    private static AdamReference Checked(AdamReference adam)
    {
        ArgumentNullException.ThrowIfNull(adam);
        return adam.StateNames.Count == 2
            ? adam
            : throw new ArgumentException("AMSGrad has no 8-bit state.", nameof(adam));
    }
}
