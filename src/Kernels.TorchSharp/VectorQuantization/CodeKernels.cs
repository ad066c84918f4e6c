using global::TorchSharp;
using Kernels.VectorQuantization;

namespace Kernels.TorchSharp.VectorQuantization;

/// <summary>The launchers of a codebook, made anew for more rows than they were made for.</summary>
internal sealed class CodeKernels(int codes, int dimension, CodeMetric metric, bool certified) : IDisposable
{
    private Launchers? _launchers;

    public void Dispose() => _launchers?.Dispose();

    /// <summary>The nearest code of each row, Int32; -1 where there is none.</summary>
    internal torch.Tensor Search(torch.Tensor x, torch.Tensor embed)
    {
        int rows = Rows(x);
        torch.Tensor index = torch.empty(rows, torch.ScalarType.Int32);
        if (rows > 0)
        {
            For(rows).Nearest.Search(
                HostMemory.Session.Stream, HostMemory.View(x), HostMemory.View(embed), HostMemory.Integers(index), rows);
        }

        return index;
    }

    /// <summary>The code of each row, and the losses of codebook and commitment.</summary>
    internal (torch.Tensor Output, torch.Tensor Loss) Forward(
        torch.Tensor x, torch.Tensor embed, torch.Tensor index, double commitment)
    {
        int rows = Rows(x);
        torch.Tensor output = torch.empty_like(x);
        torch.Tensor loss = torch.zeros(2);
        if (rows > 0)
        {
            For(rows).Quantize.Apply(
                HostMemory.Session.Stream, HostMemory.View(x), HostMemory.View(embed), HostMemory.Integers(index), rows,
                HostMemory.View(output), HostMemory.Floats(loss), beta: commitment);
        }

        return (output, loss);
    }

    /// <summary>The gradient that comes to the rows through the output.</summary>
    internal torch.Tensor Through(
        torch.Tensor x, torch.Tensor embed, torch.Tensor index, torch.Tensor gradient, bool rotation)
    {
        int rows = Rows(x);
        torch.Tensor result = torch.empty_like(x);
        if (rows > 0 && rotation)
        {
            For(rows).Rotate.Backward(
                HostMemory.Session.Stream, HostMemory.View(x), HostMemory.View(embed), HostMemory.Integers(index), rows,
                HostMemory.View(gradient), HostMemory.View(result));
        }
        else if (rows > 0)
        {
            For(rows).Quantize.Apply(
                HostMemory.Session.Stream, HostMemory.View(x), HostMemory.View(embed), HostMemory.Integers(index), rows,
                gradX: HostMemory.View(result), grad: HostMemory.View(gradient), beta: 0);
        }

        return result;
    }

    /// <summary>(2 / (m d)) (e - z) of each row z with code e, m rows having one: the loss's gradient to its code.</summary>
    internal torch.Tensor Differences(torch.Tensor x, torch.Tensor embed, torch.Tensor index)
    {
        int rows = Rows(x);
        torch.Tensor result = torch.empty_like(x);
        if (rows > 0)
        {
            For(rows).Quantize.Differences(
                HostMemory.Session.Stream, HostMemory.View(x), HostMemory.View(embed), HostMemory.Integers(index), rows,
                HostMemory.View(result));
        }

        return result;
    }

    /// <summary>The sums of the rows of each code, Float32.</summary>
    internal torch.Tensor Sums(torch.Tensor x, torch.Tensor index)
    {
        int rows = Rows(x);
        torch.Tensor sums = torch.zeros(codes, dimension);
        if (rows > 0)
        {
            using torch.Tensor counts = torch.empty(codes, torch.ScalarType.Int32);
            For(rows).Sum.Sum(
                HostMemory.Session.Stream, HostMemory.View(x), HostMemory.Integers(index), HostMemory.Floats(sums),
                HostMemory.Integers(counts), rows);
        }

        return sums;
    }

    private int Rows(torch.Tensor x) => checked((int)(x.numel() / dimension));

    private Launchers For(int rows)
    {
        if (_launchers is null || _launchers.Nearest.MaxRows < rows)
        {
            _launchers?.Dispose();
            _launchers = new Launchers(rows, codes, dimension, metric, certified);
        }

        return _launchers;
    }

    private sealed class Launchers(int rows, int codes, int dimension, CodeMetric metric, bool certified) : IDisposable
    {
        internal NearestCode Nearest { get; } =
            new(HostMemory.Session.Accelerator, rows, codes, dimension, metric, certified: certified);

        internal Quantize Quantize { get; } = new(HostMemory.Session.Accelerator, rows, codes, dimension);

        internal Rotate Rotate { get; } = new(HostMemory.Session.Accelerator, rows, codes, dimension);

        internal SegmentSum Sum { get; } = new(HostMemory.Session.Accelerator, rows, codes, dimension);

        public void Dispose()
        {
            Nearest.Dispose();
            Quantize.Dispose();
            Sum.Dispose();
        }
    }
}
