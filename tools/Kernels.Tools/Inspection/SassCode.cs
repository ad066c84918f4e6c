using System.Text.RegularExpressions;

namespace Kernels.Tools.Inspection;

/// <summary>Reads machine code as NVIDIA's <c>nvdisasm</c> writes it.</summary>
internal static partial class SassCode
{
    internal static CodeFacts Read(string sass)
    {
        var counter = new CodeCounter();
        foreach (Match match in Instruction().Matches(sass))
        {
            Count(counter, match.Groups["name"].Value, match.Groups["operands"].Value);
        }

        CodeFacts facts = counter.Facts(0, isSharedOpen: false, localBytes: 0, CodeMarks.None);
        return facts with
        {
            Marks = (facts.Instructions.ContainsKey(InstructionClass.F64) ? CodeMarks.Binary64 : CodeMarks.None)
                | (facts.Accesses.Any(access => access.Space == MemorySpace.Local) ? CodeMarks.LocalMemory : CodeMarks.None),
        };
    }

    private static void Count(CodeCounter counter, string name, string operands)
    {
        string[] parts = name.Split('.');
        (MemorySpace Space, AccessKind Kind)? access = parts[0] switch
        {
            "LD" or "LDG" => (MemorySpace.Global, AccessKind.Load),
            "ST" or "STG" => (MemorySpace.Global, AccessKind.Store),
            "ATOM" or "ATOMG" or "RED" => (MemorySpace.Global, AccessKind.Atomic),
            "LDS" => (MemorySpace.Shared, AccessKind.Load),
            "STS" => (MemorySpace.Shared, AccessKind.Store),
            "ATOMS" => (MemorySpace.Shared, AccessKind.Atomic),
            "LDL" => (MemorySpace.Local, AccessKind.Load),
            "STL" => (MemorySpace.Local, AccessKind.Store),
            _ => null,
        };
        if (access is { } known)
        {
            counter.Add(known.Space, known.Kind, string.Join('.', parts[1..]), BitsOf(parts));
        }
        else if (parts[0] is not "NOP")
        {
            counter.Add(ClassOf(parts, operands));
        }
    }

    private static InstructionClass ClassOf(string[] parts, string operands) => parts[0] switch
    {
        // Both move a constant on a pipe that is free.
        "HFMA2" when operands.Contains("-RZ, RZ", StringComparison.Ordinal) => InstructionClass.Move,
        "IMAD" when parts.Contains("MOV", StringComparer.Ordinal) => InstructionClass.Move,
        "FFMA" or "DFMA" or "HFMA2" => InstructionClass.Fma,
        "FADD" or "FMUL" or "FMNMX" or "FCHK" or "FSWZADD" => InstructionClass.F32,
        "HADD2" or "HMUL2" or "HMNMX2" => InstructionClass.F16,
        "DADD" or "DMUL" or "DSETP" or "DMNMX" => InstructionClass.F64,
        "MUFU" => InstructionClass.Special,
        "F2I" or "I2F" or "F2F" or "I2I" or "FRND" or "F2FP" or "I2FP" => InstructionClass.Conversion,
        "FSETP" or "ISETP" or "HSETP2" or "PLOP3" or "PSETP" or "SEL" or "FSEL" or "FSET" or "ISET" or "UISETP" or "USEL"
            or "UPLOP3" => InstructionClass.Comparison,
        "MOV" or "UMOV" or "CS2R" or "S2R" or "S2UR" or "R2UR" or "P2R" or "R2P" => InstructionClass.Move,
        "LDC" or "ULDC" => InstructionClass.Argument,
        "BRA" or "BRX" or "JMP" or "JMX" or "CALL" or "RET" or "EXIT" or "BSSY" or "BSYNC" or "BREAK" or "WARPSYNC"
            or "KILL" => InstructionClass.Branch,
        "BAR" or "MEMBAR" or "DEPBAR" or "ERRBAR" => InstructionClass.Barrier,
        "SHFL" or "VOTE" or "VOTEU" or "MATCH" or "NANOSLEEP" or "YIELD" => InstructionClass.Other,
        _ => InstructionClass.Integer,
    };

    private static int BitsOf(string[] parts) =>
        parts.Contains("128", StringComparer.Ordinal) ? 128
        : parts.Contains("64", StringComparer.Ordinal) ? 64
        : Array.Exists(parts, part => part is "U16" or "S16") ? 16
        : Array.Exists(parts, part => part is "U8" or "S8") ? 8
        : 32;

    [GeneratedRegex(
        @"/\*[0-9a-f]+\*/[ \t]+(?:@!?\w+[ \t]+)?(?<name>[A-Z][\w.]*)(?:[ \t]+(?<operands>[^;\n]*))?;",
        RegexOptions.ExplicitCapture)]
    private static partial Regex Instruction();
}
