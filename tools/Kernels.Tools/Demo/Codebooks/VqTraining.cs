using System.Diagnostics;
using ILGPU;
using ILGPU.Runtime;
using Kernels.VectorQuantization;

namespace Kernels.Tools.Demo.Codebooks;

/// <summary>How good a codebook is, over all patches of the photograph.</summary>
/// <param name="Step">After how many steps.</param>
/// <param name="Usage">Share of the codes that some patch has.</param>
/// <param name="Perplexity">exp of the entropy of the codes: how many there are in effect.</param>
/// <param name="Psnr">Peak signal to noise ratio of the reconstruction, in dB.</param>
internal readonly record struct VqScore(int Step, double Usage, double Perplexity, double Psnr);

/// <summary>What a method achieved.</summary>
/// <param name="Method">The method.</param>
/// <param name="Scores">Now and then, and after the last step.</param>
/// <param name="Reconstruction">The patches in the end.</param>
/// <param name="Seconds">Time of the training, without the first step, in which kernels are compiled, and without the scores.</param>
internal sealed record VqResult(
    VqMethod Method, IReadOnlyList<VqScore> Scores, float[] Reconstruction, double Seconds)
{
    internal VqScore Final => Scores[^1];
}

/// <summary>Trains codebook, encoder and decoder on one photograph, each method from the same start on the same batches.</summary>
internal sealed class VqTraining : IDisposable
{
    // Scores of a training, and so points of its curves.
    private const int Scores = 25;

    private readonly Session _session;
    private readonly VqSetting _setting;
    private readonly NearestCode _nearest;
    private readonly Quantize _quantize;
    private readonly SquaredError _error;
    private readonly Usage _usage;
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _patches;
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _x;
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _encoded;
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _quantized;
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _decoded;
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _gradient;
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _used;
    private readonly MemoryBuffer1D<int, Stride1D.Dense> _index;
    private readonly MemoryBuffer1D<int, Stride1D.Dense> _order;
    private readonly MemoryBuffer1D<int, Stride1D.Dense> _counts;

    internal VqTraining(Session session, VqSetting setting)
    {
        _session = session;
        _setting = setting;
        Accelerator accelerator = session.Accelerator;
        int count = Photograph.Count;
        _nearest = new NearestCode(accelerator, count, setting.Codes, VqSetting.Dimension);
        _quantize = new Quantize(accelerator, count, setting.Codes, VqSetting.Dimension);
        _error = new SquaredError(session, VqSetting.Batch, count, Photograph.PatchLength);
        _usage = new Usage(accelerator, setting.Codes);
        _patches = accelerator.Allocate1D(Photograph.Patches);
        _x = accelerator.Allocate1D<float>(VqSetting.Batch * Photograph.PatchLength);
        _encoded = accelerator.Allocate1D<float>(count * VqSetting.Dimension);
        _quantized = accelerator.Allocate1D<float>(count * VqSetting.Dimension);
        _decoded = accelerator.Allocate1D<float>(count * Photograph.PatchLength);
        _gradient = accelerator.Allocate1D<float>(VqSetting.Batch * VqSetting.Dimension);
        _index = accelerator.Allocate1D<int>(count);
        _order = accelerator.Allocate1D<int>(count);
        _used = accelerator.Allocate1D<float>(2);
        _counts = accelerator.Allocate1D<int>(setting.Codes);
    }

    internal Photograph Photograph { get; } = Photograph.Load();

    /// <summary>One training; the action gets every score.</summary>
    internal VqResult Run(VqMethod method, Action<VqScore> scored)
    {
        using Codebook codebook = method.Create(_session, _setting);
        using var network = new Autoencoder(_session);
        var random = new Random(VqStart.Seed);
        int[] order = [.. Enumerable.Range(0, Photograph.Count)];
        int batches = Photograph.Count / VqSetting.Batch;
        var scores = new List<VqScore>();
        var reconstruction = new float[Photograph.Patches.Length];
        var watch = new Stopwatch();
        for (int step = 1; step <= _setting.Steps; step++)
        {
            int batch = (step - 1) % batches;
            if (batch == 0)
            {
                random.Shuffle(order);
                _order.View.CopyFromCPU(_session.Stream, order);
                _session.Synchronize();
            }

            Step(network, codebook, _order.View.SubView(batch * VqSetting.Batch, VqSetting.Batch), step);
            if (step == 1)
            {
                _session.Synchronize();
                watch.Start();
            }

            if ((long)step * Scores / _setting.Steps > (step - 1L) * Scores / _setting.Steps)
            {
                _session.Synchronize();
                watch.Stop();
                scores.Add(Score(network, codebook, step, reconstruction));
                scored(scores[^1]);
                watch.Start();
            }
        }

        return new VqResult(method, scores, reconstruction, watch.Elapsed.TotalSeconds);
    }

    public void Dispose()
    {
        _nearest.Dispose();
        _quantize.Dispose();
        _error.Dispose();
        _usage.Dispose();
        MemoryBuffer[] buffers =
            [_patches, _x, _encoded, _quantized, _decoded, _gradient, _used, _index, _order, _counts];
        Array.ForEach(buffers, b => b.Dispose());
    }

    private void Step(Autoencoder network, Codebook codebook, ArrayView<int> which, int step)
    {
        const int Rows = VqSetting.Batch;
        AcceleratorStream stream = _session.Stream;
        ArrayView<float> encoded = _encoded.View.SubView(0, Rows * VqSetting.Dimension);
        ArrayView<float> quantized = _quantized.View.SubView(0, Rows * VqSetting.Dimension);
        ArrayView<float> decoded = _decoded.View.SubView(0, Rows * Photograph.PatchLength);
        ArrayView<int> index = _index.View.SubView(0, Rows);
        _error.Fetch(_x.View, _patches.View, which);
        codebook.Project();
        Forward(network, codebook, _x.View, Rows);

        // Reconstruction, then past the codes to the encoder, where the commitment comes in.
        _error.Gradient(decoded, _patches.View, which, decoded);
        network.Backward(network.Decoder, quantized, decoded, Rows, _gradient.View);
        _quantize.Apply(
            stream, encoded, codebook.Searched, index, Rows, gradX: _gradient.View, grad: _gradient.View,
            beta: VqSetting.Beta);
        network.Backward(network.Encoder, _x.View, _gradient.View, Rows);
        codebook.Learn(new VqBatch { Encoded = encoded, Index = index, Quantized = quantized, Step = step });
        network.Step(_setting.RateOf(step));
    }

    private void Forward(
        Autoencoder network, Codebook codebook, ArrayView<float> x, int rows, ArrayView<int> counts = default)
    {
        AcceleratorStream stream = _session.Stream;
        ArrayView<float> encoded = _encoded.View.SubView(0, rows * VqSetting.Dimension);
        ArrayView<float> quantized = _quantized.View.SubView(0, rows * VqSetting.Dimension);
        ArrayView<int> index = _index.View.SubView(0, rows);
        network.Forward(network.Encoder, x, encoded, rows);
        _nearest.Search(stream, encoded, codebook.Searched, index, rows);
        _quantize.Apply(stream, encoded, codebook.Searched, index, rows, output: quantized, counts: counts);
        network.Forward(
            network.Decoder, quantized, _decoded.View.SubView(0, rows * Photograph.PatchLength), rows);
    }

    private VqScore Score(Autoencoder network, Codebook codebook, int step, float[] reconstruction)
    {
        codebook.Project();
        Forward(network, codebook, _patches.View, Photograph.Count, _counts.View);
        _usage.Measure(_session.Stream, _counts.View, _used.View.SubView(0, 1), _used.View.SubView(1, 1));
        var used = new float[2];
        _used.View.CopyToCPU(_session.Stream, used);
        _decoded.View.CopyToCPU(_session.Stream, reconstruction);
        _session.Synchronize();
        return new VqScore(step, used[0], used[1], Photograph.Psnr(reconstruction));
    }
}
