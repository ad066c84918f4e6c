using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using Kernels.References.Fuzzing;

namespace Kernels.Tools.Fuzzing;

/// <summary>In how many cases several devices gave the same bits.</summary>
internal sealed class Agreement
{
    private readonly ConcurrentDictionary<string, (int Same, int All)> _counts = new(StringComparer.Ordinal);

    /// <summary>Adds a case.</summary>
    /// <param name="name">The operation.</param>
    /// <param name="outputs">The outputs of each device.</param>
    internal void Count(string name, IReadOnlyList<IReadOnlyDictionary<string, FuzzTensor>> outputs)
    {
        int same = outputs.Skip(1).All(other => outputs[0].All(output => IsSame(output.Value, other[output.Key]))) ? 1 : 0;
        _counts.AddOrUpdate(name, (same, 1), (_, counts) => (counts.Same + same, counts.All + 1));
    }

    /// <summary>The share of the cases, from 0 to 1; 1 without any.</summary>
    internal double Share(string name) =>
        _counts.TryGetValue(name, out (int Same, int All) counts) ? (double)counts.Same / counts.All : 1;

    // All NaN are one: devices choose their bits.
    private static bool IsSame(FuzzTensor one, FuzzTensor other) => one.Data is float[] floats
        ? floats.Zip(other.Floats).All(pair => float.IsNaN(pair.First)
            ? float.IsNaN(pair.Second)
            : BitConverter.SingleToInt32Bits(pair.First) == BitConverter.SingleToInt32Bits(pair.Second))
        : MemoryMarshal.Cast<int, byte>(one.Integers).SequenceEqual(MemoryMarshal.Cast<int, byte>(other.Integers));
}
