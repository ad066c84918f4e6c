using System.Diagnostics.CodeAnalysis;
using ILGPU;
using ILGPU.Runtime;
using Kernels.DeviceCode.Quantization;
using Kernels.DeviceCode.Storage;
using Kernels.Host;
using Kernels.Launching;
using Kernels.Linear;
using Kernels.Validation;

namespace Kernels.Quantization;

/// <summary>The scales of a matrix: the largest magnitude of each block, row, group of rows, or of all.</summary>
/// <remarks>
/// <para>
/// With blocks and <see cref="Codebooks.Nf4"/> these are the scales of QLoRA (Dettmers et al. 2023, arXiv:2305.14314).
/// Weights that are not finite do not count, so that one of them spoils no other. A largest magnitude that is not 0 is at
/// least 2^-126, so that it has a reciprocal; weights of zeros have the scale 0, as have groups without rows. Exact, but for
/// the rounding to 16 bits where scales are kept so.
/// </para>
/// <para>
/// Load once for a shape, call often. A call allocates nothing and does not wait; it uses the object's scratch memory, so
/// calls of one object must be on one stream, one after the other.
/// </para>
/// </remarks>
[RequiresDynamicCode(LoadedKernels.Reason)]
public sealed class AbsMax : IDisposable
{
    private const int GpuChunk = 64;
    private const int CpuChunk = 1024;

    private readonly Accelerator _accelerator;
    private readonly DeviceFacts _facts;
    private readonly ScopeMemory _scope;
    private readonly MemoryBuffer1D<int, Stride1D.Dense> _largest;
    private readonly StoragePairs<Kind> _kinds;
    private bool _isDisposed;

    /// <summary>Prepares for a shape and allocates the scratch memory.</summary>
    /// <param name="accelerator">Where the tensors lie.</param>
    /// <param name="rows">Rows, at least 1.</param>
    /// <param name="columns">Columns, at least 1; fewer than 2^31 weights in all.</param>
    /// <param name="scope">Which weights share a scale.</param>
    /// <exception cref="ArgumentNullException">An argument is null.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A size is out of range.</exception>
    /// <exception cref="ArgumentException">The groups have another number of rows.</exception>
    /// <exception cref="ObjectDisposedException">The accelerator is disposed.</exception>
    public AbsMax(Accelerator accelerator, int rows, int columns, WeightScope scope)
    {
        Require.NotNull(accelerator);
        ObjectDisposedException.ThrowIf(accelerator.IsDisposed, accelerator);
        QuantizationChecks.Shape(rows, columns);
        Require.NotNull(scope);
        ScaleCount = scope.Count(rows, columns);
        _accelerator = accelerator;
        Rows = rows;
        Columns = columns;
        _facts = DeviceFacts.Of(accelerator);
        _scope = new ScopeMemory(accelerator, scope, rows);
        _largest = accelerator.Allocate1D<int>(ScaleCount);
        _kinds = new StoragePairs<Kind>(new Loader(accelerator, _facts));
    }

    /// <summary>Rows.</summary>
    public int Rows { get; }

    /// <summary>Columns.</summary>
    public int Columns { get; }

    /// <summary>The number of scales.</summary>
    public int ScaleCount { get; }

    /// <summary>Enqueues the search.</summary>
    /// <param name="stream">A stream of the accelerator.</param>
    /// <param name="w">The weights, [rows, columns], row-major.</param>
    /// <param name="scale">Out: the scales, [scales], of any storage.</param>
    /// <exception cref="ArgumentNullException"><paramref name="stream"/> is null.</exception>
    /// <exception cref="ArgumentException">A length, accelerator or stream does not fit, or the tensors overlap.</exception>
    /// <exception cref="ObjectDisposedException">This, a buffer, the stream or the accelerator is disposed.</exception>
    public void Run(AcceleratorStream stream, TensorView w, TensorView scale)
    {
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        LinearChecks.Call(_accelerator, stream);
        Require.Tensor(_accelerator, (long)Rows * Columns, w);
        Require.Tensor(_accelerator, ScaleCount, scale);
        Require.Apart(w, scale, nameof(w), nameof(scale));
        _largest.View.BaseView.MemSetToZero(stream);
        _kinds.For(w.Storage, scale.Storage).Run(this, stream, w, scale);
    }

    /// <summary>Frees the scratch memory; enqueued work must have ended.</summary>
    public void Dispose()
    {
        if (!_isDisposed)
        {
            _isDisposed = true;
            _scope.Dispose();
            _largest.Dispose();
        }
    }

    private abstract class Kind
    {
        internal abstract void Run(AbsMax owner, AcceleratorStream stream, TensorView w, TensorView scale);
    }

    [RequiresDynamicCode(LoadedKernels.Reason)]
    private sealed class Loader(Accelerator accelerator, DeviceFacts facts) : IStoragePairLoader<Kind>
    {
        public Kind Load<TRow, TCode>()
            where TRow : struct, IStorage
            where TCode : struct, IStorage => new Of<TRow, TCode>(accelerator, facts);
    }

    [RequiresDynamicCode(LoadedKernels.Reason)]
    private sealed class Of<TWeight, TScale>(Accelerator accelerator, DeviceFacts facts) : Kind
        where TWeight : struct, IStorage
        where TScale : struct, IStorage
    {
        private readonly ItemLauncher<AbsMaxWork<TWeight>>? _chunks =
            facts.Class == DeviceClass.Host ? null : new(accelerator, facts);

        private readonly ItemLauncher<AbsMaxScaleWork<TScale>> _scales = new(accelerator, facts);

        internal override void Run(AbsMax owner, AcceleratorStream stream, TensorView w, TensorView scale)
        {
            int chunk = owner._facts.Class == DeviceClass.Gpu ? GpuChunk : CpuChunk;
            if (_chunks is null)
            {
                owner.OnHost(w);
            }
            else
            {
                var work = new AbsMaxWork<TWeight>
                {
                    Weights = Stored.Of<TWeight>(w),
                    Largest = owner._largest.View,
                    Scope = owner._scope.Table,
                    Columns = owner.Columns,
                    Count = (int)w.Length,
                    Chunk = chunk,
                };
                _chunks.Run(stream, work, 0, (w.Length + chunk - 1) / chunk);
            }

            _scales.Run(
                stream, new AbsMaxScaleWork<TScale> { Largest = owner._largest.View, Scales = Stored.Of<TScale>(scale) },
                0, owner.ScaleCount);
        }
    }

    private unsafe void OnHost(TensorView w) => HostPool.Run(
        new HostAbsMax
        {
            Weights = new HostStored(w),
            Largest = (int*)_largest.View.BaseView.LoadEffectiveAddressAsPtr(),
            Scope = _scope.Table,
            Columns = Columns,
        },
        w.Length, HostAbsMax.Grain, _facts.Cores);
}
