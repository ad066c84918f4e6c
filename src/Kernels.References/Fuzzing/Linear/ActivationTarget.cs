using Kernels.References.Linear;

namespace Kernels.References.Fuzzing.Linear;

/// <summary>An activation of any numbers, and the gradient through it.</summary>
internal sealed class ActivationTarget() : DescribedTarget(
    "linear/activation", [("x", ["n"]), ("dy", ["n"])], ("activation", "relu"))
{
    public override FuzzCase Draw(FuzzDraw draw)
    {
        int n = draw.Length("n", 1100);
        string activation = Choice(draw);
        FuzzTensor x = new(draw.Floats("x", n, FuzzValues.All), n);
        bool hasGradient = draw.Once(2);
        return Case(
            [("x", x), ("dy", hasGradient ? new FuzzTensor(draw.Floats("dy", n, FuzzValues.All), n) : null)],
            ("activation", activation));
    }

    public override IEnumerable<FuzzCase> Simplify(FuzzCase given) => given.Has("dy") ? [given.Without("dy")] : [];

    protected override void Judge(FuzzCase given, FuzzVerdict verdict)
    {
        float[] x = given.Floats("x");
        string activation = given.Choice("activation");
        Func<Bounded, Bounded> forward = Forward(activation) ?? (value => value);
        verdict.Compare("y", Array.ConvertAll(x, value => forward(value)));
        if (given.Has("dy"))
        {
            Bounded[] dx = [.. x.Zip(given.Floats("dy"), (value, dy) => activation switch
            {
                "relu" => ActivationReference.ReluBack(value, dy),
                "gelu" => ActivationReference.GeluBack(value, dy),
                _ => dy,
            })];
            verdict.Compare("dx", dx);
        }
    }

    /// <summary>Draws the option.</summary>
    internal static string Choice(FuzzDraw draw)
    {
        string activation = draw.OneOf("none", "relu", "gelu");
        draw.Cover(activation);
        return activation;
    }

    /// <summary>The oracle of the option; null for none.</summary>
    internal static Func<Bounded, Bounded>? Forward(string activation) => activation switch
    {
        "relu" => ActivationReference.Relu,
        "gelu" => ActivationReference.Gelu,
        _ => null,
    };
}
