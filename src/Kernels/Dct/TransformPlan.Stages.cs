using System.Numerics;

namespace Kernels.Dct;

/// <content>The stages of the Fourier transform, its factors, and the convolution of lengths with a large prime.</content>
internal sealed partial class TransformPlan
{
    /// <summary>The stages of so many points.</summary>
    /// <returns>The greatest prime among them, or what is below 7.</returns>
    private int ChooseRadices(int points)
    {
        int twos = BitOperations.TrailingZeroCount(points);
        int rest = points >> twos;
        int count = 0;
        Radices = 0;
        _primes.Clear();
        while (twos > 0)
        {
            // Eights; what they leave comes first. Sums and differences: fours.
            int bits = Basis == Basis.Hadamard ? 2 - (twos % 2)
                : twos % 3 == 0 ? 3 : twos % 3 == 1 ? 1 : 2;
            Add(1 << bits);
            twos -= bits;
        }

        foreach (int radix in new[] { 3, 5 })
        {
            for (; rest % radix == 0; rest /= radix)
            {
                Add(radix);
            }
        }

        for (int prime = 7; rest > 1; prime += 2)
        {
            for (; rest % prime == 0; rest /= prime)
            {
                _primes.Add(prime);
            }

            if ((long)prime * prime > rest && rest > 1)
            {
                _primes.Add(rest);
                rest = 1;
            }
        }

        return _primes.LastOrDefault();

        void Add(int radix) => Radices |= (ulong)radix << (4 * count++);
    }

    private int CountStagePoints()
    {
        int count = _primes.Count * Points;
        for (ulong radices = Radices; radices != 0; radices >>= 4)
        {
            count += Size;
        }

        return IsConvolved ? 2 * count : count;
    }

    /// <summary>The least of 2^a, 3 2^a and 5 2^a from a number on.</summary>
    private static int Smooth(int least)
    {
        return Math.Min(Times(1), Math.Min(Times(3), Times(5)));

        int Times(int odd) => checked(odd * (int)BitOperations.RoundUpToPowerOf2((uint)((least + odd - 1) / odd)));
    }

    /// <summary>
    /// Bluestein 1970: 2 j k = j^2 + k^2 - (k - j)^2, so that a transform of any length is a chirp, a convolution with
    /// another, and a chirp.
    /// </summary>
    private (float[] Chirp, float[] Filter) Convolution()
    {
        var chirp = new Complex[Points];
        var filter = new Complex[Size];
        for (int j = 0; j < Points; j++)
        {
            chirp[j] = Root((long)j * j, 2L * Points);
            filter[j] = filter[(Size - j) % Size] = Complex.Conjugate(chirp[j]);
        }

        return (Floats(chirp), Floats([.. Transformed(filter).Select(z => Complex.Conjugate(z) / Size)]));
    }

    /// <summary>The Fourier transform of a smooth number of points in binary64.</summary>
    private static Complex[] Transformed(Complex[] x)
    {
        int n = x.Length;
        if (n == 1)
        {
            return x;
        }

        int radix = n % 2 == 0 ? 2 : n % 3 == 0 ? 3 : 5;
        Complex[][] parts = [.. Enumerable.Range(0, radix).Select(
            first => Transformed([.. Enumerable.Range(0, n / radix).Select(j => x[first + (radix * j)])]))];
        var result = new Complex[n];
        for (int k = 0; k < n; k++)
        {
            for (int q = 0; q < radix; q++)
            {
                result[k] += Root((long)q * k, n) * parts[q][k % (n / radix)];
            }
        }

        return result;
    }

    private IEnumerable<int> Stages()
    {
        foreach (int prime in _primes)
        {
            yield return prime;
        }

        for (ulong rest = Radices; rest != 0; rest >>= 4)
        {
            yield return (int)(rest & 15);
        }
    }

    private void AddFactors()
    {
        int span = 1;
        foreach (int prime in _primes)
        {
            span *= prime;
            for (int k = 0; k < span; k++)
            {
                _factors.Add(Root(k, span));
            }
        }

        foreach (int radix in Stages().Skip(_primes.Count))
        {
            for (int q = 1; q < radix && Basis != Basis.Hadamard; q++)
            {
                for (int k = 0; k < span; k++)
                {
                    _factors.Add(Root((long)q * k, (long)radix * span));
                }
            }

            span *= radix;
        }
    }

    /// <summary>For each point, the place at which decimation in time wants it.</summary>
    private int[] FindPlaces()
    {
        int[] stages = [.. Stages()];
        var places = new int[Size];
        for (int place = 0; place < Size; place++)
        {
            int rest = place;
            int weight = Size;
            int point = 0;
            foreach (int radix in stages)
            {
                weight /= radix;
                point += rest % radix * weight;
                rest /= radix;
            }

            places[Basis == Basis.Hadamard ? place : point] = place;
        }

        return places;
    }
}
