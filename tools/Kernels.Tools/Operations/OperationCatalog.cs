using Kernels.Optimizers;
using Kernels.Tools.Inspection;

namespace Kernels.Tools.Operations;

/// <summary>An entry point on the device.</summary>
/// <param name="Id">As in <c>optimizers/adam.step</c>.</param>
/// <param name="Type">The class it is in.</param>
/// <param name="Method">Its name there.</param>
internal sealed record KernelEntry(string Id, string Type, string Method);

/// <summary>Everything <c>kernels run</c> can do, and every kernel on the device.</summary>
internal static class OperationCatalog
{
    internal static IReadOnlyList<Operation> All { get; } =
    [
        new OptimizerOperation<SgdOptions>(
            "optimizers/sgd", "Stochastic gradient descent, with momentum, dampening and Nesterov's momentum.",
            StepCosts.Elementwise(4)),
        new OptimizerOperation<AdamOptions>(
            "optimizers/adam", "Adam, and AMSGrad (Kingma and Ba 2014).", StepCosts.Elementwise(14)),
        new OptimizerOperation<AdamWOptions>(
            "optimizers/adamw", "Adam with decoupled weight decay (Loshchilov and Hutter 2017).", StepCosts.Elementwise(14)),
        new OptimizerOperation<AdaGradOptions>(
            "optimizers/adagrad", "AdaGrad (Duchi, Hazan, Singer 2011).", StepCosts.Elementwise(6)),
        new OptimizerOperation<RmsPropOptions>(
            "optimizers/rmsprop", "RMSProp (Hinton 2012), with momentum and centering.", StepCosts.Elementwise(7)),
        new OptimizerOperation<LionOptions>("optimizers/lion", "Lion (Chen et al. 2023).", StepCosts.Elementwise(10)),
        new OptimizerOperation<AdaBeliefOptions>(
            "optimizers/adabelief", "AdaBelief (Zhuang et al. 2020).", StepCosts.Elementwise(16)),
        new OptimizerOperation<DiffGradOptions>(
            "optimizers/diffgrad", "diffGrad (Dubey et al. 2019).", StepCosts.Elementwise(20)),
        new OptimizerOperation<AdaGradNormOptions>(
            "optimizers/adagradnorm", "AdaGradNorm: one rate from the norms of all gradients (Ward, Wu, Bottou 2019).",
            StepCosts.Tensors(2, 1, 5)),
        new OptimizerOperation<LambOptions>(
            "optimizers/lamb", "LAMB (You et al. 2020).", StepCosts.Tensors(4, 3, 18),
            "The trust ratio is of the whole, whatever the shape."),
        new OptimizerOperation<AdafactorOptions>(
            "optimizers/adafactor", "Adafactor (Shazeer and Stern 2018), as in PyTorch.", StepCosts.Adafactor,
            "A matrix keeps second moments of its rows and columns, a vector of its elements; of more than two dimensions the "
            + "last two are those of matrices."),
        new MatrixOptimizerOperation<DctAdamWOptions>(
            "optimizers/dctadamw", "AdamW in the cosines that carry most of a gradient (Modoranu et al. 2025).",
            StepCosts.DctAdamW),
        new MatrixOptimizerOperation<TrionOptions>(
            "optimizers/trion", "Momentum in the cosines that carry most of it, orthogonal (Modoranu et al. 2025).",
            StepCosts.Trion),
        new MatrixOptimizerOperation<MuonOptions>(
            "optimizers/muon", "Orthogonal momentum (Jordan et al. 2024).", StepCosts.Muon),
        new GradientNormOperation(),
        new BatchTestOperation(),
        new MatMulOperation(),
        new ActivationOperation(),
        new ColumnSumOperation(),
        new SoftmaxCrossEntropyOperation(),
        new PredictionOperation(),
        new NearestOperation(),
        new QuantizeOperation(),
        new SegmentSumOperation(),
        new EmaOperation(),
        new RotateOperation(),
        new SoftmaxCodesOperation(),
        new BridgeOperation(),
        new SimVqOperation(),
        new LayerNormOperation(),
        new AttentionOperation(),
        new TransformOperation(),
        new SelectOperation(),
        new BackProjectOperation(),
        new RemapOperation(),
        new ProximalOperation(),
        new CodebookAssignOperation(),
        new CodebookPackOperation(),
        new CodebookUnpackOperation(),
        new CodebookDequantizeOperation(),
        new CodebookMatMulOperation(),
        new CodebookFitOperation(),
        new CodebookGroupOperation(),
        new CodebookNf4Operation(),
    ];

    /// <summary>The operation of that name.</summary>
    /// <exception cref="BadInputException">There is none; the message lists those there are.</exception>
    internal static Operation Find(string name) =>
        All.FirstOrDefault(o => string.Equals(o.Name, name, StringComparison.Ordinal))
        ?? throw new BadInputException(
            $"There is no operation '{name}'. There is: {string.Join(", ", All.Select(o => o.Name))}.");

    /// <summary>The entry points of the device code.</summary>
    internal static IReadOnlyList<KernelEntry> Kernels() =>
    [
        .. DeviceKernels.Ids.Select(id => (Id: id, Method: DeviceKernels.MethodOf(id)))
            .Select(entry => new KernelEntry(
                entry.Id, entry.Method.DeclaringType!.Name.Split('`')[0], entry.Method.Name)),
    ];
}
