using System.Diagnostics.CodeAnalysis;
using ILGPU;
using ILGPU.Runtime;
using Kernels.DeviceCode.Storage;
using Kernels.DeviceCode.VectorQuantization;
using Kernels.Host;
using Kernels.Launching;

namespace Kernels.VectorQuantization;

/// <summary>The passes over tiles between the products of <see cref="SoftmaxCodes"/>.</summary>
[RequiresDynamicCode(LoadedKernels.Reason)]
internal sealed class SoftmaxPasses
{
    private const int ColumnGroup = 64;
    private const int CpuGroup = 32;

    private readonly DeviceFacts _facts;
    private readonly Lock _gate;
    private readonly bool _onHost;
    private readonly Action<AcceleratorStream, KernelConfig, ArrayView<float>, SoftmaxState, int, int, int>? _weigh;
    private readonly Action<AcceleratorStream, KernelConfig, ArrayView<float>, SoftmaxState, SoftmaxRows, int, int>? _delta;
    private readonly Action<AcceleratorStream, KernelConfig, ArrayView<float>, ArrayView<float>, SoftmaxRows, int, int, int,
        int>? _hard;

    private readonly Transfer<F32> _f32;
    private readonly Transfer<F16> _f16;
    private readonly Transfer<BF16> _bf16;

    /// <param name="accelerator">Where the tensors lie.</param>
    /// <param name="facts">Of the accelerator.</param>
    /// <param name="gate">Held while a kernel's arguments are set.</param>
    /// <param name="launch">Whether there are launches even on the CPU accelerator.</param>
    internal SoftmaxPasses(Accelerator accelerator, DeviceFacts facts, Lock gate, bool launch)
    {
        _facts = facts;
        _gate = gate;
        _onHost = facts.Class == DeviceClass.Host && !launch;
        _f32 = new(accelerator);
        _f16 = new(accelerator);
        _bf16 = new(accelerator);
        if (!_onHost)
        {
            _weigh = accelerator.LoadKernel<ArrayView<float>, SoftmaxState, int, int, int>(SoftmaxCodesKernel.Weigh);
            _delta = accelerator.LoadKernel<ArrayView<float>, SoftmaxState, SoftmaxRows, int, int>(SoftmaxCodesKernel.Delta);
            _hard = accelerator.LoadKernel<ArrayView<float>, ArrayView<float>, SoftmaxRows, int, int, int, int>(
                SoftmaxCodesKernel.Hard);
        }
    }

    internal void Load(AcceleratorStream stream, TensorView from, ArrayView<float> tile, in SoftmaxRows t, int rows) =>
        Move(stream, from, tile, t, rows, isLoad: true);

    internal void Store(AcceleratorStream stream, TensorView to, ArrayView<float> tile, in SoftmaxRows t, int rows) =>
        Move(stream, to, tile, t, rows, isLoad: false);

    internal unsafe void Weigh(
        AcceleratorStream stream, ArrayView<float> scores, in SoftmaxState state, int rows, int codes, bool isFirst)
    {
        if (_onHost)
        {
            HostSoftmaxCodes work = Host(scores, state, rows, codes);
            work.IsFirst = isFirst;
            work.Pass = SoftmaxCodesPass.Weigh;
            HostPool.Run(work, rows, Math.Max(1, 8_192 / codes), _facts.Cores);
            return;
        }

        lock (_gate)
        {
            _weigh!(stream, (rows, Group(codes)), scores, state, rows, codes, isFirst ? 1 : 0);
        }
    }

    internal unsafe void Delta(
        AcceleratorStream stream, ArrayView<float> scores, in SoftmaxState state, in SoftmaxRows t, int rows, int codes)
    {
        if (_onHost)
        {
            HostSoftmaxCodes work = Host(scores, state, rows, codes);
            Place(ref work, t);
            work.Pass = SoftmaxCodesPass.Delta;
            HostPool.Run(work, rows, Math.Max(1, 8_192 / codes), _facts.Cores);
            return;
        }

        lock (_gate)
        {
            _delta!(stream, (rows, Group(codes)), scores, state, t, rows, codes);
        }
    }

    /// <summary>Adds the gradients of rows to those of their hard codes, or to zeros.</summary>
    internal unsafe void Hard(
        AcceleratorStream stream, ArrayView<float> grads, ArrayView<float> gradCodes, in SoftmaxRows t, int rows, bool isFirst)
    {
        if (_onHost)
        {
            var work = new HostSoftmaxCodes { Rows = rows, Tile = Address(grads) };
            Place(ref work, t);
            float* to = Address(gradCodes);
            if (isFirst)
            {
                for (long code = 0; code < t.Codes; code++)
                {
                    new Span<float>(to + (code * t.Dimension), t.Dimension).Clear();
                }
            }

            work.Hard(to);
            return;
        }

        int groups = (int)Math.Min(t.Codes, 8L * _facts.Cores);
        int each = (t.Codes + groups - 1) / groups;
        groups = (t.Codes + each - 1) / each;
        int size = Math.Min(ColumnGroup, _facts.MaxGroup);
        int columns = (t.Dimension + size - 1) / size;
        lock (_gate)
        {
            _hard!(stream, (checked(groups * columns), size), grads, gradCodes, t, rows, each, columns, isFirst ? 1 : 0);
        }
    }

    /// <summary>Items of a group that has a row of so many elements.</summary>
    // A level of a tree costs PoCL a loop over all items: few of them, with more turns each.
    private int Group(int length) =>
        _facts.Class == DeviceClass.OpenClCpu ? Math.Min(CpuGroup, _facts.MaxGroup) : TilePlan.RowGroup(_facts, length);

    private static unsafe float* Address(ArrayView<float> view) =>
        view.Length == 0 ? null : (float*)view.LoadEffectiveAddressAsPtr();

    private static unsafe HostSoftmaxCodes Host(
        ArrayView<float> scores, in SoftmaxState state, int rows, int codes) => new()
        {
            Scores = Address(scores),
            Largest = Address(state.Largest),
            Sum = Address(state.Sum),
            Weighted = Address(state.Weighted),
            Rows = rows,
            Codes = codes,
        };

    private static unsafe void Place(ref HostSoftmaxCodes work, in SoftmaxRows t)
    {
        work.Index = t.HasIndex != 0 && t.Index.Length > 0 ? (int*)t.Index.LoadEffectiveAddressAsPtr() : null;
        work.First = t.First;
        work.Stride = t.Stride;
        work.FirstIndex = t.FirstIndex;
        work.IndexStride = t.IndexStride;
        work.CodeCount = t.Codes;
        work.Dimension = t.Dimension;
    }

    private unsafe void Move(
        AcceleratorStream stream, TensorView view, ArrayView<float> tile, in SoftmaxRows t, int rows, bool isLoad)
    {
        if (rows == 0)
        {
            return;
        }

        if (_onHost)
        {
            var work = new HostSoftmaxCodes { View = new HostStored(view), Tile = Address(tile), Rows = rows };
            Place(ref work, t);
            work.Pass = isLoad ? SoftmaxCodesPass.Load : SoftmaxCodesPass.Store;
            HostPool.Run(work, rows, HostQuantize.Grain(t.Dimension), _facts.Cores);
            return;
        }

        var config = new KernelConfig(rows, Group(t.Dimension));
        lock (_gate)
        {
            switch (view.Storage)
            {
                case Storage.F32:
                    _f32.Run(stream, config, view, tile, t, isLoad);
                    break;
                case Storage.F16:
                    _f16.Run(stream, config, view, tile, t, isLoad);
                    break;
                default:
                    _bf16.Run(stream, config, view, tile, t, isLoad);
                    break;
            }
        }
    }

    /// <summary>The kernels that move rows of one storage, loaded when they are first needed.</summary>
    [RequiresDynamicCode(LoadedKernels.Reason)]
    private sealed class Transfer<TStorage>(Accelerator accelerator)
        where TStorage : struct, IStorage
    {
        private Action<AcceleratorStream, KernelConfig, TStorage, ArrayView<float>, SoftmaxRows>? _load;
        private Action<AcceleratorStream, KernelConfig, TStorage, ArrayView<float>, SoftmaxRows>? _store;

        internal void Run(
            AcceleratorStream stream, KernelConfig config, TensorView view, ArrayView<float> tile, in SoftmaxRows t, bool isLoad)
        {
            if (isLoad)
            {
                _load ??= accelerator.LoadKernel<TStorage, ArrayView<float>, SoftmaxRows>(SoftmaxCodesKernel.Load);
                _load(stream, config, Stored.Of<TStorage>(view), tile, t);
            }
            else
            {
                _store ??= accelerator.LoadKernel<TStorage, ArrayView<float>, SoftmaxRows>(SoftmaxCodesKernel.Store);
                _store(stream, config, Stored.Of<TStorage>(view), tile, t);
            }
        }
    }
}
