using Kernels.Adapters.Tests.Support;
using Kernels.ML;
using Microsoft.ML;

namespace Kernels.Adapters.Tests.ML;

[Collection(Alone.Name)]
public sealed class MLMemoryTests
{
    [Fact]
    public void Ten_thousand_transformers_leave_no_memory_behind()
    {
        var context = new MLContext(seed: 1);
        using VectorQuantizer fitted = context.Transforms.QuantizeVectors(
            TestSessions.Cpu, "Code", "Features", new() { Codes = MLRows.Count }).Fit(MLRows.View(context, MLRows.Make(32, 1)));
        using var file = new MemoryStream();
        fitted.Save(file);
        Alone.AssertFlat(() =>
        {
            file.Position = 0;
            VectorQuantizer.Load(TestSessions.Cpu, file, "Code", "Features").Dispose();
        });
    }
}
