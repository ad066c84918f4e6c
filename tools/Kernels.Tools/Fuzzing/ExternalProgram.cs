using System.ComponentModel;
using System.Diagnostics;
using System.Text.Json;
using Kernels.References.Fuzzing;
using Kernels.Tools.Cases;
using Kernels.Tools.Operations;

namespace Kernels.Tools.Fuzzing;

/// <summary>A program that does what an operation does: it reads a case from a file and writes its outputs to another.</summary>
/// <param name="command">The program and its first arguments; the paths of case.json and out.json follow them.</param>
/// <param name="operation">The operation.</param>
/// <param name="folder">Where the files go.</param>
internal sealed class ExternalProgram(IReadOnlyList<string> command, Operation operation, string folder)
{
    private static readonly TimeSpan s_longest = TimeSpan.FromMinutes(2);

    // Whole paths: a program may well name a file beside out.json by what it was given.
    private readonly string _folder = Path.GetFullPath(folder);

    /// <summary>The outputs of a case; null if they are null, since the program does not take it.</summary>
    /// <exception cref="InvalidDataException">The program failed, or wrote no outputs that can be read.</exception>
    internal IReadOnlyDictionary<string, FuzzTensor>? Run(FuzzCase given)
    {
        string @case = Path.Combine(_folder, "case.json");
        string @out = Path.Combine(_folder, "out.json");
        File.WriteAllText(@case, CaseWriter.Write(given));
        File.Delete(@out);
        Start([.. command, @case, @out]);
        if (!File.Exists(@out))
        {
            throw new InvalidDataException("the program wrote no out.json.");
        }

        using JsonDocument document = Parse(@out);
        var outputs = new Dictionary<string, FuzzTensor>(StringComparer.Ordinal);
        if (document.RootElement.ValueKind != JsonValueKind.Object
            || !document.RootElement.TryGetProperty("outputs", out JsonElement all)
            || all.ValueKind is not (JsonValueKind.Object or JsonValueKind.Null))
        {
            throw new InvalidDataException("out.json must be an object with 'outputs'.");
        }

        if (all.ValueKind == JsonValueKind.Null)
        {
            return null;
        }

        foreach (JsonProperty property in all.EnumerateObject())
        {
            if (operation.Outputs.FirstOrDefault(s => string.Equals(s.Name, property.Name, StringComparison.Ordinal)) is { } spec)
            {
                HostTensor tensor = CaseFile.ReadTensor(property.Value, spec, _folder);
                outputs[spec.Name] = tensor.Data is float[] floats
                    ? new FuzzTensor(floats, tensor.Shape)
                    : new FuzzTensor((int[])tensor.Data, tensor.Shape);
            }
        }

        return outputs;
    }

    private static JsonDocument Parse(string path)
    {
        try
        {
            using FileStream stream = File.OpenRead(path);
            return JsonDocument.Parse(stream);
        }
        catch (JsonException e)
        {
            throw new InvalidDataException($"out.json is no valid JSON: {e.Message}", e);
        }
    }

    private static void Start(string[] arguments)
    {
        var start = new ProcessStartInfo(arguments[0], arguments[1..])
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        try
        {
            using Process process = Process.Start(start)!;
            Task<string> output = process.StandardOutput.ReadToEndAsync();
            Task<string> error = process.StandardError.ReadToEndAsync();
            if (!process.WaitForExit(s_longest))
            {
                process.Kill(entireProcessTree: true);
                throw new InvalidDataException($"the program did not end within {s_longest.TotalMinutes:0} minutes.");
            }

            Task.WaitAll(output, error);
            if (process.ExitCode != 0)
            {
                string last = error.Result.Split('\n', StringSplitOptions.RemoveEmptyEntries).LastOrDefault() ?? "";
                throw new InvalidDataException($"the program ended with {process.ExitCode}. {last}");
            }
        }
        catch (Win32Exception e)
        {
            throw new InvalidDataException($"'{arguments[0]}' cannot be run: {e.Message}", e);
        }
    }
}
