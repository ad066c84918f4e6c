using System.Globalization;
using System.Text.RegularExpressions;

namespace Kernels.Tools.Inspection;

/// <summary>Reads PTX as ILGPU writes it: one instruction in a line.</summary>
internal static partial class PtxCode
{
    internal static CodeFacts Read(string ptx)
    {
        var counter = new CodeCounter();
        HashSet<string> shared = SharedPointers(ptx);
        foreach (Match match in Instruction().Matches(ptx))
        {
            Count(counter, match.Groups["name"].Value, match.Groups["operands"].Value, shared);
        }

        return counter.Facts(
            DeclaredBytes(ptx, "shared"), OpenShared().IsMatch(ptx), DeclaredBytes(ptx, "local"), MarksOf(ptx));
    }

    private static void Count(CodeCounter counter, string name, string operands, HashSet<string> shared)
    {
        string[] parts = name.Split('.');
        string type = parts[^1];
        switch (parts[0])
        {
            case "ld" when parts.Contains("param", StringComparer.Ordinal):
                counter.Add(InstructionClass.Argument);
                break;
            case "ld" or "st" or "ldu" or "atom" or "red":
                string? vector = parts.FirstOrDefault(part => part is "v2" or "v4");
                counter.Add(
                    SpaceOf(parts, operands, shared),
                    parts[0] switch { "st" => AccessKind.Store, "atom" or "red" => AccessKind.Atomic, _ => AccessKind.Load },
                    vector is null ? type : $"{vector}.{type}",
                    BitsOf(type) * (vector is null ? 1 : vector[1] - '0'));
                break;
            default:
                counter.Add(ClassOf(parts[0], type));
                break;
        }
    }

    private static InstructionClass ClassOf(string name, string type) => name switch
    {
        "bra" or "brx" or "call" or "ret" or "exit" or "trap" => InstructionClass.Branch,
        "bar" or "barrier" or "membar" or "fence" => InstructionClass.Barrier,
        "setp" or "selp" or "slct" or "set" => InstructionClass.Comparison,
        "cvt" => InstructionClass.Conversion,
        "mov" or "cvta" => InstructionClass.Move,
        "shfl" or "vote" or "match" or "activemask" => InstructionClass.Other,
        _ => type switch
        {
            "pred" => InstructionClass.Comparison,
            "f64" => InstructionClass.F64,
            _ when !type.Contains('f', StringComparison.Ordinal) => InstructionClass.Integer,
            _ when name is "div" or "sqrt" or "rsqrt" or "rcp" or "ex2" or "lg2" or "sin" or "cos" or "tanh" =>
                InstructionClass.Special,
            _ when name is "fma" or "mad" => InstructionClass.Fma,
            "f32" => InstructionClass.F32,
            _ => InstructionClass.F16,
        },
    };

    /// <summary>An access without a space is to global memory, unless its address was made of a shared one.</summary>
    private static MemorySpace SpaceOf(string[] parts, string operands, HashSet<string> shared) =>
        parts.Contains("shared", StringComparer.Ordinal) ? MemorySpace.Shared
        : parts.Contains("local", StringComparer.Ordinal) ? MemorySpace.Local
        : Address().Match(operands) is { Success: true } address && shared.Contains(address.Groups[1].Value)
            ? MemorySpace.Shared
            : MemorySpace.Global;

    /// <summary>The registers with generic addresses of shared memory, and what is computed of them.</summary>
    private static HashSet<string> SharedPointers(string ptx)
    {
        HashSet<string> found = [.. SharedToGeneric().Matches(ptx).Select(match => match.Groups[1].Value)];
        if (found.Count == 0)
        {
            return found;
        }

        (string Target, string[] Sources)[] steps =
        [
            .. Instruction().Matches(ptx)
                .Where(match => match.Groups["name"].Value.EndsWith("64", StringComparison.Ordinal)
                    && !match.Groups["operands"].Value.Contains('[', StringComparison.Ordinal))
                .Select(match => match.Groups["operands"].Value.Split(',', StringSplitOptions.TrimEntries))
                .Select(operands => (operands[0], operands[1..])),
        ];
        int before;
        do
        {
            before = found.Count;
            found.UnionWith(steps.Where(step => step.Sources.Any(found.Contains)).Select(step => step.Target));
        }
        while (found.Count > before);

        return found;
    }

    private static int BitsOf(string type)
    {
        int digits = type.IndexOfAny(['0', '1', '2', '3', '4', '5', '6', '7', '8', '9']);
        return type is "f16x2" or "bf16x2" ? 32 : digits < 0 ? 0 : int.Parse(type[digits..], CultureInfo.InvariantCulture);
    }

    private static int DeclaredBytes(string ptx, string space) => Declaration().Matches(ptx)
        .Where(match => string.Equals(match.Groups["space"].Value, space, StringComparison.Ordinal))
        .Sum(match => BitsOf(match.Groups["type"].Value) / 8
            * int.Parse(match.Groups["count"].Value, CultureInfo.InvariantCulture));

    private static CodeMarks MarksOf(string ptx) =>
        (ptx.Contains(".f64", StringComparison.Ordinal) ? CodeMarks.Binary64 : CodeMarks.None)
        | (ptx.Contains(".local", StringComparison.Ordinal) ? CodeMarks.LocalMemory : CodeMarks.None)
        | (ptx.Contains(".extern .func", StringComparison.Ordinal) ? CodeMarks.ExternalFunction : CodeMarks.None)
        | (ptx.Contains(".approx", StringComparison.Ordinal) ? CodeMarks.Approximation : CodeMarks.None)
        | (PredicatedUniformBranch().IsMatch(ptx) ? CodeMarks.PredicatedUniformBranch : CodeMarks.None);

    [GeneratedRegex(
        @"^[ \t]*(?:@!?%\w+[ \t]+)?(?<name>[a-z]\w*(?:(?:\.|::)\w+)*)(?:[ \t]+(?<operands>[^;\n]*))?;",
        RegexOptions.Multiline | RegexOptions.ExplicitCapture)]
    private static partial Regex Instruction();

    [GeneratedRegex(@"\.(?<space>shared|local)[ \t]+(?:\.align[ \t]+[0-9]+[ \t]+)?\.(?<type>\w+)[ \t]+\w+\[(?<count>[0-9]+)\]")]
    private static partial Regex Declaration();

    [GeneratedRegex(@"\.extern\s+\.shared\b")]
    private static partial Regex OpenShared();

    [GeneratedRegex(@"\[(%\w+)")]
    private static partial Regex Address();

    [GeneratedRegex(@"cvta\.shared\.u64\s+(%\w+)")]
    private static partial Regex SharedToGeneric();

    [GeneratedRegex(@"@%?!?p\w*\s+bra\.uni")]
    private static partial Regex PredicatedUniformBranch();
}
