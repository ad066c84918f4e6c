namespace Kernels.Tools.Inspection;

/// <summary>What an instruction is for. Loads and stores are <see cref="MemoryAccess"/> and in no class.</summary>
internal enum InstructionClass
{
    /// <summary>Sums, products, magnitudes and extremes in binary32.</summary>
    F32,

    /// <summary>The same in binary16 or bfloat16.</summary>
    F16,

    /// <summary>The same in binary64, which no kernel should have.</summary>
    F64,

    /// <summary>A floating product and a sum in one instruction.</summary>
    Fma,

    /// <summary>Division, roots and transcendental functions.</summary>
    Special,

    /// <summary>Integer arithmetic, logic, shifts and addresses.</summary>
    Integer,

    /// <summary>Comparisons, selections and logic of their results.</summary>
    Comparison,

    /// <summary>From one type to another.</summary>
    Conversion,

    /// <summary>Copies of registers, constants and indices.</summary>
    Move,

    /// <summary>Loads of a kernel's arguments.</summary>
    Argument,

    /// <summary>Jumps, calls and returns.</summary>
    Branch,

    /// <summary>Barriers of a group, and fences.</summary>
    Barrier,

    /// <summary>What is in no other class.</summary>
    Other,
}

/// <summary>Where an access goes.</summary>
internal enum MemorySpace
{
    Global,
    Shared,
    Local,
}

/// <summary>What an access does.</summary>
internal enum AccessKind
{
    Load,
    Store,
    Atomic,
}

/// <summary>What a kernel had better not have.</summary>
[Flags]
internal enum CodeMarks
{
    None = 0,

    /// <summary>Arithmetic in binary64.</summary>
    Binary64 = 1,

    /// <summary>Memory of an item that is not a register.</summary>
    LocalMemory = 2,

    /// <summary>A function whose body is elsewhere.</summary>
    ExternalFunction = 4,

    /// <summary>An approximation of an error that is not stated.</summary>
    Approximation = 8,

    /// <summary>A branch that is marked as uniform and depends on a condition.</summary>
    PredicatedUniformBranch = 16,
}

/// <summary>Accesses of one kind.</summary>
/// <param name="Space">Where they go.</param>
/// <param name="Kind">What they do.</param>
/// <param name="Type">The type as the code writes it: <c>v4.f32</c>, <c>float</c>, <c>E.128</c>.</param>
/// <param name="Bits">Width of one access of one item.</param>
/// <param name="Count">How many the code has; one in a loop counts once.</param>
internal sealed record MemoryAccess(MemorySpace Space, AccessKind Kind, string Type, int Bits, int Count);

/// <summary>What can be counted in the code of one kernel without running it.</summary>
/// <param name="Instructions">Those that are no loads and stores.</param>
/// <param name="Accesses">Loads, stores and atomics: each space, kind and type once.</param>
/// <param name="SharedBytes">Declared for a group; of a size known only at the launch: <paramref name="IsSharedOpen"/>.</param>
/// <param name="IsSharedOpen">Whether the launch adds shared memory.</param>
/// <param name="LocalBytes">Declared for an item.</param>
/// <param name="Marks">What should not be there.</param>
internal sealed record CodeFacts(
    IReadOnlyDictionary<InstructionClass, int> Instructions, IReadOnlyList<MemoryAccess> Accesses, int SharedBytes,
    bool IsSharedOpen, int LocalBytes, CodeMarks Marks)
{
    /// <summary>All instructions, loads and stores too.</summary>
    internal int Total => Instructions.Values.Sum() + Accesses.Sum(access => access.Count);

    /// <summary>Bytes of global memory that an item moves when it passes every access of that kind once.</summary>
    internal int GlobalBytes(AccessKind kind) => Accesses
        .Where(access => access.Space == MemorySpace.Global && access.Kind == kind)
        .Sum(access => access.Bits / 8 * access.Count);
}

/// <summary>Counts while code is read.</summary>
internal sealed class CodeCounter
{
    private readonly SortedDictionary<InstructionClass, int> _instructions = [];
    private readonly SortedDictionary<(MemorySpace, AccessKind, int Bits, string Type), int> _accesses = [];

    internal void Add(InstructionClass kind) => _instructions[kind] = _instructions.GetValueOrDefault(kind) + 1;

    internal void Add(MemorySpace space, AccessKind kind, string type, int bits) =>
        _accesses[(space, kind, bits, type)] = _accesses.GetValueOrDefault((space, kind, bits, type)) + 1;

    internal CodeFacts Facts(int sharedBytes, bool isSharedOpen, int localBytes, CodeMarks marks) => new(
        _instructions,
        [.. _accesses.Select(a => new MemoryAccess(a.Key.Item1, a.Key.Item2, a.Key.Type, a.Key.Bits, a.Value))],
        sharedBytes, isSharedOpen, localBytes, marks);
}
