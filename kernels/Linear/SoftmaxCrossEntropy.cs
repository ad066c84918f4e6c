using ILGPU;
using ILGPU.Util;
using Kernels.DeviceCode.Common;

namespace Kernels.DeviceCode.Linear;

/// <summary>Softmax and cross-entropy against a class label, with the gradient in the same pass.</summary>
/// <remarks>
/// Source: loss = log(sum exp(x - max)) - (x[label] - max), gradient = (softmax(x) - onehot(label)) / rows; the shift
/// by the maximum keeps every exponential in [0, 1].
/// Shapes: logits, gradient [rows, classes] row-major, labels, losses [rows]; one group, or one item, a row.
/// Storage: F32, sums binary32.
/// Traffic: logits are read three times (the later times from cache for rows that fit), the gradient written once.
/// Needs: groups: 1 KiB of shared memory; a group size that is a power of two up to 256. Items: 128 bytes of it.
/// Order: item i of G (lane i of 16) adds classes i, i + G, ...; then a tree (<see cref="GroupTree"/>). G follows from
/// the classes alone: the same for every launch.
/// Domain: NaN, or infinity of the positive sign, makes loss and gradient of its row NaN, and of no other; so does a
/// label outside 0 .. classes - 1, and a row of minus infinities. A label at minus infinity has loss infinity.
/// Error: derived in the reference.
/// </remarks>
internal static class SoftmaxCrossEntropyKernel
{
    /// <param name="logits">[rows, classes], only read, unless gradient is the same view.</param>
    /// <param name="labels">[rows], only read.</param>
    /// <param name="losses">[rows], written.</param>
    /// <param name="gradient">[rows, classes], written if <paramref name="hasGradient"/>; may be logits itself.</param>
    /// <param name="classes">Number of classes, at least 1.</param>
    /// <param name="hasGradient">0 or 1.</param>
    /// <param name="scale">1 / rows.</param>
    [DeviceKernel("linear/softmaxcrossentropy.rows")]
    internal static void Rows(
        ArrayView<float> logits, ArrayView<int> labels, ArrayView<float> losses, ArrayView<float> gradient,
        int classes, int hasGradient, float scale)
    {
        ArrayView<float> shared = SharedMemory.Allocate<float>(GroupTree.MaxGroup);
        long row = (long)Grid.IdxX * classes;
        int item = Group.IdxX;
        // The last turn is the only one that not all items take: it stands apart, so that the others have no condition.
        int full = classes - classes % Group.DimX;
        int tail = full + item;

        float max = float.NegativeInfinity;
        for (int c = 0; c < full; c += Group.DimX)
        {
            max = GroupTree.Larger(max, logits[row + c + item]);
        }

        if (tail < classes)
        {
            max = GroupTree.Larger(max, logits[row + tail]);
        }

        max = GroupTree.Max(shared, max);
        float sum = 0f;
        for (int c = 0; c < full; c += Group.DimX)
        {
            sum += Exp(logits[row + c + item] - max);
        }

        if (tail < classes)
        {
            sum += Exp(logits[row + tail] - max);
        }

        sum = GroupTree.Sum(shared, sum);
        int label = labels[Grid.IdxX];
        bool known = (label >= 0) & (label < classes);
        if (item == 0)
        {
            float own = logits[row + Utilities.Select(known, label, 0)] - max;
            float loss = Logarithm.OfAtLeastOne(Lane.Of(sum)).Value - own;
            losses[Grid.IdxX] = Utilities.Select(known, loss, float.NaN);
        }

        if (hasGradient == 0)
        {
            return;
        }

        Group.Barrier(); // the label's logit has been read: the gradient may lie in its place
        float factor = Utilities.Select(known, scale, float.NaN);
        float share = 1f / sum;
        for (int c = 0; c < full; c += Group.DimX)
        {
            long at = row + c + item;
            gradient[at] = Slope(logits[at] - max, share, c + item == label, factor);
        }

        if (tail < classes)
        {
            gradient[row + tail] = Slope(logits[row + tail] - max, share, tail == label, factor);
        }
    }

    /// <summary>As <see cref="Rows"/>, for OpenCL CPU devices: a group of one item has a row.</summary>
    [DeviceKernel("linear/softmaxcrossentropy.rowsixteens")]
    internal static void RowSixteens(
        ArrayView<float> logits, ArrayView<int> labels, ArrayView<float> losses, ArrayView<float> gradient,
        int classes, int hasGradient, float scale)
    {
        ArrayView<Sixteen> room = SharedMemory.Allocate<Sixteen>(2);
        long row = (long)Grid.IdxX * classes;
        int zero = Sixteen.Zero(row);
        int full = classes - classes % Sixteen.Width;
        Sixteen largest = Sixteen.Of(float.NegativeInfinity);
        for (int c = 0; c < full; c += Sixteen.Width)
        {
            Sixteen x = Sixteen.Contiguous(logits, row + c);
            largest = Sixteen.IfGreater(x, largest, x, largest);
        }

        float max = largest.Largest(room, 0, zero);
        for (int c = full; c < classes; c++)
        {
            max = GroupTree.Larger(max, logits[row + c]);
        }

        Sixteen shift = Sixteen.Of(max);
        Sixteen sums = default;
        for (int c = 0; c < full; c += Sixteen.Width)
        {
            sums += Sixteen.Contiguous(logits, row + c).Exp(shift);
        }

        float sum = sums.Sum(room, 1, zero);
        for (int c = full; c < classes; c++)
        {
            sum += Exp(logits[row + c] - max);
        }

        int label = labels[Grid.IdxX];
        bool known = (label >= 0) & (label < classes);
        int place = Utilities.Select(known, label, 0);
        float own = logits[row + place] - max;
        float loss = Logarithm.OfAtLeastOne(Lane.Of(sum)).Value - own;
        losses[Grid.IdxX] = Utilities.Select(known, loss, float.NaN);
        if (hasGradient != 0)
        {
            float factor = Utilities.Select(known, scale, float.NaN);
            float share = 1f / sum;
            for (int c = 0; c < full; c += Sixteen.Width + zero)
            {
                Sixteen e = Sixteen.Contiguous(logits, row + c).Exp(shift);
                e.Times(share).Times(factor).Store(gradient, row + c);
            }

            for (int c = full; c < classes; c++)
            {
                gradient[row + c] = Slope(logits[row + c] - max, share, false, factor);
            }

            gradient[row + place] = Slope(own, share, true, factor);
        }
    }

    /// <summary>The mean of the losses, by one group of <see cref="GroupTree.MaxGroup"/> items; NaN of none.</summary>
    /// <param name="losses">[rows], only read.</param>
    /// <param name="mean">[1], written.</param>
    [DeviceKernel("linear/softmaxcrossentropy.mean")]
    internal static void Mean(ArrayView<float> losses, ArrayView<float> mean)
    {
        ArrayView<float> shared = SharedMemory.Allocate<float>(GroupTree.MaxGroup);
        float sum = 0f;
        for (long i = Group.IdxX; i < losses.Length; i += Group.DimX)
        {
            sum += losses[i];
        }

        sum = GroupTree.Sum(shared, sum);
        if (Group.IdxX == 0)
        {
            mean[0] = sum / losses.Length;
        }
    }

    private static float Exp(float x) => Exponential.OfNegative(Lane.Of(x)).Value;

    private static float Slope(float x, float share, bool isLabel, float factor) =>
        (Exp(x) * share - Utilities.Select(isLabel, 1f, 0f)) * factor;
}
