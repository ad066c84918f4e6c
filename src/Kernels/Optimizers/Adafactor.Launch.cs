using System.Diagnostics.CodeAnalysis;
using ILGPU;
using ILGPU.Runtime;
using Kernels.DeviceCode.Optimizers;
using Kernels.DeviceCode.Reductions;
using Kernels.DeviceCode.Storage;
using Kernels.Launching;

namespace Kernels.Optimizers;

/// <content>The launches of a step on a device.</content>
public sealed partial class Adafactor
{
    [UnconditionalSuppressMessage("AOT", "IL3050", Justification = LoadedKernels.Told)]
    private readonly struct Launch(
        Adafactor adafactor, AcceleratorStream stream, ArrayView<StepControl> control, Memory memory,
        AdafactorScalars scalars) : IUpdateLaunch
    {
        public void Run<TParam, TGrad, TExtras>(UpdateTensors<TParam, TGrad> t, TExtras extras)
            where TParam : struct, IStorage
            where TGrad : struct, IStorage
            where TExtras : struct, IExtras
        {
            Tensors<TParam, TGrad> tensors = adafactor._kernels.Get(
                static (accelerator, facts) => new Tensors<TParam, TGrad>(accelerator, facts));
            DeviceTable<AdafactorPiece> pieces = adafactor._pieces;
            int count = pieces.Length;
            int narrow = adafactor._longEnd;
            int whole = adafactor._narrowEnd;
            var squares = new AdafactorSquares<TParam, TGrad, FactoredMoments>
            {
                T = t,
                Control = control,
                Scalars = scalars,
                GradientSquares = memory.LanesX,
                ParameterSquares = memory.LanesY,
            };
            tensors.Squares.Run(stream, new() { Pass = squares }, pieces, 0, whole);
            var moments = new AdafactorSquares<TParam, TGrad, WholeMoments>
            {
                T = t,
                Control = control,
                Scalars = scalars,
                GradientSquares = memory.LanesX,
                ParameterSquares = memory.LanesY,
            };
            tensors.Moments.Run(
                stream, new() { Pass = moments }, pieces, whole, adafactor._wholeFullEnd, isFull: true);
            tensors.MomentTails.Run(stream, new() { Pass = moments }, pieces, adafactor._wholeFullEnd, count);
            SumPieces(hasX: adafactor._rowTable.Length > 0);
            var shortRows = new AdafactorShortRows<TParam, TGrad>
            {
                T = t,
                Control = control,
                Sizes = adafactor._sizes.View,
                Scalars = scalars,
            };
            tensors.ShortRows.Run(stream, shortRows, pieces, narrow, whole);
            Columns(tensors, t);
            adafactor.Scale(stream, t.A, t.B, control, memory, scalars);
            UpdateSquares<TParam, TGrad, FactoredMoments>(t, 0, narrow);
            UpdateSquares<TParam, TGrad, NarrowMoments>(t, narrow, whole);
            UpdateSquares<TParam, TGrad, WholeMoments>(t, whole, count);
            SumPieces(hasX: false);
            adafactor.Rate(stream, memory, scalars);
            Apply<TParam, TGrad, FactoredMoments, TExtras>(t, extras, 0, adafactor._longFullEnd, narrow);
            Apply<TParam, TGrad, NarrowMoments, TExtras>(t, extras, narrow, narrow, whole);
            Apply<TParam, TGrad, WholeMoments, TExtras>(t, extras, whole, adafactor._wholeFullEnd, count);
        }

        private void SumPieces(bool hasX)
        {
            var sums = new PieceSumWork
            {
                LanesX = memory.LanesX,
                LanesY = memory.LanesY,
                SumsX = memory.PiecesX,
                SumsY = memory.PiecesY,
                HasX = hasX ? 1 : 0,
            };
            adafactor._pieceSums.Run(stream, sums, 0, adafactor._pieces.Length);
        }

        private void Columns<TParam, TGrad>(Tensors<TParam, TGrad> tensors, UpdateTensors<TParam, TGrad> t)
            where TParam : struct, IStorage
            where TGrad : struct, IStorage
        {
            DeviceTable<AdafactorColumnPiece> pieces = adafactor._columnPieces;
            var groups = new AdafactorColumnGroups<TParam, TGrad>
            {
                T = t,
                Control = control,
                ColumnSquares = memory.ColumnSquares,
            };
            tensors.ColumnGroups.Run(stream, groups, pieces, 0, adafactor._groupsFullEnd, isFull: true);
            tensors.ColumnGroups.Run(stream, groups, pieces, adafactor._groupsFullEnd, adafactor._groupsEnd);
            var tails = new AdafactorColumnTails<TParam, TGrad>
            {
                T = t,
                Control = control,
                ColumnSquares = memory.ColumnSquares,
            };
            tensors.ColumnTails.Run(stream, tails, pieces, adafactor._groupsEnd, pieces.Length);
        }

        private void UpdateSquares<TParam, TGrad, TMoments>(UpdateTensors<TParam, TGrad> t, int first, int end)
            where TParam : struct, IStorage
            where TGrad : struct, IStorage
            where TMoments : struct, ISecondMoments
        {
            if (first == end)
            {
                return;
            }

            var update = new AdafactorUpdateSquares<TParam, TGrad, TMoments>
            {
                T = t,
                Control = control,
                Scales = memory.Scales,
                Scalars = scalars,
                UpdateSquares = memory.LanesY,
            };
            adafactor._kernels
                .Get(static (accelerator, facts) => new Updates<TParam, TGrad, TMoments>(accelerator, facts))
                .Squares.Run(stream, new() { Pass = update }, adafactor._pieces, first, end);
        }

        private void Apply<TParam, TGrad, TMoments, TExtras>(
            UpdateTensors<TParam, TGrad> t, TExtras extras, int first, int fullEnd, int end)
            where TParam : struct, IStorage
            where TGrad : struct, IStorage
            where TMoments : struct, ISecondMoments
            where TExtras : struct, IExtras
        {
            if (first == end)
            {
                return;
            }

            var apply = new AdafactorApply<TParam, TGrad, TMoments, TExtras>
            {
                T = t,
                Extras = extras,
                Control = control,
                Scales = memory.Scales,
                Rates = memory.Rates,
                Scalars = scalars,
            };
            TableLauncher<AdafactorApply<TParam, TGrad, TMoments, TExtras>, AdafactorPiece> launcher =
                adafactor._kernels.Get(
                    static (accelerator, facts) =>
                        new TableLauncher<AdafactorApply<TParam, TGrad, TMoments, TExtras>, AdafactorPiece>(
                            accelerator, facts));
            launcher.Run(stream, apply, adafactor._pieces, first, fullEnd, isFull: true);
            launcher.Run(stream, apply, adafactor._pieces, fullEnd, end);
        }
    }

    /// <summary>The passes that do not depend on the extras.</summary>
    [RequiresDynamicCode(LoadedKernels.Reason)]
    private sealed class Tensors<TParam, TGrad>(Accelerator accelerator, DeviceFacts facts)
        where TParam : struct, IStorage
        where TGrad : struct, IStorage
    {
        internal TableLauncher<AdafactorLane<AdafactorSquares<TParam, TGrad, FactoredMoments>>, AdafactorPiece> Squares
        { get; } = new(accelerator, facts);

        internal TableLauncher<AdafactorFullLane<AdafactorSquares<TParam, TGrad, WholeMoments>>, AdafactorPiece> Moments
        { get; } = new(accelerator, facts);

        internal TableLauncher<AdafactorLane<AdafactorSquares<TParam, TGrad, WholeMoments>>, AdafactorPiece> MomentTails
        { get; } = new(accelerator, facts);

        internal TableLauncher<AdafactorShortRows<TParam, TGrad>, AdafactorPiece> ShortRows { get; } =
            new(accelerator, facts);

        internal TableLauncher<AdafactorColumnGroups<TParam, TGrad>, AdafactorColumnPiece> ColumnGroups { get; } =
            new(accelerator, facts);

        internal TableLauncher<AdafactorColumnTails<TParam, TGrad>, AdafactorColumnPiece> ColumnTails { get; } =
            new(accelerator, facts);
    }

    [RequiresDynamicCode(LoadedKernels.Reason)]
    private sealed class Updates<TParam, TGrad, TMoments>(Accelerator accelerator, DeviceFacts facts)
        where TParam : struct, IStorage
        where TGrad : struct, IStorage
        where TMoments : struct, ISecondMoments
    {
        internal TableLauncher<AdafactorLane<AdafactorUpdateSquares<TParam, TGrad, TMoments>>, AdafactorPiece> Squares
        { get; } = new(accelerator, facts);
    }
}
