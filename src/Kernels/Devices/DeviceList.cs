using System.Globalization;
using ILGPU;
using ILGPU.Runtime;
using ILGPU.Runtime.CPU;
using ILGPU.Runtime.Cuda;
using ILGPU.Runtime.OpenCL;

namespace Kernels.Devices;

/// <summary>The devices of this machine, and the choice among them.</summary>
public static class DeviceList
{
    /// <summary>
    /// The environment variable that overrides the choice: <c>cpu</c>, <c>opencl</c> or <c>cuda</c>, with an optional
    /// <c>:index</c>.
    /// </summary>
    public const string Variable = "KERNELS_DEVICE";

    private static readonly Lock s_gate = new();

    /// <summary>Every device here, the best first: CUDA, OpenCL GPU, OpenCL CPU, CPU accelerator.</summary>
    public static IReadOnlyList<DeviceDescription> All()
    {
        using Context context = CreateContext(OptimizationLevel.O1);
        return [.. Ordered(context).Select(found => found.Description)];
    }

    /// <summary>
    /// The level that kernels are compiled with: O2 is twice as fast as O1 on OpenCL CPU devices; on CUDA it may mark
    /// branches as uniform that are not, and O1 marks none.
    /// </summary>
    internal static OptimizationLevel LevelFor(AcceleratorType type) =>
        type == AcceleratorType.Cuda ? OptimizationLevel.O1 : OptimizationLevel.O2;

    /// <summary>A context with every device that is here.</summary>
    internal static Context CreateContext(OptimizationLevel level)
    {
        NativeLibraries.Register();
        // A loader of OpenCL drivers shows no platform to one thread while another is in the process's first call.
        lock (s_gate)
        {
            return Context.Create(builder => builder
                .EnableAlgorithms()
                .Optimize(level)
                .Cuda()
                .OpenCL()
                .CPU(new CPUDevice(2, 1, Environment.ProcessorCount)));
        }
    }

    /// <summary>The device that a wish names, or the best one.</summary>
    /// <param name="context">A context of <see cref="CreateContext(OptimizationLevel)"/>.</param>
    /// <param name="wish">Such as <c>opencl:1</c>; null asks <see cref="Variable"/>, then takes the best.</param>
    /// <exception cref="ArgumentException">The wish is no selector.</exception>
    /// <exception cref="InvalidOperationException">There is no such device; the message lists what there is.</exception>
    internal static (Device Device, DeviceDescription Description) Choose(Context context, string? wish)
    {
        List<(Device Device, DeviceDescription Description)> found = Ordered(context);
        wish ??= Environment.GetEnvironmentVariable(Variable);
        if (string.IsNullOrWhiteSpace(wish))
        {
            return found[0];
        }

        (DeviceKind kind, int? index) = Parse(wish);
        foreach ((Device Device, DeviceDescription Description) candidate in found)
        {
            if (candidate.Description.Kind == kind && (index is null || candidate.Description.Index == index))
            {
                return candidate;
            }
        }

        throw new InvalidOperationException(
            $"There is no device '{wish}' here. There is: "
            + string.Join("; ", found.Select(f => $"{f.Description.Selector} ({f.Description.Name})")) + ".");
    }

    private static (DeviceKind Kind, int? Index) Parse(string wish)
    {
        string[] parts = wish.Trim().Split(':');
        int number = 0;
        bool hasIndex = parts.Length == 2
            && int.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out number);
        DeviceKind? kind = parts[0].ToUpperInvariant() switch
        {
            "CPU" => DeviceKind.Cpu,
            "OPENCL" => DeviceKind.OpenCl,
            "CUDA" => DeviceKind.Cuda,
            _ => null,
        };
        if (kind is null || parts.Length > 2 || (parts.Length == 2 && !hasIndex))
        {
            throw new ArgumentException(
                $"A device is named cpu, opencl or cuda, with an optional :index; '{wish}' is not such a name.",
                nameof(wish));
        }

        return (kind.Value, hasIndex ? number : null);
    }

    private static List<(Device Device, DeviceDescription Description)> Ordered(Context context)
    {
        var counts = new Dictionary<DeviceKind, int>();
        var found = new List<(Device Device, DeviceDescription Description)>();
        foreach (Device device in context)
        {
            DeviceKind kind = device.AcceleratorType switch
            {
                AcceleratorType.Cuda => DeviceKind.Cuda,
                AcceleratorType.OpenCL => DeviceKind.OpenCl,
                _ => DeviceKind.Cpu,
            };
            int index = counts.GetValueOrDefault(kind);
            counts[kind] = index + 1;
            bool isGpu = device switch
            {
                CudaDevice => true,
                CLDevice cl => cl.DeviceType == CLDeviceType.CL_DEVICE_TYPE_GPU,
                _ => false,
            };
            found.Add((device, new DeviceDescription(
                kind, index, device.Name, isGpu, device.MemorySize, device.NumMultiprocessors, device.WarpSize,
                device.MaxNumThreadsPerGroup, device.MaxSharedMemoryPerGroup)));
        }

        return [.. found.OrderBy(f => f.Description switch
        {
            { Kind: DeviceKind.Cuda } => 0,
            { Kind: DeviceKind.OpenCl, IsGpu: true } => 1,
            { Kind: DeviceKind.OpenCl } => 2,
            _ => 3,
        })];
    }
}
