namespace Kernels.References.Dct;

/// <summary>GaLore's AdamW: Adam in the first singular vectors of a gradient now and then.</summary>
/// <remarks>
/// Source: Zhao et al. 2024, arXiv:2403.03507, algorithm 2, with the authors' code: P of <see
/// cref="SvdProjectionReference"/> at the first step and every interval after it; a = G P; m and v of a, which do not
/// move with P; u = m / (sqrt(v) + epsilon); p = (p - rate scale sqrt(c2) / c1 u P^T) (1 - rate decay). Of the
/// transposes if there are more columns than rows. Binary64, for comparisons; it keeps its state.
/// </remarks>
public sealed class GaLoreReference
{
    private readonly ProjectionShape _shape;
    private readonly double[] _mean;
    private readonly double[] _meanSquare;
    private readonly double _learningRate;
    private readonly double _beta1;
    private readonly double _beta2;
    private readonly double _epsilon;
    private readonly double _weightDecay;
    private readonly int _updateInterval;
    private readonly double _scale;
    private double[] _basis = [];
    private int _t;

    /// <summary>The rule for one matrix, before the first step.</summary>
    /// <param name="rows">Rows of the matrix.</param>
    /// <param name="columns">Columns of the matrix.</param>
    /// <param name="rank">r, at most the shorter side.</param>
    /// <param name="learningRate">Step size, at least 0.</param>
    /// <param name="beta1">Decay of the mean, in [0, 1).</param>
    /// <param name="beta2">Decay of the second moment, in [0, 1).</param>
    /// <param name="epsilon">Added to the root of the second moment, at least 0.</param>
    /// <param name="weightDecay">Decoupled decay coefficient, at least 0.</param>
    /// <param name="updateInterval">Steps that a subspace serves.</param>
    /// <param name="scale">What the update is multiplied by, at least 0.</param>
    /// <exception cref="ArgumentOutOfRangeException">A coefficient or a size is out of its range.</exception>
    public GaLoreReference(
        int rows,
        int columns,
        int rank,
        double learningRate = 1e-3,
        double beta1 = 0.9,
        double beta2 = 0.999,
        double epsilon = 1e-6,
        double weightDecay = 0,
        int updateInterval = 200,
        double scale = 0.25)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(updateInterval, 1);
        _shape = new ProjectionShape(rows, columns, rank, ProjectionSide.Auto);
        _mean = new double[_shape.Height * rank];
        _meanSquare = new double[_mean.Length];
        _learningRate = Check.NotNegative(learningRate);
        _beta1 = Check.Fraction(beta1);
        _beta2 = Check.Fraction(beta2);
        _epsilon = Check.NotNegative(epsilon);
        _weightDecay = Check.NotNegative(weightDecay);
        _updateInterval = updateInterval;
        _scale = Check.NotNegative(scale);
    }

    /// <summary>One step.</summary>
    /// <param name="p">The parameters, [rows, columns], updated in place.</param>
    /// <param name="g">The gradient, [rows, columns].</param>
    /// <exception cref="ArgumentException">A length does not fit.</exception>
    public void Step(Span<double> p, ReadOnlySpan<double> g)
    {
        (int height, int width, int rank) = (_shape.Height, _shape.Width, _shape.Rank);
        double[] turned = _shape.Turn(g);
        Check.Length<double>(p, turned.Length);
        if (_t % _updateInterval == 0)
        {
            _basis = SvdProjectionReference.Subspace(turned, height, width, rank);
        }

        _t++;
        double[] low = BoundedMatrix.Multiply(turned, _basis, height, width, rank);
        double rate = _learningRate * _scale * Math.Sqrt(1 - Math.Pow(_beta2, _t)) / (1 - Math.Pow(_beta1, _t));
        for (int i = 0; i < low.Length; i++)
        {
            _mean[i] = (_beta1 * _mean[i]) + ((1 - _beta1) * low[i]);
            _meanSquare[i] = (_beta2 * _meanSquare[i]) + ((1 - _beta2) * low[i] * low[i]);
            low[i] = rate * _mean[i] / (Math.Sqrt(_meanSquare[i]) + _epsilon);
        }

        double[] update = _shape.TurnBack(BoundedMatrix.Multiply(
            low, BoundedMatrix.Transpose<double>(_basis, width, rank), height, rank, width));
        for (int i = 0; i < update.Length; i++)
        {
            p[i] = (p[i] - update[i]) * (1 - (_learningRate * _weightDecay));
        }
    }
}
