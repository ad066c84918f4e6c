namespace Kernels.References.Dct;

/// <summary>An error feedback kept in 8 or 4 bits: a least number and a unit for each bucket, and codes.</summary>
/// <remarks>
/// Source: Modoranu et al. 2024, arXiv:2405.15593, algorithm 1, as DCT-AdamW uses it (2025, arXiv:2505.17967). Of a
/// bucket with b bits: u = (max - min) / (2^b - 1), q = floor((x - min) / u + 1/2), at least 0 and at most 2^b - 1, and
/// x^ = q u + min; u = 0 has q = 0.
/// <para>
/// Layout: buckets of consecutive elements, the last one perhaps shorter. Each begins at a byte of its own, so that two
/// never write to one; of 4 bits, element 2i of a bucket is the low half of its byte i, 2i + 1 the high half, and a
/// half left over is 0.
/// </para>
/// <para>
/// Bound: |x - x^| is at most u / 2, and what is rounded. A unit may have four roundings. A code is admitted if
/// (x - min) / u + 1/2 is that close to having this floor: (x - min) / u with the roundings of any grouping, such as a
/// product with 1 / u or with (2^b - 1) / (max - min), and that of the sum. A bucket with a number that is not finite,
/// or a range that overflows, is outside the domain.
/// </para>
/// </remarks>
public sealed class ErrorBlockReference
{
    /// <summary>The format.</summary>
    /// <param name="bits">8 or 4.</param>
    /// <param name="bucket">
    /// Elements that share a unit, at least 1; a row for one that is the number of columns.
    /// </param>
    /// <exception cref="ArgumentOutOfRangeException">The bits are neither, or the bucket has no element.</exception>
    public ErrorBlockReference(int bits, int bucket)
    {
        Bits = bits is 4 or 8 ? bits : throw new ArgumentOutOfRangeException(nameof(bits), bits, "Must be 4 or 8.");
        ArgumentOutOfRangeException.ThrowIfLessThan(bucket, 1);
        Bucket = bucket;
    }

    /// <summary>Bits of a code.</summary>
    public int Bits { get; }

    /// <summary>Elements that share a unit.</summary>
    public int Bucket { get; }

    /// <summary>The largest code, 2^b - 1.</summary>
    public int MaxCode => (1 << Bits) - 1;

    private int BucketBytes => ((Bucket * Bits) + 7) / 8;

    /// <summary>The number of buckets.</summary>
    /// <param name="n">The number of elements.</param>
    /// <returns>n / bucket, rounded up.</returns>
    public int BucketCount(int n) => (n / Bucket) + (n % Bucket == 0 ? 0 : 1);

    /// <summary>The number of bytes that the codes take.</summary>
    /// <param name="n">The number of elements.</param>
    /// <returns>Those of whole buckets, and of what the last one has.</returns>
    public int ByteCount(int n) => (n / Bucket * BucketBytes) + (((n % Bucket * Bits) + 7) / 8);

    /// <summary>The code of an element.</summary>
    /// <param name="codes">All codes.</param>
    /// <param name="i">The element.</param>
    /// <returns>0 to 2^b - 1.</returns>
    /// <exception cref="IndexOutOfRangeException">There is no such element.</exception>
    public int Code(ReadOnlySpan<byte> codes, int i)
    {
        int within = i % Bucket;
        int start = i / Bucket * BucketBytes;
        return Bits == 8 ? codes[start + within] : codes[start + (within / 2)] >> (within % 2 * 4) & 15;
    }

    /// <summary>Encodes, with units narrowed to binary32 and codes found in binary64.</summary>
    /// <param name="x">The numbers, [n], finite.</param>
    /// <returns>Codes, and for each bucket its least number and its unit.</returns>
    public (byte[] Codes, float[] Minimum, float[] Unit) Encode(ReadOnlySpan<float> x)
    {
        var codes = new byte[ByteCount(x.Length)];
        var minimum = new float[BucketCount(x.Length)];
        var unit = new float[minimum.Length];
        for (int bucket = 0; bucket < unit.Length; bucket++)
        {
            int start = bucket * Bucket;
            ReadOnlySpan<float> values = x.Slice(start, Math.Min(Bucket, x.Length - start));
            float least = values[0];
            float most = values[0];
            foreach (float value in values)
            {
                least = Math.Min(least, value);
                most = Math.Max(most, value);
            }

            minimum[bucket] = least;
            unit[bucket] = (float)(((double)most - least) / MaxCode);
            for (int within = 0; within < values.Length; within++)
            {
                double steps = unit[bucket] == 0 ? 0 : ((double)values[within] - least) / unit[bucket];
                int place = Bits == 8 ? within : within / 2;
                int shift = Bits == 8 ? 0 : within % 2 * 4;
                codes[(bucket * BucketBytes) + place] |= (byte)(Nearest(steps) << shift);
            }
        }

        return (codes, minimum, unit);
    }

    /// <summary>Decodes.</summary>
    /// <param name="codes">The codes.</param>
    /// <param name="minimum">The least number of each bucket.</param>
    /// <param name="unit">The unit of each bucket.</param>
    /// <param name="n">The number of elements.</param>
    /// <returns>q u + min, [n], a product and a sum in binary32.</returns>
    /// <exception cref="ArgumentException">A length does not fit the number of elements.</exception>
    public Bounded[] Decode(ReadOnlySpan<byte> codes, ReadOnlySpan<float> minimum, ReadOnlySpan<float> unit, int n)
    {
        CheckLengths(codes, minimum, unit, n);
        var result = new Bounded[n];
        for (int i = 0; i < n; i++)
        {
            result[i] = ((Bounded)Code(codes, i) * unit[i / Bucket]) + minimum[i / Bucket];
        }

        return result;
    }

    /// <summary>What a binary32 computation has of numbers that it encoded and decoded.</summary>
    /// <param name="x">The numbers, [n]; with bounds, if the computation has its own version of them.</param>
    /// <returns>
    /// The numbers. Their bounds grow by half a unit, and by what is rounded: the steps and the unit as in
    /// <see cref="AdmitsCode"/>, which also is what a clamped code may lose, the product and the sum. Of a bucket outside
    /// the domain nothing is said.
    /// </returns>
    public Bounded[] Stored(ReadOnlySpan<Bounded> x)
    {
        Bounded[] result = x.ToArray();
        double relative = Bounded.Gamma(4);
        for (int start = 0; start < x.Length; start += Bucket)
        {
            ReadOnlySpan<Bounded> values = x.Slice(start, Math.Min(Bucket, x.Length - start));
            double least = double.PositiveInfinity;
            double most = double.NegativeInfinity;
            foreach (Bounded value in values)
            {
                least = Math.Min(least, value.Value - value.Bound);
                most = Math.Max(most, value.Value + value.Bound);
            }

            double unit = ((most - least) / MaxCode * (1 + relative)) + Bounded.LeastSubnormal;
            double steps = 0.5 + (MaxCode * ((2 * relative) + (3 * Bounded.UnitRoundoff)));
            double size = Math.Max(Math.Abs(least), Math.Abs(most)) + unit;
            double off = (unit * steps) + (2 * Bounded.UnitRoundoff * size)
                + (2 * (MaxCode + 1) * Bounded.LeastSubnormal);
            bool isInDomain = IsInDomain(values);
            for (int i = start; i < start + values.Length; i++)
            {
                result[i] = x[i] with { Bound = isInDomain ? x[i].Bound + off : double.PositiveInfinity };
            }
        }

        return result;
    }

    /// <summary>Whether a binary32 computation may have encoded these numbers so.</summary>
    /// <param name="x">The numbers, [n]; with bounds, if the computation has its own version of them.</param>
    /// <param name="codes">The codes found.</param>
    /// <param name="minimum">The least number of each bucket, as found.</param>
    /// <param name="unit">The unit of each bucket, as found.</param>
    /// <returns>
    /// Whether each least number is one that the bounds allow, each unit is that of a range they allow, and each code
    /// is one for this least number and unit. Halves left over must be 0. Any code is right outside the domain.
    /// </returns>
    /// <exception cref="ArgumentException">A length does not fit the number of elements.</exception>
    public bool Admits(
        ReadOnlySpan<Bounded> x, ReadOnlySpan<byte> codes, ReadOnlySpan<float> minimum, ReadOnlySpan<float> unit)
    {
        CheckLengths(codes, minimum, unit, x.Length);
        for (int bucket = 0; bucket < unit.Length; bucket++)
        {
            int start = bucket * Bucket;
            ReadOnlySpan<Bounded> values = x.Slice(start, Math.Min(Bucket, x.Length - start));
            int last = (bucket * BucketBytes) + (values.Length / 2);
            if (Bits == 4 && values.Length % 2 != 0 && codes[last] >> 4 != 0)
            {
                return false;
            }

            if (!IsInDomain(values))
            {
                continue;
            }

            if (!AdmitsScale(values, minimum[bucket], unit[bucket]))
            {
                return false;
            }

            for (int within = 0; within < values.Length; within++)
            {
                if (!AdmitsCode(values[within], minimum[bucket], unit[bucket], Code(codes, start + within)))
                {
                    return false;
                }
            }
        }

        return true;
    }

    /// <summary>Whether a code is one that a binary32 computation may find.</summary>
    /// <param name="x">The number.</param>
    /// <param name="minimum">The least number of the bucket, as found.</param>
    /// <param name="unit">The unit of the bucket, as found.</param>
    /// <param name="code">The code found.</param>
    /// <returns>Whether some number within the bounds has this code.</returns>
    public bool AdmitsCode(Bounded x, float minimum, float unit, int code)
    {
        if (unit == 0)
        {
            return code == 0;
        }

        Bounded steps = (x - minimum) / unit;
        double slack = steps.Bound + (Bounded.Gamma(4) * (Math.Abs(steps.Value) + steps.Bound))
            + (Bounded.UnitRoundoff * (MaxCode + 1));
        return !(code < Nearest(steps.Value - slack)) && !(code > Nearest(steps.Value + slack));
    }

    private static bool IsInDomain(ReadOnlySpan<Bounded> values)
    {
        foreach (Bounded value in values)
        {
            if (!(Math.Abs(value.Value) + value.Bound <= float.MaxValue / 2))
            {
                return false;
            }
        }

        return true;
    }

    private bool AdmitsScale(ReadOnlySpan<Bounded> values, float minimum, float unit)
    {
        double leastMin = double.PositiveInfinity;
        double mostMin = double.PositiveInfinity;
        double leastMax = double.NegativeInfinity;
        double mostMax = double.NegativeInfinity;
        foreach (Bounded value in values)
        {
            leastMin = Math.Min(leastMin, value.Value - value.Bound);
            mostMin = Math.Min(mostMin, value.Value + value.Bound);
            leastMax = Math.Max(leastMax, value.Value - value.Bound);
            mostMax = Math.Max(mostMax, value.Value + value.Bound);
        }

        double relative = Bounded.Gamma(4);
        double least = ((leastMax - minimum) / MaxCode * (1 - relative)) - Bounded.LeastSubnormal;
        double most = ((mostMax - minimum) / MaxCode * (1 + relative)) + Bounded.LeastSubnormal;
        return minimum >= leastMin && minimum <= mostMin && unit >= Math.Max(least, 0) && unit <= most;
    }

    private int Nearest(double steps) => (int)Math.Clamp(Math.Floor(steps + 0.5), 0, MaxCode);

    private void CheckLengths(
        ReadOnlySpan<byte> codes, ReadOnlySpan<float> minimum, ReadOnlySpan<float> unit, int n)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(n);
        Check.Length(codes, ByteCount(n));
        Check.Length(minimum, BucketCount(n));
        Check.Length(unit, BucketCount(n));
    }
}
