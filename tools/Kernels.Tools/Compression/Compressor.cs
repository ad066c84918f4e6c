using ILGPU;
using ILGPU.Runtime;
using Kernels.Linear;
using Kernels.Quantization;
using Kernels.Serialization;

namespace Kernels.Tools.Compression;

/// <summary>What compressing a matrix came to.</summary>
/// <param name="Tensor">What it is kept as.</param>
/// <param name="Fitted">The signal over the noise of the weights, dB, after k-means.</param>
/// <param name="Learned">And after joint learning.</param>
/// <param name="OutputsBefore">The same of the layer's outputs on the data, before joint learning; null without data.</param>
/// <param name="OutputsAfter">And after it.</param>
internal sealed record CompressionResult(
    CompressedTensor Tensor, double Fitted, double Learned, double? OutputsBefore, double? OutputsAfter);

/// <summary>Compresses matrices: rows are grouped, each group gets a codebook by k-means, and then codes and mapping are
/// learned together: so that the layer's outputs lose the least where there are inputs of it, or else its weights.</summary>
internal sealed class Compressor(Session session, float[] data, int dataColumns)
{
    // Without inputs each weight is by itself: the best mapping for the codes and the best codes for the mapping, by turns,
    // are Lloyd's steps, and gradient steps find nothing that these do not.
    private static readonly CodebookFitOptions s_weightsAlone = new() { Start = CodebookStart.Given, Iterations = 100 };

    /// <summary>Compresses a matrix and writes it.</summary>
    /// <param name="from">The model.</param>
    /// <param name="to">The new one.</param>
    /// <param name="tensor">What the matrix is to be kept as.</param>
    /// <param name="progress">Is told of every step of learning.</param>
    /// <returns>What it came to.</returns>
    /// <exception cref="BadInputException">It has a number that is not finite.</exception>
    internal CompressionResult Compress(
        SafeTensorsFile from, SafeTensorsWriter to, CompressedTensor tensor, IProgress<JointQuantizerProgress>? progress)
    {
        float[] w = Weights(from, tensor);
        if (!Array.TrueForAll(w, float.IsFinite))
        {
            throw new BadInputException($"The tensor '{tensor.Name}' has numbers that are not finite.");
        }

        RowGrouping grouping = RowGrouping.Group(w, tensor.Columns, tensor.Groups);
        CodebookLayout layout = tensor.Layout(grouping.Boundaries);
        w = Permuted(w, grouping.Permutation, tensor.Columns);
        var index = new byte[w.Length];
        var codebook = new float[layout.CodebookLength];
        Fit(layout, w, index, codebook, new CodebookFitOptions());
        double fitted = Decibels(Power(w), Error(layout, w, index, codebook));
        double? before = null;
        double? after = null;
        if (dataColumns == tensor.Columns)
        {
            int samples = data.Length / dataColumns;
            using var quantizer = new JointQuantizer(session, layout, samples: samples);
            JointQuantizerResult result = quantizer.Learn(w, index, codebook, [], data, progress: progress);
            double signal = OutputPower(layout, w, samples);
            before = Decibels(signal, result.Before);
            after = Decibels(signal, result.After);
        }
        else
        {
            Fit(layout, w, index, codebook, s_weightsAlone);
        }

        double learned = Decibels(Power(w), Error(layout, w, index, codebook));
        to.Write<byte>(tensor.CodesName, Packed(session, layout, index));
        to.Write<float>(tensor.CodebookName, codebook);
        if (tensor.Groups > 1)
        {
            to.Write(tensor.BoundariesName, grouping.Boundaries);
            to.Write(tensor.RowsName, grouping.Permutation);
        }

        return new CompressionResult(tensor, fitted, learned, before, after);
    }

    /// <summary>Codes as they are kept.</summary>
    internal static byte[] Packed(Session session, CodebookLayout layout, byte[] index)
    {
        using MemoryBuffer1D<byte, Stride1D.Dense> codes = session.Accelerator.Allocate1D(index);
        using MemoryBuffer1D<byte, Stride1D.Dense> packed = session.Accelerator.Allocate1D<byte>(layout.PackedBytes);
        new Pack(session.Accelerator, layout).Run(session.Stream, codes.View, packed.View);
        session.Synchronize();
        return packed.GetAsArray1D();
    }

    private static float[] Weights(SafeTensorsFile file, CompressedTensor tensor)
    {
        var w = new float[tensor.Length];
        if (tensor.Type == SafeTensorType.F32)
        {
            file.Read<float>(tensor.Name, w);
            return w;
        }

        var halves = new ushort[w.Length];
        file.Read<ushort>(tensor.Name, halves);
        for (int i = 0; i < w.Length; i++)
        {
            w[i] = tensor.Type == SafeTensorType.F16
                ? (float)BitConverter.UInt16BitsToHalf(halves[i])
                : BitConverter.UInt32BitsToSingle((uint)halves[i] << 16);
        }

        return w;
    }

    private static float[] Permuted(float[] w, ReadOnlySpan<int> permutation, int columns)
    {
        var permuted = new float[w.Length];
        for (int row = 0; row < permutation.Length; row++)
        {
            w.AsSpan(permutation[row] * columns, columns).CopyTo(permuted.AsSpan(row * columns));
        }

        return permuted;
    }

    private static double Decibels(double signal, double noise) => 10 * Math.Log10(signal / noise);

    private static double Power(float[] values) => values.Sum(value => (double)value * value);

    private static double Error(CodebookLayout layout, float[] w, byte[] index, float[] codebook)
    {
        double error = 0;
        for (int group = 0; group < layout.CodebookCount; group++)
        {
            (int first, int end) = layout.CodebookCount == 1
                ? (0, layout.Rows)
                : (layout.Codebooks.Boundaries[group], layout.Codebooks.Boundaries[group + 1]);
            for (int i = first * layout.Columns; i < end * layout.Columns; i++)
            {
                double difference = (double)w[i] - codebook[(group * layout.Codes) + index[i]];
                error += difference * difference;
            }
        }

        return error;
    }

    private void Fit(CodebookLayout layout, float[] w, byte[] index, float[] codebook, CodebookFitOptions options)
    {
        using MemoryBuffer1D<float, Stride1D.Dense> weights = session.Accelerator.Allocate1D(w);
        using MemoryBuffer1D<byte, Stride1D.Dense> codes = session.Accelerator.Allocate1D<byte>(index.Length);
        using MemoryBuffer1D<float, Stride1D.Dense> books = session.Accelerator.Allocate1D(codebook);
        using var fit = new CodebookFit(session.Accelerator, layout, options);
        fit.Run(session.Stream, weights.View, default, books.View, codes.View);
        session.Synchronize();
        codes.GetAsArray1D().CopyTo(index, 0);
        books.GetAsArray1D().CopyTo(codebook, 0);
    }

    private double OutputPower(CodebookLayout layout, float[] w, int samples)
    {
        using MemoryBuffer1D<float, Stride1D.Dense> weights = session.Accelerator.Allocate1D(w);
        using MemoryBuffer1D<float, Stride1D.Dense> inputs = session.Accelerator.Allocate1D(data);
        using MemoryBuffer1D<float, Stride1D.Dense> outputs = session.Accelerator.Allocate1D<float>(
            (long)samples * layout.Rows);
        new MatMul(session.Accelerator).Multiply(
            session.Stream, inputs.View, false, weights.View, true, outputs.View, samples, layout.Rows, layout.Columns);
        session.Synchronize();
        return Power(outputs.GetAsArray1D());
    }
}
