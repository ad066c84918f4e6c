using System.Diagnostics.CodeAnalysis;
using ILGPU;
using ILGPU.Runtime;
using Kernels.Linear;
using Kernels.Validation;

namespace Kernels.VectorQuantization;

/// <summary>SimVQ: the codebook seen through one linear map, projected = C W^T + b, and its gradients.</summary>
/// <remarks>
/// Source: Zhu et al. 2024, arXiv:2411.02038. The codes themselves are frozen there, drawn once from N(0, 1 / d); all
/// of them move with W. Load once for a shape, call often: a call allocates nothing and does not wait. The object has
/// scratch memory, so calls of one object must be on one stream, one after the other. Arithmetic is binary32; the same
/// call gives the same bits on a device. NaN in a code stays in its row, forward.
/// </remarks>
[RequiresDynamicCode(LoadedKernels.Reason)]
public sealed class SimVq : IDisposable
{
    private readonly Accelerator _accelerator;
    private readonly MatMul _matMul;
    private readonly ColumnSum _columnSum;
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _partSums;
    private readonly long _scratch;

    /// <summary>Prepares a shape.</summary>
    /// <param name="accelerator">Where the tensors lie.</param>
    /// <param name="codes">Codes of the codebook, 1 to 2^30.</param>
    /// <param name="dimension">Length of a code, 1 to 2^15.</param>
    /// <exception cref="ArgumentNullException"><paramref name="accelerator"/> is null.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A size is out of range.</exception>
    /// <exception cref="ObjectDisposedException">The accelerator is disposed.</exception>
    public SimVq(Accelerator accelerator, int codes, int dimension)
    {
        Require.NotNull(accelerator);
        ObjectDisposedException.ThrowIf(accelerator.IsDisposed, accelerator);
        LinearChecks.PositiveSize(codes);
        Require.InRange(dimension, 1, (1 << 15) + 1);
        _accelerator = accelerator;
        Codes = codes;
        Dimension = dimension;
        _matMul = new MatMul(accelerator);
        _columnSum = new ColumnSum(accelerator);
        _scratch = ColumnSum.ScratchLength(codes, dimension);
        _partSums = accelerator.Allocate1D<float>(Math.Max(1, _scratch));
    }

    /// <summary>Codes of the codebook.</summary>
    public int Codes { get; }

    /// <summary>Length of a code.</summary>
    public int Dimension { get; }

    /// <summary>Enqueues projected = C W^T + b.</summary>
    /// <param name="stream">A stream of the accelerator.</param>
    /// <param name="codes">C, [codes, dimension], row-major, F32.</param>
    /// <param name="weight">W, [dimension, dimension], F32.</param>
    /// <param name="projected">[codes, dimension], F32, written.</param>
    /// <param name="bias">b, [dimension], F32; none by default.</param>
    /// <exception cref="ArgumentNullException"><paramref name="stream"/> is null.</exception>
    /// <exception cref="ArgumentException">A length, storage, accelerator or stream does not fit, or tensors overlap.</exception>
    /// <exception cref="ObjectDisposedException">This, a buffer, the stream or the accelerator is disposed.</exception>
    public void Forward(
        AcceleratorStream stream, TensorView codes, TensorView weight, TensorView projected, TensorView bias = default)
    {
        ObjectDisposedException.ThrowIf(_partSums.IsDisposed, this);
        LinearChecks.Call(_accelerator, stream);
        Floats(codes, weight, projected, nameof(projected));
        Optional(bias, Dimension, nameof(bias));
        Require.Apart(codes, projected, nameof(codes), nameof(projected));
        Require.Apart(weight, projected, nameof(weight), nameof(projected));
        Require.Apart(bias, projected, nameof(bias), nameof(projected));
        _matMul.Multiply(stream, codes, false, weight, true, projected, Codes, Dimension, Dimension, bias);
    }

    /// <summary>Enqueues the gradients: of W, and where given of b and of the codes.</summary>
    /// <param name="stream">A stream of the accelerator.</param>
    /// <param name="codes">C, [codes, dimension], row-major, F32.</param>
    /// <param name="weight">W, [dimension, dimension], F32.</param>
    /// <param name="gradProjected">The gradient to the projected codes, [codes, dimension], F32.</param>
    /// <param name="gradWeight">The gradient of W, [dimension, dimension], F32, written.</param>
    /// <param name="gradBias">The gradient of b, [dimension], F32, written; empty for none.</param>
    /// <param name="gradCodes">The gradient of the codes, [codes, dimension], F32, written; empty where they are frozen.</param>
    /// <exception cref="ArgumentNullException"><paramref name="stream"/> is null.</exception>
    /// <exception cref="ArgumentException">A length, storage, accelerator or stream does not fit, or tensors overlap.</exception>
    /// <exception cref="ObjectDisposedException">This, a buffer, the stream or the accelerator is disposed.</exception>
    public void Backward(
        AcceleratorStream stream, TensorView codes, TensorView weight, TensorView gradProjected, TensorView gradWeight,
        TensorView gradBias = default, TensorView gradCodes = default)
    {
        ObjectDisposedException.ThrowIf(_partSums.IsDisposed, this);
        LinearChecks.Call(_accelerator, stream);
        Floats(codes, weight, gradProjected, nameof(gradProjected));
        LinearChecks.Floats(_accelerator, (long)Dimension * Dimension, gradWeight);
        Optional(gradBias, Dimension, nameof(gradBias));
        Optional(gradCodes, (long)Codes * Dimension, nameof(gradCodes));
        foreach ((TensorView output, string name) in (ReadOnlySpan<(TensorView, string)>)
            [(gradWeight, nameof(gradWeight)), (gradBias, nameof(gradBias)), (gradCodes, nameof(gradCodes))])
        {
            Require.Apart(codes, output, nameof(codes), name);
            Require.Apart(weight, output, nameof(weight), name);
            Require.Apart(gradProjected, output, nameof(gradProjected), name);
        }

        Require.Apart(gradWeight, gradBias, nameof(gradWeight), nameof(gradBias));
        Require.Apart(gradWeight, gradCodes, nameof(gradWeight), nameof(gradCodes));
        Require.Apart(gradBias, gradCodes, nameof(gradBias), nameof(gradCodes));
        _matMul.Multiply(stream, gradProjected, true, codes, false, gradWeight, Dimension, Dimension, Codes);
        if (!gradBias.IsEmpty)
        {
            TensorView partSums = _partSums.View;
            _columnSum.Sum(
                stream, gradProjected, gradBias, Codes, Dimension, _scratch == 0 ? default : partSums.Slice(0, _scratch));
        }

        if (!gradCodes.IsEmpty)
        {
            _matMul.Multiply(stream, gradProjected, false, weight, false, gradCodes, Codes, Dimension, Dimension);
        }
    }

    /// <summary>Frees the scratch memory; enqueued work must have ended.</summary>
    public void Dispose() => _partSums.Dispose();

    private void Floats(TensorView codes, TensorView weight, TensorView other, string name)
    {
        LinearChecks.Floats(_accelerator, (long)Codes * Dimension, codes);
        LinearChecks.Floats(_accelerator, (long)Dimension * Dimension, weight);
        LinearChecks.Floats(_accelerator, (long)Codes * Dimension, other, name);
    }

    private void Optional(TensorView view, long length, string name)
    {
        if (!view.IsEmpty)
        {
            LinearChecks.Floats(_accelerator, length, view, name);
        }
    }
}
