using Kernels.Adapters.Tests.Support;
using Kernels.ML;
using Kernels.Quantization;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace Kernels.Adapters.Tests.ML;

public sealed class QuantizedLinearTests
{
    // Few enough values that codes are exact.
    private static readonly float[,] s_weights = { { 0.5f, -1.25f, 2 }, { 2, 0.5f, 0.5f } };
    private static readonly float[] s_biases = [1, -1];

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Weights_of_few_values_score_as_they_are(bool perOutput)
    {
        var context = new MLContext(seed: 1);
        MLRow[] rows = MLRows.Make(5_000, seed: 1);
        IDataView data = MLRows.View(context, rows);
        var options = new QuantizedLinearOptions { Codes = 4, CodebookPerOutput = perOutput };
        using QuantizedLinear linear = context.Transforms.ScoreQuantizedWeights(
            TestSessions.Tested, "Score", "Features", s_weights, s_biases, options).Fit(data);
        Assert.Equal(2, linear.Outputs);
        var layout = new CodebookLayout(2, MLRows.Length, new CodeFormat(4));
        Assert.Equal(layout.PackedBytes + ((perOutput ? 2 : 1) * 4 * sizeof(float)), linear.WeightBytes);
        float[][] scores = Scores(linear.Transform(data));
        CheckScores(rows, scores);

        using var file = new MemoryStream();
        linear.Save(file);
        file.Position = 0;
        using QuantizedLinear loaded = QuantizedLinear.Load(TestSessions.Tested, file, "Score", "Features");
        Assert.Equal(scores, Scores(loaded.Transform(data)));
        Assert.Throws<InvalidDataException>(
            () => QuantizedLinear.Load(TestSessions.Tested, new MemoryStream([1]), "Score", "Features"));
        Assert.Throws<NotSupportedException>(() => context.Model.Save(linear, data.Schema, new MemoryStream()));
    }

    [Fact]
    public void A_trained_model_is_scored_and_evaluated_by_its_codes()
    {
        var context = new MLContext(seed: 1);
        MLRow[] rows = MLRows.Make(400, seed: 2);
        foreach (MLRow row in rows)
        {
            row.Label = row.Features[0] - (2 * row.Features[1]) + 3;
        }

        IDataView data = MLRows.View(context, rows);
        var trained = context.Regression.Trainers.OnlineGradientDescent(
            "Label", "Features", learningRate: 0.001f).Fit(data);
        float[,] weights = new float[1, MLRows.Length];
        for (int i = 0; i < MLRows.Length; i++)
        {
            weights[0, i] = trained.Model.Weights[i];
        }

        var pipeline = context.Transforms.CopyColumns("Copy", "Label")
            .Append(context.Transforms.ScoreQuantized(TestSessions.Tested, "Score", "Features", trained.Model));
        using var model = pipeline.Fit(data);
        IDataView scored = model.Transform(data);
        Assert.Equal(NumberDataViewType.Single, scored.Schema["Score"].Type);
        float[] scores = [.. scored.GetColumn<float>("Score")];
        CheckScores(rows, Array.ConvertAll(scores, s => (float[])[s]), weights, [trained.Model.Bias]);
        RegressionMetrics before = context.Regression.Evaluate(trained.Transform(data), "Label");
        RegressionMetrics after = context.Regression.Evaluate(scored, "Label");
        float most = rows.Max(row => Bound(row, weights, [trained.Model.Bias], 0));
        Assert.InRange(Math.Abs(after.MeanAbsoluteError - before.MeanAbsoluteError), 0, 2 * most);

        using var engine = context.Model.CreatePredictionEngine<MLRow, Scored>(model);
        Assert.Equal(scores[7], engine.Predict(rows[7]).Score, Bound(rows[7], weights, [trained.Model.Bias], 0));
    }

    [Fact]
    public void Bad_columns_and_weights_are_refused_by_name()
    {
        var context = new MLContext(seed: 1);
        IDataView data = MLRows.View(context, MLRows.Make(4, seed: 3));
        TransformsCatalog transforms = context.Transforms;
        MLRows.Refused("biases", "2 biases", () => transforms.ScoreQuantizedWeights(
            TestSessions.Tested, "Score", "Features", s_weights, [1]));
        MLRows.Refused("weights", "finite", () => transforms.ScoreQuantizedWeights(
            TestSessions.Tested, "Score", "Features", new[,] { { float.NaN } }));
        MLRows.Refused("weights", "must be weights", () => transforms.ScoreQuantizedWeights(
            TestSessions.Tested, "Score", "Features", new float[0, 3]));
        MLRows.Refused("options", "Codes", () => transforms.ScoreQuantizedWeights(
            TestSessions.Tested, "Score", "Features", s_weights, options: new() { Codes = 257 }));
        MLRows.Refused("options", "Iterations", () => transforms.ScoreQuantizedWeights(
            TestSessions.Tested, "Score", "Features", s_weights, options: new() { Iterations = -1 }));
        MLRows.Refused("input", "must have 2 numbers", () => transforms.ScoreQuantizedWeights(
            TestSessions.Tested, "Score", "Features", new float[,] { { 1, 2 } }).Fit(data));
        MLRows.Refused("input", "is of Single", () => transforms.ScoreQuantizedWeights(
            TestSessions.Tested, "Score", "Label", s_weights).Fit(data));
        MLRows.Refused("model", "", () => transforms.ScoreQuantized(TestSessions.Tested, "Score", "Features", null!));
    }

    private static float[][] Scores(IDataView data) => [.. data.GetColumn<float[]>("Score")];

    private static void CheckScores(MLRow[] rows, float[][] scores) => CheckScores(rows, scores, s_weights, s_biases);

    private static void CheckScores(MLRow[] rows, float[][] scores, float[,] weights, float[] biases)
    {
        Assert.Equal(rows.Length, scores.Length);
        for (int row = 0; row < rows.Length; row++)
        {
            for (int output = 0; output < biases.Length; output++)
            {
                double score = biases[output];
                for (int i = 0; i < MLRows.Length; i++)
                {
                    score += (double)weights[output, i] * rows[row].Features[i];
                }

                Assert.InRange(Math.Abs(scores[row][output] - score), 0, Bound(rows[row], weights, biases, output));
            }
        }
    }

    // A product and a sum each round by 2^-24 of themselves at most, of n + 1 numbers in any order; the codes, means of
    // equal numbers, by as much once more for each of Lloyd's steps that move one: 2 are room for that.
    private static float Bound(MLRow row, float[,] weights, float[] biases, int output)
    {
        double sum = Math.Abs(biases[output]);
        for (int i = 0; i < MLRows.Length; i++)
        {
            sum += Math.Abs((double)weights[output, i] * row.Features[i]);
        }

        return (float)((MLRows.Length + 4) * Math.ScaleB(1, -24) * sum);
    }

    private sealed class Scored
    {
        public float Score { get; set; }
    }
}
