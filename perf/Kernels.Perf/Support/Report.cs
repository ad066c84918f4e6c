using System.Diagnostics;
using System.Globalization;
using System.Text;
using Kernels.Tools;
using Kernels.Tools.Benchmarks;

namespace Kernels.Perf.Support;

/// <summary>
/// <c>perf -- report</c>: all operations at the shapes of real layers, and the pairs of <c>pairs.txt</c>, as a page with a
/// roofline in <c>perf/results</c>, and the figures of README.
/// </summary>
internal static class Report
{
    private const int OperationRounds = 15;

    private const int FewestPairs = 5;

    private const string Begin = "<!-- figures: written by perf -- report -->";

    private const string End = "<!-- end of figures -->";

    /// <summary>Measures all of it and writes the page.</summary>
    /// <param name="arguments">The folder of the repository; a share of the rounds of pairs, 1 without it.</param>
    internal static void Run(ReadOnlySpan<string> arguments)
    {
        string root = arguments.Length > 0 ? arguments[0] : Root();
        double share = arguments.Length > 1 ? double.Parse(arguments[1], CultureInfo.InvariantCulture) : 1;
        string folder = Path.Combine(root, "perf", "results");
        Directory.CreateDirectory(folder);
        string device;
        string machine;
        IReadOnlyList<BenchResult> results;
        using (Session session = Bench.Open())
        {
            device = session.Device;
            machine = Machine(device);
            results = Operations(session);
        }

        string picture = $"{machine}.png";
        Roofline.Save(Path.Combine(folder, picture), device, results);
        var page = new StringBuilder();
        page.AppendLine(CultureInfo.InvariantCulture, $"# {device}, {Environment.ProcessorCount} processors").AppendLine();
        page.AppendLine(CultureInfo.InvariantCulture, $"{DateTime.UtcNow:yyyy-MM-dd}, Kernels {Version}. Written by")
            .AppendLine("`dotnet run -c Release --project perf/Kernels.Perf -- report`.").AppendLine();
        page.AppendLine(CultureInfo.InvariantCulture, $"![The roofline]({picture})").AppendLine();
        Table(page, results);
        var figures = new StringBuilder();
        figures.AppendLine(CultureInfo.InvariantCulture, $"{device}, {Environment.ProcessorCount} processors, {DateTime.UtcNow:yyyy-MM-dd};")
            .AppendLine(CultureInfo.InvariantCulture, $"all of it with quartiles in `perf/results/{machine}.md`.").AppendLine();
        figures.AppendLine("| ours | size | ms | beside it | ms | times as fast |").AppendLine("|---|---|---:|---|---:|---:|");
        Pairs(page, figures, Path.Combine(root, "perf", "pairs.txt"), share);
        string path = Path.Combine(folder, $"{machine}.md");
        File.WriteAllText(path, page.ToString());
        Console.WriteLine(path);
        Replace(Path.Combine(root, "README.md"), figures.ToString());
    }

    private static string Version => typeof(Session).Assembly.GetName().Version?.ToString(3) ?? "";

    private static List<BenchResult> Operations(Session session)
    {
        double peak = Tools.Benchmarks.Bench.Peak(session);
        var meter = new Meter(session, peak, OperationRounds);
        foreach (string line in Tools.Benchmarks.Bench.Shapes.SelectMany(lines => lines))
        {
            Console.WriteLine($"// {line}");
            Tools.Benchmarks.Bench.Measure(session, BenchCase.Parse(line), meter);
        }

        return [.. meter.Results];
    }

    private static void Table(StringBuilder page, IReadOnlyList<BenchResult> results)
    {
        page.AppendLine("## Operations").AppendLine();
        page.AppendLine("The floor is the least time that the bytes (a walk with the same reads and writes, by turns with the")
            .AppendLine(CultureInfo.InvariantCulture, $"call) or the arithmetic ({results[0].Peak / 1e9:0.0} GFLOP/s, a product) take, as a share of the")
            .AppendLine("median.").AppendLine();
        page.AppendLine("| call | shape | ms | +- | GB/s | GFLOP/s | floor | set by |");
        page.AppendLine("|---|---|---:|---:|---:|---:|---:|---|");
        foreach (BenchResult result in results)
        {
            double seconds = result.Time.Median;
            page.AppendLine(
                CultureInfo.InvariantCulture,
                $"| {result.Name} | {result.Shape} | {1e3 * seconds:0.###} | {result.Time.Spread:P0} | {result.Cost.Bytes / seconds / 1e9:0.##} | {result.Cost.Operations / seconds / 1e9:0.##} | {result.Share:0.00} | {(result.IsArithmetic ? "arithmetic" : "memory")} |");
        }

        page.AppendLine();
    }

    /// <summary>Puts the figures between their marks.</summary>
    private static void Replace(string path, string figures)
    {
        string text = File.ReadAllText(path);
        int begin = text.IndexOf(Begin, StringComparison.Ordinal);
        int end = text.IndexOf(End, StringComparison.Ordinal);
        if (begin < 0 || end < begin)
        {
            throw new BadInputException($"{path} has no marks for the figures.");
        }

        File.WriteAllText(path, $"{text.AsSpan(0, begin + Begin.Length)}\n\n{figures}\n{text.AsSpan(end)}");
        Console.WriteLine(path);
    }

    private static void Pairs(StringBuilder page, StringBuilder figures, string path, double share)
    {
        page.AppendLine("## Beside others").AppendLine();
        page.AppendLine("Two benchmarks by turns; the ratio is the median of the rounds' ratios, second over first.").AppendLine();
        page.AppendLine("| class | parameter | first | second | first, ms | second, ms | ratio | quartiles | rounds |");
        page.AppendLine("|---|---|---|---|---:|---:|---:|---|---:|");
        foreach (string line in File.ReadLines(path).Where(line => line.Length > 0 && line[0] != '#'))
        {
            string[] words = line.Split('|', StringSplitOptions.TrimEntries);
            string[] parts = words[0].Split(' ', StringSplitOptions.RemoveEmptyEntries);
            (string name, string first, string second) = (parts[0], parts[1], parts[2]);
            if (!Support.Pairs.Has(name, first, second))
            {
                page.AppendLine(CultureInfo.InvariantCulture, $"| {name} | | {first} | {second} | | | not in this build | | |");
                continue;
            }

            int rounds = Math.Max(FewestPairs, (int)(share * int.Parse(parts[3], CultureInfo.InvariantCulture)));
            Console.WriteLine($"// {line}");
            string[][]? rows = Measured(name, first, second, rounds);
            if (rows is null)
            {
                page.AppendLine(CultureInfo.InvariantCulture, $"| {name} | | {first} | {second} | | | failed | | |");
                Environment.ExitCode = 1;
                continue;
            }

            foreach (string[] row in rows)
            {
                // The parameter, both times, the ratio, its quartiles.
                page.AppendLine(
                    CultureInfo.InvariantCulture,
                    $"| {name} | {row[0]} | {first} | {second} | {string.Join(" | ", row[1..])} | {rounds} |");
                if (words.Length == 3)
                {
                    double ratio = double.Parse(row[3], CultureInfo.InvariantCulture);
                    figures.AppendLine(
                        CultureInfo.InvariantCulture,
                        $"| {words[1]} | {row[0]} | {row[2]} | {words[2]} | {row[1]} | {1 / ratio:0.00} |");
                }
            }
        }
    }

    /// <summary>
    /// A pair measured in a process of its own, the cells of its table; null where it fails. What libtorch's allocator once
    /// had it keeps, and all pairs in one process need more memory than a small machine has.
    /// </summary>
    private static string[][]? Measured(string name, string first, string second, int rounds)
    {
        var start = new ProcessStartInfo(
            Environment.ProcessPath!,
            [typeof(Report).Assembly.Location, "pairs", name, first, second, rounds.ToString(CultureInfo.InvariantCulture)])
        {
            RedirectStandardOutput = true,
            UseShellExecute = false,
        };
        using Process process = Process.Start(start)!;
        string printed = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode != 0
            ? null
            : [.. printed.Split('\n').Where(line => line.StartsWith("| ", StringComparison.Ordinal)).Skip(1)
                .Select(line => line.Trim().Trim('|').Split('|', StringSplitOptions.TrimEntries))];
    }

    private static string Machine(string device)
    {
        var name = new StringBuilder();
        foreach (char c in device.ToLowerInvariant())
        {
            if (char.IsAsciiLetterOrDigit(c))
            {
                name.Append(c);
            }
            else if (name.Length > 0 && name[^1] != '-')
            {
                name.Append('-');
            }
        }

        return string.Create(CultureInfo.InvariantCulture, $"{name.ToString().TrimEnd('-')}-{Environment.ProcessorCount}-cores");
    }

    /// <summary>The folder of the repository, above this one.</summary>
    private static string Root()
    {
        for (DirectoryInfo? folder = new(Directory.GetCurrentDirectory()); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "Kernels.sln")))
            {
                return folder.FullName;
            }
        }

        throw new BadInputException("There is no Kernels.sln above this folder; give the repository's folder.");
    }
}
