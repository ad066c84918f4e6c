namespace Kernels.Devices;

/// <summary>A device that is here, and what it can do.</summary>
/// <param name="Kind">How it is reached.</param>
/// <param name="Index">Its number among the devices of its kind, from 0.</param>
/// <param name="Name">The name the driver gives.</param>
/// <param name="IsGpu">Whether it is a GPU.</param>
/// <param name="MemoryBytes">Device memory, bytes.</param>
/// <param name="Cores">Multiprocessors, or cores of a CPU.</param>
/// <param name="WarpSize">Items that run in lockstep.</param>
/// <param name="MaxGroupSize">Largest number of items in a group.</param>
/// <param name="SharedBytes">Shared memory of a group, bytes.</param>
public sealed record DeviceDescription(
    DeviceKind Kind, int Index, string Name, bool IsGpu, long MemoryBytes, int Cores, int WarpSize, int MaxGroupSize,
    long SharedBytes)
{
    /// <summary>What selects this device: <c>cpu</c>, <c>opencl:0</c>, <c>cuda:1</c>.</summary>
    public string Selector => $"{Kind.ToString().ToLowerInvariant()}:{Index}";
}
