using Spectre.Console;

namespace Kernels.Tools;

/// <summary>Texts for people.</summary>
internal static class Messages
{
    /// <summary>The message of an exception without the name of the C# parameter.</summary>
    internal static string Of(ArgumentException exception)
    {
        string message = exception.Message;
        int suffix = message.IndexOf(" (Parameter '", StringComparison.Ordinal);
        if (suffix >= 0)
        {
            message = message[..suffix];
        }

        return exception is ArgumentOutOfRangeException { ActualValue: { } value }
            ? $"{message.TrimEnd('.')}; it is {value}."
            : message;
    }

    /// <summary>"a, b or c".</summary>
    internal static string Or(IEnumerable<string> names)
    {
        string[] all = [.. names];
        return all.Length switch
        {
            0 => "none",
            1 => all[0],
            _ => $"{string.Join(", ", all[..^1])} or {all[^1]}",
        };
    }

    /// <summary>A size in bytes in the unit that suits it.</summary>
    internal static string Bytes(long bytes) => bytes switch
    {
        <= 0 => "-",
        < 1L << 20 => $"{bytes / 1024.0:0.#} KiB",
        < 1L << 30 => $"{bytes / (double)(1L << 20):0.#} MiB",
        _ => $"{bytes / (double)(1L << 30):0.#} GiB",
    };

    /// <summary>A Spectre console over a writer; wide enough for our tables where the output is no terminal.</summary>
    internal static IAnsiConsole Terminal(TextWriter output)
    {
        IAnsiConsole console = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(output) });
        if (!console.Profile.Out.IsTerminal)
        {
            console.Profile.Width = 200;
        }

        return console;
    }
}
