using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using global::TorchSharp;
using Kernels.TorchSharp.Tests.Support;
using TorchParameter = global::TorchSharp.Modules.Parameter;

namespace Kernels.TorchSharp.Tests.Optimizers;

/// <summary>What is read of a tensor where libtorch keeps it is what the library's functions say.</summary>
public sealed class TensorLayoutTests
{
    private static readonly torch.ScalarType[] s_types =
    [
        torch.ScalarType.Float32, torch.ScalarType.Float16, torch.ScalarType.BFloat16, torch.ScalarType.Float64,
    ];

    [TorchFact]
    public void Memory_and_gradient_are_where_the_functions_say()
    {
        if (Layout() is not { } layout)
        {
            return;
        }

        foreach (torch.ScalarType type in s_types)
        {
            foreach (long[] shape in Tensors.Shapes.Where(s => Tensors.Length(s) > 0))
            {
                using var parameter = new TorchParameter(torch.zeros(shape, type));
                nint tensor = TensorLayout.TensorOf(parameter.Handle);
                Assert.Equal(HostMemory.Address(parameter), layout.DataOf(layout.StorageOf(tensor)));
                Assert.Equal(TorchLibrary.Loaded.Undefined, Gradient());
                using torch.Tensor gradient = torch.ones(shape, type);
                parameter.grad = gradient;
                Assert.Equal(TensorLayout.TensorOf(gradient.Handle), Gradient());
                Assert.Equal(HostMemory.Address(gradient), layout.DataOf(layout.StorageOf(Gradient())));
                parameter.grad = null;
                Assert.Equal(TorchLibrary.Loaded.Undefined, Gradient());

                nint Gradient() => layout.AutogradOf(tensor) is var autograd && autograd == 0
                    ? TorchLibrary.Loaded.Undefined
                    : layout.GradientIn(autograd);
            }
        }
    }

    [TorchFact]
    public void Tensors_are_alike_if_their_type_length_offset_and_order_are()
    {
        if (Layout() is not { } layout)
        {
            return;
        }

        using IDisposable scope = torch.NewDisposeScope();
        torch.Tensor[] tensors =
        [
            .. s_types.Select(type => torch.zeros(6, 4, type)),
            torch.zeros(6, 5),
            torch.zeros(6, 4).t(),
            torch.zeros(6, 1).expand(6, 4),
            torch.zeros(100).narrow(0, 3, 24),
            torch.zeros(6, 4).to_sparse(),
            torch.zeros(6, 4, device: torch.META),
            torch.zeros(6, 4, torch.ScalarType.Int32),
        ];
        for (int i = 0; i < tensors.Length; i++)
        {
            for (int j = 0; j < tensors.Length; j++)
            {
                Assert.Equal(i == j, Facts(tensors[i]) == Facts(tensors[j]));
            }
        }

        Assert.Equal(Facts(tensors[0]), Facts(torch.randn(24)));
        Assert.Equal(Facts(tensors[0]), Facts(torch.randn(200).narrow(0, 0, 24)));

        Vector256<byte> Facts(torch.Tensor tensor) =>
            layout.FactsOf(TensorLayout.TensorOf(tensor.Handle));
    }

    /// <summary>libtorch leaves bits as they were that belong to no field.</summary>
    [TorchFact]
    public void What_a_tensors_memory_held_before_does_not_matter()
    {
        if (Layout() is not { } layout)
        {
            return;
        }

        using torch.Tensor expected = torch.zeros(24);
        foreach (byte full in new byte[] { 0, 0x55, 0xAA, 0xFF })
        {
            Leave(full);
            using torch.Tensor tensor = torch.randn(24);
            Assert.Equal(
                layout.FactsOf(TensorLayout.TensorOf(expected.Handle)), layout.FactsOf(TensorLayout.TensorOf(tensor.Handle)));
        }

        static void Leave(byte full)
        {
            var blocks = new List<nint>();
            for (int i = 0; i < 256; i++)
            {
                byte[] bytes = new byte[64 + (16 * (i % 32))];
                Array.Fill(bytes, full);
                nint block = Marshal.AllocHGlobal(bytes.Length);
                Marshal.Copy(bytes, 0, block, bytes.Length);
                blocks.Add(block);
            }

            blocks.ForEach(Marshal.FreeHGlobal);
        }
    }

    /// <summary>Null on Windows, where the classes have other names and the functions are called.</summary>
    private static TensorLayout? Layout()
    {
        TensorLayout? layout = TorchLibrary.Loaded.Layout;
        Assert.True(layout is not null || OperatingSystem.IsWindows());
        return layout;
    }
}
