using ILGPU;
using ILGPU.Runtime;
using Kernels.DeviceCode.Quantization;

namespace Kernels.Quantization;

/// <summary>The groups of weights of a fit, cut into chunks, and those into runs; on the host and on the device.</summary>
internal sealed class FitPieces : IDisposable
{
    private readonly List<MemoryBuffer1D<int, Stride1D.Dense>> _buffers = [];

    internal FitPieces(Accelerator accelerator, CodebookLayout layout, int chunk)
    {
        var chunkBegin = new List<int>();
        var chunkGroup = new List<int>();
        var runBegin = new List<int>();
        var runGroup = new List<int>();
        var groupBegin = new List<int>();
        for (int group = 0; group < layout.CodebookCount; group++)
        {
            (int begin, int end) = Weights(layout, group);
            groupBegin.Add(runBegin.Count);
            int first = chunkBegin.Count;
            for (long at = begin; at < end; at += chunk)
            {
                if ((chunkBegin.Count - first) % CodebookFitArguments.RunChunks == 0)
                {
                    runBegin.Add(chunkBegin.Count);
                    runGroup.Add(group);
                }

                chunkBegin.Add((int)at);
                chunkGroup.Add(group);
            }
        }

        Chunks = chunkBegin.Count;
        Runs = runBegin.Count;
        groupBegin.Add(Runs);
        runBegin.Add(Chunks);
        chunkBegin.Add(layout.WeightCount);
        ChunkBegin = Upload(accelerator, chunkBegin);
        ChunkGroup = Upload(accelerator, chunkGroup);
        RunBegin = Upload(accelerator, runBegin);
        RunGroup = Upload(accelerator, runGroup);
        GroupBegin = Upload(accelerator, groupBegin);
        accelerator.DefaultStream.Synchronize();
    }

    internal int Chunks { get; }

    internal int Runs { get; }

    internal ArrayView<int> ChunkBegin { get; }

    internal ArrayView<int> ChunkGroup { get; }

    internal ArrayView<int> RunBegin { get; }

    internal ArrayView<int> RunGroup { get; }

    internal ArrayView<int> GroupBegin { get; }

    /// <summary>The weights that share a codebook.</summary>
    internal static (int Begin, int End) Weights(CodebookLayout layout, int group)
    {
        WeightScope scope = layout.Codebooks;
        return scope.Kind switch
        {
            WeightScopeKind.Tensor => (0, layout.WeightCount),
            WeightScopeKind.Rows => (group * layout.Columns, (group + 1) * layout.Columns),
            WeightScopeKind.Groups => (scope.Boundaries[group] * layout.Columns, scope.Boundaries[group + 1] * layout.Columns),
            _ => (group * scope.Block, (int)Math.Min((group + 1L) * scope.Block, layout.WeightCount)),
        };
    }

    public void Dispose() => _buffers.ForEach(buffer => buffer.Dispose());

    private ArrayView<int> Upload(Accelerator accelerator, List<int> values)
    {
        MemoryBuffer1D<int, Stride1D.Dense> buffer = accelerator.Allocate1D<int>(values.Count);
        _buffers.Add(buffer);
        buffer.View.BaseView.CopyFromCPU(accelerator.DefaultStream, values.ToArray());
        return buffer.View;
    }
}
