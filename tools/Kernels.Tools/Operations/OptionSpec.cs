namespace Kernels.Tools.Operations;

/// <summary>What an option takes.</summary>
internal enum OptionType
{
    /// <summary>A number, binary64.</summary>
    Number,

    /// <summary>A whole number.</summary>
    Integer,

    /// <summary>true or false.</summary>
    Boolean,

    /// <summary>One of several words.</summary>
    Choice,

    /// <summary>A list of whole numbers.</summary>
    Integers,
}

/// <summary>An option of an operation.</summary>
/// <param name="Name">Its name in the case.</param>
/// <param name="Type">What it takes.</param>
/// <param name="Default">What it is if not given; null says that in words in the meaning.</param>
/// <param name="Meaning">One line for people.</param>
/// <param name="Choices">The words of a choice.</param>
internal sealed record OptionSpec(
    string Name, OptionType Type, object? Default, string Meaning, IReadOnlyList<string>? Choices = null)
{
    internal static OptionSpec Number(string name, double? standard, string meaning) =>
        new(name, OptionType.Number, standard, meaning);

    internal static OptionSpec Integer(string name, long? standard, string meaning) =>
        new(name, OptionType.Integer, standard, meaning);

    internal static OptionSpec Boolean(string name, bool standard, string meaning) =>
        new(name, OptionType.Boolean, standard, meaning);

    internal static OptionSpec Choice(string name, string? standard, string meaning, params string[] choices) =>
        new(name, OptionType.Choice, standard, meaning, choices);

    internal static OptionSpec Integers(string name, string meaning) => new(name, OptionType.Integers, null, meaning);

    internal string TypeName => Type switch
    {
        OptionType.Number => "number",
        OptionType.Integer => "integer",
        OptionType.Boolean => "boolean",
        OptionType.Choice => "choice",
        _ => "integers",
    };
}

/// <summary>The options of a case, checked against their descriptions.</summary>
internal sealed class OptionValues(IReadOnlyList<OptionSpec> specs, IReadOnlyDictionary<string, object> given)
{
    internal bool IsGiven(string name) => given.ContainsKey(name);

    internal double Number(string name) => (double)Value(name)!;

    internal long Integer(string name) => (long)Value(name)!;

    internal bool Boolean(string name) => (bool)Value(name)!;

    internal string Choice(string name) => (string)Value(name)!;

    internal int[]? Integers(string name) => (int[]?)Value(name);

    /// <summary>The value, or the default.</summary>
    internal object? Value(string name) => given.TryGetValue(name, out object? value)
        ? value
        : specs.Single(s => string.Equals(s.Name, name, StringComparison.Ordinal)).Default;
}
