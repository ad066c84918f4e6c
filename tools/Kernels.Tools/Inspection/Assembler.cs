using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;

namespace Kernels.Tools.Inspection;

/// <summary>What NVIDIA's assembler says of a kernel.</summary>
/// <param name="Problem">Why it refuses the kernel; the numbers are then 0.</param>
/// <param name="Registers">Of one item.</param>
/// <param name="SpillStoreBytes">Registers written to memory for want of room.</param>
/// <param name="SpillLoadBytes">And read again.</param>
/// <param name="StackBytes">Memory of an item.</param>
/// <param name="SharedBytes">Of a group, but for what the launch adds.</param>
internal sealed record AssemblyReport(
    string? Problem, int Registers, int SpillStoreBytes, int SpillLoadBytes, int StackBytes, int SharedBytes);

/// <summary>NVIDIA's <c>ptxas</c>, and <c>nvdisasm</c> which makes text of its machine code. Neither needs a GPU.</summary>
internal sealed partial class Assembler
{
    /// <summary>The environment variable with the path of <c>ptxas</c>.</summary>
    internal const string Variable = "PTXAS";

    private readonly string _ptxas;

    private Assembler(string ptxas) => _ptxas = ptxas;

    /// <summary>The assembler that <see cref="Variable"/> names, or that of PATH, or null.</summary>
    /// <exception cref="BadInputException">The variable names no file.</exception>
    internal static Assembler? Find()
    {
        string? named = Environment.GetEnvironmentVariable(Variable);
        if (string.IsNullOrEmpty(named))
        {
            return OnPath("ptxas") is { } found ? new Assembler(found) : null;
        }

        return File.Exists(named)
            ? new Assembler(named)
            : throw new BadInputException($"{Variable} is the path of NVIDIA's assembler; there is no file '{named}'.");
    }

    /// <summary>Assembles PTX for an architecture.</summary>
    internal AssemblyReport Assemble(string ptx, string architecture)
    {
        string binary = Path.GetTempFileName();
        try
        {
            return Assemble(ptx, architecture, binary);
        }
        finally
        {
            File.Delete(binary);
        }
    }

    /// <summary>Assembles PTX and gives the machine code as text; none of a kernel that is refused.</summary>
    /// <param name="ptx">The kernel.</param>
    /// <param name="architecture">As in <c>sm_80</c>.</param>
    /// <param name="disassembler">Of <see cref="FindDisassembler"/>.</param>
    internal (AssemblyReport Report, string Sass) Disassemble(string ptx, string architecture, string disassembler)
    {
        string binary = Path.GetTempFileName();
        try
        {
            AssemblyReport report = Assemble(ptx, architecture, binary);
            if (report.Problem is not null)
            {
                return (report, "");
            }

            (int exitCode, string output) = Run(disassembler, ["-c", binary]);
            return exitCode == 0
                ? (report, output)
                : throw new BadInputException($"nvdisasm cannot read what ptxas made: {output.Trim()}");
        }
        finally
        {
            File.Delete(binary);
        }
    }

    /// <summary>The path of <c>nvdisasm</c>: beside the assembler, or in PATH.</summary>
    /// <exception cref="BadInputException">It is in neither place.</exception>
    internal string FindDisassembler()
    {
        string beside = Path.Combine(Path.GetDirectoryName(Path.GetFullPath(_ptxas))!, "nvdisasm");
        return File.Exists(beside) ? beside : OnPath("nvdisasm") ?? throw new BadInputException(
            $"Machine code is shown by NVIDIA's nvdisasm, which is neither beside '{_ptxas}' nor in PATH.");
    }

    private AssemblyReport Assemble(string ptx, string architecture, string binary)
    {
        string file = Path.GetTempFileName();
        try
        {
            File.WriteAllText(file, ptx);
            (int exitCode, string output) = Run(_ptxas, ["-v", $"-arch={architecture}", file, "-o", binary]);
            return exitCode == 0
                ? ReadReport(output)
                : new AssemblyReport(ErrorsOf(output.Replace(file, "the kernel", StringComparison.Ordinal)), 0, 0, 0, 0, 0);
        }
        finally
        {
            File.Delete(file);
        }
    }

    /// <summary>Reads what <c>ptxas -v</c> prints of one kernel.</summary>
    internal static AssemblyReport ReadReport(string output) => new(
        UsedRegisters().IsMatch(output) ? null : $"no registers are named: {output.Trim()}",
        Number(UsedRegisters(), output), Number(SpillStores(), output), Number(SpillLoads(), output),
        Number(StackFrame(), output), Number(SharedMemory(), output));

    private static string ErrorsOf(string output)
    {
        string[] lines = output.Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        string[] errors =
        [
            .. lines.Where(line => line.Contains("error", StringComparison.OrdinalIgnoreCase)
                || line.Contains("fatal", StringComparison.OrdinalIgnoreCase)),
        ];
        return string.Join(' ', errors.Length > 0 ? errors : lines);
    }

    private static int Number(Regex regex, string text) => regex.Match(text) is { Success: true } match
        ? int.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture)
        : 0;

    private static (int ExitCode, string Output) Run(string program, string[] arguments)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            UseShellExecute = false,
            RedirectStandardError = true,
            RedirectStandardOutput = true,
        };
        try
        {
            using Process process = Process.Start(start)!;
            Task<string> error = process.StandardError.ReadToEndAsync();
            string output = process.StandardOutput.ReadToEnd();
            process.WaitForExit();
            return (process.ExitCode, output + error.GetAwaiter().GetResult());
        }
        catch (System.ComponentModel.Win32Exception e)
        {
            throw new BadInputException($"'{program}' does not start: {e.Message}", e);
        }
    }

    private static string? OnPath(string program) =>
        (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries)
            .SelectMany(folder => new[] { Path.Combine(folder, program), Path.Combine(folder, program + ".exe") })
            .FirstOrDefault(File.Exists);

    [GeneratedRegex(@"Used (\d+) registers")]
    private static partial Regex UsedRegisters();

    [GeneratedRegex(@"(\d+) bytes spill stores")]
    private static partial Regex SpillStores();

    [GeneratedRegex(@"(\d+) bytes spill loads")]
    private static partial Regex SpillLoads();

    [GeneratedRegex(@"(\d+) bytes stack frame")]
    private static partial Regex StackFrame();

    [GeneratedRegex(@"(\d+) bytes smem")]
    private static partial Regex SharedMemory();
}
