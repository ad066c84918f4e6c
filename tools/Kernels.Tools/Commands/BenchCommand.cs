using System.CommandLine;
using Kernels.Tools.Benchmarks;
using Kernels.Tools.Operations;
using Spectre.Console;

namespace Kernels.Tools.Commands;

/// <summary><c>kernels bench</c>: how fast operations are, beside what the device can do.</summary>
internal static class BenchCommand
{
    internal static Command Create(TextWriter output, Func<string?, Session> open)
    {
        var names = new Argument<string[]>("operation")
        {
            Description = "Operations or families, such as vq/nearest or vq; all without it.",
            Arity = ArgumentArity.ZeroOrMore,
        };
        var size = new Option<string[]>("--size")
        {
            Description =
                "Lengths and options in the place of the built-in ones, such as n=4096 k=65536; +grad gives an input that "
                + "may be left out. Operations without such a length or option ignore it.",
            HelpName = "name=value",
            AllowMultipleArgumentsPerToken = true,
        };
        var allShapes = new Option<bool>("--all-shapes")
        {
            Description = "All built-in shapes of real layers, not the first of each operation.",
        };
        var rounds = new Option<int>("--rounds")
        {
            Description = "How often each call is timed, where that takes no longer than a few seconds.",
            HelpName = "n",
            DefaultValueFactory = _ => 15,
        };
        Option<string?> device = CommandLine.DeviceOption();
        var json = new Option<string?>("--json") { Description = "Where the results go as JSON.", HelpName = "file" };
        var compare = new Option<string?>("--compare")
        {
            Description = "Results of --json before: SLOWER and faster stand where the quartiles do not overlap.",
            HelpName = "file",
        };
        var plot = new Option<string?>("--plot")
        {
            Description = "Where a picture of the roofline goes.",
            HelpName = "roofline.png",
        };
        var command = new Command("bench", "Measures operations, each by turns with a walk of the same reads and writes.")
        {
            names,
            size,
            allShapes,
            rounds,
            device,
            json,
            compare,
            plot,
        };
        command.SetAction(parsed =>
        {
            BenchCase[] cases = Cases(
                parsed.GetValue(names) ?? [], parsed.GetValue(size) ?? [], parsed.GetValue(allShapes));
            if (parsed.GetValue(rounds) is < 1 or > 10_000)
            {
                throw new BadInputException("--rounds must be from 1 to 10000.");
            }

            BenchFile.Content? before = parsed.GetValue(compare) is { } path ? BenchFile.Read(path) : null;
            using Session session = open(parsed.GetValue(device));
            IReadOnlyList<BenchResult> results = Measure(session, cases, parsed.GetValue(rounds), before, output);
            Keep(parsed.GetValue(json), file => File.WriteAllText(file, BenchFile.Write(session.Device, results) + "\n"));
            Keep(parsed.GetValue(plot), file => Roofline.Save(file, session.Device, results));
            return CommandLine.Success;
        });
        return command;
    }

    private static BenchCase[] Cases(string[] names, string[] sizes, bool allShapes)
    {
        foreach (string name in names)
        {
            if (!OperationCatalog.All.Any(operation => Fits(operation, name)))
            {
                throw new BadInputException($"There is no operation or family '{name}'; 'kernels list' shows all.");
            }
        }

        BenchCase[] cases =
        [
            .. OperationCatalog.All
                .Where(operation => names.Length == 0 || Array.Exists(names, name => Fits(operation, name)))
                .SelectMany(operation => Bench.Shapes[operation.Name].Take(allShapes ? int.MaxValue : 1))
                .Select(BenchCase.Parse),
        ];
        foreach (string size in sizes)
        {
            if (!Array.Exists(cases, each => Takes(each, size)))
            {
                throw new BadInputException($"No operation here has a length, option or input for --size {size}.");
            }
        }

        return Array.ConvertAll(cases, each => each.With(sizes.Where(size => Takes(each, size))));
    }

    private static bool Takes(BenchCase given, string size) => size.StartsWith('+')
        ? given.Operation.Inputs.Any(input => input.IsOptional && string.Equals(input.Name, size[1..], StringComparison.Ordinal))
        : given.Has(size.Split('=')[0]);

    private static bool Fits(Operation operation, string name) =>
        string.Equals(operation.Name, name, StringComparison.Ordinal)
        || operation.Name.StartsWith(name.TrimEnd('/') + "/", StringComparison.Ordinal);

    private static IReadOnlyList<BenchResult> Measure(
        Session session, BenchCase[] cases, int rounds, BenchFile.Content? before, TextWriter output)
    {
        IAnsiConsole console = Messages.Terminal(output);
        output.WriteLine($"{session.Device}, {Environment.ProcessorCount} processors");
        double peak = Bench.Peak(session);
        var meter = new Meter(session, peak, rounds);
        if (console.Profile.Out.IsTerminal)
        {
            console.Progress().HideCompleted(true).Start(progress =>
            {
                ProgressTask bar = progress.AddTask("measuring", maxValue: cases.Length);
                foreach (BenchCase given in cases)
                {
                    bar.Description = Markup.Escape(given.Operation.Name);
                    Bench.Measure(session, given, meter);
                    bar.Increment(1);
                }
            });
        }
        else
        {
            Array.ForEach(cases, given => Bench.Measure(session, given, meter));
        }

        BenchText.Write(console, meter.Results, before);
        output.WriteLine();
        output.WriteLine("ms: the median of one call; +-: half the distance of its quartiles.");
        output.WriteLine("floor: the least time as a share of that, of the bytes (M: a walk with the same");
        output.WriteLine(FormattableString.Invariant(
            $"reads and writes, by turns) or the arithmetic (A: a product, {peak / 1e9:0.0} GFLOP/s)."));
        return meter.Results;
    }

    private static void Keep(string? path, Action<string> write)
    {
        if (path is null)
        {
            return;
        }

        try
        {
            write(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            throw new BadInputException($"'{path}' cannot be written: {e.Message}", e);
        }
    }
}
