using System.Numerics;
using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace Kernels.DataParallel;

/// <summary>
/// The parts that all work is cut into, the same for any number of processes, so that sums over parts are of the same
/// numbers in the same order.
/// </summary>
internal static class Parts
{
    /// <summary>Parts.</summary>
    internal const int Count = 4;

    /// <summary>The parts of a process: neighbours.</summary>
    internal static IEnumerable<int> Of(Mpi mpi) => Enumerable.Range(mpi.Rank * (Count / mpi.Size), Count / mpi.Size);

    /// <summary>The sum over parts that lie one behind the other, in their order, into the first.</summary>
    internal static void Sum<T>(Span<T> parts, int length)
        where T : INumber<T>
    {
        for (int part = 1; part < Count; part++)
        {
            for (int i = 0; i < length; i++)
            {
                parts[i] += parts[(part * length) + i];
            }
        }
    }

    /// <summary>A checksum of the bits.</summary>
    internal static string Checksum<T>(ReadOnlySpan<T> values)
        where T : unmanaged =>
        Convert.ToHexStringLower(SHA256.HashData(MemoryMarshal.AsBytes(values)))[..16];

    /// <summary>Prints a line, from one process alone.</summary>
    internal static void Print(Mpi mpi, string line)
    {
        if (mpi.Rank == 0)
        {
            Console.WriteLine(line);
        }
    }
}
