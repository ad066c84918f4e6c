using ILGPU;
using ILGPU.Util;
using Kernels.DeviceCode.Storage;

namespace Kernels.DeviceCode.Quantization;

/// <summary>Scales of one storage or another, and who shares them.</summary>
internal struct ScaleTable
{
    internal const int None = 0;
    internal const int Binary32 = 1;
    internal const int Binary16 = 2;
    internal const int BFloat16 = 3;

    /// <summary>F32 scales.</summary>
    public ArrayView<float> Floats;

    /// <summary>F16 or BF16 scales.</summary>
    public ArrayView<ushort> Halves;
    public ScopeTable Scope;

    /// <summary>0 there are none, 1 F32, 2 F16, 3 BF16.</summary>
    public int Kind;

    /// <summary>Whether a row has one scale.</summary>
    public readonly bool IsByRow => Kind == None || Scope.IsByRow;

    /// <summary>The scale of a weight; 1 where there are none.</summary>
    public readonly float Of(int row, int weight)
    {
        if (Kind == None)
        {
            return 1f;
        }

        int at = Scope.Of(row, weight);
        if (Kind == Binary32)
        {
            return Floats[at];
        }

        // Masked: ILGPU extends what is 16 bits wide by its sign on GPUs.
        uint bits = Halves[at] & 0xFFFFu;
        return Utilities.Select(Kind == Binary16, default(F16).Decode(bits), default(BF16).Decode(bits));
    }
}

/// <summary>What becomes of unpacked codes.</summary>
internal interface IDecodeTarget
{
    /// <summary>Takes a code, at its place among all.</summary>
    void Store(int place, int code);
}

/// <summary>The codes themselves.</summary>
internal struct CodeTarget : IDecodeTarget
{
    public ArrayView<byte> Index;

    public readonly void Store(int place, int code) => Index[place] = (byte)code;
}

/// <summary>Weights s C[I] of any sharing, with codes of any length.</summary>
internal struct WeightTarget<TStorage> : IDecodeTarget
    where TStorage : struct, IStorage
{
    public TStorage W;
    public ArrayView<float> Codebook;
    public ScopeTable Scope;
    public ScaleTable Scale;
    public int Codes;
    public int Length;
    public int Columns;

    /// <summary>The weight that W begins with.</summary>
    public int First;

    public readonly void Store(int place, int code)
    {
        int weight = place * Length;
        int row = weight / Columns;
        int first = (Scope.Of(row, weight) * Codes + code) * Length;
        float scale = Scale.Of(row, weight);
        // Not cut at a vector: a share begins and ends with one.
        for (int i = 0; i < Length; i++)
        {
            W.Write(weight - First + i, W.Encode(scale * Codebook[first + i], 0));
        }
    }
}
