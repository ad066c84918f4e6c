using Kernels.Adapters.Tests.Support;
using Kernels.ML;
using Kernels.VectorQuantization;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace Kernels.Adapters.Tests.ML;

public sealed class VectorQuantizerTests
{
    private const int Rows = 5_000; // more than are computed at once

    private static readonly VectorQuantizerOptions s_options = new()
    {
        Codes = MLRows.Count,
        QuantizedColumnName = "Quantized",
    };

    [Fact]
    public void Rows_of_a_centre_share_a_code_and_its_numbers_and_other_columns_stay()
    {
        var context = new MLContext(seed: 1);
        IDataView data = MLRows.View(context, MLRows.Make(Rows, seed: 1));
        using VectorQuantizer quantizer = Estimator(context, s_options).Fit(data);
        IDataView coded = quantizer.Transform(data);
        Assert.Equal((ulong)MLRows.Count, ((KeyDataViewType)coded.Schema["Code"].Type).Count);
        Assert.Equal(MLRows.Length, ((VectorDataViewType)coded.Schema["Quantized"].Type).Size);
        Assert.Equal(Rows, coded.GetRowCount());
        float[] codes = quantizer.GetCodes();
        var codeOf = new Dictionary<int, uint>();
        int row = 0;
        foreach (MLCoded got in context.Data.CreateEnumerable<MLCoded>(coded, reuseRowObject: false))
        {
            int centre = Draw.CentreOf(row, MLRows.Count);
            Assert.Equal(row, got.Label);
            codeOf.TryAdd(centre, got.Code);
            Assert.Equal(codeOf[centre], got.Code);
            Assert.Equal(codes[(((int)got.Code - 1) * MLRows.Length)..((int)got.Code * MLRows.Length)], got.Quantized);
            for (int i = 0; i < MLRows.Length; i++)
            {
                float distance = Math.Abs(got.Quantized[i] - MLRows.Centres[(centre * MLRows.Length) + i]);
                Assert.InRange(distance, 0, Draw.Radius);
            }

            row++;
        }

        Assert.Equal(Rows, row);
        Assert.Equal(MLRows.Count, codeOf.Values.Distinct().Count());
    }

    [Fact]
    public void A_pipeline_goes_on_with_the_key()
    {
        var context = new MLContext(seed: 1);
        MLRow[] rows = MLRows.Make(64, seed: 2);
        for (int i = 0; i < rows.Length; i++)
        {
            rows[i].Label = Draw.CentreOf(i, MLRows.Count);
        }

        IDataView data = MLRows.View(context, rows);
        var pipeline = Estimator(context, s_options)
            .Append(context.Transforms.Conversion.MapKeyToVector("OneHot", "Code"))
            .Append(context.Regression.Trainers.Sdca("Label", "OneHot", maximumNumberOfIterations: 20));
        using var model = pipeline.Fit(data);
        RegressionMetrics metrics = context.Regression.Evaluate(model.Transform(data), "Label");
        Assert.True(metrics.RSquared > 0, $"A label that the code decides is not learned at all: {metrics.RSquared}.");

        using var engine = context.Model.CreatePredictionEngine<MLRow, MLCoded>(model, ignoreMissingColumns: true);
        MLCoded[] all = [.. context.Data.CreateEnumerable<MLCoded>(model.Transform(data), reuseRowObject: false)];
        for (int i = 0; i < MLRows.Count; i++)
        {
            MLCoded one = engine.Predict(rows[i]);
            Assert.Equal(all[i].Code, one.Code);
            Assert.Equal(all[i].Quantized, one.Quantized);
        }
    }

    [Fact]
    public void A_vector_with_a_NaN_has_no_key()
    {
        var context = new MLContext(seed: 1);
        MLRow[] rows = MLRows.Make(32, seed: 3);
        IDataView data = MLRows.View(context, rows);
        using VectorQuantizer quantizer = Estimator(context, s_options).Fit(data);
        rows[5].Features[1] = float.NaN;
        uint[] keys = Keys(quantizer.Transform(data));
        Assert.Equal(0u, keys[5]);
        Assert.DoesNotContain(0u, keys[..5]);
    }

    [Fact]
    public void Moving_means_stay_with_their_rows_and_are_the_same_every_time()
    {
        var context = new MLContext(seed: 1);
        IDataView data = MLRows.View(context, MLRows.Make(600, seed: 4));
        VectorQuantizerOptions options = s_options with { SampleRows = 64, Passes = 2 };
        using VectorQuantizer first = Estimator(context, options).Fit(data);
        using VectorQuantizer second = Estimator(context, options).Fit(data);
        using VectorQuantizer still = Estimator(context, options with { Passes = 0 }).Fit(data);
        Assert.Equal(first.GetCodes(), second.GetCodes());
        Assert.NotEqual(first.GetCodes(), still.GetCodes());

        // A moving mean of rows is no farther from their centre than they are, but for the smoothing of the counts.
        Assert.All(first.GetCodes(), number => Assert.True(
            Math.Abs(number) <= 2 * Draw.Radius || Math.Abs(number - 10) <= 2 * Draw.Radius, $"{number}"));
    }

    [Fact]
    public void It_is_saved_by_its_own_file_and_refuses_that_of_ML_NET()
    {
        var context = new MLContext(seed: 1);
        IDataView data = MLRows.View(context, MLRows.Make(40, seed: 5));
        using VectorQuantizer quantizer = Estimator(context, s_options).Fit(data);
        using var file = new MemoryStream();
        NotSupportedException refused = Assert.Throws<NotSupportedException>(
            () => context.Model.Save(quantizer, data.Schema, new MemoryStream()));
        Assert.Contains("its own method Save", refused.Message, StringComparison.Ordinal);
        quantizer.Save(file);
        file.Position = 0;
        using VectorQuantizer loaded = VectorQuantizer.Load(TestSessions.Tested, file, "Code", "Features", s_options);
        Assert.Equal(quantizer.GetCodes(), loaded.GetCodes());
        Assert.Equal(Keys(quantizer.Transform(data)), Keys(loaded.Transform(data)));

        file.Position = 0;
        Assert.Throws<InvalidDataException>(() => VectorQuantizer.Load(
            TestSessions.Tested, file, "Code", "Features", s_options with { Metric = CodeMetric.Dot }));
        Assert.Throws<InvalidDataException>(() => VectorQuantizer.Load(
            TestSessions.Tested, new MemoryStream([1, 2, 3]), "Code", "Features"));
    }

    [Fact]
    public void Bad_columns_and_options_are_refused_by_name()
    {
        var context = new MLContext(seed: 1);
        IDataView data = MLRows.View(context, MLRows.Make(40, seed: 6));
        TransformsCatalog transforms = context.Transforms;
        MLRows.Refused("input", "'Nothing'", () => transforms.QuantizeVectors(TestSessions.Tested, "Code", "Nothing").Fit(data));
        MLRows.Refused("input", "is of Single", () => transforms.QuantizeVectors(TestSessions.Tested, "Code", "Label").Fit(data));
        IDataView none = context.Data.FilterRowsByColumn(data, "Label", lowerBound: 1e6);
        MLRows.Refused("input", "there are none", () => Estimator(context, s_options).Fit(none));
        MLRows.Refused("inputSchema", "'Nothing'", () => transforms.CopyColumns("Copy", "Label")
            .Append(transforms.QuantizeVectors(TestSessions.Tested, "Code", "Nothing")).Fit(data));
        MLRows.Refused("options", "Codes", () => Estimator(context, new VectorQuantizerOptions { Codes = 0 }));
        MLRows.Refused("options", "Passes", () => Estimator(context, new VectorQuantizerOptions { Passes = -1 }));
        MLRows.Refused("options", "SampleRows", () => Estimator(context, new VectorQuantizerOptions { SampleRows = 0 }));
        MLRows.Refused("session", "", () => transforms.QuantizeVectors(null!, "Code", "Features"));
        MLRows.Refused("outputColumnName", "", () => transforms.QuantizeVectors(TestSessions.Tested, "", "Features"));

        VectorQuantizer quantizer = Estimator(context, s_options).Fit(data);
        IDataView other = context.Transforms.Concatenate("Features", "Label", "Label").Fit(data).Transform(data);
        MLRows.Refused("input", "must have 3 numbers, and have 2", () => quantizer.Transform(other));
        IDataView coded = quantizer.Transform(data);
        using (DataViewRowCursor cursor = coded.GetRowCursor([coded.Schema["Label"]]))
        {
            MLRows.Refused("column", "'Code'", () => cursor.GetGetter<uint>(coded.Schema["Code"]));
        }

        using (DataViewRowCursor cursor = coded.GetRowCursor([coded.Schema["Code"]]))
        {
            Assert.Throws<InvalidOperationException>(() => cursor.GetGetter<float>(coded.Schema["Code"]));
        }

        quantizer.Dispose();
        quantizer.Dispose();
        Assert.Throws<ObjectDisposedException>(() => quantizer.Transform(data));
        Assert.Throws<ObjectDisposedException>(() => quantizer.GetCodes());
        Assert.Throws<ObjectDisposedException>(() => Keys(coded));
    }

    private static VectorQuantizerEstimator Estimator(MLContext context, VectorQuantizerOptions options) =>
        context.Transforms.QuantizeVectors(TestSessions.Tested, "Code", "Features", options);

    private static uint[] Keys(IDataView data) => [.. data.GetColumn<uint>("Code")];
}
