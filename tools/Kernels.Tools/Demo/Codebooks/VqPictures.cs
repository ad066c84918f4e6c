using ScottPlot;
using ScottPlot.Plottables;
using SkiaSharp;

namespace Kernels.Tools.Demo.Codebooks;

/// <summary>What the methods made of the photograph, and how many codes they used on the way.</summary>
internal static class VqPictures
{
    private const int Width = 1200;
    private const int Height = 640;
    private const int Caption = 64;
    private const int Gap = 16;
    private const float TextSize = 26;

    /// <summary>The photograph and all reconstructions side by side.</summary>
    internal static void SaveReconstructions(Photograph photograph, IReadOnlyList<VqResult> results, string path)
    {
        (string Text, float[] Patches)[] all =
        [
            ("original", photograph.Patches),
            .. results.Select(r => (
                $"{r.Method.Name}: {r.Final.Usage:P1}, {r.Final.Psnr:0.0} dB", r.Reconstruction)),
        ];
        using SKFont font = new(Fonts.GetTypeface(Fonts.Default, FontWeight.Normal, FontSlant.Upright, FontSpacing.Normal), TextSize);
        using SKPaint paint = new() { Color = SKColors.Black, IsAntialias = true };
        SKSurface? surface = null;
        try
        {
            int left = Gap;
            foreach ((string text, float[] patches) in all)
            {
                using SKBitmap bitmap = photograph.Draw(patches);
                if (surface is null)
                {
                    surface = SKSurface.Create(new SKImageInfo(
                        Gap + (all.Length * (bitmap.Width + Gap)), Caption + bitmap.Height + Gap));
                    surface.Canvas.Clear(SKColors.White);
                }

                surface.Canvas.DrawText(text, left, Caption - TextSize, font, paint);
                surface.Canvas.DrawBitmap(bitmap, left, Caption);
                left += bitmap.Width + Gap;
            }

            using SKImage image = surface!.Snapshot();
            using SKData data = image.Encode(SKEncodedImageFormat.Png, 100);
            File.WriteAllBytes(path, data.ToArray());
        }
        finally
        {
            surface?.Dispose();
        }
    }

    /// <summary>The share of the codes in use over the steps.</summary>
    internal static void SaveUsage(VqSetting setting, IReadOnlyList<VqResult> results, string device, string path)
    {
        using var plot = new Plot();
        var palette = new ScottPlot.Palettes.Category10();
        for (int i = 0; i < results.Count; i++)
        {
            VqResult result = results[i];
            Scatter line = plot.Add.ScatterLine(
                result.Scores.Select(s => (double)s.Step).ToArray(), result.Scores.Select(s => 100 * s.Usage).ToArray(),
                palette.GetColor(i));
            line.LineWidth = 2.5f;
            line.LegendText = $"{result.Method.Name}: {result.Final.Usage:P1}, {result.Final.Psnr:0.0} dB";
        }

        plot.Title($"{setting.Codes} codes for the patches of a photograph, on {device}", size: 20);
        plot.XLabel("step", size: 16);
        plot.YLabel("codes in use, %", size: 16);
        plot.Axes.SetLimits(0, setting.Steps, 0, 104);
        plot.Axes.Left.TickLabelStyle.FontSize = 14;
        plot.Axes.Bottom.TickLabelStyle.FontSize = 14;
        plot.Legend.FontSize = 14;
        plot.ShowLegend(Edge.Right);
        plot.SavePng(path, Width, Height);
    }
}
