using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using Kernels.References.Fuzzing;
using Kernels.Tools.Cases;
using Kernels.Tools.Fuzzing;
using Kernels.Tools.Operations;
using Spectre.Console;

namespace Kernels.Tools.Commands;

/// <summary><c>kernels fuzz</c>: operations on random cases, judged by their oracles.</summary>
internal static class FuzzCommand
{
    internal static Command Create(TextWriter output, Func<string?, Session> open)
    {
        var names = new Argument<string[]>("operation")
        {
            Description = "Operations or families, such as optimizers/adam or optimizers; all without it.",
            Arity = ArgumentArity.ZeroOrMore,
        };
        var cases = new Option<int>("--cases")
        {
            Description = "Cases of each operation.",
            HelpName = "n",
            DefaultValueFactory = _ => 1000,
        };
        var minutes = new Option<double?>("--minutes")
        {
            Description = "The longest time for all operations together; each gets an equal share.",
            HelpName = "m",
        };
        var seed = new Option<int>("--seed")
        {
            Description = "The same seed gives the same cases.",
            HelpName = "s",
            DefaultValueFactory = _ => 1,
        };
        var folder = new Option<string>("--out")
        {
            Description = "The folder that cases which fail are written to.",
            HelpName = "folder",
            DefaultValueFactory = _ => "fuzz-out",
        };
        var against = new Option<string?>("--against")
        {
            Description =
                "A program to fuzz in the place of our kernels. It gets the paths of case.json and out.json as its last "
                + "two arguments and writes {\"outputs\": {\"p\": {\"shape\": [...], \"data\": [...]}}}.",
            HelpName = "command",
        };
        var replay = new Option<string?>("--replay")
        {
            Description = "Judges this one case of the one operation, and draws none.",
            HelpName = "case.json",
        };
        Option<string?> device = CommandLine.DeviceOption();
        var command = new Command("fuzz", "Runs operations on random cases, judges them by oracles, makes failures small.")
        {
            names,
            cases,
            minutes,
            seed,
            device,
            folder,
            against,
            replay,
        };
        command.SetAction(parsed =>
        {
            var settings = new FuzzSettings { Cases = parsed.GetValue(cases), Seed = parsed.GetValue(seed) };
            if (settings.Cases < 1 || parsed.GetValue(minutes) is <= 0 or double.NaN)
            {
                throw new BadInputException("--cases must be at least 1, and --minutes more than 0.");
            }

            FuzzTarget[] targets = Targets(parsed.GetValue(names) ?? []);
            if (parsed.GetValue(minutes) is { } time)
            {
                settings = settings with { Time = TimeSpan.FromMinutes(Math.Min(time, 1e6) / targets.Length) };
            }

            var implementation = new Implementation(
                parsed.GetValue(against), parsed.GetValue(device), open, parsed.GetRequiredValue(folder));
            return parsed.GetValue(replay) is { } path
                ? Replay(targets, path, implementation, output)
                : Fuzz(targets, settings, implementation, output);
        });
        return command;
    }

    private static FuzzTarget[] Targets(string[] names)
    {
        foreach (string name in names)
        {
            if (!FuzzTargets.All.Any(target => Fits(target, name)))
            {
                throw new BadInputException(
                    $"There is no operation or family '{name}' to fuzz. There is: "
                    + $"{string.Join(", ", FuzzTargets.All.Select(target => target.Name))}.");
            }
        }

        return [.. FuzzTargets.All.Where(target => names.Length == 0 || Array.Exists(names, name => Fits(target, name)))];
    }

    private static bool Fits(FuzzTarget target, string name) =>
        string.Equals(target.Name, name, StringComparison.Ordinal)
        || target.Name.StartsWith(name.TrimEnd('/') + "/", StringComparison.Ordinal);

    private static int Fuzz(FuzzTarget[] targets, FuzzSettings settings, Implementation implementation, TextWriter output)
    {
        IAnsiConsole console = Messages.Terminal(output);
        var reports = new List<FuzzReport>();
        using (implementation.Open())
        {
            if (console.Profile.Out.IsTerminal)
            {
                console.Progress().HideCompleted(true).Start(progress =>
                {
                    foreach (FuzzTarget target in targets)
                    {
                        ProgressTask bar = progress.AddTask(Markup.Escape(target.Name), maxValue: settings.Cases);
                        reports.Add(Fuzzer.Run(
                            target, implementation.Of(target), settings with { Progress = (done, _) => bar.Value = done }));
                        bar.StopTask();
                    }
                });
            }
            else
            {
                reports.AddRange(targets.Select(target => Fuzzer.Run(target, implementation.Of(target), settings)));
            }
        }

        Report(console, reports);
        foreach (FuzzReport report in reports)
        {
            if (report.Failure is { } failure)
            {
                output.WriteLine();
                output.WriteLine(report.ToString());
                output.WriteLine($"  {implementation.Keep(report, failure)}");
            }
        }

        return reports.TrueForAll(report => report.Passed) ? CommandLine.Success : CommandLine.Unexpected;
    }

    private static int Replay(FuzzTarget[] targets, string path, Implementation implementation, TextWriter output)
    {
        if (targets.Length != 1)
        {
            throw new BadInputException("--replay needs the one operation that the case is of.");
        }

        FuzzTarget target = targets[0];
        FuzzCase given = OperationUnderTest.Case(target, CaseFile.Read(path, OperationCatalog.Find(target.Name)));
        if (!target.Admits(given))
        {
            throw new BadInputException($"'{path}' is no case of {target.Name}: its options or shapes do not go together.");
        }

        using (implementation.Open())
        {
            FuzzVerdict verdict = Fuzzer.Try(target, given, implementation.Of(target));
            output.WriteLine(verdict.Failure is { } failure
                ? $"{target.Name}: {failure}"
                : string.Create(
                    CultureInfo.InvariantCulture,
                    $"{target.Name}: passed, the worst error was {verdict.WorstShare:0.00} of its bound."));
            return verdict.Failure is null ? CommandLine.Success : CommandLine.Unexpected;
        }
    }

    private static void Report(IAnsiConsole console, List<FuzzReport> reports)
    {
        Table table = new Table().AddColumns("operation", "cases", "worst error / bound", "classes", "");
        foreach (FuzzReport report in reports)
        {
            table.AddRow(
                Markup.Escape(report.Name), report.Cases.ToString(CultureInfo.InvariantCulture),
                report.WorstShare.ToString("0.00", CultureInfo.InvariantCulture),
                report.Classes.Count.ToString(CultureInfo.InvariantCulture), report.Passed ? "passed" : "FAILED");
        }

        console.Write(table);
        if (reports is [FuzzReport one])
        {
            foreach ((string name, int count) in one.Classes)
            {
                console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{count,8} {name}"));
            }
        }
    }

    /// <summary>What is fuzzed: our kernels on a device, or a program.</summary>
    private sealed class Implementation(string? against, string? device, Func<string?, Session> open, string folder)
    {
        private readonly string[]? _program = against is null ? null : [.. CommandLineParser.SplitCommandLine(against)];
        private Session? _session;

        /// <summary>Opens the device; closes it in the end.</summary>
        internal IDisposable? Open()
        {
            if (_program is null)
            {
                return _session = open(device);
            }

            if (_program.Length == 0)
            {
                throw new BadInputException("--against needs a program.");
            }

            Folder();
            return null;
        }

        internal Func<FuzzCase, IReadOnlyDictionary<string, FuzzTensor>> Of(FuzzTarget target)
        {
            Operation operation = OperationCatalog.Find(target.Name);
            return _program is null
                ? new OperationUnderTest(_session!, operation).Run
                : new ExternalProgram(_program, operation, folder).Run;
        }

        /// <summary>Writes a case that failed, and says how to run it again.</summary>
        internal string Keep(FuzzReport report, FuzzFailure failure)
        {
            Folder();
            string path = Path.Combine(folder, $"{report.Name.Replace('/', '-')}-{report.Seed}-{failure.Index}.json");
            File.WriteAllText(path, CaseWriter.Write(failure.Case) + "\n");
            string how = against is not null ? $" --against \"{against}\"" : device is null ? "" : $" --device {device}";
            return $"kernels fuzz {report.Name} --replay {path}{how}";
        }

        private void Folder()
        {
            try
            {
                Directory.CreateDirectory(folder);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
            {
                throw new BadInputException($"'{folder}' cannot be a folder: {e.Message}", e);
            }
        }
    }
}
