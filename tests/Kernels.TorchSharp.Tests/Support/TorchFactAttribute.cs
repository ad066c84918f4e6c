using System.Runtime.InteropServices;
using global::TorchSharp;

namespace Kernels.TorchSharp.Tests.Support;

/// <summary>A test that needs TorchSharp's native library; where that does not load, the test says why and ends.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class TorchFactAttribute : FactAttribute
{
    public TorchFactAttribute() => Skip = TorchNative.WhyMissing;
}

/// <summary>As <see cref="TorchFactAttribute"/>, for cases.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class TorchTheoryAttribute : TheoryAttribute
{
    public TorchTheoryAttribute() => Skip = TorchNative.WhyMissing;
}

/// <summary>TorchSharp's native library.</summary>
internal static class TorchNative
{
    private static readonly Lazy<string?> s_why = new(Load);

    /// <summary>Why the library does not load; null where it does.</summary>
    internal static string? WhyMissing => s_why.Value;

    private static string? Load()
    {
        try
        {
            NativeLibrary.Load("LibTorchSharp", typeof(torch).Assembly, null);
        }
        catch (Exception e) when (e is DllNotFoundException or BadImageFormatException)
        {
            return $"TorchSharp's native library does not load here: {e.Message}";
        }

        using var tensor = torch.zeros(1);
        return null;
    }
}
