using System.Diagnostics.CodeAnalysis;
using ILGPU;
using ILGPU.Runtime;
using Kernels.DeviceCode.Quantization;
using Kernels.Optimizers;

namespace Kernels.Quantization;

public sealed partial class JointQuantizer
{
    /// <summary>One call.</summary>
    [RequiresDynamicCode(LoadedKernels.Reason)]
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
