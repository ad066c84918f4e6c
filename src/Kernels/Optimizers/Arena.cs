using ILGPU;
using ILGPU.Runtime;
using Kernels.DeviceCode.Optimizers;
using Kernels.Host;
using Half = ILGPU.Half;

namespace Kernels.Optimizers;

/// <summary>
/// Where each parameter lies in the optimizer's memory: every segment starts at a multiple of the block length, and the
/// gap behind it holds zeros, which every rule leaves zeros. Where states are kept in 8 bits, small parameters come
/// first.
/// </summary>
internal sealed class Arena
{
    // Parameters below keep their state in F32: bitsandbytes' min_8bit_size.
    private const long LeastEightBit = 4096;

    private readonly Dictionary<string, int> _index = new(StringComparer.Ordinal);

    private readonly bool _hasSmall;

    internal Arena(IReadOnlyList<Parameter> parameters, StateStorage state = StateStorage.F32)
    {
        _hasSmall = state == StateStorage.EightBit;
        var firsts = new long[parameters.Count];
        for (int i = 0; i < parameters.Count; i++)
        {
            if (!_index.TryAdd(parameters[i].Name, i))
            {
                throw new ArgumentException($"Two parameters are named '{parameters[i].Name}'.", nameof(parameters));
            }
        }

        Parameters = parameters;
        Firsts = firsts;
        var order = new List<int>();
        SmallLength = Place(small: true, borrowed: true, Place(small: true, borrowed: false, 0));
        OwnedLength = Place(small: false, borrowed: false, SmallLength);
        long length = Place(small: false, borrowed: true, OwnedLength);

        if (length / Update.BlockLength > int.MaxValue)
        {
            throw new ArgumentException(
                $"The parameters need {length / Update.BlockLength} blocks of {Update.BlockLength}; at most "
                + $"{int.MaxValue} are possible.",
                nameof(parameters));
        }

        Length = length;
        Order = order;

        long Place(bool small, bool borrowed, long length)
        {
            for (int i = 0; i < firsts.Length; i++)
            {
                if (IsSmall(i) == small && parameters[i].IsBorrowed == borrowed)
                {
                    order.Add(i);
                    firsts[i] = length;
                    length = checked(length + Blocks(parameters[i].Length) * Update.BlockLength);
                }
            }

            return length;
        }
    }

    internal IReadOnlyList<Parameter> Parameters { get; }

    /// <summary>
    /// Where each parameter and its gradient are in the host's memory, if some are borrowed and the device is the host:
    /// then borrowed ones are in the same walk as all others.
    /// </summary>
    internal HostPlaces? Places { get; set; }

    /// <summary>First element of each segment.</summary>
    internal IReadOnlyList<long> Firsts { get; }

    /// <summary>The parameters by their place.</summary>
    internal IReadOnlyList<int> Order { get; }

    /// <summary>Elements of the small parameters, borrowed ones too.</summary>
    internal long SmallLength { get; }

    /// <summary>Elements with the gaps.</summary>
    internal long Length { get; }

    /// <summary>
    /// Elements before the first borrowed parameter that is not small: those the arena keeps parameter and gradient for.
    /// </summary>
    internal long OwnedLength { get; }

    /// <summary>Whether a parameter is too small for a state in 8 bits.</summary>
    internal bool IsSmall(int parameter) => _hasSmall && Parameters[parameter].Length < LeastEightBit;

    /// <summary>A parameter's part of a tensor over the arena.</summary>
    internal TensorView Segment(TensorView tensor, int parameter) => Parameters[parameter].Length == 0
        ? default
        : tensor.Slice(Firsts[parameter], Parameters[parameter].Length);

    /// <summary>A parameter's part of a call over the arena; its own memory where it is borrowed.</summary>
    /// <param name="whole">The call.</param>
    /// <param name="parameter">The parameter.</param>
    /// <param name="origin">Elements of the arena before the tensors of the call.</param>
    internal UpdateCall CallOf(in UpdateCall whole, int parameter, long origin = 0)
    {
        Parameter own = Parameters[parameter];
        long first = Firsts[parameter] - origin;
        UpdateCall part = whole;
        part.Places = null;
        part.P = own.IsBorrowed ? own.View : Part(whole.P, first, own.Length);
        part.G = own.IsBorrowed ? own.Gradient : Part(whole.G, first, own.Length);
        part.A = Part(whole.A, first, own.Length);
        part.B = Part(whole.B, first, own.Length);
        part.C = Part(whole.C, first, own.Length);
        part.Extras = whole.Extras with
        {
            Average = Part(whole.Extras.Average, first, own.Length),
            Copy = Part(whole.Extras.Copy, first, own.Length),
            FirstElement = whole.Extras.FirstElement + first,
        };
        return part;
    }

    internal static long Blocks(long length) => (length + Update.BlockLength - 1) / Update.BlockLength;

    private static ArrayView<float> Part(ArrayView<float> view, long first, long length) =>
        view.IsValid ? view.SubView(first, length) : default;

    private static TensorView Part(TensorView view, long first, long length) =>
        view.IsEmpty || length == 0 ? default : view.Slice(first, length);

    internal int IndexOf(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        return _index.TryGetValue(name, out int index)
            ? index
            : throw new ArgumentException($"There is no parameter '{name}'.", nameof(name));
    }
}

/// <summary>A tensor over a whole arena in one of the storages.</summary>
internal sealed class ArenaTensor : IDisposable
{
    private readonly MemoryBuffer? _buffer;

    private ArenaTensor(MemoryBuffer? buffer, TensorView view)
    {
        _buffer = buffer;
        View = view;
    }

    internal TensorView View { get; }

    /// <summary>Allocates and fills; zeros where no values are given.</summary>
    internal static ArenaTensor Create(Accelerator accelerator, long length, Storage storage, float value = 0f)
    {
        if (length == 0)
        {
            return new ArenaTensor(null, default);
        }

        switch (storage)
        {
            case Storage.F32:
            {
                MemoryBuffer1D<float, Stride1D.Dense> buffer = accelerator.Allocate1D<float>(length);
                if (value == 0f)
                {
                    buffer.MemSetToZero();
                }
                else
                {
                    Fill(buffer, value);
                }

                return new ArenaTensor(buffer, buffer.View);
            }

            case Storage.F16:
            {
                MemoryBuffer1D<Half, Stride1D.Dense> buffer = accelerator.Allocate1D<Half>(length);
                buffer.MemSetToZero();
                return new ArenaTensor(buffer, buffer.View);
            }

            default:
            {
                MemoryBuffer1D<ushort, Stride1D.Dense> buffer = accelerator.Allocate1D<ushort>(length);
                buffer.MemSetToZero();
                return new ArenaTensor(buffer, buffer.View);
            }
        }
    }

    public void Dispose() => _buffer?.Dispose();

    private static void Fill(MemoryBuffer1D<float, Stride1D.Dense> buffer, float value)
    {
        var piece = new float[Math.Min(buffer.Length, 1 << 20)];
        Array.Fill(piece, value);
        for (long first = 0; first < buffer.Length; first += piece.Length)
        {
            int count = (int)Math.Min(piece.Length, buffer.Length - first);
            buffer.View.BaseView.SubView(first, count).CopyFromCPU<float, ArrayView<float>>(
                buffer.Accelerator.DefaultStream, piece.AsSpan(0, count));
        }
    }
}
