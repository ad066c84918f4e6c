using global::TorchSharp;
using Kernels.Optimizers;
using Kernels.TorchSharp.Optimizers;
using Kernels.TorchSharp.Tests.Support;
using TorchParameter = global::TorchSharp.Modules.Parameter;

namespace Kernels.TorchSharp.Tests.Optimizers;

/// <summary>Tensors that the kernels cannot work on: an exception says why, and nothing is written.</summary>
public sealed class BadTensorTests
{
    [TorchFact]
    public void Parameters_that_do_not_fit_are_refused()
    {
        Refuse<ArgumentException>(new TorchParameter(torch.zeros(4, torch.ScalarType.Float64)), "Float32, Float16 or BFloat16");
        Refuse<ArgumentException>(new TorchParameter(torch.zeros(4, 6).t()), "contiguous");
        Refuse<ArgumentException>(new TorchParameter(torch.zeros(4, device: torch.META)), "CPU");
        var freed = new TorchParameter(torch.zeros(4));
        freed.Dispose();
        Refuse<ObjectDisposedException>(freed, "disposed");

        static void Refuse<T>(TorchParameter parameter, string why)
            where T : Exception
        {
            T thrown = Assert.Throws<T>(() => KernelOptimizers.AdamW([new TorchParameter(torch.zeros(3)), parameter]));
            Assert.Contains(why, thrown.Message, StringComparison.Ordinal);
            Assert.Contains("Parameter 1 of group 0", thrown.Message, StringComparison.Ordinal);
        }
    }

    [TorchFact]
    public void A_parameter_belongs_to_one_group_and_a_group_to_the_algorithm()
    {
        var parameter = new TorchParameter(torch.zeros(3));
        Assert.Throws<ArgumentException>(() => KernelOptimizers.AdamW([parameter, parameter]));
        using KernelOptimizer optimizer = KernelOptimizers.AdamW([parameter]);
        Assert.Throws<ArgumentException>(() => optimizer.add_param_group(new KernelParamGroup([parameter])));
        Assert.Throws<ArgumentException>(() => optimizer.add_param_group(
            new KernelParamGroup([new TorchParameter(torch.zeros(3))], new LionOptions())));
        Assert.Throws<ArgumentException>(() => optimizer.add_param_group(
            new global::TorchSharp.Modules.SGD.ParamGroup([new TorchParameter(torch.zeros(3))])));
        Assert.Throws<ArgumentNullException>(() => optimizer.add_param_group(null!));
        Assert.Throws<ArgumentNullException>(() => KernelOptimizers.AdamW(null!));
        Assert.Throws<ArgumentOutOfRangeException>(() => KernelOptimizers.AdamW([new TorchParameter(torch.zeros(3))], lr: -1));
        Assert.Single(optimizer.ParamGroups);
        optimizer.step();
    }

    [TorchFact]
    public void Gradients_that_do_not_fit_are_refused()
    {
        Refuse(torch.zeros(4, 6, torch.ScalarType.Float64), "Float32, Float16 or BFloat16");
        Refuse(torch.zeros(4, 6, torch.ScalarType.Int32), "Float32, Float16 or BFloat16");
        Refuse(torch.zeros(6, 4).t(), "contiguous");
        Refuse(torch.zeros(4, 1).expand(4, 6), "contiguous");
        Refuse(torch.zeros(4, 5), "24 elements");
        Refuse(torch.zeros(4, 6).to_sparse(), "dense");
        Refuse(torch.zeros(4, 6, device: torch.META), "CPU");

        static void Refuse(torch.Tensor gradient, string why) => Leave<ArgumentException>(p => p.grad = gradient, why);
    }

    [TorchFact]
    public void A_parameter_that_is_freed_is_refused() => Leave<ObjectDisposedException>(p => p.Dispose(), "disposed");

    [TorchFact]
    public void Options_that_do_not_fit_are_refused()
    {
        TorchParameter[] parameters = Tensors.Parameters([[300], [4, 6]], 1);
        Tensors.SetGradients(parameters, 1);
        using KernelOptimizer optimizer = KernelOptimizers.SGD(parameters, 0.1);
        var options = ((KernelParamGroup)optimizer.ParamGroups.First()).Options;
        float[] before = Tensors.All(parameters);
        options.LearningRate = double.NaN;
        Assert.Throws<ArgumentOutOfRangeException>(() => optimizer.step());
        options.LearningRate = 0.1;
        options.Algorithm = new SgdOptions { Momentum = 0.9 };
        Assert.Throws<ArgumentException>(() => optimizer.step());
        Assert.Throws<ArgumentException>(() => options.Algorithm = new LionOptions());
        Assert.Equal(before, Tensors.All(parameters));
        options.Algorithm = new SgdOptions { LearningRate = 0.1 };
        optimizer.step();
        Assert.NotEqual(before, Tensors.All(parameters));
    }

    /// <summary>Spoils the last parameter of two groups: a step throws, and no parameter and no state is changed.</summary>
    private static void Leave<T>(Action<TorchParameter> spoil, string why)
        where T : Exception
    {
        TorchParameter[] parameters = Tensors.Parameters([[300], [20, 30], [4, 6]], 1);
        using KernelOptimizer optimizer = KernelOptimizers.CreateGroups(
            [new KernelParamGroup(parameters[..1]), new KernelParamGroup(parameters[1..])], new AdamWOptions());
        KernelState[] states = [.. optimizer.state_dict().State.Cast<KernelState>()];
        Tensors.SetGradients(parameters, 1);
        optimizer.step();
        Tensors.SetGradients(parameters, 2);
        float[] before = Numbers();
        spoil(parameters[2]);
        T thrown = Assert.Throws<T>(() => optimizer.step());
        Assert.Contains(why, thrown.Message, StringComparison.Ordinal);
        Assert.Contains("parameter 1 of group 1", thrown.Message, StringComparison.OrdinalIgnoreCase);
        Assert.Equal(before, Numbers());
        if (!parameters[2].IsInvalid)
        {
            // A good gradient, and the step is taken as if nothing had been.
            Tensors.SetGradients(parameters, 3);
            optimizer.step();
            Assert.NotEqual(before, Numbers());
        }

        float[] Numbers() =>
        [
            .. Tensors.All(parameters[..2]),
            .. states.SelectMany(s => s.Names.SelectMany(n => Tensors.Values(s[n]))),
            .. states.Select(s => (float)s.Steps),
        ];
    }
}
