using ILGPU;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Storage;

namespace Kernels.DeviceCode.Optimizers;

/// <summary>
/// The random bits of a strip of elements, drawn eight at a time into an item's own memory: for walks in which one item
/// does the strip in loops.
/// </summary>
internal static class StripNoise
{
    /// <summary>Whether such a step needs random bits.</summary>
    internal static bool IsNeeded<TParam, TExtras>()
        where TParam : struct, IStorage
        where TExtras : struct, IExtras => TParam.IsStochastic || TExtras.IsStochastic;

    /// <summary>Room for the numbers of a strip that may start within eight.</summary>
    internal const int Slack = 16;

    /// <summary>Draws for the elements from <paramref name="first"/> on.</summary>
    /// <param name="p">Parameters.</param>
    /// <param name="extras">Extras; only one of both rounds stochastically, or both by the same numbers.</param>
    /// <param name="first">First element.</param>
    /// <param name="count">Elements.</param>
    /// <param name="noise">[count + Slack], written.</param>
    /// <returns>Index of the first element's number.</returns>
    internal static int Draw<TParam, TExtras>(TParam p, TExtras extras, long first, int count, ArrayView<ushort> noise)
        where TParam : struct, IStorage
        where TExtras : struct, IExtras
    {
        long position = TParam.IsStochastic ? p.Position(first) : extras.Position(first);
        int skipped = (int)(position & 7);
        int eights = (skipped + count + 7) >> 3;
        for (int k = 0; k < eights; k++)
        {
            QuadBits words = TParam.IsStochastic ? p.Noise((position >> 3) + k) : extras.Noise((position >> 3) + k);
            noise[8 * k] = (ushort)words.X;
            noise[8 * k + 1] = (ushort)(words.X >> 16);
            noise[8 * k + 2] = (ushort)words.Y;
            noise[8 * k + 3] = (ushort)(words.Y >> 16);
            noise[8 * k + 4] = (ushort)words.Z;
            noise[8 * k + 5] = (ushort)(words.Z >> 16);
            noise[8 * k + 6] = (ushort)words.W;
            noise[8 * k + 7] = (ushort)(words.W >> 16);
        }

        return skipped;
    }
}
