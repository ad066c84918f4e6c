using global::TorchSharp;
using ILGPU;
using ILGPU.Runtime;
using ILGPU.Runtime.CPU;
using Half = ILGPU.Half;

namespace Kernels.TorchSharp;

/// <summary>
/// Views of tensors that libtorch keeps in the host's memory. One buffer stands for all addresses, so that a view costs
/// nothing, and nothing is kept for a tensor that may be freed or move.
/// </summary>
internal static class HostMemory
{
    // No tensor lies in the first page; a multiple of every alignment that is asked for.
    private const long Start = 4096;

    private const long End = 1L << 56;

    private static readonly Lazy<Session> s_session = new(() => Session.Open("cpu"));

    private static readonly Lazy<MemoryBuffer> s_all = new(() => CPUMemoryBuffer.Create(
        s_session.Value.Accelerator, (nint)Start, End - Start, sizeof(byte)));

    /// <summary>The host's accelerator; one for the process, since its memory is all of the process's.</summary>
    internal static Session Session => s_session.Value;

    /// <summary>A view of numbers in the host's memory, which must stay there while it is used.</summary>
    /// <param name="address">Address of the first; a multiple of an element's size.</param>
    /// <param name="length">How many.</param>
    /// <param name="storage">How they are kept.</param>
    internal static TensorView View(nint address, long length, Storage storage) => length == 0 ? default : storage switch
    {
        Storage.F32 => Floats(address, length),
        Storage.F16 => new ArrayView<Half>(s_all.Value, (address - Start) / 2, length),
        _ => new ArrayView<ushort>(s_all.Value, (address - Start) / 2, length),
    };

    /// <summary>A view of a tensor that has been checked; the tensor must be kept alive while it is used.</summary>
    internal static TensorView View(torch.Tensor tensor)
    {
        _ = TensorChecks.TryStorage(tensor.dtype, out Storage storage);
        return View(Address(tensor), tensor.numel(), storage);
    }

    /// <summary>A view of a Float32 tensor that has been checked.</summary>
    internal static ArrayView<float> Floats(torch.Tensor tensor) => Floats(Address(tensor), tensor.numel());

    /// <summary>A view of an Int32 tensor that has been checked.</summary>
    internal static ArrayView<int> Integers(torch.Tensor tensor) =>
        new(s_all.Value, (Address(tensor) - Start) / sizeof(int), tensor.numel());

    /// <summary>A view of a tensor of bytes that has been checked.</summary>
    internal static ArrayView<byte> Bytes(torch.Tensor tensor) =>
        new(s_all.Value, Address(tensor) - Start, tensor.numel());

    private static ArrayView<float> Floats(nint address, long length) =>
        new(s_all.Value, (address - Start) / sizeof(float), length);

    /// <summary>The address of a tensor's first element.</summary>
    internal static unsafe nint Address(torch.Tensor tensor) => TorchLibrary.Loaded.Data(tensor.Handle);
}
