using Kernels.References.Dct;

namespace Kernels.References.Fuzzing.Optimizers;

/// <summary>The optimizers of matrices.</summary>
internal static class MatrixOptimizerTargets
{
    internal static IReadOnlyList<FuzzTarget> All { get; } =
    [
        new MatrixOptimizerTarget(
            "optimizers/dctadamw",
            draw =>
            {
                string feedback = draw.OneOf("none", "none", "f32", "eightBit", "fourBit");
                bool rotate = draw.Once(2);
                draw.Cover($"feedback: {feedback}");
                draw.Cover(rotate ? "rotate" : "no rotation");
                return
                [
                    .. OptimizerTargets.Betas(draw), ("epsilon", draw.LogUniform(1e-8, 1)), ("rotate", rotate),
                    ("updateInterval", draw.OneOf(1L, 1L, 2L, 3L)), ("errorFeedback", feedback),
                ];
            },
            BeginDctAdamW,
            ("learningRate", 1e-3), ("beta1", 0.9), ("beta2", 0.999), ("epsilon", 1e-8), ("updateInterval", 1L),
            ("rotate", false), ("errorFeedback", "none"), ("rank", 128L), ("weightDecay", 0d), ("maximize", false),
            ("norm", "l1"), ("side", "auto"), ("basis", "dct2")),
        new MatrixOptimizerTarget(
            "optimizers/trion",
            draw => [("momentum", Momentum(draw)), ("scale", Scale(draw))],
            (c, p) => new TrionSteps(
                new TrionReference(
                    c.Length("p"), c.Length("p", 1), c.Whole("rank"), c.Number("learningRate"), c.Number("momentum"),
                    c.Number("weightDecay"), Scale(c), c.Choice("norm") is "l2", Side(c), Basis(c)),
                p, new Bounded[p.Length]),
            ("learningRate", 0.02), ("momentum", 0.95), ("scale", "jordan"), ("rank", 128L), ("weightDecay", 0d),
            ("maximize", false), ("norm", "l1"), ("side", "auto"), ("basis", "dct2")),
        new MatrixOptimizerTarget(
            "optimizers/muon",
            draw =>
            {
                bool nesterov = draw.Once(2);
                draw.Cover(nesterov ? "nesterov" : "plain");
                return [("momentum", Momentum(draw)), ("nesterov", nesterov), ("scale", Scale(draw))];
            },
            (c, p) => new MuonSteps(
                new MuonReference(
                    c.Length("p"), c.Length("p", 1), c.Number("learningRate"), c.Number("momentum"), c.Boolean("nesterov"),
                    c.Number("weightDecay"), Scale(c)),
                p, new Bounded[p.Length]),
            ("learningRate", 0.02), ("momentum", 0.95), ("nesterov", true), ("scale", "jordan"), ("weightDecay", 0d),
            ("maximize", false)),
    ];

    private static DctAdamWSteps BeginDctAdamW(FuzzCase c, Bounded[] p)
    {
        // Blocks of the kernel's own size.
        const int Block = 256;
        string feedback = c.Choice("errorFeedback");
        var rule = new DctAdamWReference(
            c.Length("p"), c.Length("p", 1), c.Whole("rank"), c.Number("learningRate"), c.Number("beta1"),
            c.Number("beta2"), c.Number("epsilon"), c.Number("weightDecay"), c.Whole("updateInterval"),
            c.Choice("norm") is "l2", c.Boolean("rotate"), feedback is not "none", Side(c), Basis(c));
        ErrorBlockReference? error = feedback switch
        {
            "eightBit" => new ErrorBlockReference(8, Block),
            "fourBit" => new ErrorBlockReference(4, Block),
            _ => null,
        };
        return new DctAdamWSteps(rule, error, p, rule.CreateState());
    }

    private static double Momentum(FuzzDraw draw) => draw.OneOf(0, 0.5, 0.9, 0.95);

    private static string Scale(FuzzDraw draw)
    {
        string scale = draw.OneOf("jordan", "kimi", "dion", "none");
        draw.Cover($"scale: {scale}");
        return scale;
    }

    private static UpdateScale Scale(FuzzCase c) => Enum.Parse<UpdateScale>(c.Choice("scale"), ignoreCase: true);

    private static ProjectionSide Side(FuzzCase c) => Enum.Parse<ProjectionSide>(c.Choice("side"), ignoreCase: true);

    private static TransformKind Basis(FuzzCase c) => Enum.Parse<TransformKind>(c.Choice("basis"), ignoreCase: true);
}
