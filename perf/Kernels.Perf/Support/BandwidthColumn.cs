using System.Globalization;
using BenchmarkDotNet.Columns;
using BenchmarkDotNet.Reports;
using BenchmarkDotNet.Running;

namespace Kernels.Perf.Support;

/// <summary>Bytes that one operation must move at least.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class MovesAttribute(double bytesPerParameter) : Attribute
{
    public double BytesPerParameter { get; } = bytesPerParameter;
}

/// <summary>The bytes a step must move over its best time. Needs a parameter or property <c>Length</c>.</summary>
internal sealed class BandwidthColumn : IColumn
{
    public string Id => nameof(BandwidthColumn);

    public string ColumnName => "GB/s";

    public string Legend => "Bytes the step must move at least, over the best time";

    public bool AlwaysShow => true;

    public ColumnCategory Category => ColumnCategory.Custom;

    public int PriorityInCategory => 0;

    public bool IsNumeric => true;

    public UnitType UnitType => UnitType.Dimensionless;

    public string GetValue(Summary summary, BenchmarkCase benchmarkCase)
    {
        var moves = (MovesAttribute?)Attribute.GetCustomAttribute(
            benchmarkCase.Descriptor.WorkloadMethod, typeof(MovesAttribute));
        if (moves is null || summary[benchmarkCase]?.ResultStatistics is not { } statistics)
        {
            return "-";
        }

        double length = Convert.ToDouble(benchmarkCase.Parameters["Length"], CultureInfo.InvariantCulture);
        return (moves.BytesPerParameter * length / statistics.Min).ToString("F1", CultureInfo.InvariantCulture);
    }

    public string GetValue(Summary summary, BenchmarkCase benchmarkCase, SummaryStyle style) =>
        GetValue(summary, benchmarkCase);

    public bool IsDefault(Summary summary, BenchmarkCase benchmarkCase) => false;

    public bool IsAvailable(Summary summary) => true;
}
