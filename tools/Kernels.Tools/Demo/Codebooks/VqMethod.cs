namespace Kernels.Tools.Demo.Codebooks;

/// <summary>A way to train a codebook.</summary>
/// <param name="Name">How table and pictures name it.</param>
/// <param name="Create">Makes the codebook at its start.</param>
internal sealed record VqMethod(string Name, Func<Session, VqSetting, Codebook> Create)
{
    internal static VqMethod Plain { get; } = new("plain VQ", (session, setting) => new GradientCodebook(session, setting));

    internal static VqMethod Fvq { get; } = new("FVQ", (session, setting) => new BridgeCodebook(session, setting));

    internal static IReadOnlyList<VqMethod> All { get; } =
    [
        Plain,
        new("EMA, restart", (session, setting) => new EmaCodebook(session, setting)),
        new("SimVQ", (session, setting) => new SimVqCodebook(session, setting)),
        Fvq,
    ];
}
