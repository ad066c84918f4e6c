using ILGPU;
using ILGPU.Util;
using Kernels.DeviceCode.Common;

namespace Kernels.DeviceCode.Linear;

/// <summary>The class of the largest logit, and how many of them are the labels.</summary>
/// <remarks>
/// Shapes: logits [rows, classes] row-major, predictions, labels [rows], count [1].
/// Needs: 2 KiB of shared memory; a group size that is a power of two up to 256.
/// Order: exact, so the same for every launch and device.
/// Ties: the lowest class. A row with a NaN anywhere has -1, which is no label: its largest logit is not known.
/// </remarks>
internal static class PredictionKernel
{
    /// <param name="logits">[rows, classes], only read.</param>
    /// <param name="predictions">[rows], written.</param>
    /// <param name="classes">Number of classes, at least 1.</param>
    [DeviceKernel("linear/prediction.argmax")]
    internal static void ArgMax(ArrayView<float> logits, ArrayView<int> predictions, int classes)
    {
        ArrayView<int> keys = SharedMemory.Allocate<int>(GroupTree.MaxGroup);
        ArrayView<int> indices = SharedMemory.Allocate<int>(GroupTree.MaxGroup);
        long row = (long)Grid.IdxX * classes;
        int item = Group.IdxX;
        int best = NoKey;
        int index = classes;
        for (int c = item; c < classes; c += Group.DimX)
        {
            int key = Key(logits[row + c]);
            index = Utilities.Select(key > best, c, index);
            best = IntrinsicMath.Max(key, best);
        }

        keys[item] = best;
        indices[item] = index;
        for (int half = Group.DimX >> 1; half > 0; half >>= 1)
        {
            Group.Barrier();
            if (item < half)
            {
                int key = keys[item + half];
                int other = indices[item + half];
                bool wins = (key > keys[item]) | ((key == keys[item]) & (other < indices[item]));
                keys[item] = Utilities.Select(wins, key, keys[item]);
                indices[item] = Utilities.Select(wins, other, indices[item]);
            }
        }

        if (item == 0)
        {
            predictions[Grid.IdxX] = Utilities.Select(keys[0] == NaNKey, -1, indices[0]);
        }
    }

    /// <summary>How many predictions are the labels, by one group of <see cref="GroupTree.MaxGroup"/> items.</summary>
    /// <param name="predictions">[rows], only read.</param>
    /// <param name="labels">[rows], only read.</param>
    /// <param name="count">[1], written.</param>
    [DeviceKernel("linear/prediction.count")]
    internal static void Count(ArrayView<int> predictions, ArrayView<int> labels, ArrayView<int> count)
    {
        ArrayView<int> shared = SharedMemory.Allocate<int>(GroupTree.MaxGroup);
        int item = Group.IdxX;
        int right = 0;
        for (long i = item; i < predictions.Length; i += Group.DimX)
        {
            right += Utilities.Select((predictions[i] == labels[i]) & (labels[i] >= 0), 1, 0);
        }

        shared[item] = right;
        for (int half = Group.DimX >> 1; half > 0; half >>= 1)
        {
            Group.Barrier();
            if (item < half)
            {
                shared[item] = shared[item] + shared[item + half];
            }
        }

        if (item == 0)
        {
            count[0] = shared[0];
        }
    }

    private const int NoKey = int.MinValue;   // of an item without a logit
    private const int NaNKey = int.MaxValue;

    /// <summary>An integer in the order of the floats: both zeros alike, NaN above all, so that it is found.</summary>
    // By bits: OpenCL code through ILGPU takes comparisons with NaN for ordered ones.
    internal static int Key(float value)
    {
        uint bits = Interop.FloatAsInt(value);
        uint magnitude = bits & 0x7FFFFFFFu;
        int ordered = Utilities.Select(bits != magnitude, -(int)magnitude, (int)magnitude);
        return Utilities.Select(magnitude > 0x7F800000u, NaNKey, ordered);
    }
}
