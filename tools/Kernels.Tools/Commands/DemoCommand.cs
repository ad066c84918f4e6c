using System.CommandLine;
using System.Diagnostics;
using Kernels.Tools.Demo.Codebooks;
using Kernels.Tools.Demo.Codes;
using Kernels.Tools.Demo.LowRank;
using Kernels.Tools.Demo.Optimizers;
using Spectre.Console;

namespace Kernels.Tools.Commands;

/// <summary><c>kernels demo</c>: optimizers on handwritten digits, codebooks for a photograph, low-rank gradients, weights as codes.</summary>
internal static class DemoCommand
{
    internal const int DefaultEpochs = 60;
    private const int MostEpochs = 10_000;
    private const int MostSteps = 1_000_000;
    private const string OptimizerPartName = "optimizers";
    private const string CodebookPartName = "vq";
    private const string LowRankPartName = "dct";
    private const string CodePartName = "codes";

    internal static Command Create(TextWriter output)
    {
        Option<string?> device = CommandLine.DeviceOption();
        var @out = new Option<string>("--out")
        {
            Description = "Folder for the pictures, optimizers.png, vq-*.png, dct.png and codebooks.png; made if it is not there.",
            DefaultValueFactory = _ => "demo-out",
            HelpName = "folder",
        };
        var part = new Option<string?>("--part")
        {
            Description = $"{OptimizerPartName}, {CodebookPartName}, {LowRankPartName} or {CodePartName}; all without it.",
            HelpName = "part",
        };
        part.AcceptOnlyFromAmong(OptimizerPartName, CodebookPartName, LowRankPartName, CodePartName);
        var epochs = new Option<int?>("--epochs")
        {
            Description = $"How often every optimizer sees the training digits; {DefaultEpochs} by default, and "
                + $"{LowRankRace.DefaultEpochs} with low-rank gradients, {CodePart.DefaultEpochs} before weights become codes.",
            HelpName = "number",
        };
        var large = new Option<bool>("--large")
        {
            Description = $"Codebooks of {string.Join(" and ", VqSetting.Large.Select(s => s.Codes))} codes instead of "
                + $"{VqSetting.Small.Codes}: for a real device.",
        };
        var steps = new Option<int?>("--steps")
        {
            Description = "Steps of every codebook's training; each size of a codebook has its own by default.",
            HelpName = "number",
        };
        var command = new Command(
            "demo",
            "Trains a small network on handwritten digits with every optimizer, and a codebook for a photograph with every "
            + "method, and a wider network with low-rank gradients, each from the same start, and makes codes of a network's "
            + "weights; compares them in tables and pictures.")
        {
            device,
            @out,
            part,
            epochs,
            large,
            steps,
        };
        command.SetAction(parsed => Run(
            parsed.GetValue(device), parsed.GetRequiredValue(@out), parsed.GetValue(part), parsed.GetValue(epochs),
            parsed.GetValue(large) ? VqSetting.Large : [VqSetting.Small], parsed.GetValue(steps), output));
        return command;
    }

    private static int Run(
        string? device, string folder, string? part, int? epochs, IReadOnlyList<VqSetting> settings, int? steps,
        TextWriter output)
    {
        CheckRange("--epochs", epochs ?? 1, MostEpochs);
        CheckRange("--steps", steps ?? 1, MostSteps);
        using Session session = CommandLine.OpenSession(device);
        CreateFolder(folder);
        IAnsiConsole console = Messages.Terminal(output);
        long start = Stopwatch.GetTimestamp();
        if (part is null or OptimizerPartName)
        {
            OptimizerPart.Run(session, epochs ?? DefaultEpochs, folder, console, output);
        }

        if (part is null or CodebookPartName)
        {
            foreach (VqSetting setting in settings)
            {
                CodebookPart.Run(
                    session, setting with { Steps = steps ?? setting.Steps }, folder, console, output);
            }
        }

        if (part is null or LowRankPartName)
        {
            LowRankPart.Run(session, epochs ?? LowRankRace.DefaultEpochs, folder, console, output);
        }

        if (part is null or CodePartName)
        {
            CodePart.Run(session, epochs ?? CodePart.DefaultEpochs, folder, console, output);
        }

        output.WriteLine($"{Stopwatch.GetElapsedTime(start).TotalSeconds:0.0} s in all");
        return CommandLine.Success;
    }

    private static void CheckRange(string option, int value, int most)
    {
        if (value < 1 || value > most)
        {
            throw new BadInputException($"{option} must be from 1 to {most}, and is {value}.");
        }
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
}
