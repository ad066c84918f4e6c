using Kernels.Optimizers;

namespace Kernels.Tests.Optimizers;

public sealed class LearningRateScheduleProperties
{
    // Rates of at most 1 that come from some eight roundings of numbers of at most 2.
    private const double Lost = 16.0 / (1L << 53);

    [Fact]
    public void Constant_is_constant()
    {
        Assert.Equal(0.3, LearningRateSchedule.Constant(0.3, 0));
        Assert.Equal(0.3, LearningRateSchedule.Constant(0.3, long.MaxValue));
    }

    [Fact]
    public void Linear_warmup_reaches_the_rate_and_keeps_it()
    {
        Assert.Equal(0, LearningRateSchedule.LinearWarmup(0.4, 0, 4));
        Assert.Equal(0.1, LearningRateSchedule.LinearWarmup(0.4, 1, 4));
        Assert.Equal(0.4, LearningRateSchedule.LinearWarmup(0.4, 4, 4));
        Assert.Equal(0.4, LearningRateSchedule.LinearWarmup(0.4, 5, 4));
        Assert.Equal(0.4, LearningRateSchedule.LinearWarmup(0.4, 0, 0));
    }

    [Fact]
    public void Warmup_hold_decay_goes_up_along_and_down()
    {
        double At(long step) => LearningRateSchedule.WarmupHoldDecay(1, step, 10, 20, 40, 0.2);
        Assert.Equal(0, At(0));
        Assert.Equal(0.5, At(5));
        Assert.Equal(1, At(10));
        Assert.Equal(1, At(30));
        Assert.Equal(0.6, At(50), Lost);
        Assert.Equal(0.2, At(70));
        Assert.Equal(0.2, At(long.MaxValue));
        Assert.Equal(1, LearningRateSchedule.WarmupHoldDecay(1, 0, 0, 0, 0));
        Assert.Equal(0, LearningRateSchedule.WarmupHoldDecay(1, 1, 0, 0, 0));
        IsContinuous(At, 100, 0.1);
    }

    [Fact]
    public void Cosine_goes_up_and_down_to_the_floor()
    {
        double At(long step) => LearningRateSchedule.Cosine(1, step, 110, 10, 0.2);
        Assert.Equal(0, At(0));
        Assert.Equal(0.5, At(5));
        Assert.Equal(1, At(10));
        Assert.Equal(0.2 + 0.8 * 0.5 * (1 + Math.Sqrt(0.5)), At(35), Lost);
        Assert.Equal(0.6, At(60), Lost);
        Assert.Equal(0.2, At(110));
        Assert.Equal(0.2, At(long.MaxValue));
        Assert.Equal(0.2, LearningRateSchedule.Cosine(1, 5, 5, 5, 0.2));
        IsContinuous(At, 130, 0.1);
    }

    [Fact]
    public void Step_decay_multiplies_at_every_interval()
    {
        Assert.Equal(1, LearningRateSchedule.StepDecay(1, 9, 10, 0.5));
        Assert.Equal(0.5, LearningRateSchedule.StepDecay(1, 10, 10, 0.5));
        Assert.Equal(0.125, LearningRateSchedule.StepDecay(1, 39, 10, 0.5));
        Assert.Equal(0, LearningRateSchedule.StepDecay(1, long.MaxValue, 1, 0.5));
    }

    [Fact]
    public void Polynomial_ends_at_the_floor()
    {
        double At(long step) => LearningRateSchedule.Polynomial(1, step, 100, 2, 0.2);
        Assert.Equal(1, At(0));
        Assert.Equal(0.4, At(50), Lost);
        Assert.Equal(0.2, At(100));
        Assert.Equal(0.2, At(101));
        Assert.Equal(0.75, LearningRateSchedule.Polynomial(1, 25, 100));
        IsContinuous(At, 120, 0.02);
    }

    [Fact]
    public void Rejects_what_is_no_schedule_and_names_it()
    {
        Assert.Throws<ArgumentOutOfRangeException>("rate", () => LearningRateSchedule.Constant(double.NaN, 0));
        Assert.Throws<ArgumentOutOfRangeException>("rate", () => LearningRateSchedule.Constant(-1, 0));
        Assert.Throws<ArgumentOutOfRangeException>("step", () => LearningRateSchedule.Constant(1, -1));
        Assert.Throws<ArgumentOutOfRangeException>("warmup", () => LearningRateSchedule.LinearWarmup(1, 0, -1));
        Assert.Throws<ArgumentOutOfRangeException>(
            "hold", () => LearningRateSchedule.WarmupHoldDecay(1, 0, 0, -1, 0));
        Assert.Throws<ArgumentOutOfRangeException>(
            "decay", () => LearningRateSchedule.WarmupHoldDecay(1, 0, 0, 0, -1));
        Assert.Throws<ArgumentOutOfRangeException>(
            "floor", () => LearningRateSchedule.WarmupHoldDecay(1, 0, 0, 0, 0, 2));
        Assert.Throws<ArgumentOutOfRangeException>("total", () => LearningRateSchedule.Cosine(1, 0, 4, 5));
        Assert.Throws<ArgumentOutOfRangeException>("floor", () => LearningRateSchedule.Cosine(1, 0, 4, 0, double.NaN));
        Assert.Throws<ArgumentOutOfRangeException>("interval", () => LearningRateSchedule.StepDecay(1, 0, 0));
        Assert.Throws<ArgumentOutOfRangeException>("factor", () => LearningRateSchedule.StepDecay(1, 0, 1, 0));
        Assert.Throws<ArgumentOutOfRangeException>("factor", () => LearningRateSchedule.StepDecay(1, 0, 1, double.NaN));
        Assert.Throws<ArgumentOutOfRangeException>("power", () => LearningRateSchedule.Polynomial(1, 0, 1, 0));
        Assert.Throws<ArgumentOutOfRangeException>("total", () => LearningRateSchedule.Polynomial(1, 0, -1));
    }

    private static void IsContinuous(Func<long, double> at, int steps, double largest)
    {
        for (int step = 0; step < steps; step++)
        {
            Assert.InRange(Math.Abs(at(step + 1) - at(step)), 0, largest + (2 * Lost));
        }
    }
}
