using System.Reflection;
using Xunit.Abstractions;
using Xunit.Sdk;

namespace Kernels.Mutation;

/// <summary>The tests of classes, run in this process without a test host.</summary>
internal sealed class TestClasses : IDisposable
{
    private readonly XunitTestFramework _framework = new(new NullMessageSink());
    private readonly ITestFrameworkExecutor _executor;
    private readonly Sink _sink = new();

    internal TestClasses(IEnumerable<string> classes)
    {
        Assembly tests = Assembly.Load("Kernels.Tests");
        using ITestFrameworkDiscoverer discoverer = _framework.GetDiscoverer(Reflector.Wrap(tests));
        _executor = _framework.GetExecutor(tests.GetName());
        foreach (string name in classes)
        {
            Type type = tests.GetTypes().Single(each => string.Equals(each.Name, name, StringComparison.Ordinal));
            _sink.Wait(() => discoverer.Find(type.FullName, includeSourceInformation: false, _sink, new Defaults()));
        }
    }

    internal IReadOnlyList<ITestCase> Cases => _sink.Cases;

    /// <summary>Runs a test.</summary>
    /// <returns>Whether it passes.</returns>
    internal bool Passes(ITestCase test)
    {
        _sink.HasFailed = false;
        _sink.Wait(() => _executor.RunTests([test], _sink, new Defaults()));
        return !_sink.HasFailed;
    }

    public void Dispose()
    {
        _sink.Dispose();
        _executor.Dispose();
        _framework.Dispose();
    }

    /// <summary>Collects tests, and what became of them.</summary>
    private sealed class Sink : IMessageSink, IDisposable
    {
        private readonly ManualResetEvent _done = new(initialState: false);

        internal List<ITestCase> Cases { get; } = [];

        internal bool HasFailed { get; set; }

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
