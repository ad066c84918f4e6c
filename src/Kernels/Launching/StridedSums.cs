using System.Diagnostics.CodeAnalysis;
using ILGPU;
using ILGPU.Runtime;
using Kernels.DeviceCode.Reductions;

namespace Kernels.Launching;

/// <summary>Plain sums and maxima of long views, in a fixed order.</summary>
[RequiresDynamicCode(LoadedKernels.Reason)]
internal sealed class StridedSums(Accelerator accelerator, DeviceFacts facts)
{
    private readonly ItemLauncher<StridedSum> _launcher = new(accelerator, facts);

    /// <summary>The scratch that so many values need.</summary>
    internal static long Scratch(long count) => 2 * Folded(count);

    /// <summary>Enqueues the folds until one is left in <paramref name="result"/>; the values themselves are kept.</summary>
    internal void Run(
        AcceleratorStream stream, ArrayView<float> values, ArrayView<float> scratch, ArrayView<float> result,
        bool largest = false)
    {
        long inputs = values.Length;
        ArrayView<float> from = values;
        long half = Folded(inputs);
        bool second = false;
        while (true)
        {
            long outputs = Folded(inputs);
            ArrayView<float> to = outputs == 1 ? result : scratch.SubView(second ? half : 0, outputs);
            var work = new StridedSum
            {
                From = from,
                To = to,
                Inputs = inputs,
                Outputs = outputs,
                Largest = largest ? 1 : 0,
            };
            _launcher.Run(stream, work, 0, outputs, grain: 512);
            if (outputs == 1)
            {
                return;
            }

            second = !second;
            from = to;
            inputs = outputs;
        }
    }

    private static long Folded(long count) => (count + StridedSum.Fold - 1) / StridedSum.Fold;
}
