namespace Kernels.Tools.Demo.Codebooks;

/// <summary>The start that all methods share: the same numbers for the same setting.</summary>
internal static class VqStart
{
    internal const int Seed = 20250912;

    /// <summary>Codes from N(0, 1 / dimension), as SimVQ draws them.</summary>
    internal static float[] Codes(VqSetting setting)
    {
        var random = new Random(Seed);
        var values = new float[setting.Codes * VqSetting.Dimension];
        for (int i = 0; i < values.Length; i++)
        {
            // Box and Muller; 1 - u is never 0.
            double radius = Math.Sqrt(-2 * Math.Log(1 - random.NextDouble()) / VqSetting.Dimension);
            values[i] = (float)(radius * Math.Cos(2 * Math.PI * random.NextDouble()));
        }

        return values;
    }

    /// <summary>Weight and bias of encoder and decoder, one after the other.</summary>
    internal static float[] Network()
    {
        var random = new Random(Seed + 1);
        return
        [
            .. Layer(random, VqSetting.Dimension, Photograph.PatchLength),
            .. Layer(random, Photograph.PatchLength, VqSetting.Dimension),
        ];
    }

    /// <summary>Weight and bias of SimVQ's map.</summary>
    internal static float[] Map() => Layer(new Random(Seed + 2), VqSetting.Dimension, VqSetting.Dimension);

    // PyTorch's start of a linear layer, but that biases are 0: weights uniform in +-1 / sqrt(inputs).
    private static float[] Layer(Random random, int outputs, int inputs)
    {
        var values = new float[(outputs * inputs) + outputs];
        for (int i = 0; i < outputs * inputs; i++)
        {
            values[i] = (float)(((2 * random.NextDouble()) - 1) / Math.Sqrt(inputs));
        }

        return values;
    }
}
