using System.Diagnostics;
using Xunit.Abstractions;

namespace Kernels.Mutation;

/// <summary>The order of tests that finds mutants soon: the last that found one first, and else the shortest first.</summary>
/// <remarks>It is kept beside the tests, for the mutants to come.</remarks>
internal sealed class TestOrder
{
    private const string Path = "order.txt";

    private readonly Dictionary<ITestCase, TimeSpan> _times = [];
    private readonly List<string> _known = File.Exists(Path) ? [.. File.ReadLines(Path)] : [];
    private long _begin = Stopwatch.GetTimestamp();

    internal TestOrder(IEnumerable<ITestCase> cases) =>
        // What is not known has the place -1, and comes last.
        Cases = [.. cases.OrderBy(test => (uint)_known.IndexOf(test.UniqueID))];

    internal IReadOnlyList<ITestCase> Cases { get; }

    internal void Passed(ITestCase test)
    {
        _times[test] = Stopwatch.GetElapsedTime(_begin);
        _begin = Stopwatch.GetTimestamp();
    }

    internal void Failed(ITestCase test)
    {
        _known.Remove(test.UniqueID);
        File.WriteAllLines(Path, [test.UniqueID, .. _known]);
    }

    internal void AllPassed()
    {
        if (!Cases.All(test => _known.Contains(test.UniqueID)))
        {
            File.WriteAllLines(Path, _times.OrderBy(each => each.Value).Select(each => each.Key.UniqueID));
        }
    }
}
