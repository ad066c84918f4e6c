using System.Runtime.InteropServices;
using global::TorchSharp;

namespace Kernels.TorchSharp;

/// <summary>
/// The few functions of TorchSharp's native library that a step calls for every parameter: they read a field each, so
/// they are called without a transition, and without a managed object for each gradient.
/// </summary>
internal sealed unsafe class TorchLibrary
{
    private const string Name = "LibTorchSharp";

    private static TorchLibrary? s_loaded;

    private TorchLibrary(nint library)
    {
        Data = (delegate* unmanaged[Cdecl, SuppressGCTransition]<nint, nint>)Find(library, "THSTensor_data");
        Gradient = (delegate* unmanaged[Cdecl, SuppressGCTransition]<nint, nint>)Find(library, "THSTensor_grad");
        Dispose = (delegate* unmanaged[Cdecl, SuppressGCTransition]<nint, void>)Find(library, "THSTensor_dispose");
        Length = (delegate* unmanaged[Cdecl, SuppressGCTransition]<nint, long>)Find(library, "THSTensor_numel");
        Type = (delegate* unmanaged[Cdecl, SuppressGCTransition]<nint, sbyte>)Find(library, "THSTensor_type");
        DeviceType = (delegate* unmanaged[Cdecl, SuppressGCTransition]<nint, int>)Find(library, "THSTensor_device_type");
        IsContiguous =
            (delegate* unmanaged[Cdecl, SuppressGCTransition]<nint, byte>)Find(library, "THSTensor_is_contiguous");
    }

    /// <summary>The functions of the library that TorchSharp has loaded.</summary>
    /// <exception cref="NotSupportedException">The library is of another version and lacks a function.</exception>
    internal static TorchLibrary Loaded =>
        s_loaded ??= new TorchLibrary(NativeLibrary.Load(Name, typeof(torch).Assembly, null));

    /// <summary>The address of a tensor's first element.</summary>
    internal delegate* unmanaged[Cdecl, SuppressGCTransition]<nint, nint> Data { get; }

    /// <summary>A new handle of the gradient, to be disposed; 0 if there is none.</summary>
    internal delegate* unmanaged[Cdecl, SuppressGCTransition]<nint, nint> Gradient { get; }

    /// <summary>Releases a handle.</summary>
    internal delegate* unmanaged[Cdecl, SuppressGCTransition]<nint, void> Dispose { get; }

    /// <summary>Number of elements.</summary>
    internal delegate* unmanaged[Cdecl, SuppressGCTransition]<nint, long> Length { get; }

    /// <summary>The scalar type.</summary>
    internal delegate* unmanaged[Cdecl, SuppressGCTransition]<nint, sbyte> Type { get; }

    /// <summary>The kind of device.</summary>
    internal delegate* unmanaged[Cdecl, SuppressGCTransition]<nint, int> DeviceType { get; }

    /// <summary>Whether the elements lie one after the other; 0 for what is sparse.</summary>
    internal delegate* unmanaged[Cdecl, SuppressGCTransition]<nint, byte> IsContiguous { get; }

    private static nint Find(nint library, string function) => NativeLibrary.TryGetExport(library, function, out nint address)
        ? address
        : throw new NotSupportedException(
            $"{Name} has no function {function}; this package is made for TorchSharp 0.107, and "
            + $"{typeof(torch).Assembly.GetName().Version} is loaded.");
}
