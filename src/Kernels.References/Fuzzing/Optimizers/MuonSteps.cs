using Kernels.References.Dct;

namespace Kernels.References.Fuzzing.Optimizers;

/// <summary>The steps of Muon.</summary>
internal sealed class MuonSteps(MuonReference rule, Bounded[] p, Bounded[] momentum) : IMatrixSteps
{
    public Bounded[] P => p;

    public IEnumerable<IMatrixSteps> Step(int t, Bounded[] g)
    {
        Bounded[] next = [.. p];
        Bounded[] average = [.. momentum];
        rule.Step(t, next, g, [average]);
        return [new MuonSteps(rule, next, average)];
    }
}
