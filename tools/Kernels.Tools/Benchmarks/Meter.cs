using System.Diagnostics;

namespace Kernels.Tools.Benchmarks;

/// <summary>
/// Measures calls: both the call and its probe are warmed up, then take turns, each as often between two synchronizations
/// as makes a round long enough to be timed.
/// </summary>
/// <param name="session">The device.</param>
/// <param name="peak">Operations in a second of a large product of matrices.</param>
/// <param name="rounds">How often each is timed, where that does not take too long.</param>
/// <param name="round">How long a round is at least; 20 ms without it.</param>
internal sealed class Meter(Session session, double peak, int rounds, TimeSpan? round = null)
{
    private const int FewestRounds = 5;

    private static readonly TimeSpan s_longest = TimeSpan.FromSeconds(4);

    private readonly double _round = (round ?? TimeSpan.FromMilliseconds(20)).TotalSeconds;

    private readonly List<BenchResult> _results = [];

    /// <summary>All calls so far.</summary>
    internal IReadOnlyList<BenchResult> Results => _results;

    /// <summary>The operation that runs, and its lengths.</summary>
    internal (string Name, string Shape) Current { get; set; } = ("", "");

    /// <summary>Measures a call, and keeps the result.</summary>
    /// <param name="part">Which call of the operation; empty where there is one.</param>
    /// <param name="cost">What it must do at least.</param>
    /// <param name="launch">Puts it on the session's stream; may be done again and again.</param>
    internal void Measure(string part, Cost cost, Action launch)
    {
        using var probe = new StreamProbe(session, cost);
        int calls = Calls(launch, out double once);
        int walks = Calls(probe.Launch, out double walk);
        double together = (calls * once) + (walks * walk);
        int count = Math.Clamp((int)(s_longest.TotalSeconds / together), Math.Min(FewestRounds, rounds), rounds);
        var times = new double[count];
        var floors = new double[count];
        for (int i = 0; i < count; i++)
        {
            times[i] = Time(launch, calls);
            floors[i] = Time(probe.Launch, walks);
        }

        _results.Add(new BenchResult(
            part.Length == 0 ? Current.Name : $"{Current.Name} {part}", Current.Shape, cost, Quantiles.Of(times),
            Quantiles.Of(floors), peak));
    }

    /// <summary>Seconds of one of so many calls.</summary>
    internal double Time(Action launch, int calls)
    {
        long start = Stopwatch.GetTimestamp();
        for (int i = 0; i < calls; i++)
        {
            launch();
        }

        session.Synchronize();
        return Stopwatch.GetElapsedTime(start).TotalSeconds / calls;
    }

    /// <summary>How many calls a round has, after the calls that compile and warm up.</summary>
    private int Calls(Action launch, out double once)
    {
        once = Time(launch, 1);
        once = Math.Min(once, Time(launch, 1));
        int calls = (int)Math.Clamp(_round / Math.Max(once, 1e-9), 1, 1000);
        once = Time(launch, calls);
        return (int)Math.Clamp(_round / Math.Max(once, 1e-9), 1, 10_000);
    }
}
