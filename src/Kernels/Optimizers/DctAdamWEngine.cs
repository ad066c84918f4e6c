using System.Diagnostics.CodeAnalysis;
using ILGPU;
using ILGPU.Runtime;
using Kernels.Dct;
using Kernels.DeviceCode.Optimizers;

namespace Kernels.Optimizers;

/// <summary>DCT-AdamW: AdamW in the columns that were chosen.</summary>
[RequiresDynamicCode(LoadedKernels.Reason)]
internal sealed class DctAdamWEngine : MatrixEngine
{
    private readonly DctAdamWOptions _options;
    private readonly SubspaceSet _set;
    private readonly Matrix?[] _matrices;
    private readonly long _most;
    private readonly Updater _adam;
    private AdamOptions[] _adams = [];

    internal DctAdamWEngine(Accelerator accelerator, Arena arena, DctAdamWOptions options)
        : base(accelerator, arena, options)
    {
        _options = options;
        _set = new SubspaceSet(accelerator);
        _matrices = new Matrix?[arena.Parameters.Count];
        for (int i = 0; i < _matrices.Length; i++)
        {
            if (IsMatrix(i))
            {
                Parameter parameter = arena.Parameters[i];
                Subspace subspace = _set.Create(
                    (int)parameter.Shape[0], (int)parameter.Shape[1], options.Rank, options.Selection);
                _matrices[i] = new Matrix(accelerator, subspace, options, parameter.Length);
                _most = Math.Max(_most, parameter.Length);
            }
        }

        _adam = new AdamOptions().Form.Load(accelerator);
    }

    internal override bool Fits(OptimizerOptions options) => options is DctAdamWOptions other
        && other.Rank == _options.Rank && other.Selection == _options.Selection
        && other.ErrorFeedback == _options.ErrorFeedback && other.MaxDimension == _options.MaxDimension;

    internal override void Arrange(OptimizerOptions[] options, ReadOnlySpan<bool> frozen, ReadOnlySpan<int> steps)
    {
        base.Arrange(options, frozen, steps);
        _adams =
        [
            .. Options.Select(o => (DctAdamWOptions)o).Select(o => new AdamOptions
            {
                LearningRate = 1,
                Beta1 = o.Beta1,
                Beta2 = o.Beta2,
                Epsilon = o.Epsilon,
            }),
        ];
    }

    public override void Dispose()
    {
        base.Dispose();
        _set.Dispose();
        Array.ForEach(_matrices, m => m?.Dispose());
    }

    private protected override IReadOnlyList<StateTensor> MatrixState(int parameter, long[] shape)
    {
        Matrix matrix = _matrices[parameter]!;
        Subspace subspace = matrix.Subspace;
        long[] low = subspace.IsLeft ? [subspace.Rank, subspace.Lines] : [subspace.Lines, subspace.Rank];
        return
        [
            new("exp_avg", matrix.Mean, low),
            new("exp_avg_sq", matrix.Square, low),
            new("index", default, [subspace.Rank]) { Indices = matrix.Index },
            .. matrix.Error?.State(shape) ?? [],
        ];
    }

    private protected override void LaunchMatrix(AcceleratorStream stream, int parameter, in UpdateCall call)
    {
        Matrix matrix = _matrices[parameter]!;
        Subspace subspace = matrix.Subspace;
        var options = (DctAdamWOptions)Options[parameter];
        long length = call.P.Length;
        ArrayView<float> all = _set.Low(2L * subspace.Lines * subspace.Rank);
        ArrayView<float> low = all.SubView(0, all.Length / 2);
        ArrayView<float> spare = all.SubView(all.Length / 2, all.Length / 2);

        // A is the gradient itself, scaled later, unless it is in 16 bits or an error is added.
        bool isDirect = matrix.Error is null && call.G.Storage == Storage.F32;
        TensorView a = call.G;
        ArrayView<StepControl> control = ControlOf(call);
        if (!isDirect)
        {
            ArrayView<float> full = _set.Full(length, _most);
            TensorView error = matrix.Error?.Decode(stream, full) ?? default;
            Accumulate(stream, call, matrix.Error is null ? 0 : 1, error, 1, full);
            a = full;
        }

        ArrayView<StepControl> scaled = IsPlain(call) ? control : ScaledControlOf(stream, call);
        bool isNew = call.Step == 1 || call.Step % options.UpdateInterval == 0;
        ArrayView<int> index = matrix.Index;
        if (isNew)
        {
            index = _set.Index(subspace.Rank);
            subspace.Select(stream, a, default, index, low, default);
            if (options.Rotate && call.Step > 1)
            {
                ArrayView<int> map = subspace.Search(stream, matrix.Index, index);
                Move(stream, subspace, map, matrix.Mean, spare, call);
                Move(stream, subspace, map, matrix.Square, spare, call);
            }
        }
        else
        {
            subspace.Project(stream, a, default, index, low);
        }

        if (matrix.Error is { } kept)
        {
            subspace.BackProject(stream, low, index, a, keep: 1, factor: -1);
            kept.Encode(stream, a.As<float>(), control);
        }

        // From 0 with rate 1 Adam goes against the direction.
        ArrayView<float> direction = _set.Zeros(stream, low.Length);
        UpdateCall adam = new()
        {
            P = direction,
            G = low,
            A = matrix.Mean.As<float>(),
            B = matrix.Square.As<float>(),
            GradientFactor = isDirect ? call.GradientFactor : 1,
            Step = call.Step,
            Extras = new UpdateExtras
            {
                Control = call.Extras.Control.IsValid ? (isDirect ? control : scaled).Cast<float>() : default,
            },
        };
        _adam.Step(stream, adam, _adams[parameter]);
        if (isNew)
        {
            Commit(stream, call, index, matrix.Index);
        }

        if (IsPlain(call))
        {
            subspace.BackProject(
                stream, direction, index, call.P, (float)(1 - (options.LearningRate * options.WeightDecay)),
                (float)options.LearningRate);
            return;
        }

        ArrayView<float> update = _set.Full(length, _most);
        subspace.BackProject(stream, direction, index, update, keep: 0, factor: -1);
        Descend(stream, parameter, call, update, scaled);
    }

    private static void Move(
        AcceleratorStream stream, Subspace subspace, ArrayView<int> map, TensorView state, ArrayView<float> spare,
        in UpdateCall call)
    {
        spare.CopyFrom(stream, state.As<float>());
        subspace.Remap(stream, spare, map, state, call.Extras.Control.IsValid ? call.Control : default);
    }

    /// <summary>The state of a matrix.</summary>
    [RequiresDynamicCode(LoadedKernels.Reason)]
    private sealed class Matrix : IDisposable
    {
        private readonly ArenaTensor _mean;
        private readonly ArenaTensor _square;
        private readonly MemoryBuffer1D<int, Stride1D.Dense> _index;

        internal Matrix(Accelerator accelerator, Subspace subspace, DctAdamWOptions options, long length)
        {
            Subspace = subspace;
            long low = (long)subspace.Lines * subspace.Rank;
            _mean = ArenaTensor.Create(accelerator, low, Storage.F32);
            _square = ArenaTensor.Create(accelerator, low, Storage.F32);
            _index = accelerator.Allocate1D<int>(subspace.Rank);
            _index.MemSetToZero();
            Error = options.ErrorFeedback == ErrorFeedback.None
                ? null
                : new ErrorStore(accelerator, options.ErrorFeedback, length);
        }

        internal Subspace Subspace { get; }

        internal TensorView Mean => _mean.View;

        internal TensorView Square => _square.View;

        internal ArrayView<int> Index => _index.View;

        internal ErrorStore? Error { get; }

        public void Dispose()
        {
            _mean.Dispose();
            _square.Dispose();
            _index.Dispose();
            Error?.Dispose();
        }
    }
}
