using Kernels.References.Optimizers;

namespace Kernels.References.Fuzzing.Optimizers;

/// <summary>The optimizers that update elements, the norm of a gradient and the batch tests.</summary>
internal static class OptimizerTargets
{
    internal static IReadOnlyList<FuzzTarget> All { get; } =
    [
        Target(
            "sgd",
            Options(1e-3, 0, false, ("momentum", 0d), ("dampening", 0d), ("nesterov", false)),
            (draw, _) =>
            {
                double momentum = draw.OneOf(0, 0.5, 0.9, 0.99);
                bool nesterov = momentum > 0 && draw.Once(2);
                draw.Cover(nesterov ? "nesterov" : momentum > 0 ? "momentum" : "plain");
                return
                [
                    ("momentum", momentum), ("nesterov", nesterov),
                    ("dampening", momentum > 0 && !nesterov ? draw.OneOf(0, 0.25, 1) : 0d),
                ];
            },
            c => new SgdReference(
                c.Number("learningRate"), c.Number("momentum"), c.Number("dampening"), c.Boolean("nesterov"),
                c.Number("weightDecay"), c.Boolean("decoupled"), c.Boolean("maximize"))),
        Target("adam", AdamOptions(weightDecay: 0, decoupled: false), AdamChanges, Adam),
        Target("adamw", AdamOptions(weightDecay: 0.01, decoupled: true), AdamChanges, Adam),
        Target(
            "adagrad",
            Options(1e-2, 0, false, ("learningRateDecay", 0d), ("initialAccumulator", 0d), ("epsilon", 1e-10)),
            (draw, _) =>
            [
                ("learningRateDecay", draw.OneOf(0, 0.01, 1)), ("initialAccumulator", draw.OneOf(0, 0.1)),
                ("epsilon", draw.LogUniform(1e-12, 1e-2)),
            ],
            c => new AdaGradReference(
                c.Number("learningRate"), c.Number("learningRateDecay"), c.Number("weightDecay"),
                c.Number("initialAccumulator"), c.Number("epsilon"), c.Boolean("decoupled"), c.Boolean("maximize"))),
        Target(
            "rmsprop",
            Options(1e-2, 0, false, ("alpha", 0.99), ("epsilon", 1e-8), ("momentum", 0d), ("centered", false)),
            (draw, _) =>
            [
                // With 0.01 the mean of equal gradients soon is one of them, and roundings make a variance negative.
                ("alpha", draw.OneOf(0, 0.01, 0.9, 0.99)), ("epsilon", draw.LogUniform(1e-10, 1e-1)),
                ("momentum", draw.OneOf(0, 0.5, 0.9)), ("centered", draw.Once(2)),
            ],
            c => new RmsPropReference(
                c.Number("learningRate"), c.Number("alpha"), c.Number("epsilon"), c.Number("momentum"),
                c.Boolean("centered"), c.Number("weightDecay"), c.Boolean("decoupled"), c.Boolean("maximize"))),
        Target(
            "lion",
            Options(1e-4, 0, true, ("beta1", 0.9), ("beta2", 0.99)),
            (draw, _) => Betas(draw),
            c => new LionReference(
                c.Number("learningRate"), c.Number("beta1"), c.Number("beta2"), c.Number("weightDecay"),
                c.Boolean("decoupled"), c.Boolean("maximize"))),
        Target(
            "adabelief",
            Options(
                1e-3, 0, true, ("beta1", 0.9), ("beta2", 0.999), ("epsilon", 1e-16), ("rectify", true),
                ("degeneratedToSgd", true), ("amsgrad", false), ("fixedDecay", false)),
            (draw, _) =>
            [
                .. Betas(draw), ("epsilon", draw.LogUniform(1e-16, 1e-6)), ("rectify", draw.Once(2)),
                ("degeneratedToSgd", draw.Once(2)), ("amsgrad", draw.Once(2)), ("fixedDecay", draw.Once(3)),
            ],
            c => new AdaBeliefReference(
                c.Number("learningRate"), c.Number("beta1"), c.Number("beta2"), c.Number("epsilon"),
                c.Number("weightDecay"), c.Boolean("rectify"), c.Boolean("decoupled"), c.Boolean("fixedDecay"),
                c.Boolean("amsgrad"), c.Boolean("degeneratedToSgd"), c.Boolean("maximize"))),
        Target(
            "diffgrad",
            Options(1e-3, 0, false, ("beta1", 0.9), ("beta2", 0.999), ("epsilon", 1e-8)),
            (draw, _) => [.. Betas(draw), ("epsilon", draw.LogUniform(1e-10, 1e-2))],
            c => new DiffGradReference(
                c.Number("learningRate"), c.Number("beta1"), c.Number("beta2"), c.Number("epsilon"),
                c.Number("weightDecay"), c.Boolean("decoupled"), maximize: c.Boolean("maximize"))),
        Target(
            "adagradnorm",
            Options(1e-2, 0, false, ("initialAccumulator", 0.01)),
            (draw, _) => [("initialAccumulator", draw.OneOf(0, 0.01, 1))],
            c => new AdaGradNormReference(
                c.Number("learningRate"), c.Number("initialAccumulator"), c.Number("weightDecay"),
                c.Boolean("decoupled"), c.Boolean("maximize"))),
        Target(
            "lamb",
            Options(1e-3, 0.01, true, ("beta1", 0.9), ("beta2", 0.999), ("epsilon", 1e-6)),
            (draw, _) => [.. Betas(draw), ("epsilon", draw.Once(8) ? 0 : draw.LogUniform(1e-8, 1e-2))],
            c => new LambReference(
                c.Number("learningRate"), c.Number("beta1"), c.Number("beta2"), c.Number("epsilon"),
                c.Number("weightDecay"), c.Boolean("maximize"), c.Boolean("decoupled")),
            // Sums of squares have two levels: from 65,537 elements on there is more than one sum of the first.
            length: draw => draw.Once(100) ? draw.Length("n", 70_000, 65_537) : draw.Length("n")),
        Target(
            "adafactor",
            Options(
                1e-2, 0, decoupled: null, ("beta2Decay", -0.8), ("epsilon1", 2 * Bounded.UnitRoundoff), ("epsilon2", 1e-3),
                ("clipThreshold", 1d), ("shape", Array.Empty<int>())),
            (draw, n) =>
            [
                ("beta2Decay", draw.OneOf(-0.8, -0.5, 0)), ("epsilon2", draw.LogUniform(1e-4, 1)),
                ("clipThreshold", draw.OneOf(1d, 2)), ("shape", Shape(draw, n)),
            ],
            c => new AdafactorReference(
                (int[])c.Options["shape"], c.Number("learningRate"),
                c.Number("beta2Decay"), c.Number("epsilon1"), c.Number("epsilon2"), c.Number("clipThreshold"),
                c.Number("weightDecay"), c.Boolean("maximize")),
            // Several rows of more than 256 columns, and several columns of more than 64 rows, are summed in parts.
            length: draw => draw.Below(8) switch
            {
                0 => draw.OneOf(2, 3) * draw.OneOf(257, 263, 521),
                1 => draw.OneOf(64, 67, 128, 131) * draw.OneOf(2, 3, 5),
                _ => draw.Length("n"),
            }),
        new GradientNormTarget(),
        new BatchTestTarget(),
    ];

    private static OptimizerTarget Target(
        string name,
        Dictionary<string, object> options,
        Func<FuzzDraw, int, (string Name, object Value)[]> changes,
        Func<FuzzCase, OptimizerReference> reference,
        FuzzValues gradients = FuzzValues.All,
        Func<FuzzDraw, int>? length = null) =>
        new(
            $"optimizers/{name}", options, (draw, n) => [.. changes(draw, n), .. Common(draw, options)], reference, gradients,
            length);

    private static Dictionary<string, object> Options(
        double learningRate, double weightDecay, bool? decoupled, params ReadOnlySpan<(string Name, object Value)> own)
    {
        var options = new Dictionary<string, object>(StringComparer.Ordinal)
        {
            ["learningRate"] = learningRate,
            ["weightDecay"] = weightDecay,
            ["maximize"] = false,
        };
        if (decoupled is { } value)
        {
            options["decoupled"] = value;
        }

        foreach ((string name, object standard) in own)
        {
            options.Add(name, standard);
        }

        return options;
    }

    /// <summary>Draws the options that every optimizer has.</summary>
    internal static List<(string Name, object Value)> Common(FuzzDraw draw, IReadOnlyDictionary<string, object> options)
    {
        // Mostly a rate: without one the parameter says nothing of the step.
        double rate = draw.Once(8) ? 0 : draw.LogUniform(1e-6, 1);
        double decay = draw.OneOf(0, draw.LogUniform(1e-4, 0.5));
        bool maximize = draw.Once(3);
        List<(string Name, object Value)> changes =
            [("learningRate", rate), ("weightDecay", decay), ("maximize", maximize)];
        draw.Cover(decay > 0 ? "weight decay" : "no weight decay");
        if (options.ContainsKey("decoupled"))
        {
            bool decoupled = draw.Once(2);
            changes.Add(("decoupled", decoupled));
            if (!decoupled && options.ContainsKey("fixedDecay"))
            {
                changes.Add(("fixedDecay", false));
            }
        }

        return changes;
    }

    private static Dictionary<string, object> AdamOptions(double weightDecay, bool decoupled) => Options(
        1e-3, weightDecay, decoupled, ("beta1", 0.9), ("beta2", 0.999), ("epsilon", 1e-8), ("amsgrad", false),
        ("amsgradRule", "torch"));

    private static (string Name, object Value)[] AdamChanges(FuzzDraw draw, int n)
    {
        bool amsgrad = draw.Once(2);
        draw.Cover(amsgrad ? "amsgrad" : "no amsgrad");
        return
        [
            .. Betas(draw), ("epsilon", draw.LogUniform(1e-10, 1e-2)), ("amsgrad", amsgrad),
            ("amsgradRule", amsgrad ? draw.OneOf("torch", "optax") : "torch"),
        ];
    }

    private static AdamReference Adam(FuzzCase c) => new(
        c.Number("learningRate"), c.Number("beta1"), c.Number("beta2"), c.Number("epsilon"), c.Number("weightDecay"),
        c.Boolean("decoupled"), c.Boolean("amsgrad"), Enum.Parse<AmsGradRule>(c.Choice("amsgradRule"), ignoreCase: true),
        c.Boolean("maximize"));

    /// <summary>Draws the decays of two averages.</summary>
    internal static (string Name, object Value)[] Betas(FuzzDraw draw) =>
        [("beta1", draw.OneOf(0, 0.5, 0.9, 0.95)), ("beta2", draw.OneOf(0, 0.9, 0.99, 0.999))];

    private static int[] Shape(FuzzDraw draw, int n)
    {
        int[] rows = [.. Enumerable.Range(1, n).Where(length => n % length == 0)];
        int first = draw.OneOf<int>(rows);
        if (draw.Once(3))
        {
            int[] ofMatrix = [.. rows.Where(length => n / first % length == 0)];
            int second = draw.OneOf<int>(ofMatrix);
            draw.Cover("matrices");
            return [first, second, n / first / second];
        }

        bool isMatrix = draw.Once(2);
        draw.Cover(isMatrix ? "a matrix" : "a vector");
        return isMatrix ? [first, n / first] : [];
    }
}
