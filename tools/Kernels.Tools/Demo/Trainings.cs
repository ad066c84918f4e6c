using System.Diagnostics;
using Spectre.Console;

namespace Kernels.Tools.Demo;

/// <summary>Trainings one after the other: with a bar each on a terminal, with a line each elsewhere.</summary>
internal static class Trainings
{
    /// <summary>Runs a training for each item.</summary>
    /// <param name="items">What is trained.</param>
    /// <param name="name">The item's name.</param>
    /// <param name="train">One training; its action takes how many steps are done and how it stands.</param>
    /// <param name="outcome">How a training ended.</param>
    /// <param name="steps">Steps of a training.</param>
    /// <param name="console">The console over the output.</param>
    /// <param name="output">The output.</param>
    internal static List<TResult> Run<TItem, TResult>(
        IReadOnlyList<TItem> items, Func<TItem, string> name, Func<TItem, Action<int, string>, TResult> train,
        Func<TResult, string> outcome, int steps, IAnsiConsole console, TextWriter output)
    {
        var results = new List<TResult>();
        if (!console.Profile.Out.IsTerminal)
        {
            foreach (TItem item in items)
            {
                long start = Stopwatch.GetTimestamp();
                results.Add(train(item, static (_, _) => { }));
                output.WriteLine(
                    $"{name(item),-16} {outcome(results[^1])}, {Stopwatch.GetElapsedTime(start).TotalSeconds:0.0} s");
                output.Flush();
            }

            return results;
        }

        console.Progress()
            .Columns(
                new TaskDescriptionColumn { Alignment = Justify.Left },
                new ProgressBarColumn(),
                new PercentageColumn())
            .Start(progress =>
            {
                ProgressTask[] bars =
                    [.. items.Select(i => progress.AddTask(Describe(name(i), ""), autoStart: false, maxValue: steps))];
                foreach ((TItem item, ProgressTask bar) in items.Zip(bars))
                {
                    bar.StartTask();
                    results.Add(train(item, (done, state) =>
                    {
                        bar.Value = done;
                        bar.Description = Describe(name(item), state);
                    }));
                    bar.Description = Describe(name(item), outcome(results[^1]));
                    bar.StopTask();
                }
            });
        return results;
    }

    private static string Describe(string name, string state) => Markup.Escape($"{name,-16} {state,-28}");
}
