using System.Numerics;
using ILGPU.Runtime;
using Kernels.DeviceCode.Quantization;
using Kernels.Host;
using Kernels.Launching;

namespace Kernels.Quantization;

/// <summary>The sums of a step on ILGPU's CPU accelerator, by SIMD along a chunk; a unit is a chunk.</summary>
internal unsafe struct HostCodebookFit : IHostWork
{
    public CodebookFitArguments Arguments;
    public HostStored Weights;

    /// <summary>Null if there are none.</summary>
    public float* H;

    /// <summary>The most weights of a chunk.</summary>
    public int Chunk;

    public readonly void Run(long begin, long end)
    {
        float* room = stackalloc float[Chunk];
        byte* index = stackalloc byte[Chunk];
        for (int chunk = (int)begin; chunk < end; chunk++)
        {
            int group = Arguments.ChunkGroup[chunk];
            if (Arguments.IsMoving[group] == 0)
            {
                continue;
            }

            int first = Arguments.ChunkBegin[chunk];
            int count = Arguments.ChunkBegin[chunk + 1] - first;
            float* x = Weights.Values(first, count, room);
            if (Arguments.Codes > CodebookFitArguments.MostCompared)
            {
                Search(x, H is null ? null : H + first, count, index, chunk, group);
                continue;
            }

            for (int code = 0; code < Arguments.Codes; code++)
            {
                Arguments.Between(group, code, out float low, out float high);
                long at = ((long)chunk * Arguments.Codes) + code;
                float centre = Arguments.Codebook[((long)group * Arguments.Codes) + code];
                Sum(
                    x, H is null ? null : H + first, count, low, high, centre, out Arguments.Distances[at],
                    out Arguments.Masses[at]);
            }
        }
    }

    private readonly void Search(float* x, float* h, int count, byte* index, int chunk, int group)
    {
        float* limits = (float*)Arguments.Limits.LoadEffectiveAddressAsPtr() + ((long)group * Arguments.Width);
        float* codes = (float*)Arguments.Codebook.LoadEffectiveAddressAsPtr() + ((long)group * Arguments.Codes);
        float* distances = (float*)Arguments.Distances.LoadEffectiveAddressAsPtr() + ((long)chunk * Arguments.Codes);
        float* masses = (float*)Arguments.Masses.LoadEffectiveAddressAsPtr() + ((long)chunk * Arguments.Codes);
        new Span<float>(distances, Arguments.Codes).Clear();
        new Span<float>(masses, Arguments.Codes).Clear();
        HostAssign.Search(x, limits, Arguments.Width, index, count);
        for (int i = 0; i < count; i++)
        {
            float own = h is null ? 1f : h[i];
            if (float.IsFinite(x[i]) && own > 0f)
            {
                distances[index[i]] += own * (x[i] - codes[index[i]]);
                masses[index[i]] += own;
            }
        }
    }

    private static void Sum(
        float* x, float* h, int count, float low, float high, float centre, out float distance, out float mass)
    {
        var lows = new Vector<float>(low);
        var highs = new Vector<float>(high);
        var centres = new Vector<float>(centre);
        Vector<float> distances = default;
        Vector<float> masses = default;
        Vector<int> ones = default;
        int i = 0;
        for (; i <= count - Vector<float>.Count; i += Vector<float>.Count)
        {
            Vector<float> numbers = Vector.Load(x + i);
            Vector<int> isIn = Vector.GreaterThan(numbers, lows) & Vector.LessThanOrEqual(numbers, highs);
            Vector<float> moves = numbers - centres;
            if (h is null)
            {
                ones -= isIn;
            }
            else
            {
                Vector<float> own = Vector.Load(h + i);
                isIn &= Vector.GreaterThan(own, Vector<float>.Zero);
                masses += Vector.ConditionalSelect(isIn, own, Vector<float>.Zero);
                moves *= own;
            }

            distances += Vector.ConditionalSelect(isIn, moves, Vector<float>.Zero);
        }

        distance = Vector.Sum(distances);
        mass = Vector.Sum(masses) + Vector.Sum(ones);
        for (; i < count; i++)
        {
            float own = h is null ? 1f : h[i];
            if (x[i] > low && x[i] <= high && own > 0f)
            {
                distance += own * (x[i] - centre);
                mass += own;
            }
        }
    }
}
