using Kernels.References.Fuzzing;
using Kernels.Tests.Support;
using Kernels.Tools.Fuzzing;
using Kernels.Tools.Operations;

namespace Kernels.Tests.Tools;

/// <summary>Outputs of right operations made wrong, to see whether the fuzzer finds it.</summary>
internal static class PlantedBug
{
    /// <summary>The fuzzer finds a bug and makes its case small, and our kernel is right there.</summary>
    /// <param name="name">The operation.</param>
    /// <param name="plant">The outputs with the bug, of a right operation and a case.</param>
    internal static void AssertFound(
        string name,
        Func<OperationUnderTest, FuzzCase, IReadOnlyDictionary<string, FuzzTensor>> plant)
    {
        FuzzTarget target = FuzzTargets.Find(name);
        var kernel = new OperationUnderTest(TestDevices.Host, OperationCatalog.Find(name));

        FuzzReport report = Fuzzer.Run(
            target, given => plant(kernel, given),
            new FuzzSettings
            {
                Cases = int.MaxValue,
                Time = TimeSpan.FromSeconds(60),
                ShrinkTime = TimeSpan.FromSeconds(60),
            });

        Assert.NotNull(report.Failure);
        Assert.InRange(report.Failure.Case.Elements, 1, 8);
        Assert.NotNull(Fuzzer.Try(target, report.Failure.Case, given => plant(kernel, given)).Failure);
        Assert.Null(Fuzzer.Try(target, report.Failure.Case, kernel.Run).Failure);
    }

    /// <summary>The case with an input changed; the same if it does not have it.</summary>
    internal static FuzzCase With(FuzzCase given, string input, Func<FuzzTensor, FuzzTensor?> change)
    {
        var inputs = new Dictionary<string, FuzzTensor>(given.Inputs, StringComparer.Ordinal);
        if (inputs.Remove(input, out FuzzTensor? tensor) && change(tensor) is { } changed)
        {
            inputs.Add(input, changed);
        }

        return new FuzzCase(inputs, given.Options);
    }

    /// <summary>The case with another option.</summary>
    internal static FuzzCase With(FuzzCase given, string option, object value) => new(
        given.Inputs, new Dictionary<string, object>(given.Options, StringComparer.Ordinal) { [option] = value });

    /// <summary>The outputs with one of them changed; the same if there is none of that name.</summary>
    internal static IReadOnlyDictionary<string, FuzzTensor> With(
        IReadOnlyDictionary<string, FuzzTensor> outputs, string name, Func<float[], float[]> change)
    {
        var changed = new Dictionary<string, FuzzTensor>(outputs, StringComparer.Ordinal);
        if (changed.TryGetValue(name, out FuzzTensor? tensor))
        {
            changed[name] = new FuzzTensor(change([.. tensor.Floats]), [.. tensor.Shape]);
        }

        return changed;
    }

    /// <summary>All a place too far.</summary>
    internal static float[] Shifted(float[] values) => values.Length == 0 ? values : [values[^1], .. values[..^1]];
}
