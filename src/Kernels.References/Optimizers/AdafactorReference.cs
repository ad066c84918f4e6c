namespace Kernels.References.Optimizers;

/// <summary>Adafactor: second moments kept as row and column means, steps relative to the parameters' size.</summary>
/// <param name="shape">
/// Lengths of the dimensions, stored row by row: the last two are those of matrices, the others count them; one or none
/// for a vector, not factored.
/// </param>
/// <param name="learningRate">The largest relative step, at least 0; also scales the decay.</param>
/// <param name="beta2Decay">The share of the new squares at step t is t to this power; at most 0.</param>
/// <param name="epsilon1">Least denominator; null for the epsilon of binary32, 2^-23.</param>
/// <param name="epsilon2">Least size of the parameters that a step is relative to, at least 0.</param>
/// <param name="d">Largest root mean square of an update, at least 1.</param>
/// <param name="weightDecay">Decoupled decay coefficient, at least 0.</param>
/// <param name="maximize">Whether the objective grows along the step.</param>
/// <exception cref="ArgumentOutOfRangeException">A coefficient or a size is out of its range.</exception>
/// <remarks>
/// Source: Shazeer and Stern 2018, arXiv:1804.04235, algorithms 4 and 5, as in torch.optim.Adafactor: means in place of
/// sums; the rate caps the relative step; the decay comes after the size of the parameters is measured; epsilon1
/// bounds the mean of the row means from below, and the root of the estimate, instead of being added to the squares.
/// Each matrix has its own rows, columns and mean of the row means; sizes and clip are of the whole tensor.
/// </remarks>
public sealed class AdafactorReference(
    int[]? shape = null,
    double learningRate = 1e-2,
    double beta2Decay = -0.8,
    double? epsilon1 = null,
    double epsilon2 = 1e-3,
    double d = 1,
    double weightDecay = 0,
    bool maximize = false) : OptimizerReference
{
    private readonly int[]? _shape = shape is not { Length: > 1 } ? null
        : Array.TrueForAll(shape, n => n >= 0) ? shape
        : throw new ArgumentOutOfRangeException(
            nameof(shape), string.Join(", ", shape), "Lengths of dimensions must not be negative.");

    private readonly double _learningRate = Check.NotNegative(learningRate);
    private readonly double _epsilon1 = Check.NotNegative(epsilon1 ?? 2 * Bounded.UnitRoundoff, nameof(epsilon1));
    private readonly double _epsilon2 = Check.NotNegative(epsilon2);
    private readonly double _weightDecay = Check.NotNegative(weightDecay);

    private readonly double _beta2Decay = beta2Decay <= 0
        ? beta2Decay
        : throw new ArgumentOutOfRangeException(nameof(beta2Decay), beta2Decay, "Must be at most 0.");

    private readonly double _d = d >= 1
        ? d
        : throw new ArgumentOutOfRangeException(nameof(d), d, "Must be at least 1.");

    /// <summary>The most additions one square goes through in the kernel's reductions; by default any order.</summary>
    public int? ReductionDepth { get; init; }

    /// <inheritdoc/>
    public override string Name => "Adafactor";

    /// <inheritdoc/>
    public override IReadOnlyList<string> StateNames => _shape is null ? ["variance"] : ["row_var", "col_var"];

    /// <inheritdoc/>
    public override int StateLength(int slot, int n) =>
        _shape is null ? n : Matrices * (slot == 0 ? Rows : Columns);

    private int Matrices => _shape!.SkipLast(2).Aggregate(1, (product, n) => product * n);

    private int Rows => _shape![^2];

    private int Columns => _shape![^1];

    /// <inheritdoc/>
    /// <exception cref="ArgumentException">The number of parameters is not that of the shape.</exception>
    protected override void Update(int t, Span<Bounded> p, ReadOnlySpan<Bounded> g, Bounded[][] state)
    {
        if (_shape is not null && Matrices * Rows * Columns != p.Length)
        {
            throw new ArgumentException(
                $"Expected {string.Join(" x ", _shape)} parameters, got {p.Length}.", nameof(p));
        }

        if (p.IsEmpty)
        {
            return;
        }

        double relativeStep = Math.Min(_learningRate, 1 / Math.Sqrt(t));
        Bounded size = Bounded.Max(RootMeanSquare(p), Bounded.Rounded(_epsilon2));
        Bounded rate = size * Bounded.Rounded(relativeStep);

        Bounded[] second = SecondMoments(t, g, state);
        // Twice the rounding, for kernels that compare squares and take the root of the larger.
        var floor = new Bounded(_epsilon1, 2 * Bounded.Rounded(_epsilon1).Bound);
        var update = new Bounded[p.Length];
        for (int i = 0; i < p.Length; i++)
        {
            Bounded denominator = Bounded.Max(Bounded.Sqrt(second[i]), floor);
            update[i] = (maximize ? -g[i] : g[i]) / denominator;
        }

        Bounded clip = Bounded.Max(1, RootMeanSquare(update) / Bounded.Rounded(_d));
        Bounded decay = Bounded.Rounded(1 - (_learningRate * _weightDecay));
        for (int i = 0; i < p.Length; i++)
        {
            p[i] = (p[i] * decay) - (rate / clip * update[i]);
        }
    }

    private Bounded[] SecondMoments(int t, ReadOnlySpan<Bounded> g, Bounded[][] state)
    {
        double beta2 = 1 - Math.Pow(t, _beta2Decay);
        var second = new Bounded[g.Length];
        if (_shape is null)
        {
            for (int i = 0; i < g.Length; i++)
            {
                second[i] = state[0][i] = Average(state[0][i], g[i] * g[i], beta2);
            }

            return second;
        }

        (int rows, int columns, int size) = (Rows, Columns, Rows * Columns);
        for (int matrix = 0; matrix < Matrices; matrix++)
        {
            SecondMoments(
                beta2, g.Slice(matrix * size, size), state[0].AsSpan(matrix * rows, rows),
                state[1].AsSpan(matrix * columns, columns), second.AsSpan(matrix * size, size));
        }

        return second;
    }

    private void SecondMoments(
        double beta2, ReadOnlySpan<Bounded> g, Span<Bounded> row, Span<Bounded> column, Span<Bounded> second)
    {
        (int rows, int columns) = (row.Length, column.Length);
        var line = new Bounded[columns];
        for (int i = 0; i < rows; i++)
        {
            g.Slice(i * columns, columns).CopyTo(line);
            row[i] = Average(row[i], MeanSquare(line), beta2);
        }

        line = new Bounded[rows];
        for (int j = 0; j < columns; j++)
        {
            for (int i = 0; i < rows; i++)
            {
                line[i] = g[(i * columns) + j];
            }

            column[j] = Average(column[j], MeanSquare(line), beta2);
        }

        Bounded mean = Bounded.Sum(row, ReductionDepth) * Bounded.Rounded(1.0 / rows);
        Bounded scale = (Bounded)1 / Bounded.Max(mean, Bounded.Rounded(_epsilon1));
        for (int i = 0; i < g.Length; i++)
        {
            second[i] = row[i / columns] * column[i % columns] * scale;
        }
    }

    private Bounded MeanSquare(ReadOnlySpan<Bounded> values) =>
        GradientNormReference.SquaredNorm(values, ReductionDepth) * Bounded.Rounded(1.0 / values.Length);

    private Bounded RootMeanSquare(ReadOnlySpan<Bounded> values) =>
        GradientNormReference.Norm(values, ReductionDepth) * Bounded.Rounded(1 / Math.Sqrt(values.Length));
}
