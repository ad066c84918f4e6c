namespace Kernels.References.Optimizers;

/// <summary>An optimizer whose step treats every element for itself.</summary>
public abstract class ElementwiseReference : OptimizerReference
{
    /// <summary>One step of one element.</summary>
    /// <param name="t">The number of this step; the first is 1.</param>
    /// <param name="p">The parameter before the step.</param>
    /// <param name="g">The gradient.</param>
    /// <param name="state">The element's state, one number for each slot, updated in place.</param>
    /// <returns>The parameter after the step.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The step is less than 1.</exception>
    /// <exception cref="ArgumentException">The state has not one number for each slot.</exception>
    public Bounded Step(int t, Bounded p, Bounded g, Span<Bounded> state)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(t, 1);
        if (state.Length != StateNames.Count)
        {
            throw new ArgumentException($"Expected {StateNames.Count} numbers, got {state.Length}.", nameof(state));
        }

        return UpdateElement(t, p, g, state);
    }

    /// <summary>The step of the algorithm for one element; the step number and the state are checked.</summary>
    /// <param name="t">The number of this step; the first is 1.</param>
    /// <param name="p">The parameter before the step.</param>
    /// <param name="g">The gradient.</param>
    /// <param name="state">The element's state, one number for each slot, updated in place.</param>
    /// <returns>The parameter after the step.</returns>
    protected abstract Bounded UpdateElement(int t, Bounded p, Bounded g, Span<Bounded> state);

    /// <inheritdoc/>
    protected sealed override void Update(int t, Span<Bounded> p, ReadOnlySpan<Bounded> g, Bounded[][] state)
    {
        Span<Bounded> element = stackalloc Bounded[state.Length];
        for (int i = 0; i < p.Length; i++)
        {
            for (int slot = 0; slot < element.Length; slot++)
            {
                element[slot] = state[slot][i];
            }

            p[i] = UpdateElement(t, p[i], g[i], element);
            for (int slot = 0; slot < element.Length; slot++)
            {
                state[slot][i] = element[slot];
            }
        }
    }
}
