using System.Diagnostics.CodeAnalysis;
using ILGPU;
using ILGPU.Runtime;
using Kernels.DeviceCode.Quantization;
using Kernels.DeviceCode.Storage;
using Kernels.Launching;
using Kernels.Linear;
using Kernels.Validation;

namespace Kernels.Quantization;

/// <summary>Rows or columns of a matrix in another order, as <see cref="RowGrouping"/> finds it.</summary>
/// <remarks>
/// A permutation p says where rows come from: row i after is row p[i] before. With layers y = W x + b and a function of
/// single neurons between them, W' = P W, b' = P b (a matrix of one column), and the columns of the next layer's W in the
/// same order: the network computes the same. Bits are moved as they are. A call allocates nothing and does not wait, and
/// may be made from any thread.
/// </remarks>
[RequiresDynamicCode(LoadedKernels.Reason)]
public sealed class Permute : IDisposable
{
    private readonly Accelerator _accelerator;
    private readonly MemoryBuffer1D<int, Stride1D.Dense> _order;
    private readonly ItemLauncher<PermuteWork<F32>> _words;
    private readonly ItemLauncher<PermuteWork<BF16>> _halves;
    private readonly ItemLauncher<PermuteBytesWork> _bytes;
    private bool _isDisposed;

    /// <summary>Loads a permutation.</summary>
    /// <param name="accelerator">Where the tensors lie.</param>
    /// <param name="permutation">[n]: every number from 0 to n - 1 once.</param>
    /// <exception cref="ArgumentNullException"><paramref name="accelerator"/> is null.</exception>
    /// <exception cref="ArgumentException">This is no permutation.</exception>
    /// <exception cref="ObjectDisposedException">The accelerator is disposed.</exception>
    public Permute(Accelerator accelerator, ReadOnlySpan<int> permutation)
    {
        Require.NotNull(accelerator);
        ObjectDisposedException.ThrowIf(accelerator.IsDisposed, accelerator);
        RowGrouping.Check(permutation);
        _accelerator = accelerator;
        Count = permutation.Length;
        _order = accelerator.Allocate1D<int>(Count);
        _order.View.BaseView.CopyFromCPU(accelerator.DefaultStream, permutation);
        accelerator.DefaultStream.Synchronize();
        var facts = DeviceFacts.Of(accelerator);
        _words = new ItemLauncher<PermuteWork<F32>>(accelerator, facts);
        _halves = new ItemLauncher<PermuteWork<BF16>>(accelerator, facts);
        _bytes = new ItemLauncher<PermuteBytesWork>(accelerator, facts);
    }

    /// <summary>The number n of rows, or of columns.</summary>
    public int Count { get; }

    /// <summary>Enqueues a permutation of rows.</summary>
    /// <param name="stream">A stream of the accelerator.</param>
    /// <param name="x">[n, columns], row-major; with one column a bias.</param>
    /// <param name="columns">The number of columns, at least 1; fewer than 2^31 numbers in all.</param>
    /// <param name="y">Out: the same in the new order, of the same storage.</param>
    /// <exception cref="ArgumentNullException"><paramref name="stream"/> is null.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The number of columns is out of range.</exception>
    /// <exception cref="ArgumentException">A length, storage, accelerator or stream does not fit, or tensors
    /// overlap.</exception>
    /// <exception cref="ObjectDisposedException">This, a buffer, the stream or the accelerator is disposed.</exception>
    public void Rows(AcceleratorStream stream, TensorView x, int columns, TensorView y)
    {
        Require.InRange(columns, 1, (int.MaxValue / Count) + 1.0);
        Run(stream, x, columns, y, isOfColumns: false, (long)Count * columns);
    }

    /// <summary>Enqueues a permutation of columns.</summary>
    /// <param name="stream">A stream of the accelerator.</param>
    /// <param name="x">[rows, n], row-major.</param>
    /// <param name="rows">The number of rows, at least 1; fewer than 2^31 numbers in all.</param>
    /// <param name="y">Out: the same in the new order, of the same storage.</param>
    /// <exception cref="ArgumentNullException"><paramref name="stream"/> is null.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The number of rows is out of range.</exception>
    /// <exception cref="ArgumentException">A length, storage, accelerator or stream does not fit, or tensors
    /// overlap.</exception>
    /// <exception cref="ObjectDisposedException">This, a buffer, the stream or the accelerator is disposed.</exception>
    public void Columns(AcceleratorStream stream, TensorView x, int rows, TensorView y)
    {
        Require.InRange(rows, 1, (int.MaxValue / Count) + 1.0);
        Run(stream, x, Count, y, isOfColumns: true, (long)Count * rows);
    }

    /// <summary>Enqueues a permutation of rows of codes.</summary>
    /// <param name="stream">A stream of the accelerator.</param>
    /// <param name="x">[n, columns], row-major.</param>
    /// <param name="columns">The number of columns, at least 1; fewer than 2^31 codes in all.</param>
    /// <param name="y">Out: the same in the new order.</param>
    /// <exception cref="ArgumentNullException"><paramref name="stream"/> is null.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The number of columns is out of range.</exception>
    /// <exception cref="ArgumentException">A length, accelerator or stream does not fit, or they overlap.</exception>
    /// <exception cref="ObjectDisposedException">This, a buffer, the stream or the accelerator is disposed.</exception>
    public void Rows(AcceleratorStream stream, ArrayView<byte> x, int columns, ArrayView<byte> y)
    {
        Require.InRange(columns, 1, (int.MaxValue / Count) + 1.0);
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        LinearChecks.Call(_accelerator, stream);
        Require.Tensor(_accelerator, (long)Count * columns, x);
        Require.Tensor(_accelerator, (long)Count * columns, y);
        Require.Apart([TensorRange.Of(x, nameof(x)), TensorRange.Of(y, nameof(y))]);
        _bytes.Run(stream, new PermuteBytesWork { X = x, Y = y, Order = _order.View, Columns = columns }, 0, x.Length);
    }

    /// <summary>Frees the permutation; enqueued work must have ended.</summary>
    public void Dispose()
    {
        if (!_isDisposed)
        {
            _isDisposed = true;
            _order.Dispose();
        }
    }

    private void Run(AcceleratorStream stream, TensorView x, int columns, TensorView y, bool isOfColumns, long length)
    {
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        LinearChecks.Call(_accelerator, stream);
        Require.Tensor(_accelerator, length, x);
        Require.Tensor(_accelerator, length, y);
        if (x.Storage != y.Storage)
        {
            throw new ArgumentException($"The storage must be {x.Storage}, and is {y.Storage}.", nameof(y));
        }

        Require.Apart(x, y, nameof(x), nameof(y));
        if (x.Storage == Storage.F32)
        {
            Enqueue(_words, stream, Stored.Of<F32>(x), Stored.Of<F32>(y), columns, isOfColumns, length);
        }
        else
        {
            // Bits of 16, whatever they mean.
            Enqueue(_halves, stream, Stored.Of<BF16>(x), Stored.Of<BF16>(y), columns, isOfColumns, length);
        }
    }

    private void Enqueue<TStorage>(
        ItemLauncher<PermuteWork<TStorage>> launcher, AcceleratorStream stream, TStorage x, TStorage y, int columns,
        bool isOfColumns, long length)
        where TStorage : struct, IStorage => launcher.Run(
            stream,
            new PermuteWork<TStorage>
            {
                X = x,
                Y = y,
                Order = _order.View,
                Columns = columns,
                IsOfColumns = isOfColumns ? 1 : 0,
            },
            0, length);
}
