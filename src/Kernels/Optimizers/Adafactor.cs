using System.Diagnostics.CodeAnalysis;
using ILGPU;
using ILGPU.Runtime;
using Kernels.DeviceCode.Optimizers;
using Kernels.DeviceCode.Reductions;
using Kernels.DeviceCode.Storage;
using Kernels.Host;
using Kernels.Launching;
using Kernels.Validation;

namespace Kernels.Optimizers;

/// <summary>A loaded Adafactor for one shape: <see cref="AdafactorOptions"/> over views.</summary>
/// <remarks>
/// Eight kinds of launches and the folds of three sums over the rows, whatever the shape. A step allocates nothing, after
/// the first with a kind of storage, and never waits; it owns its scratch memory, so steps of one object must be on one
/// stream, one after the other.
/// </remarks>
[RequiresDynamicCode(LoadedKernels.Reason)]
public sealed class Adafactor : IDisposable
{
    private static readonly string[] s_stateNames = ["rowVariance", "columnVariance"];
    private readonly Accelerator _accelerator;
    private readonly DeviceFacts _facts;
    private readonly PieceLayout _layout;
    private readonly bool _isFactored;
    private readonly long _groups; // of 64 rows
    private readonly StepScratch _scratch;
    private readonly ItemLauncher<PieceSumWork> _pieceSums;
    private readonly ItemLauncher<AdafactorRows> _rows;
    private readonly ItemLauncher<AdafactorColumns> _columns;
    private readonly ItemLauncher<AdafactorScale> _scale;
    private readonly ItemLauncher<AdafactorClip> _clip;
    private readonly StridedSums _sums;
    private readonly KernelSets _kernels;

    /// <summary>For vectors: one second moment for each parameter.</summary>
    /// <param name="accelerator">Where the tensors lie.</param>
    /// <param name="length">Parameters.</param>
    /// <exception cref="ArgumentNullException">There is no accelerator.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The length is negative or above 2^38.</exception>
    public Adafactor(Accelerator accelerator, long length)
        : this(accelerator, VectorLayout(length), isFactored: false, null)
    {
    }

    /// <summary>For matrices, row by row: one second moment for each row and each column.</summary>
    /// <param name="accelerator">Where the tensors lie.</param>
    /// <param name="rows">Rows.</param>
    /// <param name="columns">Columns.</param>
    /// <exception cref="ArgumentNullException">There is no accelerator.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A size is negative, or there are above 5e11 elements.</exception>
    public Adafactor(Accelerator accelerator, int rows, int columns)
        : this(accelerator, MatrixLayout(rows, columns), isFactored: true, null)
    {
    }

    internal Adafactor(Accelerator accelerator, PieceLayout layout, bool isFactored, DeviceFacts? facts)
    {
        Require.NotNull(accelerator);
        _accelerator = accelerator;
        _facts = facts ?? DeviceFacts.Of(accelerator);
        _layout = layout;
        _isFactored = isFactored;
        _groups = isFactored ? (layout.Rows + GroupRows - 1) / GroupRows : 0;
        _scratch = new StepScratch(
            accelerator,
            SmallLength + 2 * layout.Count * (Pieces.Lanes + 1) + _groups * layout.Columns
            + StridedSums.Scratch(Math.Max(layout.Count, layout.Rows)));
        _pieceSums = new(accelerator, _facts);
        _rows = new(accelerator, _facts);
        _columns = new(accelerator, _facts);
        _scale = new(accelerator, _facts);
        _clip = new(accelerator, _facts);
        _sums = new(accelerator, _facts);
        _kernels = new(accelerator, _facts);
    }

    /// <summary>Parameters of the shape.</summary>
    public long Length => _layout.Rows * _layout.Columns;

    /// <summary>Elements of the first state: rows of a matrix, parameters of a vector.</summary>
    public long RowVarianceLength => _isFactored ? _layout.Rows : Length;

    /// <summary>Elements of the second state: columns of a matrix, 0 of a vector.</summary>
    public long ColumnVarianceLength => _isFactored ? _layout.Columns : 0;

    private static int GroupRows => AdafactorColumnGroups<F32, F32>.GroupRows;

    // The numbers [3], three sums.
    private static int SmallLength => 6;

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
        Require.Tensor(_accelerator, Length, p);
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
        if (Length == 0)
        {
            return;
        }

        long used = 0;
        var memory = new Memory
        {
            Numbers = _scratch.Next(ref used, 3),
            RowSum = _scratch.Next(ref used, 1),
            ParameterSum = _scratch.Next(ref used, 1),
            UpdateSum = _scratch.Next(ref used, 1),
            PiecesX = _scratch.Next(ref used, _layout.Count),
            PiecesY = _scratch.Next(ref used, _layout.Count),
            LanesX = _scratch.Next(ref used, _layout.Count * Pieces.Lanes),
            LanesY = _scratch.Next(ref used, _layout.Count * Pieces.Lanes),
            ColumnSquares = _scratch.Next(ref used, _groups * _layout.Columns),
            Folds = _scratch.Next(ref used, StridedSums.Scratch(Math.Max(_layout.Count, _layout.Rows))),
        };
        AdafactorScalars scalars = options.Fold(call.Step, _layout);
        ArrayView<StepControl> control = _scratch.Control(call);
        if (_facts.Class == DeviceClass.Host)
        {
            if (_isFactored)
            {
                StepOnHost<FactoredMoments>(stream, call, control, memory, scalars);
            }
            else
            {
                StepOnHost<WholeMoments>(stream, call, control, memory, scalars);
            }

            return;
        }

        UpdateCall written = call;
        // Every pass obeys the control, which is always there.
        written.Extras = call.Extras with { Control = default };
        if (_isFactored)
        {
            UpdateDispatch.Run(written, new Launch<FactoredMoments>(this, stream, control, memory, scalars));
        }
        else
        {
            UpdateDispatch.Run(written, new Launch<WholeMoments>(this, stream, control, memory, scalars));
        }
    }

    /// <summary>Frees the scratch memory; enqueued work must have ended.</summary>
    public void Dispose() => _scratch.Dispose();

    internal static PieceLayout VectorLayout(long length)
    {
        Require.InRange(length, 0, (1L << 38) + 1);
        return new PieceLayout(1, length);
    }

    internal static PieceLayout MatrixLayout(int rows, int columns)
    {
        Require.AtLeast(rows, 0);
        Require.AtLeast(columns, 0);
        var layout = new PieceLayout(rows, columns);
        Require.InRange(layout.Count, 0, int.MaxValue, nameof(rows));
        return layout;
    }

    private unsafe void StepOnHost<TMoments>(
        AcceleratorStream stream, in UpdateCall call, ArrayView<StepControl> control, in Memory memory,
        in AdafactorScalars scalars)
        where TMoments : struct, ISecondMoments
    {
        if (!HostTensors.TryResolve(call, out HostTensors tensors))
        {
            return;
        }

        float* moments = HostTensors.Floats(call.A);
        HostPieces.Run(
            new HostAdafactorSquares<TMoments> { Tensors = tensors, Moments = moments, Scalars = scalars }, _layout,
            HostTensors.Floats(memory.PiecesX), HostTensors.Floats(memory.PiecesY), _facts.Cores);
        if (TMoments.IsFactored)
        {
            var columns = new HostAdafactorColumns
            {
                Tensors = tensors,
                Layout = _layout,
                Squares = HostTensors.Floats(memory.ColumnSquares),
            };
            HostPool.Run(columns, columns.Units, grain: 1, _facts.Cores);
        }

        Scale<TMoments>(stream, call, control, memory, scalars);
        var update = new HostAdafactorUpdate<TMoments>
        {
            Tensors = tensors,
            Moments = moments,
            Columns = HostTensors.Floats(call.B),
            Numbers = HostTensors.Floats(memory.Numbers),
            Scalars = scalars,
        };
        HostPieces.Run(
            new HostAdafactorUpdateSquares<TMoments> { Update = update }, _layout, null,
            HostTensors.Floats(memory.PiecesY), _facts.Cores);
        Clip(stream, memory, scalars);
        HostPieces.Run(new HostAdafactorApply<TMoments> { Update = update }, _layout, null, null, _facts.Cores);
    }

    // From the sums of pieces and column groups to the second moments of rows and columns, and to the rate.
    private void Scale<TMoments>(
        AcceleratorStream stream, in UpdateCall call, ArrayView<StepControl> control, in Memory memory,
        in AdafactorScalars scalars)
        where TMoments : struct, ISecondMoments
    {
        _sums.Run(stream, memory.PiecesY, memory.Folds, memory.ParameterSum);
        if (TMoments.IsFactored)
        {
            var rows = new AdafactorRows
            {
                GradientPieces = memory.PiecesX,
                RowVariance = call.A,
                Control = control,
                Scalars = scalars,
                PiecesOfRow = (int)_layout.OfRow,
            };
            _rows.Run(stream, rows, 0, _layout.Rows, grain: 1024);
            var columns = new AdafactorColumns
            {
                ColumnSquares = memory.ColumnSquares,
                ColumnVariance = call.B,
                Control = control,
                Scalars = scalars,
                Columns = _layout.Columns,
                Groups = (int)_groups,
            };
            _columns.Run(stream, columns, 0, _layout.Columns, grain: 512);
            _sums.Run(stream, call.A, memory.Folds, memory.RowSum);
        }

        var scale = new AdafactorScale
        {
            RowSum = memory.RowSum,
            ParameterSum = memory.ParameterSum,
            Numbers = memory.Numbers,
            Scalars = scalars,
        };
        _scale.Run(stream, scale, 0, 1);
    }

    private void Clip(AcceleratorStream stream, in Memory memory, in AdafactorScalars scalars)
    {
        _sums.Run(stream, memory.PiecesY, memory.Folds, memory.UpdateSum);
        var clip = new AdafactorClip { UpdateSum = memory.UpdateSum, Numbers = memory.Numbers, Scalars = scalars };
        _clip.Run(stream, clip, 0, 1);
    }

    private struct Memory
    {
        internal ArrayView<float> Numbers;
        internal ArrayView<float> RowSum;
        internal ArrayView<float> ParameterSum;
        internal ArrayView<float> UpdateSum;
        internal ArrayView<float> PiecesX; // squares of gradients
        internal ArrayView<float> PiecesY; // of parameters, then of updates
        internal ArrayView<float> LanesX;
        internal ArrayView<float> LanesY;
        internal ArrayView<float> ColumnSquares;
        internal ArrayView<float> Folds;
    }

    [UnconditionalSuppressMessage("AOT", "IL3050", Justification = LoadedKernels.Told)]
    private readonly struct Launch<TMoments>(
        Adafactor adafactor, AcceleratorStream stream, ArrayView<StepControl> control, Memory memory,
        AdafactorScalars scalars) : IUpdateLaunch
        where TMoments : struct, ISecondMoments
    {
        public void Run<TParam, TGrad, TExtras>(UpdateTensors<TParam, TGrad> t, TExtras extras)
            where TParam : struct, IStorage
            where TGrad : struct, IStorage
            where TExtras : struct, IExtras
        {
            Loaded<TParam, TGrad, TMoments, TExtras> kernels = adafactor._kernels.Get(
                static (accelerator, facts) => new Loaded<TParam, TGrad, TMoments, TExtras>(accelerator, facts));
            PieceLayout layout = adafactor._layout;
            var squares = new AdafactorSquares<TParam, TGrad, TMoments>
            {
                T = t,
                Control = control,
                Scalars = scalars,
                GradientSquares = memory.LanesX,
                ParameterSquares = memory.LanesY,
            };
            kernels.Squares.Run(stream, squares, layout);
            SumPieces(TMoments.IsFactored);
            if (TMoments.IsFactored)
            {
                Columns(kernels, t);
            }

            UpdateCall state = new() { A = t.A, B = t.B };
            adafactor.Scale<TMoments>(stream, state, control, memory, scalars);
            var update = new AdafactorUpdateSquares<TParam, TGrad, TMoments>
            {
                T = t,
                Control = control,
                Numbers = memory.Numbers,
                Scalars = scalars,
                UpdateSquares = memory.LanesY,
            };
            kernels.UpdateSquares.Run(stream, update, layout);
            SumPieces(hasX: false);
            adafactor.Clip(stream, memory, scalars);
            var apply = new AdafactorApply<TParam, TGrad, TMoments, TExtras>
            {
                T = t,
                Extras = extras,
                Control = control,
                Numbers = memory.Numbers,
                Scalars = scalars,
            };
            kernels.Apply.Run(stream, apply, layout);
        }

        private void SumPieces(bool hasX)
        {
            var sums = new PieceSumWork
            {
                LanesX = memory.LanesX,
                LanesY = memory.LanesY,
                SumsX = memory.PiecesX,
                SumsY = memory.PiecesY,
                HasX = hasX ? 1 : 0,
            };
            adafactor._pieceSums.Run(stream, sums, 0, adafactor._layout.Count);
        }

        private void Columns<TParam, TGrad, TExtras>(
            Loaded<TParam, TGrad, TMoments, TExtras> kernels, UpdateTensors<TParam, TGrad> t)
            where TParam : struct, IStorage
            where TGrad : struct, IStorage
            where TExtras : struct, IExtras
        {
            PieceLayout layout = adafactor._layout;
            var groups = new AdafactorColumnGroups<TParam, TGrad>
            {
                T = t,
                Control = control,
                Columns = layout.Columns,
                ColumnSquares = memory.ColumnSquares,
            };
            long full = layout.Rows / GroupRows;
            kernels.ColumnGroups.Run(stream, groups, new PieceLayout(full, layout.Columns));
            if (full < adafactor._groups)
            {
                var tail = new AdafactorColumnTail<TParam, TGrad>
                {
                    T = t,
                    Control = control,
                    FirstRow = full * GroupRows,
                    EndRow = layout.Rows,
                    Columns = layout.Columns,
                    ColumnSquares = memory.ColumnSquares,
                };
                kernels.ColumnTail.Run(stream, tail, 0, layout.Columns);
            }
        }
    }

    [RequiresDynamicCode(LoadedKernels.Reason)]
    private sealed class Loaded<TParam, TGrad, TMoments, TExtras>(Accelerator accelerator, DeviceFacts facts)
        where TParam : struct, IStorage
        where TGrad : struct, IStorage
        where TMoments : struct, ISecondMoments
        where TExtras : struct, IExtras
    {
        internal PieceLauncher<AdafactorSquares<TParam, TGrad, TMoments>> Squares { get; } = new(accelerator, facts);

        internal PieceUpdateLauncher<AdafactorColumnGroups<TParam, TGrad>> ColumnGroups { get; } = new(accelerator, facts);

        internal ItemLauncher<AdafactorColumnTail<TParam, TGrad>> ColumnTail { get; } = new(accelerator, facts);

        internal PieceLauncher<AdafactorUpdateSquares<TParam, TGrad, TMoments>> UpdateSquares { get; } =
            new(accelerator, facts);

        internal PieceUpdateLauncher<AdafactorApply<TParam, TGrad, TMoments, TExtras>> Apply { get; } =
            new(accelerator, facts);
    }
}
