namespace Kernels.References.Fuzzing.Optimizers;

/// <summary>An oracle between two steps, with its state; it never changes.</summary>
internal interface IMatrixSteps
{
    /// <summary>The matrix, row-major.</summary>
    Bounded[] P { get; }

    /// <summary>Where a binary32 computation may be after a step, one for each choice of columns that it may make.</summary>
    /// <param name="t">The number of the step; the first is 1.</param>
    /// <param name="g">The gradient, descended.</param>
    /// <returns>At least one; null if these are too many to look at.</returns>
    IEnumerable<IMatrixSteps>? Step(int t, Bounded[] g);
}
