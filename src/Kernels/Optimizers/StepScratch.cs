using System.Collections.Concurrent;
using ILGPU;
using ILGPU.Runtime;
using Kernels.DeviceCode.Optimizers;
using Kernels.Launching;

namespace Kernels.Optimizers;

/// <summary>Memory of a launcher for what lies between its launches, and a control that changes nothing.</summary>
internal sealed class StepScratch : IDisposable
{
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _buffer;

    internal StepScratch(Accelerator accelerator, long length)
    {
        _buffer = accelerator.Allocate1D<float>(2 + length);
        // A skipped step leaves sums as they were, and later launches read them all the same.
        _buffer.MemSetToZero();
        _buffer.View.BaseView.SubView(0, 1).CopyFromCPU(accelerator.DefaultStream, [1f]);
        accelerator.DefaultStream.Synchronize();
    }

    internal bool IsDisposed => _buffer.IsDisposed;

    /// <summary>The control of a call, or the one that changes nothing.</summary>
    internal ArrayView<StepControl> Control(in UpdateCall call) => call.Extras.Control.IsValid
        ? call.Control
        : _buffer.View.BaseView.SubView(0, 2).Cast<StepControl>();

    /// <summary>The next views of the memory; they start at <paramref name="used"/>, which is moved on.</summary>
    internal ArrayView<float> Next(ref long used, long length)
    {
        // A view of nothing at the end of another is out of bounds for ILGPU.
        ArrayView<float> taken = length == 0 ? default : _buffer.View.BaseView.SubView(2 + used, length);
        used += length;
        return taken;
    }

    public void Dispose() => _buffer.Dispose();
}

/// <summary>The kernels of a launcher, one set for each combination of storages and extras, loaded when first used.</summary>
internal sealed class KernelSets(Accelerator accelerator, DeviceFacts facts)
{
    private readonly ConcurrentDictionary<Type, object> _sets = new();

    internal TSet Get<TSet>(Func<Accelerator, DeviceFacts, TSet> load)
        where TSet : class
    {
        if (!_sets.TryGetValue(typeof(TSet), out object? set))
        {
            set = _sets.GetOrAdd(typeof(TSet), load(accelerator, facts));
        }

        return (TSet)set;
    }
}
