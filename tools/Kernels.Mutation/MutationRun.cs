using System.Collections.Concurrent;
using Microsoft.CodeAnalysis.Text;

namespace Kernels.Mutation;

/// <summary>The mutants of files, each compiled, fuzzed and tested.</summary>
/// <param name="sandboxes">One for each job.</param>
/// <param name="known">Mutants that are known to be equivalent.</param>
/// <param name="stop">Ends the run.</param>
internal sealed class MutationRun(
    IReadOnlyList<Sandbox> sandboxes, IReadOnlyList<KnownEquivalent> known, CancellationToken stop)
{
    /// <summary>Mutates a file.</summary>
    /// <exception cref="InvalidOperationException">Something fails without any change.</exception>
    internal FileReport File(ProjectCode code, string file, Judges judges)
    {
        if (code.Compile(file) is not { } unchanged || !sandboxes[0].Passes(code.Assembly, unchanged, judges, stop))
        {
            throw new InvalidOperationException($"{judges}: fails without any change of {file}.");
        }

        var report = new FileReport();
        SourceText text = code.Text(file);
        IReadOnlyList<Mutant> mutants = MutantGenerator.Mutants(text);
        var empties = MutantGenerator.Empties(text);
        string[] members =
        [
            .. mutants.Select(mutant => mutant.Member).Distinct(StringComparer.Ordinal).Where(empties.ContainsKey),
        ];
        Dictionary<string, bool> unreached = Survive(members, member => empties[member]);
        report.Unreached.AddRange(
            unreached.Where(each => each.Value).Select(each => each.Key).Order(StringComparer.Ordinal));

        Mutant[] reached = [.. mutants.Where(mutant => !unreached.GetValueOrDefault(mutant.Member))];
        Dictionary<Mutant, bool> survive = Survive(reached, mutant => [mutant.Change]);
        foreach (Mutant mutant in reached.Where(survive.ContainsKey))
        {
            if (!survive[mutant])
            {
                report.Killed++;
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
            string.Equals(each.File, file, StringComparison.Ordinal)
            && !report.Equivalents.Exists(mutant => each.Fits(file, mutant))));
        foreach (Sandbox sandbox in sandboxes)
        {
            sandbox.Put(code.Assembly, unchanged);
        }

        return report;

        // Which of some changes pass; those that do not compile are left out.
        Dictionary<T, bool> Survive<T>(IEnumerable<T> all, Func<T, TextChange[]> changes)
            where T : notnull
        {
            var free = new ConcurrentBag<Sandbox>(sandboxes);
            var passes = new ConcurrentDictionary<T, bool>();
            var options = new ParallelOptions { MaxDegreeOfParallelism = sandboxes.Count, CancellationToken = stop };
            Parallel.ForEach(all, options, each =>
            {
                if (code.Compile(file, changes(each)) is { } assembly && free.TryTake(out Sandbox? sandbox))
                {
                    passes[each] = sandbox.Passes(code.Assembly, assembly, judges, stop);
                    free.Add(sandbox);
                }
            });
            return new Dictionary<T, bool>(passes);
        }
    }
}
