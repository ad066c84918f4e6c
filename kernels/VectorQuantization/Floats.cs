using Kernels.DeviceCode.Storage;
using Sixteen = Kernels.DeviceCode.Linear.Sixteen;

namespace Kernels.DeviceCode.VectorQuantization;

/// <summary>How many neighbouring numbers an item has.</summary>
internal interface IItemWidth
{
    static abstract int Width { get; }
}

/// <summary>One: neighbouring items on a GPU have neighbouring numbers.</summary>
internal readonly struct OneWide : IItemWidth
{
    public static int Width => 1;
}

/// <summary>Sixteen, which the compilers of CPU devices make a SIMD register of.</summary>
internal readonly struct SixteenWide : IItemWidth
{
    public static int Width => Sixteen.Width;
}

/// <summary>What is done to a pair of floats.</summary>
internal interface IFloatOperation
{
    float Apply(float left, float right);
}

/// <summary>left + right.</summary>
internal readonly struct Addition : IFloatOperation
{
    public readonly float Apply(float left, float right) => left + right;
}

/// <summary>left * right.</summary>
internal readonly struct Multiplication : IFloatOperation
{
    public readonly float Apply(float left, float right) => left * right;
}

/// <summary>left / right.</summary>
internal readonly struct Division : IFloatOperation
{
    public readonly float Apply(float left, float right) => left / right;
}

/// <summary>The neighbouring numbers of an item.</summary>
internal interface IFloats<T>
    where T : struct, IFloats<T>
{
    /// <summary>All the same.</summary>
    static abstract T Of(float value);

    /// <summary>The numbers of a tensor from one on.</summary>
    static abstract T Load<TStorage>(TStorage tensor, long at)
        where TStorage : struct, IStorage;

    /// <summary>The operation on each pair.</summary>
    T Zip<TOperation>(T other, TOperation operation)
        where TOperation : struct, IFloatOperation;

    /// <summary>Stores them in a tensor from one number on.</summary>
    void Store<TStorage>(TStorage tensor, long at)
        where TStorage : struct, IStorage;
}

/// <summary>One.</summary>
internal readonly struct OneFloat(float value) : IFloats<OneFloat>
{
    private readonly float _value = value;

    public static OneFloat Of(float value) => new(value);

    public static OneFloat Load<TStorage>(TStorage tensor, long at)
        where TStorage : struct, IStorage => new(tensor.Decode(tensor.Read(at)));

    public readonly OneFloat Zip<TOperation>(OneFloat other, TOperation operation)
        where TOperation : struct, IFloatOperation => new(operation.Apply(_value, other._value));

    public readonly void Store<TStorage>(TStorage tensor, long at)
        where TStorage : struct, IStorage => tensor.Write(at, tensor.Encode(_value, 0));
}

/// <summary>Sixteen.</summary>
internal readonly struct SixteenFloats(Sixteen value) : IFloats<SixteenFloats>
{
    private readonly Sixteen _value = value;

    public static SixteenFloats Of(float value) => new(Sixteen.Of(value));

    public static SixteenFloats Load<TStorage>(TStorage tensor, long at)
        where TStorage : struct, IStorage => new(new Sixteen
        {
            V0 = Read(tensor, at),
            V1 = Read(tensor, at + 1),
            V2 = Read(tensor, at + 2),
            V3 = Read(tensor, at + 3),
            V4 = Read(tensor, at + 4),
            V5 = Read(tensor, at + 5),
            V6 = Read(tensor, at + 6),
            V7 = Read(tensor, at + 7),
            V8 = Read(tensor, at + 8),
            V9 = Read(tensor, at + 9),
            V10 = Read(tensor, at + 10),
            V11 = Read(tensor, at + 11),
            V12 = Read(tensor, at + 12),
            V13 = Read(tensor, at + 13),
            V14 = Read(tensor, at + 14),
            V15 = Read(tensor, at + 15),
        });

    public readonly SixteenFloats Zip<TOperation>(SixteenFloats other, TOperation operation)
        where TOperation : struct, IFloatOperation => new(new Sixteen
        {
            V0 = operation.Apply(_value.V0, other._value.V0),
            V1 = operation.Apply(_value.V1, other._value.V1),
            V2 = operation.Apply(_value.V2, other._value.V2),
            V3 = operation.Apply(_value.V3, other._value.V3),
            V4 = operation.Apply(_value.V4, other._value.V4),
            V5 = operation.Apply(_value.V5, other._value.V5),
            V6 = operation.Apply(_value.V6, other._value.V6),
            V7 = operation.Apply(_value.V7, other._value.V7),
            V8 = operation.Apply(_value.V8, other._value.V8),
            V9 = operation.Apply(_value.V9, other._value.V9),
            V10 = operation.Apply(_value.V10, other._value.V10),
            V11 = operation.Apply(_value.V11, other._value.V11),
            V12 = operation.Apply(_value.V12, other._value.V12),
            V13 = operation.Apply(_value.V13, other._value.V13),
            V14 = operation.Apply(_value.V14, other._value.V14),
            V15 = operation.Apply(_value.V15, other._value.V15),
        });

    public readonly void Store<TStorage>(TStorage tensor, long at)
        where TStorage : struct, IStorage
    {
        Write(tensor, at, _value.V0);
        Write(tensor, at + 1, _value.V1);
        Write(tensor, at + 2, _value.V2);
        Write(tensor, at + 3, _value.V3);
        Write(tensor, at + 4, _value.V4);
        Write(tensor, at + 5, _value.V5);
        Write(tensor, at + 6, _value.V6);
        Write(tensor, at + 7, _value.V7);
        Write(tensor, at + 8, _value.V8);
        Write(tensor, at + 9, _value.V9);
        Write(tensor, at + 10, _value.V10);
        Write(tensor, at + 11, _value.V11);
        Write(tensor, at + 12, _value.V12);
        Write(tensor, at + 13, _value.V13);
        Write(tensor, at + 14, _value.V14);
        Write(tensor, at + 15, _value.V15);
    }

    private static float Read<TStorage>(TStorage tensor, long at)
        where TStorage : struct, IStorage => tensor.Decode(tensor.Read(at));

    private static void Write<TStorage>(TStorage tensor, long at, float value)
        where TStorage : struct, IStorage => tensor.Write(at, tensor.Encode(value, 0));
}
