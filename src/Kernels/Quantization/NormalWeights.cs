using System.Diagnostics.CodeAnalysis;
using ILGPU;
using ILGPU.Runtime;
using Kernels.DeviceCode.Quantization;
using Kernels.DeviceCode.Storage;
using Kernels.Launching;

namespace Kernels.Quantization;

/// <summary>Weights over their scale, the weights of a code in planes, and how much they count.</summary>
[RequiresDynamicCode(LoadedKernels.Reason)]
internal sealed class NormalWeights : IDisposable
{
    private readonly CodebookLayout _layout;
    private readonly ScopeMemory _scope;
    private readonly StoragePairs<Kind> _kinds;
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _planes;
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _masses;

    internal NormalWeights(Accelerator accelerator, CodebookLayout layout)
    {
        _layout = layout;
        _scope = new ScopeMemory(accelerator, layout.Scales, layout.Rows);
        _kinds = new StoragePairs<Kind>(new Loader(accelerator, DeviceFacts.Of(accelerator)));
        _planes = accelerator.Allocate1D<float>(layout.WeightCount);
        _masses = accelerator.Allocate1D<float>(layout.CodeCount);
    }

    /// <summary>w / s, [length, codes].</summary>
    internal ArrayView<float> Planes => _planes.View;

    /// <summary>h s^2, [codes]; 0 for what does not count.</summary>
    internal ArrayView<float> Masses => _masses.View;

    /// <summary>A weight of each code, over its scale.</summary>
    internal ArrayView<float> Plane(int weight) =>
        _planes.View.SubView((long)weight * _layout.CodeCount, _layout.CodeCount);

    /// <summary>Enqueues the quotients.</summary>
    internal void Run(AcceleratorStream stream, TensorView w, TensorView scale, ArrayView<float> h)
    {
        // Reading no scales takes a tensor all the same.
        scale = _layout.Scales is null ? Masses : scale;
        _kinds.For(w.Storage, scale.Storage).Run(this, stream, w, scale, h);
    }

    public void Dispose()
    {
        _scope.Dispose();
        _planes.Dispose();
        _masses.Dispose();
    }

    private abstract class Kind
    {
        internal abstract void Run(
            NormalWeights owner, AcceleratorStream stream, TensorView w, TensorView scale, ArrayView<float> h);
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
        private readonly ItemLauncher<NormalWeightsWork<TWeight, TScale>> _work = new(accelerator, facts);

        internal override void Run(
            NormalWeights owner, AcceleratorStream stream, TensorView w, TensorView scale, ArrayView<float> h) =>
            _work.Run(
                stream,
                new NormalWeightsWork<TWeight, TScale>
                {
                    Numbers = Stored.Of<TWeight>(w),
                    Scales = Stored.Of<TScale>(scale),
                    ScaleScope = owner._scope.Table,
                    H = h,
                    Planes = owner.Planes,
                    Masses = owner.Masses,
                    Length = owner._layout.Length,
                    Count = owner._layout.CodeCount,
                    Columns = owner._layout.Columns,
                    HasScale = owner._layout.Scales is null ? 0 : 1,
                    HasH = h.Length > 0 ? 1 : 0,
                },
                0, owner._layout.CodeCount);
    }
}
