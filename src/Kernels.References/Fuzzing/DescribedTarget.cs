namespace Kernels.References.Fuzzing;

/// <summary>A target that is told its description.</summary>
/// <param name="name">As in <c>linear/matmul</c>.</param>
/// <param name="inputs">The inputs and the symbols of their dimensions.</param>
/// <param name="options">The options and their defaults.</param>
internal abstract class DescribedTarget(
    string name, (string Name, string[] Shape)[] inputs, params (string Name, object Value)[] options) : FuzzTarget
{
    public override string Name => name;

    public override IReadOnlyDictionary<string, IReadOnlyList<string?>> Inputs { get; } = inputs.ToDictionary(
        input => input.Name, input => (IReadOnlyList<string?>)input.Shape, StringComparer.Ordinal);

    public override IReadOnlyDictionary<string, object> Options { get; } =
        options.ToDictionary(option => option.Name, option => option.Value, StringComparer.Ordinal);

    /// <summary>A case; inputs that are null are not in it.</summary>
    protected FuzzCase Case(
        (string Name, FuzzTensor? Tensor)[] tensors, params ReadOnlySpan<(string Name, object Value)> changes) => new(
        tensors.Where(input => input.Tensor is not null)
            .ToDictionary(input => input.Name, input => input.Tensor!, StringComparer.Ordinal),
        With(changes));
}
