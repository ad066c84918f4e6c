using Kernels.DeviceCode.Storage;

namespace Kernels.Launching;

/// <summary>Loads what works on rows and codes of two storages.</summary>
internal interface IStoragePairLoader<T>
    where T : class
{
    T Load<TRow, TCode>()
        where TRow : struct, IStorage
        where TCode : struct, IStorage;
}

/// <summary>What works on rows and codes of any two storages: each pair is loaded when it is first asked for.</summary>
internal sealed class StoragePairs<T>(IStoragePairLoader<T> loader)
    where T : class
{
    private readonly Lock _loading = new();
    private readonly T?[] _loaded = new T?[9];

    /// <summary>What works on these two; from any thread.</summary>
    internal T For(Storage rows, Storage codes)
    {
        int slot = ((int)rows * 3) + (int)codes;
        if (Volatile.Read(ref _loaded[slot]) is { } loaded)
        {
            return loaded;
        }

        lock (_loading)
        {
            return _loaded[slot] ??= (rows, codes) switch
            {
                (Storage.F32, Storage.F32) => loader.Load<F32, F32>(),
                (Storage.F32, Storage.F16) => loader.Load<F32, F16>(),
                (Storage.F32, _) => loader.Load<F32, BF16>(),
                (Storage.F16, Storage.F32) => loader.Load<F16, F32>(),
                (Storage.F16, Storage.F16) => loader.Load<F16, F16>(),
                (Storage.F16, _) => loader.Load<F16, BF16>(),
                (_, Storage.F32) => loader.Load<BF16, F32>(),
                (_, Storage.F16) => loader.Load<BF16, F16>(),
                _ => loader.Load<BF16, BF16>(),
            };
        }
    }
}
