using System.Diagnostics;
using System.Reflection;
using Kernels.Mutation;
using Kernels.References.Fuzzing;
using Kernels.Tests.Linear;
using Kernels.Tests.References;
using Kernels.Tests.Support;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.Text;
using Switch = Kernels.Mutation.Switch;

namespace Kernels.Tests.Tools;

/// <summary>Mutants of a small source, and the list of those that are equivalent.</summary>
public class MutationTests
{
    private const string Source =
        """
        internal struct Rule
        {
            internal const int Length = 256;
            private const float Small = 1e-6f;
            public float Rate;

            [MethodImpl(256)]
            public readonly float Apply(float p, float g = 0.5f)
            {
                g = T.Max(g, 0f);
                return g < p ? p - Rate * g : p;
            }
        }
        """;

    [Fact]
    public void A_source_has_exactly_these_mutants()
    {
        IReadOnlyList<Mutant> mutants = MutantGenerator.Mutants(SourceText.From(Source));

        Assert.Equal(
            [
                (4, "Rule.Small", "private const float Small = (1e-6f * 1.01f);"),
                (10, "Rule.Apply", ";"),
                (10, "Rule.Apply", "g = T.Min(g, 0f);"),
                (10, "Rule.Apply", "g = T.Max(g, 1f);"),
                (11, "Rule.Apply", "return !(g < p) ? p - Rate * g : p;"),
                (11, "Rule.Apply", "return g <= p ? p - Rate * g : p;"),
                (11, "Rule.Apply", "return g < p ? p : p;"),
                (11, "Rule.Apply", "return g < p ? -(Rate * g) : p;"),
                (11, "Rule.Apply", "return g < p ? (Rate * g) - p : p;"),
                (11, "Rule.Apply", "return g < p ? p + Rate * g : p;"),
                (11, "Rule.Apply", "return g < p ? p - Rate : p;"),
                (11, "Rule.Apply", "return g < p ? p - g : p;"),
                (11, "Rule.Apply", "return g < p ? p - Rate / g : p;"),
            ],
            mutants.Select(mutant => (mutant.Line, mutant.Member, mutant.New)));
        Assert.Equal("g = T.Max(g, 0f);", mutants[1].Old);
    }

    [Fact]
    public void A_member_that_does_something_can_be_emptied()
    {
        SourceText text = SourceText.From(Source);
        IReadOnlyDictionary<string, TextChange[]> empties = MutantGenerator.Empties(text);

        Assert.Equal("Rule.Apply", Assert.Single(empties).Key);
        string changed = text.WithChanges(empties["Rule.Apply"]).ToString();
        Assert.Contains(
            "float g = 0.5f)\n    { return default; }\n}", changed.ReplaceLineEndings("\n"), StringComparison.Ordinal);
    }

    [Fact]
    public void Known_equivalents_are_four_lines_each()
    {
        IReadOnlyList<KnownEquivalent> known = KnownEquivalents.Parse(
            "# mutants\n\nkernels/A.cs Rule.Apply\n- a - b;\n+ a + b;\nb is 0.\n\n"
            + "kernels/B.cs Rule.Back\r\n- x;\n+ ;\nNot used.\n");

        Assert.Equal(
            [
                new KnownEquivalent("kernels/A.cs", "Rule.Apply", "a - b;", "a + b;", "b is 0."),
                new KnownEquivalent("kernels/B.cs", "Rule.Back", "x;", ";", "Not used."),
            ],
            known);
        Mutant mutant = MutantGenerator.Mutants(SourceText.From("struct Rule { float Apply() =>\na - b;\n}"))
            .Single(each => string.Equals(each.New, "a + b;", StringComparison.Ordinal));
        Assert.True(known[0].Fits("kernels/A.cs", mutant));
        Assert.False(known[0].Fits("kernels/B.cs", mutant));
    }

    [Theory]
    [InlineData("kernels/A.cs Rule.Apply\n- a\n+ b\n")]
    [InlineData("kernels/A.cs\n- a\n+ b\nreason\n")]
    [InlineData("kernels/A.cs Rule.Apply\n+ a\n- b\nreason\n")]
    public void What_is_no_list_of_equivalents_is_refused(string text) =>
        Assert.Throws<InvalidDataException>(() => KnownEquivalents.Parse(text));

    [Fact]
    public void A_switch_has_all_mutants_of_bodies_and_each_does_what_it_does_alone()
    {
        SourceText text = SourceText.From(
            """
            public class Rule
            {
                public static int Calls = 1;
                private static int s_sum;
                public static int Two => 1 + 1;
                public int this[int i] => i - 2;
                public static int Sum { get { return s_sum * 3; } }
                public static int Product(int a, int b) => a * b;
                public static void Add(int a) => s_sum += a;
                public static void Reset(int a) { s_sum = a; }
                public static int Least(int a, int b)
                {
                    if (a < b)
                    {
                        return a;
                    }

                    return b;
                }
            }
            """);
        IReadOnlyList<Mutant> mutants = MutantGenerator.Mutants(text);
        var all = new Switch(text, mutants);
        Type switched = Compiled(all.Write().Text, Switch.Source);
        FieldInfo field = switched.Assembly.GetType("MutantSwitch")!.GetField("Mutant")!;

        // What is outside of bodies is none of it.
        Assert.Equal([1], Enumerable.Range(1, mutants.Count).Except(all.Live));
        Assert.Equal("public static int Calls = 0;", mutants[0].New);
        string unchanged = Did(Compiled(text.ToString()));
        Assert.Equal("2 5 12 21 3 3", unchanged);
        Assert.Equal(unchanged, Did(switched));
        Assert.All(all.Live, number =>
        {
            field.SetValue(null, number);
            Assert.Equal(Did(Compiled(text.WithChanges(mutants[number - 1].Change).ToString())), Did(switched));
        });

        // One that is dropped is gone.
        all.Live.Remove(2);
        Assert.DoesNotContain("case 2:", all.Write().Text, StringComparison.Ordinal);
        Assert.Contains("case 3:", all.Write().Text, StringComparison.Ordinal);

        static Type Compiled(params string[] sources)
        {
            using var stream = new MemoryStream();
            Assert.True(CSharpCompilation.Create(
                $"Mutants{Guid.NewGuid():N}", sources.Select(source => CSharpSyntaxTree.ParseText(source)),
                [MetadataReference.CreateFromFile(typeof(object).Assembly.Location)],
                new CSharpCompilationOptions(OutputKind.DynamicallyLinkedLibrary)).Emit(stream).Success);
            return Assembly.Load(stream.ToArray()).GetType("Rule")!;
        }

        static string Did(Type rule)
        {
            object? Call(string name, params object[] arguments) => rule.GetMethod(name)!.Invoke(null, arguments);
            rule.GetField("s_sum", BindingFlags.NonPublic | BindingFlags.Static)!.SetValue(null, 0);
            Call("Reset", 3);
            Call("Add", 4);
            object? item = rule.GetProperty("Item")!.GetValue(Activator.CreateInstance(rule), [7]);
            return string.Join(
                ' ', Call("get_Two"), item, Call("Product", 3, 4), Call("get_Sum"), Call("Least", 3, 4), Call("Least", 3, 3));
        }
    }

    [Fact]
    public void A_judge_of_many_says_when_it_begins_and_what_becomes_of_each()
    {
        Assert.Equal((3, null), Judge.Said("@mutant 3 Begins"));
        Assert.Equal((3, true), Judge.Said("@mutant 3 Passes"));
        Assert.Equal((12, false), Judge.Said("@mutant 12 Fails"));
        Assert.Null(Judge.Said("3 cases."));
    }

    [Fact]
    public void The_mutants_of_a_reference_are_found()
    {
        using var output = new StringWriter();
        using var error = new StringWriter();

        int code = MutationCommand.Run(["DequantizeReference.cs"], output, error);

        Assert.True(code == 0, $"{output} {error}");
        Assert.Contains("6 of 6 killed, 0 survived.", output.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void Every_file_has_operations_that_can_be_fuzzed_and_tests_that_there_are()
    {
        string[] tests = [.. typeof(MutationTests).Assembly.GetTypes().Select(type => type.Name)];
        Assert.All(MutatedFiles.All.Keys, file => Assert.True(File.Exists(Path.Combine(Repository.Root, file)), file));
        Assert.All(MutatedFiles.All.Values, judges => Assert.All(judges.Operations, name => FuzzTargets.Find(name)));
        Assert.All(MutatedFiles.All.Values, judges => Assert.All(
            judges.Tests, name => Assert.Contains(name, tests, StringComparer.Ordinal)));
        Assert.Equal(["kernels/Optimizers/Adam.cs"], MutatedFiles.Find(["Adam.cs"]));
        Assert.Equal(MutatedFiles.All.Count, MutatedFiles.Find([]).Count);
        Assert.Throws<ArgumentException>(() => MutatedFiles.Find(["Nothing.cs"]));
    }

    [Theory]
    [InlineData(Judge.Passed, "cpu", "100", "optimizers/lion", "--", nameof(OptimizerReferenceTests))]
    [InlineData(Judge.Failed, "cpu", "100", "optimizers/none", "--")]
    [InlineData(Judge.Failed, "none", "100", "--", nameof(ActivationProperties))] // it finds no device
    [InlineData(Judge.TookTooLong, "cpu", "0.001", "optimizers/lion", "--")]
    public async Task A_judge_says_what_became_of_operations_and_tests(int code, string device, params string[] judges)
    {
        using var folder = new TemporaryFolder();
        string Beside(string name) => Path.Combine(AppContext.BaseDirectory, name);
        var start = new ProcessStartInfo(
            Environment.ProcessPath!,
            [
                "exec", "--depsfile", Beside("Kernels.Tests.deps.json"), "--runtimeconfig",
                Beside("Kernels.Tests.runtimeconfig.json"), Beside("Kernels.Mutation.dll"), Judge.Command, "1", device,
                .. judges,
            ])
        {
            // The order of the tests is written there.
            WorkingDirectory = folder.Path,
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["KERNELS_DEVICE"] = device;
        using Process process = Process.Start(start)!;
        Task<string> error = process.StandardError.ReadToEndAsync();
        string output = await process.StandardOutput.ReadToEndAsync();
        Assert.True(process.WaitForExit(TimeSpan.FromMinutes(1)), "It does not end.");

        Assert.True(process.ExitCode == code, $"{process.ExitCode} {output} {await error}");
    }

    [Fact]
    public async Task A_run_that_is_ended_leaves_nothing_behind()
    {
        if (OperatingSystem.IsWindows())
        {
            return; // has no SIGTERM
        }

        using var folder = new TemporaryFolder();
        var start = new ProcessStartInfo(
            Environment.ProcessPath!, [typeof(MutatedFiles).Assembly.Location, "Lion.cs"])
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["TMPDIR"] = folder.Path;
        using Process process = Process.Start(start)!;
        Task<string> output = process.StandardOutput.ReadToEndAsync();
        Task<string> error = process.StandardError.ReadToEndAsync();
        // The tool is there, and soon it runs.
        Assert.True(
            SpinWait.SpinUntil(() => IsFilled() || process.HasExited, TimeSpan.FromMinutes(1)), "There is no sandbox.");
        Assert.False(process.HasExited, "It has ended by itself.");
        Process.Start("kill", ["-TERM", $"{process.Id}"]).WaitForExit();
        Assert.True(process.WaitForExit(TimeSpan.FromMinutes(1)), "It does not end.");

        Assert.Equal(3, process.ExitCode);
        Assert.Empty(await output);
        Assert.Equal("mutation: stopped.", (await error).Trim());
        Assert.Empty(Directory.GetDirectories(folder.Path, "kernels-mutation-*"));

        bool IsFilled() => Directory.GetDirectories(folder.Path, "kernels-mutation-*") is [string sandbox]
            && File.Exists(Path.Combine(sandbox, "Kernels.Tools.dll"));
    }
}
