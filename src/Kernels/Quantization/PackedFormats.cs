using Kernels.DeviceCode.Quantization;

namespace Kernels.Quantization;

/// <summary>Formats as kernels see them.</summary>
internal static class PackedFormats
{
    /// <summary>The format of a layout's packed codes.</summary>
    internal static PackedFormat Of(CodebookLayout layout)
    {
        CodeFormat format = layout.Format;
        bool isPlanar = format.Order == PackingOrder.Planar;
        uint halfPower = 1;
        for (int digit = 0; digit < format.UnitDigits / 2; digit++)
        {
            halfPower *= (uint)format.Codes;
        }

        return new PackedFormat
        {
            Codes = format.Codes,
            FieldBits = format.Packing == Packing.Fields ? format.FieldBits : 0,
            UnitDigits = format.UnitDigits,
            UnitBytes = format.UnitBytes,
            HalfPower = halfPower,
            Reciprocal = (uint)((1L << 32) / format.Codes) + 1,
            RunCodes = isPlanar ? layout.RowCodes : layout.CodeCount,
            RunWords = isPlanar ? (int)(format.ByteCount(layout.RowCodes) / 4) : 0,
        };
    }

    /// <summary>Items of linear packing: eight fields, or a unit of digits, each.</summary>
    internal static long LinearItems(CodebookLayout layout)
    {
        int each = layout.Format.Packing == Packing.Fields ? 8 : layout.Format.UnitDigits;
        return ((long)layout.CodeCount + each - 1) / each;
    }

    /// <summary>Lanes of a row of planar order, beginning with a block.</summary>
    internal static int RowLanes(in PackedFormat format, int firstBlock)
    {
        int left = format.RunCodes - (firstBlock * format.BlockCodes);
        return (left / format.BlockCodes * PackedFormat.Lanes) + format.LanesOf(left % format.BlockCodes);
    }
}
