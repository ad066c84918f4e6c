using System.Reflection;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Optimizers;
using Kernels.DeviceCode.Quantization;
using Kernels.DeviceCode.Reductions;
using Kernels.DeviceCode.Storage;
using Four = Kernels.DeviceCode.Quantization.MappingPair<
    Kernels.DeviceCode.Quantization.MappingPair<
        Kernels.DeviceCode.Quantization.MappingOne, Kernels.DeviceCode.Quantization.MappingOne>,
    Kernels.DeviceCode.Quantization.MappingPair<
        Kernels.DeviceCode.Quantization.MappingOne, Kernels.DeviceCode.Quantization.MappingOne>>;

namespace Kernels.Tools.Inspection;

/// <summary>An entry point whose type arguments are chosen: what a device compiles.</summary>
/// <param name="Id">As in <c>optimizers/update.packets</c>.</param>
/// <param name="Method">The method, closed over its type arguments.</param>
internal sealed record KernelInstance(string Id, MethodInfo Method)
{
    /// <summary>The type arguments as C# writes them, with commas between.</summary>
    internal string Types { get; } = string.Join(", ", Method.GetGenericArguments().Select(NameOf));

    /// <summary>The id and the type arguments.</summary>
    internal string Name => Types.Length == 0 ? Id : $"{Id}<{Types}>";

    /// <summary>A type without its namespace: <c>Averaged&lt;Copied&lt;F16&gt;&gt;</c>.</summary>
    internal static string NameOf(Type type)
    {
        string name = type.Name.Split('`')[0];
        return type.IsGenericType
            ? $"{name}<{string.Join(", ", type.GetGenericArguments().Select(NameOf))}>"
            : name;
    }
}

/// <summary>
/// Every entry point of the library, closed over its type arguments: each argument takes all its candidates, one at a
/// time, around a first choice.
/// </summary>
internal static class DeviceKernels
{
    // Extras wrap each other without end: these are the links and the longest chains.
    private static readonly Type[] s_extras =
    [
        typeof(NoExtras),
        typeof(Controlled<NoExtras>),
        typeof(Averaged<NoExtras>),
        typeof(Copied<F16>),
        typeof(Controlled<Averaged<Copied<BF16>>>),
        typeof(Controlled<Averaged<Copied<StochasticBF16>>>),
    ];

    // Rows are made of each other, too.
    private static readonly Type[] s_mappingRows =
    [
        typeof(MappingPair<MappingOne, MappingOne>),
        typeof(MappingPair<MappingPair<MappingOne, MappingOne>, MappingOne>),
        typeof(MappingPair<MappingPair<Four, Four>, MappingPair<Four, Four>>),
    ];

    private static readonly IReadOnlyDictionary<string, MethodInfo> s_methods =
        typeof(DeviceKernelAttribute).Assembly.GetTypes()
            .SelectMany(t => t.GetMethods(
                BindingFlags.Static | BindingFlags.NonPublic | BindingFlags.Public | BindingFlags.DeclaredOnly))
            .Select(m => (Method: m, Attribute: m.GetCustomAttribute<DeviceKernelAttribute>()))
            .Where(k => k.Attribute is not null)
            .ToDictionary(k => k.Attribute!.Id, k => k.Method, StringComparer.Ordinal);

    /// <summary>The ids of all entry points, in order.</summary>
    internal static IReadOnlyList<string> Ids { get; } = [.. s_methods.Keys.Order(StringComparer.Ordinal)];

    /// <summary>The method of an entry point, open in its type arguments.</summary>
    internal static MethodInfo MethodOf(string id) => s_methods[id];

    /// <summary>The instances of an entry point.</summary>
    /// <param name="id">One of <see cref="Ids"/>.</param>
    /// <param name="storage">What every storage argument is; without it, each takes all storages in turn.</param>
    internal static IReadOnlyList<KernelInstance> Instances(string id, Type? storage = null)
    {
        MethodInfo method = s_methods[id];
        return method.IsGenericMethodDefinition
            ? [.. TypesOf(method.GetGenericArguments(), storage)
                .Select(types => new KernelInstance(id, method.MakeGenericMethod(types)))]
            : [new KernelInstance(id, method)];
    }

    /// <summary>The entries of a table are those that the work takes.</summary>
    private static IEnumerable<Type[]> TypesOf(Type[] arguments, Type? storage) => IsTable(arguments)
        ? Candidates(arguments[0], storage).Select(work => (Type[])[work, EntryOf(work)])
        : Stars(arguments, storage);

    private static bool IsTable(Type[] arguments) =>
        Array.Exists(arguments[0].GetGenericParameterConstraints(), typeof(ITableWork).IsAssignableFrom);

    private static Type EntryOf(Type work) => Array.Find(
        work.GetInterfaces(), i => i.IsGenericType && i.GetGenericTypeDefinition() == typeof(ITableWork<>))!
        .GetGenericArguments()[0];

    /// <summary>Whether an entry point has a type argument that is a storage, or that has one.</summary>
    internal static bool HasStorage(string id) => Instances(id, typeof(F16))
        .Any(instance => instance.Method.GetGenericArguments().Any(HasF16));

    private static bool HasF16(Type type) =>
        type == typeof(F16) || (type.IsGenericType && !typeof(IExtras).IsAssignableFrom(type)
            && Array.Exists(type.GetGenericArguments(), HasF16));

    /// <summary>The first candidate of every argument, then each other candidate of each argument in turn.</summary>
    private static IEnumerable<Type[]> Stars(Type[] arguments, Type? storage)
    {
        Type[][] candidates = [.. arguments.Select(argument => Candidates(argument, storage))];
        Type[] first = [.. candidates.Select(c => c[0])];
        yield return first;
        for (int argument = 0; argument < candidates.Length; argument++)
        {
            foreach (Type candidate in candidates[argument].Skip(1))
            {
                var types = (Type[])first.Clone();
                types[argument] = candidate;
                yield return types;
            }
        }
    }

    /// <summary>The structs of the device code that have the interface an argument asks for.</summary>
    private static Type[] Candidates(Type argument, Type? storage)
    {
        Type[] wanted = [.. argument.GetGenericParameterConstraints().Where(t => t.IsInterface)];
        if (wanted.Contains(typeof(IExtras)))
        {
            return s_extras;
        }

        if (storage is not null && wanted.Contains(typeof(IStorage)))
        {
            return [storage];
        }

        if (Array.Exists(wanted, typeof(ITableWork).IsAssignableFrom))
        {
            wanted = [typeof(ITableWork)];
        }

        if (Array.Exists(wanted, w => w.IsGenericType && w.GetGenericTypeDefinition() == typeof(IMappingRow<>)))
        {
            return s_mappingRows;
        }

        Type[] found =
        [
            .. typeof(DeviceKernelAttribute).Assembly.GetTypes()
                .Where(t => t.IsValueType && wanted.Length > 0 && wanted.All(w => w.IsAssignableFrom(t)))
                .OrderBy(t => t != typeof(F32))
                .ThenBy(t => t.Name, StringComparer.Ordinal)
                .SelectMany(t => t.IsGenericTypeDefinition
                    ? Stars(t.GetGenericArguments(), storage).Select(types => t.MakeGenericType(types))
                    : [t]),
        ];
        return found.Length > 0
            ? found
            : throw new InvalidOperationException($"No struct can stand for the type argument {argument}.");
    }
}
