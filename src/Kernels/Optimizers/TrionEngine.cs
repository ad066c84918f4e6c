using System.Diagnostics.CodeAnalysis;
using ILGPU;
using ILGPU.Runtime;
using Kernels.Dct;

namespace Kernels.Optimizers;

/// <summary>Trion: the columns of the momentum that were chosen, made orthogonal.</summary>
[RequiresDynamicCode(LoadedKernels.Reason)]
internal sealed class TrionEngine : MatrixEngine
{
    private readonly TrionOptions _options;
    private readonly SubspaceSet _set;
    private readonly Subspace?[] _subspaces;
    private readonly ArenaTensor?[] _momentum;
    private readonly NewtonSchulz? _orthogonal;
    private readonly long _most;

    internal TrionEngine(Accelerator accelerator, Arena arena, TrionOptions options)
        : base(accelerator, arena, options)
    {
        _options = options;
        _set = new SubspaceSet(accelerator);
        int count = arena.Parameters.Count;
        _subspaces = new Subspace?[count];
        _momentum = new ArenaTensor?[count];
        long mostLow = 0;
        int mostShorter = 0;
        for (int i = 0; i < count; i++)
        {
            if (IsMatrix(i))
            {
                Parameter parameter = arena.Parameters[i];
                Subspace subspace = _set.Create(
                    (int)parameter.Shape[0], (int)parameter.Shape[1], options.Rank, options.Selection);
                _subspaces[i] = subspace;
                _momentum[i] = ArenaTensor.Create(accelerator, parameter.Length, Storage.F32);
                _most = Math.Max(_most, parameter.Length);
                mostLow = Math.Max(mostLow, (long)subspace.Lines * subspace.Rank);
                mostShorter = Math.Max(mostShorter, Math.Min(subspace.Lines, subspace.Rank));
            }
        }

        _orthogonal = mostLow == 0 ? null : new NewtonSchulz(accelerator, mostLow, mostShorter);
    }

    internal override bool Fits(OptimizerOptions options) => options is TrionOptions other
        && other.Rank == _options.Rank && other.Selection == _options.Selection
        && other.MaxDimension == _options.MaxDimension;

    public override void Dispose()
    {
        base.Dispose();
        _set.Dispose();
        _orthogonal?.Dispose();
        Array.ForEach(_momentum, m => m?.Dispose());
    }

    private protected override IReadOnlyList<StateTensor> MatrixState(int parameter, long[] shape) =>
        [new("momentum_buffer", _momentum[parameter]!.View, shape)];

    private protected override void LaunchMatrix(AcceleratorStream stream, int parameter, in UpdateCall call)
    {
        Subspace subspace = _subspaces[parameter]!;
        var options = (TrionOptions)Options[parameter];
        TensorView momentum = _momentum[parameter]!.View;
        ArrayView<float> low = _set.Low((long)subspace.Lines * subspace.Rank);
        ArrayView<int> index = _set.Index(subspace.Rank);

        // In place, unless the step may turn out to be none.
        bool isDirect = !call.Extras.Control.IsValid;
        ArrayView<float> sum = isDirect ? momentum.As<float>() : _set.Full(momentum.Length, _most);
        Accumulate(stream, call, 1, momentum, 1, sum);
        subspace.Select(stream, sum, default, index, low, default);
        subspace.BackProject(stream, low, index, sum, keep: 1, factor: (float)-(1 - options.Momentum));
        if (!isDirect)
        {
            Commit(stream, call, sum, momentum);
        }

        (int rows, int columns) = subspace.IsLeft ? (subspace.Rank, subspace.Lines) : (subspace.Lines, subspace.Rank);
        _orthogonal!.Run(stream, low, low, rows, columns);
        double scale = UpdateScales.Of(options.Scale, Arena.Parameters[parameter].Shape);
        if (IsPlain(call))
        {
            subspace.BackProject(
                stream, low, index, call.P, (float)(1 - (options.LearningRate * options.WeightDecay)),
                (float)(-options.LearningRate * scale));
            return;
        }

        ArrayView<float> direction = _set.Full(momentum.Length, _most);
        subspace.BackProject(stream, low, index, direction, keep: 0, factor: 1);
        Descend(stream, parameter, call, direction, ScaledControlOf(stream, call), scale);
    }
}
