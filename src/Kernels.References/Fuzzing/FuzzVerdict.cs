using System.Globalization;

namespace Kernels.References.Fuzzing;

/// <summary>What an oracle says of the outputs of one case.</summary>
/// <param name="outputs">The outputs by name.</param>
public sealed class FuzzVerdict(IReadOnlyDictionary<string, FuzzTensor> outputs)
{
    /// <summary>The worst error as a share of its bound; above 1 is wrong. 0 where all is exact.</summary>
    public double WorstShare { get; private set; }

    /// <summary>Whether the implementation takes such a case at all.</summary>
    public bool IsTaken { get; internal init; } = true;

    /// <summary>What is wrong first of all; null if nothing is.</summary>
    public string? Failure { get; private set; }

    /// <summary>The numbers of an output.</summary>
    /// <param name="name">The output.</param>
    /// <param name="shape">The shape that it must have.</param>
    /// <returns>The numbers; empty, and a failure, if there is no such output.</returns>
    public float[] Floats(string name, params ReadOnlySpan<int> shape) => Output(name, shape)?.Data switch
    {
        float[] floats => floats,
        null => [],
        _ => Wrong<float>($"{name} must be binary32 numbers, and is integers."),
    };

    /// <summary>The integers of an output.</summary>
    /// <param name="name">The output.</param>
    /// <param name="shape">The shape that it must have.</param>
    /// <returns>The integers; empty, and a failure, if there is no such output.</returns>
    public int[] Integers(string name, params ReadOnlySpan<int> shape) => Output(name, shape)?.Data switch
    {
        int[] integers => integers,
        null => [],
        _ => Wrong<int>($"{name} must be integers, and is binary32 numbers."),
    };

    /// <summary>Says that something is wrong.</summary>
    /// <param name="what">A sentence.</param>
    public void Fail(string what)
    {
        Failure ??= what;
        WorstShare = double.PositiveInfinity;
    }

    /// <summary>Compares an output with what it must be within its bounds.</summary>
    /// <param name="name">The output.</param>
    /// <param name="expected">What it must be, row by row.</param>
    /// <param name="shape">The shape that it must have; none for a vector.</param>
    public void Compare(string name, ReadOnlySpan<Bounded> expected, params ReadOnlySpan<int> shape)
    {
        float[] measured = shape.IsEmpty ? Floats(name, expected.Length) : Floats(name, shape);
        for (int i = 0; i < measured.Length; i++)
        {
            Compare(name, i, expected[i], measured[i]);
        }
    }

    /// <summary>Compares one element of an output.</summary>
    /// <param name="name">The output.</param>
    /// <param name="i">The place of the element.</param>
    /// <param name="expected">What it must be.</param>
    /// <param name="measured">What it is.</param>
    public void Compare(string name, int i, Bounded expected, float measured)
    {
        if (!expected.Admits(measured))
        {
            Fail(string.Create(
                CultureInfo.InvariantCulture,
                $"{name}[{i}] is {measured:R}, and must be {expected.Value:R} within {expected.Bound:0.###e+0}."));
        }
        else if (expected.IsInDomain && measured != expected.Value)
        {
            WorstShare = Math.Max(WorstShare, Math.Abs(measured - expected.Value) / expected.Bound);
        }
    }

    /// <summary>Compares an output with the integers that it must be.</summary>
    /// <param name="name">The output.</param>
    /// <param name="expected">The integers, row by row.</param>
    /// <param name="shape">The shape that it must have; none for a vector.</param>
    public void Compare(string name, ReadOnlySpan<int> expected, params ReadOnlySpan<int> shape)
    {
        int[] measured = shape.IsEmpty ? Integers(name, expected.Length) : Integers(name, shape);
        for (int i = 0; i < measured.Length; i++)
        {
            if (measured[i] != expected[i])
            {
                Fail(string.Create(
                    CultureInfo.InvariantCulture, $"{name}[{i}] is {measured[i]}, and must be {expected[i]}."));
                return;
            }
        }
    }

    private FuzzTensor? Output(string name, ReadOnlySpan<int> shape)
    {
        if (!outputs.TryGetValue(name, out FuzzTensor? tensor))
        {
            Fail($"There is no output {name}.");
            return null;
        }

        if (!tensor.Shape.SequenceEqual(shape.ToArray()))
        {
            Fail(
                $"{name} must have the shape [{string.Join(", ", shape.ToArray())}], and has "
                + $"[{string.Join(", ", tensor.Shape)}].");
            return null;
        }

        return tensor;
    }

    private T[] Wrong<T>(string what)
    {
        Fail(what);
        return [];
    }
}
