using Microsoft.ML.OnnxRuntime;

namespace Kernels.Adapters.Tests.OnnxRuntime;

/// <summary>A test that needs ONNX Runtime's native library; where that does not load, it says so and is skipped.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class OrtFactAttribute : FactAttribute
{
    private static readonly Lazy<string?> s_whyNot = new(() =>
    {
        try
        {
            _ = OrtEnv.Instance();
            return null;
        }
        catch (Exception e) when (e is DllNotFoundException or TypeInitializationException or EntryPointNotFoundException)
        {
            return $"ONNX Runtime's native library does not load: {(e.InnerException ?? e).Message}";
        }
    });

    public OrtFactAttribute() => Skip = s_whyNot.Value;
}
