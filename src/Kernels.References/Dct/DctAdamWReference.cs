using Kernels.References.Optimizers;

namespace Kernels.References.Dct;

/// <summary>DCT-AdamW: AdamW in the columns of a fixed basis that carry most of the gradient.</summary>
/// <remarks>
/// Source: Modoranu et al. 2025, arXiv:2505.17967, section 4, with the order of the authors' code:
/// p = p (1 - rate decay); A = G + E; at step 1 and at those that the interval divides, the r columns of A Q^T with the
/// largest scores; a, those columns; E = A - a Q_r; the states move to the new columns if asked; m = b1 m + (1 - b1) a,
/// v = b2 v + (1 - b2) a a; u = m / (sqrt(v) + epsilon sqrt(c2)); p = p - rate sqrt(c2) / c1 (u Q_r), with
/// c1 = 1 - b1^t, c2 = 1 - b2^t. From the left, all that of the transposes. Without moving, a state's column serves
/// another column of the basis after a new choice, as by default in the code.
/// <para>
/// Which columns are chosen is discrete: a step takes the choice found, refuses one that no roundings can make, and
/// goes on with it. For an error feedback in few bits, check the codes against <see cref="DctAdamWState.Error"/> after
/// the step with <see cref="ErrorBlockReference.Admits"/>, and write there what they decode to.
/// </para>
/// <para>Bound: running error analysis through the transforms. An element of A Q^T that may be 0 makes its row's steps
/// as uncertain as Adam's there, where epsilon does not outweigh it.</para>
/// </remarks>
public sealed class DctAdamWReference
{
    private readonly ColumnProjection _projection;
    private readonly AdamReference _adam;
    private readonly int _updateInterval;
    private readonly bool _squares;
    private readonly bool _rotate;
    private readonly bool _errorFeedback;
    private readonly double _learningRate;
    private readonly double _weightDecay;
    private readonly int _length;

    /// <summary>The rule for one matrix.</summary>
    /// <param name="rows">Rows of the matrix.</param>
    /// <param name="columns">Columns of the matrix.</param>
    /// <param name="rank">r, at most the length of the basis.</param>
    /// <param name="learningRate">Step size, at least 0.</param>
    /// <param name="beta1">Decay of the mean, in [0, 1).</param>
    /// <param name="beta2">Decay of the second moment, in [0, 1).</param>
    /// <param name="epsilon">Added to the root of the corrected second moment, at least 0.</param>
    /// <param name="weightDecay">Decoupled decay coefficient, at least 0.</param>
    /// <param name="updateInterval">Columns are chosen anew at step 1 and at multiples of this.</param>
    /// <param name="squares">Whether a column's score is its sum of squares; if not, of magnitudes.</param>
    /// <param name="rotate">Whether states move with their columns.</param>
    /// <param name="errorFeedback">Whether what a projection loses is added to the next gradient.</param>
    /// <param name="side">From which side to project.</param>
    /// <param name="kind">The basis: rows of this transform.</param>
    /// <exception cref="ArgumentOutOfRangeException">A coefficient or a size is out of its range.</exception>
    public DctAdamWReference(
        int rows,
        int columns,
        int rank,
        double learningRate = 1e-3,
        double beta1 = 0.9,
        double beta2 = 0.999,
        double epsilon = 1e-8,
        double weightDecay = 0,
        int updateInterval = 1,
        bool squares = false,
        bool rotate = false,
        bool errorFeedback = false,
        ProjectionSide side = ProjectionSide.Auto,
        TransformKind kind = TransformKind.Dct2)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(updateInterval, 1);
        _projection = new ColumnProjection(kind, rows, columns, rank, side);
        _length = checked(rows * columns);
        // From 0 with rate 1 it goes to -m / c1 / (sqrt(v / c2) + epsilon).
        _adam = new AdamReference(1, beta1, beta2, epsilon);
        _learningRate = Check.NotNegative(learningRate);
        _weightDecay = Check.NotNegative(weightDecay);
        _updateInterval = updateInterval;
        _squares = squares;
        _rotate = rotate;
        _errorFeedback = errorFeedback;
    }

    /// <summary>The state before the first step: zeros.</summary>
    /// <returns>A state of its own.</returns>
    public DctAdamWState CreateState() => new(
        _projection.Shape.Height * _projection.Shape.Rank, _projection.Shape.Rank, _errorFeedback ? _length : 0);

    /// <summary>Whether a step chooses columns anew.</summary>
    /// <param name="t">The number of the step; the first is 1.</param>
    /// <returns>True at 1 and at multiples of the interval.</returns>
    public bool Refreshes(int t) => t == 1 || t % _updateInterval == 0;

    /// <summary>The columns that the exact computation goes on with.</summary>
    /// <param name="t">The number of the step; the first is 1.</param>
    /// <param name="g">The gradient, [rows, columns].</param>
    /// <param name="state">The state before the step.</param>
    /// <returns>[r], ascending.</returns>
    /// <exception cref="ArgumentException">A length does not fit.</exception>
    public int[] Choose(int t, ReadOnlySpan<Bounded> g, DctAdamWState state)
    {
        ArgumentNullException.ThrowIfNull(state);
        return Refreshes(t)
            ? _projection.Select(Accumulate(g, state), _squares).Choose(_projection.Shape.Rank)
            : [.. state.Index];
    }

    /// <summary>All columns that a binary32 computation may go on with; null if these are too many.</summary>
    internal IReadOnlyList<int[]>? Choices(int t, ReadOnlySpan<Bounded> g, DctAdamWState state, int most) => Refreshes(t)
        ? _projection.Select(Accumulate(g, state), _squares).Choices(_projection.Shape.Rank, most)
        : [[.. state.Index]];

    /// <summary>One step with the columns found.</summary>
    /// <param name="t">The number of this step; the first is 1.</param>
    /// <param name="p">The parameters, [rows, columns], updated in place.</param>
    /// <param name="g">The gradient, [rows, columns].</param>
    /// <param name="state">The state, updated in place.</param>
    /// <param name="index">The columns that the computation under test went on with, [r], ascending.</param>
    /// <exception cref="ArgumentOutOfRangeException">The step is less than 1.</exception>
    /// <exception cref="ArgumentException">
    /// A length does not fit, or no binary32 computation can have these columns; nothing is changed.
    /// </exception>
    public void Step(
        int t, Span<Bounded> p, ReadOnlySpan<Bounded> g, DctAdamWState state, ReadOnlySpan<int> index)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(t, 1);
        ArgumentNullException.ThrowIfNull(state);
        Check.Length<Bounded>(p, _length);
        ProjectionShape shape = _projection.Shape;
        Bounded[] a = Accumulate(g, state);
        SelectReference select = _projection.Select(a, _squares);
        if (Refreshes(t))
        {
            _projection.Demand(select, index);
        }
        else if (!index.SequenceEqual(state.Index))
        {
            throw new ArgumentException($"Step {t} keeps the columns of the step before.", nameof(index));
        }

        Bounded[] low = select.Project(index);
        if (_errorFeedback)
        {
            Bounded[] kept = _projection.Back(low, index);
            for (int i = 0; i < a.Length; i++)
            {
                kept[i] = a[i] - kept[i];
            }

            shape.TurnBack(kept).CopyTo(state.Error, 0);
        }

        Bounded[] mean = shape.TurnLow<Bounded>(state.Mean);
        Bounded[] meanSquare = shape.TurnLow<Bounded>(state.MeanSquare);
        if (t > 1 && _rotate)
        {
            mean = RemapReference.Apply(mean, state.Index, index);
            meanSquare = RemapReference.Apply(meanSquare, state.Index, index);
        }

        for (int i = 0; i < low.Length; i++)
        {
            Bounded[] moments = [mean[i], meanSquare[i]];
            low[i] = _adam.Step(t, 0, low[i], moments);
            mean[i] = moments[0];
            meanSquare[i] = moments[1];
        }

        shape.TurnLowBack(mean).CopyTo(state.Mean, 0);
        shape.TurnLowBack(meanSquare).CopyTo(state.MeanSquare, 0);
        index.CopyTo(state.Index);
        Bounded[] update = shape.TurnBack(_projection.Back(low, index));
        var decay = Bounded.Rounded(1 - (_learningRate * _weightDecay));
        var rate = Bounded.Rounded(_learningRate);
        for (int i = 0; i < update.Length; i++)
        {
            p[i] = (p[i] * decay) + (rate * update[i]);
        }
    }

    /// <summary>A = G + E, turned.</summary>
    private Bounded[] Accumulate(ReadOnlySpan<Bounded> g, DctAdamWState state)
    {
        Check.Length(g, _length);
        Check.Length<Bounded>(state.Error, _errorFeedback ? _length : 0, nameof(state));
        Check.Length<Bounded>(state.Mean, _projection.Shape.Height * _projection.Shape.Rank, nameof(state));
        Check.Length<int>(state.Index, _projection.Shape.Rank, nameof(state));
        Bounded[] sum = g.ToArray();
        for (int i = 0; i < state.Error.Length; i++)
        {
            sum[i] += state.Error[i];
        }

        return _projection.Shape.Turn<Bounded>(sum);
    }
}
