using Kernels.Optimizers;
using Kernels.References.Optimizers;
using Kernels.Tests.Support;
using OracleRule = Kernels.References.Optimizers.AmsGradRule;

namespace Kernels.Tests.Optimizers;

/// <summary>Options of the library and the oracle of the same algorithm with the same numbers.</summary>
public sealed record Pairing(ElementwiseOptions Options, ElementwiseReference Reference);

/// <summary>Every form of every element-wise optimizer, with random options.</summary>
public static class ElementwiseForms
{
    private static readonly Dictionary<string, Func<Draw, Pairing>> s_forms = new(StringComparer.Ordinal)
    {
        ["sgd"] = d => Sgd(d, momentum: false, nesterov: false),
        ["sgd.momentum"] = d => Sgd(d, momentum: true, nesterov: false),
        ["sgd.nesterov"] = d => Sgd(d, momentum: true, nesterov: true),
        ["adam"] = d => Adam(d, amsgrad: false, OracleRule.Torch),
        ["adam.amsgrad.torch"] = d => Adam(d, amsgrad: true, OracleRule.Torch),
        ["adam.amsgrad.optax"] = d => Adam(d, amsgrad: true, OracleRule.Optax),
        ["adagrad"] = AdaGrad,
        ["rmsprop"] = d => RmsProp(d, momentum: false, centered: false),
        ["rmsprop.momentum"] = d => RmsProp(d, momentum: true, centered: false),
        ["rmsprop.centered"] = d => RmsProp(d, momentum: false, centered: true),
        ["rmsprop.centered.momentum"] = d => RmsProp(d, momentum: true, centered: true),
        ["lion"] = Lion,
        ["adabelief"] = d => AdaBelief(d, rectify: false, amsgrad: false),
        ["adabelief.rectified"] = d => AdaBelief(d, rectify: true, amsgrad: false),
        ["adabelief.amsgrad"] = d => AdaBelief(d, rectify: false, amsgrad: true),
        ["adabelief.amsgrad.rectified"] = d => AdaBelief(d, rectify: true, amsgrad: true),
        ["diffgrad"] = DiffGrad,
    };

    public static IReadOnlyList<string> Names { get; } = [.. s_forms.Keys];

    public static Pairing Create(string name, Draw draw) => s_forms[name](draw);

    private static Pairing Sgd(Draw d, bool momentum, bool nesterov)
    {
        (double rate, double decay, bool decoupled, bool maximize) = Common(d);
        double mu = momentum ? d.OneOf(0.5, 0.9, 0.99) : 0;
        double dampening = momentum && !nesterov ? d.OneOf(0, 0.25, 1) : 0;
        return new(
            new SgdOptions
            {
                LearningRate = rate,
                Momentum = mu,
                Dampening = dampening,
                Nesterov = nesterov,
                WeightDecay = decay,
                Decoupled = decoupled,
                Maximize = maximize,
            },
            new SgdReference(rate, mu, dampening, nesterov, decay, decoupled, maximize));
    }

    private static Pairing Adam(Draw d, bool amsgrad, OracleRule rule)
    {
        (double rate, double decay, bool decoupled, bool maximize) = Common(d);
        (double beta1, double beta2) = Betas(d);
        double epsilon = d.LogUniform(1e-10, 1e-2);
        return new(
            new AdamOptions
            {
                LearningRate = rate,
                Beta1 = beta1,
                Beta2 = beta2,
                Epsilon = epsilon,
                WeightDecay = decay,
                Decoupled = decoupled,
                AmsGrad = amsgrad,
                Maximize = maximize,
                AmsGradRule = rule == OracleRule.Torch
                    ? Kernels.Optimizers.AmsGradRule.Torch
                    : Kernels.Optimizers.AmsGradRule.Optax,
            },
            new AdamReference(rate, beta1, beta2, epsilon, decay, decoupled, amsgrad, rule, maximize));
    }

    private static Pairing AdaGrad(Draw d)
    {
        (double rate, double decay, bool decoupled, bool maximize) = Common(d);
        double rateDecay = d.OneOf(0, 0.01, 1);
        double initial = d.OneOf(0, 0.1);
        double epsilon = d.LogUniform(1e-12, 1e-2);
        return new(
            new AdaGradOptions
            {
                LearningRate = rate,
                LearningRateDecay = rateDecay,
                WeightDecay = decay,
                InitialAccumulator = initial,
                Epsilon = epsilon,
                Decoupled = decoupled,
                Maximize = maximize,
            },
            new AdaGradReference(rate, rateDecay, decay, initial, epsilon, decoupled, maximize));
    }

    private static Pairing RmsProp(Draw d, bool momentum, bool centered)
    {
        (double rate, double decay, bool decoupled, bool maximize) = Common(d);
        double alpha = d.OneOf(0, 0.9, 0.99);
        double mu = momentum ? d.OneOf(0.5, 0.9) : 0;
        double epsilon = d.LogUniform(1e-10, 1e-1);
        return new(
            new RmsPropOptions
            {
                LearningRate = rate,
                Alpha = alpha,
                Epsilon = epsilon,
                Momentum = mu,
                Centered = centered,
                WeightDecay = decay,
                Decoupled = decoupled,
                Maximize = maximize,
            },
            new RmsPropReference(rate, alpha, epsilon, mu, centered, decay, decoupled, maximize));
    }

    private static Pairing Lion(Draw d)
    {
        (double rate, double decay, bool decoupled, bool maximize) = Common(d);
        (double beta1, double beta2) = Betas(d);
        return new(
            new LionOptions
            {
                LearningRate = rate,
                Beta1 = beta1,
                Beta2 = beta2,
                WeightDecay = decay,
                Decoupled = decoupled,
                Maximize = maximize,
            },
            new LionReference(rate, beta1, beta2, decay, decoupled, maximize));
    }

    private static Pairing AdaBelief(Draw d, bool rectify, bool amsgrad)
    {
        (double rate, double decay, bool decoupled, bool maximize) = Common(d);
        (double beta1, double beta2) = Betas(d);
        double epsilon = d.LogUniform(1e-16, 1e-6);
        bool fixedDecay = decoupled && d.OneOf(true, false);
        bool degenerated = d.OneOf(true, false);
        return new(
            new AdaBeliefOptions
            {
                LearningRate = rate,
                Beta1 = beta1,
                Beta2 = beta2,
                Epsilon = epsilon,
                WeightDecay = decay,
                Rectify = rectify,
                Decoupled = decoupled,
                FixedDecay = fixedDecay,
                AmsGrad = amsgrad,
                DegeneratedToSgd = degenerated,
                Maximize = maximize,
            },
            new AdaBeliefReference(
                rate, beta1, beta2, epsilon, decay, rectify, decoupled, fixedDecay, amsgrad, degenerated, maximize));
    }

    private static Pairing DiffGrad(Draw d)
    {
        (double rate, double decay, bool decoupled, bool maximize) = Common(d);
        (double beta1, double beta2) = Betas(d);
        double epsilon = d.LogUniform(1e-10, 1e-2);
        return new(
            new DiffGradOptions
            {
                LearningRate = rate,
                Beta1 = beta1,
                Beta2 = beta2,
                Epsilon = epsilon,
                WeightDecay = decay,
                Decoupled = decoupled,
                Maximize = maximize,
            },
            new DiffGradReference(rate, beta1, beta2, epsilon, decay, decoupled, maximize: maximize));
    }

    private static (double Rate, double Decay, bool Decoupled, bool Maximize) Common(Draw d) => (
        // Mostly a rate: without one the parameter says nothing of the step.
        d.Below(8) == 0 ? 0 : d.LogUniform(1e-6, 1),
        d.OneOf(0, d.LogUniform(1e-4, 0.5)),
        d.OneOf(true, false),
        d.OneOf(false, false, true));

    private static (double Beta1, double Beta2) Betas(Draw d) =>
        (d.OneOf(0, 0.5, 0.9, 0.95), d.OneOf(0, 0.9, 0.99, 0.999));
}
