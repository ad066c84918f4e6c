namespace Kernels.References.Linear;

/// <summary>The class of the largest logit; exact.</summary>
public static class PredictionReference
{
    /// <summary>The lowest index of the largest number; -1 if a number is NaN, or if there is none.</summary>
    /// <param name="row">One row of logits.</param>
    public static int ArgMax(ReadOnlySpan<float> row)
    {
        int best = -1;
        for (int i = 0; i < row.Length; i++)
        {
            if (float.IsNaN(row[i]))
            {
                return -1;
            }

            if (best < 0 || row[i] > row[best])
            {
                best = i;
            }
        }

        return best;
    }
}
