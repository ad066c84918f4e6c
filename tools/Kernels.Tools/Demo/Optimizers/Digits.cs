using System.Globalization;
using System.IO.Compression;

namespace Kernels.Tools.Demo.Optimizers;

/// <summary>Handwritten digits, 8 by 8 pixels in [0, 1], with their labels.</summary>
/// <param name="Pixels">One row of <see cref="Inputs"/> numbers for each digit.</param>
/// <param name="Labels">0 to 9.</param>
internal sealed record Digits(float[] Pixels, int[] Labels)
{
    /// <summary>Pixels of a digit.</summary>
    internal const int Inputs = 64;

    /// <summary>Different labels.</summary>
    internal const int Classes = 10;

    private const int TestEvery = 5;
    private const float Brightest = 16f;

    internal int Count => Labels.Length;

    /// <summary>
    /// The digits that come with the tool, every fifth for the test. Not the last ones: those are of other writers.
    /// </summary>
    internal static (Digits Training, Digits Test) Load()
    {
        using Stream resource = typeof(Digits).Assembly.GetManifestResourceStream("digits.csv.gz")!;
        using var reader = new StreamReader(new GZipStream(resource, CompressionMode.Decompress));
        var parts = (Training: new Builder(), Test: new Builder());
        for (int row = 0; reader.ReadLine() is { } line; row++)
        {
            (row % TestEvery == 0 ? parts.Test : parts.Training).Add(line);
        }

        return (parts.Training.Build(), parts.Test.Build());
    }

    /// <summary>The digits in another order.</summary>
    internal Digits Ordered(int[] order)
    {
        var pixels = new float[Pixels.Length];
        for (int i = 0; i < order.Length; i++)
        {
            Pixels.AsSpan(order[i] * Inputs, Inputs).CopyTo(pixels.AsSpan(i * Inputs, Inputs));
        }

        return new Digits(pixels, Array.ConvertAll(order, i => Labels[i]));
    }

    private sealed class Builder
    {
        private readonly List<float> _pixels = [];
        private readonly List<int> _labels = [];

        internal void Add(string line)
        {
            int[] numbers = Array.ConvertAll(line.Split(','), n => int.Parse(n, CultureInfo.InvariantCulture));
            for (int i = 0; i < Inputs; i++)
            {
                _pixels.Add(numbers[i] / Brightest);
            }

            _labels.Add(numbers[Inputs]);
        }

        internal Digits Build() => new([.. _pixels], [.. _labels]);
    }
}
