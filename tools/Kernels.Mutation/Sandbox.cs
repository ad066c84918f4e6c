using System.Diagnostics;
using System.Globalization;

namespace Kernels.Mutation;

/// <summary>What became of a mutant.</summary>
internal enum Verdict
{
    /// <summary>Nothing sees it.</summary>
    Passes,

    /// <summary>Something fails.</summary>
    Fails,

    /// <summary>It takes far longer than the code without a change.</summary>
    TakesTooLong,
}

/// <summary>A copy of the built tests, with the tool among them, in which an assembly is exchanged.</summary>
internal sealed class Sandbox(int cases, string device) : IDisposable
{
    // Where the program is the one of the SDK, which may be another than that in PATH.
    private static readonly string s_host =
        Path.GetFileNameWithoutExtension(Environment.ProcessPath) is "dotnet" ? Environment.ProcessPath! : "dotnet";

    private readonly string _folder = Directory.CreateTempSubdirectory("kernels-mutation-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    /// <summary>Fills the folder.</summary>
    internal void Fill(string tests, CancellationToken stop)
    {
        foreach (string path in Directory.EnumerateFiles(tests, "*", SearchOption.AllDirectories))
        {
            stop.ThrowIfCancellationRequested();
            string copy = Path.Combine(_folder, Path.GetRelativePath(tests, path));
            Directory.CreateDirectory(Path.GetDirectoryName(copy)!);
            File.Copy(path, copy);
        }
    }

    /// <summary>Exchanges an assembly.</summary>
    internal void Put(string name, byte[] assembly) =>
        File.WriteAllBytes(Path.Combine(_folder, $"{name}.dll"), assembly);

    /// <summary>What every operation and test says of an assembly, in a time of the processor.</summary>
    /// <param name="name">The name of the assembly.</param>
    /// <param name="assembly">The assembly.</param>
    /// <param name="judges">The operations and tests.</param>
    /// <param name="longest">The longest time of the processor.</param>
    /// <param name="stop">Ends it.</param>
    /// <param name="taken">The time that it took if it passes.</param>
    internal Verdict Try(
        string name, byte[] assembly, Judges judges, TimeSpan longest, CancellationToken stop, out TimeSpan taken)
    {
        Put(name, assembly);
        string? last = null;
        int code = Run(judges, longest, line => last = line, stop);
        taken = code == Judge.Passed
            ? TimeSpan.FromSeconds(double.Parse(last!, CultureInfo.InvariantCulture))
            : TimeSpan.Zero;
        return code switch
        {
            Judge.Passed => Verdict.Passes,
            Judge.TookTooLong => Verdict.TakesTooLong,
            _ => Verdict.Fails,
        };
    }

    /// <summary>What becomes of mutants that are all in one assembly behind a <see cref="Switch"/>.</summary>
    /// <param name="name">The name of the assembly.</param>
    /// <param name="assembly">The assembly.</param>
    /// <param name="mutants">Their numbers.</param>
    /// <param name="judges">The operations and tests.</param>
    /// <param name="longest">The longest time of the processor without a change.</param>
    /// <param name="stop">Ends it.</param>
    /// <returns>By number; not those behind one that leaves something behind, nor any where something fails without a change.</returns>
    internal Dictionary<int, Verdict> Try(
        string name, byte[] assembly, IEnumerable<int> mutants, Judges judges, TimeSpan longest, CancellationToken stop)
    {
        Put(name, assembly);
        var found = new Dictionary<int, Verdict>();
        string list = Path.Combine(_folder, Judge.List);
        var rest = new SortedSet<int>(mutants);
        while (rest.Count > 0)
        {
            File.WriteAllLines(list, rest.Select(number => number.ToString(CultureInfo.InvariantCulture)));
            int running = 0;
            int code = Run(
                judges, longest,
                line =>
                {
                    if (Judge.Said(line) is { } said)
                    {
                        running = said.Number;
                        if (said.Passes is { } passes)
                        {
                            running = 0;
                            found[said.Number] = passes ? Verdict.Passes : Verdict.Fails;
                        }
                    }
                },
                stop);
            if (code is Judge.Passed or Judge.Failed || running == 0)
            {
                break;
            }

            // It has ended the process, in time or before.
            found[running] = code == Judge.TookTooLong ? Verdict.TakesTooLong : Verdict.Fails;
            rest.ExceptWith(found.Keys);
        }

        File.Delete(list);
        return found;
    }

    /// <summary>Runs a judge in the folder.</summary>
    /// <returns>Its exit code.</returns>
    private int Run(Judges judges, TimeSpan longest, Action<string> says, CancellationToken stop)
    {
        var start = new ProcessStartInfo(
            s_host,
            [
                "exec", "--depsfile", "Kernels.Tests.deps.json", "--runtimeconfig", "Kernels.Tests.runtimeconfig.json",
                "Kernels.Mutation.dll", .. Judge.Arguments(judges, cases, device, longest),
            ])
        {
            WorkingDirectory = _folder,
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["KERNELS_DEVICE"] = device;
        // It runs too short for counting what it does.
        start.Environment["DOTNET_TieredPGO"] = "0";
        using Process process = Process.Start(start)!;
        process.OutputDataReceived += (_, line) =>
        {
            if (line.Data is { } text)
            {
                says(text);
            }
        };
        process.ErrorDataReceived += (_, _) => { };
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        using CancellationTokenRegistration kill = stop.Register(() => process.Kill(entireProcessTree: true));
        process.WaitForExit();
        stop.ThrowIfCancellationRequested();
        return process.ExitCode;
    }
}
