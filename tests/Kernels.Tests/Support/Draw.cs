namespace Kernels.Tests.Support;

/// <summary>Random numbers as kernels meet them: log-uniform, with zeros, repeats and edges.</summary>
public sealed class Draw(int seed)
{
    private readonly Random _random = new(seed);

    public int Below(int below) => _random.Next(below);

    public T OneOf<T>(params ReadOnlySpan<T> values) => values[_random.Next(values.Length)];

    public double LogUniform(double least, double most) =>
        least * Math.Pow(most / least, _random.NextDouble());

    /// <summary>Signed, log-uniform; now and then 0, 1, -1 or the last value again.</summary>
    public float[] Floats(int n, double least = 1e-6, double most = 1e3)
    {
        var values = new float[n];
        for (int i = 0; i < n; i++)
        {
            values[i] = _random.Next(12) switch
            {
                0 => 0f,
                1 => 1f,
                2 => -1f,
                3 when i > 0 => values[i - 1],
                _ => (float)(LogUniform(least, most) * (_random.Next(2) == 0 ? 1 : -1)),
            };
        }

        return values;
    }
}
