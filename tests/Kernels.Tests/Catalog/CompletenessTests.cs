using System.Reflection;
using System.Text.RegularExpressions;
using FsCheck.Xunit;
using Kernels.DeviceCode.Linear;
using Kernels.DeviceCode.Optimizers;
using Kernels.DeviceCode.Reductions;
using Kernels.DeviceCode.VectorQuantization;
using Kernels.References;
using Kernels.References.Dct;
using Kernels.References.Linear;
using Kernels.References.Optimizers;
using Kernels.References.Quantization;
using Kernels.References.VectorQuantization;
using Kernels.Tests.Dct;
using Kernels.Tests.Linear;
using Kernels.Tests.Optimizers;
using Kernels.Tests.Quantization;
using Kernels.Tests.Support;
using Kernels.Tests.VectorQuantization;
using Kernels.Tools.Inspection;

namespace Kernels.Tests.Catalog;

/// <summary>Whatever runs on a device has an oracle, properties and a benchmark: the table below says which.</summary>
/// <remarks>
/// A kernel is named by the stem of its id, family/stem. A walk takes its mathematics as a type argument, so each
/// struct that a walk can take is named too, without the type arguments that it has itself. A name that ends in * stands
/// for all that begin so. A new kernel fails here until it has its line.
/// </remarks>
public sealed partial class CompletenessTests
{
    private static readonly Algorithm[] s_algorithms =
    [
        new("linear/activation", typeof(ActivationReference), typeof(ActivationProperties), "Linear/LayerBenchmarks.Gelu"),
        new(
            "linear/attention", typeof(AttentionReference), typeof(AttentionProperties),
            "VectorQuantization/BridgeBenchmarks.AttentionBoth"),
        new(
            "linear/layernorm", typeof(LayerNormReference), typeof(LayerNormProperties), "Linear/LayerBenchmarks.LayerNormBoth"),
        new("linear/columnsum", typeof(MatMulReference), typeof(ColumnSumProperties), "Linear/LayerBenchmarks.ColumnSums"),
        new("linear/matmul", typeof(MatMulReference), typeof(MatMulProperties), "Linear/MatMulBenchmarks.Product"),
        new("linear/prediction", typeof(PredictionReference), typeof(PredictionProperties), "Linear/LayerBenchmarks.Accuracy"),
        new(
            "linear/softmaxcrossentropy", typeof(SoftmaxCrossEntropyReference), typeof(SoftmaxCrossEntropyProperties),
            "Linear/LayerBenchmarks.CrossEntropy"),
        new("Identity", typeof(MatMulReference), typeof(MatMulProperties), "Linear/MatMulBenchmarks.Product"),
        new("Relu", typeof(ActivationReference), typeof(ActivationProperties), "Linear/LayerBenchmarks.Relu"),
        new("Gelu", typeof(ActivationReference), typeof(ActivationProperties), "Linear/LayerBenchmarks.GeluBack"),

        new(
            "optimizers/update", typeof(ElementwiseReference), typeof(ElementwiseProperties),
            "Optimizers/OptimizerStepBenchmarks.Probe28"),
        Elementwise<SgdReference>("Sgd*", "SgdMomentum"),
        Elementwise<AdamReference>("AdamRule", "AdamW"),
        Elementwise<AdamReference>("AmsGradRule", "AmsGrad"),
        Elementwise<AdaGradReference>("AdaGradRule", "AdaGrad"),
        Elementwise<RmsPropReference>("RmsProp*", "RmsProp"),
        Elementwise<LionReference>("LionRule", "Lion"),
        Elementwise<AdaBeliefReference>("AdaBelief*", "AdaBelief"),
        Elementwise<DiffGradReference>("DiffGradRule", "DiffGrad"),
        new(
            "optimizers/eightbit", typeof(EightBitAdamReference), typeof(EightBitAdamProperties),
            "Optimizers/WholeTensorBenchmarks.EightBitAdamW"),
        new(
            "AdaGradNorm*", typeof(AdaGradNormReference), typeof(AdaGradNormProperties),
            "Optimizers/WholeTensorBenchmarks.AdaGradNorm"),
        new("Lamb*", typeof(LambReference), typeof(LambProperties), "Optimizers/WholeTensorBenchmarks.Lamb"),
        new(
            "Adafactor*", typeof(AdafactorReference), typeof(AdafactorProperties),
            "Optimizers/WholeTensorBenchmarks.AdafactorMatrix"),
        new(
            "FactoredMoments", typeof(AdafactorReference), typeof(AdafactorProperties),
            "Optimizers/WholeTensorBenchmarks.AdafactorMatrix"),
        new(
            "NarrowMoments", typeof(AdafactorReference), typeof(AdafactorProperties),
            "Optimizers/WholeTensorBenchmarks.AdafactorMatrix"),
        new(
            "WholeMoments", typeof(AdafactorReference), typeof(AdafactorProperties),
            "Optimizers/WholeTensorBenchmarks.AdafactorMatrix"),
        new("Batch*", typeof(BatchTestReference), typeof(BatchTestProperties), "Optimizers/BatchTestBenchmarks.Augmented"),
        new(
            "NoExtras", typeof(ElementwiseReference), typeof(ElementwiseProperties),
            "Optimizers/OptimizerStepBenchmarks.AdamW"),
        new(
            "Controlled", typeof(GradientNormReference), typeof(UpdateExtrasTests),
            "Optimizers/GuardBenchmarks.UnscaleClipAndSkip"),
        new("Averaged", typeof(AveragingReference), typeof(UpdateExtrasTests), "Optimizers/StorageBenchmarks.MasterWithBF16"),
        new("Copied", typeof(NarrowingReference), typeof(UpdateExtrasTests), "Optimizers/StorageBenchmarks.MasterWithBF16"),

        new(
            "reductions/walks", typeof(GradientNormReference), typeof(GradientNormProperties),
            "Reductions/GradientNormBenchmarks.OneTensor"),
        new(
            "reductions/sumofsquares", typeof(GradientNormReference), typeof(GradientNormProperties),
            "Reductions/GradientNormBenchmarks.OneTensor"),
        new("Piece*", typeof(LambReference), typeof(LambProperties), "Optimizers/WholeTensorBenchmarks.Lamb"),
        Norm("Strip*", "OneTensor"),
        Norm("Tile*", "OneTensor"),
        Norm("Fold*", "ManyTensors"),
        Norm("NormWork", "OneTensor"),
        Norm("ControlWork", "ControlAndScale"),
        Norm("ScaledControlWork", "ControlAndScale"),
        new(
            "ScaleWork", typeof(GradientNormReference), typeof(LossScalerProperties),
            "Reductions/GradientNormBenchmarks.ControlAndScale"),
        new("StridedSum", typeof(BatchTestReference), typeof(BatchTestProperties), "Optimizers/BatchTestBenchmarks.Norm"),
        Norm("StoredSource", "OneTensor"),
        new(
            "GradientSource", typeof(AdaGradNormReference), typeof(AdaGradNormProperties),
            "Optimizers/WholeTensorBenchmarks.AdaGradNorm"),
        new(
            "CoupledSource", typeof(AdaGradNormReference), typeof(AdaGradNormProperties),
            "Optimizers/WholeTensorBenchmarks.AdaGradNorm"),

        new("NewtonSchulz*", typeof(NewtonSchulzReference), typeof(NewtonSchulzProperties), "Dct/DctStepBenchmarks.Muon"),

        Nearest("vq/nearest"),
        Nearest("Nearest*"),
        Nearest("CodeTermWork"),
        Nearest("SquaredL2"),
        Nearest("NegativeDot"),
        Nearest("OneMinusCosine"),
        new(
            "TopList*", typeof(NearestReference), typeof(NearestTopProperties), "VectorQuantization/NearestBenchmarks.Top10"),
        Certified("CodeLimitWork"),
        Certified("CertifyOpenWork"),
        Quantize("vq/quantize"),
        Quantize("Quantize*"),

        Learn("vq/segmentsort", typeof(SegmentSumReference), typeof(SegmentSumProperties), "SegmentSum"),
        Learn("Segment*", typeof(SegmentSumReference), typeof(SegmentSumProperties), "SegmentSum"),
        Learn("Ema*", typeof(EmaReference), typeof(EmaProperties), "EmaUpdate"),
        Learn("Restart*", typeof(RestartReference), typeof(RestartProperties), "RestartDead"),
        Learn("Usage*", typeof(UsageReference), typeof(UsageProperties), "UsageAndPerplexity"),
        Learn("KMeans*", typeof(KMeansReference), typeof(KMeansProperties), "KMeansStep"),
        new(
            "InterleaveWork", typeof(NearestReference), typeof(ResidualCodebookProperties),
            "VectorQuantization/ResidualBenchmarks.Encode"),
        new("vq/rotate", typeof(RotateReference), typeof(RotateProperties), "VectorQuantization/RotateBenchmarks.Backward"),
        new(
            "vq/softmaxcodes", typeof(SoftmaxCodesReference), typeof(SoftmaxCodesProperties),
            "VectorQuantization/SoftmaxCodesBenchmarks.Backward"),

        Quantization("quantization/mapping", typeof(MappingReference), typeof(MappingProperties), "MappingBenchmarks.Proximal"),
        Quantization("Mapping*", typeof(MappingReference), typeof(MappingProperties), "MappingBenchmarks.Proximal"),
        Quantization("LatentWork", typeof(LatentReference), typeof(LatentProperties), "MappingBenchmarks.LatentNumbers"),
        Quantization(
            "quantization/codebookgradient", typeof(CodebookGradientReference), typeof(CodebookGradientProperties),
            "CodebookGradientBenchmarks.Backward"),
        Quantization(
            "CodebookScaleWork", typeof(CodebookGradientReference), typeof(CodebookGradientProperties),
            "CodebookGradientBenchmarks.Backward"),
        Quantization(
            "CodebookDotWork", typeof(CodebookGradientReference), typeof(CodebookGradientProperties),
            "CodebookGradientBenchmarks.Backward"),
        Quantization(
            "CodebookFoldWork", typeof(CodebookGradientReference), typeof(CodebookGradientProperties),
            "CodebookGradientBenchmarks.Backward"),
        Quantization(
            "CodebookQuotientWork", typeof(CodebookFitReference), typeof(CodebookGradientProperties),
            "CodebookGradientBenchmarks.Fit"),
        Quantization(
            "Reconstruction*", typeof(ReconstructionReference), typeof(ReconstructionProperties),
            "ReconstructionBenchmarks.Objective"),
        Quantization(
            "JointDescentWork", typeof(ReconstructionReference), typeof(JointQuantizerProperties),
            "JointQuantizerBenchmarks.Rounds"),
        Quantization(
            "JointNearestWork", typeof(AssignReference), typeof(JointQuantizerProperties), "JointQuantizerBenchmarks.Rounds"),
        Joint("JointValueWork"),
        Joint("JointStartWork"),
        Joint("JointClampWork"),
        Joint("JointAscendWork"),

        new("dct/transform", typeof(TransformReference), typeof(TransformProperties), "Dct/DctBenchmarks.Rows"),
        new("dct/select", typeof(SelectReference), typeof(SelectProperties), "Dct/DctSelectBenchmarks.Select"),
        new("GatherWork", typeof(SelectReference), typeof(SelectProperties), "Dct/DctSelectBenchmarks.Select"),
        new("dct/errorblock", typeof(ErrorBlockReference), typeof(DctAdamWProperties), "Dct/DctStepBenchmarks.DctAdamWFeedback"),
        new("ErrorDecode", typeof(ErrorBlockReference), typeof(DctAdamWProperties), "Dct/DctStepBenchmarks.DctAdamWFeedback"),
        new("AccumulateWork", typeof(TrionReference), typeof(TrionProperties), "Dct/DctStepBenchmarks.Trion"),
        new("FillZeros", typeof(DctAdamWReference), typeof(DctAdamWProperties), "Dct/DctStepBenchmarks.DctAdamW"),
        new("ScaledControl", typeof(DctAdamWReference), typeof(DctAdamWProperties), "Dct/DctStepBenchmarks.DctAdamW"),
        new("Commit*", typeof(DctAdamWReference), typeof(DctAdamWProperties), "Dct/DctStepBenchmarks.DctAdamWFeedback"),
        new("Remap*", typeof(RemapReference), typeof(RemapProperties), "Dct/DctRemapBenchmarks.Remap"),

        Quantization("Pack*", typeof(PackReference), typeof(PackProperties), "PackedBenchmarks.Packing"),
        Quantization("quantization/unpack", typeof(PackReference), typeof(PackProperties), "PackedBenchmarks.Unpacking"),
        Quantization("Unpack*", typeof(PackReference), typeof(PackProperties), "PackedBenchmarks.Unpacking"),
        Quantization(
            "quantization/dequantize", typeof(DequantizeReference), typeof(DequantizeProperties),
            "PackedBenchmarks.Dequantizing"),
        Quantization(
            "quantization/product", typeof(QuantizedProductReference), typeof(QuantizedProductProperties),
            "ProductBenchmarks.Vector"),
        Quantization(
            "quantization/partialsums", typeof(QuantizedProductReference), typeof(QuantizedProductProperties),
            "VectorProductBenchmarks.Vector"),
        Quantization(
            "PartialSumWork", typeof(QuantizedProductReference), typeof(QuantizedProductProperties),
            "VectorProductBenchmarks.Vector"),
        Quantization(
            "ProductEndWork", typeof(QuantizedProductReference), typeof(QuantizedProductProperties),
            "ProductBenchmarks.SixtyFour"),
        new("AssignLimitWork", typeof(AssignReference), typeof(AssignProperties), "Quantization/AssignBenchmarks.Assigning"),
        new("AssignSixteenWork", typeof(AssignReference), typeof(AssignProperties), "Quantization/AssignBenchmarks.Assigning"),
        new("AssignFourWork", typeof(AssignReference), typeof(AssignProperties), "Quantization/AssignBenchmarks.InBlocks"),
        new("AssignVector*", typeof(AssignReference), typeof(AssignProperties), "Quantization/AssignBenchmarks.Pairs"),
        new(
            "AbsMax*", typeof(BlockAbsMaxReference), typeof(AbsMaxProperties),
            "Quantization/CodebookFitBenchmarks.LargestOfBlocks"),
        new(
            "DoubleQuantization*", typeof(DoubleQuantizationReference), typeof(DoubleQuantizationProperties),
            "Quantization/CodebookFitBenchmarks.ScalesInBytes"),
        new(
            "NormalWeightsWork", typeof(CodebookFitReference), typeof(ScaledFitProperties),
            "Quantization/CodebookFitBenchmarks.LloydOfBlocks"),
        new(
            "VectorFit*", typeof(CodebookFitReference), typeof(ScaledFitProperties),
            "Quantization/CodebookFitBenchmarks.LloydOfFours"),
        new(
            "CodebookFit*", typeof(CodebookFitReference), typeof(CodebookFitProperties),
            "Quantization/CodebookFitBenchmarks.Lloyd"),
        new(
            "Permute*", typeof(GroupReference), typeof(RowGroupingProperties),
            "Quantization/RowGroupingBenchmarks.PermuteRows"),
    ];

    // What walks and kernels take as their mathematics; storages and accesses move bits and are in StorageTests.
    private static readonly Type[] s_mathematics =
    [
        typeof(IUpdateRule), typeof(IExtras), typeof(IItemWork), typeof(IBlockWork), typeof(ITableWork),
        typeof(ISquareSource),
        typeof(IActivation), typeof(ICodeMetric), typeof(ISegmentEnd), typeof(IPiecePass), typeof(IPieceUpdate),
        typeof(ISecondMoments), typeof(IAdafactorPass),
    ];

    private static readonly string[] s_names =
    [
        .. DeviceKernels.Ids.Select(id => id[..id.IndexOf('.', StringComparison.Ordinal)])
            .Concat(typeof(IUpdateRule).Assembly.GetTypes()
                .Where(t => t.IsValueType && s_mathematics.Any(m => m.IsAssignableFrom(t)))
                .Select(t => t.Name.Split('`')[0]))
            .Distinct(StringComparer.Ordinal)
            .Order(StringComparer.Ordinal),
    ];

    public static TheoryData<string> Names() => [.. s_names];

    [Theory]
    [MemberData(nameof(Names))]
    public void Has_an_oracle_properties_and_a_benchmark(string name)
    {
        Algorithm[] lines = [.. s_algorithms.Where(a => a.Covers(name))];
        Assert.True(lines.Length == 1, $"{name} must have one line in the table, and has {lines.Length}.");
        Algorithm algorithm = lines[0];

        Assert.True(algorithm.Oracle.IsPublic && algorithm.Oracle.Assembly == typeof(Bounded).Assembly);
        Assert.Contains(algorithm.Properties.GetMethods(), m =>
            m.GetCustomAttribute<FactAttribute>() is not null || m.GetCustomAttribute<PropertyAttribute>() is not null);
        (string file, string method) = algorithm.BenchmarkSource();
        Assert.True(File.Exists(file), $"{name} has no benchmark: {file} does not exist.");
        Assert.Contains(
            BenchmarkMethods().Matches(File.ReadAllText(file)),
            match => string.Equals(match.Groups["name"].Value, method, StringComparison.Ordinal));
    }

    [Fact]
    public void Every_line_of_the_table_is_needed() =>
        Assert.All(s_algorithms, a => Assert.True(s_names.Any(a.Covers), $"There is no {a.Name}."));

    private static Algorithm Elementwise<TReference>(string name, string benchmark) => new(
        name, typeof(TReference), typeof(ElementwiseProperties), $"Optimizers/OptimizerStepBenchmarks.{benchmark}");

    private static Algorithm Certified(string name) => new(
        name, typeof(NearestReference), typeof(NearestCertifyProperties), "VectorQuantization/NearestBenchmarks.Certified");

    private static Algorithm Nearest(string name) => new(
        name, typeof(NearestReference), typeof(NearestProperties), "VectorQuantization/NearestBenchmarks.Nearest");

    private static Algorithm Learn(string name, Type oracle, Type properties, string benchmark) => new(
        name, oracle, properties, $"VectorQuantization/LearnBenchmarks.{benchmark}");

    private static Algorithm Quantize(string name) => new(
        name, typeof(QuantizeReference), typeof(QuantizeProperties), "VectorQuantization/QuantizeBenchmarks.Quantizing");

    private static Algorithm Quantization(string name, Type oracle, Type properties, string benchmark) => new(
        name, oracle, properties, $"Quantization/{benchmark}");

    private static Algorithm Joint(string name) => Quantization(
        name, typeof(ReconstructionReference), typeof(JointQuantizerProperties), "JointQuantizerBenchmarks.Steps");

    private static Algorithm Norm(string name, string benchmark) => new(
        name, typeof(GradientNormReference), typeof(GradientNormProperties),
        $"Reductions/GradientNormBenchmarks.{benchmark}");

    [GeneratedRegex(@"^    \[Benchmark.*\r?\n(?:    \[.*\r?\n)*    public void (?<name>\w+)\(\)", RegexOptions.Multiline)]
    private static partial Regex BenchmarkMethods();

    private sealed record Algorithm(string Name, Type Oracle, Type Properties, string Benchmark)
    {
        internal bool Covers(string name) => Name.EndsWith('*')
            ? name.StartsWith(Name[..^1], StringComparison.Ordinal)
            : string.Equals(name, Name, StringComparison.Ordinal);

        internal (string File, string Method) BenchmarkSource()
        {
            string[] parts = Benchmark.Split('.');
            return (Path.Combine(Repository.Root, "perf", "Kernels.Perf", parts[0] + ".cs"), parts[1]);
        }
    }
}
