using System.Numerics;

namespace Kernels.Dct;

/// <summary>
/// How a transform of one kind and length becomes a Fourier transform of fewer points: where the numbers of a line go, what
/// is mixed before and behind, the stages, where the numbers come from. All factors are computed in binary64.
/// </summary>
/// <remarks>
/// Sources: Makhoul 1980 (DCT-II and DCT-III from n real numbers in another order, two of them in one complex point); Chan
/// and Ho 1990 for DCT-IV of odd length; DCT-I as the Fourier transform of the symmetric continuation; Bluestein 1970 for
/// lengths with a large prime. Number p of a result and number q are the imaginary and the real part of
/// i c Z_k + i d conj(Z_k').
/// </remarks>
internal sealed partial class TransformPlan
{
    /// <summary>
    /// The greatest prime whose stage is a direct sum; of greater ones the transform makes a convolution. Measured, with
    /// seven or eight stages of two besides: both take as long for 61 on an OpenCL CPU device, and for about 100 on the
    /// CPU accelerator.
    /// </summary>
    internal const int MostDirect = 61;

    private readonly List<int> _copies = [];
    private readonly List<int> _pairs = [];
    private readonly List<Complex> _pairFactors = [];
    private readonly List<Complex> _factors = [];
    private readonly List<int> _primes = [];
    private readonly int[] _parts;
    private readonly int[] _places;
    private readonly int[] _order;

    /// <summary>Computes the tables.</summary>
    /// <param name="basis">Which transform.</param>
    /// <param name="length">n, at least 1; for <see cref="Basis.Hadamard"/> a power of two.</param>
    internal TransformPlan(Basis basis, int length)
    {
        Basis = basis;
        Length = length;
        Points = basis == Basis.Dct1 ? Math.Max(1, length - 1) : IsEven ? length / 2 : length;
        HasGaps = !IsEven && basis != Basis.Dct1 || length == 1;
        _parts = new int[2 * length];
        Size = ChooseRadices(Points) > MostDirect ? Smooth((2 * Points) - 1) : Points;
        if (IsConvolved)
        {
            _ = ChooseRadices(Size);
            (Chirp, Filter) = Convolution();
        }

        AddFactors();
        StagePoints = CountStagePoints();
        _order = FindPlaces();
        _places = IsConvolved ? [.. Enumerable.Range(0, Points)] : _order;
        AddInputs();
        InputPairs = _pairs.Count / 2;
        AddOutputs();
        OutputPairs = (_pairs.Count / 2) - InputPairs;
    }

    /// <summary>Which transform.</summary>
    internal Basis Basis { get; }

    /// <summary>Numbers of a line.</summary>
    internal int Length { get; }

    /// <summary>Complex points of the Fourier transform.</summary>
    internal int Points { get; }

    /// <summary>Points of the transform that the stages do: more, where it makes a convolution.</summary>
    internal int Size { get; }

    /// <summary>Whether the Fourier transform is a convolution with a chirp.</summary>
    internal bool IsConvolved => Size != Points;

    /// <summary>Of a convolution: e^(-i pi j^2 / Points).</summary>
    internal float[] Chirp { get; } = [];

    /// <summary>Of a convolution: the conjugate of the transform of e^(i pi j^2 / Points), over its size.</summary>
    internal float[] Filter { get; } = [];

    /// <summary>Of a convolution: for each point of the stages, the place at which decimation in time wants it.</summary>
    internal int[] Places => IsConvolved ? _order : [];

    /// <summary>Whether points have no imaginary part.</summary>
    internal bool HasGaps { get; }

    /// <summary>Pairs that are mixed before the stages.</summary>
    internal int InputPairs { get; }

    /// <summary>Pairs that are mixed behind them.</summary>
    internal int OutputPairs { get; }

    /// <summary>The radices of the first stages: the prime factors from 7 on, ascending.</summary>
    internal int[] Primes => [.. _primes];

    /// <summary>The radices of the stages behind them, four bits each, the first in the lowest.</summary>
    internal ulong Radices { get; private set; }

    /// <summary>Points of a line in all stages together.</summary>
    internal int StagePoints { get; }

    /// <summary>The part that each number goes to, then the part that each comes from.</summary>
    internal int[] Parts => _parts;

    /// <summary>Parts that are copies of others: to, from, to, from, ... .</summary>
    internal int[] Copies => [.. _copies];

    /// <summary>The points of each pair.</summary>
    internal int[] Pairs => [.. _pairs];

    /// <summary>Of each pair y, y' the factors of a y + b conj(y') and of a' y' + b' conj(y).</summary>
    internal float[] PairFactors => Floats(_pairFactors);

    /// <summary>The factors of the stages.</summary>
    internal float[] Factors => Floats(_factors);

    private bool IsEven => Length % 2 == 0;

    private void AddInputs()
    {
        int n = Length;
        int half = n / 2;
        switch (Basis)
        {
            case Basis.Dct2 when IsEven:
                for (int j = 0; j < half; j++)
                {
                    Enter(j, Makhoul(2 * j), Makhoul((2 * j) + 1));
                }

                break;
            case Basis.Dct2:
                for (int j = 0; j < n; j++)
                {
                    Enter(j, Makhoul(j));
                }

                break;
            case Basis.Dct3 when IsEven:
                AddThirdInputs();
                break;
            case Basis.Dct3:
                // conj(F_k) = (x_k + i x_(n-k)) e^(-i pi k / 2n) sqrt(1/2n), of each k and of n - k.
                Enter(0, 0);
                MixAlone(_places[0], 1 / Math.Sqrt(n), 0);
                for (int k = 1; k <= half; k++)
                {
                    Enter(k, k, n - k);
                    // Of n - k the same numbers the other way round: i conj.
                    _copies.AddRange([2 * _places[n - k], 2 * _places[k]]);
                    _copies.AddRange([(2 * _places[n - k]) + 1, (2 * _places[k]) + 1]);
                    double scale = 1 / Math.Sqrt(2.0 * n);
                    MixAlone(_places[k], scale * Root(k, 4L * n), 0);
                    MixAlone(_places[n - k], 0, scale * Complex.ImaginaryOne * Root(n - k, 4L * n));
                }

                break;
            case Basis.Dct4 when IsEven:
                for (int j = 0; j < half; j++)
                {
                    Enter(j, 2 * j, n - 1 - (2 * j));
                    MixAlone(_places[j], Root((4L * j) + 1, 8L * n), 0);
                }

                break;
            case Basis.Dct4:
                for (int j = 0; j < n; j++)
                {
                    (int index, int sign) = OddFourth(j);
                    Enter(j, index);
                    MixAlone(_places[j], sign * Root(j, 2L * n), 0);
                }

                break;
            case Basis.Dct1:
                AddSymmetricInputs();
                break;
            default:
                for (int j = 0; j < Points; j++)
                {
                    Enter(j, 2 * j, Math.Min((2 * j) + 1, n - 1));
                }

                break;
        }
    }

    /// <summary>The points whose Fourier transform is a line in Makhoul's order, from its DCT-II; conjugate, times i.</summary>
    private void AddThirdInputs()
    {
        int n = Length;
        int half = n / 2;
        double scale = 1 / Math.Sqrt(2.0 * n);
        Enter(0, 0, half);
        // conj(Z_0) = (x_0 + i x_half) (1 - i) sqrt(1/n), here and below times i for the swapped parts of the result.
        MixAlone(_places[0], new Complex(1, 1) / Math.Sqrt(n), 0);
        for (int k = 1; k < half; k++)
        {
            Enter(k, k, n - k);
        }

        for (int k = 1; 2 * k <= half; k++)
        {
            Mix(_places[k], _places[half - k], First(k), Second(k), First(half - k), Second(half - k));
        }

        Complex First(int k) => Complex.ImaginaryOne * scale * Root(k, 4L * n) * (1 - (Complex.ImaginaryOne * Root(k, n)));

        // x_(half + k) + i x_(half - k) is i conj of the other's x_(half - k) + i x_(half + k).
        Complex Second(int k) => Complex.ImaginaryOne * Complex.ImaginaryOne * scale * -Complex.ImaginaryOne
            * Root(k - half, 4L * n) * (1 + (Complex.ImaginaryOne * Root(k, n)));
    }

    /// <summary>The symmetric continuation, two numbers in a point; the ends count sqrt(2).</summary>
    private void AddSymmetricInputs()
    {
        int last = Length - 1;
        for (int t = 0; t < Math.Max(1, 2 * last); t++)
        {
            int part = (2 * _places[t / 2]) + (t % 2);
            if (t <= last)
            {
                _parts[t] = part;
            }
            else
            {
                _copies.AddRange([part, _parts[(2 * last) - t]]);
            }
        }

        if (last > 0)
        {
            double root = Math.Sqrt(2);
            MixParts(0, root, last == 1 ? root : 1);
            if (last > 1)
            {
                MixParts(last / 2, last % 2 == 0 ? root : 1, last % 2 == 1 ? root : 1);
            }
        }
    }

    private void AddOutputs()
    {
        int n = Length;
        int half = n / 2;
        double scale = Math.Sqrt(2.0 / n);
        switch (Basis)
        {
            case Basis.Dct2 when IsEven:
                Leave(0, 0, half);
                MixAlone(0, Complex.ImaginaryOne * new Complex(1, -1) / Math.Sqrt(n), 0);
                for (int k = 1; k < half; k++)
                {
                    Leave(k, k, n - k);
                }

                for (int k = 1; 2 * k <= half; k++)
                {
                    Mix(k, half - k, First(k), Second(k), First(half - k), Second(half - k));
                }

                break;
            case Basis.Dct2:
                Leave(0, 0);
                MixAlone(0, Complex.ImaginaryOne / Math.Sqrt(n), 0);
                for (int k = 1; k <= half; k++)
                {
                    Leave(k, k, n - k);
                    MixAlone(k, Complex.ImaginaryOne * scale * Root(k, 4L * n), 0);
                }

                break;
            case Basis.Dct3 when IsEven:
                for (int j = 0; j < half; j++)
                {
                    Leave(j, Makhoul(2 * j), Makhoul((2 * j) + 1));
                }

                break;
            case Basis.Dct3:
                for (int j = 0; j < n; j++)
                {
                    _parts[n + Makhoul(j)] = 2 * j;
                }

                break;
            case Basis.Dct4 when IsEven:
                for (int k = 0; k < half; k++)
                {
                    Leave(k, 2 * k, n - 1 - (2 * k));
                    MixAlone(k, Complex.ImaginaryOne * scale * Root(k, 2L * n), 0);
                }

                break;
            case Basis.Dct4:
                for (int k = 0; k < n; k++)
                {
                    (int index, int sign) = OddFourth(k);
                    int point = (int)(2L * k % n);
                    Leave(point, index);
                    MixAlone(point, sign * Complex.ImaginaryOne * scale * Root((4L * k) + 1, 8L * n), 0);
                }

                break;
            case Basis.Dct1:
                AddSymmetricOutputs();
                break;
            default:
                for (int k = 0; k < Points; k++)
                {
                    // re + im and re - im
                    MixAlone(k, 0, (n == 1 ? 1 : new Complex(1, 1)) / Math.Sqrt(n));
                    _parts[n + Math.Min((2 * k) + 1, n - 1)] = (2 * k) + 1;
                    _parts[n + (2 * k)] = 2 * k;
                }

                break;
        }

        Complex First(int k) => Complex.ImaginaryOne * scale / 2 * Root(k, 4L * n) * (1 - (Complex.ImaginaryOne * Root(k, n)));

        Complex Second(int k) => Complex.ImaginaryOne * scale / 2 * Root(k, 4L * n) * (1 + (Complex.ImaginaryOne * Root(k, n)));
    }

    private void AddSymmetricOutputs()
    {
        int last = Length - 1;
        if (last == 0)
        {
            _parts[1] = 0;
            return;
        }

        for (int k = 0; 2 * k <= last; k++)
        {
            Complex turn = Complex.ImaginaryOne * Root(k, 2L * last);
            Complex scale = Complex.ImaginaryOne * Math.Sqrt(2.0 / last) / 4 * (k == 0 ? Math.Sqrt(0.5) : 1);
            Complex one = scale * (1 - turn - (Complex.ImaginaryOne * (1 + turn)));
            Complex other = scale * (1 + turn - (Complex.ImaginaryOne * (1 - turn)));
            Mix(k, (last - k) % last, one, other, 0, 0);
            Leave(k, k, last - k);
        }
    }

    /// <summary>Numbers p and q of the line become point j.</summary>
    private void Enter(int j, int p, int q)
    {
        _parts[q] = (2 * _places[j]) + 1;
        _parts[p] = 2 * _places[j];
    }

    private void Enter(int j, int p) => _parts[p] = 2 * _places[j];

    /// <summary>Numbers p and q of the result are the imaginary and the real part of point k.</summary>
    private void Leave(int k, int p, int q)
    {
        _parts[Length + q] = 2 * k;
        _parts[Length + p] = (2 * k) + 1;
    }

    private void Leave(int k, int p) => _parts[Length + p] = (2 * k) + 1;

    private void Mix(int one, int other, Complex a, Complex b, Complex a2, Complex b2)
    {
        _pairs.AddRange([one, other]);
        _pairFactors.AddRange([a, b, a2, b2]);
    }

    private void MixAlone(int point, Complex a, Complex b) => Mix(point, point, a, b, a, b);

    /// <summary>The parts of a point, each with its factor.</summary>
    private void MixParts(int point, double real, double imaginary) =>
        MixAlone(_places[point], (real + imaginary) / 2, (real - imaginary) / 2);

    /// <summary>Where Makhoul's order has number t: the even ones ascending, then the odd ones descending.</summary>
    private int Makhoul(int t) => t < (Length + 1) / 2 ? 2 * t : (2 * Length) - 1 - (2 * t);

    /// <summary>
    /// cos(pi a b / 4n) for odd a and b, each up to sign one of 1, 5, 9, ..., 4n - 3: the number that stands for 4j + 1.
    /// </summary>
    private (int Index, int Sign) OddFourth(int j)
    {
        long b = (4L * j) + 1;
        return b < 2L * Length ? ((int)(b / 2), 1) : ((int)(((4L * Length) - b) / 2), -1);
    }

    /// <summary>e^(-2 pi i a / b), exact in the quarters.</summary>
    private static Complex Root(long a, long b)
    {
        a = ((a % b) + b) % b;
        if (4 * a % b != 0)
        {
            (double sin, double cos) = Math.SinCos(2 * Math.PI * a / b);
            return new Complex(cos, -sin);
        }

        return (4 * a / b) switch
        {
            0 => Complex.One,
            1 => -Complex.ImaginaryOne,
            2 => -Complex.One,
            _ => Complex.ImaginaryOne,
        };
    }

    private static float[] Floats(IReadOnlyList<Complex> numbers)
    {
        var result = new float[2 * numbers.Count];
        for (int i = 0; i < numbers.Count; i++)
        {
            result[2 * i] = (float)numbers[i].Real;
            result[(2 * i) + 1] = (float)numbers[i].Imaginary;
        }

        return result;
    }
}
