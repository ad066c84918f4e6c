namespace Kernels.References.Dct;

/// <summary>Trion: the columns of a fixed basis that carry most of the momentum, made orthogonal.</summary>
/// <remarks>
/// Source: Modoranu et al. 2025, arXiv:2505.17967, section 5, with the authors' code: B = M + G; b, the r columns of B
/// Q^T with the largest scores; M = B - (1 - mu) b Q_r, so that what the projection loses stays; O of
/// <see cref="NewtonSchulzReference"/> from b; p = p (1 - rate decay) - rate scale O Q_r. From the left, all that of
/// the transposes; the scale is that of the whole matrix.
/// <para>
/// Which columns are chosen is discrete: a step takes the choice found, refuses one that no roundings can make, and
/// goes on with it. Bound: running error analysis through the transforms, and that of the iteration.
/// </para>
/// </remarks>
public sealed class TrionReference
{
    private readonly ColumnProjection _projection;
    private readonly double _learningRate;
    private readonly double _momentum;
    private readonly double _weightDecay;
    private readonly double _scale;
    private readonly bool _squares;
    private readonly int _length;

    /// <summary>The rule for one matrix.</summary>
    /// <param name="rows">Rows of the matrix.</param>
    /// <param name="columns">Columns of the matrix.</param>
    /// <param name="rank">r, at most the length of the basis.</param>
    /// <param name="learningRate">Step size, at least 0.</param>
    /// <param name="momentum">mu, in [0, 1).</param>
    /// <param name="weightDecay">Decoupled decay coefficient, at least 0.</param>
    /// <param name="scale">What the update is multiplied by.</param>
    /// <param name="squares">Whether a column's score is its sum of squares; if not, of magnitudes.</param>
    /// <param name="side">From which side to project.</param>
    /// <param name="kind">The basis: rows of this transform.</param>
    /// <exception cref="ArgumentOutOfRangeException">A coefficient or a size is out of its range.</exception>
    public TrionReference(
        int rows,
        int columns,
        int rank,
        double learningRate = 0.02,
        double momentum = 0.95,
        double weightDecay = 0,
        UpdateScale scale = UpdateScale.Jordan,
        bool squares = false,
        ProjectionSide side = ProjectionSide.Auto,
        TransformKind kind = TransformKind.Dct2)
    {
        _projection = new ColumnProjection(kind, rows, columns, rank, side);
        _scale = MuonReference.Scale(scale, rows, columns);
        _length = checked(rows * columns);
        _learningRate = Check.NotNegative(learningRate);
        _momentum = Check.Fraction(momentum);
        _weightDecay = Check.NotNegative(weightDecay);
        _squares = squares;
    }

    /// <summary>The most additions that one square goes through in the kernel's norm; by default any order.</summary>
    public int? ReductionDepth { get; init; }

    /// <summary>The columns that the exact computation goes on with.</summary>
    /// <param name="g">The gradient, [rows, columns].</param>
    /// <param name="momentum">M before the step, [rows, columns].</param>
    /// <returns>[r], ascending.</returns>
    /// <exception cref="ArgumentException">A length does not fit.</exception>
    public int[] Choose(ReadOnlySpan<Bounded> g, ReadOnlySpan<Bounded> momentum) =>
        _projection.Select(Accumulate(g, momentum), _squares).Choose(_projection.Shape.Rank);

    /// <summary>All columns that a binary32 computation may go on with; null if these are too many.</summary>
    internal IReadOnlyList<int[]>? Choices(ReadOnlySpan<Bounded> g, ReadOnlySpan<Bounded> momentum, int most) =>
        _projection.Select(Accumulate(g, momentum), _squares).Choices(_projection.Shape.Rank, most);

    /// <summary>One step with the columns found.</summary>
    /// <param name="p">The parameters, [rows, columns], updated in place.</param>
    /// <param name="g">The gradient, [rows, columns].</param>
    /// <param name="momentum">M, [rows, columns], zeros at first; updated in place.</param>
    /// <param name="index">The columns that the computation under test went on with, [r], ascending.</param>
    /// <exception cref="ArgumentException">
    /// A length does not fit, or no binary32 computation can have these columns; nothing is changed.
    /// </exception>
    public void Step(Span<Bounded> p, ReadOnlySpan<Bounded> g, Span<Bounded> momentum, ReadOnlySpan<int> index)
    {
        Check.Length<Bounded>(p, _length);
        ProjectionShape shape = _projection.Shape;
        Bounded[] accumulated = Accumulate(g, momentum);
        SelectReference select = _projection.Select(accumulated, _squares);
        _projection.Demand(select, index);
        Bounded[] low = select.Project(index);
        Bounded[] kept = _projection.Back(low, index);
        var share = Bounded.Rounded(1 - _momentum);
        for (int i = 0; i < kept.Length; i++)
        {
            kept[i] = accumulated[i] - (share * kept[i]);
        }

        shape.TurnBack(kept).CopyTo(momentum);
        Bounded[] orthogonal = NewtonSchulzReference.Apply(low, shape.Height, shape.Rank, ReductionDepth);
        Bounded[] update = shape.TurnBack(_projection.Back(orthogonal, index));
        var decay = Bounded.Rounded(1 - (_learningRate * _weightDecay));
        var rate = Bounded.Rounded(_learningRate * _scale);
        for (int i = 0; i < update.Length; i++)
        {
            p[i] = (p[i] * decay) - (rate * update[i]);
        }
    }

    /// <summary>B = M + G, turned.</summary>
    private Bounded[] Accumulate(ReadOnlySpan<Bounded> g, ReadOnlySpan<Bounded> momentum)
    {
        Check.Length(g, _length);
        Check.Length(momentum, _length);
        var sum = new Bounded[_length];
        for (int i = 0; i < sum.Length; i++)
        {
            sum[i] = momentum[i] + g[i];
        }

        return _projection.Shape.Turn<Bounded>(sum);
    }
}
