using System.Diagnostics.CodeAnalysis;
using ILGPU;
using ILGPU.Runtime;
using Kernels.DeviceCode.Optimizers;
using Kernels.DeviceCode.Reductions;
using Kernels.Host;
using Kernels.Launching;
using Kernels.Validation;

namespace Kernels.Optimizers;

/// <summary>A loaded Adafactor for tensors of given shapes: <see cref="AdafactorOptions"/> over views.</summary>
/// <remarks>
/// Several tensors lie one after the other in the views of parameters and gradients, every one from a multiple of 256
/// elements on, with zeros between them; these views end with the last tensor or with its padding. Their states lie one
/// after the other without gaps. The number of launches does not depend on the number of tensors, and each tensor is
/// stepped as it would be alone. A step allocates nothing, after the first with a kind of storage, and never waits; it
/// owns its scratch memory, so steps of one object must be on one stream, one after the other.
/// </remarks>
[RequiresDynamicCode(LoadedKernels.Reason)]
public sealed partial class Adafactor : IDisposable
{
    private static readonly string[] s_stateNames = ["rowVariance", "columnVariance"];
    private readonly Accelerator _accelerator;
    private readonly DeviceFacts _facts;
    private readonly int _longFullEnd; // of the pieces
    private readonly int _longEnd;
    private readonly int _narrowEnd;
    private readonly int _wholeFullEnd;
    private readonly int _groupsFullEnd; // of the column pieces
    private readonly int _groupsEnd;
    private readonly long _columnSums;
    private readonly long _matrixCount;
    private readonly DeviceTable<AdafactorPiece> _pieces;
    private readonly DeviceTable<AdafactorSizes> _sizes;
    private readonly DeviceTable<AdafactorRow> _rowTable;
    private readonly DeviceTable<AdafactorColumnPiece> _columnPieces;
    private readonly DeviceTable<AdafactorColumnRun> _columnRuns;
    private readonly DeviceTable<AdafactorMatrices> _matrices;
    private readonly AdafactorSums _tensorSums;
    private readonly AdafactorSums _rowSums;
    private readonly StepScratch _scratch;
    private readonly ItemLauncher<PieceSumWork> _pieceSums;
    private readonly ItemLauncher<AdafactorRows> _rows;
    private readonly TableLauncher<AdafactorColumns, AdafactorColumnRun> _columns;
    private readonly TableLauncher<AdafactorScales, AdafactorMatrices> _scales;
    private readonly ItemLauncher<AdafactorRates> _rates;
    private readonly KernelSets _kernels;

    /// <summary>One tensor.</summary>
    /// <param name="accelerator">Where the tensors of a step lie.</param>
    /// <param name="shape">
    /// Lengths of the dimensions, slowest first: of a vector, which has one second moment for each element, or of matrices,
    /// the last two, which have one for each row and each column.
    /// </param>
    /// <exception cref="ArgumentNullException">There is no accelerator.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A length is negative, or there are above 5e11 elements.</exception>
    public Adafactor(Accelerator accelerator, params ReadOnlySpan<long> shape)
        : this(accelerator, [AdafactorShape.Of(shape, nameof(shape))], null)
    {
    }

    /// <summary>
    /// Builds the tables and allocates the scratch memory: less than two bytes for each element, but ten where rows are of
    /// a few more than 32.
    /// </summary>
    /// <param name="accelerator">Where the tensors of a step lie.</param>
    /// <param name="shapes">Of each tensor the lengths of the dimensions, as for one.</param>
    /// <exception cref="ArgumentNullException">There is no accelerator, or a shape is null.</exception>
    /// <exception cref="ArgumentOutOfRangeException">
    /// A length is negative, or there are too many elements or too many rows of more than 32.
    /// </exception>
    public Adafactor(Accelerator accelerator, IReadOnlyList<long[]> shapes)
        : this(accelerator, Placed(shapes), null)
    {
    }

    /// <param name="accelerator">Where the tensors of a step lie.</param>
    /// <param name="shapes">The tensors, and where they are in the views of a step.</param>
    /// <param name="facts">Of the device, or of another one for tests.</param>
    internal Adafactor(Accelerator accelerator, IReadOnlyList<AdafactorShape> shapes, DeviceFacts? facts)
    {
        Require.NotNull(accelerator);
        long pieces = 0;
        foreach (AdafactorShape shape in shapes)
        {
            pieces += shape.PieceCount;
            Require.InRange(pieces, 0, int.MaxValue, nameof(shapes));
            Length = shape.First + shape.Length;
            RowVarianceLength += shape.RowLength;
            ColumnVarianceLength += shape.ColumnLength;
        }

        _accelerator = accelerator;
        _facts = facts ?? DeviceFacts.Of(accelerator);
        bool isHost = _facts.Class == DeviceClass.Host;
        var tables = new AdafactorTables(
            [.. shapes.Where(s => s.Length > 0)], isHost ? HostAdafactorColumns.Span : AdafactorPiece.Length);
        (_longFullEnd, _longEnd, _narrowEnd, _wholeFullEnd) =
            (tables.LongFullEnd, tables.LongEnd, tables.NarrowEnd, tables.WholeFullEnd);
        (_groupsFullEnd, _groupsEnd) = (tables.GroupsFullEnd, tables.GroupsEnd);
        (_columnSums, _matrixCount) = (tables.ColumnSums, tables.MatrixCount);
        _pieces = new(accelerator, tables.Pieces);
        _sizes = new(accelerator, tables.Sizes);
        _rowTable = new(accelerator, [.. tables.Rows]);
        _columnPieces = new(accelerator, tables.ColumnPieces);
        _columnRuns = new(accelerator, [.. tables.ColumnRuns]);
        _matrices = new(accelerator, [.. tables.Matrices]);
        TableLauncher<AdafactorFolds, AdafactorFold> folds = new(accelerator, _facts);
        _tensorSums = new(folds, accelerator, tables.PieceSums, _sizes.Length);
        _rowSums = new(folds, accelerator, tables.RowSums, _matrixCount);
        _scratch = new StepScratch(
            accelerator,
            2L * _pieces.Length * (1 + (isHost ? 0 : Pieces.Lanes)) + _columnSums + _matrixCount + _sizes.Length
            + 2 * _tensorSums.Length + _rowSums.Length);
        _pieceSums = new(accelerator, _facts);
        _rows = new(accelerator, _facts);
        _columns = new(accelerator, _facts);
        _scales = new(accelerator, _facts);
        _rates = new(accelerator, _facts);
        _kernels = new(accelerator, _facts);
    }

    /// <summary>Elements of the views up to the end of the last tensor.</summary>
    public long Length { get; }

    /// <summary>Elements of the views with the padding of the last tensor.</summary>
    public long PaddedLength => Arena.Blocks(Length) * Update.BlockLength;

    /// <summary>Elements of the first state: rows of all matrices, elements of vectors.</summary>
    public long RowVarianceLength { get; }

    /// <summary>Elements of the second state: columns of all matrices, none of vectors.</summary>
    public long ColumnVarianceLength { get; }

    /// <summary>Enqueues one step of all tensors.</summary>
    /// <param name="stream">Stream of the accelerator.</param>
    /// <param name="p">Parameters, [<see cref="Length"/> or <see cref="PaddedLength"/>], updated in place.</param>
    /// <param name="g">Gradients, as long as p, read only.</param>
    /// <param name="rowVariance">
    /// Of matrices the second moments of the rows, of vectors those of the elements, [<see cref="RowVarianceLength"/>];
    /// updated in place, 0 at first.
    /// </param>
    /// <param name="columnVariance">
    /// Of matrices the second moments of the columns, [<see cref="ColumnVarianceLength"/>]; updated in place, 0 at first.
    /// </param>
    /// <param name="step">The number of this step; the first is 1.</param>
    /// <param name="options">The options.</param>
    /// <param name="extras">What is fused into the pass that writes the parameters.</param>
    /// <exception cref="ArgumentException">A length differs, a tensor lies elsewhere, or two overlap.</exception>
    /// <exception cref="ArgumentNullException">The stream or the options are missing.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The step or an option is out of range.</exception>
    /// <exception cref="ObjectDisposedException">This, the stream or a buffer is disposed.</exception>
    public void Step(
        AcceleratorStream stream, TensorView p, TensorView g, ArrayView<float> rowVariance,
        ArrayView<float> columnVariance, int step, AdafactorOptions options, in UpdateExtras extras = default)
    {
        ObjectDisposedException.ThrowIf(_scratch.IsDisposed, this);
        Require.Stream(_accelerator, stream);
        Require.NotNull(options);
        options.Validate(nameof(options));
        Require.AtLeast(step, 1);
        Require.Tensor(_accelerator, p.Length == PaddedLength ? PaddedLength : Length, p);
        UpdateCall call = new()
        {
            P = p,
            G = g,
            A = rowVariance,
            B = columnVariance,
            GradientFactor = options.Maximize ? -1f : 1f,
            Step = step,
            RandomStep = (uint)step,
            Extras = extras,
        };
        StepArguments.Check(
            _accelerator, call, [rowVariance, columnVariance], s_stateNames, [RowVarianceLength, ColumnVarianceLength]);
        Step(stream, call, options);
    }

    /// <summary>Enqueues a step whose arguments are known to be right.</summary>
    internal void Step(AcceleratorStream stream, in UpdateCall call, AdafactorOptions options)
    {
        if (_pieces.Length == 0)
        {
            return;
        }

        long used = 0;
        long lanes = _facts.Class == DeviceClass.Host ? 0 : (long)_pieces.Length * Pieces.Lanes;
        var memory = new Memory
        {
            Scales = _scratch.Next(ref used, _matrixCount),
            Rates = _scratch.Next(ref used, _sizes.Length),
            RowSums = _scratch.Next(ref used, _rowSums.Length),
            ParameterSums = _scratch.Next(ref used, _tensorSums.Length),
            UpdateSums = _scratch.Next(ref used, _tensorSums.Length),
            PiecesX = _scratch.Next(ref used, _pieces.Length),
            PiecesY = _scratch.Next(ref used, _pieces.Length),
            LanesX = _scratch.Next(ref used, lanes),
            LanesY = _scratch.Next(ref used, lanes),
            ColumnSquares = _scratch.Next(ref used, _columnSums),
        };
        AdafactorScalars scalars = options.Fold(call.Step);
        ArrayView<StepControl> control = _scratch.Control(call);
        if (_facts.Class == DeviceClass.Host)
        {
            StepOnHost(stream, call, control, memory, scalars);
            return;
        }

        UpdateCall written = call;
        // Every pass obeys the control, which is always there.
        written.Extras = call.Extras with { Control = default };
        UpdateDispatch.Run(written, new Launch(this, stream, control, memory, scalars));
    }

    /// <summary>Frees the tables and the scratch memory; enqueued work must have ended.</summary>
    public void Dispose()
    {
        _scratch.Dispose();
        _pieces.Dispose();
        _sizes.Dispose();
        _rowTable.Dispose();
        _columnPieces.Dispose();
        _columnRuns.Dispose();
        _matrices.Dispose();
        _tensorSums.Dispose();
        _rowSums.Dispose();
    }

    /// <summary>Shapes one after the other, each from a block of its own on.</summary>
    internal static AdafactorShape[] Placed(IReadOnlyList<long[]> shapes)
    {
        Require.NotNull(shapes);
        var placed = new AdafactorShape[shapes.Count];
        long blocks = 0;
        long rows = 0;
        long columns = 0;
        for (int i = 0; i < placed.Length; i++)
        {
            Require.NotNull(shapes[i], nameof(shapes));
            placed[i] = AdafactorShape.Of(shapes[i], nameof(shapes)) with
            {
                First = blocks * Update.BlockLength,
                FirstRow = rows,
                FirstColumn = columns,
            };
            blocks += Arena.Blocks(placed[i].Length);
            Require.InRange(blocks, 0, int.MaxValue, nameof(shapes));
            rows += placed[i].RowLength;
            columns += placed[i].ColumnLength;
        }

        return placed;
    }

    private unsafe void StepOnHost(
        AcceleratorStream stream, in UpdateCall call, ArrayView<StepControl> control, in Memory memory,
        in AdafactorScalars scalars)
    {
        if (!HostTensors.TryResolve(call, out HostTensors tensors))
        {
            return;
        }

        float* rows = HostTensors.Floats(call.A);
        Squares<FactoredMoments>(tensors, rows, memory, scalars, 0, _longEnd);
        Squares<NarrowMoments>(tensors, rows, memory, scalars, _longEnd, _narrowEnd);
        Squares<WholeMoments>(tensors, rows, memory, scalars, _narrowEnd, _pieces.Length);
        var columns = new HostAdafactorColumns
        {
            Tensors = tensors,
            Table = (AdafactorColumnPiece*)_columnPieces.Address,
            Squares = HostTensors.Floats(memory.ColumnSquares),
        };
        // As much work for a thread as pieces of that number are.
        long grain = Math.Max(1, HostPieces.Grain * _columnPieces.Length / _pieces.Length);
        HostPool.Run(columns, _columnPieces.Length, grain, _facts.Cores);
        Scale(stream, call.A, call.B, control, memory, scalars);
        UpdateSquares<FactoredMoments>(tensors, call, memory, scalars, 0, _longEnd);
        UpdateSquares<NarrowMoments>(tensors, call, memory, scalars, _longEnd, _narrowEnd);
        UpdateSquares<WholeMoments>(tensors, call, memory, scalars, _narrowEnd, _pieces.Length);
        Rate(stream, memory, scalars);
        Apply<FactoredMoments>(tensors, call, memory, scalars, 0, _longEnd);
        Apply<NarrowMoments>(tensors, call, memory, scalars, _longEnd, _narrowEnd);
        Apply<WholeMoments>(tensors, call, memory, scalars, _narrowEnd, _pieces.Length);
    }

    private unsafe void Squares<TMoments>(
        in HostTensors tensors, float* rows, in Memory memory, in AdafactorScalars scalars, int first, int end)
        where TMoments : struct, ISecondMoments
    {
        var squares = new HostAdafactorSquares<TMoments>
        {
            Tensors = tensors,
            Table = (AdafactorPiece*)_pieces.Address + first,
            Sizes = (AdafactorSizes*)_sizes.Address,
            Rows = rows,
            Scalars = scalars,
        };
        HostPieces.Run(
            squares, end - first, HostTensors.Floats(memory.PiecesX), HostTensors.Floats(memory.PiecesY), _facts.Cores);
    }

    private unsafe void UpdateSquares<TMoments>(
        in HostTensors tensors, in UpdateCall call, in Memory memory, in AdafactorScalars scalars, int first, int end)
        where TMoments : struct, ISecondMoments
    {
        var squares = new HostAdafactorUpdateSquares<TMoments>
        {
            Update = UpdateOf<TMoments>(tensors, call, memory, scalars, first),
        };
        HostPieces.Run(squares, end - first, null, HostTensors.Floats(memory.PiecesY), _facts.Cores);
    }

    private void Apply<TMoments>(
        in HostTensors tensors, in UpdateCall call, in Memory memory, in AdafactorScalars scalars, int first, int end)
        where TMoments : struct, ISecondMoments
    {
        var apply = new HostAdafactorApply<TMoments>
        {
            Update = UpdateOf<TMoments>(tensors, call, memory, scalars, first),
        };
        unsafe
        {
            HostPieces.Run(apply, end - first, null, null, _facts.Cores);
        }
    }

    private unsafe HostAdafactorUpdate<TMoments> UpdateOf<TMoments>(
        in HostTensors tensors, in UpdateCall call, in Memory memory, in AdafactorScalars scalars, int first)
        where TMoments : struct, ISecondMoments => new()
        {
            Tensors = tensors,
            Table = (AdafactorPiece*)_pieces.Address + first,
            Rows = HostTensors.Floats(call.A),
            Columns = HostTensors.Floats(call.B),
            Scales = HostTensors.Floats(memory.Scales),
            Rates = HostTensors.Floats(memory.Rates),
            Scalars = scalars,
        };

    // From the sums of pieces and column groups to the second moments of rows and columns, and to the scales.
    private void Scale(
        AcceleratorStream stream, ArrayView<float> rowVariance, ArrayView<float> columnVariance,
        ArrayView<StepControl> control, in Memory memory, in AdafactorScalars scalars)
    {
        _tensorSums.Run(stream, memory.PiecesY, memory.ParameterSums);
        var rows = new AdafactorRows
        {
            GradientPieces = memory.PiecesX,
            Rows = _rowTable.View,
            Sizes = _sizes.View,
            RowVariance = rowVariance,
            Control = control,
            Scalars = scalars,
        };
        _rows.Run(stream, rows, 0, _rowTable.Length, grain: 1024);
        var columns = new AdafactorColumns
        {
            ColumnSquares = memory.ColumnSquares,
            ColumnVariance = columnVariance,
            Sizes = _sizes.View,
            Control = control,
            Scalars = scalars,
        };
        _columns.Run(stream, columns, _columnRuns, 0, _columnRuns.Length, grain: 2);
        _rowSums.Run(stream, rowVariance, memory.RowSums);
        var scales = new AdafactorScales
        {
            RowSums = memory.RowSums,
            Sizes = _sizes.View,
            Scalars = scalars,
            Scales = memory.Scales,
        };
        _scales.Run(stream, scales, _matrices, 0, _matrices.Length);
    }

    private void Rate(AcceleratorStream stream, in Memory memory, in AdafactorScalars scalars)
    {
        _tensorSums.Run(stream, memory.PiecesY, memory.UpdateSums);
        var rates = new AdafactorRates
        {
            ParameterSums = memory.ParameterSums,
            UpdateSums = memory.UpdateSums,
            Sizes = _sizes.View,
            Scalars = scalars,
            Rates = memory.Rates,
        };
        _rates.Run(stream, rates, 0, _sizes.Length);
    }

    private struct Memory
    {
        internal ArrayView<float> Scales; // of matrices
        internal ArrayView<float> Rates;  // of tensors
        internal ArrayView<float> RowSums;
        internal ArrayView<float> ParameterSums;
        internal ArrayView<float> UpdateSums;
        internal ArrayView<float> PiecesX; // squares of gradients
        internal ArrayView<float> PiecesY; // of parameters, then of updates
        internal ArrayView<float> LanesX;
        internal ArrayView<float> LanesY;
        internal ArrayView<float> ColumnSquares;
    }
}
