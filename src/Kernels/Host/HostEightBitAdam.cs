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
/// The walk of 8-bit Adam on ILGPU's CPU accelerator, block by block over SIMD registers. The same bits as on a device that does
/// not contract.
/// </summary>
internal static class HostEightBitAdam
{
    private const int Length = Update.BlockLength;

    // A block takes a microsecond; handing work to another thread costs about two.
    private const long Grain = 32;

    /// <summary>One step with one rule for all blocks.</summary>
    internal static void Step(in UpdateCall call, AdamRule rule, int threads)
    {
        if (TryResolve(call, out StepWork work))
        {
            work.Rule = rule;
            HostPool.Run(work, call.Moments.ScalesM.Length, Grain, threads);
        }
    }

    /// <summary>One step of an arena whose blocks have different rules.</summary>
    internal static void Step(in UpdateCall call, AdamRule[] rules, Chunk[] chunks, int threads)
    {
        if (TryResolve(call, out StepWork work))
        {
            work.Rules = rules;
            work.Chunks = chunks;
            HostPool.Run(work, chunks.Length, Grain, threads);
        }
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

    private static unsafe bool TryResolve(in UpdateCall call, out StepWork work)
    {
        bool taken = HostUpdate.TryResolve(call, out HostUpdate.Work<AdamRule> update);
        work = new StepWork
        {
            Update = update,
            CodesM = (byte*)Address(call.Moments.CodesM),
            CodesV = (byte*)Address(call.Moments.CodesV),
            ScalesM = (float*)Address(call.Moments.ScalesM),
            ScalesV = (float*)Address(call.Moments.ScalesV),
            Count = call.Moments.CodesM.Length,
        };
        return taken;
    }

    private static unsafe byte* Address<T>(ArrayView<T> view)
        where T : unmanaged => (byte*)Unsafe.AsPointer(ref view.LoadEffectiveAddress());

    /// <summary>Decodes a block; x is as long as a whole block and becomes 0 behind its end.</summary>
    private static unsafe void Decode(byte* codes, float scale, float* x, int count, bool isSigned)
    {
        if (isSigned)
        {
            Widen(codes, (int*)x, count, DynamicMap.SignedZero);
            DecodeSigned(x, scale);
        }
        else
        {
            Widen(codes, (int*)x, count, 0);
            DecodeUnsigned(x, scale);
        }
    }

    /// <summary>Encodes a block; x is as long as a whole block and used up.</summary>
    private static unsafe void Encode(float* x, float largest, byte* codes, float* scale, int count, bool isSigned)
    {
        *scale = EightBitBlock.Scale(largest);
        if (isSigned)
        {
            EncodeSigned(x, EightBitBlock.Inverse(largest));
        }
        else
        {
            EncodeUnsigned(x, EightBitBlock.Inverse(largest));
        }

        Narrow((int*)x, codes, count);
    }

    // Codes become numbers where they lie, as integers of the same width, and back. One loop is one method: a method in
    // which everything is inlined has a limit.
    private static unsafe void DecodeSigned(float* x, float scale)
    {
        for (int i = 0; i < Length; i += Vector<float>.Count)
        {
            HostLane code = new(Vector.ConvertToSingle(Vector.Load((int*)x + i)));
            (DynamicMap.DecodeSigned(code) * scale).Value.Store(x + i);
        }
    }

    private static unsafe void DecodeUnsigned(float* x, float scale)
    {
        for (int i = 0; i < Length; i += Vector<float>.Count)
        {
            HostLane code = new(Vector.ConvertToSingle(Vector.Load((int*)x + i)));
            (DynamicMap.DecodeUnsigned(code) * scale).Value.Store(x + i);
        }
    }

    private static unsafe void EncodeSigned(float* x, float inverse)
    {
        for (int i = 0; i < Length; i += Vector<float>.Count)
        {
            HostLane value = new(Vector.Load(x + i));
            Vector.ConvertToInt32Native(DynamicMap.EncodeSigned(value * inverse).Value).Store((int*)x + i);
        }
    }

    private static unsafe void EncodeUnsigned(float* x, float inverse)
    {
        for (int i = 0; i < Length; i += Vector<float>.Count)
        {
            HostLane value = new(Vector.Load(x + i));
            Vector.ConvertToInt32Native(DynamicMap.EncodeUnsigned(value, value * inverse).Value).Store((int*)x + i);
        }
    }

    private static unsafe void Widen(byte* codes, int* wide, int count, int rest)
    {
        int i = 0;
        for (; i + Vector<byte>.Count <= count; i += Vector<byte>.Count)
        {
            Vector.Widen(Vector.Load(codes + i), out Vector<ushort> low, out Vector<ushort> high);
            Vector.Widen(low, out Vector<uint> a, out Vector<uint> b);
            Vector.Widen(high, out Vector<uint> c, out Vector<uint> d);
            a.Store((uint*)wide + i);
            b.Store((uint*)wide + i + Vector<uint>.Count);
            c.Store((uint*)wide + i + 2 * Vector<uint>.Count);
            d.Store((uint*)wide + i + 3 * Vector<uint>.Count);
        }

        for (; i < Length; i++)
        {
            wide[i] = i < count ? codes[i] : rest;
        }
    }

    private static unsafe void Narrow(int* wide, byte* codes, int count)
    {
        int i = 0;
        for (; i + Vector<byte>.Count <= count; i += Vector<byte>.Count)
        {
            uint* from = (uint*)wide + i;
            Vector.Narrow(
                Vector.Narrow(Vector.Load(from), Vector.Load(from + Vector<uint>.Count)),
                Vector.Narrow(
                    Vector.Load(from + 2 * Vector<uint>.Count), Vector.Load(from + 3 * Vector<uint>.Count)))
                .Store(codes + i);
        }

        for (; i < count; i++)
        {
            codes[i] = (byte)wide[i];
        }
    }

    private static float Largest(Vector<float> x)
    {
        float result = 0f;
        for (int i = 0; i < Vector<float>.Count; i++)
        {
            result = MathF.Max(result, x[i]);
        }

        return result;
    }

    private unsafe struct StepWork : IHostWork
    {
        internal HostUpdate.Work<AdamRule> Update;
        internal AdamRule Rule;
        internal AdamRule[]? Rules;
        internal Chunk[]? Chunks;
        internal byte* CodesM;
        internal byte* CodesV;
        internal float* ScalesM;
        internal float* ScalesV;
        internal long Count;

        [SkipLocalsInit]
        public readonly void Run(long begin, long end)
        {
            float* m = stackalloc float[Length];
            float* v = stackalloc float[Length];
            HostUpdate.Work<AdamRule> update = Update;
            for (long i = begin; i < end; i++)
            {
                long block = Chunks is null ? i : Chunks[i].Block;
                long first = block * Length;
                int count = (int)Math.Min(Length, Count - first);
                Decode(CodesM + first, ScalesM[block], m, count, isSigned: true);
                Decode(CodesV + first, ScalesV[block], v, count, isSigned: false);
                // The walk of the moments in F32 reads them at the index of the parameter.
                update.A = m - first;
                update.B = v - first;
                update.Step(Rules is null ? Rule : Rules[Chunks![i].Rule], first, count);
                (float largestM, float largestV) = Confine(m, v);
                Encode(m, largestM, CodesM + first, ScalesM + block, count, isSigned: true);
                Encode(v, largestV, CodesV + first, ScalesV + block, count, isSigned: false);
            }
        }

        private static (float M, float V) Confine(float* m, float* v)
        {
            Vector<float> largestM = Vector<float>.Zero;
            Vector<float> largestV = Vector<float>.Zero;
            for (int i = 0; i < Length; i += Vector<float>.Count)
            {
                Element<HostLane> e = default;
                e.A = new HostLane(Vector.Load(m + i));
                e.B = new HostLane(Vector.Load(v + i));
                e = EightBitAdam.Confine(e);
                e.A.Value.Store(m + i);
                e.B.Value.Store(v + i);
                largestM = Vector.Max(largestM, Vector.Abs(e.A.Value));
                largestV = Vector.Max(largestV, e.B.Value);
            }

            return (Largest(largestM), Largest(largestV));
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
                    Decode(Codes + first, Scales[block], x, count, Signed);
                    new Span<float>(x, count).CopyTo(new Span<float>(X + first, count));
                    continue;
                }

                float largest = 0f;
                for (int i = 0; i < Length; i++)
                {
                    Lane value = Lane.Of(i < count ? X[first + i] : 0f);
                    x[i] = (Signed ? EightBitBlock.Finite(value) : EightBitBlock.NotNegative(value)).Value;
                    largest = MathF.Max(largest, MathF.Abs(x[i]));
                }

                Encode(x, largest, Codes + first, Scales + block, count, Signed);
            }
        }
    }
}
