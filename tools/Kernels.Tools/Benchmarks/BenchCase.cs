using System.Globalization;
using Kernels.Tools.Operations;

namespace Kernels.Tools.Benchmarks;

/// <summary>An operation at lengths and with options: what a line of <c>shapes.txt</c> or <c>--size</c> says.</summary>
/// <param name="Operation">The operation.</param>
/// <param name="Values">Lengths of symbols and values of options, as text, by name.</param>
/// <param name="Extras">Inputs that may be left out and are given.</param>
internal sealed record BenchCase(
    Operation Operation, IReadOnlyDictionary<string, string> Values, IReadOnlyCollection<string> Extras)
{
    private static readonly string[] s_counts = ["k", "classes"];

    /// <summary>As in <c>n=1024 k=16384</c>.</summary>
    internal string Shape => string.Join(
        ' ', Values.Select(value => $"{value.Key}={value.Value}").Concat(Extras.Select(extra => $"+{extra}")));

    /// <summary>Reads a line: an operation, then lengths, options and inputs.</summary>
    /// <exception cref="BadInputException">There is no such operation, length, option or input.</exception>
    internal static BenchCase Parse(string line)
    {
        string[] parts = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        return new BenchCase(OperationCatalog.Find(parts[0]), new Dictionary<string, string>(StringComparer.Ordinal), [])
            .With(parts[1..]);
    }

    /// <summary>With other lengths, options or inputs.</summary>
    /// <exception cref="BadInputException">There is no such length, option or input.</exception>
    internal BenchCase With(IEnumerable<string> changes)
    {
        var values = new Dictionary<string, string>(Values, StringComparer.Ordinal);
        var extras = new List<string>(Extras);
        foreach (string change in changes)
        {
            if (change.StartsWith('+'))
            {
                extras.Add(Operation.Inputs.FirstOrDefault(
                    input => input.IsOptional && string.Equals(input.Name, change[1..], StringComparison.Ordinal))?.Name
                    ?? throw new BadInputException($"{Operation.Name} has no input '{change[1..]}' that may be left out."));
                continue;
            }

            int equals = change.IndexOf('=', StringComparison.Ordinal);
            string name = equals < 0 ? change : change[..equals];
            if (equals < 0 || !(Symbols.Contains(name) || Operation.Options.Any(option => Is(option, name))))
            {
                throw new BadInputException(
                    $"{Operation.Name} has no length or option '{name}'. It has: "
                    + $"{string.Join(", ", Symbols.Concat(Operation.Options.Select(option => option.Name)))}; as in n=1024.");
            }

            values[name] = change[(equals + 1)..];
        }

        return new BenchCase(Operation, values, extras);
    }

    /// <summary>Whether a name is that of a length or an option.</summary>
    internal bool Has(string name) => Symbols.Contains(name) || Operation.Options.Any(option => Is(option, name));

    /// <summary>The context in which the operation runs.</summary>
    /// <exception cref="BadInputException">A length is missing, or a value is none.</exception>
    internal OperationContext Context(Session session, Meter meter)
    {
        var options = Operation.Options.Where(option => Values.ContainsKey(option.Name))
            .ToDictionary(option => option.Name, option => Option(option, Values[option.Name]), StringComparer.Ordinal);
        var random = new Random(1);
        var inputs = Operation.Inputs.Where(input => !input.IsOptional || Extras.Contains(input.Name, StringComparer.Ordinal))
            .ToDictionary(input => input.Name, input => Tensor(input, random), StringComparer.Ordinal);
        return new OperationContext(session, Operation, inputs, new OptionValues(Operation.Options, options), 0)
        {
            Meter = meter,
        };
    }

    private HashSet<string> Symbols => [.. Operation.Inputs.SelectMany(input => input.Shape).Where(s => char.IsLetter(s[0]))];

    private static bool Is(OptionSpec option, string name) => string.Equals(option.Name, name, StringComparison.Ordinal);

    private int Length(string symbol) => int.TryParse(symbol, CultureInfo.InvariantCulture, out int number)
        ? number
        : !Values.TryGetValue(symbol, out string? text)
            ? string.Equals(symbol, "T", StringComparison.Ordinal)
                ? 1
                : throw new BadInputException($"{Operation.Name} needs the length '{symbol}', as in {symbol}=1024.")
            : int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int length)
                ? length
                : throw new BadInputException($"The length '{symbol}' must be a whole number, and is '{text}'.");

    private HostTensor Tensor(TensorSpec input, Random random)
    {
        int[] shape = [.. input.Shape.Select(Length)];
        long count = shape.Aggregate(1L, (product, n) => Math.Min(product, int.MaxValue) * n);
        if (count > Array.MaxLength)
        {
            throw new BadInputException($"The input '{input.Name}', [{string.Join(", ", shape)}], is too large.");
        }

        if (input.Type == ElementType.Int32)
        {
            return new HostTensor(shape, Places(input, (int)count, random));
        }

        // Both signs between 2^-11 and 2^-1: no denormals, no overflow in any number of steps.
        var values = new float[count];
        for (int i = 0; i < values.Length; i++)
        {
            values[i] = (float)((random.NextDouble() + 0.001) * (random.Next(2) - 0.5));
        }

        switch (input.Name)
        {
            case "codebook":
                for (int row = 0; row < values.Length; row += shape[^1])
                {
                    values.AsSpan(row, shape[^1]).Sort();
                }

                break;
            case "clusterSize":
                values = Array.ConvertAll(values, Math.Abs);
                break;
        }

        return new HostTensor(shape, values);
    }

    /// <summary>Places among as many as there are: codes, classes, bytes, or columns that ascend.</summary>
    private int[] Places(TensorSpec input, int count, Random random)
    {
        bool ascends = Operation.Name.StartsWith("dct/", StringComparison.Ordinal);
        string? below = s_counts.FirstOrDefault(Values.ContainsKey);
        int most = string.Equals(input.Name, "packed", StringComparison.Ordinal) ? 256
            : below is null ? count
            : Length(below);
        return [.. Enumerable.Range(0, count).Select(i => ascends ? i : random.Next(most))];
    }

    private object Option(OptionSpec option, string text)
    {
        NumberFormatInfo format = NumberFormatInfo.InvariantInfo;
        object? value = option.Type switch
        {
            OptionType.Number when double.TryParse(text, format, out double number) => number,
            OptionType.Integer when long.TryParse(text, format, out long whole) => whole,
            OptionType.Boolean when bool.TryParse(text, out bool yes) => yes,
            OptionType.Choice when option.Choices!.Contains(text, StringComparer.Ordinal) => text,
            OptionType.Integers => Array.ConvertAll(text.Split(','), part => int.TryParse(part, format, out int n) ? n : -1),
            _ => null,
        };
        return value ?? throw new BadInputException(
            $"The option '{option.Name}' of {Operation.Name} must be {option.TypeName}, and is '{text}'.");
    }
}
