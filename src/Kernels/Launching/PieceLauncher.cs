using System.Diagnostics.CodeAnalysis;
using ILGPU.Runtime;
using Kernels.DeviceCode.Reductions;

namespace Kernels.Launching;

/// <summary>Rows cut into pieces: a pure function of their sizes.</summary>
/// <param name="Rows">Rows.</param>
/// <param name="Columns">Elements of a row.</param>
internal readonly record struct PieceLayout(long Rows, long Columns)
{
    /// <summary>Pieces of a row.</summary>
    internal long OfRow => (Columns + Pieces.Length - 1) / Pieces.Length;

    /// <summary>Pieces of all rows.</summary>
    internal long Count => Rows * OfRow;

    /// <summary>Pieces of 256 elements in a row.</summary>
    internal long FullOfRow => Columns / Pieces.Length;

    /// <summary>Elements of the last piece of a row where it is shorter, else 0.</summary>
    internal int ShortLength => (int)(Columns % Pieces.Length);

    /// <summary>What a launch of the full pieces needs to know, or of the short ones.</summary>
    internal Pieces Full => Of(0, FullOfRow);

    internal Pieces Short => Of(FullOfRow, 1);

    private Pieces Of(long first, long width) => new()
    {
        Columns = Columns,
        PiecesOfRow = (int)OfRow,
        Width = (int)width,
        FirstOfRow = (int)first,
    };
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
        long full = layout.Rows * layout.FullOfRow;
        if (TPass.WritesElements)
        {
            _full.Run(stream, new PieceWork<TPass> { Pass = pass, Pieces = layout.Full }, 0, full);
        }
        else
        {
            _short.RunShort(
                stream, new PieceTailWork<TPass> { Pass = pass, Pieces = layout.Full }, full, Pieces.Lanes);
        }

        if (layout.ShortLength > 0)
        {
            _short.RunShort(
                stream, new PieceTailWork<TPass> { Pass = pass, Pieces = layout.Short }, layout.Rows,
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
            stream, new PieceUpdateWork<TUpdate> { Update = update, Pieces = layout.Full }, 0,
            layout.Rows * layout.FullOfRow);
        if (layout.ShortLength > 0)
        {
            _pieces.RunShort(
                stream, new PieceUpdateWork<TUpdate> { Update = update, Pieces = layout.Short }, layout.Rows,
                layout.ShortLength);
        }
    }
}
