using ILGPU;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Optimizers;
using Kernels.DeviceCode.Reductions;

namespace Kernels.DeviceCode.Dct;

/// <summary>For each of the current columns, where it was among the previous ones; -1 where it was not.</summary>
/// <remarks>
/// Source: Modoranu et al. 2025, arXiv:2505.17967: the state is rotated by Q_previous Q_current^T, whose rows and columns
/// are those of an orthogonal matrix: a one where a column is in both choices, and nothing else.
/// Shapes: previous, current, map [r]. Both ascend. Traffic: log2(r) reads an item.
/// </remarks>
internal struct RemapSearch : IItemWork
{
    public ArrayView<int> Previous;
    public ArrayView<int> Current;
    public ArrayView<int> Map;
    public int Rank;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        int wanted = Current[i];
        int low = 0;
        int high = Rank;
        while (low < high)
        {
            int middle = (low + high) >> 1;
            bool isBelow = Previous[middle] < wanted;
            low = isBelow ? middle + 1 : low;
            high = isBelow ? high : middle;
        }

        int found = -1;
        if (low < Rank)
        {
            found = Previous[low] == wanted ? low : -1;
        }

        Map[i] = found;
    }
}

/// <summary>A state [rows, r] or [r, columns] on its way to other columns: those that stay take theirs along.</summary>
/// <remarks>Traffic: reads what stays and writes all. Exact. Source: as <see cref="RemapSearch"/>.</remarks>
internal struct RemapWork : IItemWork
{
    public ArrayView<float> From;
    public ArrayView<float> To;
    public ArrayView<int> Map;
    public int Lines;
    public int Rank;

    /// <summary>1 for [r, columns].</summary>
    public int IsLeft;

    /// <summary>1 if an item has a row, for CPUs; else an element.</summary>
    public int IsByRows;

    /// <summary>If <see cref="HasControl"/>: nothing is written in a step that is skipped.</summary>
    public ArrayView<StepControl> Control;

    /// <summary>1 if there is a control.</summary>
    public int HasControl;

    public readonly Quad Uniform()
    {
        float skip = 0f;
        if (HasControl != 0)
        {
            skip = Control[0].Skip;
        }

        return new Quad { X = skip };
    }

    public readonly void Item(long i, Quad uniform)
    {
        if (uniform.X != 0f)
        {
            return;
        }

        int width = IsLeft != 0 ? Lines : Rank;
        if (IsByRows != 0)
        {
            for (int column = 0; column < width; column++)
            {
                To[i * width + column] = Moved(i, column, width);
            }
        }
        else
        {
            long row = GatherWork.Quotient(i, width);
            To[i] = Moved(row, (int)(i - row * width), width);
        }
    }

    private readonly float Moved(long row, int column, int width)
    {
        int from = Map[IsLeft != 0 ? row : column];
        float value = 0f;
        if (from >= 0)
        {
            value = From[IsLeft != 0 ? (long)from * width + column : row * width + from];
        }

        return value;
    }
}
