using System.Diagnostics.CodeAnalysis;
using ILGPU;
using ILGPU.Runtime;
using Kernels.DeviceCode.VectorQuantization;
using Kernels.Launching;
using Kernels.Linear;
using Kernels.Validation;

namespace Kernels.VectorQuantization;

/// <summary>
/// The gradient of index back-propagation on the caller's accelerator: softmax attention whose keys and values are the
/// codebook, without ever storing a number for each row and code.
/// </summary>
/// <remarks>
/// Source: Shi et al. 2024, IBQ, arXiv:2412.02692. Logits z.e_j, p = softmax, onehot = hard - sg(p) + p, output = onehot E,
/// which is the hard code e (see <see cref="Quantize"/>). With t_j = g.e_j and t = sum p_j t_j: dl_j = p_j (t_j - t),
/// dz = sum dl_j e_j, de_j = sum over the rows of (hard_j g + dl_j z).
/// Made once for the largest batch, called often: a call allocates nothing and does not synchronize; one call at a time,
/// since the scratch memory is the object's. The order of the sums is fixed by the sizes: the same call gives the same bits
/// on a device. A row without a code (index -1, or any that is not of a code) has gradient 0 and gives none, whatever is in
/// it; NaN or infinity in another row goes into its gradient and into that of all codes, and in a code into everything.
/// </remarks>
[RequiresDynamicCode(LoadedKernels.Reason)]
public sealed class SoftmaxCodes : IDisposable
{
    // As in ItemLauncher: two threads must not set an OpenCL kernel's arguments at once.
    private static readonly Lock s_gate = new();

    private readonly Accelerator _accelerator;
    private readonly SoftmaxTilePlan _plan;
    private readonly MatMul _product;
    private readonly SoftmaxPasses _passes;
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _scratch;

    /// <summary>Prepares gradients of one shape and allocates their scratch memory.</summary>
    /// <param name="accelerator">Where the tensors lie.</param>
    /// <param name="maxRows">The most rows of a call, 1 to 2^30.</param>
    /// <param name="codes">Codes of each codebook, 1 to 2^30.</param>
    /// <param name="dimension">Length of a code, 1 to 2^20.</param>
    /// <param name="heads">Codebooks; each has its own part of every row. 1 to 65,536.</param>
    /// <exception cref="ArgumentNullException"><paramref name="accelerator"/> is null.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A size is out of range.</exception>
    /// <exception cref="ObjectDisposedException">The accelerator is disposed.</exception>
    public SoftmaxCodes(Accelerator accelerator, int maxRows, int codes, int dimension, int heads = 1)
        : this(accelerator, maxRows, codes, dimension, heads, tileRows: 0, tileCodes: 0, launch: false)
    {
    }

    /// <summary>With tiles of another size, and with launches even on the CPU accelerator, for tests.</summary>
    internal SoftmaxCodes(
        Accelerator accelerator, int maxRows, int codes, int dimension, int heads, int tileRows, int tileCodes, bool launch)
    {
        RowChecks.Sizes(accelerator, maxRows, codes, dimension, heads);
        _accelerator = accelerator;
        MaxRows = maxRows;
        Codes = codes;
        Dimension = dimension;
        Heads = heads;
        DeviceFacts facts = DeviceFacts.Of(accelerator);
        _plan = SoftmaxTilePlan.For(facts, maxRows, codes, dimension, tileRows, tileCodes);
        _product = new MatMul(accelerator, launch && facts.Class == DeviceClass.Host ? TileWalk.Tile : null);
        _passes = new SoftmaxPasses(accelerator, facts, s_gate, launch);
        _scratch = accelerator.Allocate1D<float>(_plan.Length);
    }

    /// <summary>The most rows of a call.</summary>
    public int MaxRows { get; }

    /// <summary>Codes of each codebook.</summary>
    public int Codes { get; }

    /// <summary>Length of a code.</summary>
    public int Dimension { get; }

    /// <summary>Codebooks.</summary>
    public int Heads { get; }

    /// <summary>Bytes of scratch memory on the device; nothing in them grows with rows times codes.</summary>
    public long ScratchBytes => _scratch.Length * 4;

    /// <summary>Enqueues the gradients. Each is optional: what is empty is not computed.</summary>
    /// <param name="stream">A stream of the accelerator.</param>
    /// <param name="x">The rows z, [rows, heads, dimension], row-major.</param>
    /// <param name="codes">The codebooks, [heads, codes, dimension], row-major.</param>
    /// <param name="index">The hard code of each row, [rows, heads]; -1, or any that is not of a code: none.</param>
    /// <param name="rows">Rows, 0 to <see cref="MaxRows"/>.</param>
    /// <param name="grad">The gradient g that comes to the output, [rows, heads, dimension], stored as the rows are.</param>
    /// <param name="gradX">
    /// Out: the gradient to the rows, [rows, heads, dimension], stored as they are; 0 without a code. May be
    /// <paramref name="x"/> or <paramref name="grad"/> itself.
    /// </param>
    /// <param name="gradCodes">Out: the gradient to the codes, [heads, codes, dimension], F32.</param>
    /// <exception cref="ArgumentNullException"><paramref name="stream"/> is null.</exception>
    /// <exception cref="ArgumentException">
    /// A length, storage, accelerator or stream does not fit, or an output overlaps another tensor.
    /// </exception>
    /// <exception cref="ArgumentOutOfRangeException">The number of rows is out of range.</exception>
    /// <exception cref="ObjectDisposedException">This, a buffer, the stream or the accelerator is disposed.</exception>
    public void Backward(
        AcceleratorStream stream, TensorView x, TensorView codes, ArrayView<int> index, int rows, TensorView grad,
        TensorView gradX = default, ArrayView<float> gradCodes = default)
    {
        ObjectDisposedException.ThrowIf(_scratch.IsDisposed, this);
        LinearChecks.Call(_accelerator, stream);
        Require.InRange(rows, 0, MaxRows + 1.0);
        TensorView places = LinearChecks.Bytes(index);
        TensorView book = gradCodes;
        long length = (long)Heads * Codes * Dimension;
        Require.Tensor(_accelerator, (long)rows * Heads * Dimension, x);
        Require.Tensor(_accelerator, length, codes);
        LinearChecks.Floats(_accelerator, (long)rows * Heads, places, nameof(index));
        Require.Tensor(_accelerator, x.Length, grad);
        RowChecks.Like(_accelerator, x, grad, nameof(grad));
        RowChecks.Like(_accelerator, x, gradX, nameof(gradX));
        RowChecks.Optional(_accelerator, length, book, nameof(gradCodes));
        RowChecks.Apart(
        [
            (x, nameof(x)), (codes, nameof(codes)), (places, nameof(index)), (grad, nameof(grad)), (default, "output"),
            (gradX, nameof(gradX)), (book, nameof(gradCodes)),
        ]);
        var call = new SoftmaxCall
        {
            Stream = stream,
            X = x,
            Codes = codes,
            Index = index,
            Grad = grad,
            GradX = gradX,
            GradCodes = book.Length > 0 ? book : default,
        };
        if (gradX.IsEmpty && call.GradCodes.IsEmpty)
        {
            return;
        }

        for (int head = 0; head < Heads; head++)
        {
            call.Head = head;
            for (int first = 0; first < rows || first == 0; first += _plan.Rows)
            {
                Rows(call, first, Math.Min(_plan.Rows, rows - first));
            }
        }
    }

    /// <summary>Frees the scratch memory; enqueued work must have ended.</summary>
    public void Dispose() => _scratch.Dispose();

    /// <summary>Some rows of a head, past all of its codes.</summary>
    private void Rows(in SoftmaxCall call, int first, int rows)
    {
        AcceleratorStream stream = call.Stream;
        ArrayView<float> scratch = _scratch.View;
        var at = new SoftmaxRows
        {
            Index = call.Index,
            First = (((long)first * Heads) + call.Head) * Dimension,
            Stride = (long)Heads * Dimension,
            FirstIndex = ((long)first * Heads) + call.Head,
            IndexStride = Heads,
            HasIndex = 1,
            Codes = Codes,
            Dimension = Dimension,
        };
        var state = new SoftmaxState
        {
            Largest = scratch.SubView(_plan.State, _plan.Rows),
            Sum = scratch.SubView(_plan.State + _plan.Rows, _plan.Rows),
            Weighted = scratch.SubView(_plan.State + (2L * _plan.Rows), _plan.Rows),
        };
        long values = (long)rows * Dimension;
        ArrayView<float> both = scratch.SubView(_plan.Values, 2 * values);
        ArrayView<float> z = both.SubView(0, values);
        ArrayView<float> g = both.SubView(values, values);
        ArrayView<float> sums = scratch.SubView(_plan.Sums, values);
        if (!call.GradCodes.IsEmpty)
        {
            TensorView book = call.GradCodes.Slice((long)call.Head * Codes * Dimension, (long)Codes * Dimension);
            _passes.Load(stream, call.Grad, g, at, rows);
            _passes.Hard(stream, g, book.As<float>(), at, rows, first == 0);
        }

        if (rows == 0)
        {
            return;
        }

        _passes.Load(stream, call.X, z, at, rows);
        if (call.GradCodes.IsEmpty)
        {
            _passes.Load(stream, call.Grad, g, at, rows);
        }

        for (int code = 0; code < Codes; code += _plan.Codes)
        {
            int count = Math.Min(_plan.Codes, Codes - code);
            _passes.Weigh(stream, Scores(call, both, code, count, rows, out _), state, rows, count, code == 0);
        }

        for (int code = 0; code < Codes; code += _plan.Codes)
        {
            int count = Math.Min(_plan.Codes, Codes - code);
            // With one tile the scores, and decoded codes, are still there.
            ArrayView<float> scores = Scores(call, both, code, count, rows, out TensorView e, isThere: count == Codes);
            _passes.Delta(stream, scores, state, at, rows, count);
            ArrayView<float> slopes = scores.SubView(0, (long)rows * count);
            if (!call.GradX.IsEmpty)
            {
                _product.Multiply(stream, slopes, false, e, false, sums, rows, Dimension, count, accumulate: code > 0);
            }

            if (!call.GradCodes.IsEmpty)
            {
                TensorView own = call.GradCodes.Slice(
                    (((long)call.Head * Codes) + code) * Dimension, (long)count * Dimension);
                _product.Multiply(stream, slopes, true, z, false, own, count, Dimension, rows, accumulate: true);
            }
        }

        if (!call.GradX.IsEmpty)
        {
            _passes.Store(stream, call.GradX, sums, at, rows);
        }
    }

    /// <summary>Logits and t of a tile's rows for some codes, and those codes.</summary>
    private ArrayView<float> Scores(
        in SoftmaxCall call, ArrayView<float> both, int code, int count, int rows, out TensorView e, bool isThere = false)
    {
        ArrayView<float> scratch = _scratch.View;
        ArrayView<float> scores = scratch.SubView(_plan.Scores, 2L * rows * count);
        long first = (((long)call.Head * Codes) + code) * Dimension;
        if (call.Codes.Storage == Storage.F32)
        {
            e = call.Codes.Slice(first, (long)count * Dimension);
        }
        else
        {
            ArrayView<float> decoded = scratch.SubView(_plan.Decoded, (long)count * Dimension);
            e = decoded;
            if (!isThere)
            {
                var at = new SoftmaxRows { First = first, Stride = Dimension, Dimension = Dimension };
                _passes.Load(call.Stream, call.Codes, decoded, at, count);
            }
        }

        if (!isThere)
        {
            _product.Multiply(call.Stream, both, false, e, true, scores, 2 * rows, count, Dimension);
        }

        return scores;
    }

    private struct SoftmaxCall
    {
        internal AcceleratorStream Stream;
        internal TensorView X;
        internal TensorView Codes;
        internal ArrayView<int> Index;
        internal TensorView Grad;
        internal TensorView GradX;
        internal TensorView GradCodes;
        internal int Head;
    }
}
