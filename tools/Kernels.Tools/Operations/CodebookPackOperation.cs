using ILGPU;
using ILGPU.Runtime;
using Kernels.Quantization;
using Kernels.Tools.Benchmarks;

namespace Kernels.Tools.Operations;

/// <summary>Codes into bits.</summary>
internal sealed class CodebookPackOperation : Operation
{
    internal override string Name => "codebook/pack";

    internal override string Summary => "Codes of a codebook packed into bits or digits.";

    internal override IReadOnlyList<TensorSpec> Inputs { get; } =
        [new TensorSpec("index", ElementType.Int32, ["rows", "cols"], "The codes, 0 to k - 1.")];

    internal override IReadOnlyList<TensorSpec> Outputs { get; } =
        [new TensorSpec("packed", ElementType.Int32, ["bytes"], "The bytes, 0 to 255.")];

    internal override IReadOnlyList<OptionSpec> Options { get; } = PackingOption.All;

    internal override void Run(OperationContext context)
    {
        (int rows, int columns) = CodebookCase.Matrix(context);
        var layout = new CodebookLayout(rows, columns, PackingOption.Format(context));
        using MemoryBuffer1D<byte, Stride1D.Dense> packed = CodebookCase.Packed(
            context, layout, call => context.Launch(new Cost(layout.CodeCount, layout.PackedBytes, 2.0 * layout.CodeCount), call));
        context.Output("packed", CodebookCase.Integers(packed.GetAsArray1D()), (int)layout.PackedBytes);
    }
}

/// <summary>Bits into codes.</summary>
internal sealed class CodebookUnpackOperation : Operation
{
    internal override string Name => "codebook/unpack";

    internal override string Summary => "Codes of a codebook out of bits or digits.";

    internal override IReadOnlyList<TensorSpec> Inputs { get; } =
        [new TensorSpec("packed", ElementType.Int32, ["bytes"], "The bytes, 0 to 255.")];

    internal override IReadOnlyList<TensorSpec> Outputs { get; } =
        [new TensorSpec("index", ElementType.Int32, ["rows", "cols"], "The codes, 0 to k - 1; what is no code is k - 1.")];

    internal override IReadOnlyList<OptionSpec> Options { get; } =
    [
        .. PackingOption.All,
        OptionSpec.Integer("rows", 1, "Rows of the codes."),
        OptionSpec.Integer("columns", 1, "Columns of the codes."),
    ];

    internal override void Run(OperationContext context)
    {
        Session session = context.Session;
        int rows = CodebookCase.Wanted(context, "rows", 1, int.MaxValue);
        int columns = CodebookCase.Wanted(context, "columns", 1, int.MaxValue / rows);
        var layout = new CodebookLayout(rows, columns, PackingOption.Format(context));
        int[] given = context.Integers("packed");
        if (given.Length != layout.PackedBytes || Array.Exists(given, value => value is < 0 or > 255))
        {
            throw new BadInputException(
                $"There must be {layout.PackedBytes} bytes of 0 to 255 for {rows} x {columns} codes, and there are "
                + $"{given.Length} numbers.");
        }

        using MemoryBuffer1D<byte, Stride1D.Dense> packed = session.Accelerator.Allocate1D(
            Array.ConvertAll(given, value => (byte)value));
        using MemoryBuffer1D<byte, Stride1D.Dense> index = session.Accelerator.Allocate1D<byte>(layout.CodeCount);
        var unpack = new Unpack(session.Accelerator, layout);
        context.Launch(
            new Cost(layout.PackedBytes, layout.CodeCount, 2.0 * layout.CodeCount),
            () => unpack.Run(session.Stream, packed.View, index.View));
        session.Synchronize();
        context.Output("index", CodebookCase.Integers(index.GetAsArray1D()), rows, columns);
    }
}

/// <summary>How the codes of a case are packed.</summary>
internal static class PackingOption
{
    internal static IReadOnlyList<OptionSpec> All { get; } =
    [
        OptionSpec.Integer("k", 16, "The number of codes, 2 to 256."),
        OptionSpec.Choice("packing", "fields", "Fields of bits, digits of base k, or what takes less.", "fields", "radix", "densest"),
        OptionSpec.Choice("order", "linear", "One code after another, or each row in the order of devices.", "linear", "planar"),
    ];

    internal static CodeFormat Format(OperationContext context)
    {
        int codes = CodebookCase.Wanted(context, "k", 2, 256);
        PackingOrder order = context.Options.Choice("order") is "planar" ? PackingOrder.Planar : PackingOrder.Linear;
        return context.Options.Choice("packing") switch
        {
            "fields" => new CodeFormat(codes, Packing.Fields, order),
            "radix" => new CodeFormat(codes, Packing.Radix, order),
            _ => CodeFormat.Densest(codes, order),
        };
    }
}
