using System.Buffers.Binary;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Kernels.References.Fuzzing;

/// <summary>The random numbers of one case, and which classes of cases it belongs to.</summary>
/// <remarks>The same name, seed and index give the same numbers on every machine.</remarks>
public sealed class FuzzDraw
{
    private static readonly FuzzValues[] s_kinds = [.. Enum.GetValues<FuzzValues>().Where(kind => int.IsPow2((int)kind))];

    private readonly Random _random;
    private readonly SortedSet<string> _classes = new(StringComparer.Ordinal);

    /// <summary>The numbers of a case.</summary>
    /// <param name="name">The operation.</param>
    /// <param name="seed">The seed of the whole run.</param>
    /// <param name="index">The number of the case.</param>
    public FuzzDraw(string name, int seed, int index)
    {
        byte[] text = Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{name} {seed} {index}"));
        _random = new Random(BinaryPrimitives.ReadInt32LittleEndian(SHA256.HashData(text)));
    }

    /// <summary>The classes that the case belongs to so far.</summary>
    public IReadOnlyCollection<string> Classes => _classes;

    /// <summary>Says that the case belongs to a class.</summary>
    /// <param name="name">As in <c>n = 1</c>.</param>
    public void Cover(string name) => _classes.Add(name);

    /// <summary>A whole number from 0 on.</summary>
    /// <param name="below">The least that it is not.</param>
    /// <returns>The number.</returns>
    public int Below(int below) => _random.Next(below);

    /// <summary>Whether something happens that happens once in so many times.</summary>
    /// <param name="times">How rare it is.</param>
    /// <returns>Whether it happens.</returns>
    public bool Once(int times) => _random.Next(times) == 0;

    /// <summary>One of several values, each as likely.</summary>
    /// <typeparam name="T">What they are.</typeparam>
    /// <param name="values">The values.</param>
    /// <returns>One of them.</returns>
    public T OneOf<T>(params ReadOnlySpan<T> values) => values[_random.Next(values.Length)];

    /// <summary>A positive number whose logarithm is uniform.</summary>
    /// <param name="least">The least, greater than 0.</param>
    /// <param name="most">The greatest.</param>
    /// <returns>The number.</returns>
    public double LogUniform(double least, double most) => least * Math.Pow(most / least, _random.NextDouble());

    /// <summary>A length: edges of vectors, warps and groups, and anything between.</summary>
    /// <param name="symbol">What it is the length of; names the class.</param>
    /// <param name="most">The greatest.</param>
    /// <param name="least">The least.</param>
    /// <returns>The length.</returns>
    public int Length(string symbol, int most = 300, int least = 1)
    {
        int length = _random.Next(3) switch
        {
            0 => OneOf(1, 2, 3, 4, 5, 7, 8),
            1 => OneOf(15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 255, 256, 257),
            _ => (int)LogUniform(1, most + 1),
        };
        length = Math.Clamp(length, least, most);
        Cover($"{symbol} {(length == 0 ? "= 0" : length == 1 ? "= 1" : length % 16 == 0 ? "in sixteens" : length < 16 ? "< 16" : "> 16, odd sizes")}");
        return length;
    }

    /// <summary>Numbers of one of several kinds.</summary>
    /// <param name="input">The input that they are for; names the class.</param>
    /// <param name="count">How many.</param>
    /// <param name="kinds">The kinds to choose from.</param>
    /// <returns>The numbers.</returns>
    public float[] Floats(string input, int count, FuzzValues kinds = FuzzValues.Ordinary)
    {
        FuzzValues kind = OneOf<FuzzValues>([.. s_kinds.Where(k => (kinds & k) != FuzzValues.None)]);
        Cover($"{input}: {kind.ToString().ToLowerInvariant()}");
        float[] few = [Size(1e-3, 1e3), Size(1e-3, 1e3), 0f];
        var values = new float[count];
        for (int i = 0; i < count; i++)
        {
            values[i] = kind switch
            {
                FuzzValues.Whole => _random.Next(-4, 5),
                FuzzValues.Duplicates => OneOf<float>(few),
                FuzzValues.Cancellation when i % 2 == 1 => -values[i - 1] * (Once(2) ? 1f : 1f + 1.1920929e-7f),
                FuzzValues.Zeros => Once(8) ? Size(1e-6, 1e3) : OneOf(0f, -0f),
                FuzzValues.Tiny => Size(1e-45, 1e-36),
                FuzzValues.Huge => Size(1e15, 3e38),
                FuzzValues.NotFinite when Once(8) =>
                    OneOf(float.NaN, float.PositiveInfinity, float.NegativeInfinity),
                _ => Once(12) ? OneOf(0f, 1f, -1f, values[Math.Max(i - 1, 0)]) : Size(1e-6, 1e3),
            };
        }

        return values;
    }

    /// <summary>Whole numbers.</summary>
    /// <param name="count">How many.</param>
    /// <param name="first">The least.</param>
    /// <param name="below">The least number greater than all.</param>
    /// <returns>The numbers.</returns>
    public int[] Integers(int count, int first, int below)
    {
        var values = new int[count];
        for (int i = 0; i < count; i++)
        {
            values[i] = _random.Next(first, below);
        }

        return values;
    }

    private float Size(double least, double most) => (float)(LogUniform(least, most) * (Once(2) ? 1 : -1));
}
