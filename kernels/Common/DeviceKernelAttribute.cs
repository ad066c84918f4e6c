namespace Kernels.DeviceCode.Common;

/// <summary>Names an entry point: the one list that tests, benchmarks and documentation are made from.</summary>
/// <param name="id"><c>family/algorithm.verb</c>, lower case.</param>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class DeviceKernelAttribute(string id) : Attribute
{
    /// <summary><c>family/algorithm.verb</c>.</summary>
    public string Id { get; } = id;
}
