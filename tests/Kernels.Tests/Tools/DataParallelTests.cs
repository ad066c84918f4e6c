using System.Diagnostics;
using Kernels.Tests.Support;
using Xunit.Abstractions;

namespace Kernels.Tests.Tools;

/// <summary>The example over MPI: several processes give what one gives.</summary>
public sealed class DataParallelTests(ITestOutputHelper output)
{
    private static readonly TimeSpan s_limit = TimeSpan.FromMinutes(3);

    [Fact]
    public void Four_processes_print_what_one_prints()
    {
        if (!TestDevices.IsHost)
        {
            return; // its processes take the CPU accelerator
        }

        if (Run(1) is not { } alone)
        {
            output.WriteLine("Not run: there is no mpirun in PATH (Open MPI 4, such as Debian's openmpi-bin).");
            return;
        }

        string[] lines = alone.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(3, lines.Length);
        Assert.EndsWith(": yes", lines[0], StringComparison.Ordinal);
        Assert.Matches(@"^codes: 10 updates, checksum [0-9a-f]{16}$", lines[1]);
        Assert.Matches(@"^digits: 132 steps, loss 0\.\d+, accuracy 9\d\.\d %, checksum [0-9a-f]{16}$", lines[2]);
        Assert.Equal(alone, Run(2));
        Assert.Equal(alone, Run(4));
    }

    private static string? Run(int processes)
    {
        string program = Path.Combine(AppContext.BaseDirectory, "Kernels.DataParallel.dll");
        var start = new ProcessStartInfo(
            "mpirun",
            [
                "--allow-run-as-root", "--oversubscribe", "--bind-to", "none", "-np", $"{processes}",
                Environment.ProcessPath!, program,
            ])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
        };
        start.Environment["KERNELS_DEVICE"] = "cpu";
        try
        {
            using Process process = Process.Start(start)!;
            Task<string> errors = process.StandardError.ReadToEndAsync();
            Task<string> printed = process.StandardOutput.ReadToEndAsync();
            if (!process.WaitForExit(s_limit))
            {
                process.Kill(entireProcessTree: true);
                throw new TimeoutException($"{processes} processes did not end within {s_limit}.");
            }

            Assert.True(process.ExitCode == 0, printed.Result + errors.Result);
            return printed.Result;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return null;
        }
    }
}
