using System.CommandLine;
using System.Globalization;
using Kernels.Quantization;
using Kernels.Serialization;
using Kernels.Tools.Cases;
using Kernels.Tools.Compression;
using Spectre.Console;

namespace Kernels.Tools.Commands;

/// <summary><c>kernels compress</c> and <c>kernels decompress</c>: a model file with its matrices as codes, and back.</summary>
internal static class CompressCommand
{
    internal static Command Create(TextWriter output, Func<string?, Session> open)
    {
        Argument<string> model = Model("model.safetensors", "The model: its matrices of F32, F16 or BF16 are compressed.");
        var bits = new Option<double>("--bits")
        {
            Description = "At most so many bits a weight, codebooks among them, 1 to 9.",
            HelpName = "bits",
            Required = true,
        };
        Option<string> @out = Out("small.safetensors");
        var data = new Option<string?>("--data")
        {
            Description =
                "Inputs of layers, [n, columns], float32: matrices with so many columns learn codes and mapping so that their "
                + "outputs lose the least; all others, so that their weights do.",
            HelpName = "x.npy",
        };
        Option<string?> device = CommandLine.DeviceOption();
        var command = new Command("compress", "Writes a model with its matrices as codes of codebooks.")
        {
            model,
            bits,
            @out,
            data,
            device,
        };
        command.SetAction(parsed => Compress(
            parsed.GetRequiredValue(model), parsed.GetRequiredValue(bits), parsed.GetRequiredValue(@out),
            parsed.GetValue(data), () => open(parsed.GetValue(device)), output));
        return command;
    }

    internal static Command CreateBack(TextWriter output, Func<string?, Session> open)
    {
        Argument<string> model = Model("small.safetensors", "A model that 'kernels compress' has written.");
        Option<string> @out = Out("model.safetensors");
        Option<string?> device = CommandLine.DeviceOption();
        var command = new Command("decompress", "Writes a compressed model with its matrices as they were kept.")
        {
            model,
            @out,
            device,
        };
        command.SetAction(parsed => Decompress(
            parsed.GetRequiredValue(model), parsed.GetRequiredValue(@out), () => open(parsed.GetValue(device)), output));
        return command;
    }

    private static Argument<string> Model(string name, string description) => new("model")
    {
        Description = description,
        HelpName = name,
    };

    private static Option<string> Out(string name) => new("--out")
    {
        Description = "Where the new model goes.",
        HelpName = name,
        Required = true,
    };

    private static int Compress(
        string path, double bits, string outPath, string? dataPath, Func<Session> open, TextWriter output)
    {
        if (!(bits >= 1 && bits <= 9))
        {
            throw new BadInputException($"--bits must be from 1 to 9, and is {bits}.");
        }

        CheckOut(path, outPath);
        (float[] data, int columns) = dataPath is null ? ([], 0) : Data(dataPath);
        using SafeTensorsFile file = ModelFiles.Open(path);
        if (file.Metadata.ContainsKey(CompressedTensor.MetadataKey))
        {
            throw new BadInputException($"'{path}' is compressed already.");
        }

        Dictionary<string, CompressedTensor> plans = file.Tensors.Select(tensor => CompressedTensor.Plan(tensor, bits))
            .OfType<CompressedTensor>().ToDictionary(plan => plan.Name, StringComparer.Ordinal);
        SafeTensorInfo[] tensors =
        [
            .. file.Tensors.SelectMany(tensor => plans.TryGetValue(tensor.Name, out CompressedTensor? plan)
                ? plan.Parts
                : [new SafeTensorInfo(tensor.Name, tensor.Type, [.. tensor.Shape])]),
        ];
        if (tensors.GroupBy(tensor => tensor.Name, StringComparer.Ordinal).FirstOrDefault(g => g.Count() > 1) is { } twice)
        {
            throw new BadInputException($"The new model would have two tensors '{twice.Key}'.");
        }

        var metadata = new Dictionary<string, string>(file.Metadata, StringComparer.Ordinal)
        {
            [CompressedTensor.MetadataKey] = CompressedTensor.Serialize(plans.Values),
        };
        var results = new List<CompressionResult>();
        IAnsiConsole console = Messages.Terminal(output);
        using Session session = open();
        var compressor = new Compressor(session, data, columns);
        ModelFiles.Write(outPath, tensors, metadata, writer => Walk(console, file.Tensors, (tensor, progress) =>
        {
            if (plans.TryGetValue(tensor.Name, out CompressedTensor? plan))
            {
                results.Add(compressor.Compress(file, writer, plan, progress));
            }
            else
            {
                ModelFiles.Copy(file, writer, tensor);
            }
        }));
        Report(console, results, columns > 0);
        output.WriteLine(
            $"{Messages.Bytes(new FileInfo(path).Length)} -> {Messages.Bytes(new FileInfo(outPath).Length)}: {outPath}");
        return CommandLine.Success;
    }

    private static int Decompress(string path, string outPath, Func<Session> open, TextWriter output)
    {
        CheckOut(path, outPath);
        using SafeTensorsFile file = ModelFiles.Open(path);
        IReadOnlyList<CompressedTensor> compressed = CompressedTensor.Read(file);
        Dictionary<string, CompressedTensor> first = compressed.ToDictionary(t => t.CodesName, StringComparer.Ordinal);
        HashSet<string> parts = [.. compressed.SelectMany(t => t.Parts).Select(part => part.Name)];
        SafeTensorInfo[] kept = [.. file.Tensors.Where(t => first.ContainsKey(t.Name) || !parts.Contains(t.Name))];
        SafeTensorInfo[] tensors =
        [
            .. kept.Select(tensor => first.TryGetValue(tensor.Name, out CompressedTensor? whole)
                ? new SafeTensorInfo(whole.Name, whole.Type, whole.Shape)
                : new SafeTensorInfo(tensor.Name, tensor.Type, [.. tensor.Shape])),
        ];
        Dictionary<string, string> metadata = file.Metadata
            .Where(pair => !string.Equals(pair.Key, CompressedTensor.MetadataKey, StringComparison.Ordinal))
            .ToDictionary(StringComparer.Ordinal);
        using Session session = open();
        var decompressor = new Decompressor(session);
        ModelFiles.Write(outPath, tensors, metadata, writer => Walk(Messages.Terminal(output), kept, (tensor, _) =>
        {
            if (first.TryGetValue(tensor.Name, out CompressedTensor? whole))
            {
                decompressor.Decompress(file, writer, whole);
            }
            else
            {
                ModelFiles.Copy(file, writer, tensor);
            }
        }));
        output.WriteLine(
            $"{Messages.Bytes(new FileInfo(path).Length)} -> {Messages.Bytes(new FileInfo(outPath).Length)}: {outPath}");
        return CommandLine.Success;
    }

    private static void CheckOut(string path, string outPath)
    {
        string full = Path.GetFullPath(outPath);
        if (Directory.Exists(outPath) || !Directory.Exists(Path.GetDirectoryName(full)))
        {
            throw new BadInputException($"The new model cannot go to '{outPath}': that is no file in a folder that exists.");
        }

        if (string.Equals(Path.GetFullPath(path), full, StringComparison.Ordinal))
        {
            throw new BadInputException("The new model cannot take the place of the old one.");
        }
    }

    private static (float[] Data, int Columns) Data(string path)
    {
        try
        {
            using FileStream stream = File.OpenRead(path);
            NpyFile file = NpyFile.Read(stream);
            return file.Data is float[] { Length: > 0 } floats && file.Shape.Length == 2 && Array.TrueForAll(floats, float.IsFinite)
                ? (floats, file.Shape[1])
                : throw new BadInputException(
                    $"'{path}' must be float32 [n, columns] with finite numbers, and is {file.Type} "
                    + $"[{string.Join(", ", file.Shape)}].");
        }
        catch (Exception e) when (e is IOException or InvalidDataException or UnauthorizedAccessException)
        {
            throw new BadInputException($"'{path}' cannot be read: {e.Message}", e);
        }
    }

    /// <summary>One tensor after the other, with a bar where somebody can see it move.</summary>
    private static void Walk(
        IAnsiConsole console, IReadOnlyList<SafeTensorInfo> tensors,
        Action<SafeTensorInfo, IProgress<JointQuantizerProgress>?> each)
    {
        if (!console.Profile.Out.IsTerminal)
        {
            foreach (SafeTensorInfo tensor in tensors)
            {
                each(tensor, null);
            }

            return;
        }

        console.Progress().Start(progress =>
        {
            ProgressTask bar = progress.AddTask("tensors", maxValue: tensors.Sum(tensor => tensor.ByteLength));
            double done = 0;
            foreach (SafeTensorInfo tensor in tensors)
            {
                bar.Description = Markup.Escape(tensor.Name);
                each(tensor, new BarProgress(bar, done, tensor.ByteLength));
                done += tensor.ByteLength;
                bar.Value = done;
            }
        });
    }

    private static void Report(IAnsiConsole console, IReadOnlyList<CompressionResult> results, bool hasData)
    {
        Table table = new Table().AddColumns("tensor", "type", "codes", "groups", "bits a weight", "bytes", "weights, dB", "learned, dB");
        if (hasData)
        {
            table.AddColumns("outputs, dB", "learned, dB");
        }

        foreach (CompressionResult result in results)
        {
            CompressedTensor tensor = result.Tensor;
            string[] cells =
            [
                tensor.Name, $"{tensor.Type}[{string.Join(", ", tensor.Shape)}]", Text(tensor.Codes), Text(tensor.Groups),
                (8.0 * tensor.Bytes / tensor.Length).ToString("0.000", CultureInfo.InvariantCulture), Text(tensor.Bytes),
                Decibels(result.Fitted), Decibels(result.Learned),
                .. hasData ? new[] { Decibels(result.OutputsBefore), Decibels(result.OutputsAfter) } : [],
            ];
            table.AddRow([.. cells.Select(Markup.Escape)]);
        }

        console.Write(table);
    }

    private static string Text(long value) => value.ToString(CultureInfo.InvariantCulture);

    private static string Decibels(double? value) => value?.ToString("0.00", CultureInfo.InvariantCulture) ?? "-";

    /// <summary>Moves a bar over a part of its length.</summary>
    private sealed class BarProgress(ProgressTask bar, double from, double length) : IProgress<JointQuantizerProgress>
    {
        public void Report(JointQuantizerProgress value) => bar.Value = from + (length * value.Step / value.Steps);
    }
}
