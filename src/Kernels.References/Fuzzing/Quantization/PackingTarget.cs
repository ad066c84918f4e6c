using Kernels.References.Quantization;

namespace Kernels.References.Fuzzing.Quantization;

/// <summary>What packing and unpacking share: how many codes, in which format.</summary>
internal abstract class PackingTarget : FuzzTarget
{
    /// <summary>A matrix of codes and its format, as options.</summary>
    private protected static (int Rows, int Columns, int Codes, string Packing, string Order) Format(FuzzDraw draw)
    {
        // A planar block of fields has 1024 codes, one of digits 160 to 640.
        int columns = draw.Once(6) ? draw.Length("cols", 2200, 400) : draw.Length("cols");
        int rows = columns > 300 ? draw.OneOf(1, 2, 3) : draw.Length("rows", Math.Clamp(600 / columns, 1, 20));
        int codes = draw.OneOf(2, 3, 4, 5, 6, 8, 11, 16, 19, 32, 40, 64, 77, 128, 200, 256, 2 + draw.Below(255));
        string packing = draw.OneOf("fields", "fields", "radix", "radix", "densest");
        string order = draw.OneOf("linear", "planar");
        draw.Cover($"{packing}, {order}");
        draw.Cover(codes < 16 ? "k < 16" : "k >= 16");
        return (rows, columns, codes, packing, order);
    }

    /// <summary>The reference of the format that a case has.</summary>
    private protected static PackReference Reference(FuzzCase given)
    {
        int codes = given.Whole("k");
        CodePacking packing = given.Choice("packing") switch
        {
            "fields" => CodePacking.Fields,
            "radix" => CodePacking.Radix,
            _ => PackReference.Densest(codes),
        };
        CodeOrder order = given.Choice("order") is "planar" ? CodeOrder.Planar : CodeOrder.Linear;
        return new PackReference(codes, packing, order);
    }

    /// <summary>The bytes of a matrix of codes: each row is a run of its own in planar order.</summary>
    private protected static int[] Pack(PackReference pack, int[] index, int columns) =>
    [
        .. Runs(pack, index.Length, columns).SelectMany(run => pack.Pack(index.AsSpan(run)))
            .Select(value => (int)value),
    ];

    /// <summary>The codes of some bytes, which may be any.</summary>
    private protected static int[] Unpack(PackReference pack, int[] packed, int rows, int columns)
    {
        byte[] bytes = Array.ConvertAll(packed, value => (byte)value);
        int each = bytes.Length / (pack.Order == CodeOrder.Planar ? rows : 1);
        return
        [
            .. Runs(pack, rows * columns, columns).SelectMany((run, i) =>
                pack.UnpackAny(bytes.AsSpan(i * each, each), run.End.Value - run.Start.Value)),
        ];
    }

    private static IEnumerable<Range> Runs(PackReference pack, int codes, int columns)
    {
        int each = pack.Order == CodeOrder.Planar ? columns : codes;
        for (int first = 0; first < codes; first += each)
        {
            yield return first..(first + each);
        }
    }
}
