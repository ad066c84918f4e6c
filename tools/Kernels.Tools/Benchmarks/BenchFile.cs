using System.Text.Json;

namespace Kernels.Tools.Benchmarks;

/// <summary>Results as a file, and their comparison with later ones.</summary>
internal static class BenchFile
{
    private static readonly JsonSerializerOptions s_options = new() { WriteIndented = true };

    /// <summary>What a file holds.</summary>
    /// <param name="Device">What the session ran on.</param>
    /// <param name="Processors">How many processors the machine had.</param>
    /// <param name="Results">The calls.</param>
    internal sealed record Content(string Device, int Processors, IReadOnlyList<BenchResult> Results);

    /// <summary>The results as JSON.</summary>
    internal static string Write(string device, IReadOnlyList<BenchResult> results) =>
        JsonSerializer.Serialize(new Content(device, Environment.ProcessorCount, results), s_options);

    /// <summary>Reads a file.</summary>
    /// <exception cref="BadInputException">It cannot be read, or is no such file.</exception>
    internal static Content Read(string path)
    {
        try
        {
            Content? content = JsonSerializer.Deserialize<Content>(File.ReadAllText(path), s_options);
            return content is { Results: not null, Device: not null } && content.Results.All(r => r is { Name: not null, Shape: not null })
                ? content
                : throw new BadInputException($"'{path}' holds no results of kernels bench.");
        }
        catch (Exception e) when (e is JsonException or IOException or UnauthorizedAccessException or ArgumentException)
        {
            throw new BadInputException($"The results in '{path}' cannot be read: {e.Message}", e);
        }
    }

    /// <summary>
    /// How a call compares with an earlier one: faster or slower where the quartiles of their times do not overlap.
    /// </summary>
    internal static string Compare(BenchResult now, Content before)
    {
        BenchResult? old = before.Results.FirstOrDefault(result =>
            string.Equals(result.Name, now.Name, StringComparison.Ordinal)
            && string.Equals(result.Shape, now.Shape, StringComparison.Ordinal));
        if (old is null)
        {
            return "new";
        }

        string change = now.Time.Low > old.Time.High ? " SLOWER" : now.Time.High < old.Time.Low ? " faster" : "";
        return string.Create(
            System.Globalization.CultureInfo.InvariantCulture, $"{now.Time.Median / old.Time.Median:0.00}x{change}");
    }
}
