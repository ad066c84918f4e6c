using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;
using System.Text.Json;
using Kernels.Validation;

namespace Kernels.Serialization;

/// <summary>Reads a file in the safetensors format: the header at once and with every check, tensors when asked.</summary>
/// <remarks>Use from one thread at a time.</remarks>
public sealed class SafeTensorsFile : IDisposable
{
    private readonly Stream _stream;
    private readonly bool _leaveOpen;
    private readonly long _start;
    private readonly Dictionary<string, SafeTensorInfo> _index = new(StringComparer.Ordinal);
    private bool _disposed;

    /// <summary>Reads and checks the header.</summary>
    /// <param name="stream">The file, from its current position to its end; seekable.</param>
    /// <param name="leaveOpen">Whether the stream stays open when this object is disposed.</param>
    /// <exception cref="ArgumentNullException">The stream is null.</exception>
    /// <exception cref="ArgumentException">The stream cannot be read or has no positions.</exception>
    /// <exception cref="InvalidDataException">The file is not as the format wants it; the message says what is wrong.</exception>
    public SafeTensorsFile(Stream stream, bool leaveOpen = false)
    {
        Require.NotNull(stream);
        if (!stream.CanRead || !stream.CanSeek)
        {
            throw new ArgumentException("The stream must be readable and seekable.", nameof(stream));
        }

        if (!BitConverter.IsLittleEndian)
        {
            throw new PlatformNotSupportedException("Safetensors are read and written on little-endian machines only.");
        }

        _stream = stream;
        _leaveOpen = leaveOpen;
        byte[] header = ReadHeader(stream);
        _start = stream.Position;
        try
        {
            (Tensors, Metadata) = Parse(header, stream.Length - _start);
        }
        catch (InvalidOperationException e)
        {
            // How System.Text.Json refuses a text that is no Unicode.
            throw new InvalidDataException("This is no safetensors file: its header is no UTF-8 text.", e);
        }

        foreach (SafeTensorInfo tensor in Tensors)
        {
            _index.Add(tensor.Name, tensor);
        }
    }

    /// <summary>The tensors, in the order of their data.</summary>
    public IReadOnlyList<SafeTensorInfo> Tensors { get; }

    /// <summary>The texts of the header; none if there are none.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; }

    /// <summary>Finds a tensor by its name.</summary>
    /// <param name="name">The name.</param>
    /// <param name="tensor">The tensor, if there is one.</param>
    /// <returns>Whether there is one.</returns>
    public bool TryFind(string name, [NotNullWhen(true)] out SafeTensorInfo? tensor) =>
        _index.TryGetValue(name, out tensor);

    /// <summary>Reads a tensor, or a part of it.</summary>
    /// <typeparam name="T">
    /// <see cref="float"/> for F32, <see cref="Half"/>, <see cref="ILGPU.Half"/> or <see cref="ushort"/> for F16,
    /// <see cref="ushort"/> for BF16, <see cref="int"/>, <see cref="long"/> and <see cref="byte"/> for the integers.
    /// </typeparam>
    /// <param name="name">The tensor.</param>
    /// <param name="destination">Written whole: as many elements as are wanted.</param>
    /// <param name="first">The first element wanted.</param>
    /// <exception cref="ArgumentException">There is no such tensor, or the type does not fit.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The tensor has not so many elements.</exception>
    /// <exception cref="EndOfStreamException">The stream has become shorter.</exception>
    /// <exception cref="ObjectDisposedException">This object is disposed.</exception>
    public void Read<T>(string name, Span<T> destination, long first = 0)
        where T : unmanaged
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (!TryFind(name, out SafeTensorInfo? tensor))
        {
            throw new ArgumentException($"There is no tensor '{name}'.", nameof(name));
        }

        SafeTensors.RequireType<T>(tensor);
        if (first < 0 || first > tensor.Length - destination.Length)
        {
            throw new ArgumentOutOfRangeException(
                nameof(first), first,
                $"The tensor '{name}' has {tensor.Length} elements; {destination.Length} from {first} on are not there.");
        }

        int bytes = SafeTensors.Bytes(tensor.Type);
        _stream.Position = _start + tensor.Begin + first * bytes;
        const int Piece = 1 << 20;
        for (int done = 0; done < destination.Length; done += Piece)
        {
            _stream.ReadExactly(
                MemoryMarshal.AsBytes(destination.Slice(done, Math.Min(Piece, destination.Length - done))));
        }
    }

    /// <summary>Closes the stream unless it is to stay open.</summary>
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

    private static byte[] ReadHeader(Stream stream)
    {
        long available = stream.Length - stream.Position;
        if (available < 8)
        {
            throw Wrong($"it has {available} bytes, and the length of the header alone takes 8");
        }

        Span<byte> prefix = stackalloc byte[8];
        stream.ReadExactly(prefix);
        ulong length = BinaryPrimitives.ReadUInt64LittleEndian(prefix);
        if (length > SafeTensors.MaxHeaderBytes)
        {
            throw Wrong($"its header claims {length} bytes; at most {SafeTensors.MaxHeaderBytes} are allowed");
        }

        if ((long)length > available - 8)
        {
            throw Wrong($"its header claims {length} bytes, and only {available - 8} follow");
        }

        var header = new byte[length];
        stream.ReadExactly(header);
        if (header.Length == 0 || header[0] != (byte)'{')
        {
            throw Wrong("its header does not start with '{'");
        }

        return header;
    }

    private static (IReadOnlyList<SafeTensorInfo> Tensors, IReadOnlyDictionary<string, string> Metadata) Parse(
        byte[] header, long dataBytes)
    {
        using JsonDocument document = ParseJson(header);
        var names = new HashSet<string>(StringComparer.Ordinal);
        var tensors = new List<SafeTensorInfo>();
        var metadata = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (JsonProperty property in document.RootElement.EnumerateObject())
        {
            if (!names.Add(property.Name))
            {
                throw Wrong($"its header names '{property.Name}' twice");
            }

            if (string.Equals(property.Name, SafeTensors.MetadataKey, StringComparison.Ordinal))
            {
                ParseMetadata(property.Value, metadata);
            }
            else
            {
                tensors.Add(ParseTensor(property.Name, property.Value));
            }
        }

        // An empty tensor may begin where another one does; it comes first then.
        tensors.Sort((a, b) => (a.Begin, a.ByteLength).CompareTo((b.Begin, b.ByteLength)));
        long end = 0;
        foreach (SafeTensorInfo tensor in tensors)
        {
            if (tensor.Begin != end)
            {
                throw Wrong(
                    $"the tensor '{tensor.Name}' begins at byte {tensor.Begin} of the data, "
                    + (tensor.Begin < end ? $"inside another that ends at {end}" : $"after a hole from {end} on"));
            }

            end = tensor.Begin + tensor.ByteLength;
        }

        return end == dataBytes
            ? (tensors, metadata)
            : throw Wrong(
                $"its tensors take {end} bytes, and there are {dataBytes}: "
                + (end > dataBytes ? "it is cut off" : "something follows them"));
    }

    private static JsonDocument ParseJson(byte[] header)
    {
        try
        {
            return JsonDocument.Parse(header);
        }
        catch (JsonException e)
        {
            throw new InvalidDataException($"This is no safetensors file: its header is no JSON: {e.Message}", e);
        }
    }

    private static void ParseMetadata(JsonElement element, Dictionary<string, string> metadata)
    {
        if (element.ValueKind != JsonValueKind.Object)
        {
            throw Wrong($"its {SafeTensors.MetadataKey} is no object");
        }

        foreach (JsonProperty property in element.EnumerateObject())
        {
            if (property.Value.ValueKind != JsonValueKind.String)
            {
                throw Wrong($"the value of '{property.Name}' in its {SafeTensors.MetadataKey} is no text");
            }

            if (!metadata.TryAdd(property.Name, property.Value.GetString()!))
            {
                throw Wrong($"its {SafeTensors.MetadataKey} names '{property.Name}' twice");
            }
        }
    }

    private static SafeTensorInfo ParseTensor(string name, JsonElement element)
    {
        if (name.Length == 0)
        {
            throw Wrong("a tensor has no name");
        }

        if (element.ValueKind != JsonValueKind.Object)
        {
            throw Wrong($"the entry of the tensor '{name}' is no object");
        }

        string? dtype = null;
        long[]? shape = null;
        long[]? offsets = null;
        foreach (JsonProperty property in element.EnumerateObject())
        {
            bool first = property.Name switch
            {
                "dtype" => dtype is null,
                "shape" => shape is null,
                "data_offsets" => offsets is null,
                _ => throw Wrong($"the tensor '{name}' has the unknown entry '{property.Name}'"),
            };
            if (!first)
            {
                throw Wrong($"the tensor '{name}' has two entries '{property.Name}'");
            }

            switch (property.Name)
            {
                case "dtype":
                    dtype = property.Value.ValueKind == JsonValueKind.String
                        ? property.Value.GetString()
                        : throw Wrong($"the dtype of the tensor '{name}' is no text");
                    break;
                case "shape":
                    shape = Numbers(name, property);
                    break;
                default:
                    offsets = Numbers(name, property);
                    break;
            }
        }

        if (dtype is null || shape is null || offsets is null)
        {
            throw Wrong($"the tensor '{name}' lacks dtype, shape or data_offsets");
        }

        if (!Enum.TryParse(dtype, out SafeTensorType type) || !string.Equals(type.ToString(), dtype, StringComparison.Ordinal))
        {
            throw Wrong(
                $"the tensor '{name}' has the dtype {dtype}; known are "
                + string.Join(", ", Enum.GetNames<SafeTensorType>()));
        }

        if (offsets.Length != 2 || offsets[0] > offsets[1])
        {
            throw Wrong($"the data_offsets of the tensor '{name}' are no begin and end");
        }

        SafeTensorInfo tensor;
        try
        {
            tensor = new SafeTensorInfo(name, type, shape) { Begin = offsets[0] };
        }
        catch (OverflowException)
        {
            throw Wrong($"the shape of the tensor '{name}' multiplies to more than 2^63 - 1");
        }

        return tensor.ByteLength == offsets[1] - offsets[0]
            ? tensor
            : throw Wrong(
                $"the tensor '{name}' is {tensor} and needs {tensor.ByteLength} bytes; its data_offsets give "
                + $"{offsets[1] - offsets[0]}");
    }

    private static long[] Numbers(string name, JsonProperty property)
    {
        if (property.Value.ValueKind != JsonValueKind.Array)
        {
            throw Wrong($"the {property.Name} of the tensor '{name}' is no list");
        }

        var numbers = new long[property.Value.GetArrayLength()];
        int i = 0;
        foreach (JsonElement element in property.Value.EnumerateArray())
        {
            if (element.ValueKind != JsonValueKind.Number || !element.TryGetInt64(out numbers[i]) || numbers[i] < 0)
            {
                throw Wrong($"the {property.Name} of the tensor '{name}' holds something other than whole numbers from 0");
            }

            i++;
        }

        return numbers;
    }

    private static InvalidDataException Wrong(string what) => new($"This is no safetensors file: {what}.");
}
