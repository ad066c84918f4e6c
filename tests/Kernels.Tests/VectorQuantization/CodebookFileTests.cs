using Kernels.Serialization;
using Kernels.Tests.Support;
using Kernels.VectorQuantization;

namespace Kernels.Tests.VectorQuantization;

/// <summary>Codebooks in files.</summary>
public sealed class CodebookFileTests
{
    private static readonly CodebookSettings s_means =
        new() { Heads = 2, Learning = CodebookLearning.MovingMeans, Seed = 3 };

    [Fact]
    public void Comes_back_bit_for_bit_with_its_moving_means()
    {
        using Codebook book = Trained();
        byte[] file = CodebookCase.Saved(book.Save);
        using var other = new Codebook(TestDevices.Session, 5, 3, s_means with { Seed = 4 });
        Assert.NotEqual(file, CodebookCase.Saved(other.Save));
        other.Load(new MemoryStream(file));
        Assert.Equal(file, CodebookCase.Saved(other.Save));
        Assert.Equal(CodebookCase.Values(book.View), CodebookCase.Values(other.View));

        // What does not learn so takes the codes alone.
        using var plain = new Codebook(TestDevices.Session, 5, 3, new CodebookSettings { Heads = 2 });
        plain.Load(new MemoryStream(file));
        Assert.Equal(CodebookCase.Values(book.View), CodebookCase.Values(plain.View));
    }

    [Fact]
    public void Has_the_names_and_shapes_of_the_field()
    {
        using Codebook book = Trained();
        using var file = new SafeTensorsFile(new MemoryStream(CodebookCase.Saved(book.Save)));
        Assert.Equal(
            ["embed F32[2, 5, 3]", "cluster_size F32[2, 5]", "embed_avg F32[2, 5, 3]"],
            file.Tensors.Select(t => $"{t.Name} {t}"), StringComparer.Ordinal);
        float[] size = new float[10];
        file.Read<float>("cluster_size", size);
        Assert.Equal(CodebookCase.Values(book.ClusterSize), size);
    }

    [Fact]
    public void A_file_without_metadata_is_taken_by_its_tensors()
    {
        float[] codes = new Draw(1).Floats(12);
        using var book = new Codebook(TestDevices.Session, 4, 3);
        book.Load(Written([new SafeTensorInfo("embed", SafeTensorType.F32, 1, 4, 3)], [codes]));
        Assert.Equal(codes, CodebookCase.Values(book.View));
    }

    public static TheoryData<string> Misfits() =>
        ["another shape", "no sizes", "a stranger", "another metric", "another type", "cut off", "another format"];

    [Theory]
    [MemberData(nameof(Misfits))]
    public void A_file_that_does_not_fit_is_refused_with_the_reason_and_changes_nothing(string misfit)
    {
        using Codebook book = Trained();
        byte[] before = CodebookCase.Saved(book.Save);
        SafeTensorInfo embed = new("embed", SafeTensorType.F32, 2, 5, 3);
        SafeTensorInfo size = new("cluster_size", SafeTensorType.F32, 2, 5);
        SafeTensorInfo average = new("embed_avg", SafeTensorType.F32, 2, 5, 3);
        (Stream file, string reason) = misfit switch
        {
            "another shape" => (
                Written([new("embed", SafeTensorType.F32, 1, 10, 3), size, average], [new float[30], new float[10], new float[30]]),
                "The tensor 'embed' must be F32[2, 5, 3], and is F32[1, 10, 3]."),
            "no sizes" => (
                Written([embed, average], [new float[30], new float[30]]), "The file lacks the tensor 'cluster_size'."),
            "a stranger" => (
                Written(
                    [embed, size, average, new("w", SafeTensorType.F32)],
                    [new float[30], new float[10], new float[30], new float[1]]),
                "The file has a tensor 'w', and only [embed, cluster_size, embed_avg] are known."),
            "another metric" => (
                Written([embed, size, average], [new float[30], new float[10], new float[30]], ("metric", "Cosine")),
                "The file's metric must be 'L2', and is 'Cosine'."),
            "another format" => (
                Written([embed, size, average], [new float[30], new float[10], new float[30]], ("format", "x")),
                "The file's format must be 'kernels.codebook.1', and is 'x'."),
            "another type" => (
                Written([new("embed", SafeTensorType.I32, 2, 5, 3), size, average], [new float[30], new float[10], new float[30]]),
                "The tensor 'embed' must be F32[2, 5, 3], and is I32[2, 5, 3]."),
            _ => (new MemoryStream(before[..^4]), "cut off"),
        };
        InvalidDataException thrown = Assert.Throws<InvalidDataException>(() => book.Load(file));
        Assert.Contains(reason, thrown.Message, StringComparison.Ordinal);
        Assert.Equal(before, CodebookCase.Saved(book.Save));
    }

    internal static MemoryStream Written(
        SafeTensorInfo[] tensors, float[][] values, params (string Key, string Value)[] metadata)
    {
        var stream = new MemoryStream();
        using var writer = new SafeTensorsWriter(
            stream, tensors, metadata.ToDictionary(m => m.Key, m => m.Value, StringComparer.Ordinal), leaveOpen: true);
        for (int i = 0; i < tensors.Length; i++)
        {
            if (tensors[i].Type == SafeTensorType.I32)
            {
                writer.Write<int>(tensors[i].Name, new int[values[i].Length]);
            }
            else
            {
                writer.Write<float>(tensors[i].Name, values[i]);
            }
        }

        writer.Finish();
        stream.Position = 0;
        return stream;
    }

    private static Codebook Trained()
    {
        var book = new Codebook(TestDevices.Session, 5, 3, s_means);
        float[] x = new Draw(2).Floats(40 * 6);
        book.Forward(x, new float[x.Length], new int[80]);
        book.Update();
        return book;
    }
}
