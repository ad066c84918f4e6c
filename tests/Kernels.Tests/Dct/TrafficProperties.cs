using ILGPU;
using ILGPU.Runtime;
using Kernels.Dct;
using Kernels.Tests.Linear;
using Kernels.Tests.Support;

namespace Kernels.Tests.Dct;

/// <summary>What transforms and choices of columns read and write, where the device counts it.</summary>
[Collection(CountedLaunches.Name)]
public sealed class TrafficProperties
{
    [Theory]
    [InlineData(64, 4096, false)]
    [InlineData(256, 64, false)]
    [InlineData(128, 256, true)]
    public void A_transform_reads_and_writes_the_matrix_once(int lines, int n, bool isColumns)
    {
        Accelerator accelerator = TestDevices.Session.Accelerator;
        AcceleratorStream stream = accelerator.DefaultStream;
        using var transform = new TransformEngine(accelerator, Basis.Dct2, n);
        using MemoryBuffer1D<float, Stride1D.Dense> x = accelerator.Allocate1D(LinearDevice.Random(new Random(1), lines * n));
        using MemoryBuffer1D<float, Stride1D.Dense> y = accelerator.Allocate1D<float>(lines * n);
        var call = new TransformCall { X = x.View, Y = y.View, Lines = lines, IsColumns = isColumns };
        if (Traffic.TryCount(() => transform.Run(stream, call), out Traffic[] launches))
        {
            Traffic only = Assert.Single(launches);
            long matrix = 4L * lines * n;
            Assert.Equal((matrix, matrix), (only.Written, only.Stored));
            Assert.InRange(only.Read, matrix, matrix + transform.Bytes);
        }
    }

    [Theory]
    [InlineData(ProjectionSide.Right)]
    [InlineData(ProjectionSide.Left)]
    public void A_choice_of_columns_passes_less_than_three_times_over_the_matrix(ProjectionSide side)
    {
        const int Lines = 512, N = 256, Rank = 16;
        Accelerator accelerator = TestDevices.Session.Accelerator;
        AcceleratorStream stream = accelerator.DefaultStream;
        (int rows, int columns) = side == ProjectionSide.Right ? (Lines, N) : (N, Lines);
        using var selector = new ColumnSelector(
            accelerator, rows, columns, Rank, new ColumnSelectorOptions { Side = side });
        using MemoryBuffer1D<float, Stride1D.Dense> g = accelerator.Allocate1D(LinearDevice.Random(new Random(1), Lines * N));
        using MemoryBuffer1D<float, Stride1D.Dense> projected = accelerator.Allocate1D<float>(Lines * Rank);
        using MemoryBuffer1D<int, Stride1D.Dense> index = accelerator.Allocate1D<int>(Rank);
        if (Traffic.TryCount(() => selector.Select(stream, g.View, index.View, projected.View), out Traffic[] launches))
        {
            // The gradient is read and its transform written, whose sums a group makes in its memory. Besides: two sums of
            // each column of 16 lines, of which one is read; r of n columns from there to here; a few times the scores; and
            // the tables.
            long matrix = 4L * Lines * N;
            long sums = matrix / 16;
            long chosen = 4L * Lines * Rank;
            using var transform = new TransformEngine(accelerator, Basis.Dct2, N);
            long most = (2 * matrix) + (3 * sums) + (2 * chosen) + (4L * 8 * N) + transform.Bytes;
            long moved = launches.Sum(l => l.Read + l.Written);
            Assert.InRange(moved, 2 * matrix, Math.Min(most, 3 * matrix));
        }
    }

    [Theory]
    [InlineData(ProjectionSide.Right)]
    [InlineData(ProjectionSide.Left)]
    public void A_state_moves_by_a_read_and_a_write(ProjectionSide side)
    {
        const int Lines = 512, N = 64, Rank = 16;
        Accelerator accelerator = TestDevices.Session.Accelerator;
        AcceleratorStream stream = accelerator.DefaultStream;
        (int rows, int columns) = side == ProjectionSide.Right ? (Lines, N) : (N, Lines);
        using var selector = new ColumnSelector(
            accelerator, rows, columns, Rank, new ColumnSelectorOptions { Side = side });
        using MemoryBuffer1D<float, Stride1D.Dense> from = accelerator.Allocate1D(
            LinearDevice.Random(new Random(1), Lines * Rank));
        using MemoryBuffer1D<float, Stride1D.Dense> to = accelerator.Allocate1D<float>(Lines * Rank);
        int[] chosen = [.. Enumerable.Range(0, Rank)];
        using MemoryBuffer1D<int, Stride1D.Dense> previous = accelerator.Allocate1D(chosen);
        using MemoryBuffer1D<int, Stride1D.Dense> current = accelerator.Allocate1D(Array.ConvertAll(chosen, i => i + 3));
        if (Traffic.TryCount(
            () => selector.Remap(stream, from.View, previous.View, current.View, to.View), out Traffic[] launches))
        {
            // Besides the state, the two choices and the way from one to the other.
            const long State = 4L * Lines * Rank, Choice = 4L * Rank;
            Assert.InRange(launches.Sum(l => l.Read), 0, State + (3 * Choice));
            Assert.Equal(State + Choice, launches.Sum(l => l.Written));
        }
    }
}
