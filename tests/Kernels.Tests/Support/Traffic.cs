using System.Text.Json;
using ILGPU.Runtime;

namespace Kernels.Tests.Support;

/// <summary>Tests whose launches are counted: no other test may launch beside them.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class CountedLaunches
{
    public const string Name = "counted launches";
}

/// <summary>What a launch moved, as the simulated CUDA device counts it into the file <c>CUDASIM_REPORT</c>.</summary>
/// <param name="Kernel">The name of the entry point.</param>
/// <param name="Read">Bytes read at least once.</param>
/// <param name="Loaded">Bytes of the sectors of 32 that loads touch, each time they do.</param>
/// <param name="Written">Bytes of the sectors of 32 that stores touch, each time they do.</param>
/// <param name="Stored">Bytes stored.</param>
internal sealed record Traffic(string Kernel, long Read, long Loaded, long Written, long Stored)
{
    private static readonly string? s_report = TestDevices.Session.Accelerator.AcceleratorType == AcceleratorType.Cuda
        ? Environment.GetEnvironmentVariable("CUDASIM_REPORT")
        : null;

    /// <summary>The launches of some work; false where nobody counts.</summary>
    internal static bool TryCount(Action work, out Traffic[] launches)
    {
        launches = [];
        if (string.IsNullOrEmpty(s_report))
        {
            return false;
        }

        long begin = File.Exists(s_report) ? new FileInfo(s_report).Length : 0;
        work();
        TestDevices.Session.Accelerator.Synchronize();
        using var file = new FileStream(s_report, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        file.Position = begin;
        using var reader = new StreamReader(file);
        launches = [.. Launches(reader)];
        return true;
    }

    private static IEnumerable<Traffic> Launches(StreamReader reader)
    {
        while (reader.ReadLine() is { } line)
        {
            using JsonDocument document = JsonDocument.Parse(line);
            JsonElement root = document.RootElement;
            if (root.GetProperty("type").ValueEquals("launch"))
            {
                JsonElement load = root.GetProperty("global_load");
                JsonElement store = root.GetProperty("global_store");
                yield return new Traffic(
                    root.GetProperty("kernel").GetString()!,
                    load.GetProperty("unique_bytes").GetInt64(), 32 * load.GetProperty("sectors").GetInt64(),
                    32 * store.GetProperty("sectors").GetInt64(), store.GetProperty("bytes").GetInt64());
            }
        }
    }
}
