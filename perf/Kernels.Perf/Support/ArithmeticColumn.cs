using System.Globalization;
using BenchmarkDotNet.Columns;
using BenchmarkDotNet.Reports;
using BenchmarkDotNet.Running;

namespace Kernels.Perf.Support;

/// <summary>A product of square matrices with <c>Length</c> rows: a multiplication and an addition for each triple.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class ComputesProductAttribute : Attribute;

/// <summary>The multiplications and additions of a product over its best time.</summary>
internal sealed class ArithmeticColumn : IColumn
{
    public string Id => nameof(ArithmeticColumn);

    public string ColumnName => "GFLOP/s";

    public string Legend => "Multiplications and additions of a product, over the best time";

    public bool AlwaysShow => false;

    public ColumnCategory Category => ColumnCategory.Custom;

    public int PriorityInCategory => 1;

    public bool IsNumeric => true;

    public UnitType UnitType => UnitType.Dimensionless;

    public string GetValue(Summary summary, BenchmarkCase benchmarkCase)
    {
        if (!Attribute.IsDefined(benchmarkCase.Descriptor.WorkloadMethod, typeof(ComputesProductAttribute))
            || summary[benchmarkCase]?.ResultStatistics is not { } statistics)
        {
            return "-";
        }

        double length = Convert.ToDouble(benchmarkCase.Parameters["Length"], CultureInfo.InvariantCulture);
        return (2 * Math.Pow(length, 3) / statistics.Min).ToString("F1", CultureInfo.InvariantCulture);
    }

    public string GetValue(Summary summary, BenchmarkCase benchmarkCase, SummaryStyle style) =>
        GetValue(summary, benchmarkCase);

    public bool IsDefault(Summary summary, BenchmarkCase benchmarkCase) => false;

    public bool IsAvailable(Summary summary) => summary.BenchmarksCases.Any(
        c => Attribute.IsDefined(c.Descriptor.WorkloadMethod, typeof(ComputesProductAttribute)));
}
