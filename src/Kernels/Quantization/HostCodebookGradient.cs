using ILGPU.Runtime;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Quantization;
using Kernels.Host;

namespace Kernels.Quantization;

/// <summary>The sums of parts on ILGPU's CPU accelerator; a unit is a part. The i-th of four sets of bins takes weights i,
/// i + 4, ..., so that a sum does not wait for the one before it.</summary>
internal unsafe struct HostCodebookGradient<TTerms> : IHostWork
    where TTerms : struct, ICodebookTerms
{
    private const int Ways = 4;

    public CodebookParts Parts;
    public TTerms Terms;

    public readonly void Run(long begin, long end)
    {
        int all = Parts.Codes * TTerms.Sets;
        int* start = (int*)Parts.Start.LoadEffectiveAddressAsPtr();
        byte* index = (byte*)Parts.Index.LoadEffectiveAddressAsPtr();
        float* to = (float*)Parts.Bins.LoadEffectiveAddressAsPtr();
        // One bin more of each, for what is of no code.
        int room = (Parts.Codes + 1) * TTerms.Sets;
        float* bins = stackalloc float[Ways * room];
        for (long part = begin; part < end; part++)
        {
            new Span<float>(bins, Ways * room).Clear();
            for (long i = start[part]; i < start[part + 1]; i++)
            {
                float* own = bins + ((i & (Ways - 1)) * room);
                int code = Math.Min(index[i], Parts.Codes) * TTerms.Sets;
                Quad term = Terms.Read(i);
                own[code] += term.X;
                if (TTerms.Sets > 1)
                {
                    own[code + 1] += term.Y;
                }
            }

            for (int bin = 0; bin < all; bin++)
            {
                int set = bin / Parts.Codes;
                float* own = bins + ((bin - (set * Parts.Codes)) * TTerms.Sets) + set;
                to[(part * all) + bin] = own[0] + own[room] + (own[2 * room] + own[3 * room]);
            }
        }
    }
}
