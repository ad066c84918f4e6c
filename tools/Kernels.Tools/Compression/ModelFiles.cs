using Kernels.Serialization;

namespace Kernels.Tools.Compression;

/// <summary>Model files that are read and written tensor by tensor.</summary>
internal static class ModelFiles
{
    private const int Piece = 1 << 20;

    /// <summary>Opens a model.</summary>
    /// <exception cref="BadInputException">It is not there, or no sound file.</exception>
    internal static SafeTensorsFile Open(string path)
    {
        FileStream? stream = null;
        try
        {
            stream = File.OpenRead(path);
            return new SafeTensorsFile(stream);
        }
        catch (Exception e) when (
            e is IOException or InvalidDataException or UnauthorizedAccessException or ArgumentException)
        {
            stream?.Dispose();
            throw new BadInputException($"'{path}' cannot be read: {e.Message}", e);
        }
    }

    /// <summary>Writes a model beside its place first, so that a failure leaves nothing there.</summary>
    /// <exception cref="BadInputException">It cannot be written, or what is read is wrong.</exception>
    internal static void Write(
        string path, IReadOnlyList<SafeTensorInfo> tensors, IReadOnlyDictionary<string, string> metadata,
        Action<SafeTensorsWriter> write)
    {
        string part = path + ".part";
        try
        {
            using (FileStream stream = File.Create(part))
            using (var writer = new SafeTensorsWriter(stream, tensors, metadata))
            {
                write(writer);
                writer.Finish();
            }

            File.Move(part, path, overwrite: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new BadInputException($"'{path}' cannot be written: {e.Message}", e);
        }
        finally
        {
            if (File.Exists(part))
            {
                File.Delete(part);
            }
        }
    }

    /// <summary>Copies a tensor as it is.</summary>
    internal static void Copy(SafeTensorsFile from, SafeTensorsWriter to, SafeTensorInfo tensor)
    {
        switch (tensor.Type)
        {
            case SafeTensorType.F32:
                Copy<float>(from, to, tensor);
                break;
            case SafeTensorType.F16 or SafeTensorType.BF16:
                Copy<ushort>(from, to, tensor);
                break;
            case SafeTensorType.I32:
                Copy<int>(from, to, tensor);
                break;
            case SafeTensorType.I64:
                Copy<long>(from, to, tensor);
                break;
            default:
                Copy<byte>(from, to, tensor);
                break;
        }
    }

    private static void Copy<T>(SafeTensorsFile from, SafeTensorsWriter to, SafeTensorInfo tensor)
        where T : unmanaged
    {
        var piece = new T[Math.Min(tensor.Length, Piece)];
        for (long first = 0; first < tensor.Length; first += piece.Length)
        {
            Span<T> values = piece.AsSpan(0, (int)Math.Min(piece.Length, tensor.Length - first));
            from.Read(tensor.Name, values, first);
            to.Write<T>(tensor.Name, values);
        }
    }
}
