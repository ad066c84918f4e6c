using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using global::TorchSharp;
using TorchParameter = global::TorchSharp.Modules.Parameter;

namespace Kernels.TorchSharp;

/// <summary>
/// Where libtorch keeps what a step has to know of every tensor, so that a look at a tensor that is as it was is some
/// loads and compares. It is not taken from a header: it is learned from tensors made for it, and tried on others, so that
/// another version or another compiler has another layout, or none, and then the library's functions are called.
/// </summary>
internal sealed unsafe class TensorLayout
{
    /// <summary>Bytes of a tensor that hold its offset, its length, its type, its device and its flags.</summary>
    internal const int FactBytes = 32;

    private const int CacheLine = 64;

    // The words of a tensor in which something is sought; it has some more.
    private const int Words = 22;

    private const int StorageWords = 8;

    private readonly int _storage;  // in a tensor: what knows its memory
    private readonly int _autograd; // in a tensor: what autograd knows, or null
    private readonly int _gradient; // in that: the gradient
    private readonly int _data;     // in what knows the memory: its address
    private readonly int _facts;    // in a tensor
    private readonly Vector256<byte> _set; // the bits of the facts that libtorch sets

    private TensorLayout(int storage, int autograd, int gradient, int data, int facts)
    {
        _storage = storage;
        _autograd = autograd;
        _gradient = gradient;
        _data = data;
        _facts = facts;
        _set = ~(FactsIn(byte.MaxValue, facts) ^ FactsIn(0, facts));
    }

    /// <summary>The layout of the tensors of the library that is loaded, or null if it is not understood.</summary>
    internal static TensorLayout? Learn(TorchLibrary torch)
    {
        using IDisposable scope = global::TorchSharp.torch.NewDisposeScope();
        using torch.Tensor whole = global::TorchSharp.torch.zeros(1000);
        using torch.Tensor other = global::TorchSharp.torch.zeros(1000);
        // Not a view, which would have the count of the changes in common with the whole.
        using torch.Tensor part = global::TorchSharp.torch.zeros(0).set_(whole.narrow(0, 77, 15));
        nint* all = Tensor(whole);
        int storage = Find(i => all[i] == Tensor(part)[i] && all[i] != Tensor(other)[i] && all[i] != 0);
        int facts = Find(i => Tensor(part)[i] == 77 && Tensor(part)[i + 1] == 15 && all[i] == 0 && all[i + 1] == 1000);
        if (storage < 0 || facts < 0)
        {
            return null;
        }

        // Memory of the caller's: libtorch's own is freed by its address, which is written twice.
        using torch.Tensor borrowed = global::TorchSharp.torch.frombuffer(new float[15], global::TorchSharp.torch.float32);
        nint address = torch.Data(borrowed.Handle);
        var memory = (nint*)Tensor(borrowed)[storage];
        int data = Find(i => i < StorageWords && memory[i] == address);
        using var parameter = new TorchParameter(global::TorchSharp.torch.zeros(15)) { grad = part };
        nint gradient = torch.GradientOf(parameter.Handle);
        int autograd = Find(i => Tensor(parameter)[i] is var at && gradient > at && gradient - at <= 2 * CacheLine);
        if (data < 0 || autograd < 0)
        {
            return null;
        }

        var layout = new TensorLayout(
            storage * sizeof(nint), autograd * sizeof(nint), (int)(gradient - Tensor(parameter)[autograd]),
            data * sizeof(nint), facts * sizeof(nint));
        return layout.IsRight(torch) ? layout : null;
    }

    /// <summary>The tensor of a handle.</summary>
    internal static nint TensorOf(nint handle) => *(nint*)handle;

    /// <summary>What knows the memory of a tensor; 0 if it has none.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal nint StorageOf(nint tensor) => *(nint*)(tensor + _storage);

    /// <summary>Where the memory begins.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal nint DataOf(nint storage) => *(nint*)(storage + _data);

    /// <summary>What autograd knows of a tensor; 0 if nothing.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal nint AutogradOf(nint tensor) => *(nint*)(tensor + _autograd);

    /// <summary>The gradient in what autograd knows.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal nint GradientIn(nint autograd) => *(nint*)(autograd + _gradient);

    /// <summary>
    /// Offset, length, type, device and flags. Of two tensors in which these are the same, either both can be worked on or
    /// none, and the first element is equally far from where the memory begins.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal Vector256<byte> FactsOf(nint tensor) => Vector256.Load((byte*)(tensor + _facts)) & _set;

    /// <summary>Asks for what a look at a parameter reads; what is no longer there does no harm.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal void Prefetch(nint handle, nint tensor, nint autograd, nint storage, nint gradient, nint gradientStorage)
    {
        if (!Sse.IsSupported)
        {
            return;
        }

        Sse.Prefetch0((void*)handle);
        Sse.Prefetch0((void*)(tensor + _storage));
        Sse.Prefetch0((void*)(tensor + _facts));
        Sse.Prefetch0((void*)(tensor + _facts + FactBytes - 1));
        Sse.Prefetch0((void*)(autograd + _gradient));
        Sse.Prefetch0((void*)(storage + _data));
        Sse.Prefetch0((void*)(gradient + _storage));
        Sse.Prefetch0((void*)(gradient + _facts));
        Sse.Prefetch0((void*)(gradient + _facts + FactBytes - 1));
        Sse.Prefetch0((void*)(gradientStorage + _data));
    }

    /// <summary>
    /// The facts of a tensor whose memory was full of a byte before: bits that belong to no field stay as they were.
    /// </summary>
    private static Vector256<byte> FactsIn(byte full, int facts)
    {
        const int BlocksOfSize = 7; // an allocator gives back what it got last, and glibc's keeps so many of a size
        var blocks = new List<nint>();
        for (int size = 4 * sizeof(nint); size <= 64 * sizeof(nint); size += 2 * sizeof(nint))
        {
            for (int i = 0; i < BlocksOfSize; i++)
            {
                void* block = NativeMemory.Alloc((nuint)size);
                NativeMemory.Fill(block, (nuint)size, full);
                blocks.Add((nint)block);
            }
        }

        blocks.ForEach(block => NativeMemory.Free((void*)block));
        using torch.Tensor tensor = global::TorchSharp.torch.zeros(24);
        return Vector256.Load((byte*)(TensorOf(tensor.Handle) + facts));
    }

    private static nint* Tensor(torch.Tensor tensor) => (nint*)TensorOf(tensor.Handle);

    private static int Find(Func<int, bool> isRight)
    {
        int found = -1;
        for (int i = 0; i < Words; i++)
        {
            if (isRight(i))
            {
                if (found >= 0)
                {
                    return -1;
                }

                found = i;
            }
        }

        return found;
    }

    /// <summary>Tries the layout on tensors that it was not learned from.</summary>
    private bool IsRight(TorchLibrary torch)
    {
        using torch.Tensor gradient = global::TorchSharp.torch.zeros(4, 6);
        using torch.Tensor same = global::TorchSharp.torch.ones(24);
        using torch.Tensor large = global::TorchSharp.torch.zeros(64);
        using var parameter = new TorchParameter(global::TorchSharp.torch.zeros(4, 6));
        nint tensor = TensorOf(parameter.Handle);
        bool isRight = AutogradOf(tensor) is 0 || GradientIn(AutogradOf(tensor)) == torch.Undefined;
        parameter.grad = gradient;
        nint found = GradientIn(AutogradOf(tensor));
        isRight &= found == TensorOf(gradient.Handle)
            && DataOf(StorageOf(found)) == torch.Data(gradient.Handle)
            && DataOf(StorageOf(tensor)) == torch.Data(parameter.Handle)
            && FactsOf(found) == FactsOf(TensorOf(same.Handle));
        torch.Tensor[] others =
        [
            gradient.to(global::TorchSharp.torch.float16), gradient.to(global::TorchSharp.torch.bfloat16),
            gradient.to(global::TorchSharp.torch.float64), gradient.to(global::TorchSharp.torch.int32), gradient.t(),
            large.narrow(0, 1, 24), large.narrow(0, 0, 23), large.as_strided([24], [2]),
            global::TorchSharp.torch.zeros(4, 1).expand(4, 6), gradient.to_sparse(),
            global::TorchSharp.torch.zeros(4, 6, device: global::TorchSharp.torch.META),
        ];
        foreach (torch.Tensor other in others)
        {
            isRight &= FactsOf(TensorOf(other.Handle)) != FactsOf(found);
            other.Dispose();
        }

        return isRight;
    }
}
