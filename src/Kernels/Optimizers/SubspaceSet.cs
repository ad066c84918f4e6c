using System.Diagnostics.CodeAnalysis;
using ILGPU;
using ILGPU.Runtime;
using Kernels.Dct;
using Kernels.DeviceCode.Dct;
using Kernels.Launching;

namespace Kernels.Optimizers;

/// <summary>Matrices of an optimizer that are projected: transforms of each length once, and scratch for the largest.</summary>
[RequiresDynamicCode(LoadedKernels.Reason)]
internal sealed class SubspaceSet(Accelerator accelerator) : IDisposable
{
    private readonly Dictionary<(Basis, int), TransformEngine> _transforms = [];
    private readonly SubspaceScratch _scratch = new(accelerator);
    private readonly ItemLauncher<FillZeros> _fill = new(accelerator, DeviceFacts.Of(accelerator));
    private MemoryBuffer1D<float, Stride1D.Dense>? _full;
    private MemoryBuffer1D<float, Stride1D.Dense>? _low;
    private MemoryBuffer1D<float, Stride1D.Dense>? _direction;
    private MemoryBuffer1D<int, Stride1D.Dense>? _index;

    /// <summary>The subspaces of a matrix, and room for it.</summary>
    internal Subspace Create(int rows, int columns, int rank, ColumnSelectorOptions options)
    {
        int length = options.IsLeft(rows, columns) ? rows : columns;
        var subspace = new Subspace(
            accelerator, rows, columns, rank, options, Transform(options.Basis, length),
            Transform(Dct.Transform.InverseOf(options.Basis), length), _scratch);
        Reserve(ref _low, 2L * rank * subspace.Lines);
        Reserve(ref _direction, (long)rank * subspace.Lines);
        Reserve(ref _index, rank);
        return subspace;
    }

    /// <summary>Room for one matrix; allocated when it is first asked for.</summary>
    internal ArrayView<float> Full(long length, long most)
    {
        Reserve(ref _full, most);
        return _full!.View.BaseView.SubView(0, length);
    }

    /// <summary>Room for two projected gradients.</summary>
    internal ArrayView<float> Low(long length) => _low!.View.BaseView.SubView(0, length);

    /// <summary>Room for another one, with zeros in it.</summary>
    internal ArrayView<float> Zeros(AcceleratorStream stream, long length)
    {
        ArrayView<float> zeros = _direction!.View.BaseView.SubView(0, length);
        _fill.Run(stream, new FillZeros { To = zeros }, 0, length);
        return zeros;
    }

    /// <summary>Room for one choice.</summary>
    internal ArrayView<int> Index(int rank) => _index!.View.BaseView.SubView(0, rank);

    public void Dispose()
    {
        foreach (TransformEngine transform in _transforms.Values)
        {
            transform.Dispose();
        }

        _scratch.Dispose();
        _full?.Dispose();
        _low?.Dispose();
        _direction?.Dispose();
        _index?.Dispose();
    }

    private TransformEngine Transform(Basis basis, int length)
    {
        if (!_transforms.TryGetValue((basis, length), out TransformEngine? transform))
        {
            transform = new TransformEngine(accelerator, basis, length, canScore: true);
            _transforms[(basis, length)] = transform;
        }

        return transform;
    }

    private void Reserve<T>(ref MemoryBuffer1D<T, Stride1D.Dense>? buffer, long length)
        where T : unmanaged
    {
        if ((buffer?.Length ?? 0) < length)
        {
            buffer?.Dispose();
            buffer = accelerator.Allocate1D<T>(length);
        }
    }
}
