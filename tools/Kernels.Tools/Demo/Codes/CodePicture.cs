using Kernels.Quantization;
using ScottPlot;
using ScottPlot.Plottables;
using ScottPlot.Statistics;

namespace Kernels.Tools.Demo.Codes;

/// <summary>The picture with what is left of the accuracy, and where codes lie among the weights.</summary>
internal static class CodePicture
{
    private const int Width = 1600;
    private const int Height = 700;
    private const int Bins = 120;

    internal static void Save(
        IReadOnlyList<CodeResult> results, double full, CodeLayer layer, CodedLayer coded, string device, string path)
    {
        var both = new Multiplot();
        both.AddPlots(2);
        both.Layout = new ScottPlot.MultiplotLayouts.Columns();
        Plot[] plots = both.GetPlots();
        DrawAccuracy(plots[0], results, full, device);
        DrawCodes(plots[1], layer, coded);
        both.SavePng(path, Width, Height);
        Array.ForEach(plots, plot => plot.Dispose());
    }

    private static void DrawAccuracy(Plot plot, IReadOnlyList<CodeResult> results, double full, string device)
    {
        var palette = new ScottPlot.Palettes.Category10();
        int color = 0;
        foreach (IGrouping<CodeMethod, CodeResult> method in results.GroupBy(result => result.Method))
        {
            Scatter line = plot.Add.Scatter(
                method.Select(result => result.BitsPerWeight).ToArray(),
                method.Select(result => 100 * result.Accuracy).ToArray(), palette.GetColor(color++));
            line.LineWidth = 2.5f;
            line.MarkerSize = 8;
            line.LegendText = method.Key.Name;
        }

        HorizontalLine trained = plot.Add.HorizontalLine(100 * full, 1.5f, Colors.Black, LinePattern.Dashed);
        trained.LegendText = "as trained";
        plot.Title($"Digits, 64-{CodePart.Width}-{CodePart.Width}-10 network, on {device}", size: 18);
        plot.XLabel("bits a weight, codebooks and scales among them", size: 16);
        plot.YLabel("test digits recognised, %", size: 16);
        Finish(plot, Alignment.LowerRight);
    }

    private static void DrawCodes(Plot plot, CodeLayer layer, CodedLayer coded)
    {
        Histogram histogram = Histogram.WithBinCount(Bins, Array.ConvertAll(layer.Weights, weight => (double)weight));
        BarPlot bars = plot.Add.Bars(histogram.Bins, histogram.Counts);
        foreach (Bar bar in bars.Bars)
        {
            bar.Size = histogram.FirstBinSize;
            bar.LineWidth = 0;
            bar.FillColor = Colors.Gray.WithOpacity(0.4);
        }

        CodebookLayout layout = coded.Layout;
        var palette = new ScottPlot.Palettes.Category10();
        double top = histogram.Counts.Max();
        for (int group = 0; group < layout.CodebookCount; group++)
        {
            double height = top * (0.15 + (0.8 * (group + 1) / layout.CodebookCount));
            Scatter codes = plot.Add.ScatterPoints(
                coded.Codebook.AsSpan(group * layout.Codes, layout.Codes).ToArray().Select(code => (double)code).ToArray(),
                Enumerable.Repeat(height, layout.Codes).ToArray(), palette.GetColor(group % palette.Colors.Length));
            codes.MarkerSize = 11;
            codes.LegendText = $"group {group + 1}";
        }

        plot.Title($"Weights of the {layer.Rows} x {layer.Columns} layer, and {layout.Codes} learned codes of each group", size: 18);
        plot.XLabel("weight", size: 16);
        plot.YLabel("number of weights", size: 16);
        Finish(plot, Alignment.UpperRight);
    }

    private static void Finish(Plot plot, Alignment legend)
    {
        plot.Axes.Left.TickLabelStyle.FontSize = 14;
        plot.Axes.Bottom.TickLabelStyle.FontSize = 14;
        plot.Legend.FontSize = 14;
        plot.ShowLegend(legend);
    }
}
