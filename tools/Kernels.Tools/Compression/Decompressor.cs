using ILGPU;
using ILGPU.Runtime;
using Kernels.Quantization;
using Kernels.Serialization;

namespace Kernels.Tools.Compression;

/// <summary>Makes matrices of their codes again.</summary>
internal sealed class Decompressor(Session session)
{
    /// <summary>Decompresses a matrix and writes it.</summary>
    /// <exception cref="BadInputException">Its parts are not sound.</exception>
    internal void Decompress(SafeTensorsFile from, SafeTensorsWriter to, CompressedTensor tensor)
    {
        try
        {
            int[] boundaries = [0, tensor.Rows];
            int[] rows = [];
            if (tensor.Groups > 1)
            {
                boundaries = Read<int>(from, tensor.BoundariesName, tensor.Groups + 1);
                rows = RowGrouping.Inverse(Read<int>(from, tensor.RowsName, tensor.Rows));
            }

            CodebookLayout layout = tensor.Layout(boundaries);
            byte[] packed = Read<byte>(from, tensor.CodesName, layout.PackedBytes);
            float[] codebook = Read<float>(from, tensor.CodebookName, layout.CodebookLength);
            if (!Array.TrueForAll(codebook, float.IsFinite))
            {
                throw new BadInputException($"The tensor '{tensor.CodebookName}' has numbers that are not finite.");
            }

            if (!Compressor.Packed(session, layout, Codes(layout, packed)).AsSpan().SequenceEqual(packed))
            {
                throw new BadInputException($"The tensor '{tensor.CodesName}' has bits that are no codes.");
            }

            if (tensor.Type == SafeTensorType.F32)
            {
                to.Write<float>(tensor.Name, Weights<float>(layout, packed, codebook, rows, view => view));
            }
            else
            {
                to.Write<ushort>(tensor.Name, Weights<ushort>(
                    layout, packed, codebook, rows,
                    view => tensor.Type == SafeTensorType.BF16 ? (TensorView)view : view.Cast<ILGPU.Half>()));
            }
        }
        catch (ArgumentException e)
        {
            throw new BadInputException($"The parts of the tensor '{tensor.Name}' are wrong: {Messages.Of(e)}", e);
        }
    }

    private static T[] Read<T>(SafeTensorsFile file, string name, long length)
        where T : unmanaged
    {
        var values = new T[length];
        file.Read<T>(name, values);
        return values;
    }

    private byte[] Codes(CodebookLayout layout, byte[] bytes)
    {
        using MemoryBuffer1D<byte, Stride1D.Dense> packed = session.Accelerator.Allocate1D(bytes);
        using MemoryBuffer1D<byte, Stride1D.Dense> index = session.Accelerator.Allocate1D<byte>(layout.CodeCount);
        new Unpack(session.Accelerator, layout).Run(session.Stream, packed.View, index.View);
        session.Synchronize();
        return index.GetAsArray1D();
    }

    private T[] Weights<T>(
        CodebookLayout layout, byte[] bytes, float[] codebook, int[] rows, Func<ArrayView<T>, TensorView> view)
        where T : unmanaged
    {
        using MemoryBuffer1D<byte, Stride1D.Dense> packed = session.Accelerator.Allocate1D(bytes);
        using MemoryBuffer1D<float, Stride1D.Dense> books = session.Accelerator.Allocate1D(codebook);
        using MemoryBuffer1D<T, Stride1D.Dense> w = session.Accelerator.Allocate1D<T>(layout.WeightCount);
        using var dequantize = new Dequantize(session.Accelerator, layout);
        dequantize.Run(session.Stream, packed.View, books.View, default, view(w.View));
        if (rows.Length == 0)
        {
            session.Synchronize();
            return w.GetAsArray1D();
        }

        using MemoryBuffer1D<T, Stride1D.Dense> ordered = session.Accelerator.Allocate1D<T>(layout.WeightCount);
        using var permute = new Permute(session.Accelerator, rows);
        permute.Rows(session.Stream, view(w.View), layout.Columns, view(ordered.View));
        session.Synchronize();
        return ordered.GetAsArray1D();
    }
}
