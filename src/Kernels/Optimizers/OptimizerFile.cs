using ILGPU;
using ILGPU.Runtime;
using Kernels.Serialization;

namespace Kernels.Optimizers;

/// <summary>
/// An optimizer's tensors as a safetensors file: each parameter under its name, its state under
/// <c>name.exp_avg</c> and so on with PyTorch's names, its count as <c>name.step</c>, its average as
/// <c>name.average</c>. A state in 8 bits is a tensor of codes (U8) under its name, with F32 scales of 256 elements each
/// as <c>name.exp_avg.absmax</c>.
/// </summary>
internal static class OptimizerFile
{
    private const string Format = "kernels.optimizer.1";
    private const int Piece = 1 << 20;

    /// <summary>One tensor of the file and where it lies.</summary>
    internal readonly record struct Entry(SafeTensorInfo Info, TensorView View, int Parameter)
    {
        /// <summary>Where the codes lie, instead of the view.</summary>
        internal ArrayView<byte> Codes { get; init; }

        /// <summary>Where the whole numbers lie, instead of the view.</summary>
        internal ArrayView<int> Indices { get; init; }
    }

    internal static void Save(
        Stream stream, AcceleratorStream queue, IReadOnlyList<Entry> entries, ReadOnlySpan<int> steps,
        IReadOnlyDictionary<string, string> metadata)
    {
        using var writer = new SafeTensorsWriter(
            stream, [.. entries.Select(e => e.Info)], metadata, leaveOpen: true);
        foreach (Entry entry in entries)
        {
            switch (entry.Info.Type)
            {
                case SafeTensorType.I64:
                    writer.Write<long>(entry.Info.Name, [steps[entry.Parameter]]);
                    break;
                case SafeTensorType.F32:
                    Write(writer, queue, entry.Info.Name, entry.View.As<float>());
                    break;
                case SafeTensorType.U8:
                    Write(writer, queue, entry.Info.Name, entry.Codes);
                    break;
                case SafeTensorType.I32:
                    Write(writer, queue, entry.Info.Name, entry.Indices);
                    break;
                default:
                    Write(writer, queue, entry.Info.Name, entry.View.As<ushort>());
                    break;
            }
        }

        writer.Finish();
    }

    /// <summary>Refuses files that do not fit, before anything is changed.</summary>
    /// <param name="files">One file, or one for each shard.</param>
    /// <param name="entries">What is wanted.</param>
    /// <param name="metadata">What the files must say of themselves.</param>
    /// <param name="isPart">Whether the files may hold more than is wanted.</param>
    /// <exception cref="InvalidDataException">They do not fit; the message says why.</exception>
    internal static void Check(
        IReadOnlyList<SafeTensorsFile> files, IReadOnlyList<Entry> entries, IReadOnlyDictionary<string, string> metadata,
        bool isPart)
    {
        var names = entries.Select(e => e.Info.Name).ToHashSet(StringComparer.Ordinal);
        var seen = new HashSet<string>(StringComparer.Ordinal);
        foreach (SafeTensorsFile file in files)
        {
            foreach ((string key, string wanted) in metadata)
            {
                string got = file.Metadata.GetValueOrDefault(key, "nothing");
                if (IsIdentity(key) && !string.Equals(got, wanted, StringComparison.Ordinal))
                {
                    throw new InvalidDataException($"The file's {key} must be '{wanted}', and is '{got}'.");
                }
            }

            foreach (SafeTensorInfo tensor in file.Tensors)
            {
                if (!isPart && !names.Contains(tensor.Name))
                {
                    throw new InvalidDataException($"The file has a tensor '{tensor.Name}' that the optimizer lacks.");
                }

                if (!seen.Add(tensor.Name))
                {
                    throw new InvalidDataException($"Two of the files have a tensor '{tensor.Name}'.");
                }
            }
        }

        foreach (Entry entry in entries)
        {
            SafeTensorsFile file = Holder(files, entry.Info.Name, out SafeTensorInfo found);

            if (found.Type != entry.Info.Type || !found.Shape.SequenceEqual(entry.Info.Shape))
            {
                throw new InvalidDataException(
                    $"The tensor '{entry.Info.Name}' must be {entry.Info}, and is {found}.");
            }

            if (found.Type == SafeTensorType.I64)
            {
                Span<long> step = [0];
                file.Read(found.Name, step);
                if (step[0] is < 0 or > int.MaxValue)
                {
                    throw new InvalidDataException($"The count '{found.Name}' is {step[0]}, which is no step count.");
                }
            }
        }
    }

    internal static void Load(
        IReadOnlyList<SafeTensorsFile> files, AcceleratorStream queue, IReadOnlyList<Entry> entries, Span<int> steps)
    {
        foreach (Entry entry in entries)
        {
            SafeTensorsFile file = Holder(files, entry.Info.Name, out _);
            switch (entry.Info.Type)
            {
                case SafeTensorType.I64:
                    Span<long> step = [0];
                    file.Read(entry.Info.Name, step);
                    steps[entry.Parameter] = (int)step[0];
                    break;
                case SafeTensorType.F32:
                    Read(file, queue, entry.Info.Name, entry.View.As<float>());
                    break;
                case SafeTensorType.U8:
                    Read(file, queue, entry.Info.Name, entry.Codes);
                    break;
                case SafeTensorType.I32:
                    Read(file, queue, entry.Info.Name, entry.Indices);
                    break;
                default:
                    Read(file, queue, entry.Info.Name, entry.View.As<ushort>());
                    break;
            }
        }
    }

    internal static SafeTensorType TypeOf(Storage storage) => storage switch
    {
        Storage.F32 => SafeTensorType.F32,
        Storage.F16 => SafeTensorType.F16,
        _ => SafeTensorType.BF16,
    };

    /// <summary>What the file says of itself; the first two must be the reader's too.</summary>
    internal static Dictionary<string, string> Metadata(OptimizerOptions options) => new(StringComparer.Ordinal)
    {
        ["format"] = Format,
        ["optimizer"] = options.GetType().Name,
        ["options"] = options.ToString(),
    };

    private static SafeTensorsFile Holder(IReadOnlyList<SafeTensorsFile> files, string name, out SafeTensorInfo tensor)
    {
        foreach (SafeTensorsFile file in files)
        {
            if (file.TryFind(name, out SafeTensorInfo? found))
            {
                tensor = found;
                return file;
            }
        }

        throw new InvalidDataException(
            $"{(files.Count == 1 ? "The file lacks" : "None of the files has")} the tensor '{name}'.");
    }

    private static bool IsIdentity(string key) => key is "format" or "optimizer";

    /// <summary>Writes a tensor piece by piece; waits for the work before.</summary>
    internal static void Write<T>(SafeTensorsWriter writer, AcceleratorStream queue, string name, ArrayView<T> view)
        where T : unmanaged
    {
        var piece = new T[Math.Min(Piece, view.Length)];
        for (long first = 0; first < view.Length; first += Piece)
        {
            Span<T> part = piece.AsSpan(0, (int)Math.Min(Piece, view.Length - first));
            view.SubView(first, part.Length).CopyToCPU(queue, part);
            writer.Write<T>(name, part);
        }
    }

    /// <summary>Reads a tensor piece by piece.</summary>
    internal static void Read<T>(SafeTensorsFile file, AcceleratorStream queue, string name, ArrayView<T> view)
        where T : unmanaged
    {
        var piece = new T[Math.Min(Piece, view.Length)];
        for (long first = 0; first < view.Length; first += Piece)
        {
            Span<T> part = piece.AsSpan(0, (int)Math.Min(Piece, view.Length - first));
            file.Read(name, part, first);
            view.SubView(first, part.Length).CopyFromCPU<T, ArrayView<T>>(queue, part);
        }
    }
}
