using System.Diagnostics.CodeAnalysis;
using ILGPU.Runtime;
using Kernels.DeviceCode.Reductions;

namespace Kernels.Launching;

/// <summary>Elements cut into pieces.</summary>
/// <param name="Elements">How many.</param>
internal readonly record struct PieceLayout(long Elements)
{
    /// <summary>Pieces of 256 elements.</summary>
    internal long FullCount => Elements / Pieces.Length;

    /// <summary>All pieces.</summary>
    internal long Count => (Elements + Pieces.Length - 1) / Pieces.Length;

    /// <summary>Elements of the last piece where it is shorter, else 0.</summary>
    internal int ShortLength => (int)(Elements % Pieces.Length);

    /// <summary>What a launch of the full pieces needs to know, or of the short one.</summary>
    internal Pieces Full => new() { Elements = Elements };

    internal Pieces Short => new() { Elements = Elements, Start = (int)FullCount };
}

/// <summary>Launches a pass that sums squares over pieces, and the sums of their lanes.</summary>
[RequiresDynamicCode(LoadedKernels.Reason)]
internal sealed class PieceLauncher<TPass>(Accelerator accelerator, DeviceFacts facts)
    where TPass : struct, IPiecePass
{
    private readonly BlockLauncher<PieceWork<TPass>> _full = new(accelerator, facts);
    private readonly BlockLauncher<PieceTailWork<TPass>> _short = new(accelerator, facts);

    internal void Run(AcceleratorStream stream, in TPass pass, PieceLayout layout)
    {
        _full.Run(stream, new PieceWork<TPass> { Pass = pass, Pieces = layout.Full }, 0, layout.FullCount);
        if (layout.ShortLength > 0)
        {
            _short.RunShort(
                stream, new PieceTailWork<TPass> { Pass = pass, Pieces = layout.Short }, 1,
                Math.Min(Pieces.Lanes, layout.ShortLength));
        }
    }
}

/// <summary>Launches a pass that changes the elements of pieces.</summary>
[RequiresDynamicCode(LoadedKernels.Reason)]
internal sealed class PieceUpdateLauncher<TUpdate>(Accelerator accelerator, DeviceFacts facts)
    where TUpdate : struct, IPieceUpdate
{
    private readonly BlockLauncher<PieceUpdateWork<TUpdate>> _pieces = new(accelerator, facts);

    internal void Run(AcceleratorStream stream, in TUpdate update, PieceLayout layout)
    {
        _pieces.Run(
            stream, new PieceUpdateWork<TUpdate> { Update = update, Pieces = layout.Full }, 0, layout.FullCount);
        if (layout.ShortLength > 0)
        {
            _pieces.RunShort(
                stream, new PieceUpdateWork<TUpdate> { Update = update, Pieces = layout.Short }, 1, layout.ShortLength);
        }
    }
}
