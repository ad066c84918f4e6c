using ILGPU;
using ILGPU.Runtime;
using Kernels.DeviceCode.Optimizers;
using Half = ILGPU.Half;

namespace Kernels.Optimizers;

/// <summary>
/// Where each parameter lies in the optimizer's memory: every segment starts at a multiple of the block length, and the
/// gap behind it holds zeros, which every rule leaves zeros.
/// </summary>
internal sealed class Arena
{
    private readonly Dictionary<string, int> _index = new(StringComparer.Ordinal);

    internal Arena(IReadOnlyList<Parameter> parameters)
    {
        var firsts = new long[parameters.Count];
        for (int i = 0; i < parameters.Count; i++)
        {
            if (!_index.TryAdd(parameters[i].Name, i))
            {
                throw new ArgumentException($"Two parameters are named '{parameters[i].Name}'.", nameof(parameters));
            }
        }

        long length = Place(parameters, firsts, borrowed: false, 0);
        OwnedLength = length;
        length = Place(parameters, firsts, borrowed: true, length);

        if (length / Update.BlockLength > int.MaxValue)
        {
            throw new ArgumentException(
                $"The parameters need {length / Update.BlockLength} blocks of {Update.BlockLength}; at most "
                + $"{int.MaxValue} are possible.",
                nameof(parameters));
        }

        Parameters = parameters;
        Firsts = firsts;
        Length = length;
    }

    internal IReadOnlyList<Parameter> Parameters { get; }

    /// <summary>First element of each segment.</summary>
    internal IReadOnlyList<long> Firsts { get; }

    /// <summary>Elements with the gaps.</summary>
    internal long Length { get; }

    /// <summary>Elements before the first borrowed parameter: those the arena keeps parameter and gradient for.</summary>
    internal long OwnedLength { get; }

    /// <summary>A parameter's part of a tensor over the arena.</summary>
    internal TensorView Segment(TensorView tensor, int parameter) => Parameters[parameter].Length == 0
        ? default
        : tensor.Slice(Firsts[parameter], Parameters[parameter].Length);

    /// <summary>A parameter's part of a call over the arena; its own memory where it is borrowed.</summary>
    internal UpdateCall CallOf(in UpdateCall whole, int parameter)
    {
        Parameter own = Parameters[parameter];
        UpdateCall part = whole;
        part.P = own.IsBorrowed ? own.View : Segment(whole.P, parameter);
        part.G = own.IsBorrowed ? own.Gradient : Segment(whole.G, parameter);
        part.A = Floats(whole.A, parameter);
        part.B = Floats(whole.B, parameter);
        part.C = Floats(whole.C, parameter);
        part.Extras = whole.Extras with
        {
            Average = Floats(whole.Extras.Average, parameter),
            Copy = whole.Extras.Copy.IsEmpty ? default : Segment(whole.Extras.Copy, parameter),
            FirstElement = Firsts[parameter],
        };
        return part;
    }

    internal static long Blocks(long length) => (length + Update.BlockLength - 1) / Update.BlockLength;

    private ArrayView<float> Floats(ArrayView<float> view, int parameter) =>
        view.IsValid ? view.SubView(Firsts[parameter], Parameters[parameter].Length) : default;

    private static long Place(IReadOnlyList<Parameter> parameters, long[] firsts, bool borrowed, long length)
    {
        for (int i = 0; i < firsts.Length; i++)
        {
            if (parameters[i].IsBorrowed == borrowed)
            {
                firsts[i] = length;
                length = checked(length + Blocks(parameters[i].Length) * Update.BlockLength);
            }
        }

        return length;
    }

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
            long count = Math.Min(piece.Length, buffer.Length - first);
            buffer.View.SubView(first, count).CopyFromCPU(ref piece[0], count);
        }
    }
}
