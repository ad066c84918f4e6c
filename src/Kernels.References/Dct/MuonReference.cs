using Kernels.References.Optimizers;

namespace Kernels.References.Dct;

/// <summary>Muon: momentum, made orthogonal.</summary>
/// <remarks>
/// Source: Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks", and its code: M = mu M + (1 -
/// mu) G; U = mu M + (1 - mu) G, or M without Nesterov; p = p (1 - rate decay) - rate scale O, with O of
/// <see cref="NewtonSchulzReference"/> from U. Bound: running error analysis, and that of the iteration.
/// </remarks>
public sealed class MuonReference : OptimizerReference
{
    private readonly int _rows;
    private readonly int _columns;
    private readonly double _learningRate;
    private readonly double _momentum;
    private readonly bool _nesterov;
    private readonly double _weightDecay;
    private readonly double _scale;

    /// <summary>The rule for one matrix.</summary>
    /// <param name="rows">Rows of the matrix.</param>
    /// <param name="columns">Columns of the matrix.</param>
    /// <param name="learningRate">Step size, at least 0.</param>
    /// <param name="momentum">mu, in [0, 1).</param>
    /// <param name="nesterov">Whether the gradient counts once more.</param>
    /// <param name="weightDecay">Decoupled decay coefficient, at least 0.</param>
    /// <param name="scale">What the update is multiplied by.</param>
    /// <exception cref="ArgumentOutOfRangeException">A coefficient or a size is out of its range.</exception>
    public MuonReference(
        int rows,
        int columns,
        double learningRate = 0.02,
        double momentum = 0.95,
        bool nesterov = true,
        double weightDecay = 0,
        UpdateScale scale = UpdateScale.Jordan)
    {
        _scale = Scale(scale, rows, columns);
        _rows = rows;
        _columns = columns;
        _learningRate = Check.NotNegative(learningRate);
        _momentum = Check.Fraction(momentum);
        _nesterov = nesterov;
        _weightDecay = Check.NotNegative(weightDecay);
    }

    /// <summary>The most additions that one square goes through in the kernel's norm; by default any order.</summary>
    public int? ReductionDepth { get; init; }

    /// <inheritdoc/>
    public override string Name => "Muon";

    /// <inheritdoc/>
    public override IReadOnlyList<string> StateNames => ["momentum_buffer"];

    /// <summary>The factor of a matrix's update.</summary>
    /// <param name="scale">Which one.</param>
    /// <param name="rows">Rows of the matrix, at least 1.</param>
    /// <param name="columns">Columns of the matrix, at least 1.</param>
    /// <returns>The factor in binary64.</returns>
    /// <exception cref="ArgumentOutOfRangeException">
    /// A size is less than 1, or the scale is none of the four.
    /// </exception>
    public static double Scale(UpdateScale scale, int rows, int columns)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(rows, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(columns, 1);
        double ratio = (double)rows / columns;
        return scale switch
        {
            UpdateScale.Jordan => Math.Sqrt(Math.Max(1, ratio)),
            UpdateScale.Kimi => 0.2 * Math.Sqrt(Math.Max(rows, columns)),
            UpdateScale.Dion => Math.Sqrt(ratio),
            UpdateScale.None => 1,
            _ => throw new ArgumentOutOfRangeException(nameof(scale), scale, "Must be one of the four."),
        };
    }

    /// <inheritdoc/>
    /// <exception cref="ArgumentException">The number of parameters is not rows * columns.</exception>
    protected override void Update(int t, Span<Bounded> p, ReadOnlySpan<Bounded> g, Bounded[][] state)
    {
        Check.Length<Bounded>(p, _rows * _columns);
        var update = new Bounded[p.Length];
        for (int i = 0; i < update.Length; i++)
        {
            state[0][i] = Average(state[0][i], g[i], _momentum);
            update[i] = _nesterov ? Average(state[0][i], g[i], _momentum) : state[0][i];
        }

        Bounded[] orthogonal = NewtonSchulzReference.Apply(update, _rows, _columns, ReductionDepth);
        var decay = Bounded.Rounded(1 - (_learningRate * _weightDecay));
        var rate = Bounded.Rounded(_learningRate * _scale);
        for (int i = 0; i < update.Length; i++)
        {
            p[i] = (p[i] * decay) - (rate * orthogonal[i]);
        }
    }
}
