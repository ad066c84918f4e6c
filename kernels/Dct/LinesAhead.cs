using ILGPU;
using Kernels.DeviceCode.Common;

namespace Kernels.DeviceCode.Dct;

/// <summary>Cache lines that will be read or written, asked for some at a time: a core brings them while it computes.</summary>
internal struct LinesAhead
{
    public ArrayView<float> View;

    /// <summary>An element of the first line.</summary>
    public long First;

    /// <summary>From an element of a line to one of the next.</summary>
    public long Stride;

    /// <summary>Lines.</summary>
    public int Count;

    /// <summary>Lines at a time, no more than all; 0 to ask for none.</summary>
    public int Each;

    /// <summary>Lines that are asked for in so many times.</summary>
    internal static LinesAhead In(ArrayView<float> view, long first, long stride, int count, int times) => new()
    {
        View = view,
        First = first,
        Stride = stride,
        Count = count,
        Each = times > 0 ? (count + times - 1) / times : 0,
    };

    /// <summary>Asks for those of one time; where they are all there, for the last ones again.</summary>
    internal readonly void Ask(int time)
    {
        long at = First + Stride * IntrinsicMath.Min(time * Each, Count - Each);
        for (int i = 0; i < Each; i++)
        {
            OpenClCpu.Prefetch(ref View[at + i * Stride]);
        }
    }
}

/// <summary>What is asked for while sixteen lines are computed.</summary>
internal struct SixteensAhead
{
    /// <summary>The next sixteen.</summary>
    public LinesAhead Input;

    /// <summary>Where the result of these goes.</summary>
    public LinesAhead Output;
}
