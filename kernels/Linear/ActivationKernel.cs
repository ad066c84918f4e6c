using ILGPU;
using Kernels.DeviceCode.Common;

namespace Kernels.DeviceCode.Linear;

/// <summary>An activation and its gradient, one element per item.</summary>
/// <remarks>
/// Shapes: all [n]; the launch covers exactly the elements from <c>first</c> on, so there is no bounds check.
/// Storage: F32.
/// Traffic: 8 bytes an element forward, 12 backward.
/// Needs: no shared memory; any group size.
/// Order: elements are independent: the same bits for every launch shape.
/// Domain: NaN and infinity in one element stay in that element.
/// </remarks>
internal static class ActivationKernel
{
    /// <param name="x">Arguments, only read.</param>
    /// <param name="y">Values, written; may be x itself.</param>
    /// <param name="first">First element of this launch.</param>
    [DeviceKernel("linear/activation.forward")]
    internal static void Forward<TActivation>(ArrayView<float> x, ArrayView<float> y, long first)
        where TActivation : struct, IActivation
    {
        long i = first + (long)Grid.IdxX * Group.DimX + Group.IdxX;
        y[i] = TActivation.Apply(Lane.Of(x[i])).Value;
    }

    /// <param name="x">Arguments of the forward pass, only read.</param>
    /// <param name="dy">Gradients of the values, only read.</param>
    /// <param name="dx">Gradients of the arguments, written; may be dy itself.</param>
    /// <param name="first">First element of this launch.</param>
    [DeviceKernel("linear/activation.backward")]
    internal static void Backward<TActivation>(
        ArrayView<float> x, ArrayView<float> dy, ArrayView<float> dx, long first)
        where TActivation : struct, IActivation
    {
        long i = first + (long)Grid.IdxX * Group.DimX + Group.IdxX;
        dx[i] = TActivation.Back(Lane.Of(x[i]), Lane.Of(dy[i])).Value;
    }
}
