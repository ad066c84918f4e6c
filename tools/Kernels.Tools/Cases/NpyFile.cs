using System.Buffers.Binary;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;

namespace Kernels.Tools.Cases;

/// <summary>
/// A strict reader of NumPy's .npy files, versions 1 to 3: little-endian <c>f4</c>, <c>f8</c>, <c>i4</c>, <c>i8</c> and
/// <c>u1</c> in C order.
/// </summary>
/// <param name="Type">NumPy's name of the element type, as in <c>f4</c>.</param>
/// <param name="Shape">Lengths of the dimensions.</param>
/// <param name="Data"><c>float[]</c>, <c>double[]</c>, <c>int[]</c>, <c>long[]</c> or <c>byte[]</c>.</param>
internal sealed record NpyFile(string Type, int[] Shape, Array Data)
{
    private static ReadOnlySpan<byte> Magic => [0x93, (byte)'N', (byte)'U', (byte)'M', (byte)'P', (byte)'Y'];

    /// <summary>Reads a file.</summary>
    /// <exception cref="InvalidDataException">The file is no such file; the message says what is wrong.</exception>
    internal static NpyFile Read(Stream stream)
    {
        string header = ReadHeader(stream);
        (string type, int[] shape) = ParseHeader(header);
        long length = 1;
        foreach (int dimension in shape)
        {
            length *= dimension;
            if (length > Array.MaxLength)
            {
                throw Wrong($"its shape ({string.Join(", ", shape)}) is larger than an array can be");
            }
        }

        Array data = type switch
        {
            "f4" => ReadData<float>(stream, length),
            "f8" => ReadData<double>(stream, length),
            "i4" => ReadData<int>(stream, length),
            "i8" => ReadData<long>(stream, length),
            _ => ReadData<byte>(stream, length),
        };
        return stream.ReadByte() < 0
            ? new NpyFile(type, shape, data)
            : throw Wrong("bytes follow its data");
    }

    private static string ReadHeader(Stream stream)
    {
        Span<byte> start = stackalloc byte[8];
        if (stream.ReadAtLeast(start, start.Length, throwOnEndOfStream: false) < start.Length
            || !start[..6].SequenceEqual(Magic))
        {
            throw Wrong("it does not start with \\x93NUMPY and a version");
        }

        int version = start[6];
        if (version is < 1 or > 3 || start[7] != 0)
        {
            throw Wrong($"its version {version}.{start[7]} is not known");
        }

        Span<byte> size = stackalloc byte[version == 1 ? 2 : 4];
        if (stream.ReadAtLeast(size, size.Length, throwOnEndOfStream: false) < size.Length)
        {
            throw Wrong("it ends within its header");
        }

        uint length = version == 1
            ? BinaryPrimitives.ReadUInt16LittleEndian(size)
            : BinaryPrimitives.ReadUInt32LittleEndian(size);
        if (length > 1 << 20)
        {
            throw Wrong($"its header claims {length} bytes");
        }

        var header = new byte[length];
        return stream.ReadAtLeast(header, header.Length, throwOnEndOfStream: false) == header.Length
            ? Encoding.Latin1.GetString(header)
            : throw Wrong("it ends within its header");
    }

    /// <summary>Reads a dictionary such as <c>{'descr': '&lt;f4', 'fortran_order': False, 'shape': (3, 4), }</c>.</summary>
    private static (string Type, int[] Shape) ParseHeader(string header)
    {
        var text = new Scanner(header);
        string? type = null;
        bool? fortran = null;
        int[]? shape = null;
        text.Take('{');
        while (!text.TryTake('}'))
        {
            string key = text.Text();
            text.Take(':');
            switch (key)
            {
                case "descr" when type is null:
                    type = text.Text();
                    break;
                case "fortran_order" when fortran is null:
                    fortran = text.Boolean();
                    break;
                case "shape" when shape is null:
                    shape = text.Tuple();
                    break;
                default:
                    throw Wrong($"its header has an unknown or repeated entry '{key}'");
            }

            if (!text.TryTake(','))
            {
                text.Take('}');
                break;
            }
        }

        text.End();
        if (type is null || fortran is null || shape is null)
        {
            throw Wrong("its header lacks descr, fortran_order or shape");
        }

        if (fortran.Value && shape.Length > 1)
        {
            throw Wrong("it is in Fortran order; save numpy.ascontiguousarray(x)");
        }

        return type is "<f4" or "<f8" or "<i4" or "<i8" or "|u1"
            ? (type[1..], shape)
            : throw Wrong($"its element type '{type}' is none of <f4, <f8, <i4, <i8, |u1");
    }

    private static T[] ReadData<T>(Stream stream, long length)
        where T : unmanaged
    {
        if (!BitConverter.IsLittleEndian)
        {
            throw new PlatformNotSupportedException("This machine is big-endian.");
        }

        // Grown as the bytes come, so that a false shape cannot ask for memory that the file does not fill.
        var data = new T[Math.Min(length, 1 << 20)];
        int done = 0;
        while (done < length)
        {
            if (done == data.Length)
            {
                Array.Resize(ref data, (int)Math.Min(length, 2L * data.Length));
            }

            int count = Math.Min(data.Length - done, 1 << 20);
            Span<byte> piece = MemoryMarshal.AsBytes(data.AsSpan(done, count));
            if (stream.ReadAtLeast(piece, piece.Length, throwOnEndOfStream: false) < piece.Length)
            {
                throw Wrong("it ends within its data");
            }

            done += count;
        }

        return data;
    }

    private static InvalidDataException Wrong(string what) => new($"This is no .npy file we can read: {what}.");

    /// <summary>The few literals of Python that a header is made of.</summary>
    private sealed class Scanner(string text)
    {
        private int _next;

        internal void Take(char wanted)
        {
            if (!TryTake(wanted))
            {
                throw Wrong($"its header lacks '{wanted}' at character {_next}");
            }
        }

        internal bool TryTake(char wanted)
        {
            SkipSpace();
            if (_next < text.Length && text[_next] == wanted)
            {
                _next++;
                return true;
            }

            return false;
        }

        internal string Text()
        {
            SkipSpace();
            char quote = _next < text.Length ? text[_next] : ' ';
            int end = quote is '\'' or '"' ? text.IndexOf(quote, _next + 1) : -1;
            if (end < 0)
            {
                throw Wrong($"its header lacks a text at character {_next}");
            }

            string value = text[(_next + 1)..end];
            _next = end + 1;
            return value;
        }

        internal bool Boolean()
        {
            SkipSpace();
            foreach ((string word, bool value) in new[] { ("True", true), ("False", false) })
            {
                if (string.CompareOrdinal(text, _next, word, 0, word.Length) == 0)
                {
                    _next += word.Length;
                    return value;
                }
            }

            throw Wrong($"its header lacks True or False at character {_next}");
        }

        internal int[] Tuple()
        {
            var lengths = new List<int>();
            Take('(');
            while (!TryTake(')'))
            {
                SkipSpace();
                int end = _next;
                while (end < text.Length && char.IsAsciiDigit(text[end]))
                {
                    end++;
                }

                if (!int.TryParse(
                    text.AsSpan(_next, end - _next), NumberStyles.None, CultureInfo.InvariantCulture, out int length))
                {
                    throw Wrong($"its shape lacks a length at character {_next} of the header");
                }

                lengths.Add(length);
                _next = end;
                if (!TryTake(','))
                {
                    Take(')');
                    break;
                }
            }

            return [.. lengths];
        }

        internal void End()
        {
            SkipSpace();
            if (_next < text.Length)
            {
                throw Wrong($"something follows its header's dictionary at character {_next}");
            }
        }

        private void SkipSpace()
        {
            while (_next < text.Length && text[_next] is (' ' or '\n'))
            {
                _next++;
            }
        }
    }
}
