using ILGPU.Runtime;
using Kernels.Optimizers;
using Kernels.References;
using Kernels.References.VectorQuantization;
using Kernels.Tests.Linear;
using Kernels.Tests.Support;
using Kernels.VectorQuantization;

namespace Kernels.Tests.VectorQuantization;

public sealed class BridgeProperties
{
    /// <summary>Codes of a patch, dimension, width, heads, depth, ratio, tokens, size of the codes.</summary>
    private static readonly (int Patch, int D, int Width, int Heads, int Depth, int Ratio, int Tokens, float Scale)[]
        s_shapes =
        [
            (1, 3, 4, 2, 1, 2, 1, 1f), // one token
            (4, 4, 8, 4, 2, 2, 7, 1f),
            (2, 5, 12, 3, 1, 1, 33, 3f), // head size 4
            (16, 2, 20, 4, 2, 3, 17, 0.05f),
            (3, 1, 36, 2, 1, 2, 70, 1f),
            (5, 7, 10, 1, 0, 2, 9, 1f), // no block
        ];

    [Theory]
    [MemberData(nameof(LinearPlaces.Walks), MemberType = typeof(LinearPlaces))]
    public void Both_passes_are_within_the_bounds_of_the_reference(LinearPlace place)
    {
        var random = new Random(1);
        foreach (var s in place == LinearPlace.Own ? s_shapes : s_shapes[..2])
        {
            BridgeShape shape = new()
            {
                Dimension = s.D,
                Patch = s.Patch,
                Width = s.Width,
                Heads = s.Heads,
                Depth = s.Depth,
                Ratio = s.Ratio,
                CompressNorm = s.Tokens % 2 == 0,
            };
            Dictionary<string, float[]> weights = Weights(shape, random);
            float[] codes = Uniform(random, s.Tokens * shape.Features, s.Scale);
            float[] grad = Uniform(random, codes.Length, 1);
            (Bounded[] projected, IReadOnlyDictionary<string, Bounded[]> gradients) =
                BridgeReference.EvaluateBounded(shape, weights, codes, grad);
            Result got = Run(LinearDevice.Accelerator(place), shape, weights, codes, grad, place);
            LinearDevice.AssertWithin(projected, got.Projected, $"{place} {s}: projected");
            foreach ((string name, Bounded[] gradient) in gradients)
            {
                LinearDevice.AssertWithin(gradient, got.Gradients[name], $"{place} {s}: {name}");
            }
        }
    }

    [Fact]
    public void The_weights_have_the_names_and_shapes_of_the_reference_and_do_not_overlap()
    {
        BridgeShape shape = new() { Dimension = 3, Patch = 5, Width = 12, Heads = 3, Depth = 3, Ratio = 1 };
        using var bridge = new Bridge(TestDevices.Session.Accelerator, 35, 3, Options(shape));
        Assert.Equal(
            string.Join(';', shape.Weights.Select(w => $"{w.Name} {string.Join(' ', w.Shape)}")),
            string.Join(';', bridge.Weights.Select(w => $"{w.Name} {string.Join(' ', w.Shape)}")));
        long end = 0;
        foreach (BridgeWeight weight in bridge.Weights)
        {
            Assert.InRange(weight.Offset, end, end + 3);
            Assert.Equal(0, weight.Offset % 4);
            end = weight.Offset + weight.Length;
        }

        Assert.InRange(bridge.Parameters.Length, end, end + 3);
        Assert.Equal(bridge.Parameters.Length, bridge.Gradients.Length);
        Assert.Equal(new BridgeOptions(), bridge.Options with
        {
            Patch = 16,
            Width = 256,
            Heads = 4,
            Depth = 2,
            MlpRatio = 2,
            Epsilon = 1e-6,
        });
    }

    [Fact]
    public void A_new_bridge_projects_every_code_to_zero_and_learns_its_last_layer_first()
    {
        Accelerator accelerator = TestDevices.Session.Accelerator;
        BridgeShape shape = new() { Dimension = 4, Patch = 4, Width = 8, Depth = 1 };
        using var bridge = new Bridge(accelerator, 36, 4, Options(shape));
        bridge.Initialize(accelerator.DefaultStream, 7);
        var weights = shape.Weights.ToDictionary(
            w => w.Name, w => bridge.Parameter(w.Name).GetAsArray(), StringComparer.Ordinal);
        foreach ((string name, IReadOnlyList<int> sizes) in shape.Weights)
        {
            float[] values = weights[name];
            if (sizes.Count == 1 || name.StartsWith("recover", StringComparison.Ordinal))
            {
                Assert.All(values, v => Assert.Equal(0f, v));
                continue;
            }

            float limit = (float)Math.Sqrt(6.0 / (sizes[0] + sizes[1]));
            Assert.All(values, v => Assert.InRange(v, -limit, limit));
            Assert.InRange(values.Average(v => v * v), 0.6 * limit * limit / 3, 1.4 * limit * limit / 3);
            Assert.Equal(values.Length, values.Distinct().Count());
        }

        Assert.NotEqual(weights["blocks.0.mlp.expand.weight"], weights["blocks.0.mlp.reduce.weight"]);
        float[] codes = Uniform(new Random(1), 36 * 4, 1f / 36);
        float[] grad = Uniform(new Random(2), codes.Length, 1);
        Result got = Run(accelerator, shape, weights, codes, grad);
        Assert.All(got.Projected, v => Assert.Equal(0f, v));
        Assert.All(got.Gradients, g => Assert.Equal(
            g.Key.StartsWith("recover", StringComparison.Ordinal), g.Value.Any(v => v != 0)));

        float[] first = bridge.Parameters.GetAsArray();
        bridge.Initialize(accelerator.DefaultStream, 8);
        Assert.NotEqual(first, bridge.Parameters.GetAsArray());
        bridge.Initialize(accelerator.DefaultStream, 7);
        Assert.Equal(first, bridge.Parameters.GetAsArray());
    }

    [Fact]
    public void The_same_call_has_the_same_bits_and_a_gradient_of_the_codes_is_optional()
    {
        Accelerator accelerator = TestDevices.Session.Accelerator;
        BridgeShape shape = new() { Dimension = 8, Patch = 4, Width = 24, Depth = 2 };
        var random = new Random(3);
        Dictionary<string, float[]> weights = Weights(shape, random);
        float[] codes = Uniform(random, 150 * shape.Features, 1); // more than one block of rows in the column sums
        float[] grad = Uniform(random, codes.Length, 1);
        Result one = Run(accelerator, shape, weights, codes, grad);
        Result two = Run(accelerator, shape, weights, codes, grad);
        Result without = Run(accelerator, shape, weights, codes, grad, isFrozen: true);
        Assert.Equal(one.Projected, two.Projected);
        foreach ((string name, float[] gradient) in one.Gradients)
        {
            Assert.All(gradient, v => Assert.True(float.IsFinite(v)));
            Assert.Equal(gradient, two.Gradients[name]);
            if (!string.Equals(name, "codes", StringComparison.Ordinal))
            {
                Assert.Equal(gradient, without.Gradients[name]);
            }
        }

        Assert.Equal(one.Projected, Run(accelerator, shape, weights, codes, null).Projected);
    }

    [Fact]
    public void A_NaN_code_reaches_all_codes()
    {
        BridgeShape shape = new() { Dimension = 3, Patch = 2, Width = 8, Depth = 1 };
        var random = new Random(4);
        Dictionary<string, float[]> weights = Weights(shape, random);
        float[] codes = Uniform(random, 21 * shape.Features, 1);
        codes[50] = float.NaN;
        Assert.All(
            Run(TestDevices.Session.Accelerator, shape, weights, codes, null).Projected,
            v => Assert.True(float.IsNaN(v)));
    }

    [Fact]
    public void Going_back_needs_a_forward_pass_of_the_same_codes_each_time()
    {
        Accelerator accelerator = TestDevices.Session.Accelerator;
        AcceleratorStream stream = accelerator.DefaultStream;
        using var bridge = new Bridge(accelerator, 8, 2, new BridgeOptions { Patch = 2, Width = 4, Heads = 2 });
        using var codes = new GuardedTensor(accelerator, Uniform(new Random(5), 16, 1));
        using var other = new GuardedTensor(accelerator, Uniform(new Random(6), 16, 1));
        using var result = new GuardedTensor(accelerator, new float[16]);
        bridge.Initialize(stream, 1);
        Assert.Throws<InvalidOperationException>(() => bridge.Backward(stream, codes.View, other.View));
        bridge.Forward(stream, codes.View, result.View);
        Assert.Throws<InvalidOperationException>(() => bridge.Backward(stream, other.View, codes.View));
        bridge.Backward(stream, codes.View, other.View, result.View);
        Assert.Throws<InvalidOperationException>(() => bridge.Backward(stream, codes.View, other.View));
        bridge.Forward(stream, codes.View, result.View);
        bridge.Initialize(stream, 2);
        Assert.Throws<InvalidOperationException>(() => bridge.Backward(stream, codes.View, other.View));
        stream.Synchronize();
    }

    [Fact]
    public void One_launch_steps_all_parameters_and_the_loss_falls()
    {
        Accelerator accelerator = TestDevices.Session.Accelerator;
        AcceleratorStream stream = accelerator.DefaultStream;
        using var bridge = new Bridge(accelerator, 32, 4, new BridgeOptions { Patch = 4, Width = 16 });
        bridge.Initialize(stream, 3);
        float[] goal = Uniform(new Random(7), 128, 1);
        using var codes = accelerator.Allocate1D(Uniform(new Random(8), 128, 1));
        using var projected = accelerator.Allocate1D<float>(128);
        using var grad = accelerator.Allocate1D<float>(128);
        using var mean = accelerator.Allocate1D(new float[bridge.Parameters.Length]);
        using var square = accelerator.Allocate1D(new float[bridge.Parameters.Length]);
        var adam = new UpdateLauncher(accelerator, new AdamOptions { LearningRate = 0.01 });
        double first = 0, last = 0;
        for (int step = 1; step <= 60; step++)
        {
            bridge.Forward(stream, codes.View, projected.View);
            float[] slope = [.. projected.GetAsArray1D().Zip(goal, (a, b) => a - b)];
            last = slope.Sum(d => (double)d * d);
            first = step == 1 ? last : first;
            grad.CopyFromCPU(slope);
            bridge.Backward(stream, codes.View, grad.View);
            adam.Step(stream, bridge.Parameters, bridge.Gradients, [mean.View, square.View], step);
        }

        stream.Synchronize();
        Assert.InRange(last, 0, 0.1 * first);
    }

    [Fact]
    public void A_step_allocates_no_managed_memory_and_the_activations_do_not_grow_with_the_square()
    {
        Accelerator accelerator = TestDevices.Session.Accelerator;
        AcceleratorStream stream = accelerator.DefaultStream;
        using var bridge = new Bridge(accelerator, 600, 2, new BridgeOptions { Patch = 2, Width = 8 });
        using var codes = new GuardedTensor(accelerator, Uniform(new Random(9), 1200, 1));
        using var grad = new GuardedTensor(accelerator, Uniform(new Random(10), 1200, 1));
        using var result = new GuardedTensor(accelerator, new float[1200]);
        bridge.Initialize(stream, 1);
        Allocations.AssertNone(accelerator, Step);
        using var large = new Bridge(accelerator, 65_536, 1, new BridgeOptions { Patch = 1, Width = 4, Depth = 1 });
        Assert.InRange(large.ScratchBytes, 1, 65_536L * 400); // one head's weights would be 16 GiB

        void Step()
        {
            bridge.Forward(stream, codes.View, result.View);
            bridge.Backward(stream, codes.View, grad.View, result.View);
        }
    }

    [Fact]
    public void Codes_in_squares_become_codes_in_rows_and_back()
    {
        const int Side = 6, PatchSide = 3, D = 2;
        Assert.Equal(BridgeReference.SquareOrder(Side, PatchSide), BridgeLayout.SquareOrder(Side, PatchSide));
        Assert.Equal(BridgeReference.SquareOrder(4, 1), BridgeLayout.SquareOrder(4, 1));
        float[] square = Uniform(new Random(11), Side * Side * D, 1);
        float[] codes = new float[square.Length];
        BridgeLayout.FromSquare(square, codes, Side, PatchSide);
        int[] order = BridgeLayout.SquareOrder(Side, PatchSide);
        Assert.Equal(order.SelectMany(k => square[(k * D)..((k + 1) * D)]), codes);
        float[] back = new float[square.Length];
        BridgeLayout.ToSquare(codes, back, Side, PatchSide);
        Assert.Equal(square, back);

        float[] convolution = Uniform(new Random(12), 5 * D * PatchSide * PatchSide, 1);
        float[] weight = new float[convolution.Length];
        BridgeLayout.CompressFromConvolution(convolution, weight, D, PatchSide);
        Assert.Equal(BridgeReference.ImportCompress(convolution, D, PatchSide), weight);
    }

    private static Result Run(
        Accelerator accelerator, BridgeShape shape, Dictionary<string, float[]> weights, float[] codes, float[]? grad,
        LinearPlace place = LinearPlace.Own, bool isFrozen = false)
    {
        AcceleratorStream stream = accelerator.DefaultStream;
        using var bridge = new Bridge(
            accelerator, codes.Length / shape.Dimension, shape.Dimension, Options(shape), LinearDevice.Walk(place));
        foreach ((string name, float[] values) in weights)
        {
            bridge.Parameter(name).CopyFromCPU(stream, values);
        }

        using var input = new GuardedTensor(accelerator, codes, shift: 1);
        using var projected = new GuardedTensor(accelerator, new float[codes.Length], shift: 3);
        bridge.Forward(stream, input.View, projected.View);
        if (grad is null)
        {
            stream.Synchronize();
            return new Result(projected.Values(), []);
        }

        using var back = new GuardedTensor(accelerator, grad);
        using var gradCodes = new GuardedTensor(accelerator, new float[codes.Length], shift: 2);
        bridge.Backward(stream, input.View, back.View, isFrozen ? default : gradCodes.View);
        stream.Synchronize();
        Assert.Equal(codes, input.Values());
        Assert.Equal(grad, back.Values());
        var gradients = weights.Keys.ToDictionary(
            name => name, name => bridge.Gradient(name).GetAsArray(), StringComparer.Ordinal);
        gradients["codes"] = gradCodes.Values();
        return new Result(projected.Values(), gradients);
    }

    private static BridgeOptions Options(BridgeShape shape) => new()
    {
        Patch = shape.Patch,
        Width = shape.Width,
        Heads = shape.Heads,
        Depth = shape.Depth,
        MlpRatio = shape.Ratio,
        Epsilon = shape.Epsilon,
        CompressNorm = shape.CompressNorm,
    };

    private static Dictionary<string, float[]> Weights(BridgeShape shape, Random random)
    {
        var weights = new Dictionary<string, float[]>(StringComparer.Ordinal);
        foreach ((string name, IReadOnlyList<int> sizes) in shape.Weights)
        {
            double limit = sizes.Count == 2 ? Math.Sqrt(6.0 / (sizes[0] + sizes[1])) : 0.2;
            weights[name] = Uniform(random, sizes.Aggregate(1, (a, b) => a * b), (float)limit);
        }

        return weights;
    }

    private static float[] Uniform(Random random, int n, float scale) =>
        [.. Enumerable.Range(0, n).Select(_ => scale * (float)((random.NextDouble() * 2) - 1))];

    private sealed record Result(float[] Projected, Dictionary<string, float[]> Gradients);
}
