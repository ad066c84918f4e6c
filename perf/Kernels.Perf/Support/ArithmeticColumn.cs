using System.Globalization;
using BenchmarkDotNet.Columns;
using BenchmarkDotNet.Reports;
using BenchmarkDotNet.Running;

namespace Kernels.Perf.Support;

/// <summary>The multiplications and additions of a case. Needs a parameter <c>Length</c>.</summary>
internal abstract class ComputesAttribute : Attribute
{
    /// <summary>How many they are.</summary>
    internal abstract double Operations(double length);
}

/// <summary>A product of square matrices with <c>Length</c> rows: a multiplication and an addition for each triple.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class ComputesProductAttribute : ComputesAttribute
{
    internal override double Operations(double length) => 2 * Math.Pow(length, 3);
}

/// <summary>A product of square matrices of <c>Length</c> elements.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class ComputesProductOfSquaresAttribute : ComputesAttribute
{
    internal override double Operations(double length) => 2 * Math.Pow(length, 1.5);
}

/// <summary>
/// Transforms of the lines of a square matrix of <c>Length</c> elements: 2.5 n log2(n) for a line, as FFTW counts real
/// transforms, whatever an algorithm takes.
/// </summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class ComputesTransformsAttribute : ComputesAttribute
{
    internal override double Operations(double length) => 2.5 * length * Math.Log2(length) / 2;
}

/// <summary>Multiplications and additions over the best time.</summary>
internal sealed class ArithmeticColumn : IColumn
{
    public string Id => nameof(ArithmeticColumn);

    public string ColumnName => "GFLOP/s";

    public string Legend => "Multiplications and additions of a product or of transforms, over the best time";

    public bool AlwaysShow => false;

    public ColumnCategory Category => ColumnCategory.Custom;

    public int PriorityInCategory => 1;

    public bool IsNumeric => true;

    public UnitType UnitType => UnitType.Dimensionless;

    public string GetValue(Summary summary, BenchmarkCase benchmarkCase)
    {
        if (Computes(benchmarkCase) is not { } computes || summary[benchmarkCase]?.ResultStatistics is not { } statistics)
        {
            return "-";
        }

        double length = Convert.ToDouble(benchmarkCase.Parameters["Length"], CultureInfo.InvariantCulture);
        return (computes.Operations(length) / statistics.Min).ToString("F1", CultureInfo.InvariantCulture);
    }

    public string GetValue(Summary summary, BenchmarkCase benchmarkCase, SummaryStyle style) =>
        GetValue(summary, benchmarkCase);

    public bool IsDefault(Summary summary, BenchmarkCase benchmarkCase) => false;

    public bool IsAvailable(Summary summary) => summary.BenchmarksCases.Any(c => Computes(c) is not null);

    private static ComputesAttribute? Computes(BenchmarkCase benchmarkCase) => (ComputesAttribute?)Attribute
        .GetCustomAttribute(benchmarkCase.Descriptor.WorkloadMethod, typeof(ComputesAttribute));
}
