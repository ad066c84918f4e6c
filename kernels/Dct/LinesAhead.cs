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

    /// <summary>Lines for each point of a stage, in parts of <see cref="Unit"/>; 0 to ask for none.</summary>
    public int Rate;

    /// <summary>Parts of a line.</summary>
    private const int Unit = 256;

    /// <summary>Lines that are asked for while the stages go over so many points.</summary>
    internal static LinesAhead In(ArrayView<float> view, long first, long stride, int count, int points) => new()
    {
        View = view,
        First = first,
        Stride = stride,
        Count = count,
        Rate = points > 0 ? (int)(((long)count * Unit + points - 1) / points) : 0,
    };

    /// <summary>Asks for all at once.</summary>
    internal readonly void Ask() => Ask(0, Count);

    /// <summary>Asks for those that belong to some points, behind others.</summary>
    internal readonly void AskFor(int done, int points) =>
        Ask(Until(done), Until(done + points));

    private readonly void Ask(int line, int end)
    {
        for (; line < end; line++)
        {
            OpenClCpu.Prefetch(ref View[First + line * Stride]);
        }
    }

    private readonly int Until(int points) => (int)IntrinsicMath.Min((long)points * Rate / Unit, (long)Count);
}

/// <summary>What is asked for while sixteen lines are computed.</summary>
internal struct SixteensAhead
{
    /// <summary>The next sixteen.</summary>
    public LinesAhead Input;

    /// <summary>Where the result of these goes.</summary>
    public LinesAhead Output;
}
