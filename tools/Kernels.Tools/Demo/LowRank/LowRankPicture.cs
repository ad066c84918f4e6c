using Kernels.Dct;
using Kernels.Tools.Demo.Optimizers;
using ScottPlot;
using ScottPlot.Plottables;
using ScottPlot.TickGenerators;

namespace Kernels.Tools.Demo.LowRank;

/// <summary>The picture with the loss curves, and what more columns would capture.</summary>
internal static class LowRankPicture
{
    private const int Width = 1600;
    private const int Height = 700;

    private static readonly int[] s_ranks =
        [1, 2, 4, 8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, LowRankRace.Width];

    internal static void Save(Session session, IReadOnlyList<LowRankResult> results, string path)
    {
        var both = new Multiplot();
        both.AddPlots(2);
        both.Layout = new ScottPlot.MultiplotLayouts.Columns();
        Plot[] plots = both.GetPlots();
        LossPicture.Draw(plots[0], [.. results.Select(r => r.Race)]);
        plots[0].Title($"Digits, 64-{LowRankRace.Width}-{LowRankRace.Width}-10 network, on {session.Device}", size: 18);
        plots[0].ShowLegend(Alignment.LowerLeft);
        DrawEnergy(plots[1], session, results[0].Gradient);
        both.SavePng(path, Width, Height);
        Array.ForEach(plots, p => p.Dispose());
    }

    private static void DrawEnergy(Plot plot, Session session, LayerGradient gradient)
    {
        double[] ranks = [.. s_ranks.Select(r => Math.Log2(r))];
        double[] best = BestEnergy.Of(gradient, LowRankRace.Width);
        double[] chosen = [.. s_ranks.Select(r =>
        {
            using var energy = new ChosenEnergy(session, LowRankRace.Width, r, new ColumnSelectorOptions());
            return energy.Of(gradient);
        })];
        (string Name, double[] Values)[] curves =
        [
            ("SVD: the best subspace", [.. s_ranks.Select(r => best[r - 1])]),
            ("DCT: the chosen columns", chosen),
        ];
        var palette = new ScottPlot.Palettes.Category10();
        for (int i = 0; i < curves.Length; i++)
        {
            Scatter line = plot.Add.Scatter(ranks, [.. curves[i].Values.Select(v => 100 * v)], palette.GetColor(i));
            line.LineWidth = 2.5f;
            line.MarkerSize = 7;
            line.LegendText = curves[i].Name;
        }

        plot.Title(
            $"One gradient of the {LowRankRace.Width} x {LowRankRace.Width} layer, over {gradient.Rows} digits", size: 18);
        plot.XLabel("rank r (logarithmic)", size: 16);
        plot.YLabel("captured energy, % of |G|²", size: 16);
        plot.Axes.Bottom.TickGenerator = new NumericManual(
            [.. Enumerable.Range(0, 10).Select(p => (double)p)], [.. Enumerable.Range(0, 10).Select(p => $"{1 << p}")]);
        plot.Axes.SetLimits(-0.2, 9.2, 0, 104);
        plot.Axes.Left.TickLabelStyle.FontSize = 14;
        plot.Axes.Bottom.TickLabelStyle.FontSize = 14;
        plot.Legend.FontSize = 14;
        plot.ShowLegend(Alignment.LowerRight);
    }
}
