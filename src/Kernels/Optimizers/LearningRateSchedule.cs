using System.Runtime.CompilerServices;

namespace Kernels.Optimizers;

/// <summary>Learning rates as functions of the step: pure, in double. Steps count from 0; steps beyond the end keep the last rate.</summary>
public static class LearningRateSchedule
{
    /// <summary>The same rate always.</summary>
    /// <param name="rate">The rate; not negative.</param>
    /// <param name="step">The step; not negative.</param>
    /// <returns>The rate.</returns>
    /// <exception cref="ArgumentOutOfRangeException">An argument is out of range.</exception>
    public static double Constant(double rate, long step)
    {
        Check(rate, step);
        return rate;
    }

    /// <summary>From 0 in a straight line to the rate, then constant.</summary>
    /// <param name="rate">The rate after the warm-up; not negative.</param>
    /// <param name="step">The step; not negative.</param>
    /// <param name="warmup">Steps of the warm-up; 0 for none. The rate is reached at this step.</param>
    /// <returns>The rate of the step.</returns>
    /// <exception cref="ArgumentOutOfRangeException">An argument is out of range.</exception>
    public static double LinearWarmup(double rate, long step, long warmup)
    {
        Check(rate, step);
        ArgumentOutOfRangeException.ThrowIfNegative(warmup);
        return step < warmup ? rate * step / warmup : rate;
    }

    /// <summary>Up in a straight line, level, down in a straight line: the annealing of FVQ.</summary>
    /// <param name="rate">The level; not negative.</param>
    /// <param name="step">The step; not negative.</param>
    /// <param name="warmup">Steps up.</param>
    /// <param name="hold">Steps on the level.</param>
    /// <param name="decay">Steps down.</param>
    /// <param name="floor">The last rate; in [0, rate].</param>
    /// <returns>The rate of the step.</returns>
    /// <exception cref="ArgumentOutOfRangeException">An argument is out of range.</exception>
    public static double WarmupHoldDecay(
        double rate, long step, long warmup, long hold, long decay, double floor = 0)
    {
        Check(rate, step);
        ArgumentOutOfRangeException.ThrowIfNegative(warmup);
        ArgumentOutOfRangeException.ThrowIfNegative(hold);
        ArgumentOutOfRangeException.ThrowIfNegative(decay);
        CheckFloor(floor, rate);
        if (step < warmup)
        {
            return rate * step / warmup;
        }

        double past = (double)step - warmup - hold;
        return past <= 0 ? rate : past < decay ? rate + (floor - rate) * (past / decay) : floor;
    }

    /// <summary>Up in a straight line, then half a cosine down to a floor.</summary>
    /// <remarks>Source: Loshchilov, Hutter 2016, arXiv:1608.03983, equation 5, without restarts.</remarks>
    /// <param name="rate">The largest rate; not negative.</param>
    /// <param name="step">The step; not negative.</param>
    /// <param name="total">All steps, the warm-up included; at least the warm-up. The floor is reached at this step.</param>
    /// <param name="warmup">Steps up.</param>
    /// <param name="floor">The last rate; in [0, rate].</param>
    /// <returns>The rate of the step.</returns>
    /// <exception cref="ArgumentOutOfRangeException">An argument is out of range.</exception>
    public static double Cosine(double rate, long step, long total, long warmup = 0, double floor = 0)
    {
        Check(rate, step);
        ArgumentOutOfRangeException.ThrowIfNegative(warmup);
        ArgumentOutOfRangeException.ThrowIfLessThan(total, warmup);
        CheckFloor(floor, rate);
        if (step < warmup)
        {
            return rate * step / warmup;
        }

        return step >= total
            ? floor
            : floor + (rate - floor) * 0.5 * (1 + Math.Cos(Math.PI * (step - warmup) / (total - warmup)));
    }

    /// <summary>Multiplied by a factor every so many steps.</summary>
    /// <param name="rate">The first rate; not negative.</param>
    /// <param name="step">The step; not negative.</param>
    /// <param name="interval">Steps between two changes; at least 1.</param>
    /// <param name="factor">The factor; in (0, 1].</param>
    /// <returns>The rate of the step.</returns>
    /// <exception cref="ArgumentOutOfRangeException">An argument is out of range.</exception>
    public static double StepDecay(double rate, long step, long interval, double factor = 0.1)
    {
        Check(rate, step);
        ArgumentOutOfRangeException.ThrowIfLessThan(interval, 1);
        if (!(factor is > 0 and <= 1))
        {
            throw new ArgumentOutOfRangeException(nameof(factor), factor, "factor must be in (0, 1].");
        }

        return rate * Math.Pow(factor, step / interval);
    }

    /// <summary>Down to a floor along a power of what is left: a straight line for power 1.</summary>
    /// <param name="rate">The first rate; not negative.</param>
    /// <param name="step">The step; not negative.</param>
    /// <param name="total">Steps to the floor; not negative.</param>
    /// <param name="power">The power; positive.</param>
    /// <param name="floor">The last rate; in [0, rate].</param>
    /// <returns>The rate of the step.</returns>
    /// <exception cref="ArgumentOutOfRangeException">An argument is out of range.</exception>
    public static double Polynomial(double rate, long step, long total, double power = 1, double floor = 0)
    {
        Check(rate, step);
        ArgumentOutOfRangeException.ThrowIfNegative(total);
        CheckFloor(floor, rate);
        if (!(power > 0 && double.IsFinite(power)))
        {
            throw new ArgumentOutOfRangeException(nameof(power), power, "power must be finite and positive.");
        }

        return step >= total ? floor : floor + (rate - floor) * Math.Pow(1 - (double)step / total, power);
    }

    private static void Check(double rate, long step)
    {
        Validation.Require.NotNegative(rate);
        ArgumentOutOfRangeException.ThrowIfNegative(step);
    }

    private static void CheckFloor(
        double floor, double rate, [CallerArgumentExpression(nameof(floor))] string? name = null)
    {
        if (!(floor >= 0 && floor <= rate))
        {
            throw new ArgumentOutOfRangeException(name, floor, "floor must be in [0, rate].");
        }
    }
}
