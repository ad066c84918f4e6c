using Kernels.DeviceCode.Dct;

namespace Kernels.Dct;

/// <summary>The choice of columns on ILGPU's CPU accelerator: as <see cref="SelectKernel"/>, by one item.</summary>
internal static class HostSelect
{
    internal static void Top(in SelectArguments t)
    {
        uint threshold = 0;
        for (uint bit = 0x80000000u; bit != 0; bit >>= 1)
        {
            uint candidate = threshold | bit;
            int count = 0;
            for (int j = 0; j < t.Length; j++)
            {
                count += SelectKernel.Key(t.Scores[j]) >= candidate ? 1 : 0;
            }

            threshold = count >= t.Rank ? candidate : threshold;
        }

        int above = 0;
        for (int j = 0; j < t.Length; j++)
        {
            above += SelectKernel.Key(t.Scores[j]) > threshold ? 1 : 0;
        }

        int level = t.Rank - above; // of those at the threshold, the first
        int place = 0;
        float chosen = 0;
        float total = 0;
        for (int j = 0; j < t.Length; j++)
        {
            uint key = SelectKernel.Key(t.Scores[j]);
            total += t.Squares[j];
            if (key > threshold || (key == threshold && level-- > 0))
            {
                t.Index[place++] = j;
                chosen += t.Squares[j];
            }
        }

        t.Energy[0] = SelectKernel.Share(chosen, total);
    }
}
