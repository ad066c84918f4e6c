using System.Globalization;
using global::TorchSharp;

namespace Kernels.TorchSharp;

/// <summary>What a tensor must be for the kernels to work on its memory: each refusal says what is wrong with it.</summary>
internal static class TensorChecks
{
    /// <summary>How a tensor of this type is kept.</summary>
    internal static bool TryStorage(torch.ScalarType type, out Storage storage)
    {
        storage = type switch
        {
            torch.ScalarType.Float16 => Storage.F16,
            torch.ScalarType.BFloat16 => Storage.BF16,
            _ => Storage.F32,
        };
        return type is torch.ScalarType.Float32 or torch.ScalarType.Float16 or torch.ScalarType.BFloat16;
    }

    /// <summary>Refuses a tensor that is freed, elsewhere, not dense, not contiguous or of another type.</summary>
    /// <param name="tensor">The tensor.</param>
    /// <param name="what">What it is, for the message.</param>
    /// <param name="name">The argument.</param>
    /// <returns>How it is kept.</returns>
    /// <exception cref="ArgumentNullException">There is none.</exception>
    /// <exception cref="ObjectDisposedException">It is freed.</exception>
    /// <exception cref="ArgumentException">It does not fit.</exception>
    internal static Storage Dense(torch.Tensor? tensor, string what, string name)
    {
        OnHost(tensor, what, name);
        if (!TryStorage(tensor!.dtype, out Storage storage))
        {
            throw new ArgumentException($"{what} must be Float32, Float16 or BFloat16, and is {tensor.dtype}.", name);
        }

        return storage;
    }

    /// <summary>Refuses a tensor that is freed, elsewhere, not dense, not contiguous or of another type or shape.</summary>
    internal static void Of(torch.Tensor? tensor, torch.ScalarType type, ReadOnlySpan<long> shape, string what, string name)
    {
        OnHost(tensor, what, name);
        if (tensor!.dtype != type || !shape.SequenceEqual(tensor.shape))
        {
            throw new ArgumentException(
                $"{what} must be {type} of the shape {Text(shape.ToArray())}, and is {tensor.dtype} of "
                + $"{Text(tensor.shape)}.",
                name);
        }
    }

    private static void OnHost(torch.Tensor? tensor, string what, string name)
    {
        ArgumentNullException.ThrowIfNull(tensor, name);
        if (tensor.IsInvalid)
        {
            throw new ObjectDisposedException(name, $"{what} is disposed.");
        }

        if (tensor.device_type != DeviceType.CPU)
        {
            throw new ArgumentException($"{what} must lie on the CPU, and lies on {tensor.device}.", name);
        }

        if (tensor.is_sparse)
        {
            throw new ArgumentException($"{what} must be dense, and is sparse.", name);
        }

        if (!tensor.is_contiguous())
        {
            throw new ArgumentException(
                $"{what} must be contiguous, and has the shape {Text(tensor.shape)} with the strides "
                + $"{Text(tensor.stride())}.",
                name);
        }
    }

    /// <summary>As <see cref="Dense(torch.Tensor?, string, string)"/>, and of these lengths.</summary>
    internal static Storage Dense(torch.Tensor? tensor, ReadOnlySpan<long> shape, string what, string name)
    {
        Storage storage = Dense(tensor, what, name);
        if (!shape.SequenceEqual(tensor!.shape))
        {
            throw new ArgumentException(
                $"{what} must have the shape {Text(shape.ToArray())}, and has {Text(tensor.shape)}.", name);
        }

        return storage;
    }

    /// <summary>As <see cref="Dense(torch.Tensor?, ReadOnlySpan{long}, string, string)"/>, and Float32.</summary>
    internal static void Floats(torch.Tensor? tensor, ReadOnlySpan<long> shape, string what, string name)
    {
        if (Dense(tensor, shape, what, name) != Storage.F32)
        {
            throw new ArgumentException($"{what} must be Float32, and is {tensor!.dtype}.", name);
        }
    }

    /// <summary>What is wrong with a tensor.</summary>
    internal static ArgumentException Refusal(string message, string name) => new(message, name);

    /// <summary>Lengths or strides as a text.</summary>
    internal static string Text(long[] numbers) =>
        $"[{string.Join(", ", numbers.Select(n => n.ToString(CultureInfo.InvariantCulture)))}]";
}
