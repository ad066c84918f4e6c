using ILGPU;
using ILGPU.Runtime;
using Kernels.Optimizers;
using Kernels.Serialization;

namespace Kernels.VectorQuantization;

/// <summary>Codebooks and bridges as safetensors files: F32 tensors under fixed names, and what they are for.</summary>
internal static class CodebookFile
{
    /// <summary>A tensor of a file, and where it lies.</summary>
    /// <param name="Name">Its name.</param>
    /// <param name="View">Where it lies; not valid: it may be in a file, and is passed over.</param>
    /// <param name="Shape">Lengths of the dimensions.</param>
    internal readonly record struct Entry(string Name, ArrayView<float> View, long[] Shape)
    {
        internal SafeTensorInfo Info => new(Name, SafeTensorType.F32, Shape);
    }

    /// <summary>The shape of the codes.</summary>
    internal static long[] Shape(Codebook book) => [book.Settings.Books, book.Codes, book.Dimension];

    /// <summary>The tensors of a codebook.</summary>
    internal static List<Entry> Tensors(Codebook book, string prefix = "")
    {
        bool means = book.Settings.Learning == CodebookLearning.MovingMeans;
        long[] shape = Shape(book);
        return
        [
            new($"{prefix}embed", book.View, shape),
            new($"{prefix}cluster_size", means ? book.ClusterSize : default, shape[..2]),
            new($"{prefix}embed_avg", means ? book.ClusterSum : default, shape),
        ];
    }

    /// <summary>What a file says of itself; a file that says nothing is taken by its tensors.</summary>
    internal static Dictionary<string, string> Metadata(CodebookSettings settings) => new(StringComparer.Ordinal)
    {
        ["format"] = "kernels.codebook.1",
        ["metric"] = settings.Metric.ToString(),
    };

    internal static void Save(
        Stream stream, AcceleratorStream queue, IReadOnlyDictionary<string, string> metadata, IEnumerable<Entry> tensors)
    {
        Entry[] kept = [.. tensors.Where(t => t.View.IsValid)];
        using var writer = new SafeTensorsWriter(stream, [.. kept.Select(t => t.Info)], metadata, leaveOpen: true);
        foreach (Entry tensor in kept)
        {
            OptimizerFile.Write(writer, queue, tensor.Name, tensor.View);
        }

        writer.Finish();
    }

    /// <exception cref="InvalidDataException">The file does not fit; nothing is changed.</exception>
    internal static void Load(
        Stream stream, AcceleratorStream queue, IReadOnlyDictionary<string, string> metadata,
        IReadOnlyList<Entry> tensors)
    {
        using var file = new SafeTensorsFile(stream, leaveOpen: true);
        Check(file, metadata, tensors);
        foreach (Entry tensor in tensors)
        {
            if (tensor.View.IsValid)
            {
                OptimizerFile.Read(file, queue, tensor.Name, tensor.View);
            }
        }
    }

    private static void Check(
        SafeTensorsFile file, IReadOnlyDictionary<string, string> metadata, IReadOnlyList<Entry> tensors)
    {
        foreach ((string key, string wanted) in metadata)
        {
            if (file.Metadata.TryGetValue(key, out string? got) && !string.Equals(got, wanted, StringComparison.Ordinal))
            {
                throw new InvalidDataException($"The file's {key} must be '{wanted}', and is '{got}'.");
            }
        }

        var names = tensors.Select(t => t.Name).ToHashSet(StringComparer.Ordinal);
        foreach (SafeTensorInfo found in file.Tensors)
        {
            if (!names.Contains(found.Name))
            {
                throw new InvalidDataException(
                    $"The file has a tensor '{found.Name}', and only [{string.Join(", ", names)}] are known.");
            }
        }

        foreach (Entry tensor in tensors.Where(t => t.View.IsValid))
        {
            if (!file.TryFind(tensor.Name, out SafeTensorInfo? found))
            {
                throw new InvalidDataException($"The file lacks the tensor '{tensor.Name}'.");
            }

            if (found.Type != SafeTensorType.F32 || !found.Shape.SequenceEqual(tensor.Shape))
            {
                throw new InvalidDataException($"The tensor '{tensor.Name}' must be {tensor.Info}, and is {found}.");
            }
        }
    }
}
