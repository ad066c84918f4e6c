using System.Text.Json;
using Kernels.Tools.Inspection;

namespace Kernels.Tests.Tools;

public class InspectTests
{
    private const string Adam = "optimizers/update.packets";

    [Fact]
    public void A_kernel_is_shown_with_its_table()
    {
        ToolRun run = ToolRun.Of("inspect", Adam, "--instance", "4");

        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        Assert.Contains(".visible .entry Kernel_Packets(", run.Output, StringComparison.Ordinal);
        string table = run.Output[run.Output.IndexOf(Adam, StringComparison.Ordinal)..];
        Assert.StartsWith($"{Adam}<AdamRule, F32, F32, NoExtras>", table, StringComparison.Ordinal);
        Assert.Matches(@"(?m)^  global load         v4\.f32 +2 of 128 bits\r?$", table);
        Assert.Matches(@"(?m)^global bytes of an element, counted +28\r?$", table);
        Assert.Contains("writes p, m, v: 28 bytes in F32.", table, StringComparison.Ordinal);
        Assert.DoesNotContain('\e', run.Output);
        Assert.All(table.Split('\n'), line => Assert.True(line.TrimEnd('\r').Length <= 80, line));
    }

    [Theory]
    [InlineData("f32", 28, "PTX for sm_80")]
    [InlineData("f16", 22, "PTX for sm_80")]
    [InlineData("bf16", 22, "PTX for sm_80")]
    [InlineData("bf16", 22, "OpenCL C")]
    public void Half_the_storage_moves_half_the_bytes(string storage, int bytes, string code)
    {
        string target = code.StartsWith("PTX", StringComparison.Ordinal) ? "ptx" : "opencl";

        ToolRun run = ToolRun.Of(
            "inspect", Adam, "--storage", storage, "--instance", "4", "--summary", "--target", target);

        Assert.StartsWith(
            $"{Adam}<AdamRule, {storage.ToUpperInvariant()}, {storage.ToUpperInvariant()}, NoExtras>", run.Output,
            StringComparison.Ordinal);
        Assert.Contains(code, run.Output, StringComparison.Ordinal);
        Assert.Matches($@"(?m)^global bytes of an element, counted +{bytes}\r?$", run.Output);
    }

    [Fact]
    public void All_is_a_line_for_each_instance()
    {
        JsonElement root = ToolRun.Of("inspect", "vq/segmentsort", "--all", "--json").Json();
        ToolRun table = ToolRun.Of("inspect", "vq/segmentsort", "--all", "--storage", "f32");

        (string Id, string Types)[] expected =
        [
            .. DeviceKernels.Ids.Where(id => id.StartsWith("vq/segmentsort", StringComparison.Ordinal))
                .SelectMany(id => DeviceKernels.Instances(id)).Select(instance => (instance.Id, instance.Types)),
        ];
        JsonElement[] instances = [.. root.GetProperty("instances").EnumerateArray()];
        Assert.NotEmpty(expected);
        Assert.Equal(
            expected, instances.Select(i => (i.GetProperty("id").GetString()!, i.GetProperty("types").GetString()!)));
        Assert.Equal("ptx", root.GetProperty("target").GetString());
        Assert.All(instances, i =>
        {
            Assert.True(i.GetProperty("code").GetInt32() > 0);
            Assert.Equal(
                i.GetProperty("code").GetInt32(),
                i.GetProperty("instructions").EnumerateObject().Sum(kind => kind.Value.GetInt32())
                + i.GetProperty("accesses").EnumerateArray().Sum(access => access.GetProperty("count").GetInt32()));
        });
        Assert.Equal(0, table.ExitCode);
        string[] lines = [.. table.Output.Split('\n').Select(line => line.TrimEnd('\r'))];
        Assert.Equal(
            expected.Length, lines.Count(line => line.Length > 4 && int.TryParse(line[..4], out int n) && n > 0));
        Assert.All(lines, line => Assert.True(line.Length <= 80, line));
    }

    [Fact]
    public void A_name_that_is_wrong_is_refused_with_those_near_it()
    {
        ToolRun typo = ToolRun.Of("inspect", "optimizers/update.packts");
        ToolRun part = ToolRun.Of("inspect", "matmul");
        ToolRun nonsense = ToolRun.Of("inspect", "?", "--all");

        Assert.Equal((2, 2, 2), (typo.ExitCode, part.ExitCode, nonsense.ExitCode));
        Assert.Empty(typo.Output);
        Assert.Contains("Near it: optimizers/update.packets,", typo.Error, StringComparison.Ordinal);
        Assert.Contains("linear/matmul.panel, linear/matmul.tile.", part.Error, StringComparison.Ordinal);
        Assert.Contains("begins with '?'. 'kernels list' shows all.", nonsense.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Name an entry point")]
    [InlineData("sm_70, sm_75, sm_80, sm_86, sm_89 or sm_90", Adam, "--arch", "sm_81")]
    [InlineData("instances 1 to", Adam, "--instance", "0")]
    [InlineData("instances 1 to", Adam, "--instance", "1000")]
    [InlineData("--all shows every instance", "--all", "--instance", "1")]
    [InlineData("no tensor whose storage can be chosen", "vq/segmentsort.scan", "--storage", "f16")]
    [InlineData("'f64'", Adam, "--storage", "f64")]
    [InlineData("'metal'", Adam, "--target", "metal")]
    [InlineData("from 1 to 1024", Adam, "--group", "0")]
    public void What_cannot_be_done_is_refused(string message, params string[] arguments)
    {
        ToolRun run = ToolRun.Of(["inspect", .. arguments]);

        Assert.Equal((2, ""), (run.ExitCode, run.Output));
        Assert.Contains(message, run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void Machine_code_needs_the_assembler()
    {
        ToolRun run = ToolRun.Of("inspect", Adam, "--target", "sass", "--summary");

        if (Assembler.Find() is null)
        {
            Assert.Equal((2, ""), (run.ExitCode, run.Output));
            Assert.Contains("ptxas", run.Error, StringComparison.Ordinal);
        }
        else
        {
            Assert.True(run.ExitCode == 0, run.Error);
            Assert.Matches(@"(?m)^  global load         E\.128 +5 of 128 bits\r?$", run.Output);
            Assert.Matches(@"(?m)^occupancy in percent +\d+\r?$", run.Output);
        }
    }
}
