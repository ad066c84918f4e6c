using System.Diagnostics.CodeAnalysis;
using ILGPU;
using ILGPU.Runtime;
using Kernels.DeviceCode.Optimizers;
using Kernels.DeviceCode.Storage;
using Kernels.Launching;
using Kernels.Validation;

namespace Kernels.Optimizers;

/// <summary>Adaptive batch sizes: tests over the gradients of the samples of a batch, on the device.</summary>
/// <remarks>
/// A call allocates nothing, after the first with a kind of storage, and never waits; it owns its scratch memory, so
/// calls of one object must be on one stream, one after the other. The number of launches depends on the test and, through
/// the folds of sums 64 to 1, on the logarithm of the number of parameters.
/// </remarks>
[RequiresDynamicCode(LoadedKernels.Reason)]
public sealed class BatchTest : IDisposable
{
    private readonly Accelerator _accelerator;
    private readonly DeviceFacts _facts;
    private readonly int _maxSamples;
    private readonly long _columns;
    private readonly long _chunks;
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _scratch;
    private readonly ItemLauncher<BatchRows> _rows;
    private readonly ItemLauncher<BatchFinish> _finish;
    private readonly StridedSums _sums;
    private readonly IKind?[] _loaded = new IKind?[3];

    /// <summary>Allocates the scratch memory: 16 bytes for each parameter, and an eighth of a byte for each gradient.</summary>
    /// <param name="accelerator">Where the gradients lie.</param>
    /// <param name="maxSamples">The most samples of a batch; at least 1.</param>
    /// <param name="columns">Parameters.</param>
    /// <exception cref="ArgumentNullException">There is no accelerator.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A size is out of range.</exception>
    public BatchTest(Accelerator accelerator, int maxSamples, long columns)
        : this(accelerator, maxSamples, columns, null)
    {
    }

    internal BatchTest(Accelerator accelerator, int maxSamples, long columns, DeviceFacts? facts)
    {
        Require.NotNull(accelerator);
        Require.AtLeast(maxSamples, 1);
        Require.InRange(columns, 0, (1L << 40) + 1);
        _accelerator = accelerator;
        _facts = facts ?? DeviceFacts.Of(accelerator);
        _maxSamples = maxSamples;
        _columns = columns;
        _chunks = (columns + ChunkLength - 1) / ChunkLength;
        _scratch = accelerator.Allocate1D<float>(
            3 + 4 * columns + StridedSums.Scratch(columns) + maxSamples * (_chunks * LanesOfChunk + 1));
        _scratch.MemSetToZero();
        accelerator.DefaultStream.Synchronize();
        _rows = new(accelerator, _facts);
        _finish = new(accelerator, _facts);
        _sums = new(accelerator, _facts);
    }

    private interface IKind
    {
        void Columns(AcceleratorStream stream, in Call call);

        void Products(AcceleratorStream stream, in Call call);

        void Across(AcceleratorStream stream, in Call call);
    }

    private static int ChunkLength => BatchProducts<F32>.ChunkLength;

    private static int LanesOfChunk => BatchProducts<F32>.Lanes;

    /// <summary>The next batch size; a batch never shrinks.</summary>
    /// <param name="statistic">The statistic of this batch, not negative; infinity asks for the largest batch.</param>
    /// <param name="batch">This batch size; at least 1.</param>
    /// <param name="maxBatch">The largest batch size; at least 1.</param>
    /// <returns>min(maxBatch, ceil(max(batch, statistic))).</returns>
    /// <exception cref="ArgumentOutOfRangeException">
    /// The statistic is negative or NaN, or a batch size is not positive.
    /// </exception>
    public static int NextBatch(double statistic, int batch, int maxBatch)
    {
        if (!(statistic >= 0))
        {
            throw new ArgumentOutOfRangeException(nameof(statistic), statistic, "statistic must not be negative.");
        }

        Require.AtLeast(batch, 1);
        Require.AtLeast(maxBatch, 1);
        return (int)Math.Min(maxBatch, Math.Ceiling(Math.Max(batch, statistic)));
    }

    /// <summary>Enqueues a test.</summary>
    /// <param name="stream">Stream of the accelerator.</param>
    /// <param name="gradients">The gradient of each sample, [samples, columns], row by row.</param>
    /// <param name="samples">Samples; at least 1. One sample has no variance: the statistic is 0.</param>
    /// <param name="statistic">
    /// Out: the batch size that the test asks for, as a real number, [1]. Where the mean gradient is 0, infinity if the
    /// samples differ and else 0.
    /// </param>
    /// <param name="options">The test.</param>
    /// <exception cref="ArgumentException">A length differs, a tensor lies elsewhere, or two overlap.</exception>
    /// <exception cref="ArgumentNullException">The stream or the options are missing.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The samples or an option are out of range.</exception>
    /// <exception cref="ObjectDisposedException">This, the stream or a buffer is disposed.</exception>
    public void Run(
        AcceleratorStream stream, TensorView gradients, int samples, ArrayView<float> statistic,
        BatchTestOptions options)
    {
        ObjectDisposedException.ThrowIf(_scratch.IsDisposed, this);
        Require.Stream(_accelerator, stream);
        Require.NotNull(options);
        options.Validate(nameof(options));
        Require.InRange(samples, 1, (double)_maxSamples + 1);
        Require.Tensor(_accelerator, samples * _columns, gradients);
        Require.Tensor(_accelerator, 1, statistic);
        Require.Apart(gradients, statistic, nameof(gradients), nameof(statistic));

        ArrayView<float> scratch = _scratch.View;
        ArrayView<float> variance = scratch.SubView(0, 1);
        ArrayView<float> meanSquare = scratch.SubView(1, 1);
        ArrayView<float> across = scratch.SubView(2, 1);
        bool hasProduct = options.Kind is BatchTestKind.InnerProduct or BatchTestKind.Augmented;
        bool hasAcross = options.Kind is BatchTestKind.Orthogonality or BatchTestKind.Augmented;
        // The largest of the coordinates needs no finish; nor has one sample, or a gradient of nothing, any statistic.
        bool isNothing = samples == 1 || _columns == 0;
        var finish = new BatchFinish
        {
            Variance = variance,
            MeanSquare = meanSquare,
            Across = across,
            Result = statistic,
            Samples = samples,
            InverseSamples = (float)(1.0 / samples),
            InverseFreedom = (float)(1.0 / Math.Max(samples - 1, 1)),
            InverseThreshold = Inverse(options.Threshold),
            InverseThreshold2 = Inverse(
                options.Kind == BatchTestKind.Augmented ? options.Threshold2 : options.Threshold),
            HasNorm = !isNothing && options.Kind == BatchTestKind.Norm ? 1 : 0,
            HasProduct = !isNothing && hasProduct ? 1 : 0,
            HasAcross = !isNothing && hasAcross ? 1 : 0,
        };
        if (isNothing)
        {
            _finish.Run(stream, finish, 0, 1);
            return;
        }

        ArrayView<float> columns = scratch.SubView(3, 4 * _columns);
        long folds = StridedSums.Scratch(_columns);
        ArrayView<float> rows = scratch.SubView(3 + 4 * _columns + folds, samples);
        var call = new Call
        {
            Gradients = gradients,
            Samples = samples,
            Columns = _columns,
            Means = columns.SubView(0, _columns),
            MeanSquares = columns.SubView(_columns, _columns),
            Variances = columns.SubView(2 * _columns, _columns),
            Statistics = columns.SubView(3 * _columns, _columns),
            Rows = rows,
            Products = scratch.SubView(3 + 4 * _columns + folds + _maxSamples, samples * _chunks * LanesOfChunk),
            MeanSquare = meanSquare,
            Chunks = _chunks,
            Finish = finish,
        };
        IKind kind = Load(gradients.Storage);
        ArrayView<float> fold = scratch.SubView(3 + 4 * _columns, folds);
        kind.Columns(stream, call);
        if (options.Kind == BatchTestKind.Coordinate)
        {
            _sums.Run(stream, call.Statistics, fold, statistic, largest: true);
            return;
        }

        _sums.Run(stream, call.Variances, fold, variance);
        _sums.Run(stream, call.MeanSquares, fold, meanSquare);
        if (hasProduct || hasAcross)
        {
            kind.Products(stream, call);
            var sum = new BatchRows { Products = call.Products, Count = _chunks * LanesOfChunk, Rows = rows };
            _rows.Run(stream, sum, 0, samples, grain: 16);
        }

        if (hasAcross)
        {
            kind.Across(stream, call);
            _sums.Run(stream, call.Statistics, fold, across);
        }

        finish.Rows = rows;
        _finish.Run(stream, finish, 0, 1);
    }

    /// <summary>Frees the scratch memory; enqueued work must have ended.</summary>
    public void Dispose() => _scratch.Dispose();

    private static float Inverse(double threshold) => (float)(1 / (threshold * threshold));

    private IKind Load(Storage storage) => _loaded[(int)storage] ??= storage switch
    {
        Storage.F32 => new Kind<F32>(_accelerator, _facts),
        Storage.F16 => new Kind<F16>(_accelerator, _facts),
        _ => new Kind<BF16>(_accelerator, _facts),
    };

    private struct Call
    {
        internal TensorView Gradients;
        internal int Samples;
        internal long Columns;
        internal long Chunks;
        internal ArrayView<float> Means;
        internal ArrayView<float> MeanSquares;
        internal ArrayView<float> Variances;
        internal ArrayView<float> Statistics; // of the coordinates, or variances across the mean
        internal ArrayView<float> Rows;
        internal ArrayView<float> Products;
        internal ArrayView<float> MeanSquare;
        internal BatchFinish Finish;
    }

    [RequiresDynamicCode(LoadedKernels.Reason)]
    private sealed class Kind<TGrad>(Accelerator accelerator, DeviceFacts facts) : IKind
        where TGrad : struct, IStorage
    {
        private readonly ItemLauncher<BatchColumns<TGrad>> _columns = new(accelerator, facts);
        private readonly BlockLauncher<BatchProducts<TGrad>> _products = new(accelerator, facts);
        private readonly ItemLauncher<BatchAcross<TGrad>> _across = new(accelerator, facts);

        public void Columns(AcceleratorStream stream, in Call call)
        {
            var work = new BatchColumns<TGrad>
            {
                Gradients = Gradients(call),
                Means = call.Means,
                MeanSquares = call.MeanSquares,
                Variances = call.Variances,
                Statistics = call.Statistics,
                InverseThreshold = call.Finish.InverseThreshold,
            };
            _columns.Run(stream, work, 0, call.Columns, grain: 256);
        }

        public void Products(AcceleratorStream stream, in Call call)
        {
            var work = new BatchProducts<TGrad>
            {
                Gradients = Gradients(call),
                Means = call.Means,
                ChunksOfRow = call.Chunks,
                Products = call.Products,
            };
            _products.Run(stream, work, 0, call.Samples * call.Chunks);
        }

        public void Across(AcceleratorStream stream, in Call call)
        {
            var work = new BatchAcross<TGrad>
            {
                Gradients = Gradients(call),
                Means = call.Means,
                Rows = call.Rows,
                MeanSquare = call.MeanSquare,
                Variances = call.Statistics,
            };
            _across.Run(stream, work, 0, call.Columns, grain: 256);
        }

        private static SampleGradients<TGrad> Gradients(in Call call) => new()
        {
            G = Stored.Of<TGrad>(call.Gradients),
            Columns = call.Columns,
            Samples = call.Samples,
            InverseSamples = call.Finish.InverseSamples,
            InverseFreedom = call.Finish.InverseFreedom,
        };
    }
}
