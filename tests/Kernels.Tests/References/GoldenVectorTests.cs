using System.Globalization;
using Kernels.References.Optimizers;

namespace Kernels.Tests.References;

/// <summary>
/// Eight steps of one parameter: p0 = 1, rate 0.1, the gradients below, betas 0.9 and 0.999, epsilon 1e-8 unless said.
/// Computed once in binary64 with NumPy from the published algorithms, printed to nine decimals.
/// </summary>
public class GoldenVectorTests
{
    private const double Rate = 0.1;

    private static readonly double[] s_gradients = [1, -2, 0.5, 0, 3, -0.25, 0.75, -1];

    private static readonly Dictionary<string, Func<double, OptimizerReference>> s_methods = new(StringComparer.Ordinal)
    {
        ["sgd"] = decay => new SgdReference(Rate, momentum: 0.9, weightDecay: decay),
        ["nesterov"] = decay => new SgdReference(Rate, momentum: 0.9, nesterov: true, weightDecay: decay),
        ["adam"] = decay => new AdamReference(Rate, weightDecay: decay),
        ["adamw"] = decay => new AdamReference(Rate, weightDecay: decay, decoupled: true),
        ["amsgrad-torch"] = decay => new AdamReference(Rate, weightDecay: decay, amsgrad: true),
        ["amsgrad-optax"] = decay =>
            new AdamReference(Rate, weightDecay: decay, amsgrad: true, amsgradRule: AmsGradRule.Optax),
        ["adagrad"] = decay => new AdaGradReference(Rate, weightDecay: decay),
        ["rmsprop"] = decay => new RmsPropReference(Rate, weightDecay: decay),
        ["lion"] = decay => new LionReference(Rate, weightDecay: decay),
        ["adabelief"] = decay => new AdaBeliefReference(Rate, weightDecay: decay, rectify: false),
        ["adabelief-rect"] = decay => new AdaBeliefReference(Rate, weightDecay: decay),
        ["diffgrad"] = decay => new DiffGradReference(Rate, weightDecay: decay),
    };

    [Theory]
    [InlineData("sgd", "0.9 1.01 1.059 1.1031 0.84279 0.633511 0.3701599 0.23314391")]
    [InlineData("nesterov", "0.81 1.109 1.1031 1.14279 0.608511 0.4451599 0.13314391 0.109829519")]
    [InlineData(
        "adam",
        "0.900000001 0.936610353 0.950279420 0.961476287 0.923838774 0.894925124 0.860296217 0.843215712")]
    [InlineData(
        "adamw",
        "0.900000001 0.936610353 0.950279420 0.961476287 0.923838774 0.894925124 0.860296217 0.843215712")]
    [InlineData(
        "amsgrad-torch",
        "0.900000001 0.936610353 0.950279420 0.961470687 0.923833174 0.894919524 0.860290617 0.843210112")]
    [InlineData(
        "amsgrad-optax",
        "0.900000001 0.936610353 0.948044180 0.956153254 0.918515741 0.892069988 0.862181338 0.847936842")]
    [InlineData("adagrad", "0.9 0.989442719 0.967620930 0.967620930 0.888148989 0.894757175 0.875311063 0.900409295")]
    [InlineData(
        "rmsprop",
        "0.000000100 0.895323022 0.675849505 0.675849505 -0.123459685 -0.056664529 -0.254095408 0.001671979")]
    [InlineData("lion", "0.9 1.0 0.9 1.0 0.9 1.0 0.9 1.0")]
    [InlineData(
        "adabelief",
        "0.888888889 0.927994987 0.942466893 0.954318933 0.913626802 0.882566069 0.844997566 0.826765347")]
    [InlineData(
        "adabelief-rect", "0.9 0.957894737 0.975975918 0.988799413 0.925233200 0.924431177 0.923201229 0.922494944")]
    [InlineData(
        "diffgrad",
        "0.926894165 0.961768235 0.974400389 0.981369983 0.945517465 0.917683073 0.892367315 0.877815532")]
    public void Every_step_is_the_published_one(string method, string expected)
    {
        double[] actual = Steps(s_methods[method](0));

        double[] wanted = [.. expected.Split(' ').Select(x => double.Parse(x, CultureInfo.InvariantCulture))];
        Assert.Equal(s_gradients.Length, wanted.Length);
        Assert.All(wanted.Zip(actual), pair => Assert.Equal(pair.First, pair.Second, 0.5000001e-9));
    }

    [Theory]
    [InlineData("sgd", -0.022092713)]
    [InlineData("nesterov", -0.162044518)]
    [InlineData("adam", 0.800685093)]
    [InlineData("adamw", 0.771539860)]
    [InlineData("amsgrad-torch", 0.800685093)]
    [InlineData("adagrad", 0.881348243)]
    [InlineData("rmsprop", -0.058666670)]
    [InlineData("lion", 0.926626871)]
    [InlineData("adabelief", 0.755795959)]
    [InlineData("adabelief-rect", 0.849169897)]
    [InlineData("diffgrad", 0.839360700)]
    public void The_last_step_with_weight_decay_is_the_published_one(string method, double expected) =>
        Assert.Equal(expected, Steps(s_methods[method](0.1))[^1], 0.5000001e-9);

    private static double[] Steps(OptimizerReference optimizer) =>
        [.. optimizer.Run([1], [.. s_gradients.Select(g => new[] { g })]).Select(p => p[0])];
}
