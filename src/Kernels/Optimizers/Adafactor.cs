using ILGPU;
using ILGPU.Runtime;
using Kernels.DeviceCode.Optimizers;
using Kernels.DeviceCode.Storage;
using Kernels.Launching;
using Kernels.Validation;

namespace Kernels.Optimizers;

/// <summary>A loaded Adafactor for one shape: <see cref="AdafactorOptions"/> over views.</summary>
/// <remarks>
/// Eight kinds of launches and the folds of three sums over the rows, whatever the shape. A step allocates nothing, after
/// the first with a kind of storage, and never waits; it owns its scratch memory, so steps of one object must be on one
/// stream, one after the other.
/// </remarks>
public sealed class Adafactor : IDisposable
{
    private readonly Accelerator _accelerator;
    private readonly DeviceFacts _facts;
    private readonly AdafactorShape _shape;
    private readonly long _lanes;
    private readonly int _groups;
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _scratch;
    private readonly ItemLauncher<AdafactorRows> _rows;
    private readonly ItemLauncher<AdafactorColumns> _columns;
    private readonly ItemLauncher<AdafactorScale> _scale;
    private readonly ItemLauncher<AdafactorUpdateRows> _updateRows;
    private readonly ItemLauncher<AdafactorClip> _clip;
    private readonly StridedSums _sums;
    private readonly object?[] _loaded = new object?[9];

    /// <summary>For vectors: one second moment for each parameter.</summary>
    /// <param name="accelerator">Where the tensors lie.</param>
    /// <param name="length">Parameters.</param>
    /// <exception cref="ArgumentNullException">There is no accelerator.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The length is negative or above 2^40.</exception>
    public Adafactor(Accelerator accelerator, long length)
        : this(accelerator, VectorShape(length), null)
    {
    }

    /// <summary>For matrices, row by row: one second moment for each row and each column.</summary>
    /// <param name="accelerator">Where the tensors lie.</param>
    /// <param name="rows">Rows.</param>
    /// <param name="columns">Columns.</param>
    /// <exception cref="ArgumentNullException">There is no accelerator.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A size is negative.</exception>
    public Adafactor(Accelerator accelerator, int rows, int columns)
        : this(accelerator, MatrixShape(rows, columns), null)
    {
    }

    internal Adafactor(Accelerator accelerator, AdafactorShape shape, DeviceFacts? facts)
    {
        Require.NotNull(accelerator);
        _accelerator = accelerator;
        _facts = facts ?? DeviceFacts.Of(accelerator);
        _shape = shape;
        _lanes = (long)shape.Rows * shape.ChunksOfRow * AdafactorShape.Lanes;
        _groups = (int)(((long)shape.Rows + GroupRows - 1) / GroupRows);
        long columnSquares = shape.IsVector != 0 ? 0 : (long)_groups * shape.Columns;
        _scratch = accelerator.Allocate1D<float>(
            SmallLength + 2 * _lanes + shape.Rows + columnSquares + StridedSums.Scratch(shape.Rows));
        // A skipped step leaves sums as they were, and later launches read them all the same.
        _scratch.MemSetToZero();
        _scratch.View.BaseView.SubView(0, 2).CopyFromCPU(accelerator.DefaultStream, [1f, 0f]);
        accelerator.DefaultStream.Synchronize();
        _rows = new(accelerator, _facts);
        _columns = new(accelerator, _facts);
        _scale = new(accelerator, _facts);
        _updateRows = new(accelerator, _facts);
        _clip = new(accelerator, _facts);
        _sums = new(accelerator, _facts);
    }

    private interface IKind
    {
        void Squares(AcceleratorStream stream, in Call call, ArrayView<float> gradient, ArrayView<float> parameter);

        void ColumnGroups(AcceleratorStream stream, in Call call, ArrayView<float> squares);

        void UpdateSquares(AcceleratorStream stream, in Call call, ArrayView<float> squares);

        void Apply(AcceleratorStream stream, in Call call);
    }

    /// <summary>Parameters of the shape.</summary>
    public long Length => _shape.Length;

    /// <summary>Elements of the first state: rows of a matrix, parameters of a vector.</summary>
    public long RowVarianceLength => _shape.IsVector != 0 ? _shape.Length : _shape.Rows;

    /// <summary>Elements of the second state: columns of a matrix, 0 of a vector.</summary>
    public long ColumnVarianceLength => _shape.IsVector != 0 ? 0 : _shape.Columns;

    private static int GroupRows => AdafactorColumnGroups<F32, F32>.GroupRows;

    // A control that changes nothing [2], the numbers [4], three sums.
    private static int SmallLength => 9;

    /// <summary>Enqueues one step.</summary>
    /// <param name="stream">Stream of the accelerator.</param>
    /// <param name="p">Parameters, [n], updated in place.</param>
    /// <param name="g">Gradients, [n], read only.</param>
    /// <param name="rowVariance">
    /// Of a matrix the second moments of the rows, [rows]; of a vector those of the parameters, [n]; updated in place, 0
    /// at first.
    /// </param>
    /// <param name="columnVariance">
    /// Of a matrix the second moments of the columns, [columns]; of a vector empty; updated in place, 0 at first.
    /// </param>
    /// <param name="step">The number of this step; the first is 1.</param>
    /// <param name="options">The options.</param>
    /// <param name="control">Gradient factor and skip flag, [2]; may be empty.</param>
    /// <exception cref="ArgumentException">A length differs, a tensor lies elsewhere, or two overlap.</exception>
    /// <exception cref="ArgumentNullException">The stream or the options are missing.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The step or an option is out of range.</exception>
    /// <exception cref="ObjectDisposedException">This, the stream or a buffer is disposed.</exception>
    public void Step(
        AcceleratorStream stream, TensorView p, TensorView g, ArrayView<float> rowVariance,
        ArrayView<float> columnVariance, int step, AdafactorOptions options, ArrayView<float> control = default)
    {
        ObjectDisposedException.ThrowIf(_scratch.IsDisposed, this);
        Require.Stream(_accelerator, stream);
        Require.NotNull(options);
        options.Validate(nameof(options));
        Require.AtLeast(step, 1);
        Require.Tensor(_accelerator, Length, p);
        Require.Tensor(_accelerator, Length, g);
        Require.Tensor(_accelerator, RowVarianceLength, rowVariance);
        Require.Tensor(_accelerator, ColumnVarianceLength, columnVariance);
        Require.Apart(p, g, nameof(p), nameof(g));
        Require.Apart(p, rowVariance, nameof(p), nameof(rowVariance));
        Require.Apart(p, columnVariance, nameof(p), nameof(columnVariance));
        Require.Apart(g, rowVariance, nameof(g), nameof(rowVariance));
        Require.Apart(g, columnVariance, nameof(g), nameof(columnVariance));
        Require.Apart(rowVariance, columnVariance, nameof(rowVariance), nameof(columnVariance));
        if (control.Length != 0)
        {
            Require.Tensor(_accelerator, 2, control);
            Require.Apart(p, control, nameof(p), nameof(control));
            Require.Apart(rowVariance, control, nameof(rowVariance), nameof(control));
            Require.Apart(columnVariance, control, nameof(columnVariance), nameof(control));
        }

        if (Length == 0)
        {
            return;
        }

        ArrayView<float> scratch = _scratch.View;
        ArrayView<float> neutral = Next(ref scratch, 2);
        ArrayView<float> numbers = Next(ref scratch, 4);
        ArrayView<float> rowSum = Next(ref scratch, 1);
        ArrayView<float> parameterSum = Next(ref scratch, 1);
        ArrayView<float> updateSum = Next(ref scratch, 1);
        ArrayView<float> first = Next(ref scratch, _lanes);
        ArrayView<float> second = Next(ref scratch, _lanes);
        ArrayView<float> rowSums = Next(ref scratch, _shape.Rows);
        ArrayView<float> folds = Next(ref scratch, StridedSums.Scratch(_shape.Rows));
        var call = new Call
        {
            P = p,
            G = g,
            RowVariance = rowVariance,
            ColumnVariance = columnVariance,
            Control = (control.Length == 0 ? neutral : control).Cast<StepControl>(),
            Numbers = numbers,
            Scalars = options.Fold(step, _shape),
            Shape = _shape,
        };
        IKind kind = Load(p.Storage, g.Storage);
        kind.Squares(stream, call, first, second);
        var rows = new AdafactorRows
        {
            GradientSquares = first,
            ParameterSquares = second,
            RowVariance = rowVariance,
            Control = call.Control,
            Scalars = call.Scalars,
            Shape = _shape,
            ParameterRows = rowSums,
        };
        _rows.Run(stream, rows, 0, _shape.Rows, grain: 64);
        _sums.Run(stream, rowSums, folds, parameterSum);
        if (_shape.IsVector == 0)
        {
            ArrayView<float> columnSquares = Next(ref scratch, (long)_groups * _shape.Columns);
            kind.ColumnGroups(stream, call, columnSquares);
            var columns = new AdafactorColumns
            {
                ColumnSquares = columnSquares,
                ColumnVariance = columnVariance,
                Control = call.Control,
                Scalars = call.Scalars,
                Shape = _shape,
                Groups = _groups,
            };
            _columns.Run(stream, columns, 0, _shape.Columns, grain: 64);
            _sums.Run(stream, rowVariance, folds, rowSum);
        }

        var scale = new AdafactorScale
        {
            RowSum = rowSum,
            ParameterSum = parameterSum,
            Numbers = numbers,
            Scalars = call.Scalars,
        };
        _scale.Run(stream, scale, 0, 1);
        kind.UpdateSquares(stream, call, first);
        var updateRows = new AdafactorUpdateRows { UpdateSquares = first, UpdateRows = rowSums, Shape = _shape };
        _updateRows.Run(stream, updateRows, 0, _shape.Rows, grain: 64);
        _sums.Run(stream, rowSums, folds, updateSum);
        var clip = new AdafactorClip { UpdateSum = updateSum, Numbers = numbers, Scalars = call.Scalars };
        _clip.Run(stream, clip, 0, 1);
        kind.Apply(stream, call);
    }

    /// <summary>Frees the scratch memory; enqueued work must have ended.</summary>
    public void Dispose() => _scratch.Dispose();

    internal static AdafactorShape VectorShape(long length)
    {
        Require.InRange(length, 0, (1L << 40) + 1);
        return new AdafactorShape
        {
            Length = length,
            Rows = (int)((length + AdafactorShape.ChunkLength - 1) / AdafactorShape.ChunkLength),
            Columns = AdafactorShape.ChunkLength,
            ChunksOfRow = 1,
            IsVector = 1,
        };
    }

    internal static AdafactorShape MatrixShape(int rows, int columns)
    {
        Require.AtLeast(rows, 0);
        Require.AtLeast(columns, 0);
        return new AdafactorShape
        {
            Length = (long)rows * columns,
            Rows = rows,
            Columns = columns,
            ChunksOfRow = (int)(((long)columns + AdafactorShape.ChunkLength - 1) / AdafactorShape.ChunkLength),
        };
    }

    private static ArrayView<float> Next(ref ArrayView<float> scratch, long length)
    {
        if (length == scratch.Length)
        {
            // A view of nothing at the end of another is out of bounds for ILGPU.
            (ArrayView<float> last, scratch) = (scratch, default);
            return last;
        }

        ArrayView<float> taken = scratch.SubView(0, length);
        scratch = scratch.SubView(length);
        return taken;
    }

    private IKind Load(Storage p, Storage g)
    {
        ref object? loaded = ref _loaded[(int)p * 3 + (int)g];
        loaded ??= (p, g) switch
        {
            (Storage.F32, Storage.F32) => new Kind<F32, F32>(_accelerator, _facts),
            (Storage.F32, Storage.F16) => new Kind<F32, F16>(_accelerator, _facts),
            (Storage.F32, Storage.BF16) => new Kind<F32, BF16>(_accelerator, _facts),
            (Storage.F16, Storage.F32) => new Kind<F16, F32>(_accelerator, _facts),
            (Storage.F16, Storage.F16) => new Kind<F16, F16>(_accelerator, _facts),
            (Storage.F16, Storage.BF16) => new Kind<F16, BF16>(_accelerator, _facts),
            (Storage.BF16, Storage.F32) => new Kind<BF16, F32>(_accelerator, _facts),
            (Storage.BF16, Storage.F16) => new Kind<BF16, F16>(_accelerator, _facts),
            _ => new Kind<BF16, BF16>(_accelerator, _facts),
        };
        return (IKind)loaded;
    }

    private struct Call
    {
        internal TensorView P;
        internal TensorView G;
        internal ArrayView<float> RowVariance;
        internal ArrayView<float> ColumnVariance;
        internal ArrayView<StepControl> Control;
        internal ArrayView<float> Numbers;
        internal AdafactorScalars Scalars;
        internal AdafactorShape Shape;

        internal readonly long Chunks => (long)Shape.Rows * Shape.ChunksOfRow;
    }

    private sealed class Kind<TParam, TGrad>(Accelerator accelerator, DeviceFacts facts) : IKind
        where TParam : struct, IStorage
        where TGrad : struct, IStorage
    {
        private readonly BlockLauncher<AdafactorSquares<TParam, TGrad>> _squares = new(accelerator, facts);
        private readonly ItemLauncher<AdafactorColumnGroups<TParam, TGrad>> _columnGroups = new(accelerator, facts);
        private readonly BlockLauncher<AdafactorUpdateSquares<TParam, TGrad>> _update = new(accelerator, facts);
        private readonly BlockLauncher<AdafactorApply<TParam, TGrad>> _apply = new(accelerator, facts);

        public void Squares(
            AcceleratorStream stream, in Call call, ArrayView<float> gradient, ArrayView<float> parameter)
        {
            var work = new AdafactorSquares<TParam, TGrad>
            {
                T = Tensors(call),
                GradientSquares = gradient,
                ParameterSquares = parameter,
            };
            _squares.Run(stream, work, 0, call.Chunks);
        }

        public void ColumnGroups(AcceleratorStream stream, in Call call, ArrayView<float> squares) => _columnGroups.Run(
            stream, new AdafactorColumnGroups<TParam, TGrad> { T = Tensors(call), ColumnSquares = squares },
            0, squares.Length, grain: 256);

        public void UpdateSquares(AcceleratorStream stream, in Call call, ArrayView<float> squares) => _update.Run(
            stream, new AdafactorUpdateSquares<TParam, TGrad> { T = Tensors(call), UpdateSquares = squares },
            0, call.Chunks);

        public void Apply(AcceleratorStream stream, in Call call) =>
            _apply.Run(stream, new AdafactorApply<TParam, TGrad> { T = Tensors(call) }, 0, call.Chunks);

        private static AdafactorTensors<TParam, TGrad> Tensors(in Call call) => new()
        {
            P = Stored.Of<TParam>(call.P),
            G = Stored.Of<TGrad>(call.G),
            RowVariance = call.RowVariance,
            ColumnVariance = call.ColumnVariance,
            Control = call.Control,
            Numbers = call.Numbers,
            Scalars = call.Scalars,
            Shape = call.Shape,
        };
    }
}
