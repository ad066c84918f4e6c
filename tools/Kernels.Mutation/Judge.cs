using System.Diagnostics;
using System.Globalization;
using System.Runtime.ExceptionServices;
using Xunit.Abstractions;

namespace Kernels.Mutation;

/// <summary>The process that judges: it runs among the tests, with an assembly that was exchanged.</summary>
/// <remarks>
/// Fuzzing and tests in one process without a test host. Of one mutant it ends with the first assertion that fails; of
/// many behind a <see cref="Switch"/> it says what became of each.
/// </remarks>
internal static class Judge
{
    /// <summary>The first word of its command line.</summary>
    internal const string Command = "judge";

    /// <summary>What it returns where nothing fails, and the last line it writes is the seconds of the processor.</summary>
    internal const int Passed = 0;

    /// <summary>What it returns where something fails.</summary>
    internal const int Failed = 1;

    /// <summary>What it returns where it takes longer than it may.</summary>
    internal const int TookTooLong = 10;

    /// <summary>A file in its folder: the mutants behind the switch, a number each line; without it there is one.</summary>
    internal const string List = "mutants.txt";

    /// <summary>Begins a line that says of a mutant of many what <see cref="Said"/> reads.</summary>
    private const string Mark = "@mutant ";

    private const string Separator = "--";

    // Of many, each may take as much longer than the unchanged code as this.
    private static readonly TimeSpan s_more = TimeSpan.FromSeconds(5);

    private static double s_begin;
    private static double s_longest;

    private enum Event
    {
        /// <summary>It is judged now.</summary>
        Begins,

        Passes,

        Fails,
    }

    /// <summary>The command line that <see cref="Run"/> reads.</summary>
    internal static string[] Arguments(Judges judges, int cases, string device, TimeSpan longest) =>
    [
        Command, cases.ToString(CultureInfo.InvariantCulture), device,
        longest.TotalSeconds.ToString("R", CultureInfo.InvariantCulture), .. judges.Operations, Separator, .. judges.Tests,
    ];

    /// <summary>What a line says of a mutant of many: whether it passes, null while it is judged; or the line says nothing.</summary>
    internal static (int Number, bool? Passes)? Said(string line) =>
        line.StartsWith(Mark, StringComparison.Ordinal)
        && line[Mark.Length..].Split(' ') is [string number, string what]
            ? (int.Parse(number, CultureInfo.InvariantCulture), Enum.Parse<Event>(what) switch
            {
                Event.Begins => null,
                Event.Passes => true,
                _ => false,
            })
            : null;

    /// <summary>Fuzzes operations and runs classes of tests.</summary>
    internal static int Run(string[] arguments)
    {
        s_longest = double.Parse(arguments[3], CultureInfo.InvariantCulture);
        new Thread(Watch) { IsBackground = true }.Start();
        int end = Array.IndexOf(arguments, Separator);
        string[] operations = arguments[4..end];
        using var tests = new TestClasses(arguments[(end + 1)..]);
        bool Fuzz(string operation) => AppDomain.CurrentDomain.ExecuteAssemblyByName(
            "Kernels.Tools",
            [
                "fuzz", operation, "--cases", arguments[1], "--seed", "1", "--shrink", "0", "--device", arguments[2],
            ]) == 0;
        if (File.Exists(List))
        {
            return RunMany([.. operations.Select(o => (Func<bool>)(() => Fuzz(o))),
                .. tests.Cases.Select(test => (Func<bool>)(() => tests.Passes(test)))]);
        }

        if (!operations.All(Fuzz) || (arguments.Length > end + 1 && !RunTests(tests)))
        {
            return Failed;
        }

        Console.WriteLine(Environment.CpuUsage.TotalTime.TotalSeconds.ToString("R", CultureInfo.InvariantCulture));
        return Passed;
    }

    // The time of the processor does not depend on what else it does. Threads that wait for each other for ever take none:
    // ten times as much by the clock ends them.
    private static void Watch()
    {
        double begin = 0;
        long clock = Stopwatch.GetTimestamp();
        while (Environment.CpuUsage.TotalTime.TotalSeconds - begin < s_longest
            && Stopwatch.GetElapsedTime(clock).TotalSeconds < 10 * s_longest)
        {
            Thread.Sleep(100);
            double next = Volatile.Read(ref s_begin);
            clock = next > begin ? Stopwatch.GetTimestamp() : clock;
            begin = next;
        }

        Environment.Exit(TookTooLong);
    }

    /// <summary>All of them without a change, then each mutant until something fails that passes again without it.</summary>
    /// <returns>Whether everything passes without a change, before and afterwards.</returns>
    private static int RunMany(List<Func<bool>> checks)
    {
        var times = new Dictionary<Func<bool>, TimeSpan>();
        foreach (Func<bool> check in checks)
        {
            long begin = Stopwatch.GetTimestamp();
            if (!check())
            {
                return Failed;
            }

            times[check] = Stopwatch.GetElapsedTime(begin);
        }

        checks.Sort((a, b) => times[a].CompareTo(times[b]));
        s_longest = s_more.TotalSeconds + (3 * times.Values.Sum(time => time.TotalSeconds));
        foreach (int mutant in File.ReadLines(List).Select(line => int.Parse(line, CultureInfo.InvariantCulture)))
        {
            Say(mutant, Event.Begins);
            Volatile.Write(ref s_begin, Environment.CpuUsage.TotalTime.TotalSeconds);
            Switch.Set(mutant);
            int failed = checks.FindIndex(check => !check());
            Switch.Set(0);
            if (failed >= 0 && !checks[failed]())
            {
                // The mutant has left something behind.
                return Failed;
            }

            Say(mutant, failed < 0 ? Event.Passes : Event.Fails);
            if (failed > 0)
            {
                // What found one finds others.
                checks.Insert(0, checks[failed]);
                checks.RemoveAt(failed + 1);
            }
        }

        return Passed;
    }

    private static void Say(int mutant, Event what)
    {
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{Mark}{mutant} {what}"));
        Console.Out.Flush();
    }

    private static bool RunTests(TestClasses tests)
    {
        var order = new TestOrder(tests.Cases);
        foreach (ITestCase test in order.Cases)
        {
            // The first assertion ends it: what was drawn at random is not made small first.
            AppDomain.CurrentDomain.FirstChanceException += FailOfAssertion;
            bool passes = tests.Passes(test);
            AppDomain.CurrentDomain.FirstChanceException -= FailOfAssertion;
            if (!passes)
            {
                Fail();
            }

            order.Passed(test);

            void FailOfAssertion(object? sender, FirstChanceExceptionEventArgs thrown)
            {
                if (thrown.Exception.GetType().Namespace is "Xunit.Sdk")
                {
                    Fail();
                }
            }

            void Fail()
            {
                order.Failed(test);
                Environment.Exit(Failed);
            }
        }

        order.AllPassed();
        return order.Cases.Count > 0;
    }
}
