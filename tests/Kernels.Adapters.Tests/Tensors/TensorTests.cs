using System.Numerics.Tensors;
using ILGPU.Runtime;
using Kernels.Adapters.Tests.Support;
using Kernels.Interop;
using Kernels.Linear;
using Kernels.Optimizers;
using Kernels.Tensors;
using Kernels.VectorQuantization;

namespace Kernels.Adapters.Tests.Tensors;

public sealed class TensorTests
{
    private const int Length = 3;
    private const int Count = 8;

    private static readonly float[] s_centres = Draw.Centres(Count, Length);

    [Fact]
    public void A_codebook_takes_tensors()
    {
        float[] values = Draw.Rows(s_centres, Length, 20, seed: 1);
        Tensor<float> x = Tensor.Create(values, [4, 5, Length]);
        Tensor<int> index = Tensor.CreateFromShape<int>([4, 5]);
        Tensor<float> output = Tensor.CreateFromShape<float>([4, 5, Length]);
        using var book = new Codebook(TestSessions.Tested, Count, Length);
        book.SetCodes(s_centres);
        book.Encode(x, index);
        for (int row = 0; row < 20; row++)
        {
            Assert.Equal(Draw.CentreOf(row, Count), index[row / 5, row % 5]);
        }

        book.Decode(index, output);
        ReadOnlySpan<float> code = s_centres.AsSpan(Draw.CentreOf(1, Count) * Length, Length);
        Assert.Equal(code, output.AsRowMajorSpan()[Length..(2 * Length)]);

        Tensor<int> again = Tensor.CreateFromShape<int>([4, 5, 1]);
        CodebookLoss loss = book.Forward(x, output, again);
        Assert.InRange(loss.Codebook, 0, Draw.Radius * Draw.Radius);
        Assert.Equal(index.AsRowMajorSpan(), again.AsRowMajorSpan());

        using var fitted = new Codebook(TestSessions.Tested, Count, Length);
        fitted.Fit(x, new KMeansOptions());
        using var same = new Codebook(TestSessions.Tested, Count, Length);
        same.Fit(values, new KMeansOptions());
        Assert.Equal(Codes(same), Codes(fitted));
    }

    [Fact]
    public void An_optimizer_takes_tensors()
    {
        float[] start = [1, 2, 3, 4, 5, 6];
        Tensor<float> gradient = Tensor.Create((float[])[1, -1, 1, -1, 1, -1], [2, 3]);
        Tensor<float> weight = Tensor.CreateFromShape<float>([2, 3]);
        var options = new SgdOptions { LearningRate = 0.5 };
        using var optimizer = new Optimizer(TestSessions.Tested, options, [new Parameter("w", start, 2, 3)]);
        optimizer.Step(gradient);
        optimizer.SetGradient("w", gradient);
        optimizer.Step();
        optimizer.Download("w", weight);
        Assert.Equal([0, 3, 2, 5, 4, 7], weight.AsRowMajorSpan());
        optimizer.Upload("w", gradient);
        optimizer.Download("w", weight);
        Assert.Equal(gradient.AsRowMajorSpan(), weight.AsRowMajorSpan());

        Tensor<float> turned = Tensor.CreateFromShape<float>([3, 2]);
        Refused("values", "[2, 3], and is [3, 2]", () => optimizer.SetGradient("w", turned));
        Refused("gradient", "[2, 3], and is [3, 2]", () => optimizer.Step(turned));
        Refused("values", "[2, 3], and is [3, 2]", () => optimizer.Upload("w", turned));
        Refused("values", "[2, 3], and is [3, 2]", () => optimizer.Download("w", turned));
        Refused("name", "v", () => optimizer.SetGradient("v", turned));
        Assert.Equal(default, turned.AsRowMajorSpan()[0]);
        optimizer.Download("w", weight);
        Assert.Equal(gradient.AsRowMajorSpan(), weight.AsRowMajorSpan());
    }

    [Fact]
    public void Tensors_that_are_not_row_major_or_of_another_shape_are_refused_by_name()
    {
        using var book = new Codebook(TestSessions.Tested, Count, Length);
        Tensor<float> rows = Tensor.CreateFromShape<float>([5, Length]);
        Tensor<float> wide = Tensor.CreateFromShape<float>([5, 2 * Length]);
        Tensor<int> index = Tensor.Create((int[])[9, 9, 9, 9, 9], [5]);
        Tensor<int> spread = Tensor.CreateFromShape<int>([5, 2]);
        Refused("x", "[5, 3], and are [6, 1]", () => book.Encode(wide[.., ..Length], index));
        Refused("x", "[5, 3], and are [1, 5]", () => book.Encode(Transposed(), index));
        Refused("index", "[5, 1], and are [2, ", () => book.Encode(rows, spread[.., ..1]));
        Refused("x", "is [5, 6]", () => book.Encode(wide, index));
        Refused("x", "is [4]", () => book.Encode(Tensor.CreateFromShape<float>([4]), index));
        Refused("index", "is [5, 2]", () => book.Encode(rows, spread));
        Refused("output", "is [5, 6]", () => book.Decode(index, wide));
        Refused("output", "is [5, 6]", () => book.Forward(rows, wide, index));
        Refused("x", "is [5, 6]", () => book.Fit(wide, new KMeansOptions()));
        Refused("tensor", "[5, 3], and are [6, 1]", () => wide[.., ..Length].AsRowMajorSpan().Clear());
        Assert.Throws<ArgumentNullException>(() => default(Codebook)!.Encode(rows, index));
        Assert.Equal([9, 9, 9, 9, 9], index.AsRowMajorSpan());

        static Tensor<float> Transposed() => Tensor.PermuteDimensions(Tensor.CreateFromShape<float>([Length, 5]), [1, 0]);
    }

    [Fact]
    public void Rows_of_a_larger_tensor_and_empty_ones_are_taken()
    {
        Tensor<float> all = Tensor.Create((float[])[1, 2, 3, 4, 5, 6, 7, 8], [4, 2]);
        Assert.Equal([3, 4, 5, 6], all[1..3, ..].AsRowMajorSpan());
        Assert.Equal([7, 8], all.AsReadOnlyTensorSpan()[3.., ..].AsRowMajorSpan());
        Assert.True(Tensor.CreateFromShape<float>([0, 3]).AsRowMajorSpan().IsEmpty);
        using var book = new Codebook(TestSessions.Tested, Count, Length);
        book.Encode(Tensor.CreateFromShape<float>([0, Length]), Tensor.CreateFromShape<int>([0]));
    }

    [Fact]
    public void A_pinned_tensor_is_used_in_its_place()
    {
        Accelerator cpu = TestSessions.Cpu.Accelerator;
        Tensor<float> all = Tensor.Create((float[])[1, -2, 3, -4, 5, -6], [3, 2]);
        Tensor<float> last = all[1.., ..];
        using (ForeignTensor pinned = last.Pin(cpu))
        {
            Assert.Equal("F32[2, 2]", pinned.ToString());
            GC.Collect(2, GCCollectionMode.Forced, blocking: true, compacting: true);
            new Activations(cpu).Forward(cpu.DefaultStream, pinned.View, pinned.View, Activation.Relu);
        }

        Assert.Equal([1, -2, 3, 0, 5, 0], all.AsRowMajorSpan());
        Assert.Equal("[1, 0]", TypeOf(Tensor.CreateFromShape<Half>([1, 0]), "F16"));
        Assert.Equal("[2]", TypeOf(Tensor.CreateFromShape<ushort>([2]), "BF16"));
        Assert.Equal("[2]", TypeOf(Tensor.CreateFromShape<int>([2]), "I32"));
        Assert.Equal("[2]", TypeOf(Tensor.CreateFromShape<long>([2]), "I64"));
        Assert.Equal("[2]", TypeOf(Tensor.CreateFromShape<byte>([2]), "U8"));

        Refused("tensor", "Double", () => Tensor.CreateFromShape<double>([2]).Pin(cpu));
        Refused("tensor", "[3, 1], and are [2, ", () => all[.., ..1].Pin(cpu));
        Assert.Throws<ArgumentNullException>(() => all.Pin(null!));
        if (!TestSessions.IsCpu)
        {
            Refused("accelerator", "CPU", () => all.Pin(TestSessions.Tested.Accelerator));
        }

        string TypeOf<T>(Tensor<T> tensor, string type)
            where T : unmanaged
        {
            using ForeignTensor pinned = tensor.Pin(cpu);
            Assert.StartsWith(type, pinned.ToString(), StringComparison.Ordinal);
            return pinned.ToString()[type.Length..];
        }
    }

    private static float[] Codes(Codebook book)
    {
        float[] codes = new float[Count * Length];
        book.GetCodes(codes);
        return codes;
    }

    private static void Refused(string argument, string said, Action call)
    {
        ArgumentException thrown = Assert.ThrowsAny<ArgumentException>(call);
        Assert.Equal(argument, thrown.ParamName);
        Assert.Contains(said, thrown.Message, StringComparison.Ordinal);
    }
}
