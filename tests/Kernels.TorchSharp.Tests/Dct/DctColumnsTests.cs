using global::TorchSharp;
using ILGPU;
using ILGPU.Runtime;
using Kernels.Dct;
using Kernels.TorchSharp.Dct;
using Kernels.TorchSharp.Tests.Support;

namespace Kernels.TorchSharp.Tests.Dct;

public sealed class DctColumnsTests
{
    [TorchTheory]
    [InlineData(24, 17, 5)]
    [InlineData(9, 31, 4)]
    public void Both_ways_and_their_gradients_are_those_of_the_library(int rows, int columns, int rank)
    {
        using var dct = new DctColumns(rows, columns, rank);
        Accelerator accelerator = HostMemory.Session.Accelerator;
        using var selector = new ColumnSelector(accelerator, rows, columns, rank);
        float[] numbers = Tensors.Draw(1, rows * columns);
        using torch.Tensor x = torch.tensor(numbers, rows, columns).requires_grad_();

        (torch.Tensor projected, torch.Tensor index) = dct.Select(x);

        using MemoryBuffer1D<float, Stride1D.Dense> g = accelerator.Allocate1D(numbers);
        using MemoryBuffer1D<int, Stride1D.Dense> chosen = accelerator.Allocate1D<int>(rank);
        using MemoryBuffer1D<float, Stride1D.Dense> narrow = accelerator.Allocate1D<float>(selector.ProjectedLength);
        using MemoryBuffer1D<float, Stride1D.Dense> full = accelerator.Allocate1D<float>(rows * columns);
        selector.Select(accelerator.DefaultStream, g.View, chosen.View, narrow.View);
        Assert.Equal(chosen.GetAsArray1D(), index.data<int>().ToArray());
        Assert.Equal(narrow.GetAsArray1D(), Tensors.Values(projected));
        Assert.Equal(narrow.GetAsArray1D(), Tensors.Values(dct.Project(x, index)));

        // The gradient of sum(w projected) is w taken back.
        using torch.Tensor w = torch.tensor(Tensors.Draw(2, projected.numel()), projected.shape);
        (projected * w).sum().backward();
        selector.BackProject(accelerator.DefaultStream, Buffer(w).View, chosen.View, full.View);
        Assert.Equal(full.GetAsArray1D(), Tensors.Values(x.grad!));

        using torch.Tensor narrowed = projected.detach().requires_grad_();
        torch.Tensor back = dct.BackProject(narrowed, index);
        using torch.Tensor v = torch.tensor(Tensors.Draw(3, rows * columns), rows, columns);
        (back * v).sum().backward();
        selector.BackProject(accelerator.DefaultStream, narrow.View, chosen.View, full.View);
        Assert.Equal(full.GetAsArray1D(), Tensors.Values(back));
        selector.Project(accelerator.DefaultStream, Buffer(v).View, chosen.View, narrow.View);
        Assert.Equal(narrow.GetAsArray1D(), Tensors.Values(narrowed.grad!));

        MemoryBuffer1D<float, Stride1D.Dense> Buffer(torch.Tensor tensor) => accelerator.Allocate1D(Tensors.Values(tensor));
    }

    [TorchFact]
    public void Tensors_that_do_not_fit_are_refused()
    {
        var dct = new DctColumns(rows: 8, columns: 4, rank: 2);
        (torch.Tensor projected, torch.Tensor index) = dct.Select(torch.ones(8, 4));
        Assert.Throws<ArgumentException>(() => dct.Select(torch.ones(8, 5)));
        Assert.Throws<ArgumentException>(() => dct.Select(torch.ones(8, 4, torch.ScalarType.Float64)));
        Assert.Throws<ArgumentException>(() => dct.Select(torch.ones(4, 8).t()));
        Assert.Throws<ArgumentException>(() => dct.Project(torch.ones(8, 4), index.to(torch.ScalarType.Int64)));
        Assert.Throws<ArgumentException>(() => dct.BackProject(projected.t(), index));
        var freed = torch.ones(8, 4);
        freed.Dispose();
        Assert.Throws<ObjectDisposedException>(() => dct.Select(freed));
        dct.Dispose();
        Assert.Throws<ObjectDisposedException>(() => dct.Select(torch.ones(8, 4)));
    }
}
