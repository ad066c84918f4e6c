using Kernels.Validation;

namespace Kernels.Optimizers;

/// <content>Saving and loading, whole and in shards.</content>
public sealed partial class Optimizer
{
    /// <summary>Saves parameters, state and counts in safetensors format.</summary>
    /// <remarks>
    /// A parameter <c>w</c> is the tensor <c>w</c>; its state <c>w.exp_avg</c> and so on with PyTorch's names; its count
    /// of steps <c>w.step</c>; its average <c>w.average</c>.
    /// </remarks>
    /// <param name="stream">Where the file goes; stays open.</param>
    /// <exception cref="ArgumentNullException"><paramref name="stream"/> is null.</exception>
    /// <exception cref="ArgumentException">The stream cannot be written, or two tensors would have one name.</exception>
    public void Save(Stream stream)
    {
        Require.NotNull(stream);
        Settle();
        _checkpoint.Save(stream, _session.Stream, _steps, _stepCount);
    }

    /// <summary>Loads what <see cref="Save"/> wrote for the same parameters, algorithm and storages.</summary>
    /// <param name="stream">The file; seekable; stays open.</param>
    /// <exception cref="ArgumentNullException"><paramref name="stream"/> is null.</exception>
    /// <exception cref="InvalidDataException">The file does not fit; the message says why, and nothing is changed.</exception>
    public void Load(Stream stream)
    {
        Require.NotNull(stream);
        Settle();
        _stepCount = _checkpoint.Load([stream], _session.Stream, _steps, isPart: false);
        Regroup();
    }

    /// <summary>
    /// Loads this optimizer's part of what several wrote by <see cref="Save"/>, each with some of the parameters; however
    /// many they were and whoever had which.
    /// </summary>
    /// <remarks>
    /// With the parameters shared out by <see cref="ParameterShards"/>, each process keeps the state of its own (ZeRO-1,
    /// Rajbhandari et al. 2020, arXiv:1910.02054) and steps them to the same bits as one optimizer of all of them would; but
    /// not where a step depends on all: clipping by the norm is by that of the own gradients, and stochastic rounding draws
    /// by the place in memory.
    /// </remarks>
    /// <param name="streams">The files of all shards; seekable; stay open.</param>
    /// <exception cref="ArgumentException">There is no file, or one is null.</exception>
    /// <exception cref="InvalidOperationException">The algorithm has one state for all parameters.</exception>
    /// <exception cref="InvalidDataException">The files do not fit; the message says why, and nothing is changed.</exception>
    public void LoadShards(params ReadOnlySpan<Stream> streams)
    {
        if (streams.IsEmpty || streams.Contains(null))
        {
            throw new ArgumentException("One file at least is needed, and none may be null.", nameof(streams));
        }

        if (_checkpoint.IsWhole)
        {
            throw new InvalidOperationException($"{Options.GetType().Name} has one state for all parameters.");
        }

        Settle();
        _stepCount = _checkpoint.Load(streams, _session.Stream, _steps, isPart: true);
        Regroup();
    }
}
