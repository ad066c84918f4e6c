using System.Globalization;

namespace Kernels.References.Fuzzing;

/// <summary>How much to fuzz.</summary>
public sealed record FuzzSettings
{
    /// <summary>The most cases.</summary>
    public int Cases { get; init; } = 1000;

    /// <summary>The longest time, after which no further case is begun; the shrinking of a failure comes on top.</summary>
    public TimeSpan Time { get; init; } = TimeSpan.MaxValue;

    /// <summary>The seed of all cases.</summary>
    public int Seed { get; init; } = 1;

    /// <summary>The number of the first case.</summary>
    public int First { get; init; }

    /// <summary>The longest time to make a failure smaller.</summary>
    public TimeSpan ShrinkTime { get; init; } = TimeSpan.FromSeconds(20);

    /// <summary>Told after each case how many there were and the worst error as a share of its bound.</summary>
    public Action<int, double>? Progress { get; init; }
}

/// <summary>What came of fuzzing an operation.</summary>
/// <param name="Name">The operation.</param>
/// <param name="Seed">The seed of all cases.</param>
/// <param name="Cases">How many cases there were, the one that failed among them.</param>
/// <param name="WorstShare">The worst error as a share of its bound, of the cases that passed.</param>
/// <param name="Classes">How many cases belonged to each class.</param>
/// <param name="Failure">The case that failed, if one did.</param>
public sealed record FuzzReport(
    string Name, int Seed, int Cases, double WorstShare, IReadOnlyDictionary<string, int> Classes, FuzzFailure? Failure)
{
    /// <summary>How many of the cases the implementation did not take.</summary>
    public int NotTaken { get; init; }

    /// <summary>Whether all cases that were taken passed, and not every one was left out.</summary>
    public bool Passed => Failure is null && (Cases == 0 || NotTaken < Cases);

    /// <inheritdoc/>
    public override string ToString() => Failure is null
        ? string.Create(
            CultureInfo.InvariantCulture,
            $"{Name}: {Cases - NotTaken} cases of seed {Seed} passed, the worst error was {WorstShare:0.00} of its bound.")
        : string.Create(
            CultureInfo.InvariantCulture,
            $"{Name}: case {Failure.Index} of seed {Seed} failed; with {Failure.Case.Elements} elements: {Failure.Message}");
}

/// <summary>A case that failed.</summary>
/// <param name="Index">Its number.</param>
/// <param name="Drawn">The case as it was drawn.</param>
/// <param name="Case">A small case that fails too.</param>
/// <param name="Message">What is wrong with the outputs of the small case.</param>
public sealed record FuzzFailure(int Index, FuzzCase Drawn, FuzzCase Case, string Message);
