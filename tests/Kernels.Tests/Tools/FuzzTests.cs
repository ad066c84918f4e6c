using System.ComponentModel;
using System.Diagnostics;
using System.Text.Json.Nodes;
using Kernels.References.Fuzzing;
using Kernels.Tests.Support;
using Kernels.Tools.Cases;
using Kernels.Tools.Fuzzing;
using Kernels.Tools.Operations;
using Xunit.Abstractions;

namespace Kernels.Tests.Tools;

public sealed class FuzzTests(ITestOutputHelper output) : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public static TheoryData<string> Names => [.. FuzzTargets.All.Select(target => target.Name)];

    public void Dispose() => _folder.Dispose();

    [Theory]
    [MemberData(nameof(Names))]
    public void Every_operation_passes(string name)
    {
        ToolRun run = ToolRun.Of(
            "fuzz", name, "--cases", "60", "--seed", "7", "--device", ToolRun.Device, "--out", _folder.Path);

        Assert.True(run.ExitCode == 0, run.Output + run.Error);
        Assert.Contains("passed", run.Output, StringComparison.Ordinal);
        Assert.Empty(Directory.GetFiles(_folder.Path));
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void A_target_is_described_as_its_operation(string name)
    {
        FuzzTarget target = FuzzTargets.Find(name);
        Operation operation = OperationCatalog.Find(name);

        Assert.Equal(operation.Inputs.Select(spec => spec.Name), target.Inputs.Keys, StringComparer.Ordinal);
        Assert.All(operation.Inputs, spec => Assert.Equal(spec.Shape, target.Inputs[spec.Name]!));
        Assert.All(target.Options, option =>
        {
            OptionSpec spec = Assert.Single(
                operation.Options, spec => string.Equals(spec.Name, option.Key, StringComparison.Ordinal));
            // One that must be given has a simplest value instead.
            if (spec.Default is not null || spec.Type == OptionType.Integers)
            {
                Assert.Equal(spec.Default ?? Array.Empty<int>(), option.Value);
            }
        });
    }

    [Fact]
    public void The_same_seed_draws_the_same_cases()
    {
        foreach (FuzzTarget target in FuzzTargets.All)
        {
            string[] cases = [.. Enumerable.Range(0, 10).Select(i => CaseWriter.Write(target.Draw(new(target.Name, 3, i))))];
            Assert.Equal(
                cases, Enumerable.Range(0, 10).Select(i => CaseWriter.Write(target.Draw(new(target.Name, 3, i)))),
                StringComparer.Ordinal);
            Assert.Equal(10, cases.Distinct(StringComparer.Ordinal).Count());
        }
    }

    /// <summary>Names of bugs, and what they make of a case of ours and its right outputs.</summary>
    public static TheoryData<string, string> Bugs => new()
    {
        { "optimizers/adamw", "no decay" },
        { "optimizers/sgd", "no decay" },
        { "optimizers/lion", "off by one" },
        { "optimizers/adafactor", "off by one" },
        { "optimizers/gradnorm", "last element left out" },
        { "optimizers/batchtest", "rounded down" },
    };

    [Theory]
    [MemberData(nameof(Bugs))]
    public void A_planted_bug_is_found_and_made_small(string name, string bug)
    {
        PlantedBug.AssertFound(name, (kernel, given) => Plant(bug, kernel, given));
    }

    private static IReadOnlyDictionary<string, FuzzTensor> Plant(string bug, OperationUnderTest kernel, FuzzCase given)
    {
        switch (bug)
        {
            case "no decay":
                var options = new Dictionary<string, object>(given.Options, StringComparer.Ordinal) { ["weightDecay"] = 0d };
                return kernel.Run(new FuzzCase(given.Inputs, options));
            case "off by one":
                FuzzTensor p = kernel.Run(given)["p"];
                return Outputs(("p", new FuzzTensor([.. p.Floats[^1..], .. p.Floats[..^1]], [.. p.Shape])));
            case "last element left out":
                float[] g = given.Floats("g");
                return kernel.Run(new FuzzCase(Outputs(("g", new FuzzTensor(g[..^1], g.Length - 1))), given.Options));
            default:
                IReadOnlyDictionary<string, FuzzTensor> right = kernel.Run(given);
                int next = (int)Math.Clamp(
                    right["statistic"].Floats[0], given.Length("g"), Math.Max(given.Length("g"), given.Whole("maxBatch")));
                return Outputs(("statistic", right["statistic"]), ("next", new FuzzTensor([next], 1)));
        }
    }

    private static Dictionary<string, FuzzTensor> Outputs(params (string Name, FuzzTensor Tensor)[] outputs) =>
        outputs.ToDictionary(output => output.Name, output => output.Tensor, StringComparer.Ordinal);

    [Fact]
    public void A_program_is_fuzzed_and_its_failure_is_replayed()
    {
        // It answers every case with the same step, which is right for one case alone.
        string answer = _folder.Write("answer.json", """{"outputs": {"p": {"shape": [1, 1], "data": [0.5]}}}""");
        string right = _folder.Write(
            "right.json",
            """
            {"inputs": {"p": {"shape": [1], "data": [1]}, "g": {"shape": [1, 1], "data": [1]}},
             "options": {"learningRate": 0.5}}
            """);
        string program = OperatingSystem.IsWindows()
            ? "cmd /c " + _folder.Write("program.cmd", $"@copy /y \"{answer}\" %2 >nul")
            : "sh " + _folder.Write("program.sh", $"cp '{answer}' \"$2\"");
        string to = _folder.File("failures");

        ToolRun passed = ToolRun.Of("fuzz", "optimizers/sgd", "--against", program, "--replay", right, "--out", to);
        ToolRun failed = ToolRun.Of("fuzz", "optimizers/sgd", "--against", program, "--cases", "5", "--out", to);

        Assert.Equal((0, ""), (passed.ExitCode, passed.Error));
        Assert.Equal((1, ""), (failed.ExitCode, failed.Error));
        string @case = Assert.Single(Directory.GetFiles(to, "optimizers-sgd-1-*.json"));
        Assert.Contains($"--replay {@case} --against", failed.Output, StringComparison.Ordinal);
        ToolRun again = ToolRun.Of("fuzz", "optimizers/sgd", "--against", program, "--replay", @case, "--out", to);
        ToolRun ours = ToolRun.Of("fuzz", "optimizers/sgd", "--replay", @case, "--device", ToolRun.Device);
        Assert.Equal(1, again.ExitCode);
        Assert.True(ours.ExitCode == 0, ours.Output + ours.Error);
        Assert.Equal("optimizers/sgd: passed", ours.Output[.."optimizers/sgd: passed".Length]);
    }

    [Fact]
    public void Devices_are_judged_and_compared()
    {
        string both = $"{ToolRun.Device},{ToolRun.Device}";

        ToolRun run = ToolRun.Of("fuzz", "optimizers/gradnorm", "--cases", "20", "--between", both);
        ToolRun threads = ToolRun.Alone("fuzz", "optimizers/gradnorm", "--cases", "20", "--device", "cpu", "--jobs", "2");
        string @case = _folder.Write("case.json", """{"inputs": {"g": {"shape": [2], "data": [3, 4]}}, "shift": 3}""");
        ToolRun replayed = ToolRun.Of("fuzz", "optimizers/gradnorm", "--between", both, "--replay", @case);

        Assert.True(run.ExitCode == 0, run.Output + run.Error);
        Assert.True(threads.ExitCode == 0, threads.Output + threads.Error);
        Assert.Contains("same bits", run.Output, StringComparison.Ordinal);
        Assert.Contains("100.0 %", run.Output, StringComparison.Ordinal);
        Assert.All(run.Output.Split('\n'), line => Assert.InRange(line.Length, 0, 80));
        Assert.True(replayed.ExitCode == 0, replayed.Output + replayed.Error);
        Assert.Equal(2, replayed.Output.Split(": passed").Length - 1);
    }

    /// <summary>An example, what Python it needs, and one of its bugs.</summary>
    public static TheoryData<string, string, string, string, string> Examples => new()
    {
        { "optimizers/sgd", "sgd.py", "json", "(1 - options[\"dampening\"]) * y", "y" },
        { "dct/transform", "transform.py", "numpy", "np.where(k, np.sqrt(2), 1) * ", "" },
        { "optimizers/adamw", "torch_optim.py adamw", "torch", "\"adamw\" if decoupled else \"adam\"", "\"adam\"" },
    };

    [Theory]
    [MemberData(nameof(Examples))]
    public void An_example_passes_and_fails_with_a_bug(string name, string example, string module, string part, string bug)
    {
        if (!TestDevices.IsHost)
        {
            return; // no device has a part in it
        }

        if (Array.Find(["python3", "/usr/bin/python3"], python => Has(python, module)) is not { } python)
        {
            output.WriteLine($"Not run: no python3 has {module} (such as Debian's python3-{module}).");
            return;
        }

        string[] words = example.Split(' ');
        string path = Path.Combine(Repository.Root, "tools", "Kernels.Tools", "examples", words[0]);
        string text = File.ReadAllText(path);
        Assert.Contains(part, text, StringComparison.Ordinal);
        string wrong = _folder.Write("wrong.py", text.Replace(part, bug, StringComparison.Ordinal));
        string[] fuzz = ["fuzz", name, "--cases", "8", "--shrink", "0", "--out", _folder.File("failures"), "--against"];

        ToolRun passed = ToolRun.Of([.. fuzz, string.Join(' ', [python, $"\"{path}\"", .. words[1..]])]);
        ToolRun failed = ToolRun.Of([.. fuzz, string.Join(' ', [python, $"\"{wrong}\"", .. words[1..]])]);

        Assert.True(passed.ExitCode == 0, passed.Output + passed.Error);
        Assert.True(failed.ExitCode == 1, failed.Output + failed.Error);
        Assert.Contains("and must be", failed.Output, StringComparison.Ordinal);
    }

    [Fact]
    public void A_program_may_leave_cases_out_but_not_all()
    {
        string right = _folder.Write(
            "right.json", """{"inputs": {"g": {"shape": [1], "data": [1]}}}""");
        string answer = _folder.Write("answer.json", """{"outputs": null}""");
        string program = OperatingSystem.IsWindows()
            ? "cmd /c " + _folder.Write("program.cmd", $"@copy /y \"{answer}\" %2 >nul")
            : "sh " + _folder.Write("program.sh", $"cp '{answer}' \"$2\"");
        string[] fuzz = ["fuzz", "optimizers/gradnorm", "--against", program, "--out", _folder.File("failures")];

        ToolRun one = ToolRun.Of([.. fuzz, "--replay", right]);
        ToolRun all = ToolRun.Of([.. fuzz, "--cases", "3"]);
        FuzzReport some = Fuzzer.Run(
            FuzzTargets.Find("optimizers/gradnorm"),
            given => given.Length("g") % 2 == 0
                ? null
                : new OperationUnderTest(TestDevices.Session, OperationCatalog.Find("optimizers/gradnorm")).Run(given),
            new FuzzSettings { Cases = 50 });

        Assert.Equal((0, "optimizers/gradnorm: not taken."), (one.ExitCode, one.Output.Trim()));
        Assert.Equal(1, all.ExitCode);
        Assert.Contains("none taken", all.Output, StringComparison.Ordinal);
        Assert.All(all.Output.Split('\n'), line => Assert.InRange(line.Length, 0, 80));
        Assert.True(some.Passed, some.ToString());
        Assert.InRange(some.NotTaken, 1, 49);
        Assert.Contains($"{50 - some.NotTaken} cases", some.ToString(), StringComparison.Ordinal);
    }

    private static bool Has(string python, string module)
    {
        try
        {
            using Process process = Process.Start(new ProcessStartInfo(python, ["-c", $"import {module}"])
            {
                UseShellExecute = false,
                RedirectStandardError = true,
            })!;
            process.StandardError.ReadToEnd();
            process.WaitForExit();
            return process.ExitCode == 0;
        }
        catch (Win32Exception)
        {
            return false;
        }
    }

    [Fact]
    public void A_program_that_fails_fails_the_case()
    {
        string right = _folder.Write(
            "right.json", """{"inputs": {"g": {"shape": [1], "data": [1]}}}""");

        ToolRun run = ToolRun.Of(
            "fuzz", "optimizers/gradnorm", "--against", "kernels-no-such-program", "--replay", right, "--out", _folder.Path);

        Assert.Equal(1, run.ExitCode);
        Assert.Contains("kernels-no-such-program", run.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("optimizers/sgdd", "fuzz optimizers/sgdd")]
    [InlineData("--cases", "fuzz --cases 0")]
    [InlineData("--jobs", "fuzz --jobs 0")]
    [InlineData("--between", "fuzz --between cpu")]
    [InlineData("exclude", "fuzz --between cpu,opencl --device cpu")]
    [InlineData("--minutes", "fuzz --minutes -1")]
    [InlineData("--replay", "fuzz optimizers --replay none.json")]
    [InlineData("none.json", "fuzz optimizers/sgd --replay none.json")]
    public void A_wrong_call_says_what_is_wrong(string part, string line)
    {
        ToolRun run = ToolRun.Of(line.Split(' '));

        Assert.Equal(2, run.ExitCode);
        Assert.Contains(part, run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void Options_that_do_not_go_together_are_no_case()
    {
        var @case = new JsonObject
        {
            ["inputs"] = JsonNode.Parse("""{"p": {"shape": [1], "data": [1]}, "g": {"shape": [1, 1], "data": [1]}}"""),
            ["options"] = new JsonObject { ["nesterov"] = true },
        };

        ToolRun run = ToolRun.Of(
            "fuzz", "optimizers/sgd", "--replay", _folder.Write("case.json", @case.ToJsonString()), "--device", ToolRun.Device);

        Assert.Equal(2, run.ExitCode);
        Assert.Contains("no case of optimizers/sgd", run.Error, StringComparison.Ordinal);
    }
}
