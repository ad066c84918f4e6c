namespace Kernels.Dct;

/// <summary>An orthonormal basis of lines of n numbers; a transform gives a line's coordinates in it.</summary>
public enum Basis
{
    /// <summary>
    /// DCT-II: y_k = s_k sum_j x_j cos(pi k (2j + 1) / 2n), s_0 = sqrt(1/n), s_k = sqrt(2/n): the cosines by frequency.
    /// </summary>
    Dct2,

    /// <summary>DCT-III, the inverse and the transpose of DCT-II.</summary>
    Dct3,

    /// <summary>
    /// DCT-I: y_k = sqrt(2 / (n - 1)) a_k sum_j a_j x_j cos(pi k j / (n - 1)), a_0 = a_(n-1) = sqrt(1/2), the others 1;
    /// of one number, that number. Its own inverse.
    /// </summary>
    Dct1,

    /// <summary>DCT-IV: y_k = sqrt(2/n) sum_j x_j cos(pi (2k + 1) (2j + 1) / 4n). Its own inverse.</summary>
    Dct4,

    /// <summary>
    /// Walsh-Hadamard in natural order: y_k = n^(-1/2) sum_j (-1)^(bits common to k and j) x_j, n a power of two. Its own
    /// inverse.
    /// </summary>
    Hadamard,
}
