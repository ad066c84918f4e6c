using System.Reflection;
using ILGPU;
using ILGPU.Backends.EntryPoints;
using ILGPU.Backends.PTX;
using ILGPU.Runtime;
using ILGPU.Runtime.Cuda;

namespace Kernels.Cuda;

/// <summary>
/// An ILGPU accelerator in the primary context of a CUDA device. ILGPU's own makes a context for itself and leaves it
/// current; this one takes from ILGPU the compiler and the types, and makes the primary context current only while it
/// calls the driver.
/// </summary>
internal sealed class PrimaryAccelerator : KernelAccelerator<PTXCompiledKernel, PrimaryKernel>
{
    private const int MostSharedBytesAttribute = 97; // CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN

    private static readonly MethodInfo s_functionOf =
        typeof(PrimaryKernel).GetProperty(nameof(PrimaryKernel.Function), BindingFlags.NonPublic | BindingFlags.Instance)!
            .GetMethod!;

    // Around ILGPU's compiler and mapper, which are not for several threads at once.
    private readonly Lock _gate = new();
    private readonly HashSet<PrimaryFunction> _functions = [];
    private readonly PTXBackend _compiler;
    private readonly PtxCache? _cache;
    private readonly int _device;

    internal PrimaryAccelerator(Context context, CudaDevice device, PtxCache? cache)
        : base(context, device)
    {
        _device = device.DeviceId;
        _cache = cache;
        Driver = CudaDriver.Instance;
        MostSharedBytes = Math.Max(
            Driver.DeviceAttribute(_device, MostSharedBytesAttribute), device.MaxSharedMemoryPerGroup);
        _compiler = new PTXBackend(
            context, (CudaCapabilityContext)device.Capabilities, device.Architecture.GetValueOrDefault(),
            device.InstructionSet.GetValueOrDefault(), null);
        NativePtr = Driver.RetainPrimary(_device);
        DefaultStream = new PrimaryStream(this, 0, isOurs: false);
        Init(_compiler);
    }

    internal CudaDriver Driver { get; }

    /// <summary>Bytes of shared memory that a group can have where a launch asks for it.</summary>
    internal int MostSharedBytes { get; }

    /// <summary>Kernels that were compiled, not found in the cache.</summary>
    internal int Compilations { get; private set; }

    public override TExtension CreateExtension<TExtension, TExtensionProvider>(TExtensionProvider provider) =>
        throw new NotSupportedException("Extensions of ILGPU need its own CUDA accelerator, which has a context of its own.");

    /// <summary>Makes the primary context current until what is returned is disposed.</summary>
    internal Entered Enter() => new(Driver, NativePtr);

    /// <summary>The driver's handle of a stream of this accelerator.</summary>
    internal nint HandleOf(AcceleratorStream stream)
    {
        ObjectDisposedException.ThrowIf(IsDisposed, this);
        return stream is PrimaryStream own && ReferenceEquals(own.Accelerator, this)
            ? own.Handle
            : throw new ArgumentException(
                $"The stream must be of this primary context, and is of {stream?.Accelerator.Name}.", nameof(stream));
    }

    /// <summary>Frees something; a finalizer must not fail, and a driver that is gone has freed all.</summary>
    internal void Quietly(nint handle, Func<CudaDriver, nint, int> free)
    {
        if (Driver.TryPush(NativePtr))
        {
            _ = free(Driver, handle);
            Driver.Pop();
        }
    }

    /// <summary>Loads a kernel, from the cache where it is there, and returns what launches it.</summary>
    internal TLauncher Load<TLauncher>(MethodInfo method)
        where TLauncher : Delegate
    {
        EntryPointDescription description = EntryPointDescription.FromExplicitlyGroupedKernel(method);
        lock (_gate)
        {
            PrimaryFunction function = Find(description);
            return PackedLauncher
                .Emit(_compiler, description, typeof(PrimaryFunction), null, PrimaryFunction.LaunchMethod, 0)
                .CreateDelegate<TLauncher>(function);
        }
    }

    internal PrimaryFunction LoadFunction(string name, string ptx)
    {
        var function = PrimaryFunction.Load(this, name, ptx);
        lock (_functions)
        {
            _functions.Add(function);
        }

        return function;
    }

    internal void Unload(PrimaryFunction function)
    {
        lock (_functions)
        {
            if (!_functions.Remove(function))
            {
                return;
            }
        }

        Quietly(function.Module, static (driver, module) => driver.UnloadModule(module));
    }

    // Nothing is bound to a thread: every call of the driver is between a push and a pop.
    protected override void OnBind()
    {
    }

    protected override void OnUnbind()
    {
    }

    protected override AcceleratorStream CreateStreamInternal()
    {
        using Entered entered = Enter();
        return new PrimaryStream(this, Driver.CreateStream(), isOurs: true);
    }

    protected override void SynchronizeInternal()
    {
        using Entered entered = Enter();
        Driver.Synchronize();
    }

    protected override MemoryBuffer AllocateRawInternal(long length, int elementSize) =>
        new PrimaryBuffer(this, length, elementSize);

    protected override PageLockScope<T> CreatePageLockFromPinnedInternal<T>(nint pinned, long numElements) =>
        new UnlockedScope<T>(this, pinned, numElements);

    protected override bool CanAccessPeerInternal(Accelerator otherAccelerator) => false;

    protected override void EnablePeerAccessInternal(Accelerator otherAccelerator) =>
        throw new NotSupportedException("Peer access is for who made the primary context to enable.");

    protected override void DisablePeerAccessInternal(Accelerator otherAccelerator)
    {
    }

    protected override int EstimateMaxActiveGroupsPerMultiprocessorInternal(
        Kernel kernel, int groupSize, int dynamicSharedMemorySizeInBytes)
    {
        using Entered entered = Enter();
        return Driver.ActiveGroups(((PrimaryKernel)kernel).Function.Handle, groupSize, dynamicSharedMemorySizeInBytes);
    }

    protected override int EstimateGroupSizeInternal(
        Kernel kernel, Func<int, int> computeSharedMemorySize, int maxGroupSize, out int minGridSize) =>
        throw new NotSupportedException("A group size is estimated for one size of shared memory.");

    protected override int EstimateGroupSizeInternal(
        Kernel kernel, int dynamicSharedMemorySizeInBytes, int maxGroupSize, out int minGridSize)
    {
        using Entered entered = Enter();
        (int size, minGridSize) = Driver.GroupSize(
            ((PrimaryKernel)kernel).Function.Handle, dynamicSharedMemorySizeInBytes, maxGroupSize);
        return size;
    }

    protected override MethodInfo GenerateKernelLauncherMethod(PTXCompiledKernel kernel, int customGroupSize)
    {
        EntryPointDescription description = kernel.IndexType == IndexType.KernelConfig
            ? EntryPointDescription.FromExplicitlyGroupedKernel(kernel.SourceMethod)
            : EntryPointDescription.FromImplicitlyGroupedKernel(kernel.SourceMethod);
        lock (_gate)
        {
            return PackedLauncher.Emit(
                _compiler, description, typeof(Kernel), s_functionOf, PrimaryFunction.LaunchMethod, customGroupSize);
        }
    }

    protected override PrimaryKernel CreateKernel(PTXCompiledKernel compiledKernel) => new(this, compiledKernel, null);

    protected override PrimaryKernel CreateKernel(PTXCompiledKernel compiledKernel, MethodInfo launcher) =>
        new(this, compiledKernel, launcher);

    protected override void DisposeAccelerator_SyncRoot(bool disposing)
    {
        foreach (PrimaryFunction function in _functions)
        {
            Quietly(function.Module, static (driver, module) => driver.UnloadModule(module));
        }

        _functions.Clear();
        _ = Driver.ReleasePrimary(_device);
        _compiler.Dispose();
    }

    private PrimaryFunction Find(in EntryPointDescription description)
    {
        string key = PtxKey.Of(description.MethodSource, _compiler);
        if (_cache?.Find(key) is { } kept)
        {
            try
            {
                return LoadFunction(description.Name, kept);
            }
            catch (CudaException)
            {
                // What this driver refuses is made anew, and then the driver has the last word.
            }
        }

        string ptx = ((PTXCompiledKernel)_compiler.Compile(description, default)).PTXAssembly;
        Compilations++;
        PrimaryFunction function = LoadFunction(description.Name, ptx);
        _cache?.Keep(key, ptx);
        return function;
    }
}
