using System.Diagnostics.CodeAnalysis;
using ILGPU;
using ILGPU.Runtime;
using Kernels.DeviceCode.Quantization;
using Kernels.DeviceCode.Storage;
using Kernels.Host;
using Kernels.Launching;

namespace Kernels.Quantization;

/// <summary>Codebooks of single numbers by Lloyd's steps.</summary>
[RequiresDynamicCode(LoadedKernels.Reason)]
internal sealed class ScalarFit : IDisposable
{
    private const int CpuChunk = 4096;
    private const int LeastGpuChunk = 256;
    private const int LeastSamples = 256;

    private readonly Accelerator _accelerator;
    private readonly DeviceFacts _facts;
    private readonly CodebookLayout _layout;
    private readonly CodebookFitOptions _options;
    private readonly AssignWalk _walk;
    private readonly int _chunk;
    private readonly FitPieces _pieces;
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _numbers;
    private readonly MemoryBuffer1D<int, Stride1D.Dense> _isMoving;
    private readonly CodebookFitArguments _arguments;
    private readonly ArrayView<float> _lanes;
    private readonly ArrayView<float> _samples;
    private readonly ArrayView<float> _sorted;
    private readonly ItemLauncher<CodebookFitSortWork> _sort;
    private readonly ItemLauncher<CodebookFitStartWork> _start;
    private readonly ItemLauncher<CodebookFitOrderWork> _order;
    private readonly ItemLauncher<AssignLimitWork> _limit;
    private readonly ItemLauncher<CodebookFitFoldWork> _fold;
    private readonly ItemLauncher<CodebookFitMoveWork> _move;
    private readonly ItemLauncher<CodebookFitRestWork> _rest;
    private readonly Lock _loading = new();
    private readonly IKind?[] _kinds = new IKind?[3];

    /// <param name="accelerator">Where the tensors lie.</param>
    /// <param name="layout">The matrix: codes of one weight, without scales.</param>
    /// <param name="options">Options.</param>
    /// <param name="assign">The search, whose walk and limits are the steps' as well.</param>
    internal ScalarFit(Accelerator accelerator, CodebookLayout layout, CodebookFitOptions options, Assign assign)
    {
        _accelerator = accelerator;
        _layout = layout;
        _options = options;
        _facts = DeviceFacts.Of(accelerator);
        _walk = assign.Walk;
        _chunk = _walk == AssignWalk.Fours ? Math.Max(LeastGpuChunk, 16 * layout.Codes) : CpuChunk;
        _pieces = new FitPieces(accelerator, layout, _chunk);
        int samples = Math.Max(LeastSamples, 4 * layout.Codes);
        int groups = layout.CodebookCount;
        long ofChunks = Math.Max(1L, (long)_pieces.Chunks * layout.Codes);
        long ofRuns = Math.Max(1L, (long)_pieces.Runs * layout.Codes);
        // What the start is read off is needed no more when sums begin.
        long ofLanes = _walk == AssignWalk.Sixteens ? 32L * _pieces.Chunks : 0;
        long shared = Math.Max(2L * groups * samples, 2 * ofChunks);
        _numbers = accelerator.Allocate1D<float>(layout.CodebookLength + ((long)groups * assign.Width) + shared
            + (2 * ofRuns) + ofLanes);
        _isMoving = accelerator.Allocate1D<int>(groups);
        long at = 0;
        ArrayView<float> moved = Take(layout.CodebookLength);
        ArrayView<float> limits = Take((long)groups * assign.Width);
        ArrayView<float> runDistances = Take(ofRuns);
        ArrayView<float> runMasses = Take(ofRuns);
        _lanes = Take(ofLanes);
        ArrayView<float> rest = Take(shared);
        _samples = rest.SubView(0, (long)groups * samples);
        _sorted = rest.SubView((long)groups * samples, (long)groups * samples);
        _arguments = new CodebookFitArguments
        {
            Moved = moved,
            Limits = limits,
            Distances = rest.SubView(0, ofChunks),
            Masses = rest.SubView(ofChunks, ofChunks),
            RunDistances = runDistances,
            RunMasses = runMasses,
            ChunkBegin = _pieces.ChunkBegin,
            ChunkGroup = _pieces.ChunkGroup,
            RunBegin = _pieces.RunBegin,
            RunGroup = _pieces.RunGroup,
            GroupBegin = _pieces.GroupBegin,
            IsMoving = _isMoving.View,
            Codes = layout.Codes,
            Width = assign.Width,
            Samples = samples,
        };
        _sort = new ItemLauncher<CodebookFitSortWork>(accelerator, _facts);
        _start = new ItemLauncher<CodebookFitStartWork>(accelerator, _facts);
        _order = new ItemLauncher<CodebookFitOrderWork>(accelerator, _facts);
        _limit = new ItemLauncher<AssignLimitWork>(accelerator, _facts);
        _fold = new ItemLauncher<CodebookFitFoldWork>(accelerator, _facts);
        _move = new ItemLauncher<CodebookFitMoveWork>(accelerator, _facts);
        _rest = new ItemLauncher<CodebookFitRestWork>(accelerator, _facts);

        ArrayView<float> Take(long length)
        {
            ArrayView<float> view = _numbers.View.BaseView.SubView(at, length);
            at += length;
            return view;
        }
    }

    private interface IKind
    {
        void Sample(ScalarFit owner, AcceleratorStream stream, TensorView w, in CodebookFitArguments arguments);

        void Sum(
            ScalarFit owner, AcceleratorStream stream, TensorView w, ArrayView<float> h, in CodebookFitArguments arguments);
    }

    /// <summary>Enqueues the start and all steps.</summary>
    internal void Run(AcceleratorStream stream, TensorView w, ArrayView<float> h, ArrayView<float> codebook)
    {
        IKind kind = Load(w.Storage);
        CodebookFitArguments arguments = _arguments;
        arguments.Codebook = codebook;
        Start(stream, w, codebook, arguments, kind);
        for (int iteration = 0; iteration < _options.Iterations; iteration++)
        {
            Step(stream, w, h, arguments, kind);
        }
    }

    public void Dispose()
    {
        _pieces.Dispose();
        _numbers.Dispose();
        _isMoving.Dispose();
    }

    private void Start(
        AcceleratorStream stream, TensorView w, ArrayView<float> codebook, in CodebookFitArguments arguments, IKind kind)
    {
        if (_options.Start == CodebookStart.Given)
        {
            arguments.Moved.CopyFrom(stream, codebook);
        }
        else
        {
            kind.Sample(this, stream, w, arguments);
            _sort.Run(
                stream, new CodebookFitSortWork { Arguments = arguments, Samples = _samples, Sorted = _sorted },
                0, (long)_layout.CodebookCount * arguments.Samples, grain: 64);
            _start.Run(
                stream, new CodebookFitStartWork { Arguments = arguments, Sorted = _sorted }, 0, _layout.CodebookLength);
        }

        Order(stream, arguments);
        // Anything but 0.
        _isMoving.View.BaseView.MemSet(stream, 1);
    }

    private void Step(
        AcceleratorStream stream, TensorView w, ArrayView<float> h, in CodebookFitArguments arguments, IKind kind)
    {
        _limit.Run(
            stream,
            new AssignLimitWork
            {
                Codebook = arguments.Codebook,
                Limits = arguments.Limits,
                Codes = _layout.Codes,
                Width = _arguments.Width,
            },
            0, _layout.CodebookCount, grain: 64);
        kind.Sum(this, stream, w, h, arguments);
        _fold.Run(stream, new CodebookFitFoldWork { Arguments = arguments }, 0, (long)_pieces.Runs * _layout.Codes, grain: 64);
        _move.Run(stream, new CodebookFitMoveWork { Arguments = arguments }, 0, _layout.CodebookLength, grain: 64);
        _rest.Run(stream, new CodebookFitRestWork { Arguments = arguments }, 0, _layout.CodebookCount, grain: 64);
        Order(stream, arguments);
    }

    private void Order(AcceleratorStream stream, in CodebookFitArguments arguments) =>
        _order.Run(stream, new CodebookFitOrderWork { Arguments = arguments }, 0, _layout.CodebookLength, grain: 256);

    private IKind Load(Storage storage)
    {
        if (Volatile.Read(ref _kinds[(int)storage]) is { } loaded)
        {
            return loaded;
        }

        lock (_loading)
        {
            return _kinds[(int)storage] ??= storage switch
            {
                Storage.F32 => new Of<F32>(this),
                Storage.F16 => new Of<F16>(this),
                _ => new Of<BF16>(this),
            };
        }
    }

    [RequiresDynamicCode(LoadedKernels.Reason)]
    private sealed class Of<TWeight>(ScalarFit owner) : IKind
        where TWeight : struct, IStorage
    {
        private readonly ItemLauncher<CodebookFitSampleWork<TWeight>> _sample = new(owner._accelerator, owner._facts);

        private readonly ItemLauncher<CodebookFitSumWork<TWeight>>? _ones =
            owner._walk == AssignWalk.Fours ? new(owner._accelerator, owner._facts) : null;

        private readonly ItemLauncher<CodebookFitSixteenWork<TWeight>>? _sixteens =
            owner._walk == AssignWalk.Sixteens ? new(owner._accelerator, owner._facts) : null;

        public void Sample(ScalarFit owner, AcceleratorStream stream, TensorView w, in CodebookFitArguments arguments) =>
            _sample.Run(
                stream,
                new CodebookFitSampleWork<TWeight>
                {
                    Arguments = arguments,
                    Numbers = Stored.Of<TWeight>(w),
                    Samples = owner._samples,
                },
                0, (long)owner._layout.CodebookCount * arguments.Samples, grain: 64);

        public unsafe void Sum(
            ScalarFit owner, AcceleratorStream stream, TensorView w, ArrayView<float> h,
            in CodebookFitArguments arguments)
        {
            long items = (long)owner._pieces.Chunks * arguments.Codes;
            var work = new CodebookFitSumWork<TWeight>
            {
                Arguments = arguments,
                Numbers = Stored.Of<TWeight>(w),
                H = h,
                HasH = h.Length > 0 ? 1 : 0,
            };
            _ones?.Run(stream, work, 0, items, grain: 64);
            _sixteens?.Run(
                stream, new CodebookFitSixteenWork<TWeight> { Sum = work, Lanes = owner._lanes }, 0, owner._pieces.Chunks,
                grain: 1);
            if (owner._walk == AssignWalk.Host)
            {
                var host = new HostCodebookFit
                {
                    Arguments = arguments,
                    Weights = new HostStored(w),
                    H = h.Length > 0 ? (float*)h.LoadEffectiveAddressAsPtr() : null,
                    Chunk = owner._chunk,
                };
                HostPool.Run(host, owner._pieces.Chunks, 1, owner._facts.Cores);
            }
        }
    }
}
