using ILGPU.Runtime;
using Kernels.Launching;
using Kernels.References;
using Kernels.Tests.Support;

namespace Kernels.Tests.Linear;

/// <summary>Where a test of the dense layers runs: the device under test, or GPU walks on a simulated warp of 32.</summary>
public enum LinearPlace
{
    /// <summary>The device under test with its own walk.</summary>
    Own,

    /// <summary>The device under test with the GPU's tiles (not on the CPU accelerator, whose groups are too small).</summary>
    Tile,

    /// <summary>A CPU accelerator with warps of 32 and the GPU's tiles.</summary>
    Warp32Tile,

    /// <summary>A CPU accelerator with warps of 32 and the panels of OpenCL CPU devices.</summary>
    Warp32Panel,
}

/// <summary>
/// The places of this run: simulated warps are the same whatever the device under test, so they run with the CPU
/// accelerator's tests; there the GPU's tiles on the device itself would be the device's own walk again.
/// </summary>
public static class LinearPlaces
{
    public static TheoryData<LinearPlace> All() =>
        Of(LinearPlace.Own, LinearPlace.Tile, LinearPlace.Warp32Tile, LinearPlace.Warp32Panel);

    public static TheoryData<LinearPlace> Walks() =>
        Of(LinearPlace.Own, LinearPlace.Warp32Tile, LinearPlace.Warp32Panel);

    public static TheoryData<LinearPlace> Groups() => Of(LinearPlace.Own, LinearPlace.Warp32Tile);

    private static TheoryData<LinearPlace> Of(params LinearPlace[] places) => [.. places.Where(place => place switch
    {
        LinearPlace.Own => true,
        LinearPlace.Tile => !TestDevices.IsHost,
        _ => TestDevices.IsHost,
    })];
}

/// <summary>Shared by the tests of the dense layers.</summary>
internal static class LinearDevice
{
    internal static Accelerator Accelerator(LinearPlace place) =>
        place is LinearPlace.Warp32Tile or LinearPlace.Warp32Panel
            ? TestDevices.Warp(32)
            : TestDevices.Session.Accelerator;

    internal static TileWalk? Walk(LinearPlace place) => place switch
    {
        LinearPlace.Own => null,
        LinearPlace.Warp32Panel => TileWalk.Panel,
        _ => TileWalk.Tile,
    };

    /// <summary>Every element within its bound; NaN where and only where the reference has NaN.</summary>
    internal static void AssertWithin(Bounded[] wanted, float[] got, string what)
    {
        Assert.Equal(wanted.Length, got.Length);
        for (int i = 0; i < got.Length; i++)
        {
            bool fits = double.IsNaN(wanted[i].Value)
                ? float.IsNaN(got[i])
                : got[i] == wanted[i].Value || Math.Abs(got[i] - wanted[i].Value) <= wanted[i].Bound;
            Assert.True(
                fits,
                $"{what}, element {i}: {got[i]:R} is {Math.Abs(got[i] - wanted[i].Value):E2} from "
                + $"{wanted[i].Value:R}, and may be {wanted[i].Bound:E2} from it.");
        }
    }

    /// <summary>Values of either sign whose sizes spread over six powers of two, some of them zero.</summary>
    internal static float[] Random(Random random, int length)
    {
        var values = new float[length];
        for (int i = 0; i < length; i++)
        {
            double size = Math.Pow(2, random.NextDouble() * 6 - 3);
            values[i] = random.Next(16) == 0 ? 0f : (float)(random.Next(2) == 0 ? size : -size);
        }

        return values;
    }
}
