using System.Diagnostics.CodeAnalysis;
using System.Numerics;
using ILGPU;
using ILGPU.Runtime;
using Kernels.DeviceCode.Quantization;
using Kernels.DeviceCode.Storage;
using Kernels.Host;
using Kernels.Launching;
using Kernels.Linear;
using Kernels.Validation;

namespace Kernels.Quantization;

/// <summary>The nearest code of each weight of a matrix, or of each few: the least |w - s c|.</summary>
/// <remarks>
/// <para>
/// Of two codes at the same distance the lower one, of equal codes the first. A codebook of single numbers must ascend;
/// it lies on the device and is not looked at: one that does not gives some code, and no fault. Of several numbers the
/// squared distance counts, and codes may lie in any order.
/// </para>
/// <para>
/// A weight that is infinite has the last different code, or the first, by its sign and that of its scale. Where the
/// scale is 0, or infinite and the weight finite, the code is the one nearest to 0. All else that is NaN has code 0, and
/// so have several weights of which one is not finite, unless their scale is 0.
/// </para>
/// <para>
/// Arithmetic is binary32: a weight over its scale, w / s, is compared with the middles of neighbouring codes. Same
/// input, same bits. Load once for a layout, call often. A call allocates nothing and does not wait; it uses the object's
/// scratch memory, so calls of one object must be on one stream, one after the other.
/// </para>
/// <example><code>
/// var layout = new CodebookLayout(4096, 4096, new CodeFormat(16), scales: WeightScope.Blocks(64));
/// using var assign = new Assign(accelerator, layout);
/// assign.Run(stream, w.View, codebook.View, scale.View, index.View);
/// </code></example>
/// </remarks>
[RequiresDynamicCode(LoadedKernels.Reason)]
public sealed class Assign : IDisposable
{
    private readonly Accelerator _accelerator;
    private readonly DeviceFacts _facts;
    private readonly AssignWalk _walk;
    private readonly int _width;
    private readonly ScopeMemory _codebooks;
    private readonly ScopeMemory _scales;
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _limits;
    private readonly ItemLauncher<AssignLimitWork>? _limit;
    private readonly StoragePairs<Kind> _kinds;
    private bool _isDisposed;

    /// <summary>Prepares for a layout and allocates the scratch memory.</summary>
    /// <param name="accelerator">Where the tensors lie.</param>
    /// <param name="layout">The matrix.</param>
    /// <exception cref="ArgumentNullException">An argument is null.</exception>
    /// <exception cref="ObjectDisposedException">The accelerator is disposed.</exception>
    public Assign(Accelerator accelerator, CodebookLayout layout)
        : this(accelerator, layout, walk: null)
    {
    }

    /// <summary>With a walk that the device would not choose itself, for tests.</summary>
    internal Assign(Accelerator accelerator, CodebookLayout layout, AssignWalk? walk)
    {
        QuantizationChecks.Made(accelerator, layout);
        _accelerator = accelerator;
        Layout = layout;
        _facts = DeviceFacts.Of(accelerator);
        _walk = walk ?? _facts.Class switch
        {
            DeviceClass.Host => AssignWalk.Host,
            DeviceClass.OpenClCpu => AssignWalk.Sixteens,
            _ => AssignWalk.Fours,
        };
        _width = Math.Max(AssignArguments.LeastWidth, (int)BitOperations.RoundUpToPowerOf2((uint)layout.Codes));
        _codebooks = new ScopeMemory(accelerator, layout.Codebooks, layout.Rows);
        _scales = new ScopeMemory(accelerator, layout.Scales, layout.Rows);
        _limits = accelerator.Allocate1D<float>(layout.Length == 1 ? (long)layout.CodebookCount * _width : 1);
        _limit = layout.Length == 1 ? new ItemLauncher<AssignLimitWork>(accelerator, _facts) : null;
        _kinds = new StoragePairs<Kind>(new Loader(this));
    }

    /// <summary>The matrix.</summary>
    public CodebookLayout Layout { get; }

    /// <summary>Limits of a codebook, with those behind the last.</summary>
    internal int Width => _width;

    internal AssignWalk Walk => _walk;

    /// <summary>Enqueues the search.</summary>
    /// <param name="stream">A stream of the accelerator.</param>
    /// <param name="w">The weights, [rows, columns], row-major.</param>
    /// <param name="codebook">The codes, [codebooks, k, length]; ascending if the length is 1.</param>
    /// <param name="scale">The scales in the layout's storage; default if the layout has none.</param>
    /// <param name="index">Out: the codes, [rows, columns / length], 0 to k - 1.</param>
    /// <exception cref="ArgumentNullException"><paramref name="stream"/> is null.</exception>
    /// <exception cref="ArgumentException">A length, storage, accelerator or stream does not fit, or the output
    /// overlaps.</exception>
    /// <exception cref="ObjectDisposedException">This, a buffer, the stream or the accelerator is disposed.</exception>
    public void Run(
        AcceleratorStream stream, TensorView w, ArrayView<float> codebook, TensorView scale, ArrayView<byte> index)
    {
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        LinearChecks.Call(_accelerator, stream);
        Require.Tensor(_accelerator, Layout.WeightCount, w);
        QuantizationChecks.Codebook(_accelerator, Layout, codebook);
        QuantizationChecks.Scales(_accelerator, Layout, scale);
        Require.Tensor(_accelerator, Layout.CodeCount, index);
        TensorRange output = TensorRange.Of(index, nameof(index));
        Require.Apart([TensorRange.Of(w, nameof(w)), output]);
        Require.Apart([TensorRange.Of(codebook, nameof(codebook)), output]);
        Require.Apart([TensorRange.Of(scale, nameof(scale)), output]);
        Enqueue(stream, w, codebook, scale, index);
    }

    /// <summary>Searches codes of tensors in the host's memory, and waits.</summary>
    /// <param name="w">The weights, [rows, columns], row-major.</param>
    /// <param name="codebook">The codes, [codebooks, k, length], finite; ascending if the length is 1.</param>
    /// <param name="scale">The scales; empty if the layout has none. They are rounded to the layout's storage.</param>
    /// <param name="index">Out: the codes, [rows, columns / length], 0 to k - 1.</param>
    /// <exception cref="ArgumentException">A length does not fit, or the codes are not finite, or do not
    /// ascend.</exception>
    /// <exception cref="ObjectDisposedException">This or the accelerator is disposed.</exception>
    public void Run(ReadOnlySpan<float> w, ReadOnlySpan<float> codebook, ReadOnlySpan<float> scale, Span<byte> index)
    {
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        ObjectDisposedException.ThrowIf(_accelerator.IsDisposed, _accelerator);
        Require.Length(Layout.WeightCount, w.Length, nameof(w));
        QuantizationChecks.Ascending(Layout, codebook);
        Require.Length(Layout.ScaleCount, scale.Length, nameof(scale));
        Require.Length(Layout.CodeCount, index.Length, nameof(index));
        AcceleratorStream stream = _accelerator.DefaultStream;
        using var weights = new HostCopy(_accelerator, w, Storage.F32);
        using var codes = new HostCopy(_accelerator, codebook, Storage.F32);
        using var scales = new HostCopy(_accelerator, scale, Layout.ScaleStorage);
        using MemoryBuffer1D<byte, Stride1D.Dense> found = _accelerator.Allocate1D<byte>(Layout.CodeCount);
        Enqueue(stream, weights.View, codes.View.As<float>(), scales.View, found.View);
        found.View.BaseView.CopyToCPU(stream, index);
        stream.Synchronize();
    }

    /// <summary>Frees the scratch memory; enqueued work must have ended.</summary>
    public void Dispose()
    {
        if (!_isDisposed)
        {
            _isDisposed = true;
            _codebooks.Dispose();
            _scales.Dispose();
            _limits.Dispose();
        }
    }

    /// <summary>The search, of what has been checked.</summary>
    internal void Enqueue(
        AcceleratorStream stream, TensorView w, ArrayView<float> codebook, TensorView scale, ArrayView<byte> index)
    {
        // Reading no scales takes a tensor all the same.
        scale = Layout.Scales is null ? _limits.View : scale;
        Kind kind = _kinds.For(w.Storage, scale.Storage);
        _limit?.Run(
            stream,
            new AssignLimitWork { Codebook = codebook, Limits = _limits.View, Codes = Layout.Codes, Width = _width },
            0, Layout.CodebookCount, grain: 64);
        kind.Run(this, stream, w, codebook, scale, index);
    }

    private bool HasShares =>
        Layout.Codebooks.Kind != WeightScopeKind.Tensor
        || (Layout.Scales is { } scales && scales.Kind != WeightScopeKind.Tensor);

    private abstract class Kind
    {
        internal abstract void Run(
            Assign owner, AcceleratorStream stream, TensorView w, ArrayView<float> codebook, TensorView scale,
            ArrayView<byte> index);
    }

    [RequiresDynamicCode(LoadedKernels.Reason)]
    private sealed class Loader(Assign owner) : IStoragePairLoader<Kind>
    {
        public Kind Load<TRow, TCode>()
            where TRow : struct, IStorage
            where TCode : struct, IStorage => owner.Layout.Length switch
            {
                1 => new Single<TRow, TCode>(owner),
                2 => new Several<TRow, TCode, TwoWeights>(owner),
                4 => new Several<TRow, TCode, FourWeights>(owner),
                _ => new Several<TRow, TCode, EightWeights>(owner),
            };
    }

    [RequiresDynamicCode(LoadedKernels.Reason)]
    private sealed class Single<TWeight, TScale>(Assign owner) : Kind
        where TWeight : struct, IStorage
        where TScale : struct, IStorage
    {
        private readonly ItemLauncher<AssignSixteenWork<TWeight, TScale>>? _sixteens =
            owner._walk == AssignWalk.Sixteens ? new(owner._accelerator, owner._facts) : null;

        private readonly ItemLauncher<AssignFourWork<TWeight, TScale>>? _fours =
            owner._walk == AssignWalk.Fours ? new(owner._accelerator, owner._facts) : null;

        internal override void Run(
            Assign owner, AcceleratorStream stream, TensorView w, ArrayView<float> codebook, TensorView scale,
            ArrayView<byte> index)
        {
            if (owner._walk == AssignWalk.Host)
            {
                owner.OnHost(w, codebook, scale, index);
                return;
            }

            AssignArguments<TWeight, TScale> arguments = owner.Arguments<TWeight, TScale>(w, codebook, scale, index);
            _sixteens?.Run(
                stream, new AssignSixteenWork<TWeight, TScale> { Arguments = arguments },
                0, (owner.Layout.WeightCount + 15L) / 16);
            _fours?.Run(
                stream, new AssignFourWork<TWeight, TScale> { Arguments = arguments },
                0, (owner.Layout.WeightCount + 3L) / 4);
        }
    }

    [RequiresDynamicCode(LoadedKernels.Reason)]
    private sealed class Several<TWeight, TScale, TLength>(Assign owner) : Kind
        where TWeight : struct, IStorage
        where TScale : struct, IStorage
        where TLength : struct, IAssignLength
    {
        private readonly ItemLauncher<AssignVectorSixteenWork<TWeight, TScale, TLength>>? _sixteens =
            owner._walk == AssignWalk.Sixteens ? new(owner._accelerator, owner._facts) : null;

        private readonly ItemLauncher<AssignVectorWork<TWeight, TScale, TLength>>? _ones =
            owner._walk == AssignWalk.Fours ? new(owner._accelerator, owner._facts) : null;

        internal override void Run(
            Assign owner, AcceleratorStream stream, TensorView w, ArrayView<float> codebook, TensorView scale,
            ArrayView<byte> index)
        {
            if (owner._walk == AssignWalk.Host)
            {
                owner.OnHost(w, codebook, scale, index);
                return;
            }

            AssignArguments<TWeight, TScale> arguments = owner.Arguments<TWeight, TScale>(w, codebook, scale, index);
            _sixteens?.Run(
                stream, new AssignVectorSixteenWork<TWeight, TScale, TLength> { Arguments = arguments },
                0, (owner.Layout.CodeCount + 15L) / 16);
            _ones?.Run(
                stream, new AssignVectorWork<TWeight, TScale, TLength> { Arguments = arguments },
                0, owner.Layout.CodeCount, grain: 1024);
        }
    }

    private AssignArguments<TWeight, TScale> Arguments<TWeight, TScale>(
        TensorView w, ArrayView<float> codebook, TensorView scale, ArrayView<byte> index)
        where TWeight : struct, IStorage
        where TScale : struct, IStorage => new()
        {
            Weights = Stored.Of<TWeight>(w),
            Scales = Stored.Of<TScale>(scale),
            Codebook = codebook,
            Limits = _limits.View,
            Index = index,
            Codebooks = _codebooks.Table,
            ScaleScope = _scales.Table,
            Count = Layout.WeightCount,
            Columns = Layout.Columns,
            Codes = Layout.Codes,
            Width = _width,
            HasScale = Layout.Scales is null ? 0 : 1,
            HasShares = HasShares ? 1 : 0,
            IsPacked = TensorRange.Of(w, nameof(w)).IsAligned(_accelerator, 4 * w.ElementBytes)
                && TensorRange.Of(index, nameof(index)).IsAligned(_accelerator, 4) ? 1 : 0,
        };

    private unsafe void OnHost(TensorView w, ArrayView<float> codebook, TensorView scale, ArrayView<byte> index) => HostPool.Run(
        new HostAssign
        {
            Weights = new HostStored(w),
            Scales = new HostStored(scale),
            Limits = (float*)_limits.View.BaseView.LoadEffectiveAddressAsPtr(),
            Codebook = (float*)codebook.LoadEffectiveAddressAsPtr(),
            Length = Layout.Length,
            Index = (byte*)index.LoadEffectiveAddressAsPtr(),
            Codebooks = _codebooks.Table,
            ScaleScope = _scales.Table,
            Columns = Layout.Columns,
            Codes = Layout.Codes,
            Width = _width,
            HasScale = Layout.Scales is not null,
            HasShares = HasShares,
        },
        Layout.WeightCount, Layout.Length == 1 ? HostAssign.Grain : HostAssign.VectorGrain, _facts.Cores);
}
