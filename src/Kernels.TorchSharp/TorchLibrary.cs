using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;
using global::TorchSharp;

namespace Kernels.TorchSharp;

/// <summary>
/// The few functions of TorchSharp's native library that a step calls for every parameter: they read a field each, so
/// they are called without a transition, and without a managed object for each gradient.
/// </summary>
internal sealed unsafe class TorchLibrary
{
    private const string Name = "LibTorchSharp";

    private const int CacheLine = 64;

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
        if (NativeLibrary.TryLoad("c10", typeof(torch).Assembly, null, out nint core)
            && NativeLibrary.TryGetExport(core, "_ZNK3c1010TensorImpl4gradEv", out nint gradient)
            && NativeLibrary.TryGetExport(core, "_ZN3c1019UndefinedTensorImpl10_singletonE", out nint undefined))
        {
            GradientInPlace = (delegate* unmanaged[Cdecl, SuppressGCTransition]<nint, nint>)gradient;
            Undefined = undefined;
            Layout = TensorLayout.Learn(this);
        }
    }

    /// <summary>The functions of the library that TorchSharp has loaded.</summary>
    /// <exception cref="NotSupportedException">The library is of another version and lacks a function.</exception>
    internal static TorchLibrary Loaded =>
        s_loaded ??= new TorchLibrary(NativeLibrary.Load(Name, typeof(torch).Assembly, null));

    /// <summary>The address of a tensor's first element.</summary>
    internal delegate* unmanaged[Cdecl, SuppressGCTransition]<nint, nint> Data { get; }

    /// <summary>A new handle of the gradient, to be disposed; 0 if there is none.</summary>
    private delegate* unmanaged[Cdecl, SuppressGCTransition]<nint, nint> Gradient { get; }

    /// <summary>Releases a handle.</summary>
    private delegate* unmanaged[Cdecl, SuppressGCTransition]<nint, void> Dispose { get; }

    /// <summary>
    /// The gradient where libtorch keeps it, of what a handle points to: half of a look's time is else in a new handle. A
    /// public member of its class, which has this name on all systems but Windows; null where it has not.
    /// </summary>
    private delegate* unmanaged[Cdecl, SuppressGCTransition]<nint, nint> GradientInPlace { get; }

    /// <summary>What a tensor points to that is none.</summary>
    internal nint Undefined { get; }

    /// <summary>Where libtorch keeps what a step has to know of a tensor; null if that is not known.</summary>
    internal TensorLayout? Layout { get; }

    /// <summary>Number of elements.</summary>
    internal delegate* unmanaged[Cdecl, SuppressGCTransition]<nint, long> Length { get; }

    /// <summary>The scalar type.</summary>
    internal delegate* unmanaged[Cdecl, SuppressGCTransition]<nint, sbyte> Type { get; }

    /// <summary>The kind of device.</summary>
    internal delegate* unmanaged[Cdecl, SuppressGCTransition]<nint, int> DeviceType { get; }

    /// <summary>Whether the elements lie one after the other; 0 for what is sparse.</summary>
    internal delegate* unmanaged[Cdecl, SuppressGCTransition]<nint, byte> IsContiguous { get; }

    /// <summary>A handle of the gradient of a tensor, to be given to <see cref="Leave"/>; 0 if there is none.</summary>
    internal nint GradientOf(nint tensor)
    {
        if (GradientInPlace == null)
        {
            return Gradient(tensor);
        }

        // A handle points to a tensor, and that is a pointer to what it is.
        nint gradient = GradientInPlace(*(nint*)tensor);
        return *(nint*)gradient == Undefined ? 0 : gradient;
    }

    /// <summary>
    /// Asks for what a handle's tensor is and for what knows its memory, which is the third word of it; what is not so does
    /// no harm.
    /// </summary>
    internal static void Prefetch(nint handle)
    {
        if (handle == 0 || !Sse.IsSupported)
        {
            return;
        }

        byte* tensor = *(byte**)handle;
        Sse.Prefetch0(tensor + CacheLine);
        Sse.Prefetch0(tensor + 2 * CacheLine);
        Sse.Prefetch0(((byte**)tensor)[2]);
    }

    /// <summary>Gives a handle of <see cref="GradientOf"/> back.</summary>
    internal void Leave(nint gradient)
    {
        if (GradientInPlace == null)
        {
            Dispose(gradient);
        }
    }

    private static nint Find(nint library, string function) => NativeLibrary.TryGetExport(library, function, out nint address)
        ? address
        : throw new NotSupportedException(
            $"{Name} has no function {function}; this package is made for TorchSharp 0.107, and "
            + $"{typeof(torch).Assembly.GetName().Version} is loaded.");
}
