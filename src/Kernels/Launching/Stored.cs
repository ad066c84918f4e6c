using Kernels.DeviceCode.Storage;

namespace Kernels.Launching;

/// <summary>Views as the storages of kernels.</summary>
internal static class Stored
{
    /// <summary>The view in the storage that its own storage asks for; no other must be asked for.</summary>
    internal static TStorage Of<TStorage>(TensorView view)
        where TStorage : struct, IStorage
    {
        if (typeof(TStorage) == typeof(F32))
        {
            return (TStorage)(object)new F32(view.As<float>());
        }

        return typeof(TStorage) == typeof(F16)
            ? (TStorage)(object)new F16(view.As<ushort>())
            : (TStorage)(object)new BF16(view.As<ushort>());
    }
}
