using System.Globalization;
using Spectre.Console;

namespace Kernels.Tools.Benchmarks;

/// <summary>Results for people, in 80 columns.</summary>
internal static class BenchText
{
    private const int BarLength = 10;

    private const int NameLength = 30;

    internal static void Write(IAnsiConsole console, IReadOnlyList<BenchResult> results, BenchFile.Content? before)
    {
        Table table = new Table().Border(TableBorder.None).AddColumn(new TableColumn("call").PadLeft(0));
        foreach (string name in new[] { "ms", "+-", "GB/s", "GFLOP/s", "floor" })
        {
            table.AddColumn(new TableColumn(name).RightAligned().NoWrap().Padding(1, 0));
        }

        table.AddColumn(new TableColumn(before is null ? "" : "before").NoWrap().Padding(1, 0));
        foreach (BenchResult result in results)
        {
            double seconds = result.Time.Median;
            table.AddRow(
                new Text(Name(result)), new Text(Number(1e3 * seconds)), new Text(Percent(result.Time.Spread)),
                new Text(Number(result.Cost.Bytes / seconds / 1e9)), new Text(Number(result.Cost.Operations / seconds / 1e9)),
                new Text($"{Percent(result.Share)} {(result.IsArithmetic ? 'A' : 'M')}"),
                new Text(before is null ? Bar(result.Share) : BenchFile.Compare(result, before)));
        }

        console.Write(table);
    }

    private static string Name(BenchResult result)
    {
        var lines = new List<string> { result.Name };
        string line = " ";
        foreach (string word in result.Shape.Split(' '))
        {
            if (line.Length + 1 + word.Length > NameLength)
            {
                lines.Add(line);
                line = " ";
            }

            line += " " + word;
        }

        return string.Join('\n', lines.Append(line));
    }

    private static string Bar(double share) => new('#', (int)Math.Round(BarLength * Math.Clamp(share, 0, 1)));

    private static string Percent(double share) => Math.Min(100 * share, 999).ToString("0", CultureInfo.InvariantCulture) + "%";

    private static string Number(double value) => value.ToString(
        value switch { < 0.1 => "0.0000", < 10 => "0.00", < 1000 => "0.0", _ => "0" }, CultureInfo.InvariantCulture);
}
