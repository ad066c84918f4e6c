using System.Diagnostics.CodeAnalysis;
using ILGPU;
using ILGPU.Runtime;
using Kernels.DeviceCode.Dct;
using Kernels.DeviceCode.Linear;
using Kernels.DeviceCode.Optimizers;
using Kernels.DeviceCode.Reductions;
using Kernels.Launching;

namespace Kernels.Dct;

/// <summary>The scratch of a choice of columns; those of several matrices can share it.</summary>
internal sealed class SubspaceScratch(Accelerator accelerator) : IDisposable
{
    private MemoryBuffer1D<float, Stride1D.Dense>? _floats;
    private MemoryBuffer1D<int, Stride1D.Dense>? _map;

    internal long Bytes => (_floats?.LengthInBytes ?? 0) + (_map?.LengthInBytes ?? 0);

    internal ArrayView<int> Map => _map!.View;

    internal bool IsDisposed { get; private set; }

    /// <summary>The first so many floats.</summary>
    internal ArrayView<float> Floats(long length)
    {
        ArrayView<float> all = _floats!.View;
        return all.SubView(0, length);
    }

    /// <summary>Makes room; only before the first launch.</summary>
    internal void Reserve(long floats, int rank)
    {
        if ((_floats?.Length ?? 0) < floats)
        {
            _floats?.Dispose();
            _floats = accelerator.Allocate1D<float>(floats);
        }

        // What RemapSearch writes.
        long map = (2L * rank) + 1;
        if ((_map?.Length ?? 0) < map)
        {
            _map?.Dispose();
            _map = accelerator.Allocate1D<int>(map);
        }
    }

    public void Dispose()
    {
        IsDisposed = true;
        _floats?.Dispose();
        _map?.Dispose();
    }
}

/// <summary>The launches around a choice of columns for matrices of one shape. Everything has been checked.</summary>
[RequiresDynamicCode(LoadedKernels.Reason)]
internal sealed class Subspace
{
    // As in ItemLauncher: two threads must not set an OpenCL kernel's arguments at once.
    private static readonly Lock s_gate = new();

    private readonly DeviceFacts _facts;
    private readonly TransformEngine _forward;
    private readonly TransformEngine _backward;
    private readonly SubspaceScratch _scratch;
    private readonly ItemLauncher<StridedSum> _sums;
    private readonly ItemLauncher<GatherWork> _gather;
    private readonly ItemLauncher<RemapSearch> _search;
    private readonly ItemLauncher<RemapWork> _remap;
    private readonly Action<AcceleratorStream, KernelConfig, SelectArguments>? _top;
    private readonly bool _isL1;

    internal Subspace(
        Accelerator accelerator, int rows, int columns, int rank, ColumnSelectorOptions options,
        TransformEngine forward, TransformEngine backward, SubspaceScratch scratch)
    {
        _facts = DeviceFacts.Of(accelerator);
        _forward = forward;
        _backward = backward;
        _scratch = scratch;
        _isL1 = options.Norm == ColumnNorm.L1;
        IsLeft = options.IsLeft(rows, columns);
        Length = IsLeft ? rows : columns;
        Lines = IsLeft ? columns : rows;
        Rank = rank;
        _sums = new ItemLauncher<StridedSum>(accelerator, _facts);
        _gather = new ItemLauncher<GatherWork>(accelerator, _facts);
        _search = new ItemLauncher<RemapSearch>(accelerator, _facts);
        _remap = new ItemLauncher<RemapWork>(accelerator, _facts);
        if (_facts.Class != DeviceClass.Host)
        {
            _top = accelerator.LoadKernel<SelectArguments>(SelectKernel.Top);
        }

        scratch.Reserve(ScratchFloats, rank);
    }

    /// <summary>Whether columns are transformed.</summary>
    internal bool IsLeft { get; }

    /// <summary>n, numbers of a line.</summary>
    internal int Length { get; }

    /// <summary>Lines of the matrix.</summary>
    internal int Lines { get; }

    /// <summary>r.</summary>
    internal int Rank { get; }

    // By sixteens the last ones may be beyond the matrix.
    private long Elements => Length * (_forward.IsBySixteens
        ? (Lines + Sixteen.Width - 1L) / Sixteen.Width * Sixteen.Width
        : Lines);

    private long Partial => (long)_forward.Segments(Lines) * Length;

    private long Folded => (long)Folds(_forward.Segments(Lines)) * Length;

    // The transformed matrix; squares and magnitudes, partial and folded twice; the scores; an energy nobody asked for.
    private long ScratchFloats => Elements + (2 * Partial) + (2 * Folded) + (2 * Length) + 1;

    /// <summary>Chooses columns of x (+ addend) and gives its coordinates in them.</summary>
    internal void Select(
        AcceleratorStream stream, TensorView x, TensorView addend, ArrayView<int> index, TensorView projected,
        TensorView energy)
    {
        ArrayView<float> all = _scratch.Floats(ScratchFloats);
        ArrayView<float> transformed = all.SubView(0, Elements);
        ArrayView<float> squares = all.SubView(Elements, Partial);
        ArrayView<float> magnitudes = all.SubView(Elements + Partial, Partial);
        _forward.Run(stream, new TransformCall
        {
            X = x,
            Addend = addend,
            Y = transformed,
            Squares = _isL1 && energy.IsEmpty ? default : squares,
            Magnitudes = _isL1 ? magnitudes : default,
            Lines = Lines,
            IsColumns = IsLeft,
        });
        ArrayView<float> folded = all.SubView(Elements + (2 * Partial), 2 * Folded);
        ArrayView<float> sums = all.SubView(Elements + (2 * Partial) + (2 * Folded), 2 * Length);
        ArrayView<float> scores = _isL1
            ? Sum(stream, magnitudes, folded, sums.SubView(0, Length))
            : Sum(stream, squares, folded, sums.SubView(0, Length));
        ArrayView<float> energies = _isL1 && !energy.IsEmpty
            ? Sum(stream, squares, folded, sums.SubView(Length, Length))
            : scores;
        Top(stream, new SelectArguments
        {
            Scores = scores,
            Squares = energies,
            Index = index,
            Energy = energy.IsEmpty ? all.SubView(ScratchFloats - 1, 1) : energy.As<float>(),
            Length = Length,
            Rank = Rank,
        });
        var gather = new GatherWork
        {
            From = transformed,
            To = projected.As<float>(),
            Index = index,
            Length = Length,
            Lines = Lines,
            Rank = Rank,
            IsLeft = IsLeft ? 1 : 0,
            IsByRows = IsByRows ? 1 : 0,
            IsBySixteens = _forward.IsBySixteens ? 1 : 0,
        };
        RunByRows(_gather, stream, gather);
    }

    /// <summary>The coordinates of x (+ addend) in columns that are known.</summary>
    internal void Project(
        AcceleratorStream stream, TensorView x, TensorView addend, ArrayView<int> index, TensorView projected) =>
        _forward.Run(stream, new TransformCall
        {
            X = x,
            Addend = addend,
            Y = projected,
            Index = index,
            Lines = Lines,
            IsColumns = IsLeft,
            IsOutputSparse = true,
        });

    /// <summary>full = keep full + factor times what has these coordinates.</summary>
    internal void BackProject(
        AcceleratorStream stream, TensorView projected, ArrayView<int> index, TensorView full, float keep, float factor) =>
        _backward.Run(stream, new TransformCall
        {
            X = projected,
            Y = full,
            Index = index,
            Lines = Lines,
            IsColumns = IsLeft,
            IsInputSparse = true,
            IsBlended = keep != 0 || factor != 1,
            Keep = keep,
            Factor = factor,
        });

    /// <summary>Finds where the current columns were among the previous ones.</summary>
    /// <returns>What <see cref="Remap"/> wants, valid until the next search.</returns>
    internal ArrayView<int> Search(AcceleratorStream stream, ArrayView<int> previous, ArrayView<int> current)
    {
        bool isMerge = IsByRows && !IsLeft;
        var work = new RemapSearch
        {
            Previous = previous,
            Current = current,
            Map = _scratch.Map,
            Rank = Rank,
            IsMerge = isMerge ? 1 : 0,
        };
        _search.Run(stream, work, 0, isMerge ? 1 : Rank);
        return work.Map;
    }

    /// <summary>Moves a state.</summary>
    internal void Remap(
        AcceleratorStream stream, TensorView from, ArrayView<int> map, TensorView to,
        ArrayView<StepControl> control = default)
    {
        var work = new RemapWork
        {
            From = from.As<float>(),
            To = to.As<float>(),
            Map = map,
            Lines = Lines,
            Rank = Rank,
            IsLeft = IsLeft ? 1 : 0,
            IsByRows = IsByRows ? 1 : 0,
            Control = control.IsValid ? control : _scratch.Floats(2).Cast<StepControl>(),
            HasControl = control.IsValid ? 1 : 0,
        };
        RunByRows(_remap, stream, work);
    }

    // A row of a projected matrix is work for a core: no division for each element.
    private bool IsByRows => _facts.Class != DeviceClass.Gpu;

    private void RunByRows<TWork>(ItemLauncher<TWork> launcher, AcceleratorStream stream, in TWork work)
        where TWork : struct, IItemWork
    {
        if (IsByRows)
        {
            launcher.RunApart(stream, work, IsLeft ? Rank : Lines);
        }
        else
        {
            launcher.Run(stream, work, 0, (long)Lines * Rank);
        }
    }

    private static int Folds(int segments) => (segments + StridedSum.Fold - 1) / StridedSum.Fold;

    /// <summary>The sum of all segments.</summary>
    /// <returns>Where it is.</returns>
    private ArrayView<float> Sum(
        AcceleratorStream stream, ArrayView<float> partial, ArrayView<float> folded, ArrayView<float> result)
    {
        int segments = _forward.Segments(Lines);
        ArrayView<float> from = partial;
        bool isSecond = false;
        while (true)
        {
            int folds = Folds(segments);
            ArrayView<float> to = folds == 1 ? result : folded.SubView(isSecond ? Folded : 0, (long)folds * Length);
            var work = new StridedSum
            {
                From = from,
                To = to,
                Inputs = (long)segments * Length,
                Outputs = (long)folds * Length,
            };
            _sums.Run(stream, work, 0, work.Outputs, grain: 512);
            if (folds == 1)
            {
                return result;
            }

            isSecond = !isSecond;
            from = to;
            segments = folds;
        }
    }

    private void Top(AcceleratorStream stream, in SelectArguments arguments)
    {
        if (_top is null)
        {
            HostSelect.Top(arguments);
            return;
        }

        int size = 1;
        // A group is one thread of an OpenCL CPU device: more items cost barriers and win nothing.
        int most = _facts.Class == DeviceClass.OpenClCpu ? 1 : Math.Min(GroupTree.MaxGroup, _facts.MaxGroup);
        while (size * 2 <= Math.Min(most, Length))
        {
            size *= 2;
        }

        lock (s_gate)
        {
            _top(stream, (1, size), arguments);
        }
    }
}
