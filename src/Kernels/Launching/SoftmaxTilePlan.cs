namespace Kernels.Launching;

/// <summary>
/// The tiles of softmax attention over a codebook and where they lie in the scratch memory. A pure function of the device's
/// facts and the sizes.
/// </summary>
/// <param name="Rows">Rows of a tile.</param>
/// <param name="Codes">Codes of a tile.</param>
/// <param name="Values">Where rows and gradients begin, [2 rows, d].</param>
/// <param name="Scores">Where logits and t begin, [2 rows, codes].</param>
/// <param name="Sums">Where the gradients to the rows begin, [rows, d].</param>
/// <param name="Decoded">Where codes of 16 bits begin as binary32, [codes, d].</param>
/// <param name="State">Where the state of the rows begins, [3, rows].</param>
/// <param name="Length">Floats of scratch memory.</param>
internal readonly record struct SoftmaxTilePlan(
    int Rows, int Codes, long Values, long Scores, long Sums, long Decoded, long State, long Length)
{
    // Packets need starts at multiples of four; of 64, no tile shares a line of the cache with another.
    private const long Line = 64;

    /// <summary>The tiles for at most so many rows; 0 tile rows or codes are for the plan to choose.</summary>
    internal static SoftmaxTilePlan For(
        DeviceFacts facts, int maxRows, int codes, int dimension, int tileRows, int tileCodes)
    {
        // Logits and t of a tile: 2 MiB in a CPU's second-level cache, 16 MiB in a GPU's.
        bool isGpu = facts.Class == DeviceClass.Gpu;
        int rows = Math.Min(maxRows, tileRows > 0 ? tileRows : isGpu ? 1024 : 256);
        int columns = Math.Min(codes, tileCodes > 0 ? tileCodes : isGpu ? 2048 : 1024);
        long scores = Up(2L * rows * dimension);
        long sums = scores + Up(2L * rows * columns);
        long decoded = sums + Up((long)rows * dimension);
        long state = decoded + Up((long)columns * dimension);
        return new SoftmaxTilePlan(rows, columns, 0, scores, sums, decoded, state, state + (3L * rows));
    }

    private static long Up(long length) => (length + Line - 1) / Line * Line;
}
