using System.Numerics;
using Kernels.Dct;

namespace Kernels.Tools.Operations;

/// <summary>What the operations on transformed lines share.</summary>
internal static class BasisOption
{
    internal static OptionSpec Spec(string name, string meaning) =>
        OptionSpec.Choice(name, "dct2", meaning, "dct2", "dct3", "dct1", "dct4", "hadamard");

    /// <summary>The basis that the option names, for lines of this length.</summary>
    internal static Basis Chosen(OperationContext context, string name, int length)
    {
        Basis basis = Enum.Parse<Basis>(context.Options.Choice(name), ignoreCase: true);
        if (length is < 1 or > Transform.MaxLength)
        {
            throw new BadInputException(
                $"A line that is transformed must have 1 to {Transform.MaxLength} numbers, and has {length}.");
        }

        if (basis == Basis.Hadamard && !BitOperations.IsPow2(length))
        {
            throw new BadInputException(
                $"The option '{name}' may be 'hadamard' for lines of a power of two of numbers, and these have {length}.");
        }

        return basis;
    }

    /// <summary>An option that has no default, a whole number in this range.</summary>
    internal static int Wanted(OperationContext context, string name, int least, int most)
    {
        if (!context.Options.IsGiven(name))
        {
            throw new BadInputException($"The option '{name}' is missing.");
        }

        long value = context.Options.Integer(name);
        return value >= least && value <= most
            ? (int)value
            : throw new BadInputException($"The option '{name}' must be in [{least}, {most}], and is {value}.");
    }

    /// <summary>Chosen columns, of so many.</summary>
    internal static int[] Ascending(OperationContext context, string input, int length)
    {
        int[] index = context.Integers(input);
        for (int i = 0; i < index.Length; i++)
        {
            if (index[i] < 0 || index[i] >= length)
            {
                throw new BadInputException($"The input '{input}' must be in [0, {length}), and has {index[i]}.");
            }

            if (i > 0 && index[i] <= index[i - 1])
            {
                throw new BadInputException(
                    $"The input '{input}' must ascend, and has {index[i]} behind {index[i - 1]}.");
            }
        }

        return index;
    }
}
