namespace Kernels.Mutation;

/// <summary>The files that are mutated, and what must see it.</summary>
internal static class MutatedFiles
{
    /// <summary>The folder of the kernels.</summary>
    internal const string Kernels = "kernels";

    /// <summary>The folder of the references.</summary>
    internal const string References = "src/Kernels.References";

    private static readonly string[] s_adam = ["optimizers/adam", "optimizers/adamw"];

    private static readonly string[] s_ofOptimizers =
        ["OptimizerReferenceTests", "OptimizerBoundTests", "GoldenVectorTests"];

    /// <summary>By file. References without operations are judged by their tests alone, which is sooner.</summary>
    internal static IReadOnlyDictionary<string, Judges> All { get; } = new SortedDictionary<string, Judges>(
        StringComparer.Ordinal)
    {
        [$"{Kernels}/Optimizers/AdaBelief.cs"] = new(["optimizers/adabelief"], "ElementwiseProperties"),
        [$"{Kernels}/Optimizers/AdaGrad.cs"] = new(["optimizers/adagrad"], "ElementwiseProperties"),
        [$"{Kernels}/Optimizers/AdaGradNorm.cs"] = new(
            ["optimizers/adagradnorm"], "AdaGradNormProperties", "WholeTensorExtrasTests"),
        [$"{Kernels}/Optimizers/Adafactor.cs"] = new(
            ["optimizers/adafactor"], "AdafactorProperties", "WholeTensorExtrasTests"),
        [$"{Kernels}/Optimizers/AdafactorColumns.cs"] = new(["optimizers/adafactor"], "AdafactorProperties"),
        [$"{Kernels}/Optimizers/AdafactorPiece.cs"] = new(["optimizers/adafactor"], "AdafactorProperties"),
        [$"{Kernels}/Optimizers/Adam.cs"] = new(s_adam, "ElementwiseProperties"),
        [$"{Kernels}/Optimizers/BatchTest.cs"] = new(["optimizers/batchtest"], "BatchTestProperties"),
        [$"{Kernels}/Optimizers/Decay.cs"] = new(["optimizers/sgd", "optimizers/adagradnorm", .. s_adam]),
        [$"{Kernels}/Optimizers/DiffGrad.cs"] = new(["optimizers/diffgrad"], "ElementwiseProperties"),
        [$"{Kernels}/Optimizers/Lamb.cs"] = new(
            ["optimizers/lamb", "optimizers/adafactor"], "LambProperties", "WholeTensorExtrasTests"),
        [$"{Kernels}/Optimizers/Lion.cs"] = new(["optimizers/lion"], "ElementwiseProperties"),
        [$"{Kernels}/Optimizers/RmsProp.cs"] = new(["optimizers/rmsprop"], "ElementwiseProperties"),
        [$"{Kernels}/Optimizers/Sgd.cs"] = new(["optimizers/sgd"], "ElementwiseProperties"),
        [$"{Kernels}/Linear/Activations.cs"] = new(["linear/activation", "linear/matmul"], "ActivationProperties"),
        [$"{Kernels}/Linear/LayerNorm.cs"] = new(["linear/layernorm"], "LayerNormProperties"),
        [$"{Kernels}/Linear/SoftmaxCrossEntropy.cs"] = new(
            ["linear/softmaxcrossentropy"], "SoftmaxCrossEntropyProperties"),
        [$"{Kernels}/Quantization/Mapping.cs"] = new(["codebook/nf4", "codebook/proximal"], "MappingProperties"),
        [$"{Kernels}/VectorQuantization/Ema.cs"] = new(["vq/ema"], "EmaProperties"),
        [$"{Kernels}/VectorQuantization/Quantize.cs"] = new(["vq/quantize"], "QuantizeProperties"),
        [$"{Kernels}/VectorQuantization/Rotate.cs"] = new(["vq/rotate"], "RotateProperties"),
        [$"{References}/Bounded.cs"] = new([], "BoundedTests", "NumberReferenceTests"),
        [$"{References}/NarrowingReference.cs"] = new([], "NumberReferenceTests"),
        [$"{References}/PhiloxReference.cs"] = new([], "NumberReferenceTests"),
        [$"{References}/Dct/BoundedMatrix.cs"] = new(
            [], "BoundedTransformTests", "NewtonSchulzReferenceTests", "TrionReferenceTests"),
        [$"{References}/Dct/ColumnProjection.cs"] = new([], "TrionReferenceTests", "DctAdamWReferenceTests"),
        [$"{References}/Dct/DctAdamWReference.cs"] = new([], "DctAdamWReferenceTests"),
        [$"{References}/Dct/ErrorBlockReference.cs"] = new([], "ErrorBlockReferenceTests"),
        [$"{References}/Dct/GaLoreReference.cs"] = new([], "SvdProjectionReferenceTests"),
        [$"{References}/Dct/LdAdamWReference.cs"] = new([], "SvdProjectionReferenceTests"),
        [$"{References}/Dct/MuonReference.cs"] = new([], "NewtonSchulzReferenceTests"),
        [$"{References}/Dct/NewtonSchulzReference.cs"] = new([], "NewtonSchulzReferenceTests"),
        [$"{References}/Dct/RemapReference.cs"] = new([], "SelectReferenceTests", "BoundedTransformTests"),
        [$"{References}/Dct/SelectReference.cs"] = new([], "SelectReferenceTests", "BoundedTransformTests"),
        [$"{References}/Dct/SvdProjectionReference.cs"] = new([], "SvdProjectionReferenceTests"),
        [$"{References}/Dct/TransformReference.cs"] = new([], "TransformReferenceTests", "BoundedTransformTests"),
        [$"{References}/Dct/TrionReference.cs"] = new([], "TrionReferenceTests"),
        [$"{References}/Linear/ActivationReference.cs"] = new(
            ["linear/activation", "linear/matmul"], "ActivationReferenceTests", "ActivationProperties"),
        [$"{References}/Linear/AttentionReference.cs"] = new([], "LinearReferenceTests"),
        [$"{References}/Linear/LayerNormReference.cs"] = new(["linear/layernorm"], "LayerNormProperties"),
        [$"{References}/Linear/MatMulReference.cs"] = new([], "LinearReferenceTests"),
        [$"{References}/Linear/PredictionReference.cs"] = new([], "LinearReferenceTests"),
        [$"{References}/Linear/SoftmaxCrossEntropyReference.cs"] = new(
            ["linear/softmaxcrossentropy"], "SoftmaxCrossEntropyReferenceTests", "SoftmaxCrossEntropyProperties"),
        [$"{References}/Optimizers/AdaBeliefReference.cs"] = new(["optimizers/adabelief"], s_ofOptimizers),
        [$"{References}/Optimizers/AdaGradNormReference.cs"] = new(["optimizers/adagradnorm"], s_ofOptimizers),
        [$"{References}/Optimizers/AdaGradReference.cs"] = new(["optimizers/adagrad"], s_ofOptimizers),
        [$"{References}/Optimizers/AdafactorReference.cs"] = new(["optimizers/adafactor"], s_ofOptimizers),
        [$"{References}/Optimizers/AdamReference.cs"] = new(s_adam, s_ofOptimizers),
        [$"{References}/Optimizers/AveragingReference.cs"] = new([], "NumberReferenceTests"),
        [$"{References}/Optimizers/BatchTestReference.cs"] = new(["optimizers/batchtest"], "BatchTestReferenceTests"),
        [$"{References}/Optimizers/DiffGradReference.cs"] = new(["optimizers/diffgrad"], s_ofOptimizers),
        [$"{References}/Optimizers/EightBitAdamReference.cs"] = new(
            [], "EightBitAdamReferenceTests", "EightBitMapTests"),
        [$"{References}/Optimizers/ElementwiseReference.cs"] = new([], "OptimizerReferenceTests"),
        [$"{References}/Optimizers/GradientNormReference.cs"] = new([], "NumberReferenceTests"),
        [$"{References}/Optimizers/LambReference.cs"] = new(["optimizers/lamb"], s_ofOptimizers),
        [$"{References}/Optimizers/LionReference.cs"] = new(["optimizers/lion"], s_ofOptimizers),
        [$"{References}/Optimizers/OptimizerReference.cs"] = new(
            ["optimizers/sgd", "optimizers/lion", .. s_adam], s_ofOptimizers),
        [$"{References}/Optimizers/RmsPropReference.cs"] = new(["optimizers/rmsprop"], s_ofOptimizers),
        [$"{References}/Optimizers/SgdReference.cs"] = new(["optimizers/sgd"], s_ofOptimizers),
        [$"{References}/Quantization/AssignReference.cs"] = new([], "AssignReferenceTests"),
        [$"{References}/Quantization/BlockAbsMaxReference.cs"] = new([], "BlockReferenceTests"),
        [$"{References}/Quantization/CodebookFitReference.Exact.cs"] = new([], "CodebookFitReferenceTests"),
        [$"{References}/Quantization/CodebookFitReference.Lloyd.cs"] = new([], "CodebookFitReferenceTests"),
        [$"{References}/Quantization/CodebookFitReference.Scaled.cs"] = new([], "CodebookFitReferenceTests"),
        [$"{References}/Quantization/CodebookFitReference.cs"] = new([], "CodebookFitReferenceTests"),
        [$"{References}/Quantization/CodebookGradientReference.cs"] = new(
            [], "QuantizationBoundTests", "MappingReferenceTests"),
        [$"{References}/Quantization/CodebookShape.cs"] = new(
            [], "CodebookFitReferenceTests", "MappingReferenceTests", "AssignReferenceTests"),
        [$"{References}/Quantization/CodebooksReference.cs"] = new([], "CodebookFitReferenceTests"),
        [$"{References}/Quantization/DequantizeReference.cs"] = new([], "BlockReferenceTests"),
        [$"{References}/Quantization/DoubleQuantizationReference.cs"] = new([], "BlockReferenceTests"),
        [$"{References}/Quantization/DoubleDouble.cs"] = new([], "ExactNumberTests"),
        [$"{References}/Quantization/GroupReference.cs"] = new([], "GroupReferenceTests"),
        [$"{References}/Quantization/LatentReference.cs"] = new([], "MappingReferenceTests"),
        [$"{References}/Quantization/MappingReference.cs"] = new(
            ["codebook/nf4", "codebook/proximal"], "MappingReferenceTests"),
        [$"{References}/Quantization/PackReference.cs"] = new([], "PackReferenceTests"),
        [$"{References}/Quantization/QuantizationScope.cs"] = new([], "GroupReferenceTests", "MappingReferenceTests"),
        [$"{References}/Quantization/QuantizedProductReference.cs"] = new(
            [], "QuantizationBoundTests", "QuantizedProductReferenceTests"),
        [$"{References}/Quantization/ReconstructionReference.cs"] = new(
            [], "QuantizationBoundTests", "MappingReferenceTests"),
        [$"{References}/VectorQuantization/BridgeArithmetic.cs"] = new([], "BridgeReferenceTests"),
        [$"{References}/VectorQuantization/BridgeNetwork.cs"] = new([], "BridgeReferenceTests"),
        [$"{References}/VectorQuantization/BridgeReference.cs"] = new([], "BridgeReferenceTests"),
        [$"{References}/VectorQuantization/BridgeShape.cs"] = new([], "BridgeReferenceTests"),
        [$"{References}/VectorQuantization/Dyadic.cs"] = new([], "ExactNumberTests", "CodebookReferenceTests"),
        [$"{References}/VectorQuantization/EmaReference.cs"] = new(["vq/ema"], "CodebookReferenceTests"),
        [$"{References}/VectorQuantization/KMeansReference.cs"] = new([], "CodebookReferenceTests"),
        [$"{References}/VectorQuantization/NearestReference.Rank.cs"] = new([], "NearestReferenceTests"),
        [$"{References}/VectorQuantization/NearestReference.cs"] = new([], "NearestReferenceTests"),
        [$"{References}/VectorQuantization/NearestRow.cs"] = new([], "NearestReferenceTests"),
        [$"{References}/VectorQuantization/QuantizeReference.cs"] = new(["vq/quantize"], "QuantizeReferenceTests"),
        [$"{References}/VectorQuantization/RestartReference.cs"] = new([], "CodebookReferenceTests"),
        [$"{References}/VectorQuantization/RotateReference.cs"] = new(["vq/rotate"], "RotateReferenceTests"),
        [$"{References}/VectorQuantization/SegmentSumReference.cs"] = new([], "CodebookReferenceTests"),
        [$"{References}/VectorQuantization/SoftmaxCodesReference.cs"] = new([], "SoftmaxCodesReferenceTests"),
        [$"{References}/VectorQuantization/UsageReference.cs"] = new([], "CodebookReferenceTests"),
        [$"{References}/VectorQuantization/UsageWindowReference.cs"] = new([], "CodebookReferenceTests"),
    };

    /// <summary>The files of which one of some names is the path, its end, or its folder; all without names.</summary>
    /// <exception cref="ArgumentException">A name means no file.</exception>
    internal static IReadOnlyList<string> Find(IReadOnlyList<string> names)
    {
        string[] found =
        [
            .. All.Keys.Where(file => names.Count == 0 || names.Any(name => Fits(file, name))),
        ];
        foreach (string name in names)
        {
            if (!Array.Exists(found, file => Fits(file, name)))
            {
                throw new ArgumentException(
                    $"'{name}' is none of the files that are mutated: {string.Join(", ", All.Keys)}.", nameof(names));
            }
        }

        return found;
    }

    private static bool Fits(string file, string name) =>
        string.Equals(file, name, StringComparison.Ordinal)
        || file.EndsWith("/" + name, StringComparison.Ordinal)
        || file.StartsWith(name.TrimEnd('/') + "/", StringComparison.Ordinal);
}
