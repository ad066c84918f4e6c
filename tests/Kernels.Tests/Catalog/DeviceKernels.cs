using System.Reflection;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Optimizers;
using Kernels.DeviceCode.Quantization;
using Kernels.DeviceCode.Storage;
using Four = Kernels.DeviceCode.Quantization.MappingPair<
    Kernels.DeviceCode.Quantization.MappingPair<
        Kernels.DeviceCode.Quantization.MappingOne, Kernels.DeviceCode.Quantization.MappingOne>,
    Kernels.DeviceCode.Quantization.MappingPair<
        Kernels.DeviceCode.Quantization.MappingOne, Kernels.DeviceCode.Quantization.MappingOne>>;

namespace Kernels.Tests.Catalog;

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

    /// <summary>Id of each kernel and its closed methods.</summary>
    internal static IReadOnlyDictionary<string, IReadOnlyList<MethodInfo>> All { get; } =
        typeof(DeviceKernelAttribute).Assembly.GetTypes()
            .SelectMany(t => t.GetMethods(BindingFlags.Static | BindingFlags.NonPublic | BindingFlags.Public))
            .Select(m => (Method: m, Attribute: m.GetCustomAttribute<DeviceKernelAttribute>()))
            .Where(k => k.Attribute is not null)
            .ToDictionary(k => k.Attribute!.Id, k => Close(k.Method), StringComparer.Ordinal);

    private static IReadOnlyList<MethodInfo> Close(MethodInfo method) => method.IsGenericMethodDefinition
        ? [.. Stars(method.GetGenericArguments()).Select(types => method.MakeGenericMethod(types))]
        : [method];

    /// <summary>The first candidate of every argument, then each other candidate of each argument in turn.</summary>
    private static IEnumerable<Type[]> Stars(Type[] arguments)
    {
        Type[][] candidates = [.. arguments.Select(Candidates)];
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
    private static Type[] Candidates(Type argument)
    {
        Type[] wanted = [.. argument.GetGenericParameterConstraints().Where(t => t.IsInterface)];
        if (wanted.Contains(typeof(IExtras)))
        {
            return s_extras;
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
                    ? Stars(t.GetGenericArguments()).Select(types => t.MakeGenericType(types))
                    : [t]),
        ];
        return found.Length > 0
            ? found
            : throw new InvalidOperationException($"No struct can stand for the type argument {argument}.");
    }
}
