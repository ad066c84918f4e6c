using Kernels.Dct;
using Kernels.Optimizers;
using Kernels.References;
using Kernels.References.Dct;
using Kernels.Tests.Linear;
using Kernels.Tests.Support;
using ProjectionSide = Kernels.Dct.ProjectionSide;
using UpdateScale = Kernels.Optimizers.UpdateScale;

namespace Kernels.Tests.Dct;

public sealed class TrionProperties
{
    private const double Rate = 0.1;
    private const double Momentum = 0.8;
    private const double Decay = 0.3;

    public static TheoryData<int, int, int, ProjectionSide, UpdateScale, bool> Cases() => new()
    {
        { 12, 8, 3, ProjectionSide.Auto, UpdateScale.Jordan, false },
        { 8, 12, 3, ProjectionSide.Auto, UpdateScale.Dion, true },
        { 5, 17, 17, ProjectionSide.Right, UpdateScale.Kimi, false },
        { 18, 6, 4, ProjectionSide.Left, UpdateScale.Dion, false },
        { 6, 18, 9, ProjectionSide.Right, UpdateScale.None, true },
        { 16, 16, 16, ProjectionSide.Left, UpdateScale.Kimi, false },
        { 20, 30, 7, ProjectionSide.Auto, UpdateScale.Jordan, false },
    };

    [Theory]
    [MemberData(nameof(Cases))]
    public void A_step_is_within_the_bounds_of_the_reference(
        int rows, int columns, int rank, ProjectionSide side, UpdateScale scale, bool maximize)
    {
        bool squares = rank % 2 == 0;
        TrionReference Reference(UpdateScale scale, double momentum = Momentum, double decay = Decay) => new(
            rows, columns, rank, Rate, momentum, decay, Of(scale), squares,
            Enum.Parse<Kernels.References.Dct.ProjectionSide>(side.ToString()));

        TrionReference right = Reference(scale);
        (string Name, TrionReference Rule)[] wrong =
        [
            ("momentum", Reference(scale, momentum: 0.9)),
            ("decay", Reference(scale, decay: 0)),
            .. Enum.GetValues<UpdateScale>()
                .Where(s => Math.Abs(Factor(s, rows, columns) - Factor(scale, rows, columns)) > 1e-3)
                .Select(s => ($"{s}", Reference(s))),
        ];
        var seen = new HashSet<string>(StringComparer.Ordinal);
        var random = new Random(rows);
        float[] p = LinearDevice.Random(random, rows * columns);
        using var trion = new Optimizer(
            TestDevices.Session,
            new TrionOptions
            {
                Rank = rank,
                LearningRate = Rate,
                Momentum = Momentum,
                WeightDecay = Decay,
                Scale = scale,
                Maximize = maximize,
                Selection = new() { Side = side, Norm = squares ? ColumnNorm.L2 : ColumnNorm.L1 },
            },
            [new Parameter("w", p, rows, columns)]);
        Bounded[] momentum = new Bounded[p.Length];
        float[] strong = Strong(rows, columns, rank, side);
        for (int t = 1; t <= 4; t++)
        {
            float[] g = OrthogonalDevice.Uneven(random, strong);
            trion.Step(g);
            Bounded[] gradient = [.. g.Select(v => (Bounded)(maximize ? -v : v))];
            float[] before = p;
            p = OrthogonalDevice.Download(trion, "w", p.Length);
            float[] buffer = OrthogonalDevice.Read(trion, "w", "momentum_buffer", p.Length);
            string what = $"{scale} {side} {rank} of {rows} x {columns}, step {t}";
            (Bounded[] wanted, Bounded[] rest) = Step(right, before, gradient, momentum);
            LinearDevice.AssertWithin(rest, buffer, $"{what}: momentum");
            LinearDevice.AssertWithin(wanted, p, $"{what}: p");
            foreach ((string name, TrionReference rule) in wrong)
            {
                (Bounded[] other, Bounded[] otherRest) = Step(rule, before, gradient, momentum);
                // A kernel that followed this rule would be outside the bounds.
                if (IsOutside(wanted, other) || IsOutside(rest, otherRest))
                {
                    seen.Add(name);
                }
            }

            momentum = [.. buffer.Select(v => (Bounded)v)];
        }

        Assert.Equal(wrong.Select(w => w.Name).Order(StringComparer.Ordinal), seen.Order(StringComparer.Ordinal));
    }

    [Theory]
    [InlineData(12, 9)]
    [InlineData(9, 12)]
    public void With_all_columns_it_is_Muon_without_Nesterov(int rows, int columns)
    {
        // The momentum of Trion is that of Muon but for the factor 1 / (1 - mu), which Newton-Schulz takes out; the
        // transform is orthogonal, and turns back. Gradients are so large that the 1e-7 beside the norm is nothing even in
        // binary64. So Trion is as far from Muon's exact parameters as its own oracle's bound through three steps allows.
        var random = new Random(5);
        float[] p = LinearDevice.Random(random, rows * columns);
        Parameter[] parameters = [new("w", p, rows, columns)];
        using var trion = new Optimizer(
            TestDevices.Session, new TrionOptions { Rank = Math.Min(rows, columns), WeightDecay = 0.1 }, parameters);
        using var muon = new Optimizer(
            TestDevices.Session, new MuonOptions { Nesterov = false, WeightDecay = 0.1 }, parameters);
        var trionOracle = new TrionReference(rows, columns, Math.Min(rows, columns), weightDecay: 0.1);
        var muonOracle = new MuonReference(rows, columns, nesterov: false, weightDecay: 0.1);
        Bounded[] trionP = [.. p.Select(v => (Bounded)v)];
        Bounded[] muonP = [.. trionP];
        var buffer = new Bounded[p.Length];
        Bounded[][] state = [new Bounded[p.Length]];
        float[] even = OrthogonalDevice.Even(rows, columns);
        for (int t = 1; t <= 3; t++)
        {
            float[] g = [.. OrthogonalDevice.Uneven(random, even).Select(v => MathF.ScaleB(v, 40))];
            trion.Step(g);
            muon.Step(g);
            Bounded[] gradient = [.. g.Select(v => (Bounded)v)];
            trionOracle.Step(trionP, gradient, buffer, trionOracle.Choose(gradient, buffer));
            muonOracle.Step(t, muonP, gradient, state);
        }

        LinearDevice.AssertWithin(muonP, OrthogonalDevice.Download(muon, "w", p.Length), "Muon");
        float[] got = OrthogonalDevice.Download(trion, "w", p.Length);
        for (int i = 0; i < p.Length; i++)
        {
            Assert.Equal(muonP[i].Value, got[i], trionP[i].Bound);
        }
    }

    [Fact]
    public void Defaults_are_the_published_ones()
    {
        var options = new TrionOptions();
        Assert.Equal((0.02, 0.95, 0.0, 128), (options.LearningRate, options.Momentum, options.WeightDecay, options.Rank));
        Assert.Equal(UpdateScale.Jordan, options.Scale);
        Assert.Equal(
            (3e-4, 0.9, 0.95, 1e-10, 0.0),
            (options.AdamW.LearningRate, options.AdamW.Beta1, options.AdamW.Beta2, options.AdamW.Epsilon,
                options.AdamW.WeightDecay));
    }

    [Fact]
    public void A_skipped_step_leaves_everything_and_a_saved_one_goes_on() =>
        OrthogonalDevice.SkipAndReload(new TrionOptions { Rank = 5, WeightDecay = 0.1 });

    [Fact]
    public void Scaled_gradients_and_other_storages_make_the_same_steps()
    {
        var rule = new TrionReference(
            OrthogonalDevice.Rows, OrthogonalDevice.N, 6, weightDecay: 0.1, scale: Kernels.References.Dct.UpdateScale.Kimi);
        var buffer = new Bounded[OrthogonalDevice.Rows * OrthogonalDevice.N];
        OrthogonalDevice.Ways(
            new TrionOptions { Rank = 6, WeightDecay = 0.1, Scale = UpdateScale.Kimi },
            (_, p, g) => rule.Step(p, g, buffer, rule.Choose(g, buffer)));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void What_is_no_matrix_is_stepped_by_the_side_group(bool maximize)
    {
        var side = new AdamWOptions { LearningRate = 2e-3, Beta2 = 0.9, Epsilon = 1e-9, WeightDecay = 0.2 };
        OrthogonalDevice.Side(new TrionOptions { Rank = 4, MaxDimension = 100, AdamW = side, Maximize = maximize }, side);
    }

    [Fact]
    public void A_parameter_may_not_ask_for_other_state()
    {
        var options = new TrionOptions { Rank = 4 };
        OrthogonalDevice.Refuses(
            options, options with { Rank = 5 }, options with { Selection = new() { Norm = ColumnNorm.L2 } },
            options with { Selection = null! }, options with { MaxDimension = 7 }, options with { Maximize = true },
            new AdamWOptions(), new MuonOptions(), options with { AdamW = null! });
    }

    /// <summary>A matrix whose transform has rank columns with even singular values, the last ones.</summary>
    private static float[] Strong(int rows, int columns, int rank, ProjectionSide side)
    {
        bool isRight = side == ProjectionSide.Right || (side == ProjectionSide.Auto && rows >= columns);
        (int height, int width) = isRight ? (rows, columns) : (columns, rows);
        float[] even = OrthogonalDevice.Even(height, rank);
        var turned = new double[height * width];
        for (int i = 0; i < even.Length; i++)
        {
            turned[(i / rank * width) + width - 1 - (i % rank)] = even[i];
        }

        float[] matrix = Array.ConvertAll(new TransformReference(TransformKind.Dct3, width).Apply(turned), v => (float)v);
        return isRight ? matrix : DctDevice.Transposed(matrix, width);
    }

    private static Kernels.References.Dct.UpdateScale Of(UpdateScale scale) =>
        Enum.Parse<Kernels.References.Dct.UpdateScale>(scale.ToString());

    private static double Factor(UpdateScale scale, int rows, int columns) =>
        MuonReference.Scale(Of(scale), rows, columns);

    private static (Bounded[] P, Bounded[] Momentum) Step(
        TrionReference rule, float[] p, Bounded[] gradient, Bounded[] momentum)
    {
        Bounded[] wanted = [.. p.Select(v => (Bounded)v)];
        Bounded[] rest = [.. momentum];
        rule.Step(wanted, gradient, rest, rule.Choose(gradient, momentum));
        return (wanted, rest);
    }

    private static bool IsOutside(Bounded[] wanted, Bounded[] other) =>
        wanted.Zip(other, (a, b) => Math.Abs(a.Value - b.Value) - a.Bound - b.Bound).Max() > 0;
}
