using Kernels.Adapters.Tests.Support;
using Kernels.ML;
using Kernels.VectorQuantization;

namespace Kernels.Adapters.Tests.ML;

[Collection(Alone.Name)]
public sealed class MLMemoryTests
{
    [Fact]
    public void Ten_thousand_transformers_leave_no_memory_behind()
    {
        const int Codes = 8;
        using var file = new MemoryStream();
        using (var codebook = new Codebook(TestSessions.Cpu, Codes, Alone.CycleBytes / sizeof(float) / Codes))
        {
            codebook.Save(file);
        }

        Alone.AssertFlat(() =>
        {
            file.Position = 0;
            VectorQuantizer.Load(TestSessions.Cpu, file, "Code", "Features").Dispose();
        });
    }
}
