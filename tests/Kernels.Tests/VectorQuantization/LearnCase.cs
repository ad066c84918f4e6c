using ILGPU;
using ILGPU.Runtime;
using Kernels.Launching;
using Kernels.References;
using Kernels.Tests.Support;

namespace Kernels.Tests.VectorQuantization;

/// <summary>How rows choose their codes.</summary>
public enum Choice
{
    /// <summary>Any, some rows none.</summary>
    Any,

    /// <summary>All the same, as with dead codes.</summary>
    One,

    /// <summary>A few, of different numbers of rows.</summary>
    Few,

    /// <summary>None.</summary>
    None,
}

/// <summary>Rows and their choices, and where they are learned from; shared by the tests of what learns a codebook.</summary>
internal static class LearnCase
{
    /// <summary>The device under test with its own walk and with others.</summary>
    // Not the GPU's on a simulated warp: its many barriers of 256 threads take minutes there.
    internal static IEnumerable<(Accelerator Accelerator, SegmentWalk? Walk)> Places()
    {
        yield return (TestDevices.Session.Accelerator, null);
        yield return (TestDevices.Session.Accelerator, SegmentWalk.Parts);
        if (!TestDevices.IsHost)
        {
            yield return (TestDevices.Session.Accelerator, SegmentWalk.Radix);
        }
    }

    /// <summary>Indices of codes, [count]; what is no code stands for none.</summary>
    internal static int[] Index(Choice choice, int count, int codes, int seed)
    {
        var random = new Random(seed);
        return
        [
            .. Enumerable.Range(0, count).Select(_ => choice switch
            {
                Choice.One => codes / 2,
                Choice.Few => Math.Min((int)Math.Pow(random.Next(1, 32), 0.5), codes) - 1,
                Choice.None => random.Next(2) == 0 ? -1 : codes,
                _ => random.Next(9) == 0
                    ? new[] { -1, codes, int.MaxValue, int.MinValue }[random.Next(4)]
                    : random.Next(codes),
            }),
        ];
    }

    /// <summary>The indices with -1 for none, as the oracles want it.</summary>
    internal static int[] Clean(int[] index, int codes) => Array.ConvertAll(index, i => i < 0 || i >= codes ? -1 : i);

    /// <summary>Every <paramref name="heads"/>-th of the parts, [count, d], of a head.</summary>
    internal static T[] OfHead<T>(T[] all, int head, int heads, int d) =>
        [.. all.Chunk(d).Where((_, part) => part % heads == head).SelectMany(part => part)];

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

    internal static GuardedTensor Integers(Accelerator accelerator, int[] values) =>
        new(accelerator, Storage.F32, Array.ConvertAll(values, v => (uint)v));

    internal static ArrayView<int> View(GuardedTensor integers) =>
        integers.Floats.Length == 0 ? default : integers.Floats.Cast<int>();

    internal static int[] Values(GuardedTensor integers) => Array.ConvertAll(integers.Bits(), b => (int)b);
}
