using System.Reflection;
using System.Reflection.Emit;
using System.Text;
using ILGPU;
using ILGPU.Backends.EntryPoints;
using ILGPU.Backends.IL;
using ILGPU.Backends.PTX;
using ILGPU.Runtime;

namespace Kernels.Cuda;

/// <summary>A kernel that the driver has loaded into a primary context.</summary>
internal sealed class PrimaryFunction
{
    internal static readonly MethodInfo LaunchMethod =
        typeof(PrimaryFunction).GetMethod(nameof(LaunchPacked), BindingFlags.NonPublic | BindingFlags.Static)!;

    private readonly PrimaryAccelerator _accelerator;
    private readonly Lock _gate = new();
    private readonly string _name;
    private readonly int _staticBytes;
    private readonly bool _hasDynamic;
    private int _allowed;

    private PrimaryFunction(PrimaryAccelerator accelerator, string name, string ptx, nint module)
    {
        _accelerator = accelerator;
        _name = name;
        Module = module;
        Handle = accelerator.Driver.Function(module, Text(name));
        _staticBytes = accelerator.Driver.SharedBytes(Handle);
        // What ILGPU makes of SharedMemory.GetDynamic; a launch that asks for such memory in vain is a mistake.
        _hasDynamic = ptx.Contains(".extern .shared", StringComparison.Ordinal);
        _allowed = Math.Max(0, accelerator.MaxSharedMemoryPerGroup - _staticBytes);
    }

    internal nint Handle { get; }

    internal nint Module { get; }

    /// <summary>Bytes of dynamic shared memory that the driver was told to allow.</summary>
    internal int AllowedSharedBytes => Volatile.Read(ref _allowed);

    /// <summary>Loads the kernel of that name; the primary context need not be current.</summary>
    internal static PrimaryFunction Load(PrimaryAccelerator accelerator, string name, string ptx)
    {
        using Entered entered = accelerator.Enter();
        nint module = accelerator.Driver.LoadModule(Text(ptx));
        try
        {
            return new PrimaryFunction(accelerator, name, ptx, module);
        }
        catch
        {
            _ = accelerator.Driver.UnloadModule(module);
            throw;
        }
    }

    private static byte[] Text(string text) => Encoding.UTF8.GetBytes(text + '\0');

    /// <summary>What the emitted launchers call.</summary>
    private static void LaunchPacked(
        PrimaryFunction function, AcceleratorStream stream, KernelConfig config, nint arguments, int bytes) =>
        function.Launch(stream, config, arguments, bytes);

    private void Launch(AcceleratorStream stream, in KernelConfig config, nint arguments, int bytes)
    {
        nint handle = _accelerator.HandleOf(stream);
        Index3D grid = config.GridDim;
        Index3D group = config.GroupDim;
        if (!grid.InBoundsInclusive(_accelerator.MaxGridSize))
        {
            throw new ArgumentOutOfRangeException(
                nameof(config), grid, $"{_name} may be launched in at most {_accelerator.MaxGridSize} groups.");
        }

        if (!group.InBoundsInclusive(_accelerator.MaxGroupSize))
        {
            throw new ArgumentOutOfRangeException(
                nameof(config), group, $"A group of {_name} may have at most {_accelerator.MaxGroupSize} items.");
        }

        long shared = (long)config.SharedMemoryConfig.NumElements * config.SharedMemoryConfig.ElementSize;
        if (shared > 0 && !_hasDynamic)
        {
            throw new InvalidOperationException(
                $"The launch of {_name} asks for {shared} bytes of dynamic shared memory, and the kernel uses none.");
        }

        using Entered entered = _accelerator.Enter();
        if (shared > AllowedSharedBytes)
        {
            Allow(shared);
        }

        _accelerator.Driver.Launch(Handle, grid, group, (int)shared, handle, arguments, bytes);
    }

    // The driver allows what every device has, and must be asked for more once for each kernel.
    private void Allow(long bytes)
    {
        if (_staticBytes + bytes > _accelerator.MostSharedBytes)
        {
            throw new InvalidOperationException(
                $"The launch of {_name} asks for {bytes} bytes of shared memory beside its own {_staticBytes}, and a "
                + $"group has at most {_accelerator.MostSharedBytes} here.");
        }

        lock (_gate)
        {
            if (bytes > _allowed)
            {
                _accelerator.Driver.AllowShared(Handle, (int)bytes);
                Volatile.Write(ref _allowed, (int)bytes);
            }
        }
    }
}

/// <summary>What ILGPU's own loaders return on a primary context, for the caller's own kernels.</summary>
internal sealed class PrimaryKernel : Kernel
{
    internal PrimaryKernel(PrimaryAccelerator accelerator, PTXCompiledKernel compiled, MethodInfo? launcher)
        : base(accelerator, compiled, launcher) =>
        Function = accelerator.LoadFunction(compiled.Name, compiled.PTXAssembly);

    internal PrimaryFunction Function { get; }

    protected override void DisposeAcceleratorObject(bool disposing)
    {
        if (Accelerator is PrimaryAccelerator accelerator)
        {
            accelerator.Unload(Function);
        }
    }
}

/// <summary>
/// Emits the methods that pack the parameters of a kernel and launch it. ILGPU's own mapper lays the parameters out, so
/// that they lie as ILGPU's compiler expects them, and views become pointer and length.
/// </summary>
internal static class PackedLauncher
{
    /// <summary>A method (target, stream, index, parameters...) that packs and calls what launches.</summary>
    /// <param name="backend">ILGPU's compiler.</param>
    /// <param name="description">The kernel.</param>
    /// <param name="target">Type of the target.</param>
    /// <param name="functionOf">Gets from the target what the launch takes first; null: the target itself.</param>
    /// <param name="launch">Takes that, the stream, the configuration, the address and the bytes of the parameters.</param>
    /// <param name="groupSize">Items of a group of an implicitly grouped kernel.</param>
    internal static MethodInfo Emit(
        PTXBackend backend, in EntryPointDescription description, Type target, MethodInfo? functionOf, MethodInfo launch,
        int groupSize)
    {
        var entry = new EntryPoint(description, default, default);
        Type[] types = new Type[3 + entry.Parameters.Count];
        types[0] = target;
        types[1] = typeof(AcceleratorStream);
        types[2] = entry.KernelIndexType;
        entry.Parameters.CopyTo(types, 3);
        using RuntimeSystem.ScopedLock scope = backend.Context.RuntimeSystem.DefineRuntimeMethod(
            typeof(void), types, out RuntimeSystem.MethodEmitter method);
        var emitter = new ILEmitter(method.ILGenerator);
        (ILLocal arguments, int bytes) = backend.ArgumentMapper.Map(emitter, entry);
        emitter.Emit(ArgumentOperation.Load, 0);
        if (functionOf is not null)
        {
            emitter.Emit(OpCodes.Castclass, functionOf.DeclaringType!);
            emitter.EmitCall(functionOf);
        }

        emitter.Emit(ArgumentOperation.Load, 1);
        emitter.Emit(ArgumentOperation.Load, 2);
        if (!entry.IsExplicitlyGrouped)
        {
            emitter.EmitConstant(Math.Max(1, groupSize));
            emitter.EmitCall(typeof(PackedLauncher).GetMethod(
                nameof(Grouped), BindingFlags.NonPublic | BindingFlags.Static, [entry.KernelIndexType, typeof(int)])!);
        }

        emitter.Emit(LocalOperation.LoadAddress, arguments);
        emitter.Emit(OpCodes.Conv_U);
        emitter.EmitConstant(bytes);
        emitter.EmitCall(launch);
        emitter.Emit(OpCodes.Ret);
        return method.Finish();
    }

    private static KernelConfig Grouped(Index1D extent, int size) => new((extent.X + size - 1) / size, size);

    private static KernelConfig Grouped(Index2D extent, int size) =>
        new(new Index3D((extent.X + size - 1) / size, extent.Y, 1), new Index3D(size, 1, 1));

    private static KernelConfig Grouped(Index3D extent, int size) =>
        new(new Index3D((extent.X + size - 1) / size, extent.Y, extent.Z), new Index3D(size, 1, 1));
}
