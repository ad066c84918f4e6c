using System.Reflection;
using global::TorchSharp;
using Kernels.Optimizers;
using Kernels.References;
using Kernels.References.Optimizers;
using Kernels.TorchSharp.Optimizers;
using Kernels.TorchSharp.Tests.Support;
using TorchOptimizer = global::TorchSharp.Modules.OptimizerHelper;
using TorchParameter = global::TorchSharp.Modules.Parameter;

namespace Kernels.TorchSharp.Tests.Optimizers;

/// <summary>
/// TorchSharp's own optimizers and ours on the digits. Both are binary32 computations of one formula from one state, with the
/// roundings that the oracle counts: each is within the oracle's bound of it, so they are within twice that of each other.
/// </summary>
public sealed class ParityTests
{
    private const int Steps = 200;
    private const double Rate = 3e-3;

    // Of a centered second moment rounding may leave nothing, or less.
    private const double CenteredEpsilon = 1e-3;

    private static readonly Dictionary<string, Pair> s_pairs = new(StringComparer.Ordinal)
    {
        ["adam"] = new(
            p => KernelOptimizers.Adam(p, Rate, weight_decay: 0.01),
            p => torch.optim.Adam(p, Rate, weight_decay: 0.01), new AdamReference(Rate, weightDecay: 0.01)),
        ["adam.amsgrad"] = new(
            p => KernelOptimizers.Adam(p, Rate, amsgrad: true),
            p => torch.optim.Adam(p, Rate, amsgrad: true), new AdamReference(Rate, amsgrad: true)),
        ["adamw"] = new(
            p => KernelOptimizers.AdamW(p, Rate, weight_decay: 0.1),
            p => torch.optim.AdamW(p, Rate, weight_decay: 0.1),
            new AdamReference(Rate, weightDecay: 0.1, decoupled: true)),
        ["sgd"] = new(
            p => KernelOptimizers.SGD(p, 0.1), p => torch.optim.SGD(p, 0.1), new SgdReference(0.1)),
        ["sgd.momentum"] = new(
            p => KernelOptimizers.SGD(p, 0.05, momentum: 0.9, dampening: 0.25, weight_decay: 0.01),
            p => torch.optim.SGD(p, 0.05, momentum: 0.9, dampening: 0.25, weight_decay: 0.01),
            new SgdReference(0.05, 0.9, 0.25, weightDecay: 0.01)),
        ["sgd.nesterov"] = new(
            p => KernelOptimizers.SGD(p, 0.05, momentum: 0.9, nesterov: true),
            p => torch.optim.SGD(p, 0.05, momentum: 0.9, nesterov: true), new SgdReference(0.05, 0.9, nesterov: true)),
        ["rmsprop"] = new(
            p => KernelOptimizers.RMSProp(p, Rate, weight_decay: 0.01),
            p => torch.optim.RMSProp(p, Rate, weight_decay: 0.01), new RmsPropReference(Rate, weightDecay: 0.01)),
        ["rmsprop.momentum"] = new(
            p => KernelOptimizers.RMSProp(p, Rate, momentum: 0.5),
            p => torch.optim.RMSProp(p, Rate, momentum: 0.5), new RmsPropReference(Rate, momentum: 0.5)),
        ["rmsprop.centered"] = new(
            p => KernelOptimizers.RMSProp(p, Rate, eps: CenteredEpsilon, centered: true),
            p => torch.optim.RMSProp(p, Rate, eps: CenteredEpsilon, centered: true),
            new RmsPropReference(Rate, epsilon: CenteredEpsilon, centered: true)),
        ["rmsprop.centered.momentum"] = new(
            p => KernelOptimizers.RMSProp(p, Rate, eps: CenteredEpsilon, momentum: 0.5, centered: true),
            p => torch.optim.RMSProp(p, Rate, eps: CenteredEpsilon, momentum: 0.5, centered: true),
            new RmsPropReference(Rate, epsilon: CenteredEpsilon, momentum: 0.5, centered: true)),
        ["adagrad"] = new(
            p => KernelOptimizers.Adagrad(p, 0.1, lr_decay: 0.01, initial_accumulator_value: 0.01),
            p => torch.optim.Adagrad(p, 0.1, lr_decay: 0.01, initial_accumulator_value: 0.01),
            new AdaGradReference(0.1, 0.01, initialAccumulator: 0.01)),
    };

    public static TheoryData<string> Names => [.. s_pairs.Keys];

    [TorchTheory]
    [MemberData(nameof(Names))]
    public void Two_hundred_steps_are_those_of_TorchSharp(string name)
    {
        Pair pair = s_pairs[name];
        using torch.nn.Module<torch.Tensor, torch.Tensor> network = Digits.Network(hidden: 24);
        TorchParameter[] parameters = [.. network.parameters()];
        TorchParameter[] theirs = [.. parameters.Select(p => new TorchParameter(p.detach().clone()))];
        using KernelOptimizer ours = pair.Ours(parameters);
        using TorchOptimizer torches = pair.Torches(theirs);
        float first = 0;
        float last = 0;
        for (int step = 1; step <= Steps; step++)
        {
            last = Digits.Backward(network, step);
            first = step == 1 ? last : first;
            Bounded[] p = Bound(Tensors.All(parameters));
            Bounded[] g = Bound(Tensors.All(parameters.Select(q => q.grad!)));
            Bounded[][] state = [.. pair.Reference.StateNames.Select(n => Bound(State(ours, parameters.Length, n)))];
            Follow(step, ours, torches, parameters, theirs);
            Assert.Null(ours.step());
            Assert.Null(torches.step());
            pair.Reference.Step(step, p, g, state);
            Agree($"{name}, step {step}, p", p, Tensors.All(parameters), Tensors.All(theirs));
        }

        Assert.True(last < first / 2, $"The loss fell from {first} to {last}.");
    }

    [TorchTheory]
    [InlineData(6, 5, 3, 3)]
    [InlineData(2, 3, 4, 40)]
    public void Adafactor_steps_the_kernels_of_a_convolution_as_PyTorch_does(long d, long c, long rows, long columns)
    {
        const double Decay = 0.1;
        long[] shape = [d, c, rows, columns];
        TorchParameter[] parameters = Tensors.Parameters([shape], seed: 3);
        using KernelOptimizer ours = KernelOptimizers.Create(
            parameters, new AdafactorOptions { LearningRate = Rate, WeightDecay = Decay });
        var reference = new AdafactorReference(Array.ConvertAll(shape, n => (int)n), Rate, weightDecay: Decay);
        for (int step = 1; step <= 5; step++)
        {
            Tensors.SetGradients(parameters, step);
            Bounded[] p = Bound(Tensors.All(parameters));
            Bounded[] g = Bound(Tensors.All(parameters.Select(q => q.grad!)));
            Bounded[][] state = [.. reference.StateNames.Select(n => Bound(State(ours, 1, n)))];
            double[] theirs = AdafactorStep(
                step, parameters[0], (KernelState)ours.state_dict().State[0], Decay);
            Assert.Null(ours.step());
            reference.Step(step, p, g, state);
            float[] got = Tensors.All(parameters);
            for (int i = 0; i < p.Length; i++)
            {
                Assert.True(p[i].Admits(got[i]), $"step {step} [{i}]: ours is {got[i]:R}, and must be {p[i]}.");
                Assert.True(
                    Math.Abs(theirs[i] - p[i].Value) <= p[i].Bound, $"step {step} [{i}]: PyTorch's is {theirs[i]:R}, ours {p[i]}.");
            }
        }
    }

    /// <summary>What torch.optim.Adafactor makes of a parameter, in binary64.</summary>
    private static double[] AdafactorStep(int step, TorchParameter parameter, KernelState state, double decay)
    {
        using DisposeScope scope = torch.NewDisposeScope();
        using IDisposable _ = torch.no_grad();
        torch.Tensor p = parameter.to(torch.ScalarType.Float64);
        torch.Tensor g = parameter.grad!.to(torch.ScalarType.Float64);
        double share = Math.Pow(step, -0.8);
        double least = Math.ScaleB(1, -23);
        double size = Math.Max(1e-3, p.square().mean().sqrt().item<double>());
        p = p * (1 - Rate * decay);
        torch.Tensor row = state["row_var"].to(torch.ScalarType.Float64);
        torch.Tensor column = state["col_var"].to(torch.ScalarType.Float64);
        row = row + share * (g.square().mean([-1], keepdim: true) - row);
        column = column + share * (g.square().mean([-2], keepdim: true) - column);
        torch.Tensor second = row.matmul(column) / row.mean([-2], keepdim: true).clamp(min: least);
        torch.Tensor update = second.clamp(min: least * least).rsqrt() * g;
        double clip = Math.Max(1, update.square().mean().sqrt().item<double>());
        p = p - size * Math.Min(Rate, 1 / Math.Sqrt(step)) / clip * update;
        return p.contiguous().data<double>().ToArray();
    }

    private static void Agree(string what, Bounded[] wanted, float[] ours, float[] theirs)
    {
        for (int i = 0; i < wanted.Length; i++)
        {
            Assert.True(wanted[i].Admits(ours[i]), $"{what}[{i}]: ours is {ours[i]:R}, and must be {wanted[i]}.");
            Assert.True(wanted[i].IsInDomain, $"{what}[{i}]: {wanted[i]} says nothing.");
            Assert.True(
                Math.Abs((double)ours[i] - theirs[i]) <= 2 * wanted[i].Bound,
                $"{what}[{i}]: ours is {ours[i]:R}, TorchSharp's {theirs[i]:R}; it must be {wanted[i]}.");
        }
    }

    /// <summary>Gives TorchSharp's optimizer what ours has: parameters, gradients and state.</summary>
    private static void Follow(
        int step, KernelOptimizer ours, TorchOptimizer torches, TorchParameter[] from, TorchParameter[] to)
    {
        using IDisposable _ = torch.no_grad();
        for (int i = 0; i < from.Length; i++)
        {
            to[i].copy_(from[i]);
            using torch.Tensor gradient = from[i].grad!.clone();
            to[i].grad = gradient;
            var state = (KernelState)ours.state_dict().State[i];
            foreach (string name in state.Names.Where(_ => step > 1))
            {
                object torchState = torches.state_dict().State[i];
                FieldInfo field = torchState.GetType().GetField(name)!;
                using torch.Tensor values = state[name];
                ((torch.Tensor)field.GetValue(torchState)!).copy_(values);
            }
        }
    }

    private static float[] State(KernelOptimizer optimizer, int parameters, string name) =>
        Tensors.All(Enumerable.Range(0, parameters).Select(i => ((KernelState)optimizer.state_dict().State[i])[name]));

    private static Bounded[] Bound(float[] values) => Array.ConvertAll(values, v => Bounded.FromDouble(v));

    private sealed record Pair(
        Func<IEnumerable<TorchParameter>, KernelOptimizer> Ours, Func<IEnumerable<TorchParameter>, TorchOptimizer> Torches,
        ElementwiseReference Reference);
}
