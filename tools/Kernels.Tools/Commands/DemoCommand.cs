using System.CommandLine;
using System.Diagnostics;
using Kernels.Tools.Demo;
using Spectre.Console;

namespace Kernels.Tools.Commands;

/// <summary><c>kernels demo</c>: handwritten digits, one network, every optimizer.</summary>
internal static class DemoCommand
{
    internal const int DefaultEpochs = 60;
    private const int MostEpochs = 10_000;

    internal static Command Create(TextWriter output)
    {
        Option<string?> device = CommandLine.DeviceOption();
        var @out = new Option<string>("--out")
        {
            Description = "Folder for the picture with the loss curves, optimizers.png; made if it is not there.",
            DefaultValueFactory = _ => "demo-out",
            HelpName = "folder",
        };
        var epochs = new Option<int>("--epochs")
        {
            Description = "How often every optimizer sees the training digits.",
            DefaultValueFactory = _ => DefaultEpochs,
            HelpName = "number",
        };
        var command = new Command(
            "demo",
            "Trains a small network on handwritten digits with every optimizer from the same start, and compares them in "
            + "a table and a picture.")
        {
            device,
            @out,
            epochs,
        };
        command.SetAction(parsed => Run(
            parsed.GetValue(device), parsed.GetRequiredValue(@out), parsed.GetValue(epochs), output));
        return command;
    }

    private static int Run(string? device, string folder, int epochs, TextWriter output)
    {
        if (epochs is < 1 or > MostEpochs)
        {
            throw new BadInputException($"--epochs must be from 1 to {MostEpochs}, and is {epochs}.");
        }

        using Session session = CommandLine.OpenSession(device);
        CreateFolder(folder);
        IAnsiConsole console = Messages.Terminal(output);
        output.WriteLine($"Handwritten digits (Alpaydin and Kaynak 1998, CC BY 4.0), {epochs} epochs, on {session.Device}");
        long start = Stopwatch.GetTimestamp();
        var race = new Race(session, epochs);
        IReadOnlyList<RaceResult> results = console.Profile.Out.IsTerminal
            ? RunLive(race, epochs, console)
            : RunPlain(race, output);
        WriteTable(results, console);

        string picture = Path.GetFullPath(Path.Combine(folder, "optimizers.png"));
        LossPicture.Save(results, session.Device, picture);
        output.WriteLine($"Loss curves: {picture}");
        output.WriteLine($"{Stopwatch.GetElapsedTime(start).TotalSeconds:0.0} s in all");
        return CommandLine.Success;
    }

    private static void CreateFolder(string folder)
    {
        try
        {
            Directory.CreateDirectory(folder);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            throw new BadInputException($"The folder '{folder}' cannot be made: {e.Message}", e);
        }
    }

    private static List<RaceResult> RunLive(Race race, int epochs, IAnsiConsole console)
    {
        var results = new List<RaceResult>();
        console.Progress()
            .Columns(
                new TaskDescriptionColumn { Alignment = Justify.Left },
                new ProgressBarColumn(),
                new PercentageColumn())
            .Start(progress =>
            {
                (Contestant Contestant, ProgressTask Task)[] tasks =
                [
                    .. Contestant.All.Select(c => (
                        c, progress.AddTask(Describe(c.Name, ""), autoStart: false, maxValue: epochs))),
                ];
                foreach ((Contestant contestant, ProgressTask task) in tasks)
                {
                    task.StartTask();
                    RaceResult result = race.Run(contestant, (epoch, loss) =>
                    {
                        task.Value = epoch;
                        task.Description = Describe(contestant.Name, $"loss {loss:0.00000}");
                    });
                    task.Description = Describe(
                        contestant.Name, $"loss {result.Losses[^1]:0.00000}, {result.Accuracy:P1} right");
                    task.StopTask();
                    results.Add(result);
                }
            });
        return results;
    }

    private static List<RaceResult> RunPlain(Race race, TextWriter output)
    {
        var results = new List<RaceResult>();
        foreach (Contestant contestant in Contestant.All)
        {
            long start = Stopwatch.GetTimestamp();
            RaceResult result = race.Run(contestant, (_, _) => { });
            output.WriteLine(
                $"{contestant.Name,-16} loss {result.Losses[^1]:0.00000}, {result.Accuracy:P1} right, "
                + $"{Stopwatch.GetElapsedTime(start).TotalSeconds:0.0} s");
            output.Flush();
            results.Add(result);
        }

        return results;
    }

    private static string Describe(string name, string state) => Markup.Escape($"{name,-16} {state,-28}");

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
