using System.Globalization;
using ILGPU.Runtime.Cuda;

namespace Kernels.Tools.Inspection;

/// <summary>How many groups a multiprocessor holds at a time.</summary>
/// <param name="Groups">On one multiprocessor.</param>
/// <param name="Warps">Of these groups.</param>
/// <param name="MaxWarps">That a multiprocessor can hold.</param>
/// <param name="Limit">What admits no more.</param>
internal sealed record Occupancy(int Groups, int Warps, int MaxWarps, string Limit)
{
    /// <summary>Of the warps that a multiprocessor can hold, 0 to 1.</summary>
    internal double Fraction => (double)Warps / MaxWarps;
}

/// <summary>An NVIDIA architecture and what one of its multiprocessors has.</summary>
/// <remarks>
/// Source: CUDA C++ Programming Guide, table "Technical Specifications per Compute Capability"; registers are given to
/// a warp by 256, warps by fours, and from 8.0 on each group takes 1 KiB of shared memory for the system.
/// </remarks>
internal sealed record Architecture(
    CudaArchitecture Target, int MaxWarps, int MaxGroups, int SharedBytes, int SharedUnit, int SharedReserve)
{
    private const int WarpSize = 32;
    private const int Registers = 65536;
    private const int RegisterUnit = 256;
    private const int WarpUnit = 4;

    /// <summary>Those that the tables are known of, the oldest first.</summary>
    internal static IReadOnlyList<Architecture> All { get; } =
    [
        new(CudaArchitecture.SM_70, 64, 32, 96 << 10, 256, 0),
        new(CudaArchitecture.SM_75, 32, 16, 64 << 10, 256, 0),
        new(CudaArchitecture.SM_80, 64, 32, 164 << 10, 128, 1 << 10),
        new(CudaArchitecture.SM_86, 48, 16, 100 << 10, 128, 1 << 10),
        new(CudaArchitecture.SM_89, 48, 24, 100 << 10, 128, 1 << 10),
        new(CudaArchitecture.SM_90, 64, 32, 228 << 10, 128, 1 << 10),
    ];

    /// <summary>As in <c>sm_80</c>.</summary>
    internal string Name { get; } = NameOf(Target);

    internal static string NameOf(CudaArchitecture target) =>
        string.Create(CultureInfo.InvariantCulture, $"sm_{target.Major}{target.Minor}");

    /// <summary>The architecture of that name.</summary>
    /// <exception cref="BadInputException">It is not known here.</exception>
    internal static Architecture Find(string name) =>
        All.FirstOrDefault(a => string.Equals(a.Name, name, StringComparison.OrdinalIgnoreCase))
        ?? throw new BadInputException($"--arch is {Messages.Or(All.Select(a => a.Name))}; it is '{name}'.");

    /// <summary>The groups of a kernel that are on a multiprocessor together.</summary>
    /// <param name="registers">Of one item.</param>
    /// <param name="sharedBytes">Of one group.</param>
    /// <param name="groupSize">Items of one group.</param>
    internal Occupancy OccupancyOf(int registers, int sharedBytes, int groupSize)
    {
        int warps = (groupSize + WarpSize - 1) / WarpSize;
        int registersOfWarp = RoundUp(registers * WarpSize, RegisterUnit);
        int warpsByRegisters = registersOfWarp == 0 ? int.MaxValue : Registers / registersOfWarp / WarpUnit * WarpUnit;
        int shared = sharedBytes == 0 ? 0 : RoundUp(sharedBytes + SharedReserve, SharedUnit);
        (int Groups, string Limit)[] limits =
        [
            (MaxWarps / warps, "warps"),
            (MaxGroups, "groups"),
            (warpsByRegisters / warps, "registers"),
            (shared == 0 ? int.MaxValue : SharedBytes / shared, "shared memory"),
        ];
        (int groups, string limit) = limits.MinBy(l => l.Groups);
        return new Occupancy(groups, groups * warps, MaxWarps, limit);
    }

    private static int RoundUp(int value, int unit) => (value + unit - 1) / unit * unit;
}
