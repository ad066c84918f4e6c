using Kernels.Optimizers;

namespace Kernels.Tools.Operations;

/// <summary>
/// The parameter of a case: in the optimizer's own memory, or borrowed, with its gradient, where the case asks for an odd
/// place.
/// </summary>
internal sealed class SteppedParameter : IDisposable
{
    private readonly DeviceTensor? _values;
    private readonly DeviceTensor? _gradient;

    internal SteppedParameter(OperationContext context, params ReadOnlySpan<long> shape)
    {
        float[] p = context.Floats("p");
        if (context.Shift == 0 || p.Length == 0)
        {
            Parameter = new Parameter("p", p, shape);
            return;
        }

        _values = new DeviceTensor(context, p);
        _gradient = new DeviceTensor(context, p.Length);
        Parameter = new Parameter("p", _values.View, _gradient.View, shape);
    }

    internal Parameter Parameter { get; }

    public void Dispose()
    {
        _values?.Dispose();
        _gradient?.Dispose();
    }
}
