using Kernels.References.Dct;

namespace Kernels.References.Fuzzing.Optimizers;

/// <summary>The steps of Trion.</summary>
internal sealed class TrionSteps(TrionReference rule, Bounded[] p, Bounded[] momentum) : IMatrixSteps
{
    public Bounded[] P => p;

    public IEnumerable<IMatrixSteps>? Step(int t, Bounded[] g) =>
        rule.Choices(g, momentum, MatrixOptimizerTarget.MostChoices)?.Select(index =>
        {
            Bounded[] next = [.. p];
            Bounded[] rest = [.. momentum];
            rule.Step(next, g, rest, index);
            return new TrionSteps(rule, next, rest);
        });
}
