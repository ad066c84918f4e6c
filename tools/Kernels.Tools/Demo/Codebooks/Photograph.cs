using SkiaSharp;

namespace Kernels.Tools.Demo.Codebooks;

/// <summary>A photograph as rows: patches of 4 by 4 pixels in three colours, each number in [-1, 1].</summary>
internal sealed class Photograph
{
    /// <summary>Numbers of a patch: row by row, the colours of a pixel together.</summary>
    internal const int PatchLength = Side * Side * Colours;

    private const int Side = 4;
    private const int Colours = 3;
    private const float Half = 127.5f;

    private readonly int _width;

    private Photograph(float[] patches, int width)
    {
        Patches = patches;
        _width = width;
    }

    /// <summary>[count, <see cref="PatchLength"/>], from left to right, from top to bottom.</summary>
    internal float[] Patches { get; }

    internal int Count => Patches.Length / PatchLength;

    /// <summary>The photograph that comes with the tool.</summary>
    internal static Photograph Load()
    {
        using Stream resource = typeof(Photograph).Assembly.GetManifestResourceStream("astronaut.png")!;
        using SKBitmap bitmap = SKBitmap.Decode(resource);
        var photograph = new Photograph(new float[bitmap.Width * bitmap.Height * Colours], bitmap.Width);
        for (int y = 0; y < bitmap.Height; y++)
        {
            for (int x = 0; x < bitmap.Width; x++)
            {
                SKColor pixel = bitmap.GetPixel(x, y);
                Span<float> numbers = photograph.Patches.AsSpan(photograph.Place(x, y), Colours);
                numbers[0] = (pixel.Red / Half) - 1;
                numbers[1] = (pixel.Green / Half) - 1;
                numbers[2] = (pixel.Blue / Half) - 1;
            }
        }

        return photograph;
    }

    /// <summary>
    /// Peak signal to noise ratio of a reconstruction, 10 log10(255^2 / mean squared error), clipped to [0, 255] before.
    /// </summary>
    internal double Psnr(ReadOnlySpan<float> patches)
    {
        double sum = 0;
        for (int i = 0; i < patches.Length; i++)
        {
            double difference = Half * (Math.Clamp(patches[i], -1, 1) - Patches[i]);
            sum += difference * difference;
        }

        return 10 * Math.Log10(255.0 * 255 * patches.Length / sum);
    }

    /// <summary>Patches as a picture.</summary>
    internal SKBitmap Draw(float[] patches)
    {
        var bitmap = new SKBitmap(_width, Count * Side * Side / _width);
        for (int y = 0; y < bitmap.Height; y++)
        {
            for (int x = 0; x < bitmap.Width; x++)
            {
                int place = Place(x, y);
                bitmap.SetPixel(x, y, new SKColor(
                    ToByte(patches[place]), ToByte(patches[place + 1]), ToByte(patches[place + 2])));
            }
        }

        return bitmap;
    }

    private static byte ToByte(float value) => (byte)Math.Round(Half * (Math.Clamp(value, -1, 1) + 1));

    private int Place(int x, int y)
    {
        int patch = (y / Side * (_width / Side)) + (x / Side);
        return (patch * PatchLength) + (((y % Side * Side) + (x % Side)) * Colours);
    }
}
