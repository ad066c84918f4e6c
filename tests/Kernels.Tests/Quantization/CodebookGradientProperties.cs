using ILGPU;
using ILGPU.Runtime;
using Kernels.Quantization;
using Kernels.References.Quantization;
using Kernels.Tests.Linear;
using Kernels.Tests.Support;

namespace Kernels.Tests.Quantization;

public sealed class CodebookGradientProperties
{
    public static TheoryData<int, int, int, ScopeChoice, ScopeChoice> Shapes() => new()
    {
        { 1, 1, 2, ScopeChoice.All, ScopeChoice.All },
        { 1, 31, 3, ScopeChoice.All, ScopeChoice.Rows },
        { 3, 4097, 4, ScopeChoice.Rows, ScopeChoice.All },
        { 3, 4097, 5, ScopeChoice.All, ScopeChoice.Rows },
        { 9, 50, 16, ScopeChoice.Groups, ScopeChoice.Blocks },
        { 9, 50, 7, ScopeChoice.Blocks, ScopeChoice.Groups },
        { 1, 10, 2, ScopeChoice.Groups, ScopeChoice.Groups },
        { 5, 200, 256, ScopeChoice.Rows, ScopeChoice.Rows },
        { 70, 66, 32, ScopeChoice.All, ScopeChoice.Blocks },
        { 70, 66, 33, ScopeChoice.All, ScopeChoice.Rows },
    };

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Gradients_are_within_the_bounds_of_the_oracle(
        int rows, int columns, int k, ScopeChoice codebooks, ScopeChoice scales)
    {
        var matrix = new LearnedMatrix(rows, columns, k, codebooks, scales, rows);
        int[] index = Index(matrix, k);
        float[] grad = new Draw(k).Floats(matrix.Weights, 1e-3, 10);
        (float[] gradCodebook, float[] gradScale) = Backward(matrix, index, grad);
        LinearDevice.AssertWithin(
            CodebookGradientReference.Codes(matrix.Shape, index, grad, matrix.Scale), gradCodebook, "codes");
        if (scales != ScopeChoice.All)
        {
            LinearDevice.AssertWithin(
                CodebookGradientReference.Scales(matrix.Shape, index, grad, matrix.Codebook), gradScale, "scales");
        }
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Codes_and_scales_are_the_best_of_the_oracle(
        int rows, int columns, int k, ScopeChoice codebooks, ScopeChoice scales)
    {
        var matrix = new LearnedMatrix(rows, columns, k, codebooks, scales, rows);
        int[] index = Index(matrix, k);
        float[] w = new Draw(k).Floats(matrix.Weights, 1e-2, 10);
        float[] h = Array.ConvertAll(new Draw(k + 1).Floats(matrix.Weights, 1e-2, 10), Math.Abs);
        foreach (float[] importance in new[] { [], h })
        {
            (float[] codebook, float[] scale) = Fit(matrix, index, w, importance);
            LinearDevice.AssertWithin(
                CodebookFitReference.Codes(matrix.Shape, w, index, matrix.Codebook, matrix.Scale, importance), codebook,
                "codes");
            if (scales != ScopeChoice.All)
            {
                LinearDevice.AssertWithin(
                    CodebookFitReference.Scales(matrix.Shape, w, index, matrix.Codebook, matrix.Scale, importance), scale,
                    "scales");
            }
        }
    }

    [Fact]
    public void What_has_no_weight_stays_and_an_index_of_no_code_counts_for_none()
    {
        var matrix = new LearnedMatrix(4, 10, 5, ScopeChoice.Groups, ScopeChoice.Rows, 3);
        int[] index = [.. Enumerable.Range(0, 40).Select(i => i % 7)]; // 5 and 6 are of no code
        float[] grad = [.. Enumerable.Range(0, 40).Select(i => i % 7 > 4 ? float.NaN : 1f)];
        matrix.Scale.AsSpan().Fill(1);
        (float[] gradCodebook, float[] gradScale) = Backward(matrix, index, grad);
        for (int book = 0; book < 3; book++)
        {
            for (int code = 0; code < 5; code++)
            {
                int first = book switch { 0 => 0, 1 => 20, _ => 20 };
                int end = book switch { 0 => 20, 1 => 20, _ => 40 };
                Assert.Equal(index[first..end].Count(i => i == code), gradCodebook[(book * 5) + code]);
            }
        }

        Assert.All(gradScale, v => Assert.True(float.IsFinite(v)));
        // The group without rows keeps its codebook.
        (float[] codebook, _) = Fit(matrix, index, grad, []);
        Assert.Equal(matrix.Codebook[5..10], codebook[5..10]);
        Assert.All(codebook[..5], c => Assert.Equal(1f, c));

        // NaN stays in its code, and in its scale.
        grad = [.. Enumerable.Range(0, 40).Select(i => i == 23 ? float.NaN : 1f)];
        (gradCodebook, gradScale) = Backward(matrix, index, grad);
        Assert.Equal([10 + (23 % 7)], Enumerable.Range(0, 15).Where(i => float.IsNaN(gradCodebook[i])));
        Assert.Equal([2], Enumerable.Range(0, 4).Where(i => float.IsNaN(gradScale[i])));
    }

    [Fact]
    public void A_codebook_for_many_parts_is_summed_in_chunks()
    {
        // 70 * 4,096 weights of one codebook, and rows whose sums are small integers.
        const int K = 4;
        var matrix = new LearnedMatrix(70, 4096, K, ScopeChoice.All, ScopeChoice.Rows, 1);
        Assert.True(matrix.Weights / PartTable.MostWeights > 64);
        matrix.Scale.AsSpan().Fill(2);
        var random = new Random(5);
        int[] index = [.. Enumerable.Range(0, matrix.Weights).Select(_ => random.Next(K))];
        float[] grad = [.. Enumerable.Range(0, matrix.Weights).Select(_ => (float)random.Next(-2, 3))];
        (float[] got, _) = Backward(matrix, index, grad);
        double[] wanted = new double[K];
        for (int i = 0; i < index.Length; i++)
        {
            wanted[index[i]] += 2 * grad[i];
        }

        Assert.Equal(wanted, Array.ConvertAll(got, v => (double)v));
        Assert.Equal(got, Backward(matrix, index, grad).GradCodebook);
    }

    [Fact]
    public void Allocates_no_managed_memory_and_rejects_by_name()
    {
        Accelerator accelerator = TestDevices.Session.Accelerator;
        using var gradient = new CodebookGradient(
            accelerator, new CodebookLayout(2, 4, new CodeFormat(4), 1, null, WeightScope.Rows));
        using var plain = new CodebookGradient(accelerator, new CodebookLayout(2, 4, new CodeFormat(4)));
        using var room = new GuardedTensor(accelerator, new float[100]);
        using var codes = new GuardedBytes(accelerator, new byte[8], 0);
        ArrayView<float> all = room.Floats;
        ArrayView<float> w = all.SubView(0, 8), codebook = all.SubView(8, 4), scale = all.SubView(12, 2);
        ArrayView<float> dc = all.SubView(16, 4), ds = all.SubView(20, 2), h = all.SubView(24, 8);
        ArrayView<byte> index = codes.View;
        AcceleratorStream stream = accelerator.DefaultStream;
        Allocations.AssertNone(accelerator, () =>
        {
            gradient.Backward(stream, index, w, codebook, scale, dc, ds);
            gradient.FitCodes(stream, w, index, codebook, scale, h);
            gradient.FitScales(stream, w, index, codebook, scale);
        });
        Throws("index", () => gradient.Backward(stream, index.SubView(1), w, codebook, scale, dc));
        Throws("grad", () => gradient.Backward(stream, index, all, codebook, scale, dc));
        Throws("codebook", () => gradient.Backward(stream, index, w, w, scale, dc));
        Throws("scale", () => gradient.Backward(stream, index, w, codebook, default, dc));
        Throws("gradCodebook", () => gradient.Backward(stream, index, w, codebook, scale, codebook));
        Throws("gradScale", () => gradient.Backward(stream, index, w, codebook, scale, dc, dc.SubView(0, 2)));
        Throws("gradScale", () => plain.Backward(stream, index, w, codebook, default, dc, ds));
        Throws("weights", () => gradient.FitCodes(stream, all, index, codebook, scale));
        Throws("importance", () => gradient.FitCodes(stream, w, index, codebook, scale, dc));
        Throws("codebook", () => gradient.FitCodes(stream, w, index, w.SubView(0, 4), scale));
        Throws("scale", () => gradient.FitScales(stream, w, index, codebook, codebook.SubView(0, 2)));
        Throws("scale", () => plain.FitScales(stream, w, index, codebook, default));
        gradient.Dispose();
        Assert.Throws<ObjectDisposedException>(() => gradient.Backward(stream, index, w, codebook, scale, dc));

        static void Throws(string name, Action call) => Assert.Throws<ArgumentException>(name, call);
    }

    /// <summary>All codes but the last one.</summary>
    private static int[] Index(LearnedMatrix matrix, int k)
    {
        var random = new Random(k);
        return [.. Enumerable.Range(0, matrix.Weights).Select(_ => random.Next(k - 1))];
    }

    private static (float[] GradCodebook, float[] GradScale) Backward(LearnedMatrix matrix, int[] index, float[] grad)
    {
        Accelerator accelerator = TestDevices.Session.Accelerator;
        using var gradient = new CodebookGradient(accelerator, matrix.Layout);
        using var codes = new GuardedBytes(accelerator, Array.ConvertAll(index, i => (byte)i), 1);
        using var g = new GuardedTensor(accelerator, grad, 1);
        using var c = new GuardedTensor(accelerator, matrix.Codebook);
        using var s = new GuardedTensor(accelerator, matrix.Scale);
        using var dc = new GuardedTensor(accelerator, new float[matrix.Codebook.Length]);
        using var ds = new GuardedTensor(accelerator, new float[matrix.Scale.Length]);
        bool hasScale = matrix.Scale.Length > 0;
        gradient.Backward(
            accelerator.DefaultStream, codes.View, g.Floats, c.Floats, hasScale ? s.Floats : default, dc.Floats,
            hasScale ? ds.Floats : default);
        accelerator.Synchronize();
        return (dc.Values(), ds.Values());
    }

    private static (float[] Codebook, float[] Scale) Fit(LearnedMatrix matrix, int[] index, float[] w, float[] h)
    {
        Accelerator accelerator = TestDevices.Session.Accelerator;
        using var gradient = new CodebookGradient(accelerator, matrix.Layout);
        using var codes = new GuardedBytes(accelerator, Array.ConvertAll(index, i => (byte)i), 1);
        using var weights = new GuardedTensor(accelerator, w, 1);
        using var importance = new GuardedTensor(accelerator, h, 1);
        using var before = new GuardedTensor(accelerator, matrix.Codebook);
        using var c = new GuardedTensor(accelerator, matrix.Codebook);
        using var s = new GuardedTensor(accelerator, matrix.Scale);
        using var scales = new GuardedTensor(accelerator, matrix.Scale);
        ArrayView<float> view = matrix.Scale.Length > 0 ? s.Floats : default;
        ArrayView<float> counts = h.Length > 0 ? importance.Floats : default;
        gradient.FitCodes(accelerator.DefaultStream, weights.Floats, codes.View, c.Floats, view, counts);
        if (matrix.Scale.Length > 0)
        {
            gradient.FitScales(
                accelerator.DefaultStream, weights.Floats, codes.View, before.Floats, scales.Floats, counts);
        }

        accelerator.Synchronize();
        return (c.Values(), scales.Values());
    }
}
