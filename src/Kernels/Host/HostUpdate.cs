using System.Numerics;
using System.Runtime.CompilerServices;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Optimizers;
using Kernels.DeviceCode.Storage;
using Kernels.Optimizers;

namespace Kernels.Host;

/// <summary>
/// The walk of element-wise optimizers on ILGPU's CPU accelerator: the same rules over SIMD registers, straight on
/// the accelerator's memory, which is the host's. Sixteen-bit tensors are decoded and encoded in small blocks.
/// </summary>
internal static class HostUpdate
{
    // Two thousand elements cost about a microsecond; a thread is woken for sixteen times that.
    private const long Grain = 32_768;

    private const int Block = 512;

    /// <summary>One step with one rule for all elements.</summary>
    internal static void Run<TRule>(in UpdateCall call, TRule rule, int threads)
        where TRule : unmanaged, IUpdateRule
    {
        if (TryResolve<TRule>(call, out Work<TRule> work))
        {
            work.Rule = rule;
            HostPool.Run(work, call.P.Length, Grain, threads);
        }
    }

    /// <summary>One step of an arena whose blocks have different rules.</summary>
    internal static void Run<TRule>(in UpdateCall call, TRule[] rules, Chunk[] chunks, int threads)
        where TRule : unmanaged, IUpdateRule
    {
        if (TryResolve<TRule>(call, out Work<TRule> work))
        {
            work.Rules = rules;
            work.Chunks = chunks;
            HostPool.Run(work, chunks.Length, Grain / Update.BlockLength, threads);
        }
    }

    internal static unsafe bool TryResolve<TRule>(in UpdateCall call, out Work<TRule> work)
        where TRule : unmanaged, IUpdateRule
    {
        work = new Work<TRule>
        {
            P = Address(call.P),
            G = Address(call.G),
            A = (float*)Address(call.A),
            B = (float*)Address(call.B),
            C = (float*)Address(call.C),
            Average = (float*)Address(call.Extras.Average),
            Copy = Address(call.Extras.Copy),
            ParamStorage = call.P.Storage,
            GradStorage = call.G.Storage,
            CopyStorage = call.Extras.Copy.Storage,
            Stochastic = call.Extras.StochasticRounding,
            Random = new StochasticBF16(
                default, call.Seed0, call.Seed1, call.RandomStep, call.Extras.FirstElement / 4),
            AverageRate = (float)call.Extras.AverageRate,
            Factor = call.GradientFactor,
        };
        if (call.Extras.Control.IsValid)
        {
            var control = (StepControl*)Address(call.Extras.Control);
            work.Factor *= control->GradientFactor;
            return control->Skip == 0f;
        }

        return true;
    }

    private static unsafe byte* Address(TensorView view) => view.Buffer is null || view.Length == 0
        ? null
        : (byte*)view.Buffer.NativePtr + view.Index * view.ElementBytes;

    internal unsafe struct Work<TRule> : IHostWork
        where TRule : unmanaged, IUpdateRule
    {
        internal TRule Rule;
        internal TRule[]? Rules;
        internal Chunk[]? Chunks;
        internal byte* P;
        internal byte* G;
        internal float* A;
        internal float* B;
        internal float* C;
        internal float* Average;
        internal byte* Copy;
        internal Storage ParamStorage;
        internal Storage GradStorage;
        internal Storage CopyStorage;
        internal bool Stochastic;
        internal StochasticBF16 Random;
        internal float AverageRate;
        internal float Factor;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public readonly void Run(long begin, long end)
        {
            if (Chunks is null)
            {
                for (long first = begin; first < end; first += Block)
                {
                    Step(Rule, first, (int)Math.Min(Block, end - first));
                }

                return;
            }

            for (long c = begin; c < end; c++)
            {
                Step(Rules![Chunks[c].Rule], (long)Chunks[c].Block * Update.BlockLength, Update.BlockLength);
            }
        }

        [SkipLocalsInit]
        internal readonly void Step(in TRule rule, long first, int count)
        {
            float* stagedP = stackalloc float[Block];
            float* stagedG = stackalloc float[Block];
            float* p = ParamStorage == Storage.F32 ? (float*)P + first : stagedP;
            float* g = GradStorage == Storage.F32 ? (float*)G + first : stagedG;
            if (ParamStorage != Storage.F32)
            {
                Decode((ushort*)P + first, ParamStorage, p, count);
            }

            if (GradStorage != Storage.F32)
            {
                Decode((ushort*)G + first, GradStorage, g, count);
            }

            Apply(rule, p, g, A + first, B + first, C + first, count, Factor);
            if (Average is not null)
            {
                for (int i = 0; i < count; i++)
                {
                    Average[first + i] += AverageRate * (p[i] - Average[first + i]);
                }
            }

            if (Copy is not null)
            {
                Encode(p, (ushort*)Copy + first, CopyStorage, first, count);
            }

            if (ParamStorage != Storage.F32)
            {
                Encode(p, (ushort*)P + first, ParamStorage, first, count);
            }
        }

        private static void Apply(
            in TRule rule, float* p, float* g, float* a, float* b, float* c, int count, float factor)
        {
            int i = 0;
            for (; i + Vector<float>.Count <= count; i += Vector<float>.Count)
            {
                Element<HostLane> e = default;
                e.P = new HostLane(Vector.Load(p + i));
                if (TRule.StateCount > 0)
                {
                    e.A = new HostLane(Vector.Load(a + i));
                }

                if (TRule.StateCount > 1)
                {
                    e.B = new HostLane(Vector.Load(b + i));
                }

                if (TRule.StateCount > 2)
                {
                    e.C = new HostLane(Vector.Load(c + i));
                }

                e = rule.Apply(e, new HostLane(Vector.Load(g + i) * factor));
                e.P.Value.Store(p + i);
                if (TRule.StateCount > 0)
                {
                    e.A.Value.Store(a + i);
                }

                if (TRule.StateCount > 1)
                {
                    e.B.Value.Store(b + i);
                }

                if (TRule.StateCount > 2)
                {
                    e.C.Value.Store(c + i);
                }
            }

            for (; i < count; i++)
            {
                Element<Lane> e = default;
                e.P = Lane.Of(p[i]);
                if (TRule.StateCount > 0)
                {
                    e.A = Lane.Of(a[i]);
                }

                if (TRule.StateCount > 1)
                {
                    e.B = Lane.Of(b[i]);
                }

                if (TRule.StateCount > 2)
                {
                    e.C = Lane.Of(c[i]);
                }

                e = rule.Apply(e, Lane.Of(g[i] * factor));
                p[i] = e.P.Value;
                if (TRule.StateCount > 0)
                {
                    a[i] = e.A.Value;
                }

                if (TRule.StateCount > 1)
                {
                    b[i] = e.B.Value;
                }

                if (TRule.StateCount > 2)
                {
                    c[i] = e.C.Value;
                }
            }
        }

        private static void Decode(ushort* source, Storage storage, float* destination, int count)
        {
            for (int i = 0; i < count; i++)
            {
                destination[i] = storage == Storage.F16
                    ? default(F16).Decode(source[i])
                    : default(BF16).Decode(source[i]);
            }
        }

        private readonly void Encode(float* source, ushort* destination, Storage storage, long first, int count)
        {
            if (storage == Storage.BF16 && Stochastic)
            {
                EncodeStochastic(source, destination, first, count);
                return;
            }

            for (int i = 0; i < count; i++)
            {
                destination[i] = (ushort)(storage == Storage.F16
                    ? default(F16).Encode(source[i], 0)
                    : BF16.Nearest(source[i]));
            }
        }

        private readonly void EncodeStochastic(float* source, ushort* destination, long first, int count)
        {
            long position = Random.Position(first);
            ushort* noise = stackalloc ushort[8];
            for (int i = 0; i < count; i++, position++)
            {
                if (i == 0 || (position & 7) == 0)
                {
                    *(QuadBits*)noise = Random.Noise(position >> 3);
                }

                destination[i] = (ushort)Random.Encode(source[i], noise[position & 7]);
            }
        }
    }
}
