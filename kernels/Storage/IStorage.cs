using Kernels.DeviceCode.Common;

namespace Kernels.DeviceCode.Storage;

/// <summary>
/// A tensor in device memory and the way its floats are kept there. Values travel as raw bits between reading and
/// writing, so that what a kernel does not change is written back bit for bit.
/// </summary>
internal interface IStorage
{
    /// <summary>Whether <see cref="Encode"/> rounds by its random word.</summary>
    static abstract bool IsStochastic { get; }

    /// <summary>The raw bits of element <paramref name="i"/>.</summary>
    uint Read(long i);

    /// <summary>Stores the raw bits of element <paramref name="i"/>.</summary>
    void Write(long i, uint bits);

    /// <summary>The raw bits of elements 4k .. 4k + 3: one access, aligned to its size.</summary>
    QuadBits ReadPacket(long k);

    /// <summary>Stores the raw bits of elements 4k .. 4k + 3: one access, aligned to its size.</summary>
    void WritePacket(long k, QuadBits bits);

    /// <summary>The value of raw bits; exact.</summary>
    float Decode(uint bits);

    /// <summary>The raw bits of a value, rounded to the storage; NaN stays NaN.</summary>
    /// <param name="value">Any float.</param>
    /// <param name="random">The element's word of <see cref="Random"/>.</param>
    uint Encode(float value, uint random);

    /// <summary>Random words for elements 4k .. 4k + 3; zeros unless the storage rounds stochastically.</summary>
    QuadBits Random(long k);

    /// <summary>Where element <paramref name="i"/> is among all that are rounded with the same key.</summary>
    long Position(long i);

    /// <summary>
    /// Eight random numbers of 16 bits, for the positions from 8 <paramref name="eight"/> on: the words in their order,
    /// the lower half first. The lower halves of <see cref="Random"/> are the same numbers.
    /// </summary>
    QuadBits Noise(long eight);
}
