using System.Globalization;

namespace Kernels.References.Fuzzing.VectorQuantization;

/// <summary>What several operations on rows and codes are judged by.</summary>
internal static class VectorVerdicts
{
    /// <summary>
    /// As <see cref="FuzzVerdict.Compare(string, ReadOnlySpan{Bounded}, ReadOnlySpan{int})"/>; and where the value is
    /// not finite, for an input of it is not, the output must not be either, though it may be another.
    /// </summary>
    internal static void CompareAll(
        this FuzzVerdict verdict, string name, ReadOnlySpan<Bounded> expected, params ReadOnlySpan<int> shape)
    {
        float[] measured = verdict.Floats(name, shape);
        for (int i = 0; i < measured.Length; i++)
        {
            verdict.CompareAny(name, i, expected[i], measured[i]);
        }
    }

    /// <summary>The same of one element.</summary>
    internal static void CompareAny(this FuzzVerdict verdict, string name, int i, Bounded expected, float measured)
    {
        if (double.IsFinite(expected.Value) || double.IsNaN(expected.Bound) || !float.IsFinite(measured))
        {
            verdict.Compare(name, i, expected, measured);
        }
        else
        {
            verdict.Fail(string.Create(
                CultureInfo.InvariantCulture,
                $"{name}[{i}] is {measured:R}, and must be {expected.Value:R} or a NaN."));
        }
    }

    /// <summary>The indices with -1 for all that are no codes.</summary>
    internal static int[] Clean(int[] index, int k) => Array.ConvertAll(index, i => i >= 0 && i < k ? i : -1);

    /// <summary>The numbers as they are.</summary>
    internal static Bounded[] Exactly(ReadOnlySpan<float> values)
    {
        var exact = new Bounded[values.Length];
        for (int i = 0; i < exact.Length; i++)
        {
            exact[i] = values[i];
        }

        return exact;
    }

    /// <summary>The case without one of some inputs that it can do without.</summary>
    internal static IEnumerable<FuzzCase> WithoutOne(FuzzCase given, params string[] inputs) =>
        inputs.Where(given.Has).Select(given.Without);
}
