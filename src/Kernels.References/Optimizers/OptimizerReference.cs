namespace Kernels.References.Optimizers;

/// <summary>An optimizer in binary64 with a proven bound on the error of a binary32 kernel.</summary>
/// <remarks>
/// An oracle follows its paper. Constants that a kernel folds on the host are <see cref="Bounded.Rounded"/> constants
/// here, and every path performs at least as many rounded operations as a fused kernel that evaluates
/// m = b1 m + (1 - b1) g, v = b2 v + (1 - b2) g g and p = p decay - step m / (sqrt(v) correction + epsilon),
/// so one bound serves all such kernels. State that a kernel stores narrower than binary32 is not covered.
/// </remarks>
public abstract class OptimizerReference
{
    /// <summary>The usual name of the algorithm.</summary>
    public abstract string Name { get; }

    /// <summary>The names of the state tensors, in the order of the slots; PyTorch's names where it has one.</summary>
    public abstract IReadOnlyList<string> StateNames { get; }

    /// <summary>The value that every element of a state tensor has before the first step.</summary>
    /// <param name="slot">Index into <see cref="StateNames"/>.</param>
    /// <returns>The value in binary64; a kernel starts from its nearest binary32 number.</returns>
    public virtual double InitialState(int slot) => 0;

    /// <summary>The number of elements of a state tensor.</summary>
    /// <param name="slot">Index into <see cref="StateNames"/>.</param>
    /// <param name="n">The number of parameters.</param>
    /// <returns>The number of elements.</returns>
    public virtual int StateLength(int slot, int n) => n;

    /// <summary>The state before the first step.</summary>
    /// <param name="n">The number of parameters.</param>
    /// <returns>One array for each of <see cref="StateNames"/>, taken as exact.</returns>
    public Bounded[][] CreateState(int n)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(n);
        var state = new Bounded[StateNames.Count][];
        for (int slot = 0; slot < state.Length; slot++)
        {
            state[slot] = new Bounded[StateLength(slot, n)];
            Array.Fill(state[slot], InitialState(slot));
        }

        return state;
    }

    /// <summary>One step over a whole tensor.</summary>
    /// <param name="t">The number of this step; the first is 1.</param>
    /// <param name="p">The parameters, [n], updated in place.</param>
    /// <param name="g">The gradients, [n], read only.</param>
    /// <param name="state">One array for each of <see cref="StateNames"/>, updated in place.</param>
    /// <exception cref="ArgumentOutOfRangeException">The step is less than 1.</exception>
    /// <exception cref="ArgumentException">A length does not fit the number of parameters.</exception>
    public void Step(int t, Span<Bounded> p, ReadOnlySpan<Bounded> g, Bounded[][] state)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(t, 1);
        ArgumentNullException.ThrowIfNull(state);
        if (g.Length != p.Length)
        {
            throw new ArgumentException($"Expected {p.Length} gradients, got {g.Length}.", nameof(g));
        }

        if (state.Length != StateNames.Count)
        {
            throw new ArgumentException($"Expected {StateNames.Count} states, got {state.Length}.", nameof(state));
        }

        for (int slot = 0; slot < state.Length; slot++)
        {
            int length = StateLength(slot, p.Length);
            if (state[slot].Length != length)
            {
                throw new ArgumentException(
                    $"Expected {length} elements of {StateNames[slot]}, got {state[slot].Length}.",
                    nameof(state));
            }
        }

        Update(t, p, g, state);
    }

    /// <summary>Several steps in binary64 from fresh state.</summary>
    /// <param name="p0">The parameters before the first step, [n]; not changed.</param>
    /// <param name="gradients">The gradients of each step, [steps][n].</param>
    /// <returns>The parameters after each step, [steps][n].</returns>
    /// <exception cref="ArgumentException">The length of a gradient is not that of the parameters.</exception>
    public double[][] Run(double[] p0, double[][] gradients)
    {
        ArgumentNullException.ThrowIfNull(p0);
        ArgumentNullException.ThrowIfNull(gradients);
        Bounded[] p = Array.ConvertAll(p0, Bounded.FromDouble);
        Bounded[][] state = CreateState(p.Length);
        var history = new double[gradients.Length][];
        for (int step = 0; step < history.Length; step++)
        {
            Step(step + 1, p, Array.ConvertAll(gradients[step], Bounded.FromDouble), state);
            history[step] = Array.ConvertAll(p, x => x.Value);
        }

        return history;
    }

    /// <summary>The step of the algorithm; lengths and step number are checked.</summary>
    /// <param name="t">The number of this step; the first is 1.</param>
    /// <param name="p">The parameters, [n], updated in place.</param>
    /// <param name="g">The gradients, [n].</param>
    /// <param name="state">One array for each of <see cref="StateNames"/>, updated in place.</param>
    protected abstract void Update(int t, Span<Bounded> p, ReadOnlySpan<Bounded> g, Bounded[][] state);

    /// <summary>Turns the gradient for maximization and applies weight decay.</summary>
    /// <param name="p">The parameter, multiplied by 1 - rate * decay if the decay is decoupled.</param>
    /// <param name="g">The gradient, negated for maximization, then increased by decay * p if it is coupled.</param>
    /// <param name="weightDecay">The decay coefficient.</param>
    /// <param name="decoupled">Whether the decay acts on the parameter and not on the gradient.</param>
    /// <param name="learningRate">The rate of this step, which scales decoupled decay.</param>
    /// <param name="maximize">Whether the objective grows along the step.</param>
    protected static void Prepare(
        ref Bounded p, ref Bounded g, double weightDecay, bool decoupled, double learningRate, bool maximize)
    {
        g = maximize ? -g : g;
        if (weightDecay == 0)
        {
            return;
        }

        if (decoupled)
        {
            p *= Bounded.Rounded(1 - (learningRate * weightDecay));
        }
        else
        {
            g += Bounded.Rounded(weightDecay) * p;
        }
    }

    /// <summary>Exponential moving average: beta * mean + (1 - beta) * x.</summary>
    /// <param name="mean">The average before this step.</param>
    /// <param name="x">The new term.</param>
    /// <param name="beta">The share of the old average.</param>
    /// <returns>The average after this step.</returns>
    protected static Bounded Average(Bounded mean, Bounded x, double beta) =>
        (Bounded.Rounded(beta) * mean) + (Bounded.Rounded(1 - beta) * x);
}
