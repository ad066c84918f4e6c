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
        var shrink = new Option<double>("--shrink")
        {
            Description = "The longest time to make a case that fails small.",
            HelpName = "s",
            DefaultValueFactory = _ => new FuzzSettings().ShrinkTime.TotalSeconds,
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
                + "two arguments and writes {\"outputs\": {\"p\": {\"shape\": [...], \"data\": [...]}}}, or {\"outputs\": null} "
                + "where it does not take the case.",
            HelpName = "command",
        };
        var replay = new Option<string?>("--replay")
        {
            Description = "Judges this one case of the one operation, and draws none.",
            HelpName = "case.json",
        };
        var jobs = new Option<int>("--jobs")
        {
            Description = "Threads, each with a session of its own; the cases and the first failure stay the same.",
            HelpName = "j",
            DefaultValueFactory = _ => 1,
        };
        var between = new Option<string?>("--between")
        {
            Description =
                "Devices to compare, such as cpu,opencl,cuda: each is judged, and the cases in which all give the same "
                + "bits are counted.",
            HelpName = "devices",
        };
        Option<string?> device = CommandLine.DeviceOption();
        var command = new Command("fuzz", "Runs operations on random cases, judges them by oracles, makes failures small.")
        {
            names,
            cases,
            minutes,
            shrink,
            seed,
            jobs,
            device,
            between,
            folder,
            against,
            replay,
        };
        command.SetAction(parsed =>
        {
            var settings = new FuzzSettings { Cases = parsed.GetValue(cases), Seed = parsed.GetValue(seed) };
            if (settings.Cases < 1 || parsed.GetValue(jobs) is < 1 or > 256
                || parsed.GetValue(minutes) is <= 0 or double.NaN || parsed.GetValue(shrink) is not (>= 0 and <= 1e6))
            {
                throw new BadInputException(
                    "--cases must be at least 1, --jobs from 1 to 256, --minutes more than 0, and --shrink from 0 to 1e6.");
            }

            settings = settings with { ShrinkTime = TimeSpan.FromSeconds(parsed.GetValue(shrink)) };

            FuzzTarget[] targets = Targets(parsed.GetValue(names) ?? []);
            if (parsed.GetValue(minutes) is { } time)
            {
                settings = settings with { Time = TimeSpan.FromMinutes(Math.Min(time, 1e6) / targets.Length) };
            }

            var under = new UnderTest(
                parsed.GetValue(against), parsed.GetValue(between), parsed.GetValue(device), open,
                parsed.GetRequiredValue(folder));
            return parsed.GetValue(replay) is { } path
                ? Replay(targets, path, under, output)
                : Fuzz(targets, settings, parsed.GetValue(jobs), under, output);
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

    private static int Fuzz(
        FuzzTarget[] targets, FuzzSettings settings, int jobs, UnderTest under, TextWriter output)
    {
        IAnsiConsole console = Messages.Terminal(output);
        var reports = new List<FuzzReport>();
        var implementations = new List<Implementation>();
        try
        {
            for (int job = 0; job < jobs; job++)
            {
                implementations.Add(under.Open(job));
            }

            if (console.Profile.Out.IsTerminal)
            {
                console.Progress().HideCompleted(true).Start(progress =>
                {
                    foreach (FuzzTarget target in targets)
                    {
                        ProgressTask bar = progress.AddTask(Markup.Escape(target.Name), maxValue: settings.Cases);
                        Run(target, settings with { Progress = (done, _) => bar.Value = done });
                        bar.StopTask();
                    }
                });
            }
            else
            {
                Array.ForEach(targets, target => Run(target, settings));
            }

            Report(console, reports, under);
            foreach (FuzzReport report in reports.Where(report => report.Failure is not null))
            {
                output.WriteLine();
                output.WriteLine(report.ToString());
                output.WriteLine($"  {under.Keep(report)}");
                FuzzTarget target = FuzzTargets.Find(report.Name);
                if (under.IsComparison)
                {
                    Array.ForEach([.. implementations[0].Each(target, report.Failure!.Case)], each =>
                        output.WriteLine($"  {each.Device}: {each.Verdict.Failure ?? "passed"}"));
                }
            }
        }
        finally
        {
            implementations.ForEach(implementation => implementation.Dispose());
        }

        return reports.TrueForAll(report => report.Passed) ? CommandLine.Success : CommandLine.Unexpected;

        void Run(FuzzTarget target, FuzzSettings with) => reports.Add(
            Fuzzer.RunParallel(target, [.. implementations.Select(implementation => implementation.Of(target))], with));
    }

    private static int Replay(FuzzTarget[] targets, string path, UnderTest under, TextWriter output)
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

        using Implementation implementation = under.Open(0);
        (string Of, FuzzVerdict Verdict)[] verdicts = under.IsComparison
            ? [.. implementation.Each(target, given)]
            : [(target.Name, Fuzzer.Try(target, given, implementation.Of(target)))];
        foreach ((string of, FuzzVerdict verdict) in verdicts)
        {
            output.WriteLine(verdict.Failure is { } failure ? $"{of}: {failure}"
                : !verdict.IsTaken ? $"{of}: not taken."
                : string.Create(
                    CultureInfo.InvariantCulture,
                    $"{of}: passed, the worst error was {verdict.WorstShare:0.00} of its bound."));
        }

        return Array.TrueForAll(verdicts, each => each.Verdict.Failure is null)
            ? CommandLine.Success
            : CommandLine.Unexpected;
    }

    private static void Report(IAnsiConsole console, List<FuzzReport> reports, UnderTest under)
    {
        Table table = new Table().AddColumns("operation", "cases", "of bound", "classes", "");
        bool isSome = reports.Exists(report => report.NotTaken > 0);
        if (isSome)
        {
            table.AddColumn("not taken");
        }

        if (under.IsComparison)
        {
            table.AddColumn("same bits");
        }

        foreach (FuzzReport report in reports)
        {
            string[] row =
            [
                Markup.Escape(report.Name), report.Cases.ToString(CultureInfo.InvariantCulture),
                report.WorstShare.ToString("0.00", CultureInfo.InvariantCulture),
                report.Classes.Count.ToString(CultureInfo.InvariantCulture),
                report.Passed ? "passed" : report.Failure is null ? "none taken" : "FAILED",
                .. isSome ? [report.NotTaken.ToString(CultureInfo.InvariantCulture)] : Array.Empty<string>(),
                .. under.IsComparison
                    ? [under.Agreement.Share(report.Name).ToString("P1", CultureInfo.InvariantCulture)]
                    : Array.Empty<string>(),
            ];
            table.AddRow(row);
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

    /// <summary>What the command line says is fuzzed.</summary>
    private sealed class UnderTest
    {
        private readonly string? _against;
        private readonly string[] _devices;
        private readonly string? _device;
        private readonly Func<string?, Session> _open;
        private readonly string _folder;

        internal UnderTest(string? against, string? between, string? device, Func<string?, Session> open, string folder)
        {
            _against = against;
            _devices = between?.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries) ?? [];
            _device = device;
            _open = open;
            _folder = folder;
            if (between is not null && _devices.Length < 2)
            {
                throw new BadInputException("--between needs several devices, such as cpu,opencl.");
            }

            if ((against is null ? 0 : 1) + (between is null ? 0 : 1) + (device is null ? 0 : 1) > 1)
            {
                throw new BadInputException("--against, --between and --device exclude each other.");
            }
        }

        internal bool IsComparison => _devices.Length > 0;

        internal Agreement Agreement { get; } = new();

        /// <summary>Opens the devices for a thread, or makes the folder of its program.</summary>
        internal Implementation Open(int job)
        {
            if (_against is null)
            {
                return Implementation.On(IsComparison ? _devices : new string?[] { _device }, _open, Agreement);
            }

            string[] program = [.. CommandLineParser.SplitCommandLine(_against)];
            return program.Length > 0
                ? Implementation.Of(program, Folder(Path.Combine(_folder, $"job{job}")))
                : throw new BadInputException("--against needs a program.");
        }

        /// <summary>Writes a case that failed, and says how to run it again.</summary>
        internal string Keep(FuzzReport report)
        {
            FuzzFailure failure = report.Failure!;
            string path = Path.Combine(
                Folder(_folder), $"{report.Name.Replace('/', '-')}-{report.Seed}-{failure.Index}.json");
            File.WriteAllText(path, CaseWriter.Write(failure.Case) + "\n");
            string how = _against is not null ? $" --against \"{_against}\""
                : IsComparison ? $" --between {string.Join(',', _devices)}"
                : _device is null ? ""
                : $" --device {_device}";
            return $"kernels fuzz {report.Name} --replay {path}{how}";
        }

        private static string Folder(string folder)
        {
            try
            {
                Directory.CreateDirectory(folder);
                return folder;
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
            {
                throw new BadInputException($"'{folder}' cannot be a folder: {e.Message}", e);
            }
        }
    }
}
