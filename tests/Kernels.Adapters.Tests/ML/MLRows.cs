using Kernels.Adapters.Tests.Support;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace Kernels.Adapters.Tests.ML;

/// <summary>A row of the data that pipelines are tried on.</summary>
public sealed class MLRow
{
    public float Label { get; set; }

    [VectorType(MLRows.Length)]
    public float[] Features { get; set; } = [];
}

/// <summary>What a pipeline makes of it.</summary>
public sealed class MLCoded
{
    public float Label { get; set; }

    [KeyType(MLRows.Count)]
    public uint Code { get; set; }

    public float[] Quantized { get; set; } = [];
}

/// <summary>Rows around centres, as ML.NET takes them.</summary>
internal static class MLRows
{
    internal const int Length = 3;
    internal const int Count = 8;

    internal static readonly float[] Centres = Draw.Centres(Count, Length);

    internal static MLRow[] Make(int rows, int seed)
    {
        float[] values = Draw.Rows(Centres, Length, rows, seed);
        return
        [
            .. Enumerable.Range(0, rows).Select(row => new MLRow
            {
                Label = row,
                Features = values[(row * Length)..((row + 1) * Length)],
            }),
        ];
    }

    internal static IDataView View(MLContext context, IEnumerable<MLRow> rows) => context.Data.LoadFromEnumerable(rows);

    internal static void Refused(string argument, string said, Action call)
    {
        ArgumentException thrown = Assert.ThrowsAny<ArgumentException>(call);
        Assert.Equal(argument, thrown.ParamName);
        Assert.Contains(said, thrown.Message, StringComparison.Ordinal);
    }
}
