using System.Runtime.CompilerServices;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace Kernels.ML;

/// <summary>The checks of columns, and promises of them.</summary>
internal static class Columns
{
    /// <summary>A column of vectors of binary32 numbers, all of the same length.</summary>
    internal static (DataViewSchema.Column Column, int Length) Vector(DataViewSchema schema, string name, string argument)
    {
        DataViewSchema.Column column = schema.GetColumnOrNull(name) ?? throw new ArgumentException(
            $"There must be a column '{name}', and there are [{string.Join(", ", schema.Select(c => c.Name))}].", argument);
        return column.Type is VectorDataViewType { Size: > 0 } vector && vector.ItemType == NumberDataViewType.Single
            ? (column, vector.Size)
            : throw new ArgumentException(
                $"The column '{name}' must be of vectors of Single of one length, and is of {column.Type}.", argument);
    }

    /// <summary>The same of the shape of a schema, which knows no lengths.</summary>
    internal static void CheckVector(SchemaShape shape, string name, string argument)
    {
        SchemaShape.Column column = shape.FirstOrDefault(c => string.Equals(c.Name, name, StringComparison.Ordinal));
        if (column.Name is null)
        {
            throw new ArgumentException(
                $"There must be a column '{name}', and there are [{string.Join(", ", shape.Select(c => c.Name))}].",
                argument);
        }

        if (column.Kind != SchemaShape.Column.VectorKind.Vector || column.ItemType != NumberDataViewType.Single
            || column.IsKey)
        {
            throw new ArgumentException(
                $"The column '{name}' must be of vectors of Single of one length, and is {column.Kind} of {column.ItemType}.",
                argument);
        }
    }

    /// <summary>The shape of a schema with more columns.</summary>
    /// <remarks>Only ML.NET can make a column of a shape; a mapping that never runs promises ours.</remarks>
    internal static SchemaShape With(TransformsCatalog catalog, SchemaShape shape, IReadOnlyList<AddedColumn> added)
    {
        var promise = SchemaDefinition.Create(typeof(Promise));
        promise.Clear();
        foreach (AddedColumn column in added)
        {
            string member = column.Type switch
            {
                KeyDataViewType => nameof(Promise.Key),
                VectorDataViewType => nameof(Promise.Vector),
                _ => nameof(Promise.Number),
            };
            SchemaDefinition.Column promised = SchemaDefinition.Create(typeof(Promise)).First(
                c => string.Equals(c.MemberName, member, StringComparison.Ordinal));
            promised.ColumnName = column.Name;
            promised.ColumnType = column.Type;
            promise.Add(promised);
        }

        return catalog.CustomMapping<Nothing, Promise>((_, _) => { }, contractName: null, null, promise)
            .GetOutputSchema(shape);
    }

    /// <summary>An option in its range; <paramref name="name"/> is the argument that it came in.</summary>
    internal static void InRange(
        int value, int least, int most, string name, [CallerArgumentExpression(nameof(value))] string? option = null)
    {
        if (value < least || value > most)
        {
            throw new ArgumentOutOfRangeException(name, value, $"{option} must be {least} to {most}.");
        }
    }

    /// <summary>The numbers of a vector, dense.</summary>
    internal static void CopyTo(in VBuffer<float> vector, Span<float> numbers, string name)
    {
        if (vector.Length != numbers.Length)
        {
            throw new InvalidOperationException(
                $"A vector of column '{name}' must have {numbers.Length} numbers, and has {vector.Length}.");
        }

        vector.CopyTo(numbers);
    }

    /// <summary>What reads a column, if that is its type.</summary>
    internal static ValueGetter<TValue> Typed<TValue>(Delegate getter, DataViewSchema.Column column) =>
        getter as ValueGetter<TValue> ?? throw new InvalidOperationException(
            $"The column '{column.Name}' is of {column.Type}, not of {typeof(TValue).Name}.");

    private sealed class Nothing;

    private sealed class Promise
    {
        public uint Key { get; set; }

        public float Number { get; set; }

        public VBuffer<float> Vector { get; set; }
    }
}
