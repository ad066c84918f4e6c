using System.Diagnostics;

namespace Kernels.References.Fuzzing;

/// <summary>Runs an implementation of an operation on many cases, and makes the first that fails small.</summary>
public static class Fuzzer
{
    // A case of so few elements is looked at number by number.
    private const int Few = 64;

    /// <summary>Runs an implementation on cases until one fails, or there were enough.</summary>
    /// <param name="target">The operation.</param>
    /// <param name="implementation">
    /// Gives the outputs of a case, or null if it does not take it; what it throws is a failure.
    /// </param>
    /// <param name="settings">How many cases; a thousand without it.</param>
    /// <param name="cancellation">Ends the run before the next case.</param>
    /// <returns>What came of it.</returns>
    public static FuzzReport Run(
        FuzzTarget target,
        Func<FuzzCase, IReadOnlyDictionary<string, FuzzTensor>?> implementation,
        FuzzSettings? settings = null,
        CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(target);
        ArgumentNullException.ThrowIfNull(implementation);
        settings ??= new FuzzSettings();
        long start = Stopwatch.GetTimestamp();
        var classes = new SortedDictionary<string, int>(StringComparer.Ordinal);
        double worst = 0;
        int notTaken = 0;
        int index = 0;
        for (; index < settings.Cases; index++)
        {
            if (cancellation.IsCancellationRequested || Stopwatch.GetElapsedTime(start) > settings.Time)
            {
                break;
            }

            var draw = new FuzzDraw(target.Name, settings.Seed, settings.First + index);
            FuzzCase given = target.Draw(draw);
            if (draw.Once(2))
            {
                draw.Cover("misaligned");
                given = given.At(draw.OneOf(1, 2, 3, 5, 7, 15));
            }

            foreach (string name in draw.Classes)
            {
                classes[name] = classes.GetValueOrDefault(name) + 1;
            }

            FuzzVerdict verdict = Try(target, given, implementation);
            if (verdict.Failure is { } failure)
            {
                (FuzzCase small, string message) = Shrink(target, given, failure, implementation, settings);
                return new FuzzReport(
                    target.Name, settings.Seed, index + 1, worst, classes,
                    new FuzzFailure(settings.First + index, given, small, message))
                {
                    NotTaken = notTaken,
                };
            }

            notTaken += verdict.IsTaken ? 0 : 1;
            worst = Math.Max(worst, verdict.WorstShare);
            settings.Progress?.Invoke(index + 1, worst);
        }

        return new FuzzReport(target.Name, settings.Seed, index, worst, classes, Failure: null) { NotTaken = notTaken };
    }

    /// <summary>Runs several implementations side by side, each on a part of the cases and on a thread of its own.</summary>
    /// <param name="target">The operation.</param>
    /// <param name="implementations">Give the outputs of a case, or null; each is called by one thread.</param>
    /// <param name="settings">How many cases in all; a thousand without it.</param>
    /// <param name="cancellation">Ends the run before the next case.</param>
    /// <returns>What came of it; of cases that failed the first, whatever the number of implementations.</returns>
    public static FuzzReport RunParallel(
        FuzzTarget target,
        IReadOnlyList<Func<FuzzCase, IReadOnlyDictionary<string, FuzzTensor>?>> implementations,
        FuzzSettings? settings = null,
        CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(target);
        ArgumentNullException.ThrowIfNull(implementations);
        if (implementations.Count == 0)
        {
            throw new ArgumentException("There must be an implementation.", nameof(implementations));
        }

        settings ??= new FuzzSettings();
        int jobs = implementations.Count;
        var reports = new FuzzReport[jobs];
        var done = new int[jobs];
        var worst = new double[jobs];
        CancellationTokenSource[] stopsOf =
            [.. implementations.Select(_ => CancellationTokenSource.CreateLinkedTokenSource(cancellation))];
        var threads = new Task[jobs];
        for (int job = 0; job < jobs; job++)
        {
            int own = job;
            threads[job] = Task.Factory.StartNew(
                () =>
                {
                    int first = Part(own);
                    reports[own] = Run(
                        target, implementations[own],
                        settings with
                        {
                            First = settings.First + first,
                            Cases = Part(own + 1) - first,
                            Progress = (count, share) => Tell(own, count, share),
                        },
                        stopsOf[own].Token);
                    if (reports[own].Failure is not null)
                    {
                        // What comes after it is of no interest any more.
                        Array.ForEach(stopsOf[(own + 1)..], later => later.Cancel());
                    }
                },
                CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        }

        try
        {
            Task.WaitAll(threads, CancellationToken.None);
        }
        finally
        {
            Array.ForEach(stopsOf, own => own.Dispose());
        }

        var classes = new SortedDictionary<string, int>(StringComparer.Ordinal);
        foreach ((string name, int count) in reports.SelectMany(report => report.Classes))
        {
            classes[name] = classes.GetValueOrDefault(name) + count;
        }

        return new FuzzReport(
            target.Name, settings.Seed, reports.Sum(report => report.Cases), reports.Max(report => report.WorstShare), classes,
            Array.Find(reports, report => report.Failure is not null)?.Failure)
        {
            NotTaken = reports.Sum(report => report.NotTaken),
        };

        int Part(int job) => (int)((long)settings.Cases * job / jobs);

        void Tell(int job, int count, double share)
        {
            if (settings.Progress is { } progress)
            {
                lock (done)
                {
                    (done[job], worst[job]) = (count, share);
                    progress(done.Sum(), worst.Max());
                }
            }
        }
    }

    /// <summary>Runs an implementation on one case.</summary>
    /// <param name="target">The operation.</param>
    /// <param name="given">The case.</param>
    /// <param name="implementation">
    /// Gives the outputs of a case, or null if it does not take it; what it throws is a failure.
    /// </param>
    /// <returns>The verdict.</returns>
    public static FuzzVerdict Try(
        FuzzTarget target, FuzzCase given, Func<FuzzCase, IReadOnlyDictionary<string, FuzzTensor>?> implementation)
    {
        ArgumentNullException.ThrowIfNull(target);
        ArgumentNullException.ThrowIfNull(implementation);
        IReadOnlyDictionary<string, FuzzTensor>? outputs;
        try
        {
            outputs = implementation(given);
        }
        catch (Exception e) when (e is not (OutOfMemoryException or OperationCanceledException))
        {
            var verdict = new FuzzVerdict(new Dictionary<string, FuzzTensor>(StringComparer.Ordinal));
            verdict.Fail($"{e.GetType().Name}: {e.Message}");
            return verdict;
        }

        return outputs is null
            ? new FuzzVerdict(new Dictionary<string, FuzzTensor>(StringComparer.Ordinal)) { IsTaken = false }
            : target.Judge(given, outputs);
    }

    private static (FuzzCase Case, string Message) Shrink(
        FuzzTarget target,
        FuzzCase given,
        string message,
        Func<FuzzCase, IReadOnlyDictionary<string, FuzzTensor>?> implementation,
        FuzzSettings settings)
    {
        long start = Stopwatch.GetTimestamp();
        bool isSmaller = true;
        while (isSmaller)
        {
            isSmaller = false;
            foreach (FuzzCase candidate in Candidates(target, given))
            {
                if (Stopwatch.GetElapsedTime(start) > settings.ShrinkTime)
                {
                    return (given, message);
                }

                if (Try(target, candidate, implementation).Failure is { } failure)
                {
                    (given, message, isSmaller) = (candidate, failure, true);
                    break;
                }
            }
        }

        return (given, message);
    }

    private static IEnumerable<FuzzCase> Candidates(FuzzTarget target, FuzzCase given) => Aligned(given)
        .Concat(target.Simplify(given).Select(simple => simple.At(given.Shift)))
        .Concat(Shorter(target, given))
        .Concat(Default(target, given))
        .Concat(Plainer(given))
        .Concat(Redrawn(target, given))
        .Where(target.Admits);

    private static IEnumerable<FuzzCase> Aligned(FuzzCase given) => given.Shift == 0 ? [] : [given.At(0)];

    /// <summary>Without a half, a quarter, ..., one of what lies along a symbol.</summary>
    private static IEnumerable<FuzzCase> Shorter(FuzzTarget target, FuzzCase given)
    {
        IEnumerable<string> symbols = target.Inputs.Values.SelectMany(symbols => symbols).OfType<string>()
            .Distinct(StringComparer.Ordinal);
        return symbols.SelectMany(symbol => given.Shorter([.. target.Inputs
            .SelectMany(input => input.Value.Select((s, i) => (Input: input.Key, Dimension: i, Symbol: s)))
            .Where(place => string.Equals(place.Symbol, symbol, StringComparison.Ordinal))
            .Select(place => (place.Input, place.Dimension))]));
    }

    private static IEnumerable<FuzzCase> Default(FuzzTarget target, FuzzCase given) => target.Options
        .Where(option => !given.Options[option.Key].Equals(option.Value))
        .Select(option => given.WithOption(option.Key, option.Value));

    /// <summary>With zeros, ones and whole numbers in the place of others; only when few are left.</summary>
    private static IEnumerable<FuzzCase> Plainer(FuzzCase given)
    {
        foreach ((string input, FuzzTensor tensor) in given.Inputs)
        {
            if (tensor.Data is float[] floats)
            {
                if (Array.Exists(floats, x => x != 0))
                {
                    yield return given.With(input, new FuzzTensor(new float[floats.Length], [.. tensor.Shape]));
                }

                for (int i = 0; i < floats.Length && floats.Length <= Few; i++)
                {
                    foreach (float plain in Plain(floats[i]))
                    {
                        yield return given.With(input, tensor.With(i, plain));
                    }
                }
            }
            else if (tensor.Data is int[] { Length: <= Few } integers)
            {
                for (int i = 0; i < integers.Length; i++)
                {
                    if (integers[i] != 0)
                    {
                        yield return given.With(input, tensor.With(i, 0));
                    }
                }
            }
        }
    }

    /// <summary>
    /// Smaller ones with other numbers: some bugs need numbers that go together, and what is left of those that did may not.
    /// </summary>
    private static IEnumerable<FuzzCase> Redrawn(FuzzTarget target, FuzzCase given)
    {
        const int Tries = 64;
        const int Most = 9;
        if (given.Elements > Few)
        {
            yield break;
        }

        var random = new Random(1);
        foreach (FuzzCase smaller in target.Simplify(given).Concat(Shorter(target, given))
            .Where(smaller => smaller.Elements < given.Elements && target.Admits(smaller)))
        {
            for (int i = 0; i < Tries; i++)
            {
                FuzzCase drawn = smaller.At(given.Shift);
                foreach ((string input, FuzzTensor tensor) in smaller.Inputs.Where(input => input.Value.Data is float[]))
                {
                    float[] whole = Array.ConvertAll(tensor.Floats, _ => (float)random.Next(-Most, Most + 1));
                    drawn = drawn.With(input, new FuzzTensor(whole, [.. tensor.Shape]));
                }

                yield return drawn;
            }
        }
    }

    // Each is plainer than the number: the search ends.
    private static IEnumerable<float> Plain(float x)
    {
        if (x == 0)
        {
            return [];
        }

        float whole = MathF.Round(x);
        return x == 1 ? [0f]
            : float.IsFinite(x) && whole != x && whole != 0 && MathF.Abs(x) < 1e6f ? [0f, 1f, whole]
            : [0f, 1f];
    }
}
