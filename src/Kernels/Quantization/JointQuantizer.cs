using ILGPU;
using ILGPU.Runtime;
using Kernels.DeviceCode.Quantization;
using Kernels.Launching;
using Kernels.Linear;
using Kernels.Optimizers;
using Kernels.Validation;

namespace Kernels.Quantization;

/// <summary>Learns codebooks, scales and the mapping of weights to codes together, so that a layer's outputs, or its
/// weights, lose the least.</summary>
/// <remarks>
/// <para>
/// Source: the idea of JLCM (Yvinec, Dapogny, Bailly 2024, arXiv:2309.17361): gradient descent on codebook and mapping
/// together, hard codes forward and a straight-through, proximal gradient back. Its schedule, start and rates are not
/// public; these are ours. The objective is <see cref="Reconstruction"/>'s. Then rounds, an option, of descent along
/// single weights (as in QuantEase, arXiv:2309.01885) and of the best codes and scales for the indices, by Newton's step
/// with the exact second derivatives within each codebook and scale.
/// </para>
/// <para>
/// The best hard solution seen is the result, so it is never worse than the start. Same input, same bits on a device.
/// Learning waits for the objective of every step; use an object from one thread at a time. Memory: 33 bytes a weight,
/// with logits 16 k + 17, and 4 columns^2 with activations.
/// </para>
/// <example><code>
/// using var quantizer = new JointQuantizer(session, layout, samples: 512);
/// JointQuantizerResult result = quantizer.Learn(weights, index, codebook, scale, activations);
/// </code></example>
/// </remarks>
public sealed class JointQuantizer : IDisposable
{
    private const double LeastGain = 1e-4;

    private readonly Session _session;
    private readonly JointQuantizerOptions _options;
    private readonly JointState _state;
    private readonly Reconstruction _reconstruction;
    private readonly CodebookGradient _gradient;
    private readonly ScopeMemory _codebooks;
    private readonly ScopeMemory _scales;
    private readonly Mapping? _mapping;
    private readonly Latent? _latent;
    private readonly ItemLauncher<JointValueWork> _value;
    private readonly ItemLauncher<JointStartWork> _start;
    private readonly ItemLauncher<JointClampWork> _clamp;
    private readonly ItemLauncher<JointAscendWork> _ascend;
    private readonly ItemLauncher<JointNearestWork> _nearest;
    private readonly ItemLauncher<JointDescentWork> _descent;

    /// <summary>Prepares learning and allocates its memory.</summary>
    /// <param name="session">Where it happens; it must outlive the object.</param>
    /// <param name="layout">The matrix; a code has one number.</param>
    /// <param name="options">How; null takes the defaults.</param>
    /// <param name="samples">Rows of the activations; 0 if there are none.</param>
    /// <exception cref="ArgumentNullException">The session or the layout is null.</exception>
    /// <exception cref="ArgumentException">A code has several numbers.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An option or the number of samples is out of range.</exception>
    /// <exception cref="ObjectDisposedException">The session is disposed.</exception>
    public JointQuantizer(
        Session session, CodebookLayout layout, JointQuantizerOptions? options = null, int samples = 0)
    {
        Require.NotNull(session);
        session.ThrowIfDisposed();
        Accelerator accelerator = session.Accelerator;
        MappingChecks.Layout(accelerator, layout);
        _options = options ?? new JointQuantizerOptions();
        _options.Validate(nameof(options));
        LinearChecks.Size(samples);
        _session = session;
        Layout = layout;
        Samples = samples;
        var facts = DeviceFacts.Of(accelerator);
        _value = new(accelerator, facts);
        _start = new(accelerator, facts);
        _clamp = new(accelerator, facts);
        _ascend = new(accelerator, facts);
        _nearest = new(accelerator, facts);
        _descent = new(accelerator, facts);
        _reconstruction = new Reconstruction(
            accelerator, layout.Rows, layout.Columns, samples, _options.Rounds > 0 && samples > 0 ? true : null);
        _gradient = new CodebookGradient(accelerator, layout);
        _codebooks = new ScopeMemory(accelerator, layout.Codebooks, layout.Rows);
        _scales = new ScopeMemory(accelerator, layout.Scales, layout.Rows);
        if (_options.Form == MappingForm.Logits)
        {
            _mapping = new Mapping(accelerator, layout, _options.Mapping);
        }
        else
        {
            _latent = new Latent(accelerator, layout);
        }

        _state = new JointState(accelerator, layout);
    }

    /// <summary>The matrix.</summary>
    public CodebookLayout Layout { get; }

    /// <summary>Rows of the activations.</summary>
    public int Samples { get; }

    /// <summary>How it learns.</summary>
    public JointQuantizerOptions Options => _options;

    /// <summary>Learns, from and to the host's memory.</summary>
    /// <param name="weights">W, [rows, columns], finite.</param>
    /// <param name="index">The codes to start with, [rows, columns], each below k; then the learned ones.</param>
    /// <param name="codebook">The codebooks to start with, [codebooks, k], ascending, finite; then the learned ones.</param>
    /// <param name="scale">The scales to start with, [scales]; then the learned ones. Empty if the layout has none.</param>
    /// <param name="activations">X, [samples, columns]; empty if there are none.</param>
    /// <param name="importance">How much each weight counts, [rows, columns], without activations; all 1 if empty.</param>
    /// <param name="progress">Is told of every step and round.</param>
    /// <returns>The objective before and after.</returns>
    /// <exception cref="ArgumentException">A length does not fit, an index is of no code, codes do not ascend or are not
    /// finite, or there are activations and an importance.</exception>
    /// <exception cref="ObjectDisposedException">This or the session is disposed.</exception>
    public JointQuantizerResult Learn(
        ReadOnlySpan<float> weights, Span<byte> index, Span<float> codebook, Span<float> scale,
        ReadOnlySpan<float> activations = default, ReadOnlySpan<float> importance = default,
        IProgress<JointQuantizerProgress>? progress = null)
    {
        ThrowIfDisposed();
        Require.Length(Layout.WeightCount, weights.Length, nameof(weights));
        Require.Length(Layout.WeightCount, index.Length, nameof(index));
        Require.Length(Layout.CodebookLength, codebook.Length, nameof(codebook));
        Require.Length(Layout.ScaleCount, scale.Length, nameof(scale));
        Require.Length((long)Samples * Layout.Columns, activations.Length, nameof(activations));
        Require.Length(importance.IsEmpty ? 0 : Layout.WeightCount, importance.Length, nameof(importance));
        CheckCodes(codebook, nameof(codebook));
        int stranger = Layout.Codes < 256 ? index.IndexOfAnyInRange((byte)Layout.Codes, byte.MaxValue) : -1;
        if (stranger >= 0)
        {
            throw new ArgumentException(
                $"An index must be below {Layout.Codes}, and is {index[stranger]} at {stranger}.", nameof(index));
        }

        Accelerator accelerator = _session.Accelerator;
        AcceleratorStream stream = _session.Stream;
        using MemoryBuffer1D<float, Stride1D.Dense> w = Upload(accelerator, stream, weights);
        using MemoryBuffer1D<float, Stride1D.Dense> c = Upload(accelerator, stream, codebook);
        using MemoryBuffer1D<float, Stride1D.Dense> s = Upload(accelerator, stream, scale);
        using MemoryBuffer1D<float, Stride1D.Dense> x = Upload(accelerator, stream, activations);
        using MemoryBuffer1D<float, Stride1D.Dense> h = Upload(accelerator, stream, importance);
        using MemoryBuffer1D<byte, Stride1D.Dense> codes = accelerator.Allocate1D<byte>(index.Length);
        codes.View.BaseView.CopyFromCPU(stream, index);
        JointQuantizerResult result = LearnOnDevice(
            w.View, codes.View, c.View, Part(s, scale.Length), Part(x, activations.Length), Part(h, importance.Length),
            progress);
        codes.View.BaseView.CopyToCPU(stream, index);
        TensorCopy.Download(stream, c.View, codebook);
        TensorCopy.Download(stream, Part(s, scale.Length), scale);
        return result;
    }

    /// <summary>Learns in device memory, on the session's stream.</summary>
    /// <param name="weights">W, [rows, columns], finite.</param>
    /// <param name="index">The codes to start with, [rows, columns], each below k; then the learned ones.</param>
    /// <param name="codebook">The codebooks to start with, [codebooks, k], ascending, finite; then the learned ones.</param>
    /// <param name="scale">The scales to start with, [scales]; then the learned ones. Empty if the layout has none.</param>
    /// <param name="activations">X, [samples, columns]; empty if there are none.</param>
    /// <param name="importance">How much each weight counts, [rows, columns], without activations; all 1 if empty.</param>
    /// <param name="progress">Is told of every step and round.</param>
    /// <returns>The objective before and after.</returns>
    /// <exception cref="ArgumentException">A length or accelerator does not fit, tensors overlap, codes do not ascend or are
    /// not finite, or there are activations and an importance.</exception>
    /// <exception cref="ObjectDisposedException">This, a buffer or the session is disposed.</exception>
    public JointQuantizerResult LearnOnDevice(
        ArrayView<float> weights, ArrayView<byte> index, ArrayView<float> codebook, ArrayView<float> scale,
        ArrayView<float> activations = default, ArrayView<float> importance = default,
        IProgress<JointQuantizerProgress>? progress = null)
    {
        ThrowIfDisposed();
        Accelerator accelerator = _session.Accelerator;
        LinearChecks.Floats(accelerator, Layout.WeightCount, weights);
        Require.Tensor(accelerator, Layout.WeightCount, index);
        MappingChecks.Codes(accelerator, Layout, codebook, scale);
        LinearChecks.Floats(accelerator, (long)Samples * Layout.Columns, activations);
        MappingChecks.Optional(accelerator, Layout.WeightCount, importance, nameof(importance));
        if (Samples > 0 && importance.Length > 0)
        {
            throw new ArgumentException("With activations weights have no importance of their own.", nameof(importance));
        }

        MappingChecks.Apart(
            3,
            [
                TensorRange.Of(weights, nameof(weights)), TensorRange.Of(activations, nameof(activations)),
                TensorRange.Of(importance, nameof(importance)), TensorRange.Of(index, nameof(index)),
                TensorRange.Of(codebook, nameof(codebook)), TensorRange.Of(scale, nameof(scale)),
            ]);
        var codes = new float[codebook.Length];
        TensorCopy.Download(_session.Stream, codebook, codes);
        CheckCodes(codes, nameof(codebook));
        return new Learning(this, weights, importance, progress).Run(index, codebook, scale, activations, codes);
    }

    /// <summary>Frees the memory.</summary>
    public void Dispose()
    {
        _state.Dispose();
        _reconstruction.Dispose();
        _gradient.Dispose();
        _codebooks.Dispose();
        _scales.Dispose();
        _mapping?.Dispose();
        _latent?.Dispose();
    }

    private static ArrayView<float> Part(MemoryBuffer1D<float, Stride1D.Dense> buffer, int length) =>
        length == 0 ? default : buffer.View.BaseView;

    private static MemoryBuffer1D<float, Stride1D.Dense> Upload(
        Accelerator accelerator, AcceleratorStream stream, ReadOnlySpan<float> values)
    {
        MemoryBuffer1D<float, Stride1D.Dense> buffer = accelerator.Allocate1D<float>(Math.Max(1, values.Length));
        if (!values.IsEmpty)
        {
            buffer.View.BaseView.SubView(0, values.Length).CopyFromCPU(stream, values);
        }

        return buffer;
    }

    private void CheckCodes(ReadOnlySpan<float> codebook, string name)
    {
        for (int i = 0; i < codebook.Length; i++)
        {
            if (!float.IsFinite(codebook[i]) || (i % Layout.Codes > 0 && codebook[i] < codebook[i - 1]))
            {
                throw new ArgumentException(
                    $"The codes of a codebook must be finite and ascend; code {i % Layout.Codes} of codebook "
                    + $"{i / Layout.Codes} is {codebook[i]}.",
                    name);
            }
        }
    }

    private void ThrowIfDisposed()
    {
        ObjectDisposedException.ThrowIf(_state.IsDisposed, this);
        _session.ThrowIfDisposed();
    }

    /// <summary>One call.</summary>
    private sealed class Learning(
        JointQuantizer owner, ArrayView<float> weights, ArrayView<float> importance,
        IProgress<JointQuantizerProgress>? progress)
    {
        private readonly AcceleratorStream _stream = owner._session.Stream;
        private readonly JointQuantizerOptions _options = owner._options;
        private readonly CodebookLayout _layout = owner.Layout;
        private readonly JointState _state = owner._state;
        private readonly float[] _objective = new float[1];
        private float _best;
        private int _done;

        private ArrayView<float> Scale => Part(_state.Scale, _layout.ScaleCount);

        private bool LearnsScale => _options.LearnsScale && _layout.ScaleCount > 0;

        internal JointQuantizerResult Run(
            ArrayView<byte> index, ArrayView<float> codebook, ArrayView<float> scale, ArrayView<float> activations,
            float[] codes)
        {
            if (owner.Samples > 0)
            {
                owner._reconstruction.SetActivations(_stream, activations);
            }

            _state.Load(_stream, index, codebook, scale);
            float before = Evaluate();
            _state.Keep(_stream);
            _best = before;
            if (_options.Steps > 0)
            {
                Descend(codes, before);
            }

            float afterSteps = _best;
            for (int round = 0; round < _options.Rounds && Round(); round++)
            {
            }

            _state.Best(_stream);
            _state.Store(_stream, index, codebook, scale);
            owner._session.Synchronize();
            return new JointQuantizerResult(before, afterSteps, _best);
        }

        private JointMatrix Matrix() => new()
        {
            Index = _state.Index.View,
            Codebook = _state.Codebook.View,
            Scale = _state.Scale.View,
            Codebooks = owner._codebooks.Table,
            Scales = owner._scales.Table,
            Columns = _layout.Columns,
            Codes = _layout.Codes,
            HasScale = _layout.ScaleCount > 0 ? 1 : 0,
        };

        /// <summary>The values and the objective of the state, and the gradient.</summary>
        private float Evaluate()
        {
            Values(JointValueWork.AllCodes);
            return Measure();
        }

        private void Values(int only)
        {
            var work = new JointValueWork { Matrix = Matrix(), Value = _state.Value.View, Only = only };
            owner._value.Run(_stream, work, 0, _layout.WeightCount);
        }

        private float Measure()
        {
            owner._reconstruction.Evaluate(
                _stream, weights, _state.Value.View, _state.Grad.View, _state.Objective.View, importance);
            _state.Objective.View.BaseView.CopyToCPU(_stream, _objective);
            _stream.Synchronize();
            return _objective[0];
        }

        /// <summary>Keeps what is better. NaN is not.</summary>
        private bool Report(float objective)
        {
            bool isBetter = objective < _best;
            if (isBetter)
            {
                _best = objective;
                _state.Keep(_stream);
            }

            progress?.Report(new(++_done, _options.Steps + _options.Rounds, objective, _best));
            return isBetter;
        }

        private void Descend(float[] codes, float before)
        {
            bool isLogits = _options.Form == MappingForm.Logits;
            long length = (long)_layout.WeightCount * (isLogits ? _layout.Codes : 1);
            using var mapping = new Optimizer(
                owner._session, _options.MappingOptimizer, [new Parameter("mapping", length)]);
            using Optimizer? codebook = _options.LearnsCodebook
                ? new Optimizer(owner._session, _options.CodebookOptimizer, [new Parameter("codebook", codes)])
                : null;
            using Optimizer? scales = LearnsScale
                ? new Optimizer(owner._session, _options.ScaleOptimizer, [new Parameter("scale", _state.Scales(_stream))])
                : null;
            ArrayView<float> soft = mapping.View("mapping").As<float>();
            var start = new JointStartWork
            {
                Matrix = Matrix(),
                Weights = weights,
                Start = soft,
                IsLogits = isLogits ? 1 : 0,
            };
            owner._start.Run(_stream, start, 0, _layout.WeightCount);
            double gap = Gap(codes);
            double size = scales is null ? 0 : _state.Scales(_stream).Average(Math.Abs);
            for (int step = 0; step < _options.Steps; step++)
            {
                double rate = 0.5 * (1 + Math.Cos(Math.PI * step / _options.Steps));
                Backward(soft, mapping.Gradient("mapping").As<float>(), step, before);
                owner._gradient.Backward(
                    _stream, _state.Index.View, _state.Grad.View, _state.Codebook.View, Scale,
                    codebook is null ? default : codebook.Gradient("codebook").As<float>(),
                    scales is null ? default : scales.Gradient("scale").As<float>());
                Step(mapping, rate);
                Step(codebook, rate * gap);
                Step(scales, rate * size);
                if (!isLogits)
                {
                    owner._clamp.Run(
                        _stream, new JointClampWork { Latent = soft, Last = _layout.Codes - 1 }, 0, length);
                }

                if (codebook is not null)
                {
                    ArrayView<float> learned = codebook.View("codebook").As<float>();
                    owner._ascend.Run(
                        _stream, new JointAscendWork { Codebook = learned, Codes = _layout.Codes }, 0,
                        _layout.CodebookCount);
                    _state.Codebook.View.BaseView.CopyFrom(_stream, learned);
                }

                if (scales is not null)
                {
                    Scale.CopyFrom(_stream, scales.View("scale").As<float>());
                }

                Forward(soft);
                Report(Measure());
            }
        }

        private static void Step(Optimizer? optimizer, double rate)
        {
            if (optimizer is not null)
            {
                optimizer.LearningRateFactor = rate;
                optimizer.Step();
            }
        }

        private void Forward(ArrayView<float> soft)
        {
            if (owner._mapping is not null)
            {
                owner._mapping.Forward(_stream, soft, _state.Codebook.View, Scale, _state.Value.View, _state.Index.View);
                return;
            }

            owner._latent!.Forward(_stream, soft, _state.Codebook.View, Scale, _state.Value.View, _state.Index.View);
        }

        private void Backward(ArrayView<float> soft, ArrayView<float> gradient, int step, float before)
        {
            if (owner._mapping is null)
            {
                owner._latent!.Backward(_stream, soft, _state.Codebook.View, Scale, _state.Grad.View, gradient);
                return;
            }

            double part = step / Math.Max(1.0, _options.Steps - 1);
            double temperature =
                _options.StartTemperature * Math.Pow(_options.EndTemperature / _options.StartTemperature, part);
            double hardening = _options.Hardening * part * before / _layout.WeightCount;
            owner._mapping.Backward(
                _stream, soft, _state.Codebook.View, Scale, _state.Grad.View, gradient, temperature: temperature,
                hardening: double.IsFinite(hardening) ? hardening : 0);
        }

        /// <summary>The mean gap of the codebooks, in size; 1 if there is none.</summary>
        private double Gap(float[] codes)
        {
            double sum = 0;
            for (int first = 0; first < codes.Length; first += _layout.Codes)
            {
                sum += (codes[first + _layout.Codes - 1] - (double)codes[first]) / (_layout.Codes - 1);
            }

            return sum > 0 ? sum / _layout.CodebookCount : 1;
        }

        /// <summary>Descent along single weights, then the best codes and scales. Whether it is worth another.</summary>
        private bool Round()
        {
            float old = _best;
            _state.Best(_stream);
            Evaluate();
            if (owner.Samples > 0)
            {
                Sweep();
            }
            else
            {
                owner._nearest.Run(
                    _stream, new JointNearestWork { Matrix = Matrix(), Weights = weights }, 0, _layout.WeightCount);
            }

            float now = Evaluate();
            if (now < _best)
            {
                _best = now;
                _state.Keep(_stream);
            }

            if (_options.LearnsCodebook)
            {
                _state.Best(_stream);
                Fit(scales: false);
            }

            if (LearnsScale)
            {
                _state.Best(_stream);
                Fit(scales: true);
            }

            Report(_best);
            return old - _best > LeastGain * old;
        }

        private void Sweep()
        {
            for (int first = 0; first < _layout.Columns; first += JointDescentWork.Block)
            {
                int count = Math.Min(JointDescentWork.Block, _layout.Columns - first);
                ArrayView<float> change = _state.Change.View.SubView(0, (long)_layout.Rows * count);
                var work = new JointDescentWork
                {
                    Matrix = Matrix(),
                    Grad = _state.Grad.View,
                    Gram = owner._reconstruction.Gram,
                    Local = _state.Local.View,
                    Change = change,
                    Rows = _layout.Rows,
                    First = first,
                    Count = count,
                };
                owner._descent.Run(_stream, work, 0, _layout.Rows, grain: 8);
                owner._reconstruction.AddProduct(_stream, change, first, count, _state.Grad.View);
            }
        }

        /// <summary>The best codes, or scales, for what is best so far; kept if it is better.</summary>
        private void Fit(bool scales)
        {
            Evaluate();
            if (owner.Samples == 0)
            {
                if (scales)
                {
                    owner._gradient.FitScales(
                        _stream, weights, _state.Index.View, _state.Codebook.View, Scale, importance);
                }
                else
                {
                    owner._gradient.FitCodes(
                        _stream, weights, _state.Index.View, _state.Codebook.View, Scale, importance);
                }
            }
            else
            {
                Newton(scales);
            }

            owner._ascend.Run(
                _stream, new JointAscendWork { Codebook = _state.Codebook.View, Codes = _layout.Codes }, 0,
                _layout.CodebookCount);
            float now = Evaluate();
            if (now < _best)
            {
                _best = now;
                _state.Keep(_stream);
            }
        }

        /// <summary>x - (second derivative)^-1 gradient, for each codebook or scale by itself.</summary>
        private void Newton(bool scales)
        {
            int k = scales ? 1 : _layout.Codes;
            int count = scales ? _layout.ScaleCount : _layout.CodebookCount;
            ArrayView<float> to = _state.Sums.View.SubView(0, (long)count * k);
            var gradient = new float[count * k];
            var columns = new float[k][];
            Sums(_state.Grad.View, gradient);
            for (int column = 0; column < k; column++)
            {
                // Half of the second derivative: sums of P H, P what the values are of this code, or scale.
                Values(scales ? JointValueWork.WithoutScale : column);
                owner._reconstruction.Multiply(_stream, _state.Value.View, _state.Grad.View);
                columns[column] = new float[count * k];
                Sums(_state.Grad.View, columns[column]);
            }

            ArrayView<float> view = scales ? Scale : _state.Codebook.View;
            var values = new float[count * k];
            TensorCopy.Download(_stream, view, values);
            for (int share = 0; share < count; share++)
            {
                NewtonStep.Take(values, gradient, columns, share * k, k);
            }

            TensorCopy.Upload(_stream, values, view);

            void Sums(ArrayView<float> grad, float[] host)
            {
                owner._gradient.Backward(
                    _stream, _state.Index.View, grad, _state.Codebook.View, Scale, scales ? default : to,
                    scales ? to : default);
                TensorCopy.Download(_stream, to, host);
            }
        }
    }
}
