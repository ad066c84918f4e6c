using System.Globalization;
using System.IO.Compression;
using global::TorchSharp;

namespace Kernels.TorchSharp.Tests.Support;

/// <summary>The digits of the demo, and a small network for them.</summary>
internal static class Digits
{
    private const int Inputs = 64;

    private static readonly Lazy<(float[] Pixels, long[] Labels)> s_all = new(Load);

    /// <summary>Some digits, from a place in the file on that depends on the step.</summary>
    internal static (torch.Tensor Pixels, torch.Tensor Labels) Batch(int step, int rows)
    {
        (float[] pixels, long[] labels) = s_all.Value;
        int first = step * rows % (labels.Length - rows);
        return (
            torch.tensor(pixels[(first * Inputs)..((first + rows) * Inputs)], rows, Inputs),
            torch.tensor(labels[first..(first + rows)]));
    }

    /// <summary>A network of two layers; the same seed gives the same numbers.</summary>
    internal static torch.nn.Module<torch.Tensor, torch.Tensor> Network(int hidden)
    {
        torch.random.manual_seed(1);
        return torch.nn.Sequential(
            torch.nn.Linear(Inputs, hidden), torch.nn.ReLU(), torch.nn.Linear(hidden, 10));
    }

    /// <summary>Loss and gradients of a step.</summary>
    internal static float Backward(torch.nn.Module<torch.Tensor, torch.Tensor> network, int step, int rows = 32)
    {
        using DisposeScope scope = torch.NewDisposeScope();
        (torch.Tensor pixels, torch.Tensor labels) = Batch(step, rows);
        network.zero_grad();
        torch.Tensor loss = torch.nn.functional.cross_entropy(network.forward(pixels), labels);
        loss.backward();
        return loss.item<float>();
    }

    private static (float[] Pixels, long[] Labels) Load()
    {
        using Stream resource = typeof(Digits).Assembly.GetManifestResourceStream("digits.csv.gz")!;
        using var reader = new StreamReader(new GZipStream(resource, CompressionMode.Decompress));
        var pixels = new List<float>();
        var labels = new List<long>();
        while (reader.ReadLine() is { } line)
        {
            int[] numbers = Array.ConvertAll(line.Split(','), n => int.Parse(n, CultureInfo.InvariantCulture));
            pixels.AddRange(numbers[..Inputs].Select(n => n / 16f));
            labels.Add(numbers[Inputs]);
        }

        return ([.. pixels], [.. labels]);
    }
}
