namespace Kernels.Devices;

/// <summary>The programming interface a device is reached through.</summary>
public enum DeviceKind
{
    /// <summary>ILGPU's CPU accelerator: always there.</summary>
    Cpu,

    /// <summary>An OpenCL 2.0 or 3.0 device with a generic address space.</summary>
    OpenCl,

    /// <summary>An NVIDIA GPU through its driver.</summary>
    Cuda,
}
