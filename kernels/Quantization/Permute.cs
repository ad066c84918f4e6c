using ILGPU;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Reductions;
using Kernels.DeviceCode.Storage;

namespace Kernels.DeviceCode.Quantization;

/// <summary>Rows or columns in another order, one number per item.</summary>
/// <remarks>
/// Source: JLCM, arXiv:2309.17361: groups of neurons lie together, and the network stays the same.
/// Shapes: x and y [rows, columns], order [rows] or [columns]: row i of y is row order[i] of x.
/// Storage: any; bits are moved as they are. Traffic: each number once in, once out.
/// </remarks>
internal struct PermuteWork<TStorage> : IItemWork
    where TStorage : struct, IStorage
{
    public TStorage X;
    public TStorage Y;
    public ArrayView<int> Order;
    public int Columns;

    /// <summary>Whether columns change their places, not rows.</summary>
    public int IsOfColumns;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform) => Y.Write(i, X.Read(From(Order, i, Columns, IsOfColumns)));

    internal static long From(ArrayView<int> order, long i, int columns, int isOfColumns)
    {
        int row = (int)i / columns;
        int column = (int)i - row * columns;
        if (isOfColumns != 0)
        {
            column = order[column];
        }
        else
        {
            row = order[row];
        }

        return (long)row * columns + column;
    }
}

/// <summary>The same for codes.</summary>
internal struct PermuteBytesWork : IItemWork
{
    public ArrayView<byte> X;
    public ArrayView<byte> Y;
    public ArrayView<int> Order;
    public int Columns;
    public int IsOfColumns;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform) =>
        Y[i] = X[PermuteWork<F32>.From(Order, i, Columns, IsOfColumns)];
}
