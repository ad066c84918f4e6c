using System.Globalization;
using System.Runtime.CompilerServices;
using ILGPU;
using ILGPU.Runtime;
using ILGPU.Runtime.OpenCL;

namespace Kernels.Validation;

/// <summary>The checks of every public call. Each names the argument, what was wanted and what was got.</summary>
internal static class Require
{
    internal static void NotNull(
        [System.Diagnostics.CodeAnalysis.NotNull] object? value,
        [CallerArgumentExpression(nameof(value))] string? name = null) =>
        ArgumentNullException.ThrowIfNull(value, name);

    internal static void InRange(
        double value, double least, double below, [CallerArgumentExpression(nameof(value))] string? name = null)
    {
        if (!(value >= least && value < below))
        {
            throw OutOfRange(name, value, $"in [{Text(least)}, {Text(below)})");
        }
    }

    internal static void NotNegative(double value, [CallerArgumentExpression(nameof(value))] string? name = null)
    {
        if (!(value >= 0 && double.IsFinite(value)))
        {
            throw OutOfRange(name, value, "finite and not negative");
        }
    }

    internal static void Positive(double value, [CallerArgumentExpression(nameof(value))] string? name = null)
    {
        if (!(value > 0 && double.IsFinite(value)))
        {
            throw OutOfRange(name, value, "finite and positive");
        }
    }

    internal static void AtLeast(long value, long least, [CallerArgumentExpression(nameof(value))] string? name = null)
    {
        if (value < least)
        {
            throw OutOfRange(name, value, $"at least {Text(least)}");
        }
    }

    internal static void Defined<TEnum>(TEnum value, [CallerArgumentExpression(nameof(value))] string? name = null)
        where TEnum : struct, Enum
    {
        if (!Values<TEnum>.All.Contains(value))
        {
            throw OutOfRange(name, value, $"one of {string.Join(", ", Enum.GetNames<TEnum>())}");
        }
    }

    internal static void Length(
        long wanted, long got, [CallerArgumentExpression(nameof(got))] string? name = null)
    {
        if (wanted != got)
        {
            throw new ArgumentException($"The length must be {Text(wanted)}, and is {Text(got)}.", Root(name));
        }
    }

    /// <summary>The stream is of this accelerator.</summary>
    internal static void Stream(
        Accelerator accelerator,
        [System.Diagnostics.CodeAnalysis.NotNull] AcceleratorStream? stream,
        [CallerArgumentExpression(nameof(stream))] string? name = null)
    {
        ArgumentNullException.ThrowIfNull(stream, name);
        ObjectDisposedException.ThrowIf(stream.IsDisposed, stream);
        if (!ReferenceEquals(stream.Accelerator, accelerator))
        {
            throw new ArgumentException(
                $"The stream must belong to {accelerator.Name}, and belongs to {stream.Accelerator.Name}.", name);
        }
    }

    /// <summary>The tensor has this length, lies on this accelerator, is alive, aligned and within reach.</summary>
    internal static void Tensor(
        Accelerator accelerator, long length, TensorView view,
        [CallerArgumentExpression(nameof(view))] string? name = null)
    {
        Length(length, view.Length, name);
        Memory(accelerator, view.Length, view.Buffer, view.Index, name);
    }

    /// <summary>As <see cref="Tensor(Accelerator, long, TensorView, string?)"/>, for bytes.</summary>
    internal static void Tensor(
        Accelerator accelerator, long length, ArrayView<byte> view,
        [CallerArgumentExpression(nameof(view))] string? name = null)
    {
        Length(length, view.Length, name);
        Memory(accelerator, view.Length, TensorView.BufferOf(view), TensorView.IndexOf(view), name);
    }

    /// <summary>Two tensors of one call share no byte.</summary>
    internal static void Apart(TensorView first, TensorView second, string firstName, string secondName) =>
        Apart([TensorRange.Of(first, firstName), TensorRange.Of(second, secondName)]);

    /// <summary>No two of the ranges share a byte.</summary>
    internal static void Apart(ReadOnlySpan<TensorRange> ranges)
    {
        for (int second = 1; second < ranges.Length; second++)
        {
            for (int first = 0; first < second; first++)
            {
                TensorRange a = ranges[first];
                TensorRange b = ranges[second];
                if (a.Overlaps(b))
                {
                    throw new ArgumentException(
                        $"{a.Name} and {b.Name} must not overlap; they share memory from byte "
                        + $"{Text(b.SharedWith(a))} of the buffer of {b.Name} on.",
                        b.Name);
                }
            }
        }
    }

    private static void Memory(Accelerator accelerator, long length, MemoryBuffer? buffer, long index, string? name)
    {
        if (length == 0)
        {
            return;
        }

        if (buffer is null)
        {
            throw new ArgumentException("The view has no buffer.", name);
        }

        ObjectDisposedException.ThrowIf(buffer.IsDisposed, buffer);
        if (!ReferenceEquals(buffer.Accelerator, accelerator))
        {
            throw new ArgumentException(
                $"The tensor must lie on {accelerator.Name}, and lies on {buffer.Accelerator.Name}.", name);
        }

        // A view's start travels as a 32-bit element offset on OpenCL.
        if (accelerator is CLAccelerator && index > int.MaxValue)
        {
            throw new ArgumentException(
                $"On OpenCL a view must start at most {Text(int.MaxValue)} elements into its buffer, and starts at "
                + $"{Text(index)}.",
                name);
        }
    }

    private static ArgumentOutOfRangeException OutOfRange(string? name, object value, string wanted) =>
        new(Root(name), value, $"{Leaf(name)} must be {wanted}.");

    /// <summary>The parameter's own name: <c>options</c> of <c>options.Beta1</c>.</summary>
    private static string? Root(string? name) => name?.Split('.')[0];

    private static string? Leaf(string? name) => name?.Split('.')[^1];

    private static string Text(double value) => value.ToString(CultureInfo.InvariantCulture);

    // The runtime keeps what it knows of an enumeration behind a weak reference: Enum.IsDefined allocates after a collection.
    private static class Values<TEnum>
        where TEnum : struct, Enum
    {
        internal static readonly TEnum[] All = Enum.GetValues<TEnum>();
    }
}
