namespace Kernels.VectorQuantization;

/// <summary>The losses of a batch.</summary>
/// <param name="Codebook">The mean of (e - z)^2 over the components of the rows that have a code; 0 of none.</param>
/// <param name="Commitment">That times the weight of the commitment.</param>
public readonly record struct CodebookLoss(float Codebook, float Commitment);

/// <summary>How many codes a batch used.</summary>
/// <param name="Used">Codes that some row chose.</param>
/// <param name="Share">Their part of all codes, 0 to 1.</param>
/// <param name="Perplexity">
/// exp(-sum p log p) of the frequencies p: how many codes an equal use would need; 1 if nothing was chosen.
/// </param>
public readonly record struct CodebookUsage(int Used, double Share, double Perplexity)
{
    internal static CodebookUsage Of(ReadOnlySpan<int> counts)
    {
        int used = 0;
        double total = 0;
        foreach (int count in counts)
        {
            used += count > 0 ? 1 : 0;
            total += count;
        }

        double entropy = 0;
        foreach (int count in counts)
        {
            entropy -= count > 0 ? count / total * Math.Log(count / total) : 0;
        }

        return new CodebookUsage(used, (double)used / counts.Length, Math.Exp(entropy));
    }
}
