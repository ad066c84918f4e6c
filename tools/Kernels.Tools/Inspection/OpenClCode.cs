using System.Globalization;
using System.Text.RegularExpressions;

namespace Kernels.Tools.Inspection;

/// <summary>Reads OpenCL C as ILGPU writes it: one operation in a line, every variable declared before.</summary>
internal sealed partial class OpenClCode
{
    private readonly Dictionary<string, (MemorySpace Space, string Type)> _pointers = new(StringComparer.Ordinal);
    private readonly Dictionary<string, string[]> _structs = new(StringComparer.Ordinal);
    private readonly Dictionary<string, string> _variables = new(StringComparer.Ordinal);
    private readonly CodeCounter _counter = new();
    private int _sharedBytes;
    private int _localBytes;

    private OpenClCode() { }

    internal static CodeFacts Read(string source)
    {
        var code = new OpenClCode();
        foreach (Match match in Typedef().Matches(source))
        {
            code._pointers[match.Groups["name"].Value] = (SpaceOf(match.Groups["space"].Value), match.Groups["type"].Value);
        }

        foreach (Match match in Struct().Matches(source))
        {
            code._structs[match.Groups["name"].Value] =
                [.. Field().Matches(match.Groups["fields"].Value).Select(field => field.Groups["type"].Value)];
        }

        int start = Math.Max(0, source.IndexOf("kernel void", StringComparison.Ordinal));
        foreach (string line in source[start..].Split('\n'))
        {
            code.ReadLine(line.Trim());
        }

        bool isOpen = source.Contains("dynamic_shared_memory", StringComparison.Ordinal);
        return code._counter.Facts(
            code._sharedBytes, isOpen, code._localBytes,
            (source.Contains("double", StringComparison.Ordinal) ? CodeMarks.Binary64 : CodeMarks.None)
            | (code._localBytes > 0 ? CodeMarks.LocalMemory : CodeMarks.None));
    }

    private void ReadLine(string line)
    {
        if (Declaration().Match(line) is { Success: true } declaration)
        {
            Declare(declaration);
        }
        else if (Load().Match(line) is { Success: true } load)
        {
            Access(AccessKind.Load, load.Groups[1].Value);
        }
        else if (Store().Match(line) is { Success: true } store)
        {
            Access(AccessKind.Store, store.Groups[1].Value);
        }
        else if (Atomic().Match(line) is { Success: true } atomic)
        {
            Access(AccessKind.Atomic, atomic.Groups[1].Value);
        }
        else if (ClassOf(line) is { } kind)
        {
            _counter.Add(kind);
        }
    }

    private void Declare(Match declaration)
    {
        string type = declaration.Groups["type"].Value;
        string name = declaration.Groups["name"].Value;
        string space = declaration.Groups["space"].Value;
        if (declaration.Groups["count"] is { Success: true } count)
        {
            int bytes = Bytes(type) * int.Parse(count.Value, CultureInfo.InvariantCulture);
            _sharedBytes += string.Equals(space, "local", StringComparison.Ordinal) ? bytes : 0;
            _localBytes += string.Equals(space, "local", StringComparison.Ordinal) ? 0 : bytes;
        }
        else
        {
            _variables[name] = type;
            if (type.EndsWith('*'))
            {
                _pointers[type] = (SpaceOf(space), type[..^1]);
            }
        }
    }

    private void Access(AccessKind kind, string variable)
    {
        string? type = _variables.GetValueOrDefault(variable);
        (MemorySpace space, string target) = type is null
            ? (MemorySpace.Global, "unknown")
            : _pointers.GetValueOrDefault(type, (MemorySpace.Global, type.TrimEnd('*')));
        _counter.Add(space, kind, TextOf(target), Bytes(target) * 8);
    }

    /// <summary>A struct as what it holds, since its name is a number: <c>4 float</c>.</summary>
    private string TextOf(string type) => !_structs.TryGetValue(type, out string[]? fields) ? type
        : Array.TrueForAll(fields, field => string.Equals(field, fields[0], StringComparison.Ordinal)) ? $"{fields.Length} {TextOf(fields[0])}"
        : "struct";

    private int Bytes(string type) => type switch
    {
        "char" or "uchar" or "bool" => 1,
        "short" or "ushort" or "half" => 2,
        "int" or "uint" or "float" => 4,
        _ when _structs.TryGetValue(type, out string[]? fields) => Padded(fields),
        _ => 8,
    };

    private int Padded(string[] fields)
    {
        int offset = 0;
        int largest = 1;
        foreach (string field in fields)
        {
            int alignment = Alignment(field);
            largest = Math.Max(largest, alignment);
            offset = (offset + alignment - 1) / alignment * alignment + Bytes(field);
        }

        return (offset + largest - 1) / largest * largest;
    }

    private int Alignment(string type) => _structs.TryGetValue(type, out string[]? fields)
        ? fields.Select(Alignment).DefaultIfEmpty(1).Max()
        : Bytes(type);

    private static InstructionClass? ClassOf(string line) =>
        line.StartsWith("goto ", StringComparison.Ordinal) || line.StartsWith("return", StringComparison.Ordinal)
            ? InstructionClass.Branch
        : line.Contains("barrier", StringComparison.Ordinal) || line.Contains("mem_fence", StringComparison.Ordinal)
            ? InstructionClass.Barrier
        : !line.Contains('=', StringComparison.Ordinal) ? null
        : Comparison().IsMatch(line) ? InstructionClass.Comparison
        : Operation().Match(line) is { Success: true } operation
            ? ArithmeticOf(operation.Groups["type"].Value, operation.Groups["name"].Value)
        : Conversion().IsMatch(line) ? InstructionClass.Conversion
        : Address().IsMatch(line) ? InstructionClass.Integer
        : InstructionClass.Move;

    private static InstructionClass ArithmeticOf(string type, string name) => type switch
    {
        "bool" => InstructionClass.Comparison,
        "double" => InstructionClass.F64,
        "float" or "half" => name switch
        {
            "fma" or "mad" => InstructionClass.Fma,
            "+" or "-" or "*" or "fabs" or "fmin" or "fmax" or "min" or "max" =>
                type is "half" ? InstructionClass.F16 : InstructionClass.F32,
            _ => InstructionClass.Special,
        },
        _ => InstructionClass.Integer,
    };

    private static MemorySpace SpaceOf(string space) => space switch
    {
        "local" => MemorySpace.Shared,
        "private" => MemorySpace.Local,
        _ => MemorySpace.Global,
    };

    [GeneratedRegex(
        @"^typedef (?:(?<space>global|local|private) )?(?:struct )?(?<type>\w+)\* (?<name>\w+);",
        RegexOptions.Multiline | RegexOptions.ExplicitCapture)]
    private static partial Regex Typedef();

    [GeneratedRegex(
        @"^struct (?<name>\w+)\s*\{(?<fields>[^}]*)\}", RegexOptions.Multiline | RegexOptions.ExplicitCapture)]
    private static partial Regex Struct();

    [GeneratedRegex(@"(?:struct )?(?<type>\w+) \w+(?:\[[0-9]+\])?;", RegexOptions.ExplicitCapture)]
    private static partial Regex Field();

    [GeneratedRegex(
        @"^(?:(?<space>global|local|private) )?(?:struct )?(?<type>[a-z]\w*\*?) (?<name>(?:var|view_|shared_var)\w*)"
        + @"(?:\[(?<count>[0-9]+)\])?[;,)]",
        RegexOptions.ExplicitCapture)]
    private static partial Regex Declaration();

    [GeneratedRegex(@"^\S+ =\s+\*\s+(\w+);")]
    private static partial Regex Load();

    [GeneratedRegex(@"^\*\s+(\w+) =")]
    private static partial Regex Store();

    [GeneratedRegex(@"atomic_\w+ \(\(atomic_\w+\*\)\s*(\w+)")]
    private static partial Regex Atomic();

    [GeneratedRegex(@" (?:==|!=|<|>|<=|>=) |\?")]
    private static partial Regex Comparison();

    [GeneratedRegex(
        @"= \((?<type>\w+)\)(?: (?<name>\w+) ?\(|\(\(\w+\) ?\S+ +(?<name>[-+*/%&|^]|<<|>>) |\( (?<name>[-~]) )",
        RegexOptions.ExplicitCapture)]
    private static partial Regex Operation();

    [GeneratedRegex(@"= \(\w+\)\(\w+\) \w+;")]
    private static partial Regex Conversion();

    [GeneratedRegex(@"=\s*&")]
    private static partial Regex Address();
}
