using System.IO.Compression;
using System.Text.RegularExpressions;
using System.Xml.Linq;
using Kernels.Tests.Support;
using Xunit.Abstractions;

namespace Kernels.Tests.Packaging;

/// <summary>The packages, as somebody meets them who has nothing else of the project.</summary>
public sealed partial class ConsumerTests(ITestOutputHelper output) : IDisposable
{
    private const string Version = "0.1.0-consumer"; // no package of that version is anywhere but in the folder packed here

    private const string Prelude =
        """
        using System.Globalization;
        using ILGPU;
        using ILGPU.Runtime;
        using Kernels;
        using Kernels.Dct;
        using Kernels.Interop;
        using Kernels.Linear;
        using Kernels.Optimizers;
        using Kernels.Quantization;
        using Kernels.References.Fuzzing;
        using Kernels.VectorQuantization;
        using Xunit;

        CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;

        """;

    private const string Base =
        """

        internal abstract class Sample
        {
            protected static readonly Session session = Session.Open();
            protected static readonly Accelerator accelerator = session.Accelerator;
            protected static readonly AcceleratorStream stream = accelerator.DefaultStream;

            protected static float[] Uniform(int length)
            {
                var random = new Random(1);
                float[] values = new float[length];
                foreach (ref float value in values.AsSpan())
                {
                    value = random.NextSingle() - 0.5f;
                }

                return values;
            }
        }

        """;

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("kernels-consumer");

    /// <inheritdoc/>
    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public void Packages_hold_what_their_users_need_and_every_sample_of_README_compiles_and_prints_what_it_says()
    {
        if (!TestDevices.IsHost)
        {
            return; // what is packed does not depend on the device
        }

        string feed = Path.Combine(_folder.FullName, "feed");
        DotNet(Repository.Root, "pack", "Kernels.sln", "-c", Repository.Configuration, "--no-build", "-o", feed, $"-p:Version={Version}");
        AssertPackages(feed);

        string[] blocks = [.. Block().Matches(File.ReadAllText(Path.Combine(Repository.Root, "README.md")))
            .Select(match => $"{match.Groups["given"].Value}\n{match.Groups["code"].Value}")];
        Assert.InRange(blocks.Length, 15, 100);
        string[] wanted = [.. Printed().Matches(string.Concat(blocks)).Select(match => match.Groups[1].Value)];
        Assert.NotEmpty(wanted);

        File.WriteAllText(Path.Combine(_folder.FullName, "Program.cs"), Program(blocks));
        File.WriteAllText(Path.Combine(_folder.FullName, "Consumer.csproj"), Project(feed));
        // What cannot be compiled ahead of time says so to who would.
        Assert.Contains("warning IL3050", DotNet(_folder.FullName, "build", "Consumer.csproj", "-c", "Release"), StringComparison.Ordinal);
        string printed = DotNet(_folder.FullName, "run", "-c", "Release", "--no-build", "--project", "Consumer.csproj");
        Assert.Equal(
            Sorted(Enumerable.Range(0, blocks.Length).Select(i => $"sample {i}").Concat(wanted)), Sorted(printed.Split('\n')));
    }

    private static string Sorted(IEnumerable<string> lines) =>
        string.Join('\n', lines.Select(line => line.Trim()).Where(line => line.Length > 0).Order(StringComparer.Ordinal));

    private static void AssertPackages(string feed)
    {
        string[] packages = Directory.GetFiles(feed, "*.nupkg");
        string[] names = [.. packages.Select(package => Path.GetFileName(package)[..^$".{Version}.nupkg".Length])];
        Assert.Equal(
            Set(["Kernels", "Kernels.ML", "Kernels.OnnxRuntime", "Kernels.References", "Kernels.Tensors", "Kernels.TorchSharp"]),
            Set(names));
        foreach ((string package, string name) in packages.Zip(names))
        {
            using ZipArchive archive = ZipFile.OpenRead(package);
            using ZipArchive symbols = ZipFile.OpenRead(Path.ChangeExtension(package, ".snupkg"));
            using Stream stream = archive.GetEntry($"{name}.nuspec")!.Open();
            var metadata = XDocument.Load(stream);
            string[] dependencies = [.. Elements(metadata, "dependency").Select(e => e.Attribute("id")!.Value)];
            Assert.Superset(Set(["README.md", $"lib/net10.0/{name}.dll", $"lib/net10.0/{name}.xml"]), Entries(archive));
            Assert.Superset(Set([$"lib/net10.0/{name}.pdb"]), Entries(symbols));
            Assert.Equal("MIT", Elements(metadata, "license").Single().Value);
            Assert.NotEmpty(Elements(metadata, "description").Single().Value);
            Assert.NotEmpty(Elements(metadata, "tags").Single().Value);
            if (string.Equals(name, "Kernels", StringComparison.Ordinal))
            {
                Assert.Superset(Set(["lib/net10.0/Kernels.DeviceCode.dll"]), Entries(archive));
                Assert.Superset(Set(["lib/net10.0/Kernels.DeviceCode.pdb"]), Entries(symbols));
                Assert.Equal(Set(["ILGPU", "ILGPU.Algorithms"]), Set(dependencies));
            }
        }
    }

    private static HashSet<string> Set(IEnumerable<string> names) => new(names, StringComparer.Ordinal);

    private static HashSet<string> Entries(ZipArchive archive) => Set(archive.Entries.Select(entry => entry.FullName));

    private static IEnumerable<XElement> Elements(XDocument document, string name) =>
        document.Descendants().Where(e => string.Equals(e.Name.LocalName, name, StringComparison.Ordinal));

    private static string Program(string[] blocks) =>
        Prelude
        + string.Concat(blocks.Select((_, i) => $"Console.WriteLine(\"sample {i}\");\nSample{i}.Run();\n"))
        + Base
        + string.Concat(blocks.Select((block, i) =>
            $"internal sealed class Sample{i} : Sample\n{{\n    internal static void Run()\n    {{\n{block}\n    }}\n}}\n\n"));

    private static string Project(string feed) =>
        $"""
        <Project Sdk="Microsoft.NET.Sdk">
          <PropertyGroup>
            <OutputType>Exe</OutputType>
            <TargetFramework>net10.0</TargetFramework>
            <Nullable>enable</Nullable>
            <ImplicitUsings>enable</ImplicitUsings>
            <NuGetAudit>false</NuGetAudit>
            <EnableAotAnalyzer>true</EnableAotAnalyzer>
            <RestoreAdditionalProjectSources>{feed}</RestoreAdditionalProjectSources>
            <RestorePackagesPath>packages</RestorePackagesPath>
            <RestoreFallbackFolders>$(NuGetPackageFolder)</RestoreFallbackFolders>
          </PropertyGroup>
          <ItemGroup>
            <PackageReference Include="Kernels" Version="{Version}" />
            <PackageReference Include="Kernels.References" Version="{Version}" />
            <PackageReference Include="xunit.assert" Version="{typeof(Assert).Assembly.GetName().Version!.ToString(3)}" />
          </ItemGroup>
        </Project>
        """;

    private string DotNet(string folder, params string[] arguments)
    {
        string printed = Repository.DotNet(folder, arguments, out int code);
        output.WriteLine(printed);
        Assert.True(code == 0, printed);
        return printed;
    }

    [GeneratedRegex(@"(?:<!-- given\n(?<given>.*?)\n-->\n)?```csharp\n(?<code>.*?)```", RegexOptions.Singleline | RegexOptions.ExplicitCapture)]
    private static partial Regex Block();

    [GeneratedRegex(@"// prints (.*)")]
    private static partial Regex Printed();
}
