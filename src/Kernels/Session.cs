using ILGPU;
using ILGPU.Runtime;
using Kernels.Devices;
using Kernels.Validation;

namespace Kernels;

/// <summary>
/// A device and a stream of work on it, for those who do not have an ILGPU accelerator of their own. Opened on the
/// best device here, on a named one, or over the caller's accelerator, which is then used as it is.
/// </summary>
/// <remarks>
/// The objects made over a session (optimizers, for one) put their work on its stream in the order of the calls. A session
/// may serve several threads at once, each object of it one at a time where it does not say otherwise.
/// </remarks>
public sealed class Session : IDisposable
{
    private readonly Context? _context;
    private readonly bool _ownsAccelerator;
    private bool _disposed;

    private Session(Context? context, Accelerator accelerator, AcceleratorStream stream, string device)
    {
        _context = context;
        _ownsAccelerator = context is not null;
        Accelerator = accelerator;
        Stream = stream;
        Device = device;
    }

    /// <summary>The accelerator everything of this session lives on.</summary>
    public Accelerator Accelerator { get; }

    /// <summary>The stream the session's objects work on.</summary>
    public AcceleratorStream Stream { get; }

    /// <summary>What the session runs on, such as <c>cuda:0 (NVIDIA A100)</c>.</summary>
    public string Device { get; }

    /// <summary>Opens the best device, or the one that is named.</summary>
    /// <param name="device">
    /// <c>cpu</c>, <c>opencl</c> or <c>cuda</c>, with an optional <c>:index</c>. Null: the environment variable
    /// <c>KERNELS_DEVICE</c> decides, and without it the order is CUDA, OpenCL GPU, OpenCL CPU, CPU accelerator.
    /// </param>
    /// <exception cref="ArgumentException">The name is no such name.</exception>
    /// <exception cref="InvalidOperationException">There is no such device; the message lists what there is.</exception>
    public static Session Open(string? device = null)
    {
        Context context = DeviceList.CreateContext(OptimizationLevel.O1);
        try
        {
            (Device chosen, DeviceDescription description) = DeviceList.Choose(context, device);
            OptimizationLevel level = DeviceList.LevelFor(chosen.AcceleratorType);
            if (level != OptimizationLevel.O1)
            {
                // The level belongs to the context, and the devices are known from one.
                context.Dispose();
                context = DeviceList.CreateContext(level);
                (chosen, description) = DeviceList.Choose(context, description.Selector);
            }

            Accelerator accelerator = chosen.CreateAccelerator(context);
            return new Session(
                context, accelerator, accelerator.DefaultStream, $"{description.Selector} ({description.Name})");
        }
        catch
        {
            context.Dispose();
            throw;
        }
    }

    /// <summary>Works on the caller's accelerator and stream; neither is disposed with the session.</summary>
    /// <param name="accelerator">Any ILGPU accelerator.</param>
    /// <param name="stream">A stream of it; null takes its default stream.</param>
    /// <exception cref="ArgumentNullException"><paramref name="accelerator"/> is null.</exception>
    /// <exception cref="ArgumentException">The stream belongs to another accelerator.</exception>
    public static Session Use(Accelerator accelerator, AcceleratorStream? stream = null)
    {
        Require.NotNull(accelerator);
        stream ??= accelerator.DefaultStream;
        Require.Stream(accelerator, stream);
        return new Session(null, accelerator, stream, accelerator.Name);
    }

    /// <summary>Waits until all work put on the session's stream is done.</summary>
    /// <exception cref="ObjectDisposedException">The session is disposed.</exception>
    public void Synchronize()
    {
        ThrowIfDisposed();
        Stream.Synchronize();
    }

    /// <summary>Releases the device if the session opened it. Dispose what was made over the session first.</summary>
    public void Dispose()
    {
        if (_disposed)
        {
            return;
        }

        _disposed = true;
        if (_ownsAccelerator)
        {
            Accelerator.Dispose();
            _context!.Dispose();
        }
    }

    internal void ThrowIfDisposed() => ObjectDisposedException.ThrowIf(_disposed || Accelerator.IsDisposed, this);
}
