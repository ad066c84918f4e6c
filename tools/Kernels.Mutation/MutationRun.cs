using System.Collections.Concurrent;
using Microsoft.CodeAnalysis.Text;

namespace Kernels.Mutation;

/// <summary>The mutants of files, each compiled, fuzzed and tested.</summary>
/// <param name="sandboxes">One for each job.</param>
/// <param name="known">Mutants that are known to be equivalent.</param>
/// <param name="lines">The lines to change; empty for all.</param>
/// <param name="stop">Ends the run.</param>
internal sealed class MutationRun(
    IReadOnlyList<Sandbox> sandboxes, IReadOnlyList<KnownEquivalent> known, int[] lines, CancellationToken stop)
{
    // Without a change all judges of a file take less than a minute.
    private static readonly TimeSpan s_longest = TimeSpan.FromMinutes(5);

    private static readonly TimeSpan s_start = TimeSpan.FromSeconds(5);

    /// <summary>Mutates a file.</summary>
    /// <exception cref="InvalidOperationException">Something fails without any change.</exception>
    internal FileReport File(ProjectCode code, string file, Judges judges)
    {
        TimeSpan time = TimeSpan.Zero;
        if (code.Compile(file) is not { } unchanged
            || sandboxes[0].Try(code.Assembly, unchanged, judges, s_longest, stop, out time) != Verdict.Passes)
        {
            throw new InvalidOperationException($"{judges}: fails without any change of {file}.");
        }

        TimeSpan longest = s_start + (3 * time);
        var report = new FileReport();
        SourceText text = code.Text(file);
        Mutant[] mutants =
        [
            .. MutantGenerator.Mutants(text).Where(mutant => lines.Length == 0 || lines.Contains(mutant.Line)),
        ];
        var empties = MutantGenerator.Empties(text);
        string[] members =
        [
            .. mutants.Select(mutant => mutant.Member).Distinct(StringComparer.Ordinal).Where(empties.ContainsKey),
        ];
        Dictionary<string, Verdict> without = Try(members, member => empties[member]);
        report.Unreached.AddRange(members.Where(IsUnreached).Order(StringComparer.Ordinal));

        Mutant[] reached = [.. mutants.Where(mutant => !IsUnreached(mutant.Member))];
        // What many behind a switch pass may depend on what was computed before it was set: it is judged by itself as well.
        Dictionary<Mutant, Verdict> verdicts = code.IsHost ? TryTogether(reached) : [];
        foreach ((Mutant mutant, Verdict verdict) in
            Try(reached.Where(mutant => !verdicts.ContainsKey(mutant)), mutant => [mutant.Change]))
        {
            verdicts[mutant] = verdict;
        }

        foreach (Mutant mutant in reached.Where(verdicts.ContainsKey))
        {
            if (verdicts[mutant] is not Verdict.Passes)
            {
                report.Killed++;
                if (verdicts[mutant] is Verdict.TakesTooLong)
                {
                    report.TooLong.Add(mutant);
                }
            }
            else if (known.Any(each => each.Fits(file, mutant)))
            {
                report.Equivalents.Add(mutant);
            }
            else
            {
                report.Survivors.Add(mutant);
            }
        }

        report.Stale.AddRange(known.Where(each =>
            lines.Length == 0
            && string.Equals(each.File, file, StringComparison.Ordinal)
            && !report.Equivalents.Exists(mutant => each.Fits(file, mutant))));
        foreach (Sandbox sandbox in sandboxes)
        {
            sandbox.Put(code.Assembly, unchanged);
        }

        return report;

        bool IsUnreached(string member) => without.TryGetValue(member, out Verdict verdict) && verdict is Verdict.Passes;

        // What all of some mutants in one assembly do not survive.
        Dictionary<Mutant, Verdict> TryTogether(Mutant[] all)
        {
            var found = new ConcurrentDictionary<Mutant, Verdict>();
            var together = new Switch(text, all);
            if (code.Compile(file, together) is { } assembly)
            {
                int[] numbers = [.. together.Live];
                Parallel.For(0, sandboxes.Count, job =>
                {
                    var own = numbers.Where((_, i) => i % sandboxes.Count == job);
                    foreach ((int number, Verdict verdict) in
                        sandboxes[job].Try(code.Assembly, assembly, own, judges, s_longest, stop))
                    {
                        if (verdict is not Verdict.Passes)
                        {
                            found[all[number - 1]] = verdict;
                        }
                    }
                });
            }

            return new Dictionary<Mutant, Verdict>(found);
        }

        // What becomes of some changes; those that do not compile are left out.
        Dictionary<T, Verdict> Try<T>(IEnumerable<T> all, Func<T, TextChange[]> changes)
            where T : notnull
        {
            using var free = new BlockingCollection<Sandbox>();
            foreach (Sandbox sandbox in sandboxes)
            {
                free.Add(sandbox, stop);
            }

            var found = new ConcurrentDictionary<T, Verdict>();
            // One more is compiled while all sandboxes judge.
            var options = new ParallelOptions { MaxDegreeOfParallelism = sandboxes.Count + 1, CancellationToken = stop };
            Parallel.ForEach(Partitioner.Create(all, EnumerablePartitionerOptions.NoBuffering), options, each =>
            {
                if (code.Compile(file, changes(each)) is { } assembly)
                {
                    Sandbox sandbox = free.Take(stop);
                    try
                    {
                        found[each] = sandbox.Try(code.Assembly, assembly, judges, longest, stop, out _);
                    }
                    finally
                    {
                        free.Add(sandbox);
                    }
                }
            });
            return new Dictionary<T, Verdict>(found);
        }
    }
}
