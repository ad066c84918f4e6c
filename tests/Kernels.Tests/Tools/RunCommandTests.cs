using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Kernels.References;
using Kernels.References.Optimizers;

namespace Kernels.Tests.Tools;

public sealed class RunCommandTests : IDisposable
{
    private static readonly double[] s_gradients = [1, -2, 0.5, 0, 3, -0.25, 0.75, -1];

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("sgd", """{"momentum": 0.9}""", "0.9 1.01 1.059 1.1031 0.84279 0.633511 0.3701599 0.23314391")]
    [InlineData(
        "sgd", """{"momentum": 0.9, "nesterov": true}""",
        "0.81 1.109 1.1031 1.14279 0.608511 0.4451599 0.13314391 0.109829519")]
    [InlineData(
        "adam", "{}", "0.900000001 0.936610353 0.950279420 0.961476287 0.923838774 0.894925124 0.860296217 0.843215712")]
    [InlineData(
        "adamw", """{"weightDecay": 0}""",
        "0.900000001 0.936610353 0.950279420 0.961476287 0.923838774 0.894925124 0.860296217 0.843215712")]
    [InlineData(
        "adam", """{"amsgrad": true}""",
        "0.900000001 0.936610353 0.950279420 0.961470687 0.923833174 0.894919524 0.860290617 0.843210112")]
    [InlineData(
        "adam", """{"amsgrad": true, "amsgradRule": "optax"}""",
        "0.900000001 0.936610353 0.948044180 0.956153254 0.918515741 0.892069988 0.862181338 0.847936842")]
    [InlineData("adagrad", "{}", "0.9 0.989442719 0.967620930 0.967620930 0.888148989 0.894757175 0.875311063 0.900409295")]
    [InlineData(
        "rmsprop", "{}",
        "0.000000100 0.895323022 0.675849505 0.675849505 -0.123459685 -0.056664529 -0.254095408 0.001671979")]
    [InlineData("lion", "{}", "0.9 1.0 0.9 1.0 0.9 1.0 0.9 1.0")]
    [InlineData(
        "adabelief", """{"rectify": false}""",
        "0.888888889 0.927994987 0.942466893 0.954318933 0.913626802 0.882566069 0.844997566 0.826765347")]
    [InlineData(
        "adabelief", "{}", "0.9 0.957894737 0.975975918 0.988799413 0.925233200 0.924431177 0.923201229 0.922494944")]
    [InlineData(
        "diffgrad", "{}",
        "0.926894165 0.961768235 0.974400389 0.981369983 0.945517465 0.917683073 0.892367315 0.877815532")]
    public void The_published_steps_come_out(string name, string optionsJson, string expected)
    {
        JsonObject options = JsonNode.Parse(optionsJson)!.AsObject();
        options["learningRate"] = 0.1;

        float[] actual = Run(name, [1], [.. s_gradients.Select(g => new[] { g })], options);

        double[] wanted = [.. expected.Split(' ').Select(x => double.Parse(x, CultureInfo.InvariantCulture))];
        OptimizerReference oracle = Oracle(name, options);
        Bounded[] bound = [1];
        Bounded[][] state = oracle.CreateState(1);
        for (int t = 0; t < wanted.Length; t++)
        {
            oracle.Step(t + 1, bound, [s_gradients[t]], state);
            // Half a unit of the last published digit.
            Assert.Equal(wanted[t], actual[t], bound[0].Bound + 0.5000001e-9);
        }
    }

    public static TheoryData<string, string> OracleCases => new()
    {
        { "sgd", """{"learningRate": 0.02, "momentum": 0.8, "dampening": 0.3, "weightDecay": 0.1, "maximize": true}""" },
        { "sgd", """{"learningRate": 0.02, "weightDecay": 0.1, "decoupled": true}""" },
        { "adam", """{"beta1": 0.8, "beta2": 0.95, "epsilon": 1e-6, "weightDecay": 0.1, "amsgrad": true}""" },
        { "adamw", "{}" },
        { "adamw", """{"learningRate": 0.1, "weightDecay": 0.5, "decoupled": false, "maximize": true}""" },
        { "adagrad", """{"learningRateDecay": 0.1, "initialAccumulator": 0.5, "epsilon": 1e-3, "weightDecay": 0.1}""" },
        { "rmsprop", """{"alpha": 0.9, "momentum": 0.7, "centered": true, "epsilon": 1e-3}""" },
        { "rmsprop", "{}" },
        { "lion", """{"learningRate": 0.01, "weightDecay": 0.3}""" },
        { "adabelief", """{"epsilon": 1e-8, "weightDecay": 0.1, "amsgrad": true, "rectify": false}""" },
        { "adabelief", """{"epsilon": 1e-8, "weightDecay": 0.01, "fixedDecay": true, "degeneratedToSgd": false}""" },
        { "diffgrad", """{"beta1": 0.5, "weightDecay": 0.1}""" },
    };

    [Theory]
    [MemberData(nameof(OracleCases))]
    public void Steps_are_within_the_bounds_of_the_oracle(string name, string optionsJson)
    {
        const int N = 37;
        const int Count = 6;
        var random = new Random(N);
        double[] p = Numbers(random, N);
        double[][] g = [.. Enumerable.Range(0, Count).Select(_ => Numbers(random, N))];
        JsonObject options = JsonNode.Parse(optionsJson)!.AsObject();
        OptimizerReference oracle = Oracle(name, options);

        float[] actual = Run(name, p, g, options);

        Bounded[] expected = Array.ConvertAll(p, Bounded.FromDouble);
        Bounded[][] state = oracle.CreateState(N);
        for (int t = 0; t < Count; t++)
        {
            oracle.Step(t + 1, expected, Array.ConvertAll(g[t], Bounded.FromDouble), state);
            for (int i = 0; i < N; i++)
            {
                Assert.True(
                    expected[i].Admits(actual[t * N + i]),
                    $"Step {t + 1}, element {i}: {actual[t * N + i]:R} is not {expected[i]}.");
            }
        }
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(1000)]
    public void The_norm_is_within_the_bound_of_the_oracle(int n)
    {
        double[] g = Numbers(new Random(n), n);
        string @case = _folder.Write(
            "case.json", new JsonObject { ["inputs"] = new JsonObject { ["g"] = Tensor(g, n) } }.ToJsonString());

        JsonElement norm = ToolRun.Of("run", "optimizers/gradnorm", "--case", @case, "--device", ToolRun.Device).Json()
            .GetProperty("outputs").GetProperty("norm");

        Assert.Equal("[1]", norm.GetProperty("shape").GetRawText());
        Bounded expected = GradientNormReference.Norm(Array.ConvertAll(g, Bounded.FromDouble));
        Assert.True(expected.Admits(norm.GetProperty("data")[0].GetSingle()), expected.ToString());
    }

    [Fact]
    public void Numbers_that_are_not_finite_go_in_and_out_as_texts()
    {
        string @case = _folder.Write(
            "case.json",
            """
            {"inputs": {"p": {"shape": [4], "data": [1, "NaN", "Infinity", "-Infinity"]},
                        "g": {"shape": [1, 4], "data": [1, 0, 0, 0]}}, "options": {"learningRate": 1}}
            """);

        JsonElement data = ToolRun.Of("run", "optimizers/sgd", "--case", @case, "--device", ToolRun.Device).Json()
            .GetProperty("outputs").GetProperty("p").GetProperty("data");

        Assert.Equal("""[0,"NaN","Infinity","-Infinity"]""", data.GetRawText());
    }

    [Theory]
    [InlineData(0, 3)]
    [InlineData(2, 0)]
    public void Nothing_to_do_is_done(int steps, int n)
    {
        double[][] g = [.. Enumerable.Range(0, steps).Select(_ => new double[n])];
        string @case = _folder.Write("case.json", Case(new double[n], g, [], n));

        JsonElement p = ToolRun.Of("run", "optimizers/adam", "--case", @case, "--device", ToolRun.Device).Json()
            .GetProperty("outputs").GetProperty("p");

        Assert.Equal($"[{steps},{n}]", p.GetProperty("shape").GetRawText());
        Assert.Equal(0, p.GetProperty("data").GetArrayLength());
    }

    [Fact]
    public void The_result_goes_to_the_file_as_the_contract_says()
    {
        string @case = _folder.Write("case.json", Case([1, 2], [[0.5, -0.5]], [], 2));
        string @out = _folder.File("out.json");

        ToolRun run = ToolRun.Alone(
            "run", "optimizers/sgd", "--case", @case, "--device", ToolRun.Device, "--out", @out);

        Assert.Equal((0, "", ""), (run.ExitCode, run.Output, run.Error));
        using JsonDocument document = JsonDocument.Parse(File.ReadAllText(@out));
        JsonElement root = document.RootElement;
        Assert.Equal(
            ["operation", "device", "outputs", "seconds"], root.EnumerateObject().Select(property => property.Name),
            StringComparer.Ordinal);
        Assert.Equal("optimizers/sgd", root.GetProperty("operation").GetString());
        Assert.StartsWith(ToolRun.Device, root.GetProperty("device").GetString(), StringComparison.OrdinalIgnoreCase);
        Assert.Equal("[1,2]", root.GetProperty("outputs").GetProperty("p").GetProperty("shape").GetRawText());
        Assert.True(root.GetProperty("seconds").GetDouble() > 0);
    }

    [Fact]
    public void Npy_inputs_lie_beside_the_case()
    {
        File.WriteAllBytes(_folder.File("p.npy"), NpyFileTests.Npy("<f4", "(2,)", [1f, 2f]));
        File.WriteAllBytes(_folder.File("g.npy"), NpyFileTests.Npy("<f8", "(1, 2)", [0.5, -0.5]));
        string @case = _folder.Write(
            "case.json", """{"inputs": {"p": {"npy": "p.npy"}, "g": {"npy": "g.npy"}}, "options": {"learningRate": 1}}""");

        JsonElement data = ToolRun.Of("run", "optimizers/sgd", "--case", @case, "--device", ToolRun.Device).Json()
            .GetProperty("outputs").GetProperty("p").GetProperty("data");

        Assert.Equal("[0.5,2.5]", data.GetRawText());
    }

    private const string P = """{"shape": [2], "data": [1, 2]}""";
    private const string G = """{"shape": [1, 2], "data": [1, 2]}""";

    public static TheoryData<string, string> WrongCases => new()
    {
        { $$$$"""{"inputs": {"p": {{{{P}}}}}}""", "'g'" },
        { $$$$"""{"inputs": {"p": {{{{P}}}}, "g": {{{{G}}}}, "x": {{{{G}}}}}}""", "'x'" },
        { $$$$"""{"inputs": {"p": {{{{P}}}}, "p": {{{{P}}}}, "g": {{{{G}}}}}}""", "'p'" },
        { $$$$"""{"inputs": {"p": {{{{P}}}}, "g": {{{{P}}}}}}""", "[T, n]" },
        { $$$$"""{"inputs": {"p": {{{{P}}}}, "g": {"shape": [1, 3], "data": [1, 2, 3]}}}""", "n = 2" },
        { $$$$"""{"inputs": {"p": {{{{P}}}}, "g": {"shape": [1, 2], "data": [1]}}}""", "1 numbers" },
        { $$$$"""{"inputs": {"p": {{{{P}}}}, "g": {"shape": [1, -2], "data": []}}}""", "-2" },
        { $$$$"""{"inputs": {"p": {{{{P}}}}, "g": {"shape": [1, 2.5], "data": [1, 2]}}}""", "2.5" },
        { $$$$"""{"inputs": {"p": {{{{P}}}}, "g": {"shape": [1, 2], "data": [1, true]}}}""", "Element 1" },
        { $$$$"""{"inputs": {"p": {{{{P}}}}, "g": {"shape": [1, 2], "data": [1, 1e39]}}}""", "1e39" },
        { $$$$"""{"inputs": {"p": {{{{P}}}}, "g": {"shape": [1, 2], "data": [1, "nan"]}}}""", "\"nan\"" },
        { $$$$"""{"inputs": {"p": {{{{P}}}}, "g": {"shape": [1, 2], "data": [[1, 2]]}}}""", "'g'" },
        { $$$$"""{"inputs": {"p": {{{{P}}}}, "g": {"shape": [1, 2], "data": 1}}}""", "list" },
        { $$$$"""{"inputs": {"p": {{{{P}}}}, "g": {"shape": [1, 2]}}}""", "'g'" },
        { $$$$"""{"inputs": {"p": {{{{P}}}}, "g": {"shape": [1, 2], "data": [1, 2], "dtype": "f4"}}}""", "'dtype'" },
        { $$$$"""{"inputs": {"p": {{{{P}}}}, "g": {"npy": "nowhere.npy"}}}""", "nowhere.npy" },
        { $$$$"""{"inputs": {"p": {{{{P}}}}, "g": {"npy": 3}}}""", "npy" },
        { $$$$"""{"inputs": {"p": {{{{P}}}}, "g": {{{{G}}}}}, "options": {"rate": 1}}""", "'rate'" },
        { $$$$"""{"inputs": {"p": {{{{P}}}}, "g": {{{{G}}}}}, "options": {"amsGrad": true}}""", "'amsGrad'" },
        { $$$$"""{"inputs": {"p": {{{{P}}}}, "g": {{{{G}}}}}, "options": {"beta1": "0.9"}}""", "'beta1'" },
        { $$$$"""{"inputs": {"p": {{{{P}}}}, "g": {{{{G}}}}}, "options": {"beta1": null}}""", "'beta1'" },
        { $$$$"""{"inputs": {"p": {{{{P}}}}, "g": {{{{G}}}}}, "options": {"beta1": 1}}""", "beta1 must be in [0, 1)" },
        { $$$$"""{"inputs": {"p": {{{{P}}}}, "g": {{{{G}}}}}, "options": {"beta2": "NaN"}}""", "beta2 must be in [0, 1)" },
        { $$$$"""{"inputs": {"p": {{{{P}}}}, "g": {{{{G}}}}}, "options": {"learningRate": -1}}""", "learningRate must be" },
        { $$$$"""{"inputs": {"p": {{{{P}}}}, "g": {{{{G}}}}}, "options": {"learningRate": 1e999}}""", "learningRate must be" },
        { $$$$"""{"inputs": {"p": {{{{P}}}}, "g": {{{{G}}}}}, "options": {"amsgrad": 1}}""", "true or false" },
        { $$$$"""{"inputs": {"p": {{{{P}}}}, "g": {{{{G}}}}}, "options": {"amsgradRule": "Torch"}}""", "\"torch\" or \"optax\"" },
        { $$$$"""{"inputs": {"p": {{{{P}}}}, "g": {{{{G}}}}}, "options": []}""", "options" },
        { $$$$"""{"inputs": {"p": {{{{P}}}}, "g": {{{{G}}}}}, "option": {}}""", "'option'" },
        { """{"inputs": [1]}""", "inputs" },
        { "[]", "inputs" },
        { "{", "JSON" },
        { "", "JSON" },
    };

    [Theory]
    [MemberData(nameof(WrongCases))]
    public void A_wrong_case_is_refused_with_its_reason(string json, string reason) =>
        AssertRefused(reason, "run", "optimizers/adam", "--case", _folder.Write("case.json", json));

    [Fact]
    public void A_wrong_dtype_is_refused()
    {
        File.WriteAllBytes(_folder.File("g.npy"), NpyFileTests.Npy("<i4", "(1, 2)", [1, 2]));
        string @case = _folder.Write("case.json", $$$$"""{"inputs": {"p": {{{{P}}}}, "g": {"npy": "g.npy"}}}""");
        AssertRefused("must be float32", "run", "optimizers/adam", "--case", @case);
    }

    [Fact]
    public void A_wrong_command_line_is_refused()
    {
        string @case = _folder.Write("case.json", Case([1, 2], [[1, 2]], [], 2));
        AssertRefused("optimizers/adamw", "run", "optimizers/adamm", "--case", @case);
        AssertRefused("nowhere.json", "run", "optimizers/adam", "--case", _folder.File("nowhere.json"));
        AssertRefused("--case", "run", "optimizers/adam");
        AssertRefused("--wrong", "run", "optimizers/adam", "--case", @case, "--wrong");
        AssertRefused("cuda:99", "run", "optimizers/adam", "--case", @case, "--device", "cuda:99");
        AssertRefused("'abacus'", "run", "optimizers/adam", "--case", @case, "--device", "abacus");
        Assert.Equal(2, ToolRun.Of("runn").ExitCode);
        Assert.Equal(
            2,
            ToolRun.Of("run", "optimizers/adam", "--case", @case, "--out", _folder.File("no/such/folder.json")).ExitCode);
    }

    private void AssertRefused(string reason, params string[] arguments)
    {
        string @out = _folder.File("out.json");
        string[] device = arguments.Contains("--device", StringComparer.Ordinal) ? [] : ["--device", ToolRun.Device];

        ToolRun run = ToolRun.Of([.. arguments, .. device, "--out", @out]);

        Assert.Equal(2, run.ExitCode);
        Assert.Contains(reason, run.Error, StringComparison.Ordinal);
        Assert.Empty(run.Output);
        Assert.False(File.Exists(@out));
    }

    private float[] Run(string name, double[] p, double[][] g, JsonObject options)
    {
        string @case = _folder.Write("case.json", Case(p, g, options, p.Length));
        JsonElement root = ToolRun.Of("run", $"optimizers/{name}", "--case", @case, "--device", ToolRun.Device).Json();
        JsonElement output = root.GetProperty("outputs").GetProperty("p");
        Assert.Equal($"[{g.Length},{p.Length}]", output.GetProperty("shape").GetRawText());
        return [.. output.GetProperty("data").EnumerateArray().Select(number => number.GetSingle())];
    }

    private static string Case(double[] p, double[][] g, JsonObject options, int n) => new JsonObject
    {
        ["inputs"] = new JsonObject
        {
            ["p"] = Tensor(p, n),
            ["g"] = Tensor([.. g.SelectMany(row => row)], g.Length, n),
        },
        ["options"] = options.DeepClone(),
    }.ToJsonString();

    private static JsonObject Tensor(double[] data, params int[] shape) => new()
    {
        ["shape"] = new JsonArray([.. shape.Select(length => JsonValue.Create(length))]),
        ["data"] = new JsonArray([.. data.Select(number => JsonValue.Create(number))]),
    };

    private static double[] Numbers(Random random, int n) =>
        [.. Enumerable.Range(0, n).Select(_ => (double)(float)(random.NextDouble() * 4 - 2))];

    private static OptimizerReference Oracle(string name, JsonObject options)
    {
        double Number(string option, double standard) => options[option]?.GetValue<double>() ?? standard;
        bool Flag(string option, bool standard = false) => options[option]?.GetValue<bool>() ?? standard;

        double decay = Number("weightDecay", 0);
        double beta1 = Number("beta1", 0.9);
        double beta2 = Number("beta2", 0.999);
        bool maximize = Flag("maximize");
        return name switch
        {
            "sgd" => new SgdReference(
                Number("learningRate", 1e-3), Number("momentum", 0), Number("dampening", 0), Flag("nesterov"), decay,
                Flag("decoupled"), maximize),
            "adam" => new AdamReference(
                Number("learningRate", 1e-3), beta1, beta2, Number("epsilon", 1e-8), decay, Flag("decoupled"),
                Flag("amsgrad"), maximize: maximize),
            "adamw" => new AdamReference(
                Number("learningRate", 1e-3), beta1, beta2, Number("epsilon", 1e-8), Number("weightDecay", 0.01),
                Flag("decoupled", true), Flag("amsgrad"), maximize: maximize),
            "adagrad" => new AdaGradReference(
                Number("learningRate", 1e-2), Number("learningRateDecay", 0), decay, Number("initialAccumulator", 0),
                Number("epsilon", 1e-10), Flag("decoupled"), maximize),
            "rmsprop" => new RmsPropReference(
                Number("learningRate", 1e-2), Number("alpha", 0.99), Number("epsilon", 1e-8), Number("momentum", 0),
                Flag("centered"), decay, Flag("decoupled"), maximize),
            "lion" => new LionReference(
                Number("learningRate", 1e-4), beta1, Number("beta2", 0.99), decay, Flag("decoupled", true), maximize),
            "adabelief" => new AdaBeliefReference(
                Number("learningRate", 1e-3), beta1, beta2, Number("epsilon", 1e-16), decay,
                rectify: Flag("rectify", true), decoupled: Flag("decoupled", true), fixedDecay: Flag("fixedDecay"),
                degeneratedToSgd: Flag("degeneratedToSgd", true), amsgrad: Flag("amsgrad"), maximize: maximize),
            _ => new DiffGradReference(
                Number("learningRate", 1e-3), beta1, beta2, Number("epsilon", 1e-8), decay, Flag("decoupled"),
                maximize: maximize),
        };
    }
}
