using System.Numerics;
using System.Runtime.CompilerServices;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Optimizers;
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

    // Chunks whose memory is asked for early: one takes a tenth of a microsecond, and memory somewhat longer.
    private const int Ahead = 3;

    // Elements that are gone over at once, where nothing is decoded.
    private const long Stretch = 1 << 20;

    /// <summary>One step with one rule for all elements.</summary>
    internal static void Run<TRule>(in UpdateCall call, TRule rule, int threads)
        where TRule : unmanaged, IUpdateRule
    {
        if (TryResolve<TRule>(call, out Work<TRule> work))
        {
            work.Rule = rule;
            HostPool.Run(work, call.Length, Grain, threads);
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

    /// <summary>The work without its rules; false where the step is to be skipped.</summary>
    internal static unsafe bool TryResolve<TRule>(in UpdateCall call, out Work<TRule> work)
        where TRule : unmanaged, IUpdateRule
    {
        bool isTaken = HostTensors.TryResolve(call, out HostTensors tensors);
        work = new Work<TRule>
        {
            Tensors = tensors,
            A = HostTensors.Floats(call.A),
            B = HostTensors.Floats(call.B),
            C = HostTensors.Floats(call.C),
        };
        return isTaken;
    }

    internal unsafe struct Work<TRule> : IHostWork
        where TRule : unmanaged, IUpdateRule
    {
        internal TRule Rule;
        internal TRule[]? Rules;
        internal Chunk[]? Chunks;
        internal HostTensors Tensors;
        internal float* A;
        internal float* B;
        internal float* C;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public readonly void Run(long begin, long end)
        {
            if (Chunks is null)
            {
                Range(Rule, begin, end);
                return;
            }

            long next;
            for (long c = begin; c < end; c = next)
            {
                // Blocks that follow each other are one range.
                for (next = c + 1; next < end && IsNext(Chunks[next - 1], Chunks[next]); next++)
                {
                }

                long first = (long)Chunks[c].Block * Update.BlockLength;
                Range(Rules![Chunks[c].Rule], first, first + (next - c) * Update.BlockLength);
            }
        }

        [SkipLocalsInit]
        internal readonly void Step(in TRule rule, long first, int count) => Step(rule, Tensors, first, count);

        private static bool IsNext(Chunk chunk, Chunk next) => next.Block == chunk.Block + 1 && next.Rule == chunk.Rule;

        private readonly void Range(in TRule rule, long begin, long end)
        {
            long next;
            for (long first = begin; first < end; first = next)
            {
                if (Tensors.TryInPlace(first, end, out float* p, out float* g, out long live, out next))
                {
                    Tensors.Prefetch(Math.Min(next + (Ahead - 1) * Update.BlockLength, end - 1));
                    int count;
                    for (; first < live; first += count)
                    {
                        count = (int)Math.Min(Stretch, live - first);
                        Apply(rule, p + first, g + first, A + first, B + first, C + first, count, Tensors.Factor);
                    }

                    continue;
                }

                HostTensors tensors = Tensors.From(first, end, out live, out next);
                Tensors.Prefetch(Math.Min(next + (Ahead - 1) * Update.BlockLength, end - 1));
                for (; first < live; first += Block)
                {
                    Step(rule, tensors, first, (int)Math.Min(Block, live - first));
                }
            }
        }

        [SkipLocalsInit]
        private readonly void Step(in TRule rule, in HostTensors tensors, long first, int count)
        {
            float* stagedP = stackalloc float[Block];
            float* stagedG = stackalloc float[Block];
            float* p = tensors.Parameters(first, count, stagedP);
            float* g = tensors.Gradients(first, count, stagedG);
            Apply(rule, p, g, A + first, B + first, C + first, count, tensors.Factor);
            tensors.Write(p, first, count);
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
    }
}
