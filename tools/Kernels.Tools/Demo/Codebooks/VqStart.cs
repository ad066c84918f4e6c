namespace Kernels.Tools.Demo.Codebooks;

/// <summary>The start that all methods share: the same numbers for the same setting.</summary>
internal static class VqStart
{
    internal const int Seed = 20250912;

    /// <summary>Codes uniform in +-1 / codes, as VQGAN and FVQ draw them.</summary>
    internal static float[] Codes(VqSetting setting) =>
        Uniform(new Random(Seed), setting.Codes * VqSetting.Dimension, 1.0 / setting.Codes);

    /// <summary>Codes from N(0, 1 / dimension), as SimVQ draws the ones that it never moves.</summary>
    internal static float[] FrozenCodes(VqSetting setting)
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

    // PyTorch's start of a linear layer, but that biases are 0.
    private static float[] Layer(Random random, int outputs, int inputs) =>
        [.. Uniform(random, outputs * inputs, 1 / Math.Sqrt(inputs)), .. new float[outputs]];

    private static float[] Uniform(Random random, int length, double limit)
    {
        var values = new float[length];
        for (int i = 0; i < length; i++)
        {
            values[i] = (float)(((2 * random.NextDouble()) - 1) * limit);
        }

        return values;
    }
}
