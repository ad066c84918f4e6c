namespace Kernels.References.Fuzzing;

/// <summary>A tensor of a case or of a result, row by row on the host.</summary>
public sealed class FuzzTensor
{
    /// <summary>Binary32 numbers.</summary>
    /// <param name="data">The numbers, row by row.</param>
    /// <param name="shape">The lengths of the dimensions; none makes a vector of the data.</param>
    /// <exception cref="ArgumentException">The shape does not have as many elements as there are.</exception>
    public FuzzTensor(float[] data, params ReadOnlySpan<int> shape)
        : this((Array)data, shape)
    {
    }

    /// <summary>Integers of 32 bits.</summary>
    /// <param name="data">The integers, row by row.</param>
    /// <param name="shape">The lengths of the dimensions; none makes a vector of the data.</param>
    /// <exception cref="ArgumentException">The shape does not have as many elements as there are.</exception>
    public FuzzTensor(int[] data, params ReadOnlySpan<int> shape)
        : this((Array)data, shape)
    {
    }

    private FuzzTensor(Array data, ReadOnlySpan<int> shape)
    {
        ArgumentNullException.ThrowIfNull(data);
        Data = data;
        Shape = shape.IsEmpty ? [data.Length] : [.. shape];
        long length = 1;
        foreach (int dimension in Shape)
        {
            length = dimension < 0 ? -1 : Math.Min(length, int.MaxValue) * dimension;
        }

        if (length != data.Length)
        {
            throw new ArgumentException(
                $"The shape [{string.Join(", ", Shape)}] does not have {data.Length} elements.", nameof(shape));
        }
    }

    /// <summary>The lengths of the dimensions.</summary>
    public IReadOnlyList<int> Shape { get; }

    /// <summary>The elements, <c>float[]</c> or <c>int[]</c>, row by row; not to be changed.</summary>
    public Array Data { get; }

    /// <summary>The numbers.</summary>
    /// <exception cref="InvalidOperationException">The elements are integers.</exception>
    public float[] Floats => Data as float[]
        ?? throw new InvalidOperationException("The elements are integers, not binary32 numbers.");

    /// <summary>The integers.</summary>
    /// <exception cref="InvalidOperationException">The elements are binary32 numbers.</exception>
    public int[] Integers => Data as int[]
        ?? throw new InvalidOperationException("The elements are binary32 numbers, not integers.");

    /// <summary>Without the elements whose place along one dimension is in a range.</summary>
    internal FuzzTensor Without(int dimension, int first, int count)
    {
        int inner = 1;
        for (int i = dimension + 1; i < Shape.Count; i++)
        {
            inner *= Shape[i];
        }

        int[] shape = [.. Shape];
        int length = shape[dimension];
        shape[dimension] = length - count;
        return Data is float[] floats
            ? new FuzzTensor(Cut(floats, length, first, count, inner), shape)
            : new FuzzTensor(Cut((int[])Data, length, first, count, inner), shape);
    }

    /// <summary>With another element at a place.</summary>
    internal FuzzTensor With(int i, float value)
    {
        float[] data = [.. Floats];
        data[i] = value;
        return new FuzzTensor(data, [.. Shape]);
    }

    /// <inheritdoc cref="With(int, float)"/>
    internal FuzzTensor With(int i, int value)
    {
        int[] data = [.. Integers];
        data[i] = value;
        return new FuzzTensor(data, [.. Shape]);
    }

    /// <summary>A matrix turned.</summary>
    internal FuzzTensor Transposed() => Data is float[] floats
        ? new FuzzTensor(Turn(floats, Shape[0], Shape[1]), Shape[1], Shape[0])
        : new FuzzTensor(Turn((int[])Data, Shape[0], Shape[1]), Shape[1], Shape[0]);

    private static T[] Turn<T>(T[] data, int rows, int columns)
    {
        var turned = new T[data.Length];
        for (int i = 0; i < data.Length; i++)
        {
            turned[(i % columns * rows) + (i / columns)] = data[i];
        }

        return turned;
    }

    private static T[] Cut<T>(T[] data, int length, int first, int count, int inner)
    {
        var kept = new List<T>(data.Length);
        for (int i = 0; i < data.Length; i++)
        {
            int place = i / inner % length;
            if (place < first || place >= first + count)
            {
                kept.Add(data[i]);
            }
        }

        return [.. kept];
    }
}
