using System.Reflection;
using System.Text;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;
using Microsoft.CodeAnalysis.Text;

namespace Kernels.Mutation;

/// <summary>
/// A source file with many mutants at once: each body that is changed is there once for each of its mutants, and a static
/// field says which of them runs. So they are compiled and loaded once.
/// </summary>
/// <remarks>Only for code that .NET itself runs: device code has no such fields.</remarks>
internal sealed class Switch
{
    private const string Name = "MutantSwitch";

    private readonly SourceText _text;
    private readonly IReadOnlyList<Mutant> _mutants;
    private readonly Body[] _bodies;

    /// <param name="text">The file.</param>
    /// <param name="mutants">Its mutants; their numbers are their places here, from 1 on.</param>
    internal Switch(SourceText text, IReadOnlyList<Mutant> mutants)
    {
        _text = text;
        _mutants = mutants;
        SyntaxNode root = CSharpSyntaxTree.ParseText(text, ProjectCode.Language).GetRoot();
        _bodies = [.. root.DescendantNodes().SelectMany(Bodies)];
        Live = [.. Enumerable.Range(1, mutants.Count).Where(i => Array.Exists(_bodies, body => Has(body, i)))];
    }

    /// <summary>The field.</summary>
    internal static string Source => $"public static class {Name} {{ public static int Mutant; }}";

    /// <summary>The numbers of those that are in the text: not those outside of bodies, nor those that were dropped.</summary>
    internal SortedSet<int> Live { get; }

    /// <summary>Chooses one; 0 for none.</summary>
    internal static void Set(int mutant) =>
        Assembly.Load("Kernels.References").GetType(Name)!.GetField("Mutant")!.SetValue(null, mutant);

    /// <summary>The text, and where in it each mutant is.</summary>
    internal (string Text, IReadOnlyList<(TextSpan Span, int Number)> Places) Write()
    {
        var text = new StringBuilder();
        var places = new List<(TextSpan, int)>();
        int at = 0;
        foreach (Body body in _bodies)
        {
            int[] own = [.. Live.Where(i => Has(body, i))];
            if (own.Length == 0)
            {
                continue;
            }

            text.Append(_text.ToString(TextSpan.FromBounds(at, body.Whole.Start)));
            at = body.Whole.End;
            text.Append(body.IsProperty ? "{ get { " : "{ ").AppendLine($"switch ({Name}.Mutant) {{");
            foreach (int number in own)
            {
                text.Append($"case {number}: ");
                int start = text.Length;
                Append(text, body, Code(body, _mutants[number - 1].Change));
                places.Add((TextSpan.FromBounds(start, text.Length), number));
            }

            Append(text.Append("default: "), body, _text.ToString(body.Code));
            text.Append(body.IsProperty ? "} } }" : "} }");
        }

        text.Append(_text.ToString(TextSpan.FromBounds(at, _text.Length)));
        return (text.ToString(), places);
    }

    private static void Append(StringBuilder text, Body body, string code)
    {
        if (body.Returns)
        {
            text.Append("return ").Append(code).AppendLine(";");
        }
        else
        {
            text.Append(code).AppendLine("; break;");
        }
    }

    private static IEnumerable<Body> Bodies(SyntaxNode node)
    {
        if (node is BaseMethodDeclarationSyntax method
            && !(node is ConstructorDeclarationSyntax && method.Modifiers.Any(SyntaxKind.StaticKeyword)))
        {
            bool isVoid = method is ConstructorDeclarationSyntax
                or MethodDeclarationSyntax { ReturnType: PredefinedTypeSyntax { Keyword.RawKind: (int)SyntaxKind.VoidKeyword } };
            if (method.Body is { } block)
            {
                yield return new Body(block.Span, block.Span, Returns: false, IsProperty: false);
            }
            else if (method.ExpressionBody is { Expression: not (RefExpressionSyntax or ThrowExpressionSyntax) } arrow)
            {
                yield return new Body(
                    TextSpan.FromBounds(arrow.SpanStart, method.SemicolonToken.Span.End), arrow.Expression.Span, !isVoid,
                    IsProperty: false);
            }
        }
        else if (node is PropertyDeclarationSyntax { ExpressionBody: { Expression: not RefExpressionSyntax } property })
        {
            yield return new Body(
                TextSpan.FromBounds(property.SpanStart, node.Span.End), property.Expression.Span, Returns: true,
                IsProperty: true);
        }
        else if (node is IndexerDeclarationSyntax { ExpressionBody: { Expression: not RefExpressionSyntax } indexer })
        {
            yield return new Body(
                TextSpan.FromBounds(indexer.SpanStart, node.Span.End), indexer.Expression.Span, Returns: true,
                IsProperty: true);
        }
        else if (node is AccessorDeclarationSyntax { Body: { } accessor })
        {
            yield return new Body(accessor.Span, accessor.Span, Returns: false, IsProperty: false);
        }
    }

    private bool Has(Body body, int number) => body.Code.Contains(_mutants[number - 1].Change.Span);

    private string Code(Body body, TextChange change) =>
        _text.ToString(TextSpan.FromBounds(body.Code.Start, change.Span.Start)) + change.NewText
        + _text.ToString(TextSpan.FromBounds(change.Span.End, body.Code.End));

    /// <summary>A body: all of it, with an arrow and a semicolon, and the block or the expression in it.</summary>
    private sealed record Body(TextSpan Whole, TextSpan Code, bool Returns, bool IsProperty);
}
