using Kernels.References.Dct;

namespace Kernels.References.Fuzzing.Optimizers;

/// <summary>The steps of DCT-AdamW.</summary>
/// <param name="rule">The oracle.</param>
/// <param name="error">How the error feedback is kept, if it is in few bits.</param>
/// <param name="p">The matrix.</param>
/// <param name="state">The state.</param>
internal sealed class DctAdamWSteps(
    DctAdamWReference rule, ErrorBlockReference? error, Bounded[] p, DctAdamWState state) : IMatrixSteps
{
    public Bounded[] P => p;

    public IEnumerable<IMatrixSteps>? Step(int t, Bounded[] g) =>
        rule.Choices(t, g, state, MatrixOptimizerTarget.MostChoices)?.Select(index =>
        {
            Bounded[] next = [.. p];
            var after = new DctAdamWState(state);
            rule.Step(t, next, g, after, index);
            error?.Stored(after.Error).CopyTo(after.Error, 0);
            return new DctAdamWSteps(rule, error, next, after);
        });
}
