using Kernels.Optimizers;

namespace Kernels.Tools.Demo;

/// <summary>An optimizer over the parameters of the demo's network.</summary>
internal interface ITrainer : IDisposable
{
    /// <summary>A parameter on the device.</summary>
    TensorView View(string name);

    /// <summary>Its gradient on the device, written before a step.</summary>
    TensorView Gradient(string name);

    /// <summary>Enqueues one step.</summary>
    void Step();
}

/// <summary>An element-wise optimizer: one launch for all parameters.</summary>
internal sealed class ArenaTrainer(Session session, ElementwiseOptions options, IReadOnlyList<Parameter> parameters)
    : ITrainer
{
    private readonly Optimizer _optimizer = new(session, options, parameters);

    public TensorView View(string name) => _optimizer.View(name);

    public TensorView Gradient(string name) => _optimizer.Gradient(name);

    public void Step() => _optimizer.Step();

    public void Dispose() => _optimizer.Dispose();
}
