using System.CommandLine;
using System.Globalization;
using System.Runtime.InteropServices;
using Spectre.Console;

namespace Kernels.Mutation;

/// <summary>Mutates kernels and references, and says which mutants neither fuzzer nor properties find.</summary>
internal static class MutationCommand
{
    internal const int Success = 0;
    internal const int Survivors = 1;
    internal const int BadInput = 2;
    internal const int Stopped = 3;

    /// <summary>Runs one command line.</summary>
    /// <returns>
    /// 0: every mutant is found but the known equivalents; 1: not every one; 2: wrong input; 3: stopped by a signal.
    /// </returns>
    internal static int Run(IReadOnlyList<string> arguments, TextWriter output, TextWriter error)
    {
        try
        {
            RootCommand root = Create(output);
            return root.Parse(arguments)
                .Invoke(new InvocationConfiguration
                {
                    Output = output,
                    Error = error,
                    EnableDefaultExceptionHandler = false,
                });
        }
        catch (Exception e)
            when (e is ArgumentException or InvalidDataException or InvalidOperationException or IOException)
        {
            error.WriteLine($"mutation: {e.Message}");
            return BadInput;
        }
        catch (OperationCanceledException)
        {
            error.WriteLine("mutation: stopped.");
            return Stopped;
        }
    }

    private static RootCommand Create(TextWriter output)
    {
        var files = new Argument<string[]>("file")
        {
            Description = "Files such as Adam.cs or kernels/Optimizers/Adam.cs, or folders; without it all known.",
            Arity = ArgumentArity.ZeroOrMore,
        };
        var lines = new Option<int[]>("--line")
        {
            Description = "Only mutants of this line of the files; may be given more than once.",
            HelpName = "n",
            DefaultValueFactory = _ => [],
        };
        var cases = new Option<int>("--cases")
        {
            Description = "Cases of each operation and mutant.",
            HelpName = "n",
            DefaultValueFactory = _ => 300,
        };
        var jobs = new Option<int>("--jobs")
        {
            Description = "Mutants at a time.",
            HelpName = "j",
            DefaultValueFactory = _ => 1,
        };
        var device = new Option<string>("--device")
        {
            Description = "As of kernels fuzz.",
            HelpName = "device",
            DefaultValueFactory = _ => "cpu",
        };
        var root = new RootCommand(
            "Changes kernels and references in one place at a time, fuzzes the operations that it belongs to, and runs "
            + "the properties where that finds nothing: each change must make one fail. Exit codes: 0 each does, but "
            + "those that equivalent.txt says are equivalent; 1 one does not, or equivalent.txt names one that does; "
            + "2 wrong input; 3 stopped by a signal.")
        {
            files,
            lines,
            cases,
            jobs,
            device,
        };
        root.SetAction(parsed =>
        {
            if (parsed.GetValue(cases) < 1 || parsed.GetValue(jobs) is < 1 or > 256)
            {
                throw new InvalidDataException("--cases must be at least 1, and --jobs from 1 to 256.");
            }

            return Mutate(
                MutatedFiles.Find(parsed.GetValue(files) ?? []), parsed.GetValue(lines) ?? [], parsed.GetValue(cases),
                parsed.GetValue(jobs), parsed.GetRequiredValue(device), output);
        });
        return root;
    }

    private static int Mutate(
        IReadOnlyList<string> files, int[] lines, int cases, int jobs, string device, TextWriter output)
    {
        (string root, string build) = Places();
        string tests = Path.Combine(root, "tests", "Kernels.Tests", "bin", build);
        string list = Path.Combine(root, "tools", "Kernels.Mutation", "equivalent.txt");
        IReadOnlyList<KnownEquivalent> known = KnownEquivalents.Parse(File.ReadAllText(list));
        if (!File.Exists(Path.Combine(tests, "Kernels.Tests.dll")))
        {
            throw new InvalidOperationException($"there are no tests in {tests}; build the solution first.");
        }

        var projects = new Dictionary<string, Lazy<ProjectCode>>(StringComparer.Ordinal)
        {
            [MutatedFiles.Kernels] = new(
                () => new ProjectCode(root, MutatedFiles.Kernels, "Kernels.DeviceCode", build, tests, isHost: false)),
            [MutatedFiles.References] = new(
                () => new ProjectCode(root, MutatedFiles.References, "Kernels.References", build, tests, isHost: true)),
        };
        var sandboxes = new List<Sandbox>();
        var reports = new List<(string File, FileReport Report)>();
        // Whoever ends the command leaves no sandbox behind.
        using var stop = new CancellationTokenSource();
        using PosixSignalRegistration end = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
        using PosixSignalRegistration interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
        using PosixSignalRegistration hangUp = PosixSignalRegistration.Create(PosixSignal.SIGHUP, Stop);
        try
        {
            for (int job = 0; job < jobs; job++)
            {
                sandboxes.Add(new Sandbox(cases, device));
                sandboxes[job].Fill(tests, stop.Token);
            }

            var run = new MutationRun(sandboxes, known, lines, stop.Token);
            foreach (string file in files)
            {
                ProjectCode code = projects.Single(p => file.StartsWith(p.Key + "/", StringComparison.Ordinal)).Value.Value;
                FileReport report = run.File(code, file, MutatedFiles.All[file]);
                reports.Add((file, report));
                output.WriteLine(string.Create(
                    CultureInfo.InvariantCulture,
                    $"{file}: {report.Killed} of {report.Count} killed, {report.Survivors.Count} survived."));
                foreach ((string what, Mutant mutant) in
                    report.Survivors.Select(mutant => ("survived", mutant))
                        .Concat(report.TooLong.Select(mutant => ("killed by its time", mutant))))
                {
                    output.WriteLine(
                        string.Create(CultureInfo.InvariantCulture, $"  {file}:{mutant.Line} {mutant.Member}: {what}"));
                    output.WriteLine($"  - {mutant.Old}");
                    output.WriteLine($"  + {mutant.New}");
                }
            }
        }
        finally
        {
            sandboxes.ForEach(sandbox => sandbox.Dispose());
        }

        Write(reports, output);
        foreach (KnownEquivalent lost in known.Where(each => !MutatedFiles.All.ContainsKey(each.File)))
        {
            output.WriteLine($"equivalent.txt names {lost.File}, which is not mutated.");
        }

        // A file of which nothing is reached has proved nothing.
        return reports.TrueForAll(each => each.Report is { Survivors.Count: 0, Stale.Count: 0, Count: > 0 })
            ? Success
            : Survivors;

        void Stop(PosixSignalContext signal)
        {
            signal.Cancel = true;
            stop.Cancel();
        }
    }

    private static void Write(List<(string File, FileReport Report)> reports, TextWriter output)
    {
        IAnsiConsole console = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(output) });
        if (!console.Profile.Out.IsTerminal)
        {
            console.Profile.Width = 200;
        }

        Table table = new Table()
            .AddColumns("file", "mutants", "killed", "survived", "equivalent", "members not reached");
        foreach ((string file, FileReport report) in reports)
        {
            int[] counts =
            [
                report.Count, report.Killed, report.Survivors.Count, report.Equivalents.Count, report.Unreached.Count,
            ];
            table.AddRow([file, .. counts.Select(count => count.ToString(CultureInfo.InvariantCulture))]);
        }

        console.Write(table);
        foreach ((string file, FileReport report) in reports)
        {
            foreach (KnownEquivalent stale in report.Stale)
            {
                output.WriteLine();
                output.WriteLine($"{file} {stale.Member}: of equivalent.txt, but killed, or no mutant");
                output.WriteLine($"- {stale.Old}");
                output.WriteLine($"+ {stale.New}");
            }

            if (report.Unreached.Count > 0)
            {
                output.WriteLine();
                output.WriteLine($"{file} not reached: {string.Join(", ", report.Unreached)}");
            }
        }
    }

    /// <summary>The repository, and the part of an output's path that says how it was built.</summary>
    private static (string Root, string Build) Places()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        string build = Path.Combine(folder.Parent!.Name, folder.Name);
        for (DirectoryInfo? root = folder; root is not null; root = root.Parent)
        {
            if (File.Exists(Path.Combine(root.FullName, "Kernels.sln")))
            {
                return (root.FullName, build);
            }
        }

        throw new InvalidOperationException($"{folder.FullName} is in no repository of the project.");
    }
}
