using Kernels.Optimizers;
using Kernels.Serialization;
using Kernels.Tests.Reductions;
using Kernels.Tests.Support;

namespace Kernels.Tests.Optimizers;

/// <summary>Adafactor over many parameters, of which each steps as it would alone.</summary>
[Collection(CountedLaunches.Name)]
public sealed class AdafactorOptimizerTests
{
    private static readonly long[][] s_shapes = [[40, 300], [17], [], [6, 5, 3, 3], [0, 5], [4, 2, 70, 40], [70, 8]];

    [Fact]
    public void Groups_of_parameters_step_as_each_alone()
    {
        var options = new AdafactorOptions { LearningRate = 0.1 };
        AdafactorOptions slow = options with { LearningRate = 1e-3, WeightDecay = 0.1 };
        Parameter[] parameters = [.. s_shapes.Select((_, i) => ParameterOf(i) with { Options = i % 3 == 1 ? slow : null })];
        using var optimizer = new Optimizer(TestDevices.Session, options, parameters);
        Optimizer[] alone =
            [.. parameters.Select(p => new Optimizer(TestDevices.Session, p.Options ?? options, [p with { Options = null }]))];
        for (int step = 1; step <= 5; step++)
        {
            for (int i = 0; i < alone.Length; i++)
            {
                float[] g = Gradient(step, i);
                optimizer.SetGradient($"{i}", g);
                alone[i].SetGradient($"{i}", g);
                // Who has stood still has another step count from then on.
                bool isFrozen = step == 2 && i is 0 or 3;
                optimizer.SetFrozen($"{i}", isFrozen);
                alone[i].SetFrozen($"{i}", isFrozen);
            }

            optimizer.Step();
            for (int i = 0; i < alone.Length; i++)
            {
                alone[i].Step();
                Assert.Equal(Values(alone[i], i), Values(optimizer, i));
                Assert.Equal(step - (step > 1 && i is 0 or 3 ? 1 : 0), optimizer.StepsOf($"{i}"));
            }
        }

        Array.ForEach(alone, o => o.Dispose());
    }

    [Fact]
    public void States_have_the_names_and_shapes_of_PyTorch_and_come_back()
    {
        var options = new AdafactorOptions { LearningRate = 0.1 };
        using Optimizer optimizer = Create(options);
        Step(optimizer, 1);
        Step(optimizer, 2);
        using var stream = new MemoryStream();
        optimizer.Save(stream);
        stream.Position = 0;
        using (var file = new SafeTensorsFile(stream, leaveOpen: true))
        {
            Dictionary<string, long[]> shapes = file.Tensors
                .Where(t => t.Name.Contains("var", StringComparison.Ordinal))
                .ToDictionary(t => t.Name, t => (long[])[.. t.Shape], StringComparer.Ordinal);
            Assert.Equal(
                new Dictionary<string, long[]>(StringComparer.Ordinal)
                {
                    ["0.row_var"] = [40, 1],
                    ["0.col_var"] = [1, 300],
                    ["1.variance"] = [17],
                    ["2.variance"] = [],
                    ["3.row_var"] = [6, 5, 3, 1],
                    ["3.col_var"] = [6, 5, 1, 3],
                    ["4.row_var"] = [0, 1],
                    ["4.col_var"] = [1, 5],
                    ["5.row_var"] = [4, 2, 70, 1],
                    ["5.col_var"] = [4, 2, 1, 40],
                    ["6.row_var"] = [70, 1],
                    ["6.col_var"] = [1, 8],
                },
                shapes);
        }

        stream.Position = 0;
        using Optimizer loaded = Create(options);
        loaded.Load(stream);
        Step(optimizer, 3);
        Step(loaded, 3);
        for (int i = 0; i < s_shapes.Length; i++)
        {
            Assert.Equal(Values(optimizer, i), Values(loaded, i));
        }
    }

    [Fact]
    public void A_step_allocates_nothing()
    {
        using Optimizer optimizer = Create(new AdafactorOptions());
        Step(optimizer, 1);
        Allocations.AssertNone(TestDevices.Session.Accelerator, optimizer.Step);
    }

    [Fact]
    public void A_step_of_many_parameters_is_as_many_launches_as_of_few()
    {
        int few = Launches(1);
        Assert.Equal(few, Launches(20));

        int Launches(int copies)
        {
            using var optimizer = new Optimizer(
                TestDevices.Session, new AdafactorOptions(),
                [
                    .. Enumerable.Range(0, copies).SelectMany(c => s_shapes.Select((shape, i) =>
                        new Parameter($"{c}.{i}", shape))),
                ]);
            optimizer.Step(); // loads the kernels
            return Traffic.TryCount(optimizer.Step, out Traffic[] launches) ? launches.Length : 0;
        }
    }

    private static Optimizer Create(AdafactorOptions options) =>
        new(TestDevices.Session, options, [.. s_shapes.Select((_, i) => ParameterOf(i))]);

    private static Parameter ParameterOf(int i) => s_shapes[i].Length == 0
        ? new Parameter($"{i}", s_shapes[i])
        : new Parameter($"{i}", Numbers.LogUniform(Length(i), seed: i), s_shapes[i]);

    private static int Length(int i) => (int)s_shapes[i].Aggregate(1L, (product, d) => product * d);

    private static float[] Gradient(int step, int i) => Numbers.LogUniform(Length(i), seed: 100 * step + i);

    private static void Step(Optimizer optimizer, int step)
    {
        for (int i = 0; i < s_shapes.Length; i++)
        {
            optimizer.SetGradient($"{i}", Gradient(step, i));
        }

        optimizer.Step();
    }

    private static float[] Values(Optimizer optimizer, int i)
    {
        var values = new float[Length(i)];
        optimizer.Download($"{i}", values);
        return values;
    }
}
