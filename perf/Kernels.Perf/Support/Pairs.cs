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

    /// <summary>Prints a row for each value of the class's parameters.</summary>
    /// <param name="arguments">The class, its two methods, and the number of rounds (61 unless told).</param>
    internal static void Run(ReadOnlySpan<string> arguments)
    {
        if (arguments.Length is < 3 or > 4)
        {
            throw new InvalidOperationException("Wanted: pairs <class> <method> <method> [rounds].");
        }

        string name = arguments[0];
        Type type = Array.Find(typeof(Pairs).Assembly.GetTypes(), t => string.Equals(t.Name, name, StringComparison.Ordinal))
            ?? throw new InvalidOperationException($"There is no benchmark class {name}.");
        MethodInfo first = Method(type, arguments[1]);
        MethodInfo second = Method(type, arguments[2]);
        int rounds = arguments.Length > 3 ? int.Parse(arguments[3], CultureInfo.InvariantCulture) : 61;
        Console.WriteLine($"| {name} | {first.Name}, ms | {second.Name}, ms | {second.Name} / {first.Name} | quartiles |");
        Console.WriteLine("|---|---:|---:|---:|---:|");
        PropertyInfo? parameter = Array.Find(type.GetProperties(), p => Values(type, p) != null);
        foreach (object? value in parameter == null ? new object?[] { null } : Values(type, parameter)!)
        {
            Console.WriteLine(Row(type, first, second, rounds, parameter, value));
        }
    }

    private static string Row(
        Type type, MethodInfo first, MethodInfo second, int rounds, PropertyInfo? parameter, object? value)
    {
        object benchmark = Activator.CreateInstance(type)!;
        parameter?.SetValue(benchmark, value);
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
        return string.Create(
            CultureInfo.InvariantCulture,
            $"| {value} | {Quantile(times[0], 0.5) / Operations(first):0.000} | {Quantile(times[1], 0.5) / Operations(second):0.000}")
            + string.Create(
                CultureInfo.InvariantCulture,
                $" | {Quantile(ratios, 0.5):0.000} | {Quantile(ratios, 0.25):0.000} to {Quantile(ratios, 0.75):0.000} |");
    }

    private static Action Call(MethodInfo method, object benchmark)
    {
        if (method.ReturnType == typeof(void))
        {
            return method.CreateDelegate<Action>(benchmark);
        }

        Func<float> result = method.CreateDelegate<Func<float>>(benchmark);
        return () => result();
    }

    private static double Time(Action action)
    {
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
