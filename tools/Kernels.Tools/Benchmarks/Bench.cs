using System.Reflection;
using ILGPU;
using ILGPU.Runtime;
using Kernels.Linear;
using Kernels.Tools.Operations;

namespace Kernels.Tools.Benchmarks;

/// <summary>Runs operations under a meter.</summary>
internal static class Bench
{
    private const int MaxProductLength = 8192;

    private const double LongProduct = 0.01;

    /// <summary>The lines of <c>shapes.txt</c>, by operation in the order of the file.</summary>
    internal static ILookup<string, string> Shapes { get; } = Lines()
        .Select(line => line.Trim()).Where(line => line.Length > 0 && line[0] != '#')
        .ToLookup(line => line.Split(' ')[0], StringComparer.Ordinal);

    /// <summary>Operations in a second of a product of square matrices, the ceiling of arithmetic.</summary>
    /// <remarks>
    /// Of matrices large enough to take ten milliseconds, and the best of a few: what else the machine does only slows it.
    /// </remarks>
    internal static double Peak(Session session)
    {
        double peak = 0;
        for (int length = 128; length <= MaxProductLength; length *= 2)
        {
            double seconds = Product(session, length);
            peak = Math.Max(peak, 2 * Math.Pow(length, 3) / seconds);
            if (seconds > LongProduct)
            {
                break;
            }
        }

        return peak;
    }

    private static double Product(Session session, int length)
    {
        using MemoryBuffer1D<float, Stride1D.Dense> a = session.Accelerator.Allocate1D<float>((long)length * length);
        using MemoryBuffer1D<float, Stride1D.Dense> c = session.Accelerator.Allocate1D<float>((long)length * length);
        a.MemSetToZero(session.Stream);
        var product = new MatMul(session.Accelerator);
        var meter = new Meter(session, 0, 1);
        return Enumerable.Range(0, 5).Min(_ => meter.Time(
            () => product.Multiply(session.Stream, a.View, false, a.View, true, c.View, length, length, length), 1));
    }

    /// <summary>Measures the calls of an operation.</summary>
    /// <exception cref="BadInputException">The library refuses a length or an option.</exception>
    internal static void Measure(Session session, BenchCase given, Meter meter)
    {
        meter.Current = (given.Operation.Name, given.Shape);
        try
        {
            given.Operation.Run(given.Context(session, meter));
            session.Synchronize();
        }
        catch (ArgumentException e)
        {
            throw new BadInputException($"{given.Operation.Name}: {RecordOptions.Message(e, given.Operation.Options)}", e);
        }
    }

    private static IEnumerable<string> Lines()
    {
        using Stream stream = Assembly.GetExecutingAssembly().GetManifestResourceStream("shapes.txt")!;
        using var reader = new StreamReader(stream);
        while (reader.ReadLine() is { } line)
        {
            yield return line;
        }
    }
}
