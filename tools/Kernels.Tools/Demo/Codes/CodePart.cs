using Kernels.Optimizers;
using Kernels.Tools.Demo.Optimizers;
using Spectre.Console;

namespace Kernels.Tools.Demo.Codes;

/// <summary>A network with codes for weights.</summary>
/// <param name="Method">How they were found.</param>
/// <param name="Codes">Codes of a codebook.</param>
/// <param name="Accuracy">Share of the test digits recognised.</param>
/// <param name="Bytes">Of all weights, with codebooks and scales.</param>
/// <param name="BitsPerWeight">The same in bits for each weight.</param>
/// <param name="Weights">Signal over noise of the weights, dB.</param>
/// <param name="Logits">Signal over noise of what the network gives for the test digits, dB.</param>
internal sealed record CodeResult(
    CodeMethod Method, int Codes, double Accuracy, long Bytes, double BitsPerWeight, double Weights, double Logits);

/// <summary>The demo's fourth part: the weights of a trained network as codes.</summary>
internal static class CodePart
{
    /// <summary>Units of each of the two hidden layers.</summary>
    internal const int Width = 128;

    internal const int DefaultEpochs = 20;

    private static readonly int[] s_codes = [16, 8, 5, 4];

    internal static void Run(Session session, int epochs, string folder, IAnsiConsole console, TextWriter output)
    {
        output.WriteLine(
            $"Weights as codes: the digits in a network of two hidden layers of {Width}, {epochs} epochs, on {session.Device}");
        (Digits training, Digits test) = Digits.Load();
        var results = new List<CodeResult>();
        CodedLayer? shown = null;
        CodeLayer? original = null;
        double full = 0;
        long fullBytes = 0;
        new Race(session, epochs, Width, Width).Run(
            new Contestant("AdamW", null, new AdamWOptions()), (_, _) => { }, look: null, (optimizer, network) =>
            {
                full = network.Accuracy(test);
                float[] logits = network.Logits(test.Count);
                CodeLayer[] layers = Layers(optimizer, network, training, test.Count);
                original = layers[1];
                fullBytes = layers.Sum(layer => 4L * layer.Weights.Length);
                foreach (int codes in s_codes)
                {
                    foreach (CodeMethod method in CodeMethod.All)
                    {
                        CodedLayer[] coded = [.. layers.Select(layer => method.Code(session, layer, codes))];
                        Upload(optimizer, [.. coded.Select(layer => layer.Weights)]);
                        double accuracy = network.Accuracy(test);
                        long bytes = coded.Sum(layer => layer.Layout.Bytes);
                        results.Add(new CodeResult(
                            method, codes, accuracy, bytes, 32.0 * bytes / fullBytes,
                            Decibels(
                                layers.SelectMany(layer => layer.Weights), coded.SelectMany(layer => layer.Weights)),
                            Decibels(logits, network.Logits(test.Count))));
                        shown = coded[1]; // the last method with the fewest codes stays
                    }
                }

                Upload(optimizer, [.. layers.Select(layer => layer.Weights)]);
            });
        WriteTable(results, full, fullBytes, console);
        string picture = Path.GetFullPath(Path.Combine(folder, "codebooks.png"));
        CodePicture.Save(results, full, original!, shown!, session.Device, picture);
        output.WriteLine($"Accuracy over bits, and codebooks of a layer: {picture}");
    }

    private static CodeLayer[] Layers(Optimizer optimizer, Network network, Digits training, int rows)
    {
        // Some of the training digits show what the layers get.
        network.Accuracy(new Digits(training.Pixels[..(rows * Digits.Inputs)], training.Labels[..rows]));
        return
        [
            .. optimizer.Parameters.Where(p => p.Shape.Count == 2).Select((parameter, layer) =>
            {
                var weights = new float[parameter.Shape[0] * parameter.Shape[1]];
                optimizer.Download(parameter.Name, weights);
                return new CodeLayer(
                    weights, (int)parameter.Shape[0], (int)parameter.Shape[1], network.InputsOf(layer, rows));
            }),
        ];
    }

    private static void Upload(Optimizer optimizer, float[][] weights)
    {
        for (int layer = 0; layer < weights.Length; layer++)
        {
            optimizer.Upload(Network.WeightOf(layer), weights[layer]);
        }
    }

    private static double Decibels(IEnumerable<float> signal, IEnumerable<float> kept)
    {
        double power = 0;
        double noise = 0;
        foreach ((float a, float b) in signal.Zip(kept))
        {
            power += (double)a * a;
            noise += ((double)a - b) * ((double)a - b);
        }

        return 10 * Math.Log10(power / noise);
    }

    private static void WriteTable(IReadOnlyList<CodeResult> results, double full, long fullBytes, IAnsiConsole console)
    {
        var table = new Table().Border(TableBorder.Rounded);
        table.AddColumn("weights");
        foreach (string title in (string[])["codes", "test accuracy", "bytes", "bits a weight", "weights, dB", "logits, dB"])
        {
            table.AddColumn(new TableColumn(title).RightAligned());
        }

        table.AddRow("as trained", "", $"{full:P1}", $"{fullBytes:N0}", "32.00", "", "");
        foreach (CodeResult result in results)
        {
            table.AddRow(
                Markup.Escape(result.Method.Name), $"{result.Codes}", $"{result.Accuracy:P1}", $"{result.Bytes:N0}",
                $"{result.BitsPerWeight:0.00}", $"{result.Weights:0.0}", $"{result.Logits:0.0}");
        }

        console.Write(table);
    }
}
