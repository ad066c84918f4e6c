using ILGPU.Runtime;
using Kernels.Quantization;
using Kernels.References.Quantization;
using Kernels.Tests.Support;
using Kernels.Tests.VectorQuantization;

namespace Kernels.Tests.Quantization;

public sealed class AssignProperties
{
    /// <summary>Edges of fours and sixteens, of counting and searching; shares that end anywhere.</summary>
    private static readonly CodebookLayout[] s_layouts =
    [
        new(1, 1, new CodeFormat(2)),
        new(5, 7, new CodeFormat(3), scales: WeightScope.Rows),
        new(6, 32, new CodeFormat(16), scales: WeightScope.Blocks(16)),
        new(9, 37, new CodeFormat(16), codebooks: WeightScope.Groups([0, 2, 2, 7, 9])),
        new(9, 37, new CodeFormat(16), codebooks: WeightScope.Rows, scales: WeightScope.Tensor, scaleStorage: Storage.F16),
        new(3, 100, new CodeFormat(17), codebooks: WeightScope.Blocks(50), scales: WeightScope.Blocks(7)),
        new(7, 33, new CodeFormat(256), scales: WeightScope.Groups([0, 4, 7]), scaleStorage: Storage.BF16),
        new(4, 640, new CodeFormat(5)),
        new(5, 24, new CodeFormat(16), length: 2, scales: WeightScope.Rows),
        new(5, 24, new CodeFormat(7), length: 4, codebooks: WeightScope.Groups([0, 1, 5])),
        new(5, 24, new CodeFormat(256), length: 8, scales: WeightScope.Blocks(8)),
    ];

    public static TheoryData<int, Storage> Cases()
    {
        var cases = new TheoryData<int, Storage>();
        for (int layout = 0; layout < s_layouts.Length; layout++)
        {
            cases.Add(layout, Storage.F32);
        }

        cases.Add(3, Storage.F16);
        cases.Add(5, Storage.BF16);
        cases.Add(8, Storage.BF16);
        return cases;
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Is_a_code_that_the_oracle_admits(int number, Storage storage)
    {
        CodebookLayout layout = s_layouts[number];
        for (int seed = 0; seed < 3; seed++)
        {
            var draw = new Draw((number * 10) + seed);
            float[] codebook = Codes(draw, layout, repeats: seed > 0);
            float[] scale = LearnCase.Floats(
                layout.ScaleStorage, LearnCase.Bits(layout.ScaleStorage, Scales(draw, layout, special: seed > 1)));
            uint[] bits = LearnCase.Bits(storage, Weights(draw, layout, codebook, scale, special: seed > 1));
            Check(layout, storage, bits, codebook, scale, shift: seed);
        }
    }

    /// <summary>Each middle and its neighbours: the lower code on it, the upper code above.</summary>
    [Theory]
    [InlineData(2)]
    [InlineData(16)]
    [InlineData(17)]
    [InlineData(256)]
    public void A_weight_on_a_middle_has_the_lower_code(int k)
    {
        float[] codebook = [.. Enumerable.Range(0, k).Select(code => code - (k / 2f))];
        float[] middles = [.. Enumerable.Range(0, k - 1).Select(code => codebook[code] + 0.5f)];
        float[] w = [.. middles.SelectMany(m => new[] { MathF.BitDecrement(m), m, MathF.BitIncrement(m) })];
        byte[] wanted = [.. Enumerable.Range(0, k - 1).SelectMany(code => new[] { (byte)code, (byte)code, (byte)(code + 1) })];
        var layout = new CodebookLayout(1, w.Length, new CodeFormat(k));
        Assert.Equal(wanted, Find(TestDevices.Session.Accelerator, null, layout, Storage.F32, Bits(w), codebook, [], 0));
    }

    [Theory]
    [InlineData(1f)]
    [InlineData(-2f)]
    [InlineData(0f)]
    [InlineData(float.PositiveInfinity)]
    [InlineData(float.NaN)]
    public void What_is_no_number_has_the_code_that_is_stated(float scale)
    {
        float[] special =
            [float.NaN, float.PositiveInfinity, float.NegativeInfinity, 0, -0f, float.MaxValue, -float.MaxValue, 1e-45f];
        foreach (int k in new[] { 5, 40 })
        {
            float[] w = [.. Enumerable.Range(0, 48).Select(i => special[(i + (i / 8)) % 8])];
            float[] codebook = [-3, -3, .. Enumerable.Range(0, k - 4).Select(code => code * 0.25f), 20, 20];
            Check(new CodebookLayout(6, 8, new CodeFormat(k), scales: WeightScope.Tensor), Storage.F32, Bits(w), codebook, [scale], 0);
            float[] pairs = [.. codebook.SelectMany(code => new[] { code, 1 - code })];
            Check(
                new CodebookLayout(6, 8, new CodeFormat(k), length: 2, scales: WeightScope.Tensor), Storage.F32, Bits(w),
                pairs, [scale], 0);
        }
    }

    [Fact]
    public void The_largest_codes_have_limits_that_are_numbers()
    {
        float[] codebook = [-float.MaxValue, -3e38f, 3e38f, float.MaxValue];
        float[] w = [-3.3e38f, -3.1e38f, 0, 3.1e38f, 3.3e38f, float.MaxValue];
        var layout = new CodebookLayout(1, w.Length, new CodeFormat(4));
        Assert.Equal(
            [0, 1, 1, 2, 3, 3], Find(TestDevices.Session.Accelerator, null, layout, Storage.F32, Bits(w), codebook, [], 0));
    }

    [Theory]
    [InlineData(16)]
    [InlineData(100)]
    public void A_codebook_that_does_not_ascend_gives_some_code(int k)
    {
        var draw = new Draw(k);
        float[] codebook = draw.Floats(k);
        codebook[1] = float.NaN;
        codebook[k / 2] = float.PositiveInfinity;
        float[] w = draw.Floats(200);
        foreach ((Accelerator accelerator, AssignWalk? walk) in Places())
        {
            byte[] index = Find(accelerator, walk, new CodebookLayout(2, 100, new CodeFormat(k)), Storage.F32, Bits(w), codebook, [], 0);
            Assert.All(index, code => Assert.InRange(code, 0, k - 1));
        }
    }

    [Fact]
    public void Spans_give_the_same_codes_and_their_codebook_is_checked()
    {
        CodebookLayout layout = s_layouts[4];
        var draw = new Draw(1);
        float[] codebook = Codes(draw, layout, repeats: true);
        float[] scale = [0.5f];
        float[] w = Weights(draw, layout, codebook, scale, special: false);
        using var assign = new Assign(TestDevices.Session.Accelerator, layout);
        byte[] index = new byte[layout.CodeCount];
        assign.Run(w, codebook, scale, index);
        Assert.Equal(Find(TestDevices.Session.Accelerator, null, layout, Storage.F32, Bits(w), codebook, scale, 1), index);
        codebook[20] = codebook[19] - 1;
        Assert.Throws<ArgumentException>("codebook", () => assign.Run(w, codebook, scale, index));
        codebook[20] = float.NaN;
        Assert.Throws<ArgumentException>("codebook", () => assign.Run(w, codebook, scale, index));
    }

    [Fact]
    public void A_search_allocates_no_managed_memory()
    {
        Accelerator accelerator = TestDevices.Session.Accelerator;
        CodebookLayout layout = s_layouts[2];
        using var w = new GuardedTensor(accelerator, new Draw(1).Floats(layout.WeightCount));
        using var codebook = new GuardedTensor(accelerator, new float[layout.CodebookLength]);
        using var scale = new GuardedTensor(accelerator, new float[layout.ScaleCount]);
        using var index = new GuardedBytes(accelerator, new byte[layout.CodeCount], 0);
        using var assign = new Assign(accelerator, layout);
        Allocations.AssertNone(
            accelerator,
            () => assign.Run(accelerator.DefaultStream, w.View, codebook.Floats, scale.View, index.View));
    }

    internal static IEnumerable<(Accelerator Accelerator, AssignWalk? Walk)> Places() =>
    [
        (TestDevices.Session.Accelerator, null),
        (TestDevices.Session.Accelerator, AssignWalk.Sixteens),
        (TestDevices.Session.Accelerator, AssignWalk.Fours),
    ];

    /// <summary>The shape of the oracle.</summary>
    internal static CodebookShape Shape(CodebookLayout layout) => new(
        layout.Rows, layout.Columns, layout.Codes, layout.Length, Scope(layout, layout.Codebooks),
        layout.Scales is null ? null : Scope(layout, layout.Scales));

    internal static float[] Codes(Draw draw, CodebookLayout layout, bool repeats)
    {
        var codes = new List<float>();
        for (int book = 0; book < layout.CodebookCount; book++)
        {
            float[] own = draw.Floats(layout.Codes * layout.Length, 1e-2, 10);
            if (layout.Length == 1)
            {
                Array.Sort(own);
                own = repeats ? own : [.. own.Select((code, i) => code + (i * 0.01f))];
            }

            codes.AddRange(own);
        }

        return [.. codes];
    }

    private static QuantizationScope Scope(CodebookLayout layout, WeightScope scope) => scope.Kind switch
    {
        WeightScopeKind.Tensor => QuantizationScope.Tensor(layout.WeightCount),
        WeightScopeKind.Rows => QuantizationScope.Groups([.. Enumerable.Range(0, layout.Rows + 1)], layout.Columns),
        WeightScopeKind.Groups => QuantizationScope.Groups(scope.Boundaries, layout.Columns),
        _ => QuantizationScope.Blocks(scope.Block, layout.WeightCount),
    };

    private static uint[] Bits(float[] w) => Array.ConvertAll(w, BitConverter.SingleToUInt32Bits);

    private static float[] Scales(Draw draw, CodebookLayout layout, bool special) =>
    [
        .. draw.Floats(layout.ScaleCount, 1e-2, 10).Select(scale => special && draw.Below(4) == 0
            ? draw.OneOf(0f, float.NaN, float.PositiveInfinity, float.NegativeInfinity, 1e-41f, 3e38f)
            : scale),
    ];

    /// <summary>Around the middles of neighbouring codes, and anywhere.</summary>
    private static float[] Weights(Draw draw, CodebookLayout layout, float[] codebook, float[] scale, bool special)
    {
        CodebookShape shape = Shape(layout);
        float[] w = draw.Floats(layout.WeightCount, 1e-3, 100);
        for (int i = 0; i < w.Length; i++)
        {
            int code = (shape.Codebooks.Of(i) * layout.Codes) + draw.Below(layout.Codes - 1);
            float middle = (codebook[code] + codebook[code + 1]) / 2 * (scale.Length > 0 ? scale[shape.Scales!.Of(i)] : 1);
            w[i] = draw.Below(8) switch
            {
                0 => middle,
                1 => MathF.BitIncrement(middle),
                2 => MathF.BitDecrement(middle),
                3 when special => draw.OneOf(float.NaN, float.PositiveInfinity, float.NegativeInfinity, float.MaxValue, 1e-45f),
                _ => w[i],
            };
        }

        return w;
    }

    private static void Check(CodebookLayout layout, Storage storage, uint[] bits, float[] codebook, float[] scale, int shift)
    {
        float[] w = LearnCase.Floats(storage, bits);
        byte[]? first = null;
        foreach ((Accelerator accelerator, AssignWalk? walk) in Places())
        {
            byte[] index = Find(accelerator, walk, layout, storage, bits, codebook, scale, shift);
            int wrong = AssignReference.FirstWrong(Shape(layout), w, codebook, scale, Array.ConvertAll(index, i => (int)i));
            Assert.True(wrong < 0, wrong < 0 ? "" : $"{walk}: {index[wrong]} of {w[wrong * layout.Length]:R} at {wrong}: {string.Join(" ", codebook[..Math.Min(codebook.Length, 64)].Select(c => c.ToString("R")))}");
            first ??= index;
            Assert.Equal(first, index);
        }
    }

    private static byte[] Find(
        Accelerator accelerator, AssignWalk? walk, CodebookLayout layout, Storage storage, uint[] bits, float[] codebook,
        float[] scale, int shift)
    {
        using var w = new GuardedTensor(accelerator, storage, bits, shift);
        using var codes = new GuardedTensor(accelerator, codebook, shift);
        using var scales = new GuardedTensor(accelerator, layout.ScaleStorage, LearnCase.Bits(layout.ScaleStorage, scale), shift);
        using var index = new GuardedBytes(accelerator, [.. Enumerable.Repeat((byte)0xEE, layout.CodeCount)], shift);
        using var assign = new Assign(accelerator, layout, walk);
        TensorView given = layout.Scales is null ? default : scales.View;
        assign.Run(accelerator.DefaultStream, w.View, codes.Floats, given, index.View);
        accelerator.Synchronize();
        Assert.Equal(bits, w.Bits());
        return index.Bytes();
    }
}
