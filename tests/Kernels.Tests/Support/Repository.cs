using System.Diagnostics;

namespace Kernels.Tests.Support;

/// <summary>The repository that the tests were built in, and the SDK on it.</summary>
internal static class Repository
{
    private static readonly TimeSpan s_limit = TimeSpan.FromMinutes(5);

    /// <summary>Its folder.</summary>
    internal static string Root { get; } = FindRoot();

    /// <summary>The configuration of the build, Release or Debug.</summary>
    internal static string Configuration { get; } = new DirectoryInfo(AppContext.BaseDirectory).Parent!.Name;

    /// <summary>Runs the SDK's command and gives what it printed.</summary>
    /// <param name="folder">The working folder.</param>
    /// <param name="arguments">Its arguments.</param>
    /// <param name="code">Its exit code.</param>
    internal static string DotNet(string folder, string[] arguments, out int code)
    {
        var start = new ProcessStartInfo(Environment.ProcessPath!, arguments)
        {
            WorkingDirectory = folder,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
        };
        start.Environment["KERNELS_DEVICE"] = "cpu";
        start.Environment["DOTNET_NOLOGO"] = "1";
        // A build server that stays would hold the pipes of its output open.
        start.Environment["MSBUILDDISABLENODEREUSE"] = "1";
        start.Environment["UseSharedCompilation"] = "false";
        foreach (string name in (string[])["MSBuildSDKsPath", "MSBuildExtensionsPath", "MSBUILD_EXE_PATH"])
        {
            start.Environment.Remove(name); // the test command's own
        }

        using Process process = Process.Start(start)!;
        Task<string> errors = process.StandardError.ReadToEndAsync();
        Task<string> printed = process.StandardOutput.ReadToEndAsync();
        if (!process.WaitForExit(s_limit))
        {
            process.Kill(entireProcessTree: true);
            throw new TimeoutException($"dotnet {string.Join(' ', arguments)} did not end within {s_limit}.");
        }

        code = process.ExitCode;
        return code == 0 ? printed.Result : printed.Result + errors.Result;
    }

    private static string FindRoot()
    {
        DirectoryInfo? folder = new(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "Kernels.sln")))
        {
            folder = folder.Parent;
        }

        return folder?.FullName
            ?? throw new InvalidOperationException($"No folder above {AppContext.BaseDirectory} has Kernels.sln.");
    }
}
