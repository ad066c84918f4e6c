using System.Reflection;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Optimizers;
using Kernels.DeviceCode.Storage;

namespace Kernels.Tests.Catalog;

/// <summary>
/// Every entry point of the library, closed over its type arguments: each argument takes all its candidates, one at a
/// time, around a first choice.
/// </summary>
internal static class DeviceKernels
{
    private static readonly Dictionary<Type, Type[]> s_candidates = new()
    {
        [typeof(IUpdateRule)] =
        [
            typeof(AdamRule),
            .. Rules().Where(t => t != typeof(AdamRule)),
        ],
        [typeof(IStorage)] = [typeof(F32), typeof(F16), typeof(BF16), typeof(StochasticBF16)],
        [typeof(IExtras)] =
        [
            typeof(NoExtras),
            typeof(Controlled<NoExtras>),
            typeof(Averaged<NoExtras>),
            typeof(Copied<F16>),
            typeof(Controlled<Averaged<Copied<BF16>>>),
            typeof(Controlled<Averaged<Copied<StochasticBF16>>>),
        ],
    };

    /// <summary>Id of each kernel and its closed methods.</summary>
    internal static IReadOnlyDictionary<string, IReadOnlyList<MethodInfo>> All { get; } =
        typeof(DeviceKernelAttribute).Assembly.GetTypes()
            .SelectMany(t => t.GetMethods(BindingFlags.Static | BindingFlags.NonPublic | BindingFlags.Public))
            .Select(m => (Method: m, Attribute: m.GetCustomAttribute<DeviceKernelAttribute>()))
            .Where(k => k.Attribute is not null)
            .ToDictionary(k => k.Attribute!.Id, k => Close(k.Method), StringComparer.Ordinal);

    private static IEnumerable<Type> Rules() => typeof(IUpdateRule).Assembly.GetTypes()
        .Where(t => t.IsValueType && typeof(IUpdateRule).IsAssignableFrom(t))
        .OrderBy(t => t.Name, StringComparer.Ordinal);

    private static IReadOnlyList<MethodInfo> Close(MethodInfo method)
    {
        if (!method.IsGenericMethodDefinition)
        {
            return [method];
        }

        Type[][] candidates = [.. method.GetGenericArguments().Select(Candidates)];
        Type[] first = [.. candidates.Select(c => c[0])];
        var closed = new List<MethodInfo> { method.MakeGenericMethod(first) };
        for (int argument = 0; argument < candidates.Length; argument++)
        {
            foreach (Type candidate in candidates[argument].Skip(1))
            {
                var types = (Type[])first.Clone();
                types[argument] = candidate;
                closed.Add(method.MakeGenericMethod(types));
            }
        }

        return closed;
    }

    private static Type[] Candidates(Type argument)
    {
        foreach (Type constraint in argument.GetGenericParameterConstraints())
        {
            if (s_candidates.TryGetValue(constraint, out Type[]? types))
            {
                return types;
            }
        }

        throw new InvalidOperationException($"No candidates are known for the type argument {argument}.");
    }
}
