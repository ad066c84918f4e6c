using ILGPU;
using ILGPU.Runtime;
using Kernels.Adapters.Tests.Support;
using Kernels.Interop;
using Kernels.OnnxRuntime;
using Kernels.VectorQuantization;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;

namespace Kernels.Adapters.Tests.OnnxRuntime;

public sealed class OrtTensorTests
{
    private const int Length = 3;
    private const int Count = 8;
    private const int Rows = 21;

    private static readonly float[] s_centres = Draw.Centres(Count, Length);

    // Turns the numbers of a row round, so that the codes are found only if the model has run.
    private static readonly float[] s_turn = [0, 1, 0, 0, 0, 1, 1, 0, 0];

    private static Accelerator Cpu => TestSessions.Cpu.Accelerator;

    [OrtFact]
    public void The_output_of_a_model_is_quantized_in_its_place()
    {
        float[] values = Draw.Rows(s_centres, Length, Rows, seed: 2);
        using var model = new InferenceSession(TinyModel.Product(s_turn, Length, Length));
        using OrtValue x = OrtValue.CreateTensorValueFromMemory(values, [Rows, Length]);
        using var options = new RunOptions();
        using IDisposableReadOnlyCollection<OrtValue> outputs = model.Run(options, ["x"], [x], ["y"]);
        using ForeignTensor y = outputs[0].AsTensor(Cpu);
        Assert.Equal($"F32[{Rows}, {Length}]", y.ToString());
        Assert.True(Same(outputs[0], y));

        using MemoryBuffer1D<float, Stride1D.Dense> codes = Cpu.Allocate1D(Turned(s_centres));
        using MemoryBuffer1D<int, Stride1D.Dense> index = Cpu.Allocate1D<int>(Rows);
        using var nearest = new NearestCode(Cpu, Rows, Count, Length);
        nearest.Search(Cpu.DefaultStream, y.View, codes.View, index.View, Rows);
        Assert.Equal(Enumerable.Range(0, Rows).Select(row => Draw.CentreOf(row, Count)), index.GetAsArray1D());
    }

    [OrtFact]
    public void Buffers_are_input_and_output_of_a_model()
    {
        float[] values = Draw.Rows(s_centres, Length, Rows, seed: 3);
        using MemoryBuffer1D<float, Stride1D.Dense> x = Cpu.Allocate1D(values);
        using MemoryBuffer1D<float, Stride1D.Dense> y = Cpu.Allocate1D<float>((Rows + 2) * Length);
        y.MemSetToZero();
        using var model = new InferenceSession(TinyModel.Product(s_turn, Length, Length));
        using var options = new RunOptions();
        using (OrtValue input = ((ArrayView<float>)x.View).AsOrtValue(Rows, Length))
        using (OrtValue output = y.View.SubView(Length, Rows * Length).AsContiguous().AsOrtValue(Rows, Length))
        {
            model.Run(options, ["x"], [input], ["y"], [output]);
        }

        float[] zeros = new float[Length];
        Assert.Equal([.. zeros, .. Turned(values), .. zeros], y.GetAsArray1D());
        Assert.Equal(values, x.GetAsArray1D());
    }

    [OrtFact]
    public void Types_go_both_ways()
    {
        Check<float>(TensorElementType.Float, ElementType.F32);
        Check<ILGPU.Half>(TensorElementType.Float16, ElementType.F16);
        Check<ushort>(TensorElementType.BFloat16, ElementType.BF16);
        Check<int>(TensorElementType.Int32, ElementType.I32);
        Check<long>(TensorElementType.Int64, ElementType.I64);
        Check<byte>(TensorElementType.UInt8, ElementType.U8);

        static void Check<T>(TensorElementType ort, ElementType type)
            where T : unmanaged
        {
            using MemoryBuffer1D<T, Stride1D.Dense> buffer = Cpu.Allocate1D<T>(6);
            using OrtValue value = buffer.View.AsContiguous().AsOrtValue(2, 3);
            Assert.Equal(ort, value.GetTensorTypeAndShape().ElementDataType);
            Assert.Equal([2, 3], value.GetTensorTypeAndShape().Shape);
            using ForeignTensor tensor = value.AsTensor(Cpu);
            Assert.Equal(type, tensor.Type);
            Assert.Equal([2, 3], tensor.Shape);
            Assert.Equal(6, tensor.As<T>().Length);
            Assert.True(Same(value, tensor));
        }
    }

    [OrtFact]
    public void Empty_tensors_and_single_numbers_are_tensors()
    {
        using OrtValue empty = OrtValue.CreateAllocatedTensorValue(
            OrtAllocator.DefaultInstance, TensorElementType.Float, [0, 3]);
        using ForeignTensor none = empty.AsTensor(Cpu);
        Assert.Equal([0, 3], none.Shape);
        Assert.Equal(0, none.View.Length);

        using OrtValue number = OrtValue.CreateTensorValueFromMemory((float[])[7], []);
        using ForeignTensor one = number.AsTensor(Cpu);
        Assert.Empty(one.Shape);
        Assert.Equal(1, one.Length);
    }

    [OrtFact]
    public void A_value_that_the_tensor_owns_is_disposed_of_with_it()
    {
        OrtValue value = OrtValue.CreateTensorValueFromMemory((float[])[1, 2], [2]);
        using (value.AsTensor(Cpu, owned: true))
        {
        }

        Assert.Throws<ObjectDisposedException>(() => value.AsTensor(Cpu));
    }

    [OrtFact]
    public void A_value_that_does_not_fit_is_refused_by_name()
    {
        using OrtValue doubles = OrtValue.CreateTensorValueFromMemory((double[])[1, 2], [2]);
        Refused("value", "Double", () => doubles.AsTensor(Cpu));
        using OrtValue texts = OrtValue.CreateTensorWithEmptyStrings(OrtAllocator.DefaultInstance, [2]);
        Refused("value", "String", () => texts.AsTensor(Cpu));
        using OrtValue sequence = OrtValue.CreateSequence([OrtValue.CreateTensorValueFromMemory((float[])[1, 2], [2])]);
        Refused("value", "SEQUENCE", () => sequence.AsTensor(Cpu));
        using OrtValue good = OrtValue.CreateTensorValueFromMemory((float[])[1, 2], [2]);
        Assert.Equal("accelerator", Assert.Throws<ArgumentNullException>(() => good.AsTensor(null!)).ParamName);
        Assert.Equal("value", Assert.Throws<ArgumentNullException>(() => default(OrtValue)!.AsTensor(Cpu)).ParamName);
        if (!TestSessions.IsCpu)
        {
            Refused("accelerator", "CPU", () => good.AsTensor(TestSessions.Tested.Accelerator));
        }

        OrtValue gone = OrtValue.CreateTensorValueFromMemory((float[])[1, 2], [2]);
        gone.Dispose();
        Assert.Throws<ObjectDisposedException>(() => gone.AsTensor(Cpu));
    }

    [OrtFact]
    public void A_buffer_that_does_not_fit_is_refused_by_name()
    {
        using MemoryBuffer1D<float, Stride1D.Dense> buffer = Cpu.Allocate1D<float>(6);
        ArrayView<float> view = buffer.View;
        Refused("shape", "[2, 2]", () => view.AsOrtValue(2, 2));
        Refused("shape", "non-negative", () => view.AsOrtValue(-2, -3));
        Refused("shape", "[4611686018427387904, 4, 6]", () => view.AsOrtValue(1L << 62, 4, 6));
        Refused("view", "no buffer", () => default(ArrayView<float>).AsOrtValue(0));
        Refused("view", "Double", () => default(ArrayView<double>).AsOrtValue(0));
        MemoryBuffer1D<float, Stride1D.Dense> gone = Cpu.Allocate1D<float>(6);
        ArrayView<float> disposed = gone.View;
        gone.Dispose();
        Assert.Throws<ObjectDisposedException>(() => disposed.AsOrtValue(6));
        if (!TestSessions.IsCpu)
        {
            using MemoryBuffer1D<float, Stride1D.Dense> there = TestSessions.Tested.Accelerator.Allocate1D<float>(6);
            ArrayView<float> elsewhere = there.View;
            Refused("view", "CPU", () => elsewhere.AsOrtValue(6));
        }
    }

    private static bool Same(OrtValue value, ForeignTensor tensor)
    {
        Span<byte> bytes = value.GetTensorMutableRawData();
        bytes[0] = 1;
        byte[] read = new byte[1];
        ReadFirst(tensor, read);
        bytes[0] = 2;
        byte[] again = new byte[1];
        ReadFirst(tensor, again);
        return read[0] == 1 && again[0] == 2;
    }

    private static void ReadFirst(ForeignTensor tensor, byte[] first)
    {
        ArrayView<byte> bytes = tensor.Type switch
        {
            ElementType.F32 => tensor.As<float>().Cast<byte>(),
            ElementType.F16 => tensor.As<ILGPU.Half>().Cast<byte>(),
            ElementType.BF16 => tensor.As<ushort>().Cast<byte>(),
            ElementType.I32 => tensor.As<int>().Cast<byte>(),
            ElementType.I64 => tensor.As<long>().Cast<byte>(),
            _ => tensor.As<byte>(),
        };
        bytes.SubView(0, 1).CopyToCPU(tensor.Accelerator.DefaultStream, first);
    }

    private static float[] Turned(float[] rows)
    {
        float[] turned = new float[rows.Length];
        for (int i = 0; i < rows.Length; i++)
        {
            // x w: the first number of a row becomes the second, and the last the first.
            turned[(i / Length * Length) + (((i % Length) + 1) % Length)] = rows[i];
        }

        return turned;
    }

    private static void Refused(string argument, string said, Action call)
    {
        ArgumentException thrown = Assert.ThrowsAny<ArgumentException>(call);
        Assert.Equal(argument, thrown.ParamName);
        Assert.Contains(said, thrown.Message, StringComparison.Ordinal);
    }
}
