using ILGPU.Runtime;
using Kernels.Launching;
using Kernels.References;
using Kernels.Tests.Support;

namespace Kernels.Tests.VectorQuantization;

/// <summary>Rows with codes, in their storages, for passes over rows whose codes are known.</summary>
/// <param name="Rows">Rows.</param>
/// <param name="Codes">Codes of a head.</param>
/// <param name="Dimension">Length of a code.</param>
/// <param name="Heads">Heads.</param>
/// <param name="RowStorage">Storage of rows and gradients.</param>
/// <param name="CodeStorage">Storage of codes.</param>
/// <param name="Seed">Of the numbers.</param>
internal sealed record RowCase(
    int Rows, int Codes, int Dimension, int Heads, Storage RowStorage, Storage CodeStorage, int Seed)
{
    /// <summary>Edges of SIMD registers, lanes, groups and blocks; one of everything.</summary>
    internal static readonly (int Rows, int Codes, int Dimension, int Heads)[] Shapes =
    [
        (1, 1, 1, 1), (5, 3, 3, 2), (33, 7, 8, 1), (70, 20, 33, 1), (129, 64, 64, 1), (10, 5, 255, 3), (600, 9, 4, 1),
        (9, 6, 1100, 1), (300, 5, 20, 2),
    ];

    internal uint[] X { get; } = Bits(RowStorage, new Draw(Seed).Floats(Rows * Heads * Dimension));

    internal uint[] Grad { get; } = Bits(RowStorage, new Draw(Seed + 1).Floats(Rows * Heads * Dimension));

    internal uint[] Book { get; } = Bits(CodeStorage, new Draw(Seed + 2).Floats(Heads * Codes * Dimension));

    /// <summary>Now and then none, or one that is out of range.</summary>
    internal int[] Index { get; } = Places(new Random(Seed + 3), Rows * Heads, Codes);

    /// <summary>Of the codes of all heads; -1 for all that are none.</summary>
    internal int[] OracleIndex => [.. Index.Select(
        (code, i) => code >= 0 && code < Codes ? ((i % Heads) * Codes) + code : -1)];

    internal float[] XFloats => Floats(RowStorage, X);

    internal float[] GradFloats => Floats(RowStorage, Grad);

    internal float[] BookFloats => Floats(CodeStorage, Book);

    /// <summary>The device as it is and, for small cases, the GPU's walk on it or both device walks on a simulated warp.</summary>
    internal static IEnumerable<(Accelerator Accelerator, RowWalk? Walk)> Places(bool small = true)
    {
        yield return (TestDevices.Session.Accelerator, null);
        if (small && TestDevices.Session.Accelerator.AcceleratorType == AcceleratorType.OpenCL)
        {
            yield return (TestDevices.Session.Accelerator, RowWalk.Lanes);
        }

        if (small && TestDevices.IsHost)
        {
            yield return (TestDevices.Warp(32), RowWalk.Lanes);
            yield return (TestDevices.Warp(32), RowWalk.Rows);
        }
    }

    internal static uint[] Bits(Storage storage, float[] values) => storage switch
    {
        Storage.F32 => Array.ConvertAll(values, BitConverter.SingleToUInt32Bits),
        Storage.F16 => Array.ConvertAll(values, v => (uint)NarrowingReference.ToFloat16(v)),
        _ => Array.ConvertAll(values, v => (uint)NarrowingReference.ToBFloat16(v)),
    };

    internal static float[] Floats(Storage storage, uint[] bits) => storage switch
    {
        Storage.F32 => Array.ConvertAll(bits, BitConverter.UInt32BitsToSingle),
        Storage.F16 => Array.ConvertAll(bits, b => NarrowingReference.FromFloat16((ushort)b)),
        _ => Array.ConvertAll(bits, b => NarrowingReference.FromBFloat16((ushort)b)),
    };

    /// <summary>A result, rounded to a storage.</summary>
    internal static Bounded Stored(Storage storage, Bounded value) => storage switch
    {
        Storage.F32 => value,
        Storage.F16 => NarrowingReference.StoredAsFloat16(value),
        _ => NarrowingReference.StoredAsBFloat16(value),
    };

    internal static void AssertWithin(Bounded[] wanted, Storage storage, uint[] got, string what)
    {
        float[] values = Floats(storage, got);
        Assert.Equal(wanted.Length, values.Length);
        for (int i = 0; i < values.Length; i++)
        {
            Bounded bound = Stored(storage, wanted[i]);
            Assert.True(bound.Admits(values[i]), $"{what}[{i}] is {values[i]:R}, expected {bound}.");
        }
    }

    private static int[] Places(Random random, int count, int codes) => [.. Enumerable.Range(0, count).Select(
        i => random.Next(10) switch
        {
            0 when i > 0 => -1,
            1 when i > 1 => codes,
            2 when i > 2 => random.Next(2) == 0 ? int.MinValue : int.MaxValue,
            _ => random.Next(codes),
        })];
}
