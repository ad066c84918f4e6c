using System.Numerics;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using Kernels.DeviceCode.Quantization;
using Kernels.Host;
using Kernels.Launching;

namespace Kernels.Quantization;

/// <summary>The nearest codes on ILGPU's CPU accelerator, by SIMD along runs of one codebook and scale; a unit is a
/// weight.</summary>
internal unsafe struct HostAssign : IHostWork
{
    /// <summary>Weights worth a thread.</summary>
    internal const int Grain = 16_384;

    /// <summary>The same for codes of several weights.</summary>
    internal const int VectorGrain = 4096;

    private const int Block = 512;

    public HostStored Weights;
    public HostStored Scales;
    public float* Limits;
    public float* Codebook;
    public byte* Index;

    /// <summary>Weights of a code.</summary>
    public int Length;
    public ScopeTable Codebooks;
    public ScopeTable ScaleScope;
    public int Columns;
    public int Codes;
    public int Width;
    public bool HasScale;
    public bool HasShares;

    public readonly void Run(long begin, long end)
    {
        float* room = stackalloc float[Block];
        float* numbers = stackalloc float[Block];
        float* turned = stackalloc float[Block];
        float one;
        for (long first = begin; first < end;)
        {
            long next = Math.Min(first + Block, end);
            int codebook = 0;
            float scale = 1f;
            if (HasShares)
            {
                int row = (int)first / Columns;
                next = Math.Min(next, Math.Min(
                    Codebooks.End(row, (int)first, Columns), ScaleScope.End(row, (int)first, Columns)));
                codebook = Codebooks.Of(row, (int)first);
                scale = HasScale ? *Scales.Values(ScaleScope.Of(row, (int)first), 1, &one) : 1f;
            }
            else if (HasScale)
            {
                scale = *Scales.Values(0, 1, &one);
            }

            int count = (int)(next - first);
            float* x = Weights.Values(first, count, room);
            if (HasScale)
            {
                Divide(x, scale, numbers, count);
                x = numbers;
            }

            float* limits = Limits + ((long)codebook * Width);
            if (Length > 1)
            {
                Turn(x, turned, count);
                Nearest(turned, Codebook + ((long)codebook * Codes * Length), Index + (first / Length), count / Length);
            }
            else if (Width <= AssignArguments.MostCounted)
            {
                Count(x, limits, Index + first, count);
            }
            else
            {
                Search(x, limits, Width, Index + first, count);
            }

            first = next;
        }
    }

    private static void Divide(float* x, float scale, float* quotients, int count)
    {
        if (scale == 0f)
        {
            new Span<float>(quotients, count).Clear();
            return;
        }

        int i = 0;
        var divisor = new Vector<float>(scale);
        for (; i <= count - Vector<float>.Count; i += Vector<float>.Count)
        {
            (Vector.Load(x + i) / divisor).Store(quotients + i);
        }

        for (; i < count; i++)
        {
            quotients[i] = x[i] / scale;
        }
    }

    private readonly void Count(float* x, float* limits, byte* index, int count)
    {
        int i = 0;
        for (; i <= count - Vector<byte>.Count; i += Vector<byte>.Count)
        {
            Vector<float> a = Vector.Load(x + i);
            Vector<float> b = Vector.Load(x + i + Vector<float>.Count);
            Vector<float> c = Vector.Load(x + i + (2 * Vector<float>.Count));
            Vector<float> d = Vector.Load(x + i + (3 * Vector<float>.Count));
            Vector<int> codeA = default;
            Vector<int> codeB = default;
            Vector<int> codeC = default;
            Vector<int> codeD = default;
            for (int k = 0; k < Codes - 1; k++)
            {
                var limit = new Vector<float>(limits[k]);
                codeA -= Vector.GreaterThan(a, limit);
                codeB -= Vector.GreaterThan(b, limit);
                codeC -= Vector.GreaterThan(c, limit);
                codeD -= Vector.GreaterThan(d, limit);
            }

            Vector.Narrow(
                Vector.AsVectorUInt16(Vector.Narrow(codeA, codeB)),
                Vector.AsVectorUInt16(Vector.Narrow(codeC, codeD))).Store(index + i);
        }

        for (; i < count; i++)
        {
            int code = 0;
            for (int k = 0; k < Codes - 1; k++)
            {
                code += x[i] > limits[k] ? 1 : 0;
            }

            index[i] = (byte)code;
        }
    }

    /// <summary>The codes of numbers, by their limits.</summary>
    internal static void Search(float* x, float* limits, int width, byte* index, int count)
    {
        int i = 0;
        if (Avx2.IsSupported)
        {
            int* codes = stackalloc int[8];
            for (; i <= count - 8; i += 8)
            {
                Vector256<float> numbers = Vector256.Load(x + i);
                Vector256<int> code = default;
                for (int step = width / 2; step > 0; step /= 2)
                {
                    Vector256<float> limit = Avx2.GatherVector256(limits + step - 1, code, 4);
                    code += Vector256.GreaterThan(numbers, limit).AsInt32() & Vector256.Create(step);
                }

                code.Store(codes);
                for (int k = 0; k < 8; k++)
                {
                    index[i + k] = (byte)codes[k];
                }
            }
        }

        for (; i < count; i++)
        {
            int code = 0;
            for (int step = width / 2; step > 0; step /= 2)
            {
                code += x[i] > limits[code + step - 1] ? step : 0;
            }

            index[i] = (byte)code;
        }
    }

    /// <summary>The first weight of each code, then the second, ...: [length, count / length].</summary>
    private readonly void Turn(float* x, float* turned, int count)
    {
        int codes = count / Length;
        for (int k = 0; k < Length; k++)
        {
            for (int i = 0; i < codes; i++)
            {
                turned[(k * codes) + i] = x[(i * Length) + k];
            }
        }
    }

    private readonly void Nearest(float* turned, float* codebook, byte* index, int count)
    {
        int* found = stackalloc int[Vector<int>.Count];
        int i = 0;
        for (; i <= count - Vector<float>.Count; i += Vector<float>.Count)
        {
            Vector<int> best = default;
            var least = new Vector<float>(float.PositiveInfinity);
            float* at = codebook;
            for (int code = 0; code < Codes; code++, at += Length)
            {
                Vector<float> sum = default;
                for (int k = 0; k < Length; k++)
                {
                    Vector<float> difference = Vector.Load(turned + (k * count) + i) - new Vector<float>(at[k]);
                    sum += difference * difference;
                }

                Vector<int> isLess = Vector.LessThan(sum, least);
                best = Vector.ConditionalSelect(isLess, new Vector<int>(code), best);
                least = Vector.ConditionalSelect(isLess, sum, least);
            }

            best.Store(found);
            for (int k = 0; k < Vector<int>.Count; k++)
            {
                index[i + k] = (byte)found[k];
            }
        }

        for (; i < count; i++)
        {
            int best = 0;
            float least = float.PositiveInfinity;
            float* at = codebook;
            for (int code = 0; code < Codes; code++, at += Length)
            {
                float sum = 0f;
                for (int k = 0; k < Length; k++)
                {
                    float difference = turned[(k * count) + i] - at[k];
                    sum += difference * difference;
                }

                best = sum < least ? code : best;
                least = sum < least ? sum : least;
            }

            index[i] = (byte)best;
        }
    }
}
