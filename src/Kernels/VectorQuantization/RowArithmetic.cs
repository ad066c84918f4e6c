using System.Diagnostics.CodeAnalysis;
using ILGPU.Runtime;
using Kernels.Optimizers;

namespace Kernels.VectorQuantization;

/// <summary>
/// Sums and differences of tensors, element by element: a step of plain gradient descent with a learning rate of 1 is
/// exactly that.
/// </summary>
[RequiresDynamicCode(LoadedKernels.Reason)]
internal sealed class RowArithmetic(Session session)
{
    private readonly UpdateLauncher _subtract = new(session.Accelerator, new SgdOptions { LearningRate = 1 });
    private readonly UpdateLauncher _add =
        new(session.Accelerator, new SgdOptions { LearningRate = 1, Maximize = true });

    /// <summary>Enqueues from -= what.</summary>
    internal void Subtract(TensorView from, TensorView what) => _subtract.Step(session.Stream, from, what, [], 1);

    /// <summary>Enqueues to += what.</summary>
    internal void Add(TensorView to, TensorView what) => _add.Step(session.Stream, to, what, [], 1);

    /// <summary>Enqueues to = from for tensors of F32.</summary>
    internal void Copy(TensorView from, TensorView to)
    {
        if (from.Length > 0)
        {
            from.As<float>().CopyTo(session.Stream, to.As<float>());
        }
    }

    /// <summary>The rows as F32, in the first elements of a buffer.</summary>
    internal TensorView Widen(TensorView x, GrowingBuffer<float> into)
    {
        TensorView wide = into.First(x.Length);
        if (x.Storage == Storage.F32 || x.Length == 0)
        {
            Copy(x, wide);
        }
        else
        {
            into.Clear();
            Add(wide, x);
        }

        return wide;
    }
}
