using System.Text.Json;
using Kernels.Devices;
using Kernels.Tests.Support;
using Kernels.Tools;

namespace Kernels.Tests.Tools;

/// <summary>One call of the command <c>kernels</c> in this process.</summary>
internal sealed record ToolRun(int ExitCode, string Output, string Error)
{
    /// <summary>The device under test, as <c>--device</c> takes it.</summary>
    internal static string Device { get; } = Environment.GetEnvironmentVariable(DeviceList.Variable) ?? "cpu";

    /// <summary>An operation on the device under test runs in the session of the suite, which has its kernels.</summary>
    internal static ToolRun Of(params string[] arguments) => Of(
        device => string.Equals(device, Device, StringComparison.Ordinal)
            ? Session.Use(TestDevices.Session.Accelerator, TestDevices.Session.Stream)
            : CommandLine.OpenSession(device),
        arguments);

    /// <summary>As from a shell: an operation opens the device and compiles its kernels.</summary>
    internal static ToolRun Alone(params string[] arguments) => Of(null, arguments);

    private static ToolRun Of(Func<string?, Session>? open, string[] arguments)
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        int exitCode = CommandLine.Run(arguments, output, error, open);
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
