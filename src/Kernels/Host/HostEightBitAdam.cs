using System.Numerics;
using System.Runtime.CompilerServices;
using ILGPU;
using ILGPU.Runtime;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Optimizers;
using Kernels.DeviceCode.Storage;
using Kernels.Optimizers;

namespace Kernels.Host;

/// <summary>
/// The walk of 8-bit Adam on ILGPU's CPU accelerator, block by block: codes are decoded by a table, the rest runs over
/// SIMD registers. The same bits as on a device that does not contract.
/// </summary>
internal static class HostEightBitAdam
{
    private const int Length = Update.BlockLength;

    // About 200 ns a block; a thread is woken for a hundred times that.
    private const long Grain = 128;

    private static readonly float[] s_signed = Table(DynamicMap.DecodeSigned);
    private static readonly float[] s_unsigned = Table(DynamicMap.DecodeUnsigned);

    /// <summary>One step.</summary>
    internal static unsafe void Step(in UpdateCall call, in EightBitMoments moments, AdamRule rule, int threads)
    {
        if (!HostUpdate.TryResolve(call, out HostUpdate.Work<AdamRule> update))
        {
            return;
        }

        StepWork work = new()
        {
            Update = update,
            Rule = rule,
            CodesM = (byte*)Address(moments.CodesM),
            CodesV = (byte*)Address(moments.CodesV),
            ScalesM = (float*)Address(moments.ScalesM),
            ScalesV = (float*)Address(moments.ScalesV),
            Count = call.P.Length,
        };
        HostPool.Run(work, moments.ScalesM.Length, Grain, threads);
    }

    /// <summary>Codes and scales of a tensor.</summary>
    internal static unsafe void Quantize(
        ArrayView<float> x, ArrayView<byte> codes, ArrayView<float> scales, bool isSigned, int threads)
    {
        StateWork work = State(x, codes, scales, isSigned);
        work.Encodes = true;
        HostPool.Run(work, scales.Length, Grain, threads);
    }

    /// <summary>A tensor of codes and scales.</summary>
    internal static void Dequantize(
        ArrayView<byte> codes, ArrayView<float> scales, ArrayView<float> x, bool isSigned, int threads) =>
        HostPool.Run(State(x, codes, scales, isSigned), scales.Length, Grain, threads);

    private static unsafe StateWork State(
        ArrayView<float> x, ArrayView<byte> codes, ArrayView<float> scales, bool isSigned) => new()
        {
            X = (float*)Address(x),
            Codes = (byte*)Address(codes),
            Scales = (float*)Address(scales),
            Count = x.Length,
            Signed = isSigned,
        };

    private static float[] Table(Func<int, float> decode)
    {
        var table = new float[256];
        for (int code = 0; code < table.Length; code++)
        {
            table[code] = decode(code);
        }

        return table;
    }

    private static unsafe byte* Address<T>(ArrayView<T> view)
        where T : unmanaged => (byte*)Unsafe.AsPointer(ref view.LoadEffectiveAddress());

    private static unsafe void Decode(float[] table, byte* codes, float scale, float* x, int count)
    {
        for (int i = 0; i < count; i++)
        {
            x[i] = table[codes[i]] * scale;
        }
    }

    private static unsafe float Largest(float* x)
    {
        Vector<float> largest = Vector<float>.Zero;
        for (int i = 0; i < Length; i += Vector<float>.Count)
        {
            largest = Vector.Max(largest, Vector.Abs(Vector.Load(x + i)));
        }

        float result = 0f;
        for (int i = 0; i < Vector<float>.Count; i++)
        {
            result = MathF.Max(result, largest[i]);
        }

        return result;
    }

    /// <summary>Encodes a block; x is as long as a whole block and 0 behind its end.</summary>
    private static unsafe void Encode(float* x, byte* codes, float* scale, int count, bool isSigned)
    {
        float largest = Largest(x);
        *scale = EightBitAdam.Scale(largest);
        float inverse = EightBitAdam.Inverse(largest);
        int* code = stackalloc int[Length];
        for (int i = 0; i < Length; i += Vector<float>.Count)
        {
            HostLane value = new(Vector.Load(x + i));
            HostLane position = isSigned
                ? DynamicMap.EncodeSigned(value * inverse)
                : DynamicMap.EncodeUnsigned(value, value * inverse);
            Vector.ConvertToInt32(position.Value).Store(code + i);
        }

        for (int i = 0; i < count; i++)
        {
            codes[i] = (byte)code[i];
        }
    }

    private unsafe struct StepWork : IHostWork
    {
        internal HostUpdate.Work<AdamRule> Update;
        internal AdamRule Rule;
        internal byte* CodesM;
        internal byte* CodesV;
        internal float* ScalesM;
        internal float* ScalesV;
        internal long Count;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public readonly void Run(long begin, long end)
        {
            float* m = stackalloc float[Length];
            float* v = stackalloc float[Length];
            HostUpdate.Work<AdamRule> update = Update;
            for (long block = begin; block < end; block++)
            {
                long first = block * Length;
                int count = (int)Math.Min(Length, Count - first);
                new Span<float>(m, Length).Clear();
                new Span<float>(v, Length).Clear();
                Decode(s_signed, CodesM + first, ScalesM[block], m, count);
                Decode(s_unsigned, CodesV + first, ScalesV[block], v, count);
                // The walk of the moments in F32 reads them at the index of the parameter.
                update.A = m - first;
                update.B = v - first;
                update.Step(Rule, first, count);
                Confine(m, v);
                Encode(m, CodesM + first, ScalesM + block, count, isSigned: true);
                Encode(v, CodesV + first, ScalesV + block, count, isSigned: false);
            }
        }

        private static void Confine(float* m, float* v)
        {
            for (int i = 0; i < Length; i += Vector<float>.Count)
            {
                Element<HostLane> e = default;
                e.A = new HostLane(Vector.Load(m + i));
                e.B = new HostLane(Vector.Load(v + i));
                e = EightBitAdam.Confine(e);
                e.A.Value.Store(m + i);
                e.B.Value.Store(v + i);
            }
        }
    }

    private unsafe struct StateWork : IHostWork
    {
        internal float* X;
        internal byte* Codes;
        internal float* Scales;
        internal long Count;
        internal bool Signed;
        internal bool Encodes;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public readonly void Run(long begin, long end)
        {
            float* x = stackalloc float[Length];
            for (long block = begin; block < end; block++)
            {
                long first = block * Length;
                int count = (int)Math.Min(Length, Count - first);
                if (!Encodes)
                {
                    Decode(Signed ? s_signed : s_unsigned, Codes + first, Scales[block], X + first, count);
                    continue;
                }

                for (int i = 0; i < Length; i++)
                {
                    Lane value = Lane.Of(i < count ? X[first + i] : 0f);
                    x[i] = (Signed ? EightBitAdam.Finite(value) : EightBitAdam.NotNegative(value)).Value;
                }

                Encode(x, Codes + first, Scales + block, count, Signed);
            }
        }
    }
}
