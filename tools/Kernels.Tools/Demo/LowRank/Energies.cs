using ILGPU;
using ILGPU.Runtime;
using Kernels.Dct;
using Kernels.References.Dct;
using Kernels.Tools.Demo.Optimizers;

namespace Kernels.Tools.Demo.LowRank;

/// <summary>The share of |G|^2 that the chosen columns of a square gradient carry.</summary>
internal sealed class ChosenEnergy : IDisposable
{
    private readonly Session _session;
    private readonly ColumnSelector _selector;
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _gradient;
    private readonly MemoryBuffer1D<int, Stride1D.Dense> _index;
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _projected;
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _energy;

    internal ChosenEnergy(Session session, int width, int rank, ColumnSelectorOptions options)
    {
        _session = session;
        Accelerator accelerator = session.Accelerator;
        _selector = new ColumnSelector(accelerator, width, width, rank, options);
        _gradient = accelerator.Allocate1D<float>(width * width);
        _index = accelerator.Allocate1D<int>(rank);
        _projected = accelerator.Allocate1D<float>(_selector.ProjectedLength);
        _energy = accelerator.Allocate1D<float>(1);
    }

    internal double Of(LayerGradient gradient)
    {
        AcceleratorStream stream = _session.Stream;
        _gradient.View.BaseView.CopyFromCPU(stream, gradient.Values);
        _selector.Select(stream, _gradient.View, _index.View, _projected.View, _energy.View);
        var energy = new float[1];
        _energy.View.BaseView.CopyToCPU(stream, energy);
        stream.Synchronize();
        return energy[0];
    }

    public void Dispose()
    {
        _selector.Dispose();
        _gradient.Dispose();
        _index.Dispose();
        _projected.Dispose();
        _energy.Dispose();
    }
}

/// <summary>The share of |G|^2 that the best subspaces of a square gradient carry, those of its singular vectors.</summary>
internal static class BestEnergy
{
    /// <summary>
    /// For dimensions 1, 2 and so on up to the width. G = Y^T X over the rows of a batch, and there are fewer of them than G
    /// has: with Y = U diag(s) V^T, G has the singular values of diag(s) U^T X, which is found in a fraction of the time.
    /// </summary>
    internal static double[] Of(LayerGradient gradient, int width)
    {
        int rows = gradient.Rows;
        (double[] u, double[] s, _) = SvdProjectionReference.Decompose(
            Array.ConvertAll(gradient.Outputs, v => (double)v), rows, width);
        var small = new double[s.Length * width];
        for (int i = 0; i < s.Length; i++)
        {
            Span<double> line = small.AsSpan(i * width, width);
            for (int row = 0; row < rows; row++)
            {
                double factor = s[i] * u[(row * s.Length) + i];
                for (int column = 0; column < width; column++)
                {
                    line[column] += factor * gradient.Inputs[(row * width) + column];
                }
            }
        }

        double[] energy = SvdProjectionReference.Energy(small, s.Length, width);
        return [.. energy, .. Enumerable.Repeat(1.0, width - energy.Length)];
    }
}
