using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.Text;

namespace Kernels.Mutation;

/// <summary>The device code as its project compiles it, with changes.</summary>
internal sealed class DeviceCode
{
    internal const string Assembly = "Kernels.DeviceCode";

    private readonly CSharpCompilation _compilation;
    private readonly Dictionary<string, SyntaxTree> _trees = new(StringComparer.Ordinal);

    /// <summary>Reads the sources.</summary>
    /// <param name="root">The repository.</param>
    /// <param name="generated">What the build has written for the project, such as its global usings.</param>
    /// <param name="libraries">The folder with the libraries that it uses.</param>
    internal DeviceCode(string root, string generated, string libraries)
    {
        string folder = Path.Combine(root, "kernels");
        foreach (string path in Directory.EnumerateFiles(folder, "*.cs", SearchOption.AllDirectories))
        {
            string name = Path.GetRelativePath(root, path).Replace('\\', '/');
            if (!name.StartsWith("kernels/obj/", StringComparison.Ordinal)
                && !name.StartsWith("kernels/bin/", StringComparison.Ordinal))
            {
                _trees.Add(name, Parse(path));
            }
        }

        string[] made = [.. Directory.EnumerateFiles(generated, $"{Assembly}.*.cs")];
        string framework = Path.GetDirectoryName(typeof(object).Assembly.Location)!;
        string[] references =
        [
            .. ((string)AppContext.GetData("TRUSTED_PLATFORM_ASSEMBLIES")!).Split(Path.PathSeparator)
                .Where(path => string.Equals(Path.GetDirectoryName(path), framework, StringComparison.Ordinal)),
            Path.Combine(libraries, "ILGPU.dll"),
            Path.Combine(libraries, "ILGPU.Algorithms.dll"),
        ];
        _compilation = CSharpCompilation.Create(
            Assembly,
            [.. _trees.Values, .. made.Select(Parse)],
            references.Select(path => MetadataReference.CreateFromFile(path)),
            new CSharpCompilationOptions(
                OutputKind.DynamicallyLinkedLibrary,
                optimizationLevel: OptimizationLevel.Release,
                allowUnsafe: true,
                concurrentBuild: false,
                reportSuppressedDiagnostics: false,
                generalDiagnosticOption: ReportDiagnostic.Suppress,
                // Only warnings come of it.
                nullableContextOptions: NullableContextOptions.Disable,
                deterministic: true));
    }

    /// <summary>The language of the project.</summary>
    internal static CSharpParseOptions Language { get; } = new(LanguageVersion.CSharp14, DocumentationMode.None);

    /// <summary>The text of a file of it.</summary>
    internal SourceText Text(string file) => _trees[file].GetText();

    /// <summary>The assembly with changes of one file; null if it does not compile.</summary>
    internal byte[]? Compile(string file, params TextChange[] changes)
    {
        SyntaxTree old = _trees[file];
        SyntaxTree changed = old.WithChangedText(old.GetText().WithChanges(changes));
        using var stream = new MemoryStream();
        return _compilation.ReplaceSyntaxTree(old, changed).Emit(stream).Success ? stream.ToArray() : null;
    }

    private static SyntaxTree Parse(string path) =>
        CSharpSyntaxTree.ParseText(SourceText.From(File.ReadAllText(path), System.Text.Encoding.UTF8), Language, path);
}
