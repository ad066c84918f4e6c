using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using ILGPU;
using ILGPU.Runtime;
using ILGPU.Runtime.Cuda;
using Kernels.Devices;
using Kernels.Validation;

namespace Kernels.Cuda;

/// <summary>
/// The primary context of a CUDA device: the one that the CUDA runtime, and with it PyTorch, TorchSharp, ONNX Runtime,
/// cuBLAS and cuDNN, work in. Their pointers and streams are used in place by every operation of this library.
/// </summary>
/// <remarks>
/// <para>
/// <see cref="Accelerator"/> is an ILGPU accelerator like any other for the operations of this library and for kernels
/// of your own, but it makes no context for itself, and after every call the context that was current on the thread is
/// current again, also where the call fails. (ILGPU itself takes away the context of an accelerator of its own kind that
/// is bound on the thread, and binds that again when it is next used.) What needs ILGPU's own class
/// <c>CudaAccelerator</c>, such as its bindings of cuBLAS, does not work on it.
/// </para>
/// <para>
/// Kernels are compiled by ILGPU, kept as PTX in a folder, and launched through the driver. A launch may ask for as much
/// dynamic shared memory as the device gives a group, beyond the 48 KiB that ILGPU's own launches end at. All members
/// may be called from several threads.
/// </para>
/// <example><code>
/// using var primary = PrimaryContext.Open();
/// var adam = new UpdateLauncher(primary.Accelerator, new AdamWOptions { LearningRate = 1e-3 });
/// adam.Step(
///     primary.Stream(stream), primary.View&lt;float&gt;(weights, n), primary.View&lt;float&gt;(gradients, n),
///     [primary.View&lt;float&gt;(mean, n), primary.View&lt;float&gt;(square, n)], step: 1);
/// </code></example>
/// </remarks>
public sealed class PrimaryContext : IDisposable
{
    // CU_POINTER_ATTRIBUTE_CONTEXT, _MEMORY_TYPE, _DEVICE_ORDINAL, and CU_MEMORYTYPE_DEVICE
    private const int ContextAttribute = 1;
    private const int MemoryTypeAttribute = 2;
    private const int DeviceAttribute = 9;
    private const int DeviceMemory = 2;

    private readonly Context _context;
    private readonly PrimaryAccelerator _accelerator;
    private readonly ConcurrentDictionary<nint, PrimaryStream> _streams = new();

    private PrimaryContext(Context context, PrimaryAccelerator accelerator, int device, string? cacheFolder)
    {
        _context = context;
        _accelerator = accelerator;
        Device = device;
        CacheFolder = cacheFolder;
        Handle = accelerator.NativePtr;
    }

    /// <summary>The accelerator, for <see cref="Session.Use"/>, for launchers, and for kernels of your own.</summary>
    public Accelerator Accelerator => _accelerator;

    /// <summary>The driver's number of the device.</summary>
    public int Device { get; }

    /// <summary>The driver's handle of the context, a <c>CUcontext</c>.</summary>
    public nint Handle { get; }

    /// <summary>Where compiled kernels are kept; null: nowhere.</summary>
    public string? CacheFolder { get; }

    /// <summary>Kernels that were compiled here, not found in the cache.</summary>
    internal int Compilations => _accelerator.Compilations;

    /// <summary>
    /// Retains the primary context of a device; where nobody has made it, it is made. It lives until all who retained
    /// it have let go of it.
    /// </summary>
    /// <param name="device">The driver's number of the device, from 0.</param>
    /// <param name="cacheFolder">
    /// Folder of compiled kernels. Null: the one that the environment variable <c>KERNELS_PTX_CACHE</c> names, or one in
    /// the user's folder of caches; the value <c>off</c>, and an empty string here, keep none.
    /// </param>
    /// <exception cref="ArgumentOutOfRangeException">The number of the device is negative.</exception>
    /// <exception cref="InvalidOperationException">There is no such device, or no driver that can do this.</exception>
    /// <exception cref="CudaException">The driver fails.</exception>
    public static PrimaryContext Open(int device = 0, string? cacheFolder = null)
    {
        Require.AtLeast(device, 0);
        NativeLibraries.Register();
        _ = CudaDriver.Instance;
        Context context = Context.Create(builder => builder
            .EnableAlgorithms()
            .Optimize(DeviceList.LevelFor(AcceleratorType.Cuda))
            .Cuda());
        try
        {
            IEnumerable<CudaDevice> devices = context.Devices.OfType<CudaDevice>();
            CudaDevice chosen = devices.FirstOrDefault(found => found.DeviceId == device)
                ?? throw new InvalidOperationException(
                    $"There is no CUDA device {device} here. There is: "
                    + string.Join("; ", devices.Select(found => $"{found.DeviceId} ({found.Name})")) + ".");
            var cache = PtxCache.Open(cacheFolder);
            return new PrimaryContext(context, new PrimaryAccelerator(context, chosen, cache), device, cache?.Folder);
        }
        catch
        {
            context.Dispose();
            throw;
        }
    }

    /// <summary>Wraps a stream of the driver or of the CUDA runtime; it stays its owner's.</summary>
    /// <param name="handle">A <c>CUstream</c> of this context, or 0, the default stream.</param>
    /// <exception cref="ObjectDisposedException">The context is disposed.</exception>
    public AcceleratorStream Stream(nint handle)
    {
        ObjectDisposedException.ThrowIf(_accelerator.IsDisposed, this);
        return handle == 0
            ? _accelerator.DefaultStream
            : _streams.GetOrAdd(handle, static (key, accelerator) => new PrimaryStream(accelerator, key, isOurs: false), _accelerator);
    }

    /// <summary>Views memory that somebody else has allocated; it stays its owner's, and must outlive the view's use.</summary>
    /// <typeparam name="T">Type of an element: float for F32, ILGPU's Half for F16, ushort for BF16.</typeparam>
    /// <param name="address">A device pointer, anywhere in the allocation.</param>
    /// <param name="length">Elements.</param>
    /// <remarks>Costs two calls of the driver and a little managed memory; keep a view that is used again.</remarks>
    /// <exception cref="ArgumentException">
    /// The pointer is null, not aligned to its elements, not of memory that the driver knows from the first byte to the
    /// last, or of another device or context.
    /// </exception>
    /// <exception cref="ArgumentOutOfRangeException">The length is negative or more than there is to address.</exception>
    /// <exception cref="ObjectDisposedException">The context is disposed.</exception>
    public ArrayView<T> View<T>(nint address, long length)
        where T : unmanaged
    {
        ObjectDisposedException.ThrowIf(_accelerator.IsDisposed, this);
        Require.InRange(length, 0, long.MaxValue / Unsafe.SizeOf<T>());
        if (length == 0)
        {
            return default;
        }

        if (address == 0)
        {
            throw new ArgumentException($"The address of {length} elements is null.", nameof(address));
        }

        int alignment = Unsafe.SizeOf<Aligned<T>>() - Unsafe.SizeOf<T>();
        if (address % alignment != 0)
        {
            throw new ArgumentException(
                $"The address must be a multiple of {alignment} for elements of {typeof(T).Name}, and is 0x{address:x}.",
                nameof(address));
        }

        using (Entered entered = _accelerator.Enter())
        {
            CheckMemory(address, length, length * Unsafe.SizeOf<T>());
        }

        return new ArrayView<T>(new PrimaryBuffer(_accelerator, address, length, Unsafe.SizeOf<T>()), 0, length);
    }

    /// <summary>Releases the context. Dispose what was made on it first; what others made in it stays theirs.</summary>
    public void Dispose()
    {
        if (!_accelerator.IsDisposed)
        {
            _accelerator.Dispose();
            _context.Dispose();
        }
    }

    // What a driver does not know of a pointer is not held against it.
    private void CheckMemory(nint address, long length, long bytes)
    {
        CudaDriver driver = _accelerator.Driver;
        if (!driver.TryPointerAttribute(address, MemoryTypeAttribute, out nint type))
        {
            throw new ArgumentException($"The driver knows of no memory at 0x{address:x}.", nameof(address));
        }

        if (!driver.TryPointerAttribute(address + (nint)(bytes - 1), MemoryTypeAttribute, out nint lastType) || lastType != type)
        {
            throw new ArgumentException(
                $"The memory at 0x{address:x} is shorter than the {bytes} bytes of the {length} elements.", nameof(length));
        }

        if (type == DeviceMemory && driver.TryPointerAttribute(address, DeviceAttribute, out nint device) && device != Device)
        {
            throw new ArgumentException($"The memory must be of device {Device}, and is of device {device}.", nameof(address));
        }

        if (type == DeviceMemory && driver.TryPointerAttribute(address, ContextAttribute, out nint owner)
            && owner != 0 && owner != Handle)
        {
            throw new ArgumentException(
                "The memory must be of the device's primary context, and is of another one.", nameof(address));
        }
    }

    // What lies before the second field is the alignment of its type.
    private readonly record struct Aligned<T>(byte Before, T Value);
}
