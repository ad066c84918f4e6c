using Kernels.References.Fuzzing;
using Kernels.Tools.Cases;
using Kernels.Tools.Operations;

namespace Kernels.Tools.Fuzzing;

/// <summary>An operation of <c>kernels run</c> as what is fuzzed.</summary>
internal sealed class OperationUnderTest(Session session, Operation operation)
{
    /// <summary>The outputs of a case on the session's device.</summary>
    internal IReadOnlyDictionary<string, FuzzTensor> Run(FuzzCase given)
    {
        var inputs = given.Inputs.ToDictionary(
            input => input.Key, input => new HostTensor([.. input.Value.Shape], input.Value.Data), StringComparer.Ordinal);
        var options = given.Options.Where(option => option.Value is not int[] { Length: 0 })
            .ToDictionary(option => option.Key, option => option.Value, StringComparer.Ordinal);
        var context = new OperationContext(
            session, operation, inputs, new OptionValues(operation.Options, options), given.Shift);
        operation.Run(context);
        session.Synchronize();
        return context.Outputs.ToDictionary(
            output => output.Spec.Name,
            output => output.Tensor.Data is float[] floats
                ? new FuzzTensor(floats, output.Tensor.Shape)
                : new FuzzTensor((int[])output.Tensor.Data, output.Tensor.Shape),
            StringComparer.Ordinal);
    }

    /// <summary>A case that was read from a file; options that it does not give are the target's defaults.</summary>
    internal static FuzzCase Case(FuzzTarget target, CaseFile file) => new FuzzCase(
        file.Inputs.ToDictionary(
            input => input.Key,
            input => input.Value.Data is float[] floats
                ? new FuzzTensor(floats, input.Value.Shape)
                : new FuzzTensor((int[])input.Value.Data, input.Value.Shape),
            StringComparer.Ordinal),
        target.Options.ToDictionary(
            option => option.Key,
            option => file.Options.IsGiven(option.Key) ? file.Options.Value(option.Key)! : option.Value,
            StringComparer.Ordinal)).At(file.Shift);
}
