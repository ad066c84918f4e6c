using ILGPU;
using ILGPU.Runtime;
using Kernels.DeviceCode.Quantization;

namespace Kernels.Quantization;

/// <summary>What a kernel needs to know of a scope: in groups, the share of each row, on the device.</summary>
internal sealed class ScopeMemory : IDisposable
{
    private readonly MemoryBuffer1D<int, Stride1D.Dense>? _ofRow;

    internal ScopeMemory(Accelerator accelerator, WeightScope? scope, int rows)
    {
        if (scope?.Kind == WeightScopeKind.Groups)
        {
            var ofRow = new int[rows];
            for (int group = 0; group + 1 < scope.Boundaries.Length; group++)
            {
                ofRow.AsSpan(scope.Boundaries[group]..scope.Boundaries[group + 1]).Fill(group);
            }

            _ofRow = accelerator.Allocate1D<int>(rows);
            _ofRow.View.BaseView.CopyFromCPU(accelerator.DefaultStream, ofRow);
            accelerator.DefaultStream.Synchronize();
        }

        Table = new ScopeTable
        {
            OfRow = _ofRow is null ? default : _ofRow.View.BaseView,
            Kind = (int)(scope?.Kind ?? WeightScopeKind.Tensor),
            Block = scope?.Block ?? 0,
        };
    }

    internal ScopeTable Table { get; }

    public void Dispose() => _ofRow?.Dispose();
}
