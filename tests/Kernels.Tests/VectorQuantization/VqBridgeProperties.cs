using ILGPU.Runtime;
using Kernels.Optimizers;
using Kernels.References;
using Kernels.References.VectorQuantization;
using Kernels.Serialization;
using Kernels.Tests.Linear;
using Kernels.Tests.Support;
using Kernels.VectorQuantization;

namespace Kernels.Tests.VectorQuantization;

/// <summary>A codebook that learns through a bridge.</summary>
public sealed class VqBridgeProperties
{
    private const int K = 24;
    private const int D = 3;

    private static readonly BridgeOptions s_options = new() { Patch = 4, Width = 8, Heads = 2, Depth = 1 };

    [Fact]
    public void Starts_with_all_codes_at_zero_so_that_the_lowest_index_wins()
    {
        using var vq = new VqBridge(TestDevices.Session, K, D, s_options);
        int[] index = [7, 7];
        vq.Encode([1, 2, 3, 4, 5, 6], index);
        Assert.Equal([0, 0], index);
        Assert.Equal(new float[K * D], CodebookCase.Values(vq.Project()));
        float[] codes = new float[K * D];
        vq.GetCodes(codes);
        Assert.All(codes, code => Assert.InRange(code, -1f / K, 1f / K));
        Assert.True(codes.Distinct().Count() > K);
    }

    [Fact]
    public void Codes_are_projected_once_until_something_changes()
    {
        using VqBridge vq = Create();
        float[] x = new Draw(1).Floats(10 * D);
        float[] output = new float[x.Length];
        int[] index = new int[10];
        vq.Encode(x, index);
        vq.Encode(x, index);
        vq.Decode(index, output);
        vq.Forward(x, output, index);
        vq.Project();
        Assert.Equal(1, vq.Projections);
        vq.Backward([], output);
        Assert.Equal(1, vq.Projections);
        vq.Forward(x, output, index);
        Assert.Equal(2, vq.Projections);
        float[] codes = new float[K * D];
        vq.GetCodes(codes);
        vq.Encode(x, index);
        Assert.Equal(2, vq.Projections);
        vq.SetCodes(codes);
        vq.Encode(x, index);
        Assert.Equal(3, vq.Projections);
        vq.Load(new MemoryStream(CodebookCase.Saved(vq.Save)));
        vq.Project();
        Assert.Equal(4, vq.Projections);
        vq.Changed();
        vq.Export().Dispose();
        Assert.Equal(5, vq.Projections);
    }

    [Fact]
    public void Going_back_needs_a_forward_pass_since_the_last_change()
    {
        using VqBridge vq = Create();
        float[] x = new Draw(1).Floats(4 * D);
        Assert.Throws<InvalidOperationException>(() => vq.Backward([], x));
        vq.Forward(x, new float[x.Length], new int[4]);
        vq.Changed();
        Assert.Throws<InvalidOperationException>(() => vq.Backward([], x));
        vq.Forward(x, new float[x.Length], new int[4]);
        vq.Backward([], x);
        Assert.Throws<InvalidOperationException>(() => vq.Backward([], x));
    }

    /// <summary>Each part against its oracle, given what the parts before have computed.</summary>
    [Fact]
    public void A_step_is_projection_quantization_and_the_way_back_through_both()
    {
        using VqBridge vq = Create();
        float[] x = new Draw(2).Floats(40 * D, 1e-2, 1e1);
        float[] grad = new Draw(3).Floats(x.Length, 1e-2, 1e1);
        float[] output = new float[x.Length];
        float[] gradX = new float[x.Length];
        int[] index = new int[40];
        CodebookLoss loss = vq.Forward(x, output, index);
        float[] projected = CodebookCase.Values(vq.Project());
        vq.Backward(grad, gradX);
        NearestRow[] rows = new NearestReference(NearestMetric.L2, projected, D).SearchAll(x);
        Assert.All(index, (code, i) => Assert.True(rows[i].Admits(code)));
        (_, Bounded codebook, Bounded commitment, Bounded[] dx, _) =
            QuantizeReference.Evaluate(x, projected, index, D, 0.25, grad);
        LinearDevice.AssertWithin([codebook, commitment], [loss.Codebook, loss.Commitment], "loss");
        LinearDevice.AssertWithin(dx, gradX, "gradX");

        // The same through launchers of its own gives the same bits: the bridge's own tests hold it to its oracle.
        Accelerator accelerator = TestDevices.Session.Accelerator;
        AcceleratorStream stream = TestDevices.Session.Stream;
        using var bridge = new Bridge(accelerator, K, D, s_options);
        using var codes = new GuardedTensor(accelerator, CodebookCase.Values(vq.View));
        using var again = new GuardedTensor(accelerator, new float[K * D]);
        foreach (BridgeWeight weight in vq.Weights)
        {
            float[] values = Weight(vq, weight.Name);
            bridge.Parameter(weight.Name).CopyFromCPU(stream, values);
        }

        bridge.Forward(stream, codes.View, again.View);
        Assert.Equal(projected, again.Values());
        float[] gradProjected = CodebookCase.Values(vq.ProjectedGradient);
        LinearDevice.AssertWithin(
            QuantizeReference.CodebookGradient(x, projected, index, D), gradProjected, "gradient of the projected codes");
        using var back = new GuardedTensor(accelerator, gradProjected);
        using var gradCodes = new GuardedTensor(accelerator, new float[K * D]);
        bridge.Backward(stream, codes.View, back.View, gradCodes.View);
        stream.Synchronize();
        Assert.Equal(gradCodes.Values(), CodebookCase.Values(vq.Gradient));
        Parameter[] parameters = [.. vq.AsParameters()];
        Assert.Equal("codes", parameters[0].Name);
        foreach (BridgeWeight weight in bridge.Weights)
        {
            Parameter own = Assert.Single(parameters, p => string.Equals(p.Name, weight.Name, StringComparison.Ordinal));
            Assert.Equal(weight.Shape, own.Shape.Select(n => (int)n));
            Assert.Equal(
                CodebookCase.Values(bridge.Gradient(weight.Name)), CodebookCase.Values(own.Gradient.As<float>()));
        }
    }

    [Fact]
    public void One_parameter_or_many_take_the_same_step_and_the_loss_falls()
    {
        float[] x = [.. Enumerable.Range(0, 64 * D).Select(i => (float)Math.Sin(i * 1.7))];
        float[][] losses = new float[2][];
        byte[][] files = new byte[2][];
        for (int many = 0; many < 2; many++)
        {
            using VqBridge vq = Create();
            using var adam = new Optimizer(
                TestDevices.Session, new AdamOptions { LearningRate = 0.01 },
                many == 1 ? vq.AsParameters() : [vq.AsParameter()]);
            losses[many] = new float[60];
            for (int step = 0; step < losses[many].Length; step++)
            {
                losses[many][step] = vq.Forward(x, new float[x.Length], new int[64]).Codebook;
                vq.Backward([], new float[x.Length]);
                adam.Step();
            }

            files[many] = CodebookCase.Saved(vq.Save);
        }

        Assert.Equal(losses[0], losses[1]);
        Assert.Equal(files[0], files[1]);
        Assert.InRange(losses[0][^1], 0, 0.6f * losses[0][0]);
    }

    [Theory]
    [InlineData(CodeMetric.L2)]
    [InlineData(CodeMetric.Cosine)]
    public void What_is_exported_gives_the_same_indices_and_is_independent(CodeMetric metric)
    {
        using VqBridge vq = Create(new CodebookSettings { Metric = metric, Heads = 2, SharedHeads = true });
        float[] x = new Draw(5).Floats(300 * vq.RowLength, 1e-2, 1e1);
        int[] index = new int[600];
        float[] output = new float[x.Length];
        vq.Encode(x, index);
        vq.Decode(index, output);
        Codebook plain = vq.Export();
        using Codebook means = vq.Export(CodebookLearning.MovingMeans);
        float[] projected = CodebookCase.Values(vq.Project());
        vq.SetCodes(new float[K * D]);
        vq.Project();
        vq.Dispose();
        int[] exported = new int[600];
        float[] decoded = new float[x.Length];
        plain.Encode(x, exported);
        plain.Decode(exported, decoded);
        Assert.True(index.Distinct().Count() > 3);
        Assert.Equal(index, exported);
        Assert.Equal(output, decoded);
        Assert.Equal(projected, CodebookCase.Values(plain.View));
        Assert.Equal(projected, CodebookCase.Values(means.ClusterSum));
        plain.Dispose();
    }

    [Fact]
    public void Views_give_the_bits_of_spans()
    {
        using VqBridge spans = Create();
        using VqBridge views = Create();
        Accelerator accelerator = TestDevices.Session.Accelerator;
        float[] values = new Draw(6).Floats(30 * D, 1e-2, 1e1);
        float[] output = new float[values.Length];
        int[] index = new int[30];
        CodebookLoss loss = spans.Forward(values, output, index);
        using var x = new GuardedTensor(accelerator, values, 1);
        using var y = new GuardedTensor(accelerator, new float[values.Length]);
        using var losses = new GuardedTensor(accelerator, new float[2]);
        using GuardedTensor places = LearnCase.Integers(accelerator, new int[30]);
        views.Forward(x.View, y.View, LearnCase.View(places), losses.Floats);
        TestDevices.Session.Synchronize();
        Assert.Equal(index, LearnCase.Values(places));
        Assert.Equal(output, y.Values());
        Assert.Equal([loss.Codebook, loss.Commitment], losses.Values());
        Assert.Equal(spans.Usage(), views.Usage());
        spans.Backward(values, output);
        views.Backward(x.View, LearnCase.View(places), x.View, y.View);
        TestDevices.Session.Synchronize();
        Assert.Equal(output, y.Values());
        Assert.Equal(CodebookCase.Values(spans.Gradient), CodebookCase.Values(views.Gradient));
        views.Encode(x.View, LearnCase.View(places));
        views.Decode(LearnCase.View(places), y.View);
        spans.Encode(values, index);
        spans.Decode(index, output);
        TestDevices.Session.Synchronize();
        Assert.Equal(index, LearnCase.Values(places));
        Assert.Equal(output, y.Values());
    }

    [Fact]
    public void Comes_back_from_a_file_with_the_names_of_the_weights_and_refuses_what_does_not_fit()
    {
        using VqBridge vq = Create();
        byte[] saved = CodebookCase.Saved(vq.Save);
        using (var file = new SafeTensorsFile(new MemoryStream(saved)))
        {
            Assert.Equal(
                ["codes", .. vq.Weights.Select(w => w.Name)], file.Tensors.Select(t => t.Name), StringComparer.Ordinal);
            Assert.True(file.TryFind("compress.weight", out SafeTensorInfo? compress));
            Assert.Equal($"F32[8, {4 * D}]", compress.ToString());
            float[] values = new float[8 * 4 * D];
            file.Read<float>("compress.weight", values);
            Assert.Equal(Weight(vq, "compress.weight"), values);
        }

        using var other = new VqBridge(TestDevices.Session, K, D, s_options, new CodebookSettings { Seed = 5 });
        Assert.NotEqual(saved, CodebookCase.Saved(other.Save));
        float[] projected = CodebookCase.Values(other.Project());
        other.Load(new MemoryStream(saved));
        Assert.Equal(saved, CodebookCase.Saved(other.Save));
        Assert.Equal(CodebookCase.Values(vq.Project()), CodebookCase.Values(other.Project()));
        Assert.NotEqual(projected, CodebookCase.Values(other.Project()));
        foreach ((BridgeOptions options, string reason) in new (BridgeOptions, string)[]
        {
            (s_options with { Heads = 4 }, "The file's heads must be '4', and is '2'."),
            (s_options with { Epsilon = 1e-5 }, "The file's epsilon must be '1E-05', and is '1E-06'."),
            (s_options with { CompressNorm = true }, "The file's compress_norm must be 'true', and is 'false'."),
            (s_options with { Depth = 2 }, "The file lacks the tensor 'blocks.1.attention.qkv.weight'."),
            (s_options with { Width = 16 }, "The tensor 'compress.weight' must be F32[16, 12], and is F32[8, 12]."),
        })
        {
            using var misfit = new VqBridge(TestDevices.Session, K, D, options);
            byte[] before = CodebookCase.Saved(misfit.Save);
            Assert.Equal(
                reason, Assert.Throws<InvalidDataException>(() => misfit.Load(new MemoryStream(saved))).Message);
            Assert.Equal(before, CodebookCase.Saved(misfit.Save));
        }
    }

    /// <summary>A bridge whose last layer is not zero, so that codes differ.</summary>
    private static VqBridge Create(CodebookSettings? settings = null)
    {
        var vq = new VqBridge(TestDevices.Session, K, D, s_options, settings);
        var random = new Random(1);
        foreach (Parameter parameter in vq.AsParameters().Where(p => !p.Name.EndsWith("bias", StringComparison.Ordinal)))
        {
            float[] values = [.. Enumerable.Range(0, (int)parameter.Length).Select(_ => (random.NextSingle() * 2) - 1)];
            parameter.View.As<float>().CopyFromCPU(TestDevices.Session.Stream, values);
        }

        vq.Changed();
        return vq;
    }

    private static float[] Weight(VqBridge vq, string name) => CodebookCase.Values(
        vq.AsParameters().Single(p => string.Equals(p.Name, name, StringComparison.Ordinal)).View.As<float>());
}
