using System.CommandLine;

namespace Kernels.Tools.Commands;

internal static class DemoCommand
{
    internal static Command Create(TextWriter output, TextWriter error) => new("demo");
}
