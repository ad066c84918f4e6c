using ILGPU;
using ILGPU.Runtime;

namespace Kernels.Tools.Demo.Codebooks;

/// <summary>What a codebook learns from in a step.</summary>
internal readonly struct VqBatch
{
    /// <summary>What the encoder made of the patches, [rows, dimension].</summary>
    internal required ArrayView<float> Encoded { get; init; }

    /// <summary>The code of each row, [rows].</summary>
    internal required ArrayView<int> Index { get; init; }

    /// <summary>Those codes, [rows, dimension].</summary>
    internal required ArrayView<float> Quantized { get; init; }

    /// <summary>The number of the step, from 1.</summary>
    internal required int Step { get; init; }
}

/// <summary>A codebook and the method that trains it.</summary>
internal abstract class Codebook : IDisposable
{
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _codes;

    protected Codebook(Session session, VqSetting setting, float[] codes)
    {
        Session = session;
        Setting = setting;
        _codes = session.Accelerator.Allocate1D(codes);
    }

    /// <summary>The codes as they are searched, [codes, dimension].</summary>
    internal virtual ArrayView<float> Searched => Codes;

    protected Session Session { get; }

    protected VqSetting Setting { get; }

    /// <summary>The codes as they began, or as they were trained.</summary>
    protected ArrayView<float> Codes => _codes.View;

    /// <summary>Enqueues what makes <see cref="Searched"/> out of the parameters.</summary>
    internal virtual void Project()
    {
    }

    /// <summary>Enqueues a step of the training.</summary>
    internal abstract void Learn(in VqBatch batch);

    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    protected virtual void Dispose(bool disposing)
    {
        if (disposing)
        {
            _codes.Dispose();
        }
    }
}
