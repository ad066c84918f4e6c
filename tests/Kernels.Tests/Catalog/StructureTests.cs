using System.Reflection;
using Kernels.DeviceCode.Common;
using Kernels.Tools.Inspection;

namespace Kernels.Tests.Catalog;

/// <summary>
/// ILGPU 1.5.3 takes structures with the same numbers in the same order for one type, and cuts a field that is a structure
/// out of the nesting that it met first. Two nestings whose parts overlap without one being in the other must not be.
/// </summary>
public sealed class StructureTests
{
    [Fact]
    public void No_two_structures_nest_the_same_numbers_across_each_other() =>
        Assert.Equal("", string.Join("; ", Crossings(DeviceStructures())));

    [Fact]
    public void Nestings_across_each_other_are_found()
    {
        Assert.NotEmpty(Crossings([typeof(OneThenTwo), typeof(TwoThenOne)]));
        Assert.Empty(Crossings([typeof(OneThenTwo), typeof(ThreeOnes)]));
    }

    private static List<string> Crossings(IEnumerable<Type> types)
    {
        var found = new List<string>();
        foreach (IGrouping<string, Layout> same in types.Select(Layout.From).GroupBy(l => l.Numbers, StringComparer.Ordinal))
        {
            Layout[] all = [.. same];
            for (int i = 0; i < all.Length; i++)
            {
                for (int j = i + 1; j < all.Length; j++)
                {
                    if (all[i].Parts.Exists(a => all[j].Parts.Exists(b => Cross(a, b) || Cross(b, a))))
                    {
                        found.Add($"{all[i].Of} and {all[j].Of}");
                    }
                }
            }
        }

        return found;
    }

    private static bool Cross((int First, int End) a, (int First, int End) b) =>
        a.First < b.First && b.First < a.End && a.End < b.End;

    /// <summary>Structures of the device code, the type arguments of its kernels, and what their fields are.</summary>
    private static HashSet<Type> DeviceStructures()
    {
        var found = new HashSet<Type>();
        var left = new Queue<Type>(
            typeof(DeviceKernelAttribute).Assembly.GetTypes().Where(t => t.IsValueType && !t.ContainsGenericParameters)
                .Concat(DeviceKernels.Ids.SelectMany(id => DeviceKernels.Instances(id))
                    .SelectMany(kernel => kernel.Method.GetGenericArguments()
                        .Concat(kernel.Method.GetParameters().Select(p => p.ParameterType)))));
        while (left.TryDequeue(out Type? type))
        {
            if (Layout.IsStructure(type) && found.Add(type))
            {
                Array.ForEach(Layout.FieldsOf(type), field => left.Enqueue(field.FieldType));
                Array.ForEach(type.GetGenericArguments(), left.Enqueue);
            }
        }

        return found;
    }

    private readonly record struct Two(float First, float Second);

    private readonly record struct ThreeOnes(float First, float Second, float Third);

    private readonly record struct OneThenTwo(float One, Two Two);

    private readonly record struct TwoThenOne(Two Two, float One);

    /// <summary>The numbers of a structure, and from which to which its parts are that are structures themselves.</summary>
    private sealed record Layout(Type Of, string Numbers, List<(int First, int End)> Parts)
    {
        internal static Layout From(Type type)
        {
            var numbers = new List<string>();
            var parts = new List<(int First, int End)>();
            Add(type, numbers, parts);
            return new Layout(type, string.Join(' ', numbers), parts);
        }

        internal static bool IsStructure(Type type) => type is { IsValueType: true, IsPrimitive: false, IsEnum: false }
            && !type.FullName!.StartsWith("ILGPU.", StringComparison.Ordinal);

        internal static FieldInfo[] FieldsOf(Type type) =>
        [
            .. type.GetFields(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic)
                .OrderBy(field => field.MetadataToken),
        ];

        private static void Add(Type type, List<string> numbers, List<(int First, int End)> parts)
        {
            if (!IsStructure(type))
            {
                numbers.Add(NameOf(type));
                return;
            }

            int first = numbers.Count;
            Array.ForEach(FieldsOf(type), field => Add(field.FieldType, numbers, parts));
            parts.Add((first, numbers.Count));
        }

        // ILGPU's integers have no sign.
        private static string NameOf(Type type) => type.IsEnum ? NameOf(type.GetEnumUnderlyingType()) : type switch
        {
            _ when type == typeof(uint) => nameof(Int32),
            _ when type == typeof(ulong) => nameof(Int64),
            _ when type == typeof(ushort) || type == typeof(char) => nameof(Int16),
            _ when type == typeof(sbyte) => nameof(Byte),
            _ => type.ToString(),
        };
    }
}
