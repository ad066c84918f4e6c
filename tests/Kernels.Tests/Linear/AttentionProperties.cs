using ILGPU.Runtime;
using Kernels.Linear;
using Kernels.References;
using Kernels.References.Linear;
using Kernels.Tests.Support;

namespace Kernels.Tests.Linear;

public sealed class AttentionProperties
{
    private static readonly (int Tokens, int Heads, int Size)[] s_shapes =
    [
        (1, 1, 1), (2, 3, 5), (15, 2, 4), (16, 1, 7), (17, 2, 16), (31, 1, 3), (33, 2, 6), (64, 1, 8), (65, 4, 2),
        (40, 1, 65), (70, 2, 64), (20, 1, 130), (3, 1, 256), (131, 1, 12),
    ];

    [Theory]
    [MemberData(nameof(LinearPlaces.Walks), MemberType = typeof(LinearPlaces))]
    public void The_forward_pass_is_within_the_bounds_of_the_reference(LinearPlace place)
    {
        var random = new Random(1);
        Accelerator accelerator = LinearDevice.Accelerator(place);
        var attention = new Attention(accelerator, LinearDevice.Walk(place));
        foreach ((int tokens, int heads, int size) in Shapes(place))
        {
            foreach (float spread in new[] { 0.3f, 3f })
            {
                float[] qkv = Draw(random, tokens * 3 * heads * size, spread);
                Bounded[] wanted = AttentionReference.Forward(qkv, heads, size);
                Result got = Run(attention, accelerator, qkv, null, heads, size);
                LinearDevice.AssertWithin(wanted, got.Mixed, $"{place} {tokens} x {heads} x {size}, {spread}");
            }
        }
    }

    [Theory]
    [MemberData(nameof(LinearPlaces.Walks), MemberType = typeof(LinearPlaces))]
    public void The_backward_pass_is_within_the_bounds_of_the_reference(LinearPlace place)
    {
        var random = new Random(2);
        Accelerator accelerator = LinearDevice.Accelerator(place);
        var attention = new Attention(accelerator, LinearDevice.Walk(place));
        foreach ((int tokens, int heads, int size) in Shapes(place))
        {
            foreach (float spread in new[] { 0.3f, 3f })
            {
                float[] qkv = Draw(random, tokens * 3 * heads * size, spread);
                float[] grad = Draw(random, tokens * heads * size, 1);
                Result got = Run(attention, accelerator, qkv, grad, heads, size);
                Bounded[] wanted = AttentionReference.Backward(qkv, got.Mixed, grad, heads, size);
                LinearDevice.AssertWithin(wanted, got.GradQkv, $"{place} {tokens} x {heads} x {size}, {spread}");
            }
        }
    }

    [Theory]
    [MemberData(nameof(LinearPlaces.Walks), MemberType = typeof(LinearPlaces))]
    public void Equal_keys_give_the_mean_and_one_large_logit_its_value(LinearPlace place)
    {
        const int Tokens = 65, Size = 4;
        Accelerator accelerator = LinearDevice.Accelerator(place);
        var attention = new Attention(accelerator, LinearDevice.Walk(place));
        float[] qkv = Draw(new Random(3), Tokens * 3 * Size, 1);
        for (int token = 0; token < Tokens; token++)
        {
            qkv.AsSpan((token * 12) + 4, 4).Fill(token == 64 ? 1000f : 0f);
            qkv.AsSpan(token * 12, 4).Fill(token == 0 ? 1f : token == 1 ? -1f : 0f);
        }

        float[] mixed = Run(attention, accelerator, qkv, null, 1, Size).Mixed;
        // The last key is 2,000 above the others for token 0, and as far below for token 1; the rest see no difference.
        Assert.Equal(qkv[((64 * 12) + 8)..], mixed[..4]);
        Bounded[] bounds = AttentionReference.Forward(qkv, 1, Size);
        for (int d = 0; d < Size; d++)
        {
            double[] values = [.. Enumerable.Range(0, Tokens).Select(t => (double)qkv[(t * 12) + 8 + d])];
            Assert.Equal(values[..64].Average(), mixed[4 + d], bounds[4 + d].Bound);
            Assert.Equal(values.Average(), mixed[(2 * 4) + d], bounds[(2 * 4) + d].Bound);
            Assert.Equal(mixed[(2 * 4) + d], mixed[(33 * 4) + d]);
        }
    }

    [Theory]
    [MemberData(nameof(LinearPlaces.Walks), MemberType = typeof(LinearPlaces))]
    public void A_lost_query_loses_its_row_and_a_lost_key_its_head(LinearPlace place)
    {
        const int Tokens = 35, Heads = 2, Size = 3, Width = Heads * Size;
        Accelerator accelerator = LinearDevice.Accelerator(place);
        var attention = new Attention(accelerator, LinearDevice.Walk(place));
        float[] qkv = Draw(new Random(4), Tokens * 3 * Width, 1);
        float[] grad = Draw(new Random(5), Tokens * Width, 1);
        Result clean = Run(attention, accelerator, qkv, grad, Heads, Size);
        foreach (float lost in new[] { float.NaN, float.PositiveInfinity })
        {
            foreach (int token in new[] { 0, 33 })
            {
                float[] spoiled = [.. qkv];
                int query = (token * 3 * Width) + Size; // the second head's
                spoiled[query] = lost;
                Result got = Run(attention, accelerator, spoiled, grad, Heads, Size);
                for (int i = 0; i < got.Mixed.Length; i++)
                {
                    bool isLost = i / Width == token && i % Width >= Size;
                    Assert.Equal(isLost ? float.NaN : clean.Mixed[i], got.Mixed[i]);
                }

                for (int i = 0; i < qkv.Length; i++)
                {
                    // Keys and values of the head hear of every query.
                    bool isOther = i % Width < Size;
                    bool isQuery = i % (3 * Width) < Width;
                    if (isOther || (isQuery && i / (3 * Width) != token))
                    {
                        Assert.Equal(clean.GradQkv[i], got.GradQkv[i]);
                    }
                    else
                    {
                        Assert.True(float.IsNaN(got.GradQkv[i]), $"{place} {lost} {token}: {i}");
                    }
                }

                spoiled = [.. qkv];
                spoiled[query + Width] = float.NaN;
                got = Run(attention, accelerator, spoiled, grad, Heads, Size);
                Assert.All(
                    Enumerable.Range(0, got.Mixed.Length),
                    i => Assert.Equal(i % Width >= Size ? float.NaN : clean.Mixed[i], got.Mixed[i]));
            }
        }
    }

    [Theory]
    [MemberData(nameof(LinearPlaces.Walks), MemberType = typeof(LinearPlaces))]
    public void Heads_do_not_touch_each_other_and_the_same_call_has_the_same_bits(LinearPlace place)
    {
        const int Tokens = 37, Size = 5;
        Accelerator accelerator = LinearDevice.Accelerator(place);
        var attention = new Attention(accelerator, LinearDevice.Walk(place));
        float[] qkv = Draw(new Random(6), Tokens * 6 * Size, 1);
        float[] grad = Draw(new Random(7), Tokens * 2 * Size, 1);
        Result both = Run(attention, accelerator, qkv, grad, 2, Size);
        Result again = Run(attention, accelerator, qkv, grad, 2, Size);
        Assert.Equal(both.Mixed, again.Mixed);
        Assert.Equal(both.GradQkv, again.GradQkv);
        for (int head = 0; head < 2; head++)
        {
            Result alone = Run(attention, accelerator, Head(qkv, head), Head(grad, head), 1, Size);
            Assert.Equal(Head(both.Mixed, head), alone.Mixed);
            Assert.Equal(Head(both.GradQkv, head), alone.GradQkv);
        }

        Assert.Empty(Run(attention, accelerator, [], [], 2, Size).GradQkv);

        static float[] Head(float[] all, int head) =>
            [.. all.Chunk(2 * Size).SelectMany(row => row[(head * Size)..((head + 1) * Size)])];
    }

    /// <remarks>
    /// Central differences with a step h are within h^2 / 6 of the largest third derivative. Along a query or a key the
    /// logits of a row are linear, with factors a that differ by at most r, so the third derivative of the mean of c = g v
    /// is E (c - Ec) (a - Ea)^3 - 3 Var a Cov(c, a), at most 19 / 16 r^3 times the range of c; a key is in the rows of all
    /// tokens. Along a value it is 0. Numbers are multiples of 2^-14, so that steps are exact. The result that the backward
    /// pass takes is rounded to binary32, which turns slopes by u sum |g mixed| r at most in each row; binary64 loses
    /// some hundred roundings.
    /// </remarks>
    [Fact]
    public void The_reference_is_the_formula_and_its_own_gradient()
    {
        const int Tokens = 5, Heads = 2, Size = 3;
        float[] qkv = Array.ConvertAll(
            Draw(new Random(8), Tokens * 3 * Heads * Size, 1), v => MathF.Round(v * 16384) / 16384);
        float[] grad = Draw(new Random(9), Tokens * Heads * Size, 1);
        float[] mixed = [.. AttentionReference.Forward(qkv, Heads, Size).Select(b => (float)b.Value)];
        Bounded[] slope = AttentionReference.Backward(qkv, mixed, grad, Heads, Size);
        const float H = 1f / 16384;
        double most = qkv.Max(MathF.Abs);
        double[] sizes = [.. grad.Chunk(Size).Select(row => row.Sum(g => (double)Math.Abs(g)) * most)];
        for (int i = 0; i < qkv.Length; i++)
        {
            int part = i / (Heads * Size) % 3;
            int head = i / Size % Heads;
            // Of the rows that the number is in; a query that of its token, a key or a value those of all.
            double size = part == 0
                ? sizes[(i / (3 * Heads * Size) * Heads) + head]
                : Enumerable.Range(0, Tokens).Sum(t => sizes[(t * Heads) + head]);
            double range = 2 * most / Math.Sqrt(Size);
            double third = part == 2 ? 0 : 19.0 / 16 * Math.Pow(range, 3) * 2 * size;
            double rounded = Bounded.UnitRoundoff * size * range;
            double lost = Math.ScaleB(100 * sizes.Sum(), -53) / H;
            Assert.Equal((Loss(i, H) - Loss(i, -H)) / (2 * H), slope[i].Value, (H * H / 6 * third) + rounded + lost);
        }

        double Loss(int i, float h)
        {
            float[] moved = [.. qkv];
            moved[i] += h;
            Assert.Equal(h, moved[i] - qkv[i]);
            return AttentionReference.Forward(moved, Heads, Size).Zip(grad, (a, b) => a.Value * b).Sum();
        }
    }

    private static IEnumerable<(int Tokens, int Heads, int Size)> Shapes(LinearPlace place) => place switch
    {
        LinearPlace.Own => s_shapes,
        _ => s_shapes.Where(s => s.Tokens * s.Size < 2700 && s.Tokens != 131),
    };

    private static Result Run(
        Attention attention, Accelerator accelerator, float[] qkv, float[]? grad, int heads, int size)
    {
        AcceleratorStream stream = accelerator.DefaultStream;
        int width = heads * size;
        int tokens = qkv.Length / (3 * width);
        using var input = new GuardedTensor(accelerator, qkv, shift: 1);
        using var mixed = new GuardedTensor(accelerator, new float[tokens * width], shift: 2);
        using var state = new GuardedTensor(accelerator, new float[Attention.StateLength(tokens, heads)]);
        attention.Forward(stream, input.View, mixed.View, state.View, tokens, heads, size);
        if (grad is null)
        {
            stream.Synchronize();
            Assert.Equal(qkv, input.Values());
            _ = state.Values();
            return new Result(mixed.Values(), []);
        }

        using var back = new GuardedTensor(accelerator, grad, shift: 3);
        using var scratch = new GuardedTensor(accelerator, new float[tokens * heads], shift: 1);
        using var gradQkv = new GuardedTensor(accelerator, new float[qkv.Length], shift: 1);
        attention.Backward(
            stream, input.View, mixed.View, state.View, back.View, gradQkv.View, scratch.View, tokens, heads, size);
        stream.Synchronize();
        Assert.Equal(qkv, input.Values());
        Assert.Equal(grad, back.Values());
        _ = scratch.Values();
        return new Result(mixed.Values(), gradQkv.Values());
    }

    private static float[] Draw(Random random, int n, float scale) =>
        [.. Enumerable.Range(0, n).Select(_ => scale * (float)((random.NextDouble() * 2) - 1))];

    private sealed record Result(float[] Mixed, float[] GradQkv);
}
