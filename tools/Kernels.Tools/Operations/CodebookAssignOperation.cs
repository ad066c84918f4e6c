using ILGPU;
using ILGPU.Runtime;
using Kernels.Quantization;
using Kernels.Tools.Benchmarks;

namespace Kernels.Tools.Operations;

/// <summary>The nearest codes of a matrix.</summary>
internal sealed class CodebookAssignOperation : Operation
{
    internal override string Name => "codebook/assign";

    internal override string Summary => "The nearest code of each weight, with a codebook or a scale for each group of rows.";

    internal override IReadOnlyList<TensorSpec> Inputs { get; } =
    [
        new TensorSpec("w", ElementType.Float32, ["rows", "cols"], "The weights."),
        .. CodebookCase.Numbers,
    ];

    internal override IReadOnlyList<TensorSpec> Outputs { get; } =
        [new TensorSpec("index", ElementType.Int32, ["rows", "cols"], "The codes: of the least |w - s c|, the lower of a tie.")];

    internal override IReadOnlyList<OptionSpec> Options { get; } = [];

    internal override void Run(OperationContext context)
    {
        (CodebookLayout layout, float[] scale) = CodebookCase.Layout(context);
        using var assign = new Assign(context.Session.Accelerator, layout);
        var index = new byte[layout.CodeCount];
        assign.Run(context.Floats("w"), context.Floats("codebook"), scale, index);
        if (context.Meter is not null)
        {
            Measure(context, assign, context.Floats("codebook"), scale);
        }

        context.Output("index", CodebookCase.Integers(index));
    }

    /// <summary>Measures the search by itself, on tensors of the device.</summary>
    internal static void Measure(OperationContext context, Assign assign, float[] codebook, float[] scale)
    {
        Session session = context.Session;
        CodebookLayout layout = assign.Layout;
        using var w = new DeviceTensor(context, context.Floats("w"));
        using var book = new DeviceTensor(context, codebook);
        using var scales = new DeviceTensor(context, scale);
        using MemoryBuffer1D<byte, Stride1D.Dense> index = session.Accelerator.Allocate1D<byte>(layout.CodeCount);
        context.Launch(
            new Cost(
                sizeof(float) * ((double)layout.WeightCount + codebook.Length + scale.Length), layout.CodeCount,
                layout.WeightCount * Math.Log2(layout.Codes)),
            () => assign.Run(
                session.Stream, w.View, book.Floats, scale.Length > 0 ? scales.View : default, index.View));
        session.Synchronize();
    }
}

/// <summary>What the operations on codebooks share.</summary>
internal static class CodebookCase
{
    /// <summary>The option for the number of groups.</summary>
    internal static OptionSpec Groups => OptionSpec.Integer("groups", 1, "The number of groups of rows, 1 to rows.");

    /// <summary>The codebooks and scales of groups.</summary>
    internal static IReadOnlyList<TensorSpec> Numbers { get; } =
    [
        new TensorSpec("codebook", ElementType.Float32, ["c", "k"], "The codes, ascending: of each group, or one row for all."),
        new TensorSpec(
            "boundaries", ElementType.Int32, ["g + 1"], "The first row of each group, and the number of rows; one group without.",
            IsOptional: true),
        new TensorSpec("scale", ElementType.Float32, ["g"], "The scale of each group.", IsOptional: true),
    ];

    /// <summary>The layout of a matrix with a codebook for all or for each group, and the scales of groups.</summary>
    internal static (CodebookLayout Layout, float[] Scale) Layout(OperationContext context)
    {
        (int rows, int columns) = Matrix(context);
        int[] boundaries = context.Has("boundaries") ? context.Integers("boundaries") : [0, rows];
        var groups = WeightScope.Groups(boundaries);
        int count = boundaries.Length - 1;
        int books = context.Length("c");
        if (books != 1 && books != count)
        {
            throw new BadInputException($"There must be a codebook for all, or one for each of {count} groups, and there are {books}.");
        }

        float[] scale = context.Has("scale") ? context.Floats("scale") : [];
        if (context.Has("scale") && scale.Length != count)
        {
            throw new BadInputException($"There must be a scale for each of {count} groups, and there are {scale.Length}.");
        }

        var layout = new CodebookLayout(
            rows, columns, new CodeFormat(context.Length("k")), codebooks: books == 1 ? WeightScope.Tensor : groups,
            scales: context.Has("scale") ? groups : null);
        return (layout, scale);
    }

    /// <summary>Indices below k as bytes.</summary>
    internal static byte[] Bytes(OperationContext context, int codes)
    {
        int[] index = context.Integers("index");
        int wrong = Array.FindIndex(index, code => code < 0 || code >= codes);
        return wrong < 0
            ? Array.ConvertAll(index, code => (byte)code)
            : throw new BadInputException(
                $"The indices must be at least 0 and below {codes}; number {wrong} is {index[wrong]}.");
    }

    /// <summary>The codes of the input 'index', packed on the device.</summary>
    internal static MemoryBuffer1D<byte, Stride1D.Dense> Packed(
        OperationContext context, CodebookLayout layout, Action<Action>? launch = null)
    {
        Session session = context.Session;
        using MemoryBuffer1D<byte, Stride1D.Dense> index = session.Accelerator.Allocate1D(Bytes(context, layout.Codes));
        MemoryBuffer1D<byte, Stride1D.Dense> packed = session.Accelerator.Allocate1D<byte>(layout.PackedBytes);
        var pack = new Pack(session.Accelerator, layout);
        Action call = () => pack.Run(session.Stream, index.View, packed.View);
        (launch ?? (now => now()))(call);
        session.Synchronize();
        return packed;
    }

    /// <summary>The size of w, which must have weights.</summary>
    internal static (int Rows, int Columns) Matrix(OperationContext context)
    {
        (int rows, int columns) = (context.Length("rows"), context.Length("cols"));
        return rows > 0 && columns > 0
            ? (rows, columns)
            : throw new BadInputException($"There must be a row and a column, and there are {rows} and {columns}.");
    }

    /// <summary>An option in [least, most].</summary>
    internal static int Wanted(OperationContext context, string name, int least, int most)
    {
        long value = context.Options.Integer(name);
        return value >= least && value <= most
            ? (int)value
            : throw new BadInputException($"The option '{name}' must be in [{least}, {most}], and is {value}.");
    }

    /// <summary>Groups of rows, as many as the options say.</summary>
    internal static RowGrouping Grouping(OperationContext context, int rows, int columns) =>
        RowGrouping.Group(context.Floats("w"), columns, Wanted(context, "groups", 1, rows));

    internal static int[] Integers(byte[] index) => Array.ConvertAll(index, code => (int)code);
}
