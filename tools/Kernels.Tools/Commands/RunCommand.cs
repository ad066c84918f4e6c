using System.CommandLine;
using System.Diagnostics;
using Kernels.Tools.Cases;
using Kernels.Tools.Operations;

namespace Kernels.Tools.Commands;

/// <summary><c>kernels run</c>: one operation on the inputs and options of a file.</summary>
internal static class RunCommand
{
    internal static Command Create(TextWriter output, Func<string?, Session> open)
    {
        var operation = new Argument<string>("operation")
        {
            Description = "Its name, such as optimizers/adam; 'kernels list' shows all of them.",
        };
        var @case = new Option<string>("--case")
        {
            Description =
                "JSON: {\"inputs\": {\"x\": {\"shape\": [2, 3], \"data\": [...]}, \"w\": {\"npy\": \"w.npy\"}}, "
                + "\"options\": {...}, \"shift\": 0}. Data is row by row; numbers that are not finite are \"NaN\", \"Infinity\", "
                + "\"-Infinity\"; .npy files lie relative to the case. All tensors begin \"shift\" elements past an "
                + "aligned address, 0 to 63.",
            HelpName = "case.json",
            Required = true,
        };
        Option<string?> device = CommandLine.DeviceOption();
        var @out = new Option<string?>("--out")
        {
            Description = "Where the result goes, JSON too; without it, to standard output.",
            HelpName = "out.json",
        };
        var command = new Command("run", "Runs one operation on the inputs and options of a file, from any language.")
        {
            operation,
            @case,
            device,
            @out,
        };
        command.SetAction(parsed => Run(
            parsed.GetRequiredValue(operation), parsed.GetRequiredValue(@case), () => open(parsed.GetValue(device)),
            parsed.GetValue(@out), output));
        return command;
    }

    private static int Run(string name, string casePath, Func<Session> open, string? outPath, TextWriter output)
    {
        Operation operation = OperationCatalog.Find(name);
        if (outPath is not null && (outPath.Length == 0 || Directory.Exists(outPath)
            || !Directory.Exists(Path.GetDirectoryName(Path.GetFullPath(outPath)))))
        {
            throw new BadInputException($"The result cannot go to '{outPath}': that is no file in a folder that exists.");
        }

        CaseFile @case = CaseFile.Read(casePath, operation);
        using Session session = open();
        string result = Run(operation, @case, session);
        if (outPath is null)
        {
            output.WriteLine(result);
        }
        else
        {
            WriteFile(outPath, result);
        }

        return CommandLine.Success;
    }

    private static string Run(Operation operation, CaseFile @case, Session session)
    {
        var context = new OperationContext(session, operation, @case.Inputs, @case.Options, @case.Shift);
        long start = Stopwatch.GetTimestamp();
        try
        {
            operation.Run(context);
            session.Synchronize();
        }
        catch (ArgumentException e)
        {
            throw new BadInputException($"{operation.Name}: {RecordOptions.Message(e, operation.Options)}", e);
        }

        return ResultFile.Write(operation, context, Stopwatch.GetElapsedTime(start));
    }

    private static void WriteFile(string path, string text)
    {
        try
        {
            File.WriteAllText(path, text + "\n");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new BadInputException($"The result cannot be written to '{path}': {e.Message}", e);
        }
    }
}
