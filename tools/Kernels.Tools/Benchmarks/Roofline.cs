using ScottPlot;
using ScottPlot.Plottables;
using ScottPlot.TickGenerators;

namespace Kernels.Tools.Benchmarks;

/// <summary>The roofline (Williams, Waterman, Patterson 2009): operations in a second over operations for each byte.</summary>
internal static class Roofline
{
    private const int Width = 1400;
    private const int Height = 900;

    /// <summary>Writes the picture.</summary>
    /// <param name="path">A file that ends with <c>.png</c>.</param>
    /// <param name="device">What it was measured on.</param>
    /// <param name="results">The calls; those without operations are left out.</param>
    internal static void Save(string path, string device, IReadOnlyList<BenchResult> results)
    {
        BenchResult[] points = [.. results.Where(result => result.Cost.Operations > 0)];
        using var plot = new Plot();
        if (points.Length > 0)
        {
            Roof(plot, points);
            var palette = new ScottPlot.Palettes.Category10();
            string[] families = [.. points.Select(Family).Distinct(StringComparer.Ordinal)];
            foreach (string family in families)
            {
                Color color = palette.GetColor(Array.IndexOf(families, family));
                BenchResult[] own = [.. points.Where(point => string.Equals(Family(point), family, StringComparison.Ordinal))];
                Scatter scatter = plot.Add.ScatterPoints(
                    Array.ConvertAll(own, point => Math.Log10(Intensity(point))), Array.ConvertAll(own, point => Math.Log10(Speed(point))));
                scatter.Color = color;
                scatter.MarkerSize = 9;
                scatter.LegendText = family;
                foreach (BenchResult point in own)
                {
                    Text label = plot.Add.Text(
                        point.Name[(family.Length + 1)..], Math.Log10(Intensity(point)), Math.Log10(Speed(point)));
                    label.LabelFontColor = color;
                    label.LabelFontSize = 11;
                    label.OffsetX = 7;
                    label.OffsetY = -7;
                }
            }
        }

        foreach (IAxis axis in new IAxis[] { plot.Axes.Bottom, plot.Axes.Left })
        {
            axis.TickGenerator = new NumericAutomatic
            {
                MinorTickGenerator = new LogMinorTickGenerator(),
                IntegerTicksOnly = true,
                LabelFormatter = exponent => Math.Pow(10, exponent).ToString("0.####", System.Globalization.CultureInfo.InvariantCulture),
            };
        }

        plot.Title($"Roofline of {device}");
        plot.XLabel("operations for each byte that must be moved");
        plot.YLabel("GFLOP/s");
        plot.ShowLegend(Alignment.LowerRight);
        plot.SavePng(path, Width, Height);
    }

    private static string Family(BenchResult result) => result.Name.Split('/')[0];

    private static double Intensity(BenchResult result) => result.Cost.Operations / result.Cost.Bytes;

    private static double Speed(BenchResult result) => result.Cost.Operations / result.Time.Median / 1e9;

    /// <summary>What memory and arithmetic allow: the fastest walk, and the product.</summary>
    private static void Roof(Plot plot, BenchResult[] points)
    {
        double bandwidth = points.Max(point => point.Cost.Bytes / point.Stream.Median) / 1e9;
        double peak = points[0].Peak / 1e9;
        double ridge = peak / bandwidth;
        double left = Math.Min(points.Min(Intensity), ridge) / 2;
        double right = Math.Max(points.Max(Intensity), ridge) * 2;
        Scatter roof = plot.Add.ScatterLine(
            new[] { Math.Log10(left), Math.Log10(ridge), Math.Log10(right) },
            new[] { Math.Log10(left * bandwidth), Math.Log10(peak), Math.Log10(peak) });
        roof.Color = Colors.Black;
        roof.LineWidth = 2;
        roof.LegendText = string.Create(
            System.Globalization.CultureInfo.InvariantCulture, $"{bandwidth:0.#} GB/s of memory, {peak:0.#} GFLOP/s of a product");
    }
}
