using System.Diagnostics.CodeAnalysis;
using ILGPU;
using ILGPU.Runtime;
using Kernels.DeviceCode.Quantization;
using Kernels.Launching;
using Kernels.VectorQuantization;

namespace Kernels.Quantization;

/// <summary>Codebooks of codes of several weights by Lloyd's steps: the nearest codes, and then the means, plane after plane,
/// as <see cref="CodebookGradient"/> has them for single numbers.</summary>
[RequiresDynamicCode(LoadedKernels.Reason)]
internal sealed class VectorFit : IDisposable
{
    /// <summary>What k-means has as heads.</summary>
    internal const int MostCodebooks = 65_536;

    private const int LeastSamples = 256;

    private readonly CodebookLayout _plane;
    private readonly int _length;
    private readonly CodebookFitOptions _options;
    private readonly Assign _assign;
    private readonly CodebookGradient _means;
    private readonly FitPieces? _pieces;
    private readonly KMeans? _centres;
    private readonly int _sampleCount;
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _planes;
    private readonly MemoryBuffer1D<float, Stride1D.Dense>? _samples;
    private readonly ItemLauncher<VectorFitSampleWork>? _sample;
    private readonly ItemLauncher<VectorFitPlaneWork> _move;

    /// <param name="accelerator">Where the tensors lie.</param>
    /// <param name="plane">A plane of the matrix: a weight of each code, without scales.</param>
    /// <param name="length">Weights of a code.</param>
    /// <param name="options">Options.</param>
    /// <param name="assign">The search.</param>
    internal VectorFit(
        Accelerator accelerator, CodebookLayout plane, int length, CodebookFitOptions options, Assign assign)
    {
        _plane = plane;
        _length = length;
        _options = options;
        _assign = assign;
        var facts = DeviceFacts.Of(accelerator);
        _means = new CodebookGradient(accelerator, plane);
        _planes = accelerator.Allocate1D<float>((long)length * plane.CodebookLength);
        _move = new ItemLauncher<VectorFitPlaneWork>(accelerator, facts);
        if (options.Start == CodebookStart.Quantiles)
        {
            // A chunk as long as the matrix: a group has one.
            _pieces = new FitPieces(accelerator, plane, plane.WeightCount);
            _sampleCount = Math.Min(Math.Max(LeastSamples, 4 * plane.Codes), MostCodes(plane));
            _samples = accelerator.Allocate1D<float>((long)_sampleCount * plane.CodebookCount * length);
            _sample = new ItemLauncher<VectorFitSampleWork>(accelerator, facts);
            _centres = new KMeans(accelerator, _sampleCount, plane.Codes, length, heads: plane.CodebookCount);
        }
    }

    /// <summary>Enqueues the start and all steps.</summary>
    internal void Run(
        AcceleratorStream stream, TensorView w, TensorView scale, NormalWeights normal, ArrayView<float> codebook,
        ArrayView<byte> index)
    {
        if (_centres is not null)
        {
            Start(stream, normal, codebook);
        }

        Planes(stream, codebook);
        Move(stream, codebook, isBack: true);
        for (int iteration = 0; iteration < _options.Iterations; iteration++)
        {
            _assign.Enqueue(stream, w, codebook, scale, index);
            for (int j = 0; j < _length; j++)
            {
                ArrayView<float> codes = _planes.View.SubView((long)j * _plane.CodebookLength, _plane.CodebookLength);
                _means.FitCodes(stream, normal.Plane(j), index, codes, default, normal.Masses);
            }

            Move(stream, codebook, isBack: true);
        }
    }

    /// <summary>Enqueues the codes in planes, [length, codebooks, k]; what is not finite is 0.</summary>
    internal ArrayView<float> Planes(AcceleratorStream stream, ArrayView<float> codebook)
    {
        Move(stream, codebook, isBack: false);
        return _planes.View;
    }

    public void Dispose()
    {
        _means.Dispose();
        _pieces?.Dispose();
        _centres?.Dispose();
        _planes.Dispose();
        _samples?.Dispose();
    }

    private static int MostCodes(CodebookLayout plane)
    {
        int most = 1;
        for (int group = 0; group < plane.CodebookCount; group++)
        {
            (int begin, int end) = FitPieces.Weights(plane, group);
            most = Math.Max(most, end - begin);
        }

        return most;
    }

    private void Start(AcceleratorStream stream, NormalWeights normal, ArrayView<float> codebook)
    {
        var work = new VectorFitSampleWork
        {
            Arguments = new CodebookFitArguments
            {
                ChunkBegin = _pieces!.ChunkBegin,
                RunBegin = _pieces.RunBegin,
                GroupBegin = _pieces.GroupBegin,
                Samples = _sampleCount,
            },
            Planes = normal.Planes,
            Masses = normal.Masses,
            Samples = _samples!.View,
            Length = _length,
            Count = _plane.WeightCount,
            Groups = _plane.CodebookCount,
        };
        _sample!.Run(stream, work, 0, (long)_sampleCount * _plane.CodebookCount, grain: 256);
        _centres!.Fit(stream, _samples.View, codebook, _sampleCount);
    }

    private void Move(AcceleratorStream stream, ArrayView<float> codebook, bool isBack)
    {
        var work = new VectorFitPlaneWork
        {
            Codebook = codebook,
            Planes = _planes.View,
            Length = _length,
            Count = _plane.CodebookLength,
            IsBack = isBack ? 1 : 0,
        };
        _move.Run(stream, work, 0, codebook.Length);
    }
}
