using System.Globalization;

namespace Kernels.Perf.Support;

/// <summary>What came of two benchmarks by turns.</summary>
/// <param name="Parameter">The value of the class's parameter.</param>
/// <param name="First">The median of the first, in milliseconds.</param>
/// <param name="Second">The median of the second, in milliseconds.</param>
/// <param name="Low">The lower quartile of the rounds' ratios, second over first.</param>
/// <param name="Ratio">Their median.</param>
/// <param name="High">Their upper quartile.</param>
internal sealed record PairResult(string Parameter, double First, double Second, double Low, double Ratio, double High)
{
    /// <summary>The columns of a table: both times, the ratio and its quartiles.</summary>
    internal string Times => string.Create(
        CultureInfo.InvariantCulture, $"{First:0.000} | {Second:0.000} | {Ratio:0.000} | {Low:0.000} to {High:0.000}");
}
