namespace Kernels.Linear;

/// <summary>Where the tensors of ILGPU's CPU accelerator lie.</summary>
internal static class HostMemory
{
    /// <summary>Address of the first element; null if there is none.</summary>
    internal static unsafe float* Floats(TensorView view) =>
        view.Buffer is { } buffer ? (float*)buffer.NativePtr + view.Index : null;
}
