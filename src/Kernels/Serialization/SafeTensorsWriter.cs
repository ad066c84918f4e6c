using System.Buffers;
using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text.Json;
using Kernels.Validation;

namespace Kernels.Serialization;

/// <summary>Writes a file in the safetensors format: the header at once, then one tensor after the other.</summary>
/// <remarks>
/// The format is a header length of 8 bytes, a JSON header and the data; little-endian
/// (https://huggingface.co/docs/safetensors). Tensors may be written piece by piece, so nothing need be in memory
/// twice. Use from one thread at a time.
/// <example><code>
/// using var writer = new SafeTensorsWriter(stream, [new SafeTensorInfo("w", SafeTensorType.F32, 128, 64)]);
/// writer.Write("w", values);
/// writer.Finish();
/// </code></example>
/// </remarks>
public sealed class SafeTensorsWriter : IDisposable
{
    private readonly Stream _stream;
    private readonly bool _leaveOpen;
    private int _current;
    private long _written;
    private bool _disposed;

    /// <summary>Writes the header.</summary>
    /// <param name="stream">Where the file goes; need not be seekable.</param>
    /// <param name="tensors">The tensors in the order in which they will be written.</param>
    /// <param name="metadata">Texts for the header; null writes none.</param>
    /// <param name="leaveOpen">Whether the stream stays open when the writer is disposed.</param>
    /// <exception cref="ArgumentNullException">The stream or the tensors are null.</exception>
    /// <exception cref="ArgumentException">
    /// The stream cannot be written, two tensors have one name, or the header exceeds 100,000,000 bytes.
    /// </exception>
    public SafeTensorsWriter(
        Stream stream, IReadOnlyList<SafeTensorInfo> tensors, IReadOnlyDictionary<string, string>? metadata = null,
        bool leaveOpen = false)
    {
        Require.NotNull(stream);
        Require.NotNull(tensors);
        if (!stream.CanWrite)
        {
            throw new ArgumentException("The stream cannot be written.", nameof(stream));
        }

        _stream = stream;
        _leaveOpen = leaveOpen;
        Tensors = [.. tensors];
        ReadOnlySpan<byte> header = Header(Tensors, metadata);
        if (header.Length > SafeTensors.MaxHeaderBytes)
        {
            throw new ArgumentException(
                $"The header must have at most {SafeTensors.MaxHeaderBytes} bytes, and has {header.Length}.",
                nameof(tensors));
        }

        Span<byte> prefix = stackalloc byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(prefix, (ulong)header.Length);
        stream.Write(prefix);
        stream.Write(header);
    }

    /// <summary>The tensors, in the order in which they must be written.</summary>
    public IReadOnlyList<SafeTensorInfo> Tensors { get; }

    /// <summary>Writes a tensor, or its next elements.</summary>
    /// <typeparam name="T">
    /// <see cref="float"/> for F32, <see cref="Half"/>, <see cref="ILGPU.Half"/> or <see cref="ushort"/> for F16,
    /// <see cref="ushort"/> for BF16, <see cref="int"/>, <see cref="long"/> and <see cref="byte"/> for the integers.
    /// </typeparam>
    /// <param name="name">The tensor whose turn it is.</param>
    /// <param name="values">Its next elements, at most those that are missing.</param>
    /// <exception cref="ArgumentException">Another tensor's turn it is, or type or number do not fit.</exception>
    /// <exception cref="ObjectDisposedException">The writer is disposed.</exception>
    public void Write<T>(string name, ReadOnlySpan<T> values)
        where T : unmanaged
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        SkipComplete(name);
        if (_current == Tensors.Count || !string.Equals(Tensors[_current].Name, name, StringComparison.Ordinal))
        {
            throw new ArgumentException(
                _current == Tensors.Count
                    ? $"All tensors are written; '{name}' is one too many."
                    : $"It is the turn of '{Tensors[_current].Name}', not of '{name}'.",
                nameof(name));
        }

        SafeTensorInfo tensor = Tensors[_current];
        SafeTensors.RequireType<T>(tensor);
        if (values.Length > tensor.Length - _written)
        {
            throw new ArgumentException(
                $"The tensor '{name}' lacks {tensor.Length - _written} elements, and {values.Length} are given.",
                nameof(values));
        }

        WriteLittleEndian(values);
        _written += values.Length;
    }

    /// <summary>Checks that every tensor is written whole, and flushes the stream.</summary>
    /// <exception cref="InvalidOperationException">Elements are missing.</exception>
    /// <exception cref="ObjectDisposedException">The writer is disposed.</exception>
    public void Finish()
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        SkipComplete(next: null);
        if (_current < Tensors.Count)
        {
            SafeTensorInfo tensor = Tensors[_current];
            throw new InvalidOperationException(
                $"The tensor '{tensor.Name}' has {tensor.Length} elements, and {_written} are written.");
        }

        _stream.Flush();
    }

    /// <summary>Closes the stream unless it is to stay open. A file without <see cref="Finish"/> may be incomplete.</summary>
    public void Dispose()
    {
        if (!_disposed)
        {
            _disposed = true;
            if (!_leaveOpen)
            {
                _stream.Dispose();
            }
        }
    }

    // An empty tensor is complete before its turn, and may be written or left out.
    private void SkipComplete(string? next)
    {
        while (_current < Tensors.Count && _written == Tensors[_current].Length
            && !(_written == 0 && string.Equals(Tensors[_current].Name, next, StringComparison.Ordinal)))
        {
            _current++;
            _written = 0;
        }
    }

    private void WriteLittleEndian<T>(ReadOnlySpan<T> values)
        where T : unmanaged
    {
        if (!BitConverter.IsLittleEndian)
        {
            throw new PlatformNotSupportedException("Safetensors are read and written on little-endian machines only.");
        }

        // A span of bytes is at most 2^31 - 1 long.
        const int Piece = 1 << 20;
        for (int first = 0; first < values.Length; first += Piece)
        {
            _stream.Write(MemoryMarshal.AsBytes(values.Slice(first, Math.Min(Piece, values.Length - first))));
        }
    }

    private static ReadOnlySpan<byte> Header(
        IReadOnlyList<SafeTensorInfo> tensors, IReadOnlyDictionary<string, string>? metadata)
    {
        var names = new HashSet<string>(StringComparer.Ordinal);
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            if (metadata is { Count: > 0 })
            {
                json.WriteStartObject(SafeTensors.MetadataKey);
                foreach ((string key, string value) in metadata)
                {
                    json.WriteString(key, value);
                }

                json.WriteEndObject();
            }

            long begin = 0;
            foreach (SafeTensorInfo tensor in tensors)
            {
                if (!names.Add(tensor.Name))
                {
                    throw new ArgumentException($"Two tensors are named '{tensor.Name}'.", nameof(tensors));
                }

                long end = checked(begin + tensor.ByteLength);
                json.WriteStartObject(tensor.Name);
                json.WriteString("dtype", tensor.Type.ToString());
                WriteNumbers(json, "shape", tensor.Shape);
                WriteNumbers(json, "data_offsets", [begin, end]);
                json.WriteEndObject();
                begin = end;
            }

            json.WriteEndObject();
        }

        // Spaces, so that the data starts at a multiple of 8 bytes.
        int padding = (8 - buffer.WrittenCount % 8) % 8;
        buffer.GetSpan(padding)[..padding].Fill((byte)' ');
        buffer.Advance(padding);
        return buffer.WrittenSpan;
    }

    private static void WriteNumbers(Utf8JsonWriter json, string name, IReadOnlyList<long> numbers)
    {
        json.WriteStartArray(name);
        foreach (long number in numbers)
        {
            json.WriteNumberValue(number);
        }

        json.WriteEndArray();
    }
}
