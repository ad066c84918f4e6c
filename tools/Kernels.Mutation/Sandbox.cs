using System.Diagnostics;
using System.Globalization;

namespace Kernels.Mutation;

/// <summary>A copy of the built tool, in which the device code is exchanged.</summary>
internal sealed class Sandbox : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("kernels-mutation-").FullName;
    private readonly int _cases;
    private readonly string _device;

    internal Sandbox(string tool, int cases, string device)
    {
        _cases = cases;
        _device = device;
        foreach (string path in Directory.EnumerateFiles(tool, "*", SearchOption.AllDirectories))
        {
            string copy = Path.Combine(_folder, Path.GetRelativePath(tool, path));
            Directory.CreateDirectory(Path.GetDirectoryName(copy)!);
            File.Copy(path, copy);
        }
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    /// <summary>Whether every operation passes with a device code, in time.</summary>
    internal bool Passes(byte[] assembly, IEnumerable<string> operations, TimeSpan longest)
    {
        File.WriteAllBytes(Path.Combine(_folder, $"{DeviceCode.Assembly}.dll"), assembly);
        return operations.All(operation => Passes(operation, longest));
    }

    private bool Passes(string operation, TimeSpan longest)
    {
        string cases = _cases.ToString(CultureInfo.InvariantCulture);
        var start = new ProcessStartInfo(
            "dotnet",
            [
                "Kernels.Tools.dll", "fuzz", operation, "--cases", cases, "--seed", "1", "--shrink", "0",
                "--device", _device,
            ])
        {
            WorkingDirectory = _folder,
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using Process process = Process.Start(start)!;
        process.OutputDataReceived += (_, _) => { };
        process.ErrorDataReceived += (_, _) => { };
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        if (process.WaitForExit(longest))
        {
            return process.ExitCode == 0;
        }

        process.Kill(entireProcessTree: true);
        process.WaitForExit();
        return false;
    }
}
