using ScottPlot;
using ScottPlot.Plottables;
using ScottPlot.TickGenerators;

namespace Kernels.Tools.Demo.Optimizers;

/// <summary>The picture with a loss curve for every optimizer.</summary>
internal static class LossPicture
{
    private const int Width = 1200;
    private const int Height = 760;

    private static readonly LinePattern[] s_patterns = [LinePattern.Solid, LinePattern.Dashed, LinePattern.Dotted];

    internal static void Save(IReadOnlyList<RaceResult> results, string device, string path)
    {
        using var plot = new Plot();
        Draw(plot, results);
        plot.Title($"Handwritten digits, 64-{OptimizerPart.Hidden}-10 network, on {device}", size: 20);
        plot.ShowLegend(Edge.Right);
        plot.SavePng(path, Width, Height);
    }

    /// <summary>The curves and their axes, without title and place of the legend.</summary>
    internal static void Draw(Plot plot, IReadOnlyList<RaceResult> results)
    {
        var palette = new ScottPlot.Palettes.Category10();
        for (int i = 0; i < results.Count; i++)
        {
            RaceResult result = results[i];
            double[] epochs = [.. Enumerable.Range(1, result.Losses.Count).Select(e => (double)e)];
            // A loss that is no number leaves a gap.
            double[] losses = [.. result.Losses.Select(loss => loss > 0 ? Math.Log10(loss) : double.NaN)];
            Scatter line = plot.Add.ScatterLine(epochs, losses, palette.GetColor(i % palette.Colors.Length));
            line.LineWidth = 2.5f;
            line.LinePattern = s_patterns[i / palette.Colors.Length % s_patterns.Length];
            line.LegendText = $"{result.Contestant.Name}: {result.Accuracy:P1} of the test";
        }

        plot.XLabel("epoch", size: 16);
        plot.YLabel("training loss, mean of the epoch (logarithmic)", size: 16);
        plot.Axes.Left.TickGenerator = new NumericAutomatic
        {
            MinorTickGenerator = new LogMinorTickGenerator(),
            IntegerTicksOnly = true,
            LabelFormatter = power => Math.Pow(10, power).ToString("0.######"),
        };
        plot.Axes.Bottom.TickGenerator = new NumericAutomatic { IntegerTicksOnly = true };
        plot.Axes.SetLimitsX(0, Math.Max(1, results.Max(r => r.Losses.Count)));
        plot.Axes.Left.TickLabelStyle.FontSize = 14;
        plot.Axes.Bottom.TickLabelStyle.FontSize = 14;
        plot.Grid.MinorLineColor = Colors.Black.WithOpacity(0.06);
        plot.Grid.MinorLineWidth = 1;
        plot.Legend.FontSize = 14;
    }
}
