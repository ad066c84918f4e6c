using Microsoft.ML;
using Microsoft.ML.Data;

namespace Kernels.ML;

/// <summary>A transformer that computes columns from the vectors of one column, many rows at a time.</summary>
public abstract class RowTransformer : ITransformer, IDisposable
{
    // About 4 MB of rows on their way to a device.
    private const int MostNumbers = 1 << 20;

    private readonly Lock _gate = new();
    private bool _isDisposed;

    private protected RowTransformer(string inputColumnName, int inputLength)
    {
        InputColumnName = inputColumnName;
        InputLength = inputLength;
    }

    /// <summary>The column of the vectors.</summary>
    public string InputColumnName { get; }

    /// <summary>The length of a vector.</summary>
    public int InputLength { get; }

    /// <inheritdoc/>
    public bool IsRowToRowMapper => true;

    /// <summary>The columns that are added.</summary>
    internal abstract IReadOnlyList<AddedColumn> Added { get; }

    /// <summary>Rows that are computed at once.</summary>
    internal int BatchRows => Math.Clamp(MostNumbers / InputLength, 1, 4096);

    /// <inheritdoc/>
    public DataViewSchema GetOutputSchema(DataViewSchema inputSchema)
    {
        ArgumentNullException.ThrowIfNull(inputSchema);
        _ = FindInput(inputSchema, nameof(inputSchema));
        var builder = new DataViewSchema.Builder();
        foreach (DataViewSchema.Column column in inputSchema)
        {
            builder.AddColumn(column.Name, column.Type, column.Annotations);
        }

        foreach (AddedColumn column in Added)
        {
            builder.AddColumn(column.Name, column.Type);
        }

        return builder.ToSchema();
    }

    /// <summary>Adds the columns. Nothing is computed before rows are read, and then many at a time.</summary>
    /// <param name="input">Data with the column of the vectors.</param>
    /// <exception cref="ArgumentNullException"><paramref name="input"/> is null.</exception>
    /// <exception cref="ArgumentException">There is no such column, or it is of another type.</exception>
    /// <exception cref="ObjectDisposedException">This is disposed.</exception>
    public IDataView Transform(IDataView input)
    {
        ArgumentNullException.ThrowIfNull(input);
        ThrowIfDisposed();
        return new BatchedView(this, input);
    }

    /// <inheritdoc/>
    public IRowToRowMapper GetRowToRowMapper(DataViewSchema inputSchema)
    {
        ArgumentNullException.ThrowIfNull(inputSchema);
        ThrowIfDisposed();
        return new RowMapper(this, inputSchema);
    }

    /// <summary>Always refused: ML.NET keeps what its model files are read by to itself.</summary>
    /// <param name="ctx">Where the model would go.</param>
    /// <exception cref="NotSupportedException">Always.</exception>
    void ICanSaveModel.Save(ModelSaveContext ctx) => throw new NotSupportedException(
        $"A {GetType().Name} cannot be part of a model file of ML.NET: what writes and reads those is internal to its own "
        + "assemblies. Save it by its own method Save, and append what its Load returns to the loaded chain.");

    /// <summary>Frees the memory of the device.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            if (!_isDisposed)
            {
                _isDisposed = true;
                DisposeCore();
            }
        }

        GC.SuppressFinalize(this);
    }

    /// <summary>The column of the vectors, checked.</summary>
    internal DataViewSchema.Column FindInput(DataViewSchema schema, string argument)
    {
        (DataViewSchema.Column column, int length) = Columns.Vector(schema, InputColumnName, argument);
        return length == InputLength
            ? column
            : throw new ArgumentException(
                $"The vectors of column '{InputColumnName}' must have {InputLength} numbers, and have {length}.",
                argument);
    }

    /// <summary>Computes the added columns of some rows. One thread at a time: a device is one queue of work.</summary>
    internal void Map(ReadOnlySpan<float> rows, int count, RowResults results, bool[] wanted)
    {
        lock (_gate)
        {
            ThrowIfDisposed();
            MapCore(rows, count, results, wanted);
        }
    }

    /// <summary>Whoever uses the device has it alone.</summary>
    private protected void Locked(Action action)
    {
        lock (_gate)
        {
            ThrowIfDisposed();
            action();
        }
    }

    private protected abstract void MapCore(ReadOnlySpan<float> rows, int count, RowResults results, bool[] wanted);

    private protected abstract void DisposeCore();

    private protected void ThrowIfDisposed() => ObjectDisposedException.ThrowIf(_isDisposed, this);
}

/// <summary>A column that a transformer adds.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Type">A key, a number, or a vector of numbers.</param>
internal sealed record AddedColumn(string Name, DataViewType Type)
{
    /// <summary>Numbers of a row; 0 for a key.</summary>
    internal int Numbers => Type switch
    {
        KeyDataViewType => 0,
        VectorDataViewType vector => vector.Size,
        _ => 1,
    };
}

/// <summary>The added columns of some rows.</summary>
internal sealed class RowResults
{
    internal RowResults(IReadOnlyList<AddedColumn> columns, int rows)
    {
        Keys = [.. columns.Select(c => c.Numbers == 0 ? new uint[rows] : [])];
        Numbers = [.. columns.Select(c => new float[c.Numbers * rows])];
    }

    /// <summary>[columns][rows]; 0 is a missing value.</summary>
    internal uint[][] Keys { get; }

    /// <summary>[columns][rows, numbers].</summary>
    internal float[][] Numbers { get; }

    /// <summary>What reads a column of the row that <paramref name="row"/> says.</summary>
    internal Delegate Getter(AddedColumn column, int index, Func<int> row)
    {
        uint[] keys = Keys[index];
        float[] numbers = Numbers[index];
        return column.Type switch
        {
            KeyDataViewType => (ValueGetter<uint>)((ref uint value) => value = keys[row()]),
            VectorDataViewType vector => (ValueGetter<VBuffer<float>>)((ref VBuffer<float> value) =>
            {
                VBufferEditor<float> editor = VBufferEditor.Create(ref value, vector.Size);
                numbers.AsSpan(row() * vector.Size, vector.Size).CopyTo(editor.Values);
                value = editor.Commit();
            }),
            _ => (ValueGetter<float>)((ref float value) => value = numbers[row()]),
        };
    }
}
