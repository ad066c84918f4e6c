using Spectre.Console;

namespace Kernels.Tools.Demo.Codebooks;

/// <summary>The demo's second part: four ways to train a codebook for a photograph.</summary>
internal static class CodebookPart
{
    internal static void Run(Session session, VqSetting setting, string folder, IAnsiConsole console, TextWriter output)
    {
        output.WriteLine(
            $"Codes for the patches of a photograph (Eileen Collins, NASA): {setting.Codes} codes, {setting.Steps} steps, "
            + $"on {session.Device}");
        using var training = new VqTraining(session, setting);
        List<VqResult> results = Trainings.Run(
            VqMethod.All, m => m.Name, (m, report) => training.Run(m, score => report(score.Step, Describe(score))),
            r => Describe(r.Final), setting.Steps, console, output);
        WriteTable(results, console);

        string pictures = Path.GetFullPath(Path.Combine(folder, $"vq-{setting.Codes}.png"));
        string curves = Path.GetFullPath(Path.Combine(folder, $"vq-{setting.Codes}-usage.png"));
        VqPictures.SaveReconstructions(training.Photograph, results, pictures);
        VqPictures.SaveUsage(setting, results, session.Device, curves);
        output.WriteLine($"Reconstructions: {pictures}");
        output.WriteLine($"Usage over time: {curves}");
    }

    private static string Describe(VqScore score) => $"{score.Usage:P1} used, {score.Psnr:0.0} dB";

    private static void WriteTable(IReadOnlyList<VqResult> results, IAnsiConsole console)
    {
        var table = new Table().Border(TableBorder.Rounded);
        table.AddColumn("method");
        foreach (string title in (string[])["codes used", "perplexity", "PSNR, dB", "seconds"])
        {
            table.AddColumn(new TableColumn(title).RightAligned());
        }

        foreach (VqResult result in results)
        {
            VqScore score = result.Final;
            table.AddRow(
                Markup.Escape(result.Method.Name),
                $"{score.Usage:P1}",
                $"{score.Perplexity:0.0}",
                $"{score.Psnr:0.00}",
                $"{result.Seconds:0.0}");
        }

        console.Write(table);
    }
}
