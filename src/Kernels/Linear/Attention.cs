using System.Diagnostics.CodeAnalysis;
using ILGPU;
using ILGPU.Runtime;
using Kernels.DeviceCode.Linear;
using Kernels.Launching;
using Kernels.Validation;

namespace Kernels.Linear;

/// <summary>
/// Multi-head attention of every token to every token, and its gradient, on the caller's accelerator. The matrix of
/// weights is never stored: with 4,096 tokens and 4 heads it would be 256 MiB.
/// </summary>
/// <remarks>
/// <para>
/// Source: Vaswani et al. 2017, arXiv:1706.03762, equation 1: softmax(Q K^T / sqrt(size)) V for each head; walked in
/// tiles as in Dao et al. 2022, arXiv:2205.14135. The backward pass computes the weights again, from the largest logit
/// and one over the sum that the forward pass keeps for each token and head.
/// </para>
/// <para>
/// Load once, call often: a call allocates nothing, does not synchronize, and may be made from several threads. There
/// are no atomics, and the order of the sums is fixed by the sizes: the same call gives the same bits on a device. NaN
/// in a token's query makes its own row of its head NaN; in a key or value, every row of the head.
/// </para>
/// </remarks>
[RequiresDynamicCode(LoadedKernels.Reason)]
public sealed class Attention
{
    // As in ItemLauncher: two threads must not set an OpenCL kernel's arguments at once.
    private static readonly Lock s_gate = new();

    private readonly Accelerator _accelerator;
    private readonly DeviceFacts _facts;
    private readonly TileWalk _walk;
    private readonly Action<AcceleratorStream, KernelConfig, AttentionArguments>? _forward;
    private readonly Action<AcceleratorStream, KernelConfig, AttentionArguments>? _backQueries;
    private readonly Action<AcceleratorStream, KernelConfig, AttentionArguments>? _backKeys;

    /// <summary>Loads the kernels.</summary>
    /// <param name="accelerator">Where the tensors will lie.</param>
    /// <exception cref="ArgumentNullException"><paramref name="accelerator"/> is null.</exception>
    /// <exception cref="ObjectDisposedException">The accelerator is disposed.</exception>
    public Attention(Accelerator accelerator)
        : this(accelerator, walk: null)
    {
    }

    /// <summary>With a walk that the device would not choose itself, for tests.</summary>
    internal Attention(Accelerator accelerator, TileWalk? walk)
    {
        Require.NotNull(accelerator);
        ObjectDisposedException.ThrowIf(accelerator.IsDisposed, accelerator);
        _accelerator = accelerator;
        _facts = DeviceFacts.Of(accelerator);
        _walk = walk ?? TilePlan.WalkFor(_facts);
        if (_walk == TileWalk.Host)
        {
            return;
        }

        bool rows = _walk == TileWalk.Panel;
        _forward = accelerator.LoadKernel<AttentionArguments>(rows ? AttentionRows.Forward : AttentionTile.Forward);
        _backQueries = accelerator.LoadKernel<AttentionArguments>(
            rows ? AttentionRows.BackQueries : AttentionTile.BackQueries);
        _backKeys = accelerator.LoadKernel<AttentionArguments>(rows ? AttentionRows.BackKeys : AttentionTile.BackKeys);
    }

    /// <summary>The largest size of a head.</summary>
    public static int MaxHeadSize => AttentionRows.MaxSize;

    /// <summary>Elements of the state that <see cref="Forward"/> keeps for <see cref="Backward"/>.</summary>
    /// <param name="tokens">Tokens, 0 to 2^30.</param>
    /// <param name="heads">Heads, 1 to 65,536.</param>
    /// <exception cref="ArgumentOutOfRangeException">A size is out of range.</exception>
    public static long StateLength(int tokens, int heads)
    {
        LinearChecks.Size(tokens);
        Require.InRange(heads, 1, 65_537);
        return 2L * tokens * heads;
    }

    /// <summary>Enqueues the forward pass.</summary>
    /// <param name="stream">A stream of the accelerator.</param>
    /// <param name="qkv">Queries, keys and values of each token, [tokens, 3, heads, size], row-major, F32.</param>
    /// <param name="mixed">The result, [tokens, heads, size], F32, written.</param>
    /// <param name="state">
    /// <see cref="StateLength"/> elements, F32, written: [2, heads, tokens], the largest logits, then one over the sums.
    /// </param>
    /// <param name="tokens">Tokens, 0 to 2^30.</param>
    /// <param name="heads">Heads, 1 to 65,536.</param>
    /// <param name="size">Dimensions of a head, 1 to <see cref="MaxHeadSize"/>.</param>
    /// <exception cref="ArgumentNullException"><paramref name="stream"/> is null.</exception>
    /// <exception cref="ArgumentException">A length, storage, accelerator or stream does not fit, or tensors overlap.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A size is out of range.</exception>
    /// <exception cref="ObjectDisposedException">A buffer, the stream or the accelerator is disposed.</exception>
    public void Forward(
        AcceleratorStream stream, TensorView qkv, TensorView mixed, TensorView state, int tokens, int heads, int size)
    {
        Check(stream, qkv, mixed, state, tokens, heads, size);
        Require.Apart(qkv, mixed, nameof(qkv), nameof(mixed));
        Require.Apart(qkv, state, nameof(qkv), nameof(state));
        Require.Apart(mixed, state, nameof(mixed), nameof(state));
        AttentionArguments t = Arguments(qkv, mixed, state, tokens, heads, size);
        if (_walk == TileWalk.Host)
        {
            RunOnHost(HostAttention.Pass.Forward, qkv, mixed, state, default, default, default, t);
            return;
        }

        Launch(stream, _forward!, t);
    }

    /// <summary>Enqueues the backward pass: the gradients of queries, keys and values.</summary>
    /// <param name="stream">A stream of the accelerator.</param>
    /// <param name="qkv">[tokens, 3, heads, size], F32, as given to <see cref="Forward"/>.</param>
    /// <param name="mixed">[tokens, heads, size], F32: what it wrote.</param>
    /// <param name="state"><see cref="StateLength"/> elements, F32: what it wrote.</param>
    /// <param name="grad">The gradient to the result, [tokens, heads, size], F32.</param>
    /// <param name="gradQkv">The gradient of qkv, [tokens, 3, heads, size], F32, written.</param>
    /// <param name="scratch">[heads, tokens], F32, overwritten.</param>
    /// <param name="tokens">Tokens, 0 to 2^30.</param>
    /// <param name="heads">Heads, 1 to 65,536.</param>
    /// <param name="size">Dimensions of a head, 1 to <see cref="MaxHeadSize"/>.</param>
    /// <exception cref="ArgumentNullException"><paramref name="stream"/> is null.</exception>
    /// <exception cref="ArgumentException">A length, storage, accelerator or stream does not fit, or tensors overlap.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A size is out of range.</exception>
    /// <exception cref="ObjectDisposedException">A buffer, the stream or the accelerator is disposed.</exception>
    public void Backward(
        AcceleratorStream stream, TensorView qkv, TensorView mixed, TensorView state, TensorView grad,
        TensorView gradQkv, TensorView scratch, int tokens, int heads, int size)
    {
        Check(stream, qkv, mixed, state, tokens, heads, size);
        LinearChecks.Floats(_accelerator, (long)tokens * heads * size, grad);
        LinearChecks.Floats(_accelerator, 3L * tokens * heads * size, gradQkv);
        LinearChecks.Floats(_accelerator, (long)tokens * heads, scratch);
        foreach ((TensorView input, string name) in (ReadOnlySpan<(TensorView, string)>)
            [(qkv, nameof(qkv)), (mixed, nameof(mixed)), (state, nameof(state)), (grad, nameof(grad))])
        {
            Require.Apart(input, gradQkv, name, nameof(gradQkv));
            Require.Apart(input, scratch, name, nameof(scratch));
        }

        Require.Apart(gradQkv, scratch, nameof(gradQkv), nameof(scratch));
        AttentionArguments t = Arguments(qkv, mixed, state, tokens, heads, size);
        if (_walk == TileWalk.Host)
        {
            RunOnHost(HostAttention.Pass.BackQueries, qkv, mixed, state, grad, scratch, gradQkv, t);
            RunOnHost(HostAttention.Pass.BackKeys, qkv, mixed, state, grad, scratch, gradQkv, t);
            return;
        }

        t.Grad = grad.As<float>();
        t.Dots = scratch.As<float>();
        t.GradQkv = gradQkv.As<float>();
        Launch(stream, _backQueries!, t);
        Launch(stream, _backKeys!, t);
    }

    private static AttentionArguments Arguments(
        TensorView qkv, TensorView mixed, TensorView state, int tokens, int heads, int size) => new()
        {
            Qkv = qkv.As<float>(),
            Mixed = mixed.As<float>(),
            State = state.As<float>(),
            Tokens = tokens,
            Heads = heads,
            Size = size,
            Scale = (float)(1 / Math.Sqrt(size)),
        };

    private void Check(
        AcceleratorStream stream, TensorView qkv, TensorView mixed, TensorView state, int tokens, int heads, int size)
    {
        LinearChecks.Call(_accelerator, stream);
        long length = StateLength(tokens, heads);
        Require.InRange(size, 1, MaxHeadSize + 1.0);
        LinearChecks.Floats(_accelerator, 3L * tokens * heads * size, qkv);
        LinearChecks.Floats(_accelerator, (long)tokens * heads * size, mixed);
        LinearChecks.Floats(_accelerator, length, state);
    }

    private void Launch(
        AcceleratorStream stream, Action<AcceleratorStream, KernelConfig, AttentionArguments> kernel,
        AttentionArguments t)
    {
        if (t.Tokens == 0)
        {
            return;
        }

        KernelConfig config = _walk == TileWalk.Panel
            ? (checked((int)AttentionRows.Groups(t.Tokens, t.Heads)), 1)
            : (checked((int)AttentionTile.Groups(t.Tokens, t.Heads, t.Size)), AttentionTile.GroupSize);
        lock (s_gate)
        {
            kernel(stream, config, t);
        }
    }

    private unsafe void RunOnHost(
        HostAttention.Pass pass, TensorView qkv, TensorView mixed, TensorView state, TensorView grad, TensorView dots,
        TensorView gradQkv, AttentionArguments t) => HostAttention.Run(
            new HostAttention
            {
                Kind = pass,
                Qkv = HostMemory.Floats(qkv),
                Mixed = HostMemory.Floats(mixed),
                State = HostMemory.Floats(state),
                Grad = HostMemory.Floats(grad),
                Dots = HostMemory.Floats(dots),
                GradQkv = HostMemory.Floats(gradQkv),
                Tokens = t.Tokens,
                Heads = t.Heads,
                Size = t.Size,
                Scale = t.Scale,
            },
            _facts.Cores);
}
