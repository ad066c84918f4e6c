using System.Globalization;
using System.Reflection;

namespace Kernels.Tools.Operations;

/// <summary>
/// The options of an operation taken from an options record of the library: every property is an option, with the
/// record's own default, so that neither can be forgotten.
/// </summary>
internal static class RecordOptions
{
    private static readonly Dictionary<string, string> s_meanings = new(StringComparer.Ordinal)
    {
        ["learningRate"] = "Step size, at least 0.",
        ["weightDecay"] = "Weight decay, at least 0.",
        ["decoupled"] = "Decay shrinks the parameter instead of growing the gradient.",
        ["maximize"] = "Climb instead of descending.",
        ["momentum"] = "Momentum, in [0, 1).",
        ["dampening"] = "Share of the gradient kept out of the momentum from the second step on, in [0, 1].",
        ["nesterov"] = "Nesterov's momentum; needs a momentum and no dampening.",
        ["beta1"] = "Decay of the first average, in [0, 1).",
        ["beta2"] = "Decay of the second average, in [0, 1).",
        ["epsilon"] = "Added to the denominator, above 0.",
        ["amsgrad"] = "Divide by the root of the largest second moment so far.",
        ["amsgradRule"] = "Which maximum amsgrad keeps: of the raw moment (torch) or of the corrected one (optax).",
        ["alpha"] = "Decay of the mean square, in [0, 1).",
        ["centered"] = "Divide by the root of the variance instead of the mean square.",
        ["rectify"] = "Rectify the variance of the adaptive rate in the first steps.",
        ["degeneratedToSgd"] = "Where rectification turns the adaptive rate off: take a momentum step, or none.",
        ["fixedDecay"] = "Decoupled decay by 1 - weightDecay, whatever the learning rate.",
        ["initialAccumulator"] = "What the sum of squares starts with.",
        ["beta2Decay"] = "The share of the new squares at step t is t to this power; at most 0.",
        ["epsilon1"] = "Least mean of the row means, and least root; above 0.",
        ["epsilon2"] = "Least size of the parameters that a step is relative to, at least 0.",
        ["clipThreshold"] = "Largest root mean square of an update, at least 1.",
        ["rank"] = "r, columns that are kept, 1 to the length of the basis.",
        ["updateInterval"] = "Columns are chosen anew at step 1 and at those that this divides, at least 1.",
        ["rotate"] = "States move with their columns to a new choice.",
        ["errorFeedback"] = "How what a projection loses is kept for the next step.",
        ["scale"] = "What the orthogonal update is multiplied by: jordan max(1, rows/n)^(1/2), kimi 0.2 max(rows, n)^(1/2), "
            + "dion (rows/n)^(1/2).",
        ["learningRateDecay"] = "The rate of step t is learningRate / (1 + (t - 1) learningRateDecay).",
    };

    /// <summary>The options of a record.</summary>
    internal static IReadOnlyList<OptionSpec> Describe<T>(params IReadOnlyList<string> without)
        where T : new()
    {
        var standard = new T();
        return
        [
            .. Properties(typeof(T))
                .Where(p => !without.Contains(NameOf(p), StringComparer.Ordinal))
                .Select(p => Describe(p, p.GetValue(standard))),
        ];
    }

    /// <summary>The record with the options that are given.</summary>
    internal static T Bind<T>(OptionValues values)
        where T : new()
    {
        object record = new T();
        foreach (PropertyInfo property in Properties(typeof(T)))
        {
            if (values.IsGiven(NameOf(property)))
            {
                property.SetValue(record, Convert(values.Value(NameOf(property)), property.PropertyType));
            }
        }

        return (T)record;
    }

    /// <summary>A message of the library, with the option named as in the case.</summary>
    internal static string Message(ArgumentException exception, IReadOnlyList<OptionSpec> specs)
    {
        string message = Messages.Of(exception);
        int end = message.IndexOf(' ', StringComparison.Ordinal);
        OptionSpec? named = end < 0
            ? null
            : specs.FirstOrDefault(s => string.Equals(s.Name, message[..end], StringComparison.OrdinalIgnoreCase));
        return named is null ? message : named.Name + message[end..];
    }

    private static IEnumerable<PropertyInfo> Properties(Type type) => type
        .GetProperties(BindingFlags.Public | BindingFlags.Instance)
        .Where(p => p.CanWrite && TypeOf(p.PropertyType) is not null)
        .OrderBy(p => Order(p.Name))
        .ThenBy(p => p.MetadataToken);

    // Those that every optimizer has, where people look for them: the rate first, the rest last.
    private static int Order(string name) => name switch
    {
        "LearningRate" => 0,
        "WeightDecay" => 2,
        "Decoupled" => 3,
        "FixedDecay" => 4,
        "Maximize" => 5,
        _ => 1,
    };

    private static OptionSpec Describe(PropertyInfo property, object? standard)
    {
        string name = NameOf(property);
        Type type = Nullable.GetUnderlyingType(property.PropertyType) ?? property.PropertyType;
        OptionType kind = TypeOf(type)!.Value;
        string meaning = s_meanings.GetValueOrDefault(name)
            ?? throw new InvalidOperationException($"The option '{name}' has no description.");
        return new OptionSpec(
            name,
            kind,
            kind switch
            {
                OptionType.Choice => CamelCase(standard!.ToString()!),
                OptionType.Integer when standard is not null =>
                    System.Convert.ToInt64(standard, CultureInfo.InvariantCulture),
                _ => standard,
            },
            meaning,
            kind == OptionType.Choice ? [.. Enum.GetNames(type).Select(CamelCase)] : null);
    }

    private static object? Convert(object? value, Type type)
    {
        type = Nullable.GetUnderlyingType(type) ?? type;
        return value switch
        {
            string word when type.IsEnum => Enum.Parse(type, word, ignoreCase: true),
            long whole when type == typeof(int) => whole is >= int.MinValue and <= int.MaxValue
                ? (int)whole
                : throw new BadInputException($"The whole number {whole} does not fit 32 bits."),
            _ => value,
        };
    }

    private static OptionType? TypeOf(Type type)
    {
        type = Nullable.GetUnderlyingType(type) ?? type;
        return type == typeof(double) ? OptionType.Number
            : type == typeof(bool) ? OptionType.Boolean
            : type == typeof(int) || type == typeof(long) ? OptionType.Integer
            : type.IsEnum ? OptionType.Choice
            : null;
    }

    private static string NameOf(PropertyInfo property) => CamelCase(property.Name);

    // AMSGrad is one word in a case, as in PyTorch.
    private static string CamelCase(string name)
    {
        if (name.StartsWith("AmsGrad", StringComparison.Ordinal))
        {
            name = "amsgrad" + name["AmsGrad".Length..];
        }

        return char.ToLowerInvariant(name[0]) + name[1..];
    }
}
