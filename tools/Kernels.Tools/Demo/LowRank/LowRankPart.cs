using Spectre.Console;

namespace Kernels.Tools.Demo.LowRank;

/// <summary>The demo's third part: optimizers that keep a few columns of each gradient.</summary>
internal static class LowRankPart
{
    internal static void Run(Session session, int epochs, string folder, IAnsiConsole console, TextWriter output)
    {
        output.WriteLine(
            $"Low-rank gradients: the digits in a network of two hidden layers of {LowRankRace.Width}, {epochs} epochs, on "
            + $"{session.Device}");
        var race = new LowRankRace(session, epochs);
        List<LowRankResult> results = Trainings.Run(
            LowRankRace.Contestants, c => c.Name,
            (c, report) => race.Run(c, (epoch, loss) => report(epoch, $"loss {loss:0.00000}")),
            r => $"loss {r.Race.Losses[^1]:0.00000}, {r.Race.Accuracy:P1} right", epochs, console, output);
        WriteTable(results, console);

        string picture = Path.GetFullPath(Path.Combine(folder, "dct.png"));
        LowRankPicture.Save(session, results, picture);
        output.WriteLine($"Loss curves and captured energy: {picture}");
    }

    private static void WriteTable(IReadOnlyList<LowRankResult> results, IAnsiConsole console)
    {
        var table = new Table().Border(TableBorder.Rounded);
        table.AddColumn("optimizer");
        foreach (string title in (string[])
            ["test accuracy", "final loss", "state, bytes", "captured energy", "SVD's", "microseconds per step"])
        {
            table.AddColumn(new TableColumn(title).RightAligned());
        }

        foreach (LowRankResult result in results)
        {
            table.AddRow(
                Markup.Escape(result.Race.Contestant.Name),
                $"{result.Race.Accuracy:P1}",
                $"{result.Race.Losses[^1]:0.00000}",
                $"{result.StateBytes:N0}",
                result.Chosen is { } chosen ? $"{chosen:P1}" : "",
                result.Best is { } best ? $"{best:P1}" : "",
                $"{result.Race.StepMicroseconds:0.0}");
        }

        console.Write(table);
    }
}
