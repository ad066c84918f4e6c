using Kernels.DeviceCode.Storage;

namespace Kernels.DeviceCode.VectorQuantization;

/// <summary>Eight floats as scalars: the compilers of OpenCL CPU devices make a SIMD register of them.</summary>
/// <remarks>Nothing here may be indexed or looped over: an array would live in memory.</remarks>
internal struct Eight
{
    /// <summary>Eight.</summary>
    internal const int Width = 8;

    public float V0;
    public float V1;
    public float V2;
    public float V3;
    public float V4;
    public float V5;
    public float V6;
    public float V7;

    public static Eight operator +(Eight left, Eight right) => new()
    {
        V0 = left.V0 + right.V0,
        V1 = left.V1 + right.V1,
        V2 = left.V2 + right.V2,
        V3 = left.V3 + right.V3,
        V4 = left.V4 + right.V4,
        V5 = left.V5 + right.V5,
        V6 = left.V6 + right.V6,
        V7 = left.V7 + right.V7,
    };

    public static Eight operator -(Eight left, Eight right) => new()
    {
        V0 = left.V0 - right.V0,
        V1 = left.V1 - right.V1,
        V2 = left.V2 - right.V2,
        V3 = left.V3 - right.V3,
        V4 = left.V4 - right.V4,
        V5 = left.V5 - right.V5,
        V6 = left.V6 - right.V6,
        V7 = left.V7 - right.V7,
    };

    public static Eight operator *(Eight left, Eight right) => new()
    {
        V0 = left.V0 * right.V0,
        V1 = left.V1 * right.V1,
        V2 = left.V2 * right.V2,
        V3 = left.V3 * right.V3,
        V4 = left.V4 * right.V4,
        V5 = left.V5 * right.V5,
        V6 = left.V6 * right.V6,
        V7 = left.V7 * right.V7,
    };

    public static Eight operator *(Eight left, float right) => new()
    {
        V0 = left.V0 * right,
        V1 = left.V1 * right,
        V2 = left.V2 * right,
        V3 = left.V3 * right,
        V4 = left.V4 * right,
        V5 = left.V5 * right,
        V6 = left.V6 * right,
        V7 = left.V7 * right,
    };

    /// <summary>Eight successive elements.</summary>
    internal static Eight Load<TStorage>(TStorage view, long at)
        where TStorage : struct, IStorage => new()
        {
            V0 = view.Decode(view.Read(at)),
            V1 = view.Decode(view.Read(at + 1)),
            V2 = view.Decode(view.Read(at + 2)),
            V3 = view.Decode(view.Read(at + 3)),
            V4 = view.Decode(view.Read(at + 4)),
            V5 = view.Decode(view.Read(at + 5)),
            V6 = view.Decode(view.Read(at + 6)),
            V7 = view.Decode(view.Read(at + 7)),
        };

    /// <summary>The sum of all: element i and i + 4, then i + 2, then both.</summary>
    internal readonly float Sum() => V0 + V4 + (V2 + V6) + (V1 + V5 + (V3 + V7));

    /// <summary>Stores eight successive elements.</summary>
    internal readonly void Store<TStorage>(TStorage view, long at)
        where TStorage : struct, IStorage
    {
        // All are rounded before the first is stored: else the compiler must fear that a store changes what is read.
        uint b0 = view.Encode(V0, 0);
        uint b1 = view.Encode(V1, 0);
        uint b2 = view.Encode(V2, 0);
        uint b3 = view.Encode(V3, 0);
        uint b4 = view.Encode(V4, 0);
        uint b5 = view.Encode(V5, 0);
        uint b6 = view.Encode(V6, 0);
        uint b7 = view.Encode(V7, 0);
        view.Write(at, b0);
        view.Write(at + 1, b1);
        view.Write(at + 2, b2);
        view.Write(at + 3, b3);
        view.Write(at + 4, b4);
        view.Write(at + 5, b5);
        view.Write(at + 6, b6);
        view.Write(at + 7, b7);
    }

    /// <summary>Copies so many successive elements to another storage.</summary>
    internal static void Copy<TFrom, TTo>(TFrom from, long first, TTo to, long at, int count)
        where TFrom : struct, IStorage
        where TTo : struct, IStorage
    {
        int i = 0;
        for (; i + Width <= count; i += Width)
        {
            Load(from, first + i).Store(to, at + i);
        }

        for (; i < count; i++)
        {
            to.Write(at + i, to.Encode(from.Decode(from.Read(first + i)), 0));
        }
    }

    /// <summary>Stores so many zeros.</summary>
    internal static void Clear<TStorage>(TStorage view, long at, int count)
        where TStorage : struct, IStorage
    {
        for (int i = 0; i < count; i++)
        {
            view.Write(at + i, 0);
        }
    }
}
