using ILGPU;
using ILGPU.Algorithms;
using Kernels.DeviceCode.Common;

namespace Kernels.DeviceCode.Linear;

/// <summary>Layer normalisation without scale and shift, and its gradient: one group a row, or one item a row.</summary>
/// <remarks>
/// Source: Ba, Kiros, Hinton 2016, arXiv:1607.06450, without gain and bias: y = f (x - mean), f = 1 / sqrt(variance +
/// epsilon), the variance from the differences; dx = f (dy - mean(dy) - y mean(dy y)).
/// Shapes: x, y, dy, dx [rows, columns] row-major, factors [rows].
/// Storage: F32, sums binary32.
/// Traffic: forward x is read three times (the later times from cache) and y written; backward y and dy are read twice.
/// Needs: groups: 1 KiB of shared memory, a group size that is a power of two up to 256. Rows: 128 bytes of it.
/// Order: item i of G (lane i of 16) adds columns i, i + G, ...; then a tree. G follows from the columns alone.
/// Domain: NaN or infinity in a row makes that row NaN, and no other.
/// Error: derived in the reference.
/// </remarks>
internal static class LayerNormKernel
{
    /// <param name="x">[rows, columns], only read, unless y is the same view.</param>
    /// <param name="y">[rows, columns], written; may be x itself.</param>
    /// <param name="factors">[rows], written.</param>
    /// <param name="columns">Columns, at least 1.</param>
    /// <param name="epsilon">Added to the variance.</param>
    [DeviceKernel("linear/layernorm.forward")]
    internal static void Forward(
        ArrayView<float> x, ArrayView<float> y, ArrayView<float> factors, int columns, float epsilon)
    {
        ArrayView<float> shared = SharedMemory.Allocate<float>(GroupTree.MaxGroup);
        long row = (long)Grid.IdxX * columns;
        float sum = 0f;
        for (int c = Group.IdxX; c < columns; c += Group.DimX)
        {
            sum += x[row + c];
        }

        float mean = GroupTree.Sum(shared, sum) / columns;
        float squares = 0f;
        for (int c = Group.IdxX; c < columns; c += Group.DimX)
        {
            float difference = x[row + c] - mean;
            squares += difference * difference;
        }

        float factor = Factor(GroupTree.Sum(shared, squares), columns, epsilon);
        if (Group.IdxX == 0)
        {
            factors[Grid.IdxX] = factor;
        }

        for (int c = Group.IdxX; c < columns; c += Group.DimX)
        {
            y[row + c] = (x[row + c] - mean) * factor;
        }
    }

    /// <param name="y">[rows, columns], what the forward pass wrote, only read.</param>
    /// <param name="factors">[rows], likewise.</param>
    /// <param name="dy">[rows, columns], only read, unless dx is the same view.</param>
    /// <param name="dx">[rows, columns], written; may be dy itself.</param>
    /// <param name="columns">Columns, at least 1.</param>
    /// <param name="accumulate">1: added to what dx holds.</param>
    [DeviceKernel("linear/layernorm.backward")]
    internal static void Backward(
        ArrayView<float> y, ArrayView<float> factors, ArrayView<float> dy, ArrayView<float> dx, int columns,
        int accumulate)
    {
        ArrayView<float> shared = SharedMemory.Allocate<float>(GroupTree.MaxGroup);
        long row = (long)Grid.IdxX * columns;
        float sum = 0f;
        float along = 0f;
        for (int c = Group.IdxX; c < columns; c += Group.DimX)
        {
            float g = dy[row + c];
            sum += g;
            along += g * y[row + c];
        }

        sum = GroupTree.Sum(shared, sum) / columns;
        along = GroupTree.Sum(shared, along) / columns;
        float factor = factors[Grid.IdxX];
        for (int c = Group.IdxX; c < columns; c += Group.DimX)
        {
            float value = factor * (dy[row + c] - sum - y[row + c] * along);
            if (accumulate != 0)
            {
                value = dx[row + c] + value;
            }

            dx[row + c] = value;
        }
    }

    /// <summary>As <see cref="Forward"/>, for OpenCL CPU devices: a group of one item has a row.</summary>
    [DeviceKernel("linear/layernorm.forwardrows")]
    internal static void ForwardRows(
        ArrayView<float> x, ArrayView<float> y, ArrayView<float> factors, int columns, float epsilon)
    {
        ArrayView<Sixteen> room = SharedMemory.Allocate<Sixteen>(2);
        long row = (long)Grid.IdxX * columns;
        int zero = Sixteen.Zero(row);
        int full = columns - columns % Sixteen.Width;
        Sixteen sums = default;
        for (int c = 0; c < full; c += Sixteen.Width)
        {
            sums += Sixteen.Contiguous(x, row + c);
        }

        float sum = sums.Sum(room, 0, zero);
        for (int c = full; c < columns; c++)
        {
            sum += x[row + c];
        }

        float mean = sum / columns;
        Sixteen means = Sixteen.Of(mean);
        Sixteen squares = default;
        for (int c = 0; c < full; c += Sixteen.Width)
        {
            Sixteen difference = Sixteen.Contiguous(x, row + c).Minus(means);
            squares.AddProducts(difference, difference);
        }

        sum = squares.Sum(room, 1, zero);
        for (int c = full; c < columns; c++)
        {
            sum += (x[row + c] - mean) * (x[row + c] - mean);
        }

        float factor = Factor(sum, columns, epsilon);
        factors[Grid.IdxX] = factor;
        for (int c = 0; c < full; c += Sixteen.Width + zero)
        {
            Sixteen.Contiguous(x, row + c).Minus(means).Times(factor).Store(y, row + c);
        }

        for (int c = full; c < columns; c++)
        {
            y[row + c] = (x[row + c] - mean) * factor;
        }
    }

    /// <summary>As <see cref="Backward"/>, for OpenCL CPU devices: a group of one item has a row.</summary>
    [DeviceKernel("linear/layernorm.backwardrows")]
    internal static void BackwardRows(
        ArrayView<float> y, ArrayView<float> factors, ArrayView<float> dy, ArrayView<float> dx, int columns,
        int accumulate)
    {
        ArrayView<Sixteen> room = SharedMemory.Allocate<Sixteen>(2);
        long row = (long)Grid.IdxX * columns;
        int zero = Sixteen.Zero(row);
        int full = columns - columns % Sixteen.Width;
        Sixteen sums = default;
        Sixteen products = default;
        for (int c = 0; c < full; c += Sixteen.Width)
        {
            Sixteen g = Sixteen.Contiguous(dy, row + c);
            sums += g;
            products.AddProducts(g, Sixteen.Contiguous(y, row + c));
        }

        float sum = sums.Sum(room, 0, zero);
        float along = products.Sum(room, 1, zero);
        for (int c = full; c < columns; c++)
        {
            sum += dy[row + c];
            along += dy[row + c] * y[row + c];
        }

        sum /= columns;
        along /= columns;
        float factor = factors[Grid.IdxX];
        Sixteen means = Sixteen.Of(sum);
        for (int c = 0; c < full; c += Sixteen.Width + zero)
        {
            Sixteen value = Sixteen.Contiguous(dy, row + c).Minus(means)
                .Minus(Sixteen.Contiguous(y, row + c).Times(along)).Times(factor);
            if (accumulate != 0)
            {
                value.Add(1f, Sixteen.Contiguous(dx, row + c));
            }

            value.Store(dx, row + c);
        }

        for (int c = full; c < columns; c++)
        {
            float value = factor * (dy[row + c] - sum - y[row + c] * along);
            if (accumulate != 0)
            {
                value = dx[row + c] + value;
            }

            dx[row + c] = value;
        }
    }

    private static float Factor(float squares, int columns, float epsilon) =>
        1f / XMath.Sqrt(squares / columns + epsilon);
}
