using System.Text.Json;
using System.Text.Json.Serialization;
using Kernels.Quantization;
using Kernels.Serialization;

namespace Kernels.Tools.Compression;

/// <summary>A matrix of a model file that is kept as codes of codebooks, one for each group of its rows.</summary>
/// <remarks>
/// In the compressed file the tensor <c>w</c> is <c>w.codes</c> (bytes: all codes in linear order, see
/// <see cref="CodeFormat"/>), <c>w.codebook</c> [groups, k], and, where there is more than one group, <c>w.boundaries</c>
/// [groups + 1] and <c>w.rows</c> [rows]: row i of the codes is row <c>w.rows[i]</c> of the tensor. What each tensor was is
/// in the header's metadata.
/// </remarks>
/// <param name="Name">Its name.</param>
/// <param name="Type">How its elements were kept.</param>
/// <param name="Shape">Its shape; the first dimension has the rows.</param>
/// <param name="Codes">The number k of codes of a codebook.</param>
/// <param name="Groups">The number of groups.</param>
internal sealed record CompressedTensor(string Name, SafeTensorType Type, long[] Shape, int Codes, int Groups)
{
    /// <summary>The key of the header's metadata.</summary>
    internal const string MetadataKey = "kernels.compressed";

    // What codebooks, boundaries and numbers of rows may take of the bits.
    private const double ShareOfGroups = 0.02;

    private const int FewestWeights = 4096;

    private static readonly JsonSerializerOptions s_json = new()
    {
        RespectNullableAnnotations = true,
        RespectRequiredConstructorParameters = true,
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
        Converters = { new JsonStringEnumConverter() },
    };

    [JsonIgnore]
    internal int Rows => (int)Shape[0];

    [JsonIgnore]
    internal int Columns => (int)(Length / Shape[0]);

    [JsonIgnore]
    internal long Length => Shape.Aggregate(1L, (product, length) => checked(product * length));

    /// <summary>The tensors that stand for this one.</summary>
    [JsonIgnore]
    internal IReadOnlyList<SafeTensorInfo> Parts =>
    [
        new SafeTensorInfo(CodesName, SafeTensorType.U8, Layout([0, Rows]).PackedBytes),
        new SafeTensorInfo(CodebookName, SafeTensorType.F32, Groups, Codes),
        .. Groups == 1
            ? Array.Empty<SafeTensorInfo>()
            :
            [
                new SafeTensorInfo(BoundariesName, SafeTensorType.I32, Groups + 1),
                new SafeTensorInfo(RowsName, SafeTensorType.I32, Rows),
            ],
    ];

    [JsonIgnore]
    internal string CodesName => Name + ".codes";

    [JsonIgnore]
    internal string CodebookName => Name + ".codebook";

    [JsonIgnore]
    internal string BoundariesName => Name + ".boundaries";

    [JsonIgnore]
    internal string RowsName => Name + ".rows";

    /// <summary>Bytes of all parts.</summary>
    [JsonIgnore]
    internal long Bytes => Parts.Sum(part => part.ByteLength);

    /// <summary>The matrix behind a number of groups.</summary>
    internal CodebookLayout Layout(ReadOnlySpan<int> boundaries, PackingOrder order = PackingOrder.Linear) => new(
        Rows, Columns, CodeFormat.Densest(Codes, order),
        codebooks: boundaries.Length == 2 ? WeightScope.Tensor : WeightScope.Groups(boundaries));

    /// <summary>How to keep a tensor in at most so many bits a weight; null if it is no matrix of numbers, or a small
    /// one.</summary>
    /// <exception cref="BadInputException">Two codes need more bits.</exception>
    internal static CompressedTensor? Plan(SafeTensorInfo tensor, double bits)
    {
        bool isMatrix = tensor.Type is SafeTensorType.F32 or SafeTensorType.F16 or SafeTensorType.BF16
            && tensor.Shape.Count >= 2 && tensor.Length is >= FewestWeights and <= int.MaxValue;
        if (!isMatrix)
        {
            return null;
        }

        for (int codes = 256; codes >= 2; codes--)
        {
            var one = new CompressedTensor(tensor.Name, tensor.Type, [.. tensor.Shape], codes, 1);
            if (8.0 * one.Bytes / tensor.Length > bits)
            {
                continue;
            }

            double spare = (ShareOfGroups * bits * tensor.Length) - (32.0 * one.Rows);
            int groups = (int)Math.Clamp(spare / (32.0 * (codes + 1)), 1, one.Rows);
            for (; groups > 1; groups--)
            {
                CompressedTensor many = one with { Groups = groups };
                if (8.0 * many.Bytes / tensor.Length <= bits)
                {
                    return many;
                }
            }

            return one;
        }

        throw new BadInputException(
            $"The tensor '{tensor.Name}', {tensor}, cannot be kept in {bits} bits a weight: two codes take more.");
    }

    internal static string Serialize(IEnumerable<CompressedTensor> tensors) => JsonSerializer.Serialize(tensors, s_json);

    /// <summary>What the metadata of a compressed file says, checked against its tensors.</summary>
    /// <exception cref="BadInputException">It is no compressed file, or not a sound one.</exception>
    internal static IReadOnlyList<CompressedTensor> Read(SafeTensorsFile file)
    {
        if (!file.Metadata.TryGetValue(MetadataKey, out string? text))
        {
            throw new BadInputException($"The file was not compressed by 'kernels compress': its metadata has no '{MetadataKey}'.");
        }

        try
        {
            CompressedTensor[] tensors = JsonSerializer.Deserialize<CompressedTensor[]>(text, s_json) ?? [];
            var names = new HashSet<string>(StringComparer.Ordinal);
            foreach (CompressedTensor tensor in tensors)
            {
                tensor.Check(file);
                if (!names.Add(tensor.Name) || file.TryFind(tensor.Name, out _))
                {
                    throw new BadInputException($"The tensor '{tensor.Name}' is there twice.");
                }
            }

            return tensors;
        }
        catch (Exception e) when (e is JsonException or ArgumentException or OverflowException)
        {
            throw new BadInputException($"The metadata '{MetadataKey}' is wrong: {e.Message}", e);
        }
    }

    private void Check(SafeTensorsFile file)
    {
        if (Type is not (SafeTensorType.F32 or SafeTensorType.F16 or SafeTensorType.BF16) || Shape.Length < 2
            || Array.Exists(Shape, length => length < 1) || Length > int.MaxValue || Codes is < 2 or > 256 || Groups < 1
            || Groups > Shape[0])
        {
            throw new BadInputException(
                $"The tensor '{Name}' cannot be {Type}[{string.Join(", ", Shape)}] with {Codes} codes in {Groups} groups.");
        }

        foreach (SafeTensorInfo part in Parts)
        {
            if (!file.TryFind(part.Name, out SafeTensorInfo? found) || found.Type != part.Type
                || !found.Shape.SequenceEqual(part.Shape))
            {
                throw new BadInputException(
                    $"The tensor '{part.Name}' must be {part}, and {(found is null ? "is not there" : $"is {found}")}.");
            }
        }
    }
}
