using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using ILGPU;
using ILGPU.Runtime;
using Kernels.Interop;
using Kernels.Linear;
using Kernels.Tests.Support;

namespace Kernels.Tests.Interop;

public sealed class DLPackTests
{
    private static readonly float[] s_six = [1, -2, 3, -4, 5, -6];

    private static Accelerator Cpu => TestDevices.Host.Accelerator;

    public static TheoryData<DLPackForm> Forms() => [DLPackForm.Legacy, DLPackForm.Versioned];

    public static TheoryData<DLPackForm, string> Refusals()
    {
        var data = new TheoryData<DLPackForm, string>();
        foreach (DLPackForm form in Enum.GetValues<DLPackForm>())
        {
            foreach (string what in Spoilers(form).Keys)
            {
                data.Add(form, what);
            }
        }

        return data;
    }

    [Theory]
    [MemberData(nameof(Forms))]
    public void A_tensor_of_another_library_is_used_in_its_place(DLPackForm form)
    {
        using var managed = new Managed(form, s_six, 2, 3);
        using (ForeignTensor tensor = DLPack.Import(Cpu, managed.Pointer, form))
        {
            Assert.Equal("F32[2, 3]", tensor.ToString());
            Assert.Equal(ElementType.F32, tensor.Type);
            Assert.Equal([2, 3], tensor.Shape);
            Assert.Equal(6, tensor.Length);
            Assert.Same(Cpu, tensor.Accelerator);
            new Activations(Cpu).Forward(Cpu.DefaultStream, tensor.View, tensor.View, Activation.Relu);
            Assert.Equal(0, managed.Deleted);
        }

        Assert.Equal([1, 0, 3, 0, 5, 0], managed.Values(6));
        Assert.Equal(1, managed.Deleted);
    }

    [Theory]
    [MemberData(nameof(Forms))]
    public void A_disposed_tensor_is_refused_and_deleted_once(DLPackForm form)
    {
        using var managed = new Managed(form, s_six, 6);
        ForeignTensor tensor = DLPack.Import(Cpu, managed.Pointer, form);
        TensorView view = tensor.View;
        tensor.Dispose();
        tensor.Dispose();
        Assert.Equal(1, managed.Deleted);
        Assert.Throws<ObjectDisposedException>(() => tensor.View);
        Assert.Throws<ObjectDisposedException>(
            () => new Activations(Cpu).Forward(Cpu.DefaultStream, view, view, Activation.Relu));
        Assert.Equal(s_six, managed.Values(6));
    }

    [Theory]
    [MemberData(nameof(Refusals))]
    public void What_cannot_be_used_is_refused_by_name_and_deleted_once(DLPackForm form, string what)
    {
        using var managed = new Managed(form, s_six, 2, 3);
        (Action<Managed> spoil, string said) = Spoilers(form)[what];
        spoil(managed);
        ArgumentException thrown = Assert.ThrowsAny<ArgumentException>(() => DLPack.Import(Cpu, managed.Pointer, form));
        Assert.Equal("managed", thrown.ParamName);
        Assert.Contains(said, thrown.Message, StringComparison.Ordinal);
        Assert.Equal(1, managed.Deleted);
        Assert.Equal(s_six, managed.Values(6));
    }

    [Theory]
    [MemberData(nameof(Forms))]
    public void Without_an_accelerator_the_tensor_is_deleted_too(DLPackForm form)
    {
        using var managed = new Managed(form, s_six, 6);
        Assert.Equal(
            "accelerator", Assert.Throws<ArgumentNullException>(() => DLPack.Import(null!, managed.Pointer, form)).ParamName);
        Assert.Equal(1, managed.Deleted);
    }

    [Theory]
    [MemberData(nameof(Forms))]
    public void Layouts_that_are_row_major_after_all_are_taken(DLPackForm form)
    {
        using var offset = new Managed(form, s_six, 4);
        offset.Set(Managed.ByteOffset, 8L);
        offset.Set(Managed.Strides, (nint)0);
        using (ForeignTensor tensor = DLPack.Import(Cpu, offset.Pointer, form))
        {
            Assert.Equal([3, -4, 5, -6], Read(tensor));
        }

        using var oneRow = new Managed(form, s_six, 1, 6, 1);
        oneRow.SetNumber(3, 77);
        oneRow.SetNumber(5, -1);
        using (ForeignTensor tensor = DLPack.Import(Cpu, oneRow.Pointer, form))
        {
            Assert.Equal(s_six, Read(tensor));
        }

        using var empty = new Managed(form, s_six, 0, 3);
        empty.Set(Managed.Data, (nint)0);
        empty.SetNumber(2, 5);
        using (ForeignTensor tensor = DLPack.Import(Cpu, empty.Pointer, form))
        {
            Assert.Equal([0, 3], tensor.Shape);
            Assert.Equal(0, tensor.View.Length);
        }

        using var number = new Managed(form, s_six);
        using (ForeignTensor tensor = DLPack.Import(Cpu, number.Pointer, form))
        {
            Assert.Empty(tensor.Shape);
            Assert.Equal([1], Read(tensor));
        }

        using var forever = new Managed(form, s_six, 6);
        forever.SetDeleter(form, 0);
        DLPack.Import(Cpu, forever.Pointer, form).Dispose();
        Assert.Equal(1, offset.Deleted + oneRow.Deleted + empty.Deleted + number.Deleted - 3);
    }

    [Fact]
    public void Elements_come_in_their_own_type_only()
    {
        (byte Code, byte Bits, ElementType Type)[] types =
        [
            (0, 32, ElementType.I32), (0, 64, ElementType.I64), (1, 8, ElementType.U8), (2, 16, ElementType.F16),
            (2, 32, ElementType.F32), (4, 16, ElementType.BF16),
        ];
        foreach ((byte code, byte bits, ElementType type) in types)
        {
            using var managed = new Managed(DLPackForm.Versioned, s_six, 2);
            managed.Set(Managed.Code, code);
            managed.Set(Managed.Bits, bits);
            using ForeignTensor tensor = DLPack.Import(Cpu, managed.Pointer, DLPackForm.Versioned);
            Assert.Equal(type, tensor.Type);
            Assert.Equal(type == ElementType.I32, Record.Exception(() => tensor.As<int>()) is null);
            Assert.Equal(type == ElementType.I64, Record.Exception(() => tensor.As<long>()) is null);
            Assert.Equal(type == ElementType.U8, Record.Exception(() => tensor.As<byte>()) is null);
            Assert.Equal(type == ElementType.BF16, Record.Exception(() => tensor.As<ushort>()) is null);
            Assert.IsType<InvalidOperationException>(Record.Exception(() => tensor.As<double>()));
            if (type is ElementType.F32 or ElementType.F16 or ElementType.BF16)
            {
                Assert.Equal(type.ToString(), tensor.View.Storage.ToString());
            }
            else
            {
                Assert.IsType<InvalidOperationException>(Record.Exception(() => tensor.View));
            }
        }
    }

    [Fact]
    public void A_read_only_tensor_is_taken_where_that_is_accepted()
    {
        using var managed = new Managed(DLPackForm.Versioned, s_six, 6);
        managed.SetHead(24, 1);
        using (ForeignTensor tensor = DLPack.Import(Cpu, managed.Pointer, DLPackForm.Versioned, acceptReadOnly: true))
        {
            Assert.Equal(s_six, Read(tensor));
        }

        Assert.Equal(1, managed.Deleted);
    }

    [Fact]
    public void An_exported_tensor_has_the_documented_layout()
    {
        using MemoryBuffer1D<float, Stride1D.Dense> buffer = Cpu.Allocate1D(s_six);
        nint legacy = DLPack.Export(buffer.View.SubView(1, 4), [2, 2], DLPackForm.Legacy, owner: null);
        CheckTensor(legacy, buffer.NativePtr + 4, 2, 32);
        Call(legacy, 56);

        nint versioned = DLPack.Export(buffer.View.SubView(1, 4), [2, 2], DLPackForm.Versioned, owner: null);
        Assert.Equal(1, Marshal.ReadInt32(versioned));
        Assert.Equal(0, Marshal.ReadInt64(versioned, 24));
        CheckTensor(versioned + 32, buffer.NativePtr + 4, 2, 32);
        Call(versioned, 16);

        using MemoryBuffer1D<int, Stride1D.Dense> integers = Cpu.Allocate1D<int>(4);
        nint codes = DLPack.Export<int>(integers.View, [2, 2], DLPackForm.Legacy, owner: null);
        CheckTensor(codes, integers.NativePtr, 0, 32);
        Call(codes, 56);
        Assert.Equal(s_six, buffer.GetAsArray1D());
    }

    [Theory]
    [MemberData(nameof(Forms))]
    public void An_exported_tensor_keeps_its_buffer_until_the_deleter_is_called(DLPackForm form)
    {
        (nint managed, WeakReference buffer) = ExportOnly(form, owned: false);
        Collect();
        Assert.True(buffer.IsAlive);
        using (ForeignTensor tensor = DLPack.Import(Cpu, managed, form))
        {
            Assert.Equal(s_six, Read(tensor));
        }

        Collect();
        Assert.False(buffer.IsAlive);

        (managed, buffer) = ExportOnly(form, owned: true);
        DLPack.Import(Cpu, managed, form).Dispose();
        Assert.True(IsDisposedOrGone(buffer));
    }

    [Fact]
    public void A_tensor_of_the_device_under_test_goes_out_and_comes_back_or_is_refused()
    {
        Accelerator device = TestDevices.Session.Accelerator;
        using MemoryBuffer1D<float, Stride1D.Dense> buffer = device.Allocate1D(s_six);
        if (device.AcceleratorType == AcceleratorType.OpenCL)
        {
            ArgumentException refused = Assert.Throws<ArgumentException>(
                () => DLPack.Export(buffer.View, [6], DLPackForm.Versioned, owner: null));
            Assert.Equal("view", refused.ParamName);
            return;
        }

        nint managed = DLPack.Export(buffer.View, [6], DLPackForm.Versioned, owner: null);
        using ForeignTensor tensor = DLPack.Import(device, managed, DLPackForm.Versioned);
        new Activations(device).Forward(device.DefaultStream, tensor.View, tensor.View, Activation.Relu);
        device.Synchronize();
        Assert.Equal([1, 0, 3, 0, 5, 0], buffer.GetAsArray1D());
        Assert.Equal([1, 0, 3, 0, 5, 0], Read(tensor));
    }

    [Fact]
    public void A_forgotten_tensor_is_deleted_once_when_no_view_of_it_is_left()
    {
        using var managed = new Managed(DLPackForm.Legacy, s_six, 6);
        ArrayView<float> view = ImportOnly(managed);
        Collect();
        Assert.Equal(0, managed.Deleted);
        Assert.Equal(-2, Second(ref view));
        Collect();
        Assert.Equal(1, managed.Deleted);
    }

    private static Dictionary<string, (Action<Managed> Spoil, string Said)> Spoilers(DLPackForm form)
    {
        var spoilers = new Dictionary<string, (Action<Managed> Spoil, string Said)>(StringComparer.Ordinal)
        {
            ["double"] = (m => m.Set(Managed.Bits, (byte)64), "code 2, 64 bits"),
            ["four lanes"] = (m => m.Set(Managed.Lanes, (short)4), "4 lanes"),
            ["bool"] = (m => m.Set(Managed.Code, (byte)6), "code 6"),
            ["CUDA"] = (m => m.Set(Managed.Kind, 2), "is 2 with index 0"),
            ["OpenCL"] = (m => m.Set(Managed.Kind, 4), "is 4 with index 0"),
            ["a negative rank"] = (m => m.Set(Managed.Dimensions, -1), "for -1"),
            ["no shape"] = (m => m.Set(Managed.Shape, (nint)0), "for 2"),
            ["a negative length"] = (m => m.SetNumber(0, -2), "at least 0"),
            ["too many bytes"] = (m => m.SetNumber(0, long.MaxValue / 3), "2^63 - 1 bytes"),
            ["transposed"] = (m =>
            {
                m.SetNumber(2, 1);
                m.SetNumber(3, 2);
            }, "[1, 2]"),
            ["rows apart"] = (m => m.SetNumber(2, 4), "[4, 1]"),
            ["one row again and again"] = (m => m.SetNumber(2, 0), "[0, 1]"),
            ["no memory"] = (m => m.Set(Managed.Data, (nint)0), "0x0"),
            ["not aligned"] = (m => m.Set(Managed.ByteOffset, 2L), "+ 2"),
            ["beyond the end of memory"] = (m => m.Set(Managed.ByteOffset, -4L), "+ 18446744073709551612"),
        };
        if (form == DLPackForm.Versioned)
        {
            spoilers["another version"] = (m => m.SetHead(0, 2), "is 2.1");
            spoilers["read-only"] = (m => m.SetHead(24, 1), "read-only");
        }

        return spoilers;
    }

    private static float[] Read(ForeignTensor tensor)
    {
        float[] values = new float[tensor.Length];
        tensor.As<float>().CopyToCPU(tensor.Accelerator.DefaultStream, values);
        return values;
    }

    private static void CheckTensor(nint tensor, nint data, byte code, byte bits)
    {
        Assert.Equal(data, Marshal.ReadIntPtr(tensor, Managed.Data) + (nint)Marshal.ReadInt64(tensor, Managed.ByteOffset));
        Assert.Equal(1, Marshal.ReadInt32(tensor, Managed.Kind));
        Assert.Equal(0, Marshal.ReadInt32(tensor, Managed.Index));
        Assert.Equal(2, Marshal.ReadInt32(tensor, Managed.Dimensions));
        Assert.Equal(code, Marshal.ReadByte(tensor, Managed.Code));
        Assert.Equal(bits, Marshal.ReadByte(tensor, Managed.Bits));
        Assert.Equal(1, Marshal.ReadInt16(tensor, Managed.Lanes));
        nint shape = Marshal.ReadIntPtr(tensor, Managed.Shape);
        Assert.Equal((2, 2), (Marshal.ReadInt64(shape), Marshal.ReadInt64(shape, 8)));
        nint strides = Marshal.ReadIntPtr(tensor, Managed.Strides);
        Assert.Equal((2, 1), (Marshal.ReadInt64(strides), Marshal.ReadInt64(strides, 8)));
    }

    private static void Call(nint managed, int offset) =>
        Marshal.GetDelegateForFunctionPointer<DeleterCall>(Marshal.ReadIntPtr(managed, offset))(managed);

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static (nint Managed, WeakReference Buffer) ExportOnly(DLPackForm form, bool owned)
    {
        MemoryBuffer1D<float, Stride1D.Dense> buffer = Cpu.Allocate1D(s_six);
        nint managed = DLPack.Export(buffer.View, [6], form, owned ? buffer : null);
        IContiguousArrayView view = (ArrayView<float>)buffer.View;
        return (managed, new WeakReference(view.Buffer));
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static ArrayView<float> ImportOnly(Managed managed) =>
        DLPack.Import(Cpu, managed.Pointer, DLPackForm.Legacy).As<float>();

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static float Second(ref ArrayView<float> view)
    {
        float[] values = new float[1];
        view.SubView(1, 1).CopyToCPU(values);
        view = default;
        return values[0];
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static bool IsDisposedOrGone(WeakReference buffer) =>
        buffer.Target is not MemoryBuffer alive || alive.IsDisposed;

    private static void Collect()
    {
        for (int i = 0; i < 2; i++)
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }

        GC.Collect();
    }

    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    private delegate void DeleterCall(nint self);
}
