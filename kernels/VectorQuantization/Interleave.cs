using ILGPU;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Reductions;

namespace Kernels.DeviceCode.VectorQuantization;

/// <summary>Exchanges the two outer dimensions of integers, one an item.</summary>
/// <remarks>
/// Shapes: from [outer, inner, cell], to [inner, outer, cell].
/// Traffic: reads and writes every integer once.
/// </remarks>
internal struct InterleaveWork : IItemWork
{
    public ArrayView<int> From;

    /// <summary>Out.</summary>
    public ArrayView<int> To;
    public int Outer;
    public int Inner;
    public int Cell;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        long cell = i / Cell;
        long inner = cell / Outer;
        long outer = cell - inner * Outer;
        To[i] = From[(outer * Inner + inner) * Cell + (i - cell * Cell)];
    }
}
