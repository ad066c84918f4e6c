namespace Kernels.References.Dct;

/// <summary>LDAdamW: Adam in a subspace that changes with every step, its states with it.</summary>
/// <remarks>
/// Source: Robert et al. 2024, arXiv:2410.16103, algorithm 1, with the authors' code and its option of a singular value
/// decomposition at every step: A = G + E; P of <see cref="SvdProjectionReference"/> from
/// rho M / (1 - b1^(t-1)) + (1 - rho) A, M = m P^T of the step before, and from A at the first; a = A P; the states as
/// <see cref="Rotate"/>; E = A - a P^T + b1 / (1 - b1) (M - m P^T), m after moving; then AdamW in the subspace. Of the
/// transposes if there are more columns than rows. Binary64, for comparisons; it keeps its state.
/// </remarks>
public sealed class LdAdamWReference
{
    private readonly ProjectionShape _shape;
    private readonly double[] _error;
    private readonly double _learningRate;
    private readonly double _beta1;
    private readonly double _beta2;
    private readonly double _epsilon;
    private readonly double _weightDecay;
    private readonly double _rho;
    private readonly bool _errorFeedback;
    private double[] _mean;
    private double[] _meanSquare;
    private double[] _basis = [];
    private int _t;

    /// <summary>The rule for one matrix, before the first step.</summary>
    /// <param name="rows">Rows of the matrix.</param>
    /// <param name="columns">Columns of the matrix.</param>
    /// <param name="rank">r, at most the shorter side.</param>
    /// <param name="learningRate">Step size, at least 0.</param>
    /// <param name="beta1">Decay of the mean, in [0, 1).</param>
    /// <param name="beta2">Decay of the second moment, in [0, 1).</param>
    /// <param name="epsilon">Added to the root of the corrected second moment, at least 0.</param>
    /// <param name="weightDecay">Decoupled decay coefficient, at least 0.</param>
    /// <param name="rho">The share of the mean in the choice of a subspace, in [0, 1).</param>
    /// <param name="errorFeedback">Whether what projections lose is added to the next gradient.</param>
    /// <exception cref="ArgumentOutOfRangeException">A coefficient or a size is out of its range.</exception>
    public LdAdamWReference(
        int rows,
        int columns,
        int rank,
        double learningRate = 1e-3,
        double beta1 = 0.908,
        double beta2 = 0.99,
        double epsilon = 1e-8,
        double weightDecay = 0,
        double rho = 0.908,
        bool errorFeedback = true)
    {
        _shape = new ProjectionShape(rows, columns, rank, ProjectionSide.Auto);
        _error = new double[_shape.Height * _shape.Width];
        _mean = new double[_shape.Height * rank];
        _meanSquare = new double[_mean.Length];
        _learningRate = Check.NotNegative(learningRate);
        _beta1 = Check.Fraction(beta1);
        _beta2 = Check.Fraction(beta2);
        _epsilon = Check.NotNegative(epsilon);
        _weightDecay = Check.NotNegative(weightDecay);
        _rho = Check.Fraction(rho);
        _errorFeedback = errorFeedback;
    }

    /// <summary>The mean in the whole space, m P^T, [rows, columns].</summary>
    /// <returns>Zeros before the first step.</returns>
    public double[] Mean() => _shape.TurnBack(_t == 0 ? new double[_error.Length] : Lift(_mean, _basis));

    /// <summary>What the next gradient takes up, [rows, columns].</summary>
    /// <returns>Zeros before the first step, and without error feedback.</returns>
    public double[] Error() => _shape.TurnBack([.. _error]);

    /// <summary>The states on their way to another subspace.</summary>
    /// <param name="mean">m, [rows, r].</param>
    /// <param name="meanSquare">v, [rows, r].</param>
    /// <param name="rotation">R = P_previous^T P, [r, r].</param>
    /// <param name="rank">r.</param>
    /// <param name="c1">1 - b1^t of the step that made the states.</param>
    /// <param name="c2">1 - b2^t of that step.</param>
    /// <returns>m R, and c2 |(v / c2 - (m / c1)^2) R^2 + (m R / c1)^2|, squares element by element.</returns>
    /// <exception cref="ArgumentException">A length does not fit.</exception>
    public static (double[] Mean, double[] MeanSquare) Rotate(
        ReadOnlySpan<double> mean, ReadOnlySpan<double> meanSquare, ReadOnlySpan<double> rotation, int rank,
        double c1, double c2)
    {
        int rows = Check.Rows(mean, rank);
        Check.SameLength(mean, meanSquare);
        Check.Length(rotation, rank * rank);
        var variance = new double[mean.Length];
        for (int i = 0; i < variance.Length; i++)
        {
            variance[i] = (meanSquare[i] / c2) - (mean[i] / c1 * mean[i] / c1);
        }

        var squares = new double[rotation.Length];
        for (int i = 0; i < squares.Length; i++)
        {
            squares[i] = rotation[i] * rotation[i];
        }

        double[] moved = BoundedMatrix.Multiply(mean, rotation, rows, rank, rank);
        double[] movedSquare = BoundedMatrix.Multiply(variance, squares, rows, rank, rank);
        for (int i = 0; i < moved.Length; i++)
        {
            movedSquare[i] = c2 * Math.Abs(movedSquare[i] + (moved[i] / c1 * moved[i] / c1));
        }

        return (moved, movedSquare);
    }

    /// <summary>One step.</summary>
    /// <param name="p">The parameters, [rows, columns], updated in place.</param>
    /// <param name="g">The gradient, [rows, columns].</param>
    /// <exception cref="ArgumentException">A length does not fit.</exception>
    public void Step(Span<double> p, ReadOnlySpan<double> g)
    {
        (int height, int width, int rank) = (_shape.Height, _shape.Width, _shape.Rank);
        double[] a = _shape.Turn(g);
        Check.Length<double>(p, a.Length);
        double[] before = _t == 0 ? new double[a.Length] : Lift(_mean, _basis);
        double c1 = 1 - Math.Pow(_beta1, _t);
        double c2 = 1 - Math.Pow(_beta2, _t);
        var guide = new double[a.Length];
        for (int i = 0; i < a.Length; i++)
        {
            a[i] += _error[i];
            guide[i] = _t == 0 ? a[i] : (_rho * before[i] / c1) + ((1 - _rho) * a[i]);
        }

        double[] basis = SvdProjectionReference.Subspace(guide, height, width, rank);
        double[] low = BoundedMatrix.Multiply(a, basis, height, width, rank);
        if (_t > 0)
        {
            double[] rotation = BoundedMatrix.Multiply(
                BoundedMatrix.Transpose<double>(_basis, width, rank), basis, rank, width, rank);
            (_mean, _meanSquare) = Rotate(_mean, _meanSquare, rotation, rank, c1, c2);
        }

        _basis = basis;
        _t++;
        if (_errorFeedback)
        {
            double[] kept = Lift(low, basis);
            double[] moved = Lift(_mean, basis);
            for (int i = 0; i < a.Length; i++)
            {
                _error[i] = a[i] - kept[i] + (_beta1 / (1 - _beta1) * (before[i] - moved[i]));
            }
        }

        c1 = 1 - Math.Pow(_beta1, _t);
        c2 = 1 - Math.Pow(_beta2, _t);
        for (int i = 0; i < low.Length; i++)
        {
            _mean[i] = (_beta1 * _mean[i]) + ((1 - _beta1) * low[i]);
            _meanSquare[i] = (_beta2 * _meanSquare[i]) + ((1 - _beta2) * low[i] * low[i]);
            low[i] = _learningRate * _mean[i] / c1 / (Math.Sqrt(_meanSquare[i] / c2) + _epsilon);
        }

        double[] update = _shape.TurnBack(Lift(low, basis));
        for (int i = 0; i < update.Length; i++)
        {
            p[i] = (p[i] * (1 - (_learningRate * _weightDecay))) - update[i];
        }
    }

    /// <summary>[height, r] times the transpose of [width, r].</summary>
    private double[] Lift(double[] low, double[] basis) => BoundedMatrix.Multiply(
        low, BoundedMatrix.Transpose<double>(basis, _shape.Width, _shape.Rank),
        _shape.Height, _shape.Rank, _shape.Width);
}
