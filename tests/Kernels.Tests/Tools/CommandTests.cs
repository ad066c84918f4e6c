using System.Text.Json;
using Kernels.Devices;
using Kernels.Optimizers;
using Kernels.Tools.Operations;

namespace Kernels.Tests.Tools;

public class CommandTests
{
    [Fact]
    public void The_list_describes_every_operation_and_kernel()
    {
        JsonElement root = ToolRun.Of("list", "--json").Json();
        string text = ToolRun.Of("list").Output;

        JsonElement[] operations = [.. root.GetProperty("operations").EnumerateArray()];
        Assert.Equal(OperationCatalog.All.Select(o => o.Name), operations.Select(NameOf), StringComparer.Ordinal);
        foreach (JsonElement operation in operations)
        {
            Assert.Contains(NameOf(operation), text, StringComparison.Ordinal);
            Assert.NotEqual(0, operation.GetProperty("inputs").GetArrayLength());
            Assert.NotEqual(0, operation.GetProperty("outputs").GetArrayLength());
        }

        JsonElement adamw = operations.Single(
            o => string.Equals(NameOf(o), "optimizers/adamw", StringComparison.Ordinal));
        Dictionary<string, JsonElement> options = adamw.GetProperty("options").EnumerateArray()
            .ToDictionary(NameOf, o => o.GetProperty("default"), StringComparer.Ordinal);
        Assert.Equal(
            ["amsgrad", "amsgradRule", "beta1", "beta2", "decoupled", "epsilon", "learningRate", "maximize", "weightDecay"],
            options.Keys.Order(StringComparer.Ordinal),
            StringComparer.Ordinal);
        Assert.Equal(0.01, options["weightDecay"].GetDouble());
        Assert.Equal("torch", options["amsgradRule"].GetString());
        Assert.True(options["decoupled"].GetBoolean());
        Assert.Contains(
            root.GetProperty("kernels").EnumerateArray(),
            kernel => kernel.GetProperty("id").GetString()!.StartsWith("optimizers/", StringComparison.Ordinal));
    }

    private static string NameOf(JsonElement element) => element.GetProperty("name").GetString()!;

    [Fact]
    public void Every_optimizer_of_the_library_is_an_operation()
    {
        IEnumerable<Type> records = typeof(OptimizerOptions).Assembly.GetExportedTypes()
            .Where(type => !type.IsAbstract && type.IsSubclassOf(typeof(ElementwiseOptions)));

        foreach (Type record in records)
        {
            string name = "optimizers/" + record.Name[..^"Options".Length].ToLowerInvariant();
            Assert.Equal(name, OperationCatalog.Find(name).Name);
        }
    }

    [Fact]
    public void The_devices_are_those_of_the_library()
    {
        JsonElement root = ToolRun.Of("devices", "--json").Json();

        Assert.Equal(
            DeviceList.All().Select(d => d.Selector),
            root.GetProperty("devices").EnumerateArray().Select(d => d.GetProperty("device").GetString()),
            StringComparer.Ordinal);
        string chosen = root.GetProperty("chosen").GetString()!;
        Assert.Contains($"* {chosen}", ToolRun.Of("devices").Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData]
    [InlineData("devices")]
    [InlineData("list")]
    [InlineData("inspect")]
    [InlineData("run")]
    [InlineData("demo")]
    public void Help_says_what_a_command_is_for(params string[] command)
    {
        ToolRun run = ToolRun.Of([.. command, "--help"]);

        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        Assert.Contains("Description:", run.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("optimizers", "diffGrad", "optimizers.png")]
    [InlineData("vq", "SimVQ", "vq-256.png", "vq-256-usage.png")]
    [InlineData("dct", "Trion", "dct.png")]
    [InlineData("codes", "JLCM", "codebooks.png")]
    public void A_part_of_the_demo_runs_and_leaves_pictures(string part, string last, params string[] pictures)
    {
        using var folder = new TemporaryFolder();
        // Products of 512, and thousands of steps, would take minutes on a simulated device.
        string device = part is "dct" or "codes" ? "cpu" : ToolRun.Device;

        ToolRun run = ToolRun.Of(
            "demo", "--part", part, "--epochs", "1", "--steps", "1", "--out", folder.File("demo"), "--device", device);

        Assert.True(run.ExitCode == 0, run.Error);
        Assert.Contains(last, run.Output, StringComparison.Ordinal);
        foreach (string name in pictures)
        {
            byte[] picture = File.ReadAllBytes(folder.File($"demo/{name}"));
            Assert.Equal("\x89PNG"u8.ToArray()[^3..], picture[1..4]);
            Assert.True(picture.Length > 10_000);
        }
    }

    [Fact]
    public void The_demo_refuses_what_it_cannot_do()
    {
        using var folder = new TemporaryFolder();
        string file = folder.Write("file", "");

        Assert.Equal(2, ToolRun.Of("demo", "--epochs", "0", "--out", folder.File("a")).ExitCode);
        Assert.Equal(2, ToolRun.Of("demo", "--steps", "0", "--out", folder.File("a")).ExitCode);
        Assert.Equal(2, ToolRun.Of("demo", "--part", "digits", "--out", folder.File("a")).ExitCode);
        Assert.Equal(2, ToolRun.Of("demo", "--epochs", "many", "--out", folder.File("a")).ExitCode);
        Assert.Equal(2, ToolRun.Of("demo", "--device", "cuda:99", "--out", folder.File("a")).ExitCode);
        Assert.Equal(2, ToolRun.Of("demo", "--out", file).ExitCode);
        Assert.False(Directory.Exists(folder.File("a")));
    }
}
