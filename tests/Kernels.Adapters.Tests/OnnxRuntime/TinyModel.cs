using System.Runtime.InteropServices;
using System.Text;

namespace Kernels.Adapters.Tests.OnnxRuntime;

/// <summary>The bytes of an ONNX model of one product, y[n, outputs] = x[n, inputs] w, written after onnx.proto.</summary>
internal static class TinyModel
{
    private const int Float = 1;

    internal static byte[] Product(float[] w, int inputs, int outputs)
    {
        byte[] node = [.. Text(1, "x"), .. Text(1, "w"), .. Text(2, "y"), .. Text(4, "MatMul")];
        byte[] weights =
        [
            .. Number(1, inputs), .. Number(1, outputs), .. Number(2, Float), .. Text(8, "w"),
            .. Bytes(9, MemoryMarshal.AsBytes<float>(w)),
        ];
        byte[] graph =
        [
            .. Bytes(1, node), .. Text(2, "g"), .. Bytes(5, weights), .. Bytes(11, Matrix("x", inputs)),
            .. Bytes(12, Matrix("y", outputs)),
        ];
        byte[] operators = [.. Text(1, ""), .. Number(2, 13)];
        return [.. Number(1, 8), .. Bytes(7, graph), .. Bytes(8, operators)];
    }

    private static byte[] Matrix(string name, int columns)
    {
        byte[] shape = [.. Bytes(1, Text(2, "n")), .. Bytes(1, Number(1, columns))];
        byte[] tensor = [.. Number(1, Float), .. Bytes(2, shape)];
        return [.. Text(1, name), .. Bytes(2, Bytes(1, tensor))];
    }

    private static byte[] Number(int field, long value) => [.. Variable((ulong)field << 3), .. Variable((ulong)value)];

    private static byte[] Text(int field, string text) => Bytes(field, Encoding.UTF8.GetBytes(text));

    private static byte[] Bytes(int field, ReadOnlySpan<byte> bytes) =>
        [.. Variable(((ulong)field << 3) | 2), .. Variable((ulong)bytes.Length), .. bytes];

    private static List<byte> Variable(ulong value)
    {
        var bytes = new List<byte>();
        for (; value > 127; value >>= 7)
        {
            bytes.Add((byte)(value | 128));
        }

        bytes.Add((byte)value);
        return bytes;
    }
}
