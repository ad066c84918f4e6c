using System.Diagnostics;
using System.Globalization;

namespace Kernels.Mutation;

/// <summary>A copy of the built tests, with the tool among them, in which an assembly is exchanged.</summary>
internal sealed class Sandbox : IDisposable
{
    private static readonly TimeSpan s_longest = TimeSpan.FromSeconds(60);

    // Where the program is the one of the SDK, which may be another than that in PATH.
    private static readonly string s_host =
        Path.GetFileNameWithoutExtension(Environment.ProcessPath) is "dotnet" ? Environment.ProcessPath! : "dotnet";

    private readonly string _folder = Directory.CreateTempSubdirectory("kernels-mutation-").FullName;
    private readonly int _cases;
    private readonly string _device;

    internal Sandbox(int cases, string device)
    {
        _cases = cases;
        _device = device;
    }

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

    /// <summary>Whether every operation and test passes with an assembly, in time.</summary>
    internal bool Passes(string name, byte[] assembly, Judges judges, CancellationToken stop)
    {
        Put(name, assembly);
        string cases = _cases.ToString(CultureInfo.InvariantCulture);
        return judges.Operations.All(operation => Passes(
            [
                "Kernels.Tools.dll", "fuzz", operation, "--cases", cases, "--seed", "1", "--shrink", "0", "--device",
                _device,
            ],
            stop))
            && (judges.Tests.Length == 0 || Passes(
                [
                    "test", "Kernels.Tests.dll", "--filter",
                    string.Join('|', judges.Tests.Select(test => $"FullyQualifiedName~.{test}.")),
                ],
                stop));
    }

    private bool Passes(string[] arguments, CancellationToken stop)
    {
        var start = new ProcessStartInfo(s_host, arguments)
        {
            WorkingDirectory = _folder,
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["KERNELS_DEVICE"] = _device;
        using Process process = Process.Start(start)!;
        process.OutputDataReceived += (_, _) => { };
        process.ErrorDataReceived += (_, _) => { };
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        using CancellationTokenRegistration kill = stop.Register(() => process.Kill(entireProcessTree: true));
        bool isInTime = process.WaitForExit(s_longest);
        if (!isInTime)
        {
            process.Kill(entireProcessTree: true);
            process.WaitForExit();
        }

        stop.ThrowIfCancellationRequested();
        return isInTime && process.ExitCode == 0;
    }
}
