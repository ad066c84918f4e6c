using System.Diagnostics;
using System.Globalization;
using System.Reflection;
using BenchmarkDotNet.Attributes;

namespace Kernels.Perf.Support;

/// <summary>
/// Two benchmarks of one class by turns, for ratios on a machine whose speed wanders: what one meets in a round the other
/// meets as well, and the ratio is the median of the rounds' ratios.
/// </summary>
internal static class Pairs
{
    private const int WarmUps = 5;

    private const int DefaultRounds = 61;

    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(20);

    /// <summary>Prints a row for each choice of the class's parameters.</summary>
    /// <param name="arguments">The class, its two methods, and the number of rounds (61 unless told).</param>
    internal static void Run(ReadOnlySpan<string> arguments)
    {
        if (arguments.Length is < 3 or > 4)
        {
            throw new InvalidOperationException("Wanted: pairs <class> <method> <method> [rounds].");
        }

        string name = arguments[0];
        string first = arguments[1];
        string second = arguments[2];
        int rounds = arguments.Length > 3 ? int.Parse(arguments[3], CultureInfo.InvariantCulture) : DefaultRounds;
        Console.WriteLine($"| {name} | {first}, ms | {second}, ms | {second} / {first} | quartiles |");
        Console.WriteLine("|---|---:|---:|---:|---:|");
        foreach (PairResult result in Measure(name, first, second, rounds))
        {
            Console.WriteLine($"| {result.Parameter} | {result.Times} |");
        }
    }

    /// <summary>Whether this build has both benchmarks of the class; peers may be left out of it.</summary>
    internal static bool Has(string name, string first, string second) =>
        Find(name) is { } type && type.GetMethod(first) is not null && type.GetMethod(second) is not null;

    /// <summary>Measures two benchmarks by turns, for each choice of the class's parameters.</summary>
    internal static IEnumerable<PairResult> Measure(string name, string first, string second, int rounds)
    {
        Type type = Find(name) ?? throw new InvalidOperationException($"There is no benchmark class {name}.");
        MethodInfo one = Method(type, first);
        MethodInfo other = Method(type, second);
        (PropertyInfo Property, object?[] Values)[] parameters =
        [
            .. type.GetProperties().Select(p => (p, Values(type, p)?.Cast<object?>().ToArray()!)).Where(p => p.Item2 != null),
        ];
        IEnumerable<object?[]> choices = [[]];
        foreach ((_, object?[] values) in parameters)
        {
            choices = choices.SelectMany(choice => values.Select(value => (object?[])[.. choice, value]));
        }

        foreach (object?[] choice in choices)
        {
            object benchmark = Activator.CreateInstance(type)!;
            for (int i = 0; i < choice.Length; i++)
            {
                parameters[i].Property.SetValue(benchmark, choice[i]);
            }

            yield return Measure(benchmark, one, other, rounds, string.Join(", ", choice));
        }
    }

    private static Type? Find(string name) =>
        Array.Find(typeof(Pairs).Assembly.GetTypes(), t => string.Equals(t.Name, name, StringComparison.Ordinal));

    private static PairResult Measure(object benchmark, MethodInfo first, MethodInfo second, int rounds, string parameter)
    {
        Type type = benchmark.GetType();
        Marked<GlobalSetupAttribute>(type)?.Invoke(benchmark, null);
        Action a = Call(first, benchmark);
        Action b = Call(second, benchmark);
        var times = new double[2][] { new double[rounds], new double[rounds] };
        for (int round = -WarmUps; round < rounds; round++)
        {
            // Each goes first every other round.
            bool swap = (round & 1) != 0;
            double one = Time(swap ? b : a);
            double other = Time(swap ? a : b);
            if (round >= 0)
            {
                times[0][round] = swap ? other : one;
                times[1][round] = swap ? one : other;
            }
        }

        Marked<GlobalCleanupAttribute>(type)?.Invoke(benchmark, null);
        double weight = (double)Operations(first) / Operations(second);
        double[] ratios = [.. times[0].Zip(times[1], (x, y) => weight * y / x)];
        return new PairResult(
            parameter, Quantile(times[0], 0.5) / Operations(first), Quantile(times[1], 0.5) / Operations(second),
            Quantile(ratios, 0.25), Quantile(ratios, 0.5), Quantile(ratios, 0.75));
    }

    private static Action Call(MethodInfo method, object benchmark)
    {
        if (method.ReturnType == typeof(void))
        {
            return method.CreateDelegate<Action>(benchmark);
        }

        MethodInfo dropping = typeof(Pairs).GetMethod(nameof(Dropping), BindingFlags.NonPublic | BindingFlags.Static)!;
        return (Action)dropping.MakeGenericMethod(method.ReturnType).Invoke(null, [method, benchmark])!;
    }

    /// <summary>A call whose result is of no interest.</summary>
    private static Action Dropping<T>(MethodInfo method, object benchmark)
    {
        Func<T> result = method.CreateDelegate<Func<T>>(benchmark);
        return () => result();
    }

    /// <summary>
    /// Milliseconds of the second of two calls, behind a pause: threads of a peer's OpenMP wait for their next work at full
    /// speed for some milliseconds, on the cores that the other needs, and what has slept needs a while to be fast again.
    /// </summary>
    private static double Time(Action action)
    {
        Thread.Sleep(Pause);
        action();
        long start = Stopwatch.GetTimestamp();
        action();
        return Stopwatch.GetElapsedTime(start).TotalMilliseconds;
    }

    private static int Operations(MethodInfo method) =>
        method.GetCustomAttribute<BenchmarkAttribute>()!.OperationsPerInvoke;

    private static double Quantile(double[] values, double share)
    {
        double[] sorted = [.. values.Order()];
        return sorted[(int)Math.Round(share * (sorted.Length - 1))];
    }

    private static MethodInfo Method(Type type, string name) =>
        type.GetMethod(name) is { } method && method.GetCustomAttribute<BenchmarkAttribute>() != null
            ? method
            : throw new InvalidOperationException($"{type.Name} has no benchmark {name}.");

    private static MethodInfo? Marked<TAttribute>(Type type)
        where TAttribute : Attribute =>
        Array.Find(type.GetMethods(), m => m.GetCustomAttribute<TAttribute>() != null);

    private static System.Collections.IEnumerable? Values(Type type, PropertyInfo property) =>
        property.GetCustomAttribute<ParamsAttribute>() is { } given
            ? given.Values
            : property.GetCustomAttribute<ParamsSourceAttribute>() is { } source
                ? (System.Collections.IEnumerable)type.GetProperty(source.Name)!.GetValue(null)!
                : null;
}
