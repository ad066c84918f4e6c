using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Parsing;
using Kernels.Tools.Commands;

namespace Kernels.Tools;

/// <summary>The command <c>kernels</c>.</summary>
internal static class CommandLine
{
    internal const int Success = 0;
    internal const int Unexpected = 1;
    internal const int BadInput = 2;

    /// <summary>Runs one command line.</summary>
    /// <param name="arguments">The command and its options.</param>
    /// <param name="output">What was asked for.</param>
    /// <param name="error">What was wrong.</param>
    /// <param name="open">Gives an operation the session for the device wished for; without it, a new one.</param>
    /// <returns>0: done; 2: the input is wrong, and a message on the error writer says how; 1: anything else.</returns>
    internal static int Run(
        IReadOnlyList<string> arguments, TextWriter output, TextWriter error, Func<string?, Session>? open = null)
    {
        Command root = Create(output, error, open ?? OpenSession);
        try
        {
            ParseResult parsed = CommandLineParser.Parse(root, arguments);
            foreach (ParseError problem in parsed.Errors)
            {
                error.WriteLine($"kernels: {problem.Message}");
            }

            if (parsed.Errors.Count > 0)
            {
                error.WriteLine("kernels: see --help.");
                return BadInput;
            }

            return parsed.Invoke(new InvocationConfiguration
            {
                Output = output,
                Error = error,
                EnableDefaultExceptionHandler = false,
            });
        }
        catch (BadInputException e)
        {
            error.WriteLine($"kernels: {e.Message}");
            return BadInput;
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            error.WriteLine($"kernels: unexpected {e.GetType().Name}: {e.Message}");
            return Unexpected;
        }
    }

    /// <summary>The option that every command with a device has.</summary>
    internal static Option<string?> DeviceOption() => new("--device")
    {
        Description =
            "cpu, opencl or cuda, with an optional :index. Without it the variable KERNELS_DEVICE decides, and "
            + "without that the best device here is taken.",
        HelpName = "device",
    };

    /// <summary>Opens the device that is wished for.</summary>
    internal static Session OpenSession(string? device)
    {
        try
        {
            return Session.Open(device);
        }
        catch (ArgumentException e)
        {
            throw new BadInputException(Messages.Of(e), e);
        }
        catch (InvalidOperationException e)
        {
            throw new BadInputException(e.Message, e);
        }
    }

    private static Command Create(TextWriter output, TextWriter error, Func<string?, Session> open)
    {
        var root = new Command(
            "kernels",
            "Hand-written GPU compute kernels for machine learning, on any CUDA or OpenCL device or on the CPU.\n"
            + "Exit codes: 0 done, 2 wrong input (the message says what), 1 anything unexpected.")
        {
            new HelpOption(),
            new VersionOption(),
            DevicesCommand.Create(output),
            ListCommand.Create(output),
            InspectCommand.Create(output),
            RunCommand.Create(output, open),
            FuzzCommand.Create(output, open),
            BenchCommand.Create(output, open),
            CompressCommand.Create(output, open),
            CompressCommand.CreateBack(output, open),
            DemoCommand.Create(output),
        };
        root.SetAction(_ => CommandLineParser.Parse(root, ["--help"]).Invoke(
            new InvocationConfiguration { Output = output, Error = error }));
        return root;
    }
}
