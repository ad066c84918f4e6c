using System.Numerics;
using Kernels.References.Dct;

namespace Kernels.References.Fuzzing.Dct;

/// <summary>The option that names a transform.</summary>
internal static class DrawnBasis
{
    /// <summary>A transform, and a length that it has.</summary>
    internal static (string Basis, int Length) Draw(FuzzDraw draw, string symbol, int most)
    {
        string basis = draw.OneOf("dct2", "dct2", "dct3", "dct1", "dct4", "hadamard");
        draw.Cover(basis);
        int length = draw.Length(symbol, most);
        return (basis, basis is "hadamard" ? 1 << BitOperations.Log2((uint)length) : length);
    }

    /// <summary>The transform that an option names.</summary>
    internal static TransformKind Kind(FuzzCase given, string option) =>
        Enum.Parse<TransformKind>(given.Choice(option), ignoreCase: true);

    /// <summary>Whether the transform that an option names has a length.</summary>
    internal static bool Has(FuzzCase given, string option, int length) =>
        length >= 1 && (given.Choice(option) is not "hadamard" || BitOperations.IsPow2(length));

    /// <summary>Some of so many columns, ascending.</summary>
    internal static int[] Ascending(FuzzDraw draw, int count, int below)
    {
        // Floyd's: each set of that size is as likely.
        var chosen = new SortedSet<int>();
        for (int last = below - count; last < below; last++)
        {
            int one = draw.Below(last + 1);
            chosen.Add(chosen.Contains(one) ? last : one);
        }

        return [.. chosen];
    }

    /// <summary>Whether columns ascend, and are some of so many.</summary>
    internal static bool IsAscending(int[] index, int below) =>
        index.Select((column, i) => column >= 0 && column < below && (i == 0 || column > index[i - 1])).All(fits => fits);
}
