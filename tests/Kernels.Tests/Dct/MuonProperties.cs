using Kernels.Optimizers;
using Kernels.References;
using Kernels.References.Dct;
using Kernels.Tests.Linear;
using Kernels.Tests.Support;
using UpdateScale = Kernels.Optimizers.UpdateScale;

namespace Kernels.Tests.Dct;

public sealed class MuonProperties
{
    private const double Rate = 0.1;
    private const double Momentum = 0.8;
    private const double Decay = 0.3;

    public static TheoryData<int, int, UpdateScale, bool, bool> Cases() => new()
    {
        { 12, 8, UpdateScale.Jordan, true, false },
        { 8, 12, UpdateScale.Jordan, true, true },
        { 5, 17, UpdateScale.Kimi, false, false },
        { 18, 6, UpdateScale.Dion, true, false },
        { 6, 18, UpdateScale.Dion, false, true },
        { 16, 16, UpdateScale.None, true, false },
        { 1, 1, UpdateScale.Kimi, true, true },
    };

    [Theory]
    [MemberData(nameof(Cases))]
    public void A_step_is_within_the_bounds_of_the_reference(
        int rows, int columns, UpdateScale scale, bool nesterov, bool maximize)
    {
        MuonReference right = Reference(rows, columns, scale, nesterov);
        (string Name, MuonReference Rule)[] wrong =
        [
            ("Nesterov", Reference(rows, columns, scale, !nesterov)),
            ("momentum", Reference(rows, columns, scale, nesterov, momentum: 0.9)),
            ("decay", Reference(rows, columns, scale, nesterov, decay: 0)),
            .. Enum.GetValues<UpdateScale>()
                .Where(s => Math.Abs(Factor(s, rows, columns) - Factor(scale, rows, columns)) > 1e-3)
                .Select(s => ($"{s}", Reference(rows, columns, s, nesterov))),
        ];
        var seen = new HashSet<string>(StringComparer.Ordinal);
        var random = new Random(rows);
        float[] p = LinearDevice.Random(random, rows * columns);
        using var muon = new Optimizer(
            TestDevices.Session,
            new MuonOptions
            {
                LearningRate = Rate,
                Momentum = Momentum,
                WeightDecay = Decay,
                Scale = scale,
                Nesterov = nesterov,
                Maximize = maximize,
            },
            [new Parameter("w", p, rows, columns)]);
        Bounded[] momentum = new Bounded[p.Length];
        for (int t = 1; t <= 3; t++)
        {
            float[] g = OrthogonalDevice.Uneven(random, OrthogonalDevice.Even(rows, columns));
            muon.Step(g);
            Bounded[] gradient = [.. g.Select(v => (Bounded)(maximize ? -v : v))];
            float[] before = p;
            p = OrthogonalDevice.Download(muon, "w", p.Length);
            float[] buffer = OrthogonalDevice.Read(muon, "w", "momentum_buffer", p.Length);
            string what = $"{scale} {rows} x {columns}, step {t}";
            (Bounded[] wanted, Bounded[] mean) = Step(right, t, before, gradient, momentum);
            LinearDevice.AssertWithin(mean, buffer, $"{what}: momentum");
            LinearDevice.AssertWithin(wanted, p, $"{what}: p");
            foreach ((string name, MuonReference rule) in wrong)
            {
                // A kernel that followed this rule would be outside the bounds.
                if (IsOutside(wanted, Step(rule, t, before, gradient, momentum).P))
                {
                    seen.Add(name);
                }
            }

            momentum = [.. buffer.Select(v => (Bounded)v)];
        }

        // Of a single number only the sign counts: momentum may not be seen there.
        Assert.Equal(
            wrong.Select(w => w.Name).Where(n => p.Length > 1 || n is not ("Nesterov" or "momentum")).Order(StringComparer.Ordinal),
            seen.Where(n => p.Length > 1 || n is not ("Nesterov" or "momentum")).Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Defaults_are_the_published_ones()
    {
        var options = new MuonOptions();
        Assert.Equal((0.02, 0.95, true, 0.0), (options.LearningRate, options.Momentum, options.Nesterov, options.WeightDecay));
        Assert.Equal(UpdateScale.Jordan, options.Scale);
        Assert.Equal(
            (3e-4, 0.9, 0.95, 1e-10, 0.0),
            (options.AdamW.LearningRate, options.AdamW.Beta1, options.AdamW.Beta2, options.AdamW.Epsilon,
                options.AdamW.WeightDecay));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_skipped_step_leaves_everything_and_a_saved_one_goes_on(bool nesterov) =>
        OrthogonalDevice.SkipAndReload(new MuonOptions { WeightDecay = 0.1, Nesterov = nesterov });

    [Fact]
    public void Scaled_gradients_and_other_storages_make_the_same_steps()
    {
        var rule = new MuonReference(
            OrthogonalDevice.Rows, OrthogonalDevice.N, weightDecay: 0.1, scale: Kernels.References.Dct.UpdateScale.Kimi);
        Bounded[][] state = [new Bounded[OrthogonalDevice.Rows * OrthogonalDevice.N]];
        OrthogonalDevice.Ways(
            new MuonOptions { WeightDecay = 0.1, Scale = UpdateScale.Kimi }, (t, p, g) => rule.Step(t, p, g, state));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void What_is_no_matrix_is_stepped_by_the_side_group(bool maximize)
    {
        var side = new AdamWOptions { LearningRate = 2e-3, Beta2 = 0.9, Epsilon = 1e-9, WeightDecay = 0.2 };
        OrthogonalDevice.Side(new MuonOptions { MaxDimension = 100, AdamW = side, Maximize = maximize }, side);
    }

    [Fact]
    public void A_parameter_may_not_ask_for_other_state() => OrthogonalDevice.Refuses(
        new MuonOptions(), new MuonOptions { MaxDimension = 7 }, new MuonOptions { Maximize = true }, new AdamWOptions(),
        new TrionOptions(), new MuonOptions { AdamW = null! });

    private static double Factor(UpdateScale scale, int rows, int columns) => MuonReference.Scale(
        Enum.Parse<Kernels.References.Dct.UpdateScale>(scale.ToString()), rows, columns);

    private static MuonReference Reference(
        int rows, int columns, UpdateScale scale, bool nesterov, double momentum = Momentum, double decay = Decay) => new(
        rows, columns, Rate, momentum, nesterov, decay, Enum.Parse<Kernels.References.Dct.UpdateScale>(scale.ToString()));

    private static (Bounded[] P, Bounded[] Momentum) Step(
        MuonReference rule, int t, float[] p, Bounded[] gradient, Bounded[] momentum)
    {
        Bounded[] wanted = [.. p.Select(v => (Bounded)v)];
        Bounded[][] state = [[.. momentum]];
        rule.Step(t, wanted, gradient, state);
        return (wanted, state[0]);
    }

    private static bool IsOutside(Bounded[] wanted, Bounded[] other) =>
        wanted.Zip(other, (a, b) => Math.Abs(a.Value - b.Value) - a.Bound - b.Bound).Max() > 0;
}
