using ILGPU;
using ILGPU.Runtime;
using Kernels.Optimizers;
using Kernels.Tests.Support;

namespace Kernels.Tests.Validation;

/// <summary>One call that must be refused.</summary>
/// <param name="Member">The public member, as <c>Type.Member</c>.</param>
/// <param name="What">What is wrong.</param>
/// <param name="Exception">The exception.</param>
/// <param name="Argument">The argument it names; null where the object itself is at fault.</param>
/// <param name="Call">The call.</param>
public sealed record BadCall(string Member, string What, Type Exception, string? Argument, Action<BadCallFixture> Call)
{
    public override string ToString() => $"{Member}: {What}";
}

/// <summary>Good arguments to spoil one at a time.</summary>
public sealed class BadCallFixture : IDisposable
{
    public BadCallFixture()
    {
        Accelerator = TestDevices.Session.Accelerator;
        Tensors = [.. Enumerable.Range(0, 6).Select(i => new GuardedTensor(Accelerator, new Draw(i).Floats(16)))];
        Foreign = TestDevices.Warp(2);
        ForeignTensor = new GuardedTensor(Foreign, new float[16]);
        MemoryBuffer1D<float, Stride1D.Dense> gone = Accelerator.Allocate1D<float>(16);
        Disposed = gone.View;
        gone.Dispose();
        Launcher = new UpdateLauncher(Accelerator, new AdamOptions());
        Optimizer = new Optimizer(
            TestDevices.Session, new AdamOptions(), [new Parameter("w", new float[16]), new Parameter("b", new float[4])]);
        Gone = new Optimizer(TestDevices.Session, new AdamOptions(), [new Parameter("w", new float[16])]);
        Gone.Dispose();
        Norm = new GradientNorm(Accelerator, 16, 2);
        Scaler = new LossScaler(Accelerator);
    }

    public Accelerator Accelerator { get; }

    public AcceleratorStream Stream => Accelerator.DefaultStream;

    public GuardedTensor[] Tensors { get; }

    public TensorView P => Tensors[0].View;

    public TensorView G => Tensors[1].View;

    public ArrayView<float> M => Tensors[2].Floats;

    public ArrayView<float> V => Tensors[3].Floats;

    public ArrayView<float> X => Tensors[4].Floats;

    public ArrayView<float> Y => Tensors[5].Floats;

    public Accelerator Foreign { get; }

    public GuardedTensor ForeignTensor { get; }

    public TensorView Disposed { get; }

    public UpdateLauncher Launcher { get; }

    public Optimizer Optimizer { get; }

    public Optimizer Gone { get; }

    public GradientNorm Norm { get; }

    public LossScaler Scaler { get; }

    public void Dispose()
    {
        Optimizer.Dispose();
        Norm.Dispose();
        Scaler.Dispose();
        ForeignTensor.Dispose();
        Array.ForEach(Tensors, t => t.Dispose());
    }
}
