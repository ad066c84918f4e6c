namespace Kernels.References.Fuzzing;

/// <summary>An operation that can be fuzzed: how a case is drawn, and what its outputs must be.</summary>
/// <remarks>Inputs, options and outputs are those of <c>kernels run</c> under the same name.</remarks>
public abstract class FuzzTarget
{
    /// <summary>As in <c>optimizers/adam</c>.</summary>
    public abstract string Name { get; }

    /// <summary>
    /// The inputs and their dimensions in symbols: the same symbol has the same length everywhere, and a case is made
    /// smaller along it. A dimension that cannot be made smaller for itself is null.
    /// </summary>
    public abstract IReadOnlyDictionary<string, IReadOnlyList<string?>> Inputs { get; }

    /// <summary>The options and what they are by default; one that must be given has its simplest value here.</summary>
    public abstract IReadOnlyDictionary<string, object> Options { get; }

    /// <summary>Draws a case.</summary>
    /// <param name="draw">The random numbers; it is told the classes of the case.</param>
    /// <returns>The case, with all options.</returns>
    public abstract FuzzCase Draw(FuzzDraw draw);

    /// <summary>Judges the outputs of a case.</summary>
    /// <param name="given">The case, one of those that <see cref="Admits(FuzzCase)"/>.</param>
    /// <param name="outputs">What an implementation made of it.</param>
    /// <returns>The verdict.</returns>
    public FuzzVerdict Judge(FuzzCase given, IReadOnlyDictionary<string, FuzzTensor> outputs)
    {
        ArgumentNullException.ThrowIfNull(given);
        ArgumentNullException.ThrowIfNull(outputs);
        var verdict = new FuzzVerdict(outputs);
        Judge(given, verdict);
        return verdict;
    }

    /// <summary>Whether a case that was made smaller is still a case of the operation.</summary>
    /// <param name="given">The case, with all inputs and options.</param>
    /// <returns>Whether implementations must take it.</returns>
    public virtual bool Admits(FuzzCase given) => true;

    /// <summary>Smaller or simpler cases in ways of the operation's own, the smallest first; tried before all others.</summary>
    /// <param name="given">The case.</param>
    /// <returns>Other cases; those that are not admitted are left out.</returns>
    public virtual IEnumerable<FuzzCase> Simplify(FuzzCase given) => [];

    /// <summary>Compares the outputs with the oracle's.</summary>
    /// <param name="given">The case.</param>
    /// <param name="verdict">Has the outputs, and takes what is wrong with them.</param>
    protected abstract void Judge(FuzzCase given, FuzzVerdict verdict);

    /// <summary>The options with some that are not the default.</summary>
    /// <param name="changes">Names and values.</param>
    /// <returns>All options.</returns>
    protected IReadOnlyDictionary<string, object> With(params ReadOnlySpan<(string Name, object Value)> changes)
    {
        var options = new Dictionary<string, object>(Options, StringComparer.Ordinal);
        foreach ((string name, object value) in changes)
        {
            options[name] = Options.ContainsKey(name)
                ? value
                : throw new ArgumentException($"{Name} has no option '{name}'.", nameof(changes));
        }

        return options;
    }
}
