using System.Globalization;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;
using Microsoft.CodeAnalysis.Text;

namespace Kernels.Mutation;

/// <summary>All mutants of a source file, by members in the order of the text.</summary>
/// <remarks>
/// Only what members do is changed. Constants and defaults of parameters that other assemblies see stay: those have the
/// values in them.
/// </remarks>
internal sealed class MutantGenerator : CSharpSyntaxWalker
{
    private static readonly Dictionary<string, string> s_operators = new(StringComparer.Ordinal)
    {
        ["+"] = "-",
        ["-"] = "+",
        ["*"] = "/",
        ["/"] = "*",
        ["<"] = "<=",
        ["<="] = "<",
        [">"] = ">=",
        [">="] = ">",
        ["=="] = "!=",
        ["!="] = "==",
        ["+="] = "-=",
        ["-="] = "+=",
        ["*="] = "/=",
        ["/="] = "*=",
    };

    private static readonly Dictionary<string, string> s_names = new(StringComparer.Ordinal)
    {
        ["Min"] = "Max",
        ["Max"] = "Min",
        ["IfLess"] = "IfGreater",
        ["IfGreater"] = "IfLess",
    };

    private readonly SourceText _text;
    private readonly List<Mutant> _mutants = [];
    private string _member = "";

    private MutantGenerator(SourceText text) => _text = text;

    /// <summary>The mutants of a source text.</summary>
    internal static IReadOnlyList<Mutant> Mutants(SourceText text)
    {
        var generator = new MutantGenerator(text);
        foreach ((string name, MemberDeclarationSyntax member) in Members(text))
        {
            generator._member = name;
            generator.Visit(member);
        }

        return generator._mutants;
    }

    /// <summary>For each member that does something, the change that makes it do nothing.</summary>
    /// <remarks>Not one that throws: device code that is compiled and never runs would fail too.</remarks>
    internal static IReadOnlyDictionary<string, TextChange[]> Empties(SourceText text)
    {
        var changes = new List<(string Member, TextChange Change)>();
        foreach ((string name, MemberDeclarationSyntax member) in Members(text))
        {
            bool isVoid = member is MethodDeclarationSyntax { ReturnType: PredefinedTypeSyntax type }
                && type.Keyword.IsKind(SyntaxKind.VoidKeyword);
            foreach (SyntaxNode node in member.DescendantNodesAndSelf(inner => inner is not StatementSyntax))
            {
                // What is 0 would be the same.
                if (node is ArrowExpressionClauseSyntax arrow
                    && arrow.Expression is not LiteralExpressionSyntax { Token.Value: 0 or 0f or 0d })
                {
                    changes.Add((name, isVoid
                        ? new TextChange(TextSpan.FromBounds(arrow.SpanStart, member.Span.End), "{ }")
                        : new TextChange(arrow.Expression.Span, "default")));
                }
                else if (node is BlockSyntax { Parent: not StatementSyntax } block)
                {
                    changes.Add((name, new TextChange(block.Span, isVoid ? "{ }" : "{ return default; }")));
                }
            }
        }

        return changes.GroupBy(each => each.Member, StringComparer.Ordinal)
            .ToDictionary(
                group => group.Key, group => group.Select(each => each.Change).ToArray(), StringComparer.Ordinal);
    }

    public override void VisitAttributeList(AttributeListSyntax node)
    {
    }

    public override void VisitParameter(ParameterSyntax node)
    {
        if (node.FirstAncestorOrSelf<MemberDeclarationSyntax>() is { } member
            && member.Modifiers.Any(SyntaxKind.PrivateKeyword))
        {
            base.VisitParameter(node);
        }
    }

    public override void VisitBinaryExpression(BinaryExpressionSyntax node)
    {
        string sign = node.OperatorToken.Text;
        if (sign is "+" or "*")
        {
            Add(node, node.Left.ToString());
            Add(node, node.Right.ToString());
        }
        else if (sign is "-" or "/")
        {
            Add(node, node.Left.ToString());
            Add(node, sign is "-" ? $"-{Operand(node.Right)}" : Operand(node.Right));
            Add(node, $"{Operand(node.Right)} {sign} {Operand(node.Left)}");
        }

        Swap(node.OperatorToken);

        base.VisitBinaryExpression(node);
    }

    public override void VisitLiteralExpression(LiteralExpressionSyntax node)
    {
        if (node.IsKind(SyntaxKind.NumericLiteralExpression) && node.Token.Value is { } value)
        {
            string text = node.Token.Text;
            double number = Convert.ToDouble(value, CultureInfo.InvariantCulture);
            bool isReal = value is float or double;
            Add(node, number switch
            {
                0 when text is ['0', ..] => $"1{Suffix(text)}",
                1 when text is ['1', ..] => $"0{Suffix(text)}",
                _ => isReal ? $"({text} * 1.01{(value is float ? "f" : "")})" : $"({text} + 1)",
            });
        }
    }

    public override void VisitIfStatement(IfStatementSyntax node)
    {
        Negate(node.Condition);
        base.VisitIfStatement(node);
    }

    public override void VisitWhileStatement(WhileStatementSyntax node)
    {
        Negate(node.Condition);
        base.VisitWhileStatement(node);
    }

    public override void VisitConditionalExpression(ConditionalExpressionSyntax node)
    {
        Negate(node.Condition);
        base.VisitConditionalExpression(node);
    }

    public override void VisitInvocationExpression(InvocationExpressionSyntax node)
    {
        if (node.Expression is MemberAccessExpressionSyntax { Name: IdentifierNameSyntax name }
            && s_names.TryGetValue(name.Identifier.Text, out string? other))
        {
            Add(name, other);
        }

        base.VisitInvocationExpression(node);
    }

    public override void VisitExpressionStatement(ExpressionStatementSyntax node)
    {
        if (node.Expression is AssignmentExpressionSyntax)
        {
            Add(node, ";");
        }

        base.VisitExpressionStatement(node);
    }

    public override void VisitAssignmentExpression(AssignmentExpressionSyntax node)
    {
        Swap(node.OperatorToken);

        base.VisitAssignmentExpression(node);
    }

    private static IEnumerable<(string Name, MemberDeclarationSyntax Member)> Members(SourceText text)
    {
        SyntaxNode root = CSharpSyntaxTree.ParseText(text, ProjectCode.Language).GetRoot();
        foreach (TypeDeclarationSyntax type in root.DescendantNodes().OfType<TypeDeclarationSyntax>())
        {
            foreach (MemberDeclarationSyntax member in
                type.Members.Where(member => member is not BaseTypeDeclarationSyntax))
            {
                bool isSeen = member is FieldDeclarationSyntax
                    && member.Modifiers.Any(SyntaxKind.ConstKeyword)
                    && !member.Modifiers.Any(SyntaxKind.PrivateKeyword);
                if (!isSeen)
                {
                    yield return ($"{type.Identifier.Text}.{Name(member)}", member);
                }
            }
        }
    }

    private static string Name(MemberDeclarationSyntax member) => member switch
    {
        MethodDeclarationSyntax method => method.Identifier.Text,
        PropertyDeclarationSyntax property => property.Identifier.Text,
        FieldDeclarationSyntax field => field.Declaration.Variables[0].Identifier.Text,
        OperatorDeclarationSyntax @operator => @operator.OperatorToken.Text,
        _ => member.Kind().ToString(),
    };

    private static string Suffix(string literal) => new([.. literal.Where(char.IsAsciiLetter)]);

    /// <summary>An expression as an operand of anything.</summary>
    private static string Operand(ExpressionSyntax node) =>
        node is BinaryExpressionSyntax or ConditionalExpressionSyntax or PrefixUnaryExpressionSyntax
            ? $"({node})"
            : node.ToString();

    private static string OneLine(string text) =>
        string.Join(' ', text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));

    private void Swap(SyntaxToken sign)
    {
        if (s_operators.TryGetValue(sign.Text, out string? other))
        {
            Add(sign, other);
        }
    }

    private void Negate(ExpressionSyntax condition)
    {
        // Of these the operator is changed.
        if (!condition.IsKind(SyntaxKind.EqualsExpression) && !condition.IsKind(SyntaxKind.NotEqualsExpression))
        {
            Add(condition, $"!({condition})");
        }
    }

    private void Add(SyntaxNodeOrToken old, string text)
    {
        TextSpan span = old.Span;
        TextLine first = _text.Lines.GetLineFromPosition(span.Start);
        TextLine last = _text.Lines.GetLineFromPosition(span.End);
        string before = _text.ToString(TextSpan.FromBounds(first.Start, span.Start));
        string after = _text.ToString(TextSpan.FromBounds(span.End, last.End));
        _mutants.Add(new Mutant(
            first.LineNumber + 1, _member, new TextChange(span, text),
            OneLine(before + _text.ToString(span) + after), OneLine(before + text + after)));
    }
}
