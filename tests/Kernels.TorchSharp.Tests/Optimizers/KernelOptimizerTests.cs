using global::TorchSharp;
using Kernels.Optimizers;
using Kernels.TorchSharp.Optimizers;
using Kernels.TorchSharp.Tests.Support;
using Parameter = Kernels.Optimizers.Parameter;
using TorchParameter = global::TorchSharp.Modules.Parameter;

namespace Kernels.TorchSharp.Tests.Optimizers;

public sealed class KernelOptimizerTests
{
    private const int Seed = 7;

    public static TheoryData<string> Names => [.. Algorithms.Names];

    [TorchTheory]
    [MemberData(nameof(Names))]
    public void Steps_are_bit_for_bit_those_of_the_library(string name)
    {
        OptimizerOptions options = Algorithms.Of(name);
        Follow(options, Tensors.Shapes, torch.ScalarType.Float32, StateStorage.F32);
    }

    [TorchTheory]
    [InlineData(torch.ScalarType.BFloat16)]
    [InlineData(torch.ScalarType.Float16)]
    public void Steps_on_sixteen_bits_are_those_of_the_library(torch.ScalarType type) =>
        Follow(Algorithms.Of("adamw"), Tensors.Shapes, type, StateStorage.F32);

    [TorchFact]
    public void Steps_with_state_in_8_bits_are_those_of_the_library() => Follow(
        Algorithms.Of("adamw"), [[100], [70, 71], [5000], [4096]], torch.ScalarType.Float32, StateStorage.EightBit);

    [TorchTheory]
    [MemberData(nameof(Names))]
    public void What_is_loaded_goes_on_bit_for_bit(string name)
    {
        OptimizerOptions options = Algorithms.Of(name);
        TorchParameter[] parameters = Tensors.Parameters(Tensors.Shapes, Seed);
        using KernelOptimizer optimizer = KernelOptimizers.Create(parameters, options);
        Step(optimizer, parameters, 1, 3);
        var file = new MemoryStream();
        optimizer.save_state_dict(new BinaryWriter(file));
        TorchParameter[] copies = [.. parameters.Select(p => new TorchParameter(p.detach().clone()))];
        using KernelOptimizer loaded = KernelOptimizers.Create(copies, options with { LearningRate = 1 });
        file.Position = 0;
        loaded.load_state_dict(new BinaryReader(file));
        TorchParameter[] others = [.. parameters.Select(p => new TorchParameter(p.detach().clone()))];
        using KernelOptimizer taken = KernelOptimizers.Create(others, options);
        taken.load_state_dict(optimizer.state_dict());

        Step(optimizer, parameters, 4, 3);
        Step(loaded, copies, 4, 3);
        Step(taken, others, 4, 3);

        Assert.Equal(Tensors.All(parameters), Tensors.All(copies));
        Assert.Equal(Tensors.All(parameters), Tensors.All(others));
        for (int i = 0; i < parameters.Length; i++)
        {
            Assert.True(optimizer.state_dict().State[i].ApproximatelyEquals(loaded.state_dict().State[i]));
            Assert.Equal(6, ((KernelState)loaded.state_dict().State[i]).Steps);
        }
    }

    [TorchFact]
    public void A_file_of_another_algorithm_or_other_parameters_is_refused()
    {
        TorchParameter[] parameters = Tensors.Parameters([[300], [4, 4]], Seed);
        using KernelOptimizer adam = KernelOptimizers.Adam(parameters);
        Step(adam, parameters, 1, 2);
        var file = new MemoryStream();
        adam.save_state_dict(new BinaryWriter(file));

        using KernelOptimizer lion = KernelOptimizers.Create(Tensors.Parameters([[300], [4, 4]], 1), new LionOptions());
        using KernelOptimizer other = KernelOptimizers.Adam(Tensors.Parameters([[301], [4, 4]], 1));
        foreach (KernelOptimizer optimizer in (KernelOptimizer[])[lion, other])
        {
            file.Position = 0;
            Assert.Throws<InvalidDataException>(() => optimizer.load_state_dict(new BinaryReader(file)));
            Assert.Equal(0, ((KernelState)optimizer.state_dict().State[0]).Steps);
        }

        Assert.Throws<ArgumentException>(() => lion.load_state_dict(adam.state_dict()));
        Assert.Throws<ArgumentException>(() => other.load_state_dict(adam.state_dict()));
    }

    [TorchFact]
    public void Groups_have_options_of_their_own()
    {
        TorchParameter[] parameters = Tensors.Parameters([[300], [20, 30], [7]], Seed);
        var options = new AdamWOptions { LearningRate = 1e-2, WeightDecay = 0.1 };
        OptimizerOptions slow = options with { LearningRate = 1e-3, WeightDecay = 0 };
        using KernelOptimizer optimizer = KernelOptimizers.CreateGroups(
            [new KernelParamGroup([parameters[0]]), new KernelParamGroup([parameters[1]], slow)], options);
        optimizer.add_param_group(new KernelParamGroup([parameters[2]], slow));
        Assert.Equal([1e-2, 1e-3, 1e-3], optimizer.ParamGroups.Select(g => g.LearningRate));
        Assert.Equal(3, optimizer.parameters().Count());

        TorchParameter[] copies = [.. parameters.Select(p => new TorchParameter(p.detach().clone()))];
        using var library = new Optimizer(
            HostMemory.Session, options,
            [.. copies.Select((p, i) => new Parameter($"{i}", Tensors.Values(p), p.shape) { Options = i == 0 ? null : slow })]);
        Compare(optimizer, library, parameters, 1, 3);
    }

    [TorchFact]
    public void A_parameter_without_a_gradient_is_left_out()
    {
        TorchParameter[] parameters = Tensors.Parameters([[300], [20, 30]], Seed);
        using KernelOptimizer optimizer = KernelOptimizers.AdamW(parameters);
        using var library = new Optimizer(
            HostMemory.Session, new AdamWOptions { WeightDecay = 0 },
            [.. parameters.Select((p, i) => new Parameter($"{i}", Tensors.Values(p), p.shape))]);
        optimizer.step();
        for (int step = 1; step <= 4; step++)
        {
            Tensors.SetGradients(parameters, step);
            if (step is 2 or 3)
            {
                parameters[1].grad = null;
            }

            library.SetFrozen("1", step is 2 or 3);
            SetGradients(library, parameters);
            optimizer.step();
            library.Step();
            Equal(library, parameters);
        }

        Assert.Equal(4, ((KernelState)optimizer.state_dict().State[0]).Steps);
        Assert.Equal(2, ((KernelState)optimizer.state_dict().State[1]).Steps);
    }

    [TorchFact]
    public void A_parameter_without_a_gradient_has_no_part_in_the_rate_of_AdaGradNorm()
    {
        var options = new AdaGradNormOptions { LearningRate = 0.3, WeightDecay = 0.01 };
        TorchParameter[] parameters = Tensors.Parameters([[300], [20, 30]], Seed);
        TorchParameter[] first = Tensors.Parameters([[300]], Seed);
        using KernelOptimizer optimizer = KernelOptimizers.Create(parameters, options);
        using KernelOptimizer alone = KernelOptimizers.Create(first, options);
        float[] left = Tensors.Values(parameters[1]);
        for (int step = 1; step <= 3; step++)
        {
            Tensors.SetGradients(parameters, step);
            Tensors.SetGradients(first, step);
            parameters[1].grad = null;
            optimizer.step();
            alone.step();
            Assert.Equal(Tensors.Values(first[0]), Tensors.Values(parameters[0]));
            Assert.Equal(left, Tensors.Values(parameters[1]));
        }

        Tensors.SetGradients(parameters, 4);
        Tensors.SetGradients(first, 4);
        optimizer.step();
        alone.step();
        // Its gradient lowers the rate of both.
        Assert.NotEqual(Tensors.Values(first[0]), Tensors.Values(parameters[0]));
        Assert.NotEqual(left, Tensors.Values(parameters[1]));
        Assert.Equal(1, ((KernelState)optimizer.state_dict().State[1]).Steps);
    }

    [TorchFact]
    public void A_gradient_may_become_another_between_steps()
    {
        TorchParameter[] parameters = Tensors.Parameters([[300], [1000], [256]], Seed);
        using KernelOptimizer optimizer = KernelOptimizers.AdamW(parameters);
        using var library = new Optimizer(
            HostMemory.Session, new AdamWOptions { WeightDecay = 0 },
            [.. parameters.Select((p, i) => new Parameter($"{i}", Tensors.Values(p), p.shape))]);
        Tensors.SetGradients(parameters, 1);
        Step();
        parameters[0].grad = torch.randn(300, torch.ScalarType.BFloat16);
        parameters[1].grad = torch.randn(1000);
        Step();
        parameters[0].grad = torch.randn(300);
        parameters[1].grad = torch.randn(1000, torch.ScalarType.Float16);
        Step();
        // Freed, so that the next may lie where it lay.
        parameters[2].grad!.Dispose();
        parameters[2].grad = null;
        parameters[2].grad = torch.randn(256);
        Step();
        float[] before = Tensors.Values(parameters[2]);
        parameters[0].grad = torch.randn(299);
        Assert.Throws<ArgumentException>(() => optimizer.step());
        Assert.Equal(before, Tensors.Values(parameters[2]));
        parameters[0].grad = torch.randn(300);
        Step();
        // In the midst of another tensor, and elsewhere in it.
        using torch.Tensor large = torch.randn(2000);
        foreach (int first in (int[])[77, 1000, 1004])
        {
            parameters[0].grad = large.narrow(0, first, 300);
            Step();
        }

        // The same tensor, whose memory becomes another.
        using torch.Tensor gradient = parameters[1].grad!;
        foreach (torch.ScalarType type in (torch.ScalarType[])[torch.ScalarType.Float16, torch.ScalarType.Float32])
        {
            using torch.Tensor other = torch.randn(1000, type);
            parameters[1].grad = other;
            Step();
            using torch.Tensor kept = parameters[1].grad!;
            kept.set_(torch.randn(1000, type));
            Step();
        }

        // All become others of the same kind, are left out, and come back.
        for (int step = 0; step < 4; step++)
        {
            Tensors.SetGradients(parameters, step);
            Step();
            parameters[step % 3].grad = null;
            float[] left = Tensors.Values(parameters[step % 3]);
            library.SetFrozen($"{step % 3}", true);
            optimizer.step();
            library.Step();
            Equal(library, parameters);
            Assert.Equal(left, Tensors.Values(parameters[step % 3]));
            library.SetFrozen($"{step % 3}", false);
        }

        Tensors.SetGradients(parameters, 5);
        Step();

        void Step()
        {
            SetGradients(library, parameters);
            optimizer.step();
            library.Step();
            Equal(library, parameters);
        }
    }

    [TorchFact]
    public void Schedulers_change_rates_betas_and_momentum()
    {
        TorchParameter[] parameters = Tensors.Parameters([[300], [20, 30]], Seed);
        using KernelOptimizer optimizer = KernelOptimizers.Adam(parameters, lr: 0.01);
        using var library = new Optimizer(
            HostMemory.Session, new AdamOptions { LearningRate = 0.01 },
            [.. parameters.Select((p, i) => new Parameter($"{i}", Tensors.Values(p), p.shape))]);
        torch.optim.lr_scheduler.LRScheduler scheduler = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, max_lr: 0.05, total_steps: 8);
        var rates = new HashSet<double>();
        for (int step = 1; step <= 6; step++)
        {
            var group = (KernelParamGroup)optimizer.ParamGroups.First();
            var options = (AdamOptions)group.Options.Algorithm with { LearningRate = group.LearningRate };
            rates.Add(options.LearningRate);
            rates.Add(-options.Beta1);
            library.SetOptions("0", options);
            library.SetOptions("1", options);
            Compare(optimizer, library, parameters, step, 1);
            scheduler.step();
        }

        Assert.True(rates.Count > 10, string.Join(", ", rates));

        using KernelOptimizer sgd = KernelOptimizers.SGD(parameters, 0.1, momentum: 0.7);
        torch.optim.lr_scheduler.CyclicLR(sgd, base_lr: 0.01, max_lr: 0.1);
        Assert.Equal(0.9, ((SgdOptions)((KernelParamGroup)sgd.ParamGroups.First()).Options.Algorithm).Momentum);
        Tensors.SetGradients(parameters, 1);
        sgd.step();
    }

    [TorchFact]
    public void Every_rate_of_an_algorithm_follows_a_schedule()
    {
        var options = new KernelOptions(new MuonOptions { LearningRate = 0.02 }) { LearningRate = 0.005 };
        var effective = (MuonOptions)options.Effective;
        Assert.Equal(0.005, effective.LearningRate);
        double rate = ((MuonOptions)options.Algorithm).AdamW.LearningRate / 4;
        // A quotient and a product.
        Assert.Equal(rate, effective.AdamW.LearningRate, Math.ScaleB(rate, -51));
        Assert.Same(effective, options.Effective);
    }

    [TorchFact]
    public void Zero_grad_sets_gradients_to_zero_and_a_closure_gives_the_loss()
    {
        using torch.nn.Module<torch.Tensor, torch.Tensor> network = Digits.Network(hidden: 8);
        using KernelOptimizer optimizer = KernelOptimizers.AdamW(network.parameters(), lr: 1e-2);
        (torch.Tensor pixels, torch.Tensor labels) = Digits.Batch(0, 64);
        var losses = new List<float>();
        for (int step = 0; step < 30; step++)
        {
            using torch.Tensor? loss = optimizer.step(() =>
            {
                optimizer.zero_grad();
                Assert.All(network.parameters().Where(p => p.grad is not null), p => Assert.All(
                    Tensors.Values(p.grad!), g => Assert.Equal(0, g)));
                torch.Tensor loss = torch.nn.functional.cross_entropy(network.forward(pixels), labels);
                loss.backward();
                return loss;
            });
            losses.Add(loss!.item<float>());
        }

        Assert.True(losses[^1] < losses[0] / 2, string.Join(", ", losses));
    }

    [TorchFact]
    public void A_step_allocates_nothing_and_keeps_no_tensors()
    {
        TorchParameter[] parameters = Tensors.Parameters(Tensors.Shapes, Seed);
        Tensors.SetGradients(parameters, 1);
        using KernelOptimizer optimizer = KernelOptimizers.AdamW(parameters);
        optimizer.step();
        using DisposeScope scope = torch.NewDisposeScope();
        long least = long.MaxValue;
        for (int round = 0; round < 10 && least != 0; round++)
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            optimizer.step();
            optimizer.step();
            least = Math.Min(least, GC.GetAllocatedBytesForCurrentThread() - before);
        }

        Assert.Equal(0, least);
        Assert.Equal(0, scope.DisposablesCount);
    }

    [TorchFact]
    public void A_disposed_optimizer_says_so()
    {
        KernelOptimizer optimizer = KernelOptimizers.AdamW(Tensors.Parameters([[3]], Seed));
        optimizer.Dispose();
        Assert.Throws<ObjectDisposedException>(() => optimizer.step());
        optimizer.Dispose();
    }

    private static void Follow(OptimizerOptions options, long[][] shapes, torch.ScalarType type, StateStorage state)
    {
        TorchParameter[] parameters = Tensors.Parameters(shapes, Seed, type);
        using KernelOptimizer optimizer = KernelOptimizers.Create(parameters, options, state);
        Storage storage = type switch
        {
            torch.ScalarType.Float16 => Storage.F16,
            torch.ScalarType.BFloat16 => Storage.BF16,
            _ => Storage.F32,
        };
        using var library = new Optimizer(
            HostMemory.Session, options,
            [.. parameters.Select((p, i) => new Parameter($"{i}", Tensors.Values(p), shapes[i]))],
            new OptimizerSettings { Parameters = storage, Gradients = storage, StateStorage = state });
        Compare(optimizer, library, parameters, 1, 4);
    }

    private static void Step(KernelOptimizer optimizer, TorchParameter[] parameters, int first, int steps)
    {
        for (int step = first; step < first + steps; step++)
        {
            Tensors.SetGradients(parameters, 100 * step);
            optimizer.step();
        }
    }

    private static void Compare(
        KernelOptimizer optimizer, Optimizer library, TorchParameter[] parameters, int first, int steps)
    {
        for (int step = first; step < first + steps; step++)
        {
            Tensors.SetGradients(parameters, 100 * step);
            SetGradients(library, parameters);
            optimizer.step();
            library.Step();
            Equal(library, parameters);
        }
    }

    private static void SetGradients(Optimizer library, TorchParameter[] parameters)
    {
        for (int i = 0; i < parameters.Length; i++)
        {
            if (parameters[i].grad is { } gradient && gradient.numel() > 0)
            {
                library.SetGradient($"{i}", Tensors.Values(gradient));
            }
        }
    }

    private static void Equal(Optimizer library, TorchParameter[] parameters)
    {
        for (int i = 0; i < parameters.Length; i++)
        {
            var values = new float[parameters[i].numel()];
            if (values.Length > 0)
            {
                library.Download($"{i}", values);
                Assert.Equal(values, Tensors.Values(parameters[i]));
            }
        }
    }
}
