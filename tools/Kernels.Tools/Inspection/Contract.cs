using System.Globalization;
using System.Reflection;
using System.Text.RegularExpressions;
using System.Xml.Linq;
using Kernels.DeviceCode.Common;

namespace Kernels.Tools.Inspection;

/// <summary>What the documentation of a kernel and of its type arguments promises.</summary>
/// <param name="Traffic">The sentences on traffic, with the name of the type that has them.</param>
/// <param name="GroupSize">Items of a group, where it is one number.</param>
/// <param name="UnitsPerItem">How many elements one item works on, where that is said.</param>
/// <param name="Unit">What they are: an element, a weight, a code.</param>
internal sealed partial record Contract(
    IReadOnlyList<(string Of, string Text)> Traffic, int? GroupSize, int? UnitsPerItem, string? Unit)
{
    private static readonly Lazy<Dictionary<string, XElement>> s_members = new(ReadMembers);

    /// <summary>The contract of an instance; empty where the documentation file is not beside the assembly.</summary>
    internal static Contract Of(KernelInstance instance)
    {
        Type kernel = instance.Method.DeclaringType!;
        Type[] arguments = [.. instance.Method.GetGenericArguments().SelectMany(WithArguments).Distinct()];
        (string Of, string Text)[] traffic =
        [
            .. new[] { kernel }.Concat(arguments)
                .Select(type => (KernelInstance.NameOf(type), TrafficOf(MemberOf(type)))),
        ];
        XElement? method = MemberOf(instance.Method);
        Match units = new[] { method }.Concat(arguments.Select(MemberOf)).Append(MemberOf(kernel))
            .Select(member => Units().Match(SectionOf(member, "summary")))
            .FirstOrDefault(match => match.Success, Match.Empty);
        return new Contract(
            [.. traffic.Where(t => t.Text.Length > 0)],
            GroupSizeOf(kernel, method),
            units.Success ? NumberOf(units.Groups["number"].Value) : null,
            units.Success ? units.Groups["unit"].Value.TrimEnd('s') : null);
    }

    private static IEnumerable<Type> WithArguments(Type type) =>
        type.IsGenericType ? type.GetGenericArguments().SelectMany(WithArguments).Prepend(type) : [type];

    /// <summary>The part on traffic of the remarks, or a summary that names bytes.</summary>
    private static string TrafficOf(XElement? member)
    {
        string summary = SectionOf(member, "summary");
        return TrafficLabel().Match(SectionOf(member, "remarks")) is { Success: true } match
            ? match.Groups["text"].Value
            : BytesNamed().IsMatch(summary) ? summary : "";
    }

    private static int? GroupSizeOf(Type kernel, XElement? method)
    {
        FieldInfo? constant = kernel.GetField("GroupSize", BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic);
        return constant is { IsLiteral: true } ? (int)constant.GetRawConstantValue()!
            : GroupSizeText().Match(SectionOf(method, "summary")) is { Success: true } match ? NumberOf(match.Groups["number"].Value)
            : ItemsOfGroup().Match(SectionOf(MemberOf(kernel), "remarks")) is { Success: true } items
                ? NumberOf(items.Groups["number"].Value)
            : null;
    }

    private static int NumberOf(string text) => text.ToUpperInvariant() switch
    {
        "ONE" => 1,
        "TWO" => 2,
        "FOUR" => 4,
        "EIGHT" => 8,
        "SIXTEEN" => 16,
        _ => int.Parse(text, CultureInfo.InvariantCulture),
    };

    private static XElement? MemberOf(Type type) => s_members.Value.GetValueOrDefault(
        "T:" + (type.IsGenericType ? type.GetGenericTypeDefinition() : type).FullName!.Replace('+', '.'));

    private static XElement? MemberOf(MethodInfo method)
    {
        string name = $"M:{method.DeclaringType!.FullName!.Replace('+', '.')}.{method.Name}";
        return s_members.Value
            .FirstOrDefault(member => member.Key.StartsWith(name, StringComparison.Ordinal)
                && (member.Key.Length == name.Length || member.Key[name.Length] is '(' or '`'))
            .Value;
    }

    /// <summary>A section as one line of plain text.</summary>
    private static string SectionOf(XElement? member, string section)
    {
        XElement? element = member?.Element(section);
        return element is null ? "" : Space().Replace(string.Concat(element.Nodes().Select(TextOf)), " ").Trim();
    }

    private static string TextOf(XNode node) => node switch
    {
        XText text => text.Value,
        XElement element when (element.Attribute("cref") ?? element.Attribute("name")) is { } name =>
            name.Value.Split('(')[0].Split('.', ':')[^1].Split('`')[0],
        XElement element => string.Concat(element.Nodes().Select(TextOf)),
        _ => "",
    };

    private static Dictionary<string, XElement> ReadMembers()
    {
        string file = Path.ChangeExtension(typeof(DeviceKernelAttribute).Assembly.Location, ".xml");
        return File.Exists(file)
            ? XDocument.Load(file).Descendants("member").ToDictionary(m => m.Attribute("name")!.Value, StringComparer.Ordinal)
            : new Dictionary<string, XElement>(StringComparer.Ordinal);
    }

    [GeneratedRegex(
        @"\b[Tt]raffic\b[^:.]*: (?<text>.*?)(?= (?:Source|Shapes|Storage|Needs|Order|Ties|Domain|Error|State)\b[^:.]*:|$)",
        RegexOptions.ExplicitCapture)]
    private static partial Regex TrafficLabel();

    [GeneratedRegex(@"[0-9] bytes\b")]
    private static partial Regex BytesNamed();

    [GeneratedRegex(
        @"\b(?<number>[Oo]ne|[Tt]wo|[Ff]our|[Ee]ight|[Ss]ixteen) (?<unit>\w+) per item\b", RegexOptions.ExplicitCapture)]
    private static partial Regex Units();

    [GeneratedRegex(@"\b[Gg]roup size (?<number>[0-9]+)\b", RegexOptions.ExplicitCapture)]
    private static partial Regex GroupSizeText();

    [GeneratedRegex(@"(?<!most )(?<!up to )\b(?<number>[0-9]+) items a group\b", RegexOptions.ExplicitCapture)]
    private static partial Regex ItemsOfGroup();

    [GeneratedRegex(@"\s+")]
    private static partial Regex Space();
}
