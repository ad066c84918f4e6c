using ILGPU.Runtime;
using Kernels.Dct;
using Kernels.References.Dct;
using Kernels.Tests.Support;

namespace Kernels.Tests.Dct;

/// <summary>Where a test of the transforms runs: the device under test, or a walk of another device on a simulated warp.</summary>
public enum DctPlace
{
    /// <summary>The device under test with its own walk.</summary>
    Own,

    /// <summary>A CPU accelerator with warps of 32 and groups in shared memory.</summary>
    Groups,

    /// <summary>The same with groups in global memory.</summary>
    GlobalGroups,

    /// <summary>The same with the sixteens of OpenCL CPU devices.</summary>
    Sixteens,
}

/// <summary>Shared by the tests of the third family.</summary>
internal static class DctDevice
{
    /// <summary>The places of this run: what runs on the host's warps is the same whatever the device under test.</summary>
    internal static DctPlace[] Places => TestDevices.IsHost ? Enum.GetValues<DctPlace>() : [DctPlace.Own];

    internal static Accelerator Accelerator(DctPlace place) =>
        place == DctPlace.Own ? TestDevices.Session.Accelerator : TestDevices.Warp(32);

    internal static TransformWalk? Walk(DctPlace place) => place switch
    {
        DctPlace.Own => null,
        DctPlace.Groups => TransformWalk.Groups,
        DctPlace.GlobalGroups => TransformWalk.GlobalGroups,
        _ => TransformWalk.Sixteens,
    };

    internal static TransformKind KindOf(Basis basis) => Enum.Parse<TransformKind>(basis.ToString());

    /// <summary>The transposed matrix.</summary>
    internal static T[] Transposed<T>(T[] values, int columns)
    {
        int rows = values.Length / columns;
        var result = new T[values.Length];
        for (int i = 0; i < values.Length; i++)
        {
            result[(i % columns * rows) + (i / columns)] = values[i];
        }

        return result;
    }
}
