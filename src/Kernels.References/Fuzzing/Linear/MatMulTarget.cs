using Kernels.References.Linear;

namespace Kernels.References.Fuzzing.Linear;

/// <summary>Products of any matrices, empty ones too, in all layouts, with bias, activation and what they are added to.</summary>
internal sealed class MatMulTarget() : DescribedTarget(
    "linear/matmul",
    [("a", ["aRows", "aColumns"]), ("b", ["bRows", "bColumns"]), ("bias", ["n"]), ("c0", ["m", "n"])],
    ("transposeA", false), ("transposeB", false), ("activation", "none"))
{
    private static readonly string[] s_optional = ["bias", "c0"];

    public override FuzzCase Draw(FuzzDraw draw)
    {
        // One of the three is long, or none.
        int isLong = draw.Below(12);
        int m = Side("m", 0);
        int n = Side("n", 1);
        int k = Side("k", 2);
        (bool transposeA, bool transposeB) = (draw.Once(2), draw.Once(2));
        draw.Cover((transposeA, transposeB) switch
        {
            (false, false) => "a b",
            (true, false) => "a^T b",
            (false, true) => "a b^T",
            _ => "a^T b^T",
        });
        FuzzTensor a = Matrix("a", transposeA ? k : m, transposeA ? m : k);
        FuzzTensor b = Matrix("b", transposeB ? n : k, transposeB ? k : n);
        FuzzTensor? bias = draw.Once(2) ? new FuzzTensor(draw.Floats("bias", n, FuzzValues.All), n) : null;
        FuzzTensor? c0 = draw.Once(3) ? Matrix("c0", m, n) : null;
        return Case(
            [("a", a), ("b", b), ("bias", bias), ("c0", c0)],
            ("transposeA", transposeA), ("transposeB", transposeB), ("activation", ActivationTarget.Choice(draw)));

        int Side(string symbol, int side)
        {
            if (draw.Once(64))
            {
                draw.Cover($"{symbol} = 0");
                return 0;
            }

            return isLong == side ? draw.Length(symbol, 1100, 255) : draw.Length(symbol, isLong < 3 ? 9 : 70);
        }

        FuzzTensor Matrix(string input, int rows, int columns) =>
            new(draw.Floats(input, rows * columns, FuzzValues.All), rows, columns);
    }

    /// <summary>As many columns of op(a) as rows of op(b), and what fits the product.</summary>
    public override bool Admits(FuzzCase given)
    {
        (int m, int n, int k) = Sizes(given);
        return k == given.Length("b", given.Boolean("transposeB") ? 1 : 0)
            && (!given.Has("bias") || given.Length("bias") == n)
            && (!given.Has("c0") || (given.Length("c0") == m && given.Length("c0", 1) == n));
    }

    /// <summary>Without what need not be there, with a side of the product shorter, and not transposed.</summary>
    public override IEnumerable<FuzzCase> Simplify(FuzzCase given)
    {
        int acrossA = given.Boolean("transposeA") ? 1 : 0;
        int acrossB = given.Boolean("transposeB") ? 0 : 1;
        IEnumerable<FuzzCase> smaller = s_optional.Where(given.Has).Select(given.Without)
            .Concat(given.Shorter(("a", acrossA), ("c0", 0)))
            .Concat(given.Shorter(("b", acrossB), ("bias", 0), ("c0", 1)))
            .Concat(given.Shorter(("a", 1 - acrossA), ("b", 1 - acrossB)));
        return smaller
            .Concat(acrossA == 1 ? [Turn("a", "transposeA")] : [])
            .Concat(acrossB == 0 ? [Turn("b", "transposeB")] : []);

        FuzzCase Turn(string input, string option) =>
            given.With(input, given.Inputs[input].Transposed()).WithOption(option, false);
    }

    protected override void Judge(FuzzCase given, FuzzVerdict verdict)
    {
        (int m, int n, int k) = Sizes(given);
        Bounded[] c = MatMulReference.Multiply(
            given.Floats("a"), given.Boolean("transposeA"), given.Floats("b"), given.Boolean("transposeB"), m, n, k,
            given.Has("bias") ? given.Floats("bias") : [], given.Has("c0") ? given.Floats("c0") : [],
            ActivationTarget.Forward(given.Choice("activation")));
        verdict.Compare("c", c, m, n);
    }

    private static (int M, int N, int K) Sizes(FuzzCase given)
    {
        int acrossA = given.Boolean("transposeA") ? 1 : 0;
        return (given.Length("a", acrossA), given.Length("b", given.Boolean("transposeB") ? 0 : 1),
            given.Length("a", 1 - acrossA));
    }
}
