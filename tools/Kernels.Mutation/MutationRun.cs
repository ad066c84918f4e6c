using System.Collections.Concurrent;
using Microsoft.CodeAnalysis.Text;

namespace Kernels.Mutation;

/// <summary>The mutants of files, each compiled and fuzzed.</summary>
/// <param name="code">The device code.</param>
/// <param name="sandboxes">One for each job.</param>
/// <param name="known">Mutants that are known to be equivalent.</param>
/// <param name="longest">The longest time of one operation.</param>
internal sealed class MutationRun(
    DeviceCode code, IReadOnlyList<Sandbox> sandboxes, IReadOnlyList<KnownEquivalent> known, TimeSpan longest)
{
    /// <summary>Mutates a file.</summary>
    /// <exception cref="InvalidOperationException">The operations fail without any change.</exception>
    internal FileReport File(string file, IReadOnlyList<string> operations)
    {
        if (code.Compile(file) is not { } unchanged || !sandboxes[0].Passes(unchanged, operations, longest))
        {
            throw new InvalidOperationException(
                $"{string.Join(", ", operations)}: fails without any change of {file}.");
        }

        var report = new FileReport();
        SourceText text = code.Text(file);
        IReadOnlyList<Mutant> mutants = MutantGenerator.Mutants(text);
        var empties = MutantGenerator.Empties(text);
        string[] members =
        [
            .. mutants.Select(mutant => mutant.Member).Distinct(StringComparer.Ordinal).Where(empties.ContainsKey),
        ];
        Dictionary<string, bool> unreached = Survive(file, operations, members, member => empties[member]);
        report.Unreached.AddRange(
            unreached.Where(each => each.Value).Select(each => each.Key).Order(StringComparer.Ordinal));

        Mutant[] reached = [.. mutants.Where(mutant => !unreached.GetValueOrDefault(mutant.Member))];
        Dictionary<Mutant, bool> survive = Survive(file, operations, reached, mutant => [mutant.Change]);
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
        return report;
    }

    /// <summary>Which of some changes pass; those that do not compile are left out.</summary>
    private Dictionary<T, bool> Survive<T>(
        string file, IReadOnlyList<string> operations, IEnumerable<T> all, Func<T, TextChange[]> changes)
        where T : notnull
    {
        var free = new ConcurrentBag<Sandbox>(sandboxes);
        var passes = new ConcurrentDictionary<T, bool>();
        Parallel.ForEach(all, new ParallelOptions { MaxDegreeOfParallelism = sandboxes.Count }, each =>
        {
            if (code.Compile(file, changes(each)) is { } assembly && free.TryTake(out Sandbox? sandbox))
            {
                passes[each] = sandbox.Passes(assembly, operations, longest);
                free.Add(sandbox);
            }
        });
        return new Dictionary<T, bool>(passes);
    }
}
