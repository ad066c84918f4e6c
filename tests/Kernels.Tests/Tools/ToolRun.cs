using System.Text.Json;
using Kernels.Devices;
using Kernels.Tools;

namespace Kernels.Tests.Tools;

/// <summary>One call of the command <c>kernels</c> in this process.</summary>
internal sealed record ToolRun(int ExitCode, string Output, string Error)
{
    /// <summary>The device under test, as <c>--device</c> takes it.</summary>
    internal static string Device { get; } = Environment.GetEnvironmentVariable(DeviceList.Variable) ?? "cpu";

    internal static ToolRun Of(params string[] arguments)
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        int exitCode = CommandLine.Run(arguments, output, error);
        return new ToolRun(exitCode, output.ToString(), error.ToString());
    }

    /// <summary>The output as JSON, of a call that must have done its work.</summary>
    internal JsonElement Json()
    {
        Assert.True(ExitCode == 0, Error);
        Assert.Empty(Error);
        using JsonDocument document = JsonDocument.Parse(Output);
        return document.RootElement.Clone();
    }
}

/// <summary>A folder that goes away with its test.</summary>
internal sealed class TemporaryFolder : IDisposable
{
    internal string Path { get; } = Directory.CreateTempSubdirectory("kernels-").FullName;

    internal string File(string name) => System.IO.Path.Combine(Path, name);

    internal string Write(string name, string text)
    {
        System.IO.File.WriteAllText(File(name), text);
        return File(name);
    }

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
