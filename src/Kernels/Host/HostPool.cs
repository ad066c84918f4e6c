namespace Kernels.Host;

/// <summary>Work over a range that the host's cores share.</summary>
internal interface IHostWork
{
    /// <summary>Does the units from <paramref name="begin"/> up to <paramref name="end"/>.</summary>
    void Run(long begin, long end);
}

/// <summary>
/// Splits a range over the thread pool and the calling thread and returns when all is done. Allocates nothing after
/// the first call of a thread with a kind of work.
/// </summary>
internal static class HostPool
{
    /// <summary>Runs the work over [0, count) in pieces of <paramref name="grain"/> units.</summary>
    /// <param name="work">The work; its pieces are independent.</param>
    /// <param name="count">Units.</param>
    /// <param name="grain">Units of a piece: large enough to be worth waking a thread.</param>
    /// <param name="threads">At most so many threads.</param>
    internal static void Run<TWork>(in TWork work, long count, long grain, int threads)
        where TWork : struct, IHostWork
    {
        long pieces = (count + grain - 1) / grain;
        if (pieces <= 1 || threads <= 1)
        {
            if (count > 0)
            {
                work.Run(0, count);
            }

            return;
        }

        Job<TWork> job = Cached<TWork>.Value ??= new Job<TWork>();
        job.Run(in work, count, grain, pieces, (int)Math.Min(threads, pieces) - 1);
    }

    private static class Cached<TWork>
        where TWork : struct, IHostWork
    {
        [ThreadStatic]
        internal static Job<TWork>? Value;
    }

    private sealed class Job<TWork> : IThreadPoolWorkItem
        where TWork : struct, IHostWork
    {
        private TWork _work;
        private long _count;
        private long _grain;
        private long _pieces;
        private long _next;
        private int _helpers;

        internal void Run(in TWork work, long count, long grain, long pieces, int helpers)
        {
            _work = work;
            _count = count;
            _grain = grain;
            _pieces = pieces;
            _next = 0;
            Volatile.Write(ref _helpers, helpers);
            for (int i = 0; i < helpers; i++)
            {
                ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
            }

            Drain();
            // The helpers hold this object: it may be used again only after the last of them has left.
            SpinWait wait = default;
            while (Volatile.Read(ref _helpers) != 0)
            {
                wait.SpinOnce(sleep1Threshold: -1);
            }

            _work = default;
        }

        public void Execute()
        {
            Drain();
            Interlocked.Decrement(ref _helpers);
        }

        private void Drain()
        {
            for (long piece = Interlocked.Increment(ref _next) - 1; piece < _pieces;
                piece = Interlocked.Increment(ref _next) - 1)
            {
                _work.Run(piece * _grain, Math.Min(_count, (piece + 1) * _grain));
            }
        }
    }
}
