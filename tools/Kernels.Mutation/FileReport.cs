namespace Kernels.Mutation;

/// <summary>What became of the mutants of a file.</summary>
internal sealed class FileReport
{
    /// <summary>How many compile and are in members that the operations reach.</summary>
    internal int Count => Killed + Survivors.Count + Equivalents.Count;

    internal int Killed { get; set; }

    /// <summary>Those of the killed that nothing refutes but the time they take.</summary>
    internal List<Mutant> TooLong { get; } = [];

    /// <summary>Those that pass, and are not known to be equivalent.</summary>
    internal List<Mutant> Survivors { get; } = [];

    /// <summary>Those that pass, and are known to be equivalent.</summary>
    internal List<Mutant> Equivalents { get; } = [];

    /// <summary>
    /// Members that could as well do nothing: the operations do not reach them. Their mutants are left out.
    /// </summary>
    internal List<string> Unreached { get; } = [];

    /// <summary>What is said to be equivalent and was killed, or is no mutant.</summary>
    internal List<KnownEquivalent> Stale { get; } = [];
}
