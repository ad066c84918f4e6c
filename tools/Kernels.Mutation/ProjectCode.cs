using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.Emit;
using Microsoft.CodeAnalysis.Text;

namespace Kernels.Mutation;

/// <summary>The device code or the references as their project compiles them, with changes.</summary>
internal sealed class ProjectCode
{
    private readonly CSharpCompilation _compilation;
    private readonly Dictionary<string, SyntaxTree> _trees = new(StringComparer.Ordinal);

    /// <summary>Reads the sources.</summary>
    /// <param name="root">The repository.</param>
    /// <param name="folder">The project's folder in it.</param>
    /// <param name="assembly">The project's assembly.</param>
    /// <param name="build">The part of an output's path that says how it was built.</param>
    /// <param name="libraries">The folder with the libraries that it uses.</param>
    /// <param name="isHost">Whether .NET alone runs it.</param>
    internal ProjectCode(string root, string folder, string assembly, string build, string libraries, bool isHost)
    {
        Assembly = assembly;
        IsHost = isHost;
        foreach (string path in Directory.EnumerateFiles(Path.Combine(root, folder), "*.cs", SearchOption.AllDirectories))
        {
            string name = Path.GetRelativePath(root, path).Replace('\\', '/');
            if (!name.StartsWith($"{folder}/obj/", StringComparison.Ordinal)
                && !name.StartsWith($"{folder}/bin/", StringComparison.Ordinal))
            {
                _trees.Add(name, Parse(path));
            }
        }

        // What the build has written for the project, such as its global usings.
        string[] made = [.. Directory.EnumerateFiles(Path.Combine(root, folder, "obj", build), $"{assembly}.*.cs")];
        string framework = Path.GetDirectoryName(typeof(object).Assembly.Location)!;
        string[] references =
        [
            .. ((string)AppContext.GetData("TRUSTED_PLATFORM_ASSEMBLIES")!).Split(Path.PathSeparator)
                .Where(path => string.Equals(Path.GetDirectoryName(path), framework, StringComparison.Ordinal)),
            Path.Combine(libraries, "ILGPU.dll"),
            Path.Combine(libraries, "ILGPU.Algorithms.dll"),
        ];
        _compilation = CSharpCompilation.Create(
            assembly,
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

    /// <summary>The name of its assembly.</summary>
    internal string Assembly { get; }

    /// <summary>Whether .NET alone runs it, so that a <see cref="Switch"/> can be in it.</summary>
    internal bool IsHost { get; }

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

    /// <summary>The assembly with many mutants of a file behind a switch; those that do not compile are dropped.</summary>
    internal byte[]? Compile(string file, Switch mutants)
    {
        CSharpCompilation all = _compilation.AddSyntaxTrees(CSharpSyntaxTree.ParseText(Switch.Source, Language));
        while (true)
        {
            (string text, IReadOnlyList<(TextSpan Span, int Number)> places) = mutants.Write();
            SyntaxTree changed = CSharpSyntaxTree.ParseText(text, Language);
            using var stream = new MemoryStream();
            EmitResult result = all.ReplaceSyntaxTree(_trees[file], changed).Emit(stream);
            if (result.Success)
            {
                return stream.ToArray();
            }

            int count = mutants.Live.Count;
            foreach (Diagnostic error in result.Diagnostics.Where(d => d.Location.SourceTree == changed))
            {
                mutants.Live.ExceptWith(
                    places.Where(place => place.Span.Contains(error.Location.SourceSpan.Start)).Select(place => place.Number));
            }

            if (mutants.Live.Count == count)
            {
                return null;
            }
        }
    }

    private static SyntaxTree Parse(string path) =>
        CSharpSyntaxTree.ParseText(SourceText.From(File.ReadAllText(path), System.Text.Encoding.UTF8), Language, path);
}
