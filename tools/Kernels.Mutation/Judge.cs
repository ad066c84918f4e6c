using System.Diagnostics;
using System.Globalization;
using System.Reflection;
using System.Runtime.ExceptionServices;
using Xunit.Abstractions;
using Xunit.Sdk;

namespace Kernels.Mutation;

/// <summary>The process that judges: it runs among the tests, with an assembly that was exchanged.</summary>
/// <remarks>
/// Fuzzing and tests in one process without a test host: it ends with the first assertion that fails.
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

    private const string Separator = "--";

    /// <summary>The command line that <see cref="Run"/> reads.</summary>
    internal static string[] Arguments(Judges judges, int cases, string device, TimeSpan longest) =>
    [
        Command, cases.ToString(CultureInfo.InvariantCulture), device,
        longest.TotalSeconds.ToString("R", CultureInfo.InvariantCulture), .. judges.Operations, Separator, .. judges.Tests,
    ];

    /// <summary>Fuzzes operations and runs classes of tests, until something fails.</summary>
    internal static int Run(string[] arguments)
    {
        var longest = TimeSpan.FromSeconds(double.Parse(arguments[3], CultureInfo.InvariantCulture));
        new Thread(() => Watch(longest)) { IsBackground = true }.Start();
        int end = Array.IndexOf(arguments, Separator);
        foreach (string operation in arguments[4..end])
        {
            int code = AppDomain.CurrentDomain.ExecuteAssemblyByName(
                "Kernels.Tools",
                [
                    "fuzz", operation, "--cases", arguments[1], "--seed", "1", "--shrink", "0", "--device", arguments[2],
                ]);
            if (code != 0)
            {
                return Failed;
            }
        }

        if (arguments[(end + 1)..] is { Length: > 0 } tests && RunTests(tests) != Passed)
        {
            return Failed;
        }

        Console.WriteLine(Environment.CpuUsage.TotalTime.TotalSeconds.ToString("R", CultureInfo.InvariantCulture));
        return Passed;
    }

    // The time of the processor does not depend on what else it does. Threads that wait for each other for ever take none:
    // ten times as much by the clock ends them.
    private static void Watch(TimeSpan longest)
    {
        long begin = Stopwatch.GetTimestamp();
        while (Environment.CpuUsage.TotalTime < longest && Stopwatch.GetElapsedTime(begin) < 10 * longest)
        {
            Thread.Sleep(100);
        }

        Environment.Exit(TookTooLong);
    }

    private static int RunTests(string[] classes)
    {
        Assembly tests = Assembly.Load("Kernels.Tests");
        using var framework = new XunitTestFramework(new NullMessageSink());
        using ITestFrameworkDiscoverer discoverer = framework.GetDiscoverer(Reflector.Wrap(tests));
        using ITestFrameworkExecutor executor = framework.GetExecutor(tests.GetName());
        using var sink = new Sink();
        foreach (string name in classes)
        {
            Type type = tests.GetTypes().Single(each => string.Equals(each.Name, name, StringComparison.Ordinal));
            sink.Wait(() => discoverer.Find(type.FullName, includeSourceInformation: false, sink, new Defaults()));
        }

        var order = new TestOrder(sink.Cases);
        foreach (ITestCase test in order.Cases)
        {
            // The first assertion ends it: what was drawn at random is not made small first.
            AppDomain.CurrentDomain.FirstChanceException += FailOfAssertion;
            sink.Wait(() => executor.RunTests([test], sink, new Defaults()));
            AppDomain.CurrentDomain.FirstChanceException -= FailOfAssertion;
            if (sink.HasFailed)
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
        return order.Cases.Count == 0 ? Failed : Passed;
    }

    /// <summary>Collects tests, and what became of them.</summary>
    private sealed class Sink : IMessageSink, IDisposable
    {
        private readonly ManualResetEvent _done = new(initialState: false);

        internal List<ITestCase> Cases { get; } = [];

        internal bool HasFailed { get; private set; }

        public bool OnMessage(IMessageSinkMessage message)
        {
            switch (message)
            {
                case ITestCaseDiscoveryMessage found:
                    Cases.Add(found.TestCase);
                    break;
                case ITestFailed or IErrorMessage or ITestCleanupFailure or ITestClassCleanupFailure:
                    HasFailed = true;
                    break;
                case IDiscoveryCompleteMessage or ITestAssemblyFinished:
                    _done.Set();
                    break;
            }

            return true;
        }

        /// <summary>Does something that ends later.</summary>
        internal void Wait(Action begin)
        {
            _done.Reset();
            begin();
            _done.WaitOne();
        }

        public void Dispose() => _done.Dispose();
    }

    /// <summary>Nothing but the defaults.</summary>
    private sealed class Defaults : ITestFrameworkDiscoveryOptions, ITestFrameworkExecutionOptions
    {
        public TValue GetValue<TValue>(string name) => default!;

        public void SetValue<TValue>(string name, TValue value)
        {
        }
    }
}
