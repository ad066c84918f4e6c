using ILGPU;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Optimizers;
using Kernels.DeviceCode.Reductions;

namespace Kernels.DeviceCode.Dct;

/// <summary>
/// For each of the current columns, where it was among the previous ones; -1 where it was not. Or one item finds those that
/// stay, one behind the other.
/// </summary>
/// <remarks>
/// Source: Modoranu et al. 2025, arXiv:2505.17967: the state is rotated by Q_previous Q_current^T, whose rows and columns
/// are those of an orthogonal matrix: a one where a column is in both choices, and nothing else.
/// Shapes: previous, current [r], ascending; map [2 r + 1], of which r are written, or of s columns that stay where they
/// were in [0, s), where they are in [r, r + s), and s in [2 r]. Traffic: log2(r) reads an item, or 2 r of one.
/// </remarks>
internal struct RemapSearch : IItemWork
{
    public ArrayView<int> Previous;
    public ArrayView<int> Current;
    public ArrayView<int> Map;
    public int Rank;

    /// <summary>1 for one item that finds what stays, for CPUs.</summary>
    public int IsMerge;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        if (IsMerge != 0)
        {
            Merge();
        }
        else
        {
            Find(i);
        }
    }

    private readonly void Merge()
    {
        int count = 0;
        int old = 0;
        int now = 0;
        while (old < Rank && now < Rank)
        {
            int before = Previous[old];
            int after = Current[now];
            Map[count] = old;
            Map[Rank + count] = now;
            count += before == after ? 1 : 0;
            old += before <= after ? 1 : 0;
            now += before >= after ? 1 : 0;
        }

        Map[2 * Rank] = count;
    }

    private readonly void Find(long i)
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

    /// <summary>Of <see cref="RemapSearch"/>; what stays, if an item has a row of [rows, r].</summary>
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
        if (IsByRows == 0)
        {
            long row = GatherWork.Quotient(i, width);
            int column = (int)(i - row * width);
            To[i] = Moved(Map[IsLeft != 0 ? row : column], row, column, width);
        }
        else if (IsLeft != 0)
        {
            int from = Map[i];
            for (int column = 0; column < width; column++)
            {
                To[i * width + column] = Moved(from, i, column, width);
            }
        }
        else
        {
            for (int column = 0; column < width; column++)
            {
                To[i * width + column] = 0f;
            }

            int count = Map[2 * Rank];
            for (int k = 0; k < count; k++)
            {
                To[i * width + Map[Rank + k]] = From[i * width + Map[k]];
            }
        }
    }

    private readonly float Moved(int from, long row, int column, int width)
    {
        float value = 0f;
        if (from >= 0)
        {
            value = From[IsLeft != 0 ? (long)from * width + column : row * width + from];
        }

        return value;
    }
}
