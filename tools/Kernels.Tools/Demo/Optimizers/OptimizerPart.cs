using Spectre.Console;

namespace Kernels.Tools.Demo.Optimizers;

/// <summary>The demo's first part: every optimizer on handwritten digits.</summary>
internal static class OptimizerPart
{
    /// <summary>Units of the hidden layer.</summary>
    internal const int Hidden = 128;

    internal static void Run(Session session, int epochs, string folder, IAnsiConsole console, TextWriter output)
    {
        output.WriteLine($"Handwritten digits (Alpaydin and Kaynak 1998, CC BY 4.0), {epochs} epochs, on {session.Device}");
        var race = new Race(session, epochs, Hidden);
        List<RaceResult> results = Trainings.Run(
            Contestant.All, c => c.Name, (c, report) => race.Run(c, (epoch, loss) => report(epoch, $"loss {loss:0.00000}")),
            r => $"loss {r.Losses[^1]:0.00000}, {r.Accuracy:P1} right", epochs, console, output);
        WriteTable(results, console);

        string picture = Path.GetFullPath(Path.Combine(folder, "optimizers.png"));
        LossPicture.Save(results, session.Device, picture);
        output.WriteLine($"Loss curves: {picture}");
    }

    private static void WriteTable(IReadOnlyList<RaceResult> results, IAnsiConsole console)
    {
        var table = new Table().Border(TableBorder.Rounded);
        table.AddColumn("optimizer");
        foreach (string title in (string[])
            ["test accuracy", "final loss", "bytes per parameter and step", "microseconds per step"])
        {
            table.AddColumn(new TableColumn(title).RightAligned());
        }

        foreach (RaceResult result in results)
        {
            table.AddRow(
                Markup.Escape(result.Contestant.Name),
                $"{result.Accuracy:P1}",
                $"{result.Losses[^1]:0.00000}",
                $"{result.Contestant.BytesPerParameter:0.##}",
                $"{result.StepMicroseconds:0.0}");
        }

        console.Write(table);
    }
}
