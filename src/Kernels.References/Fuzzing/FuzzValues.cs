namespace Kernels.References.Fuzzing;

/// <summary>Kinds of numbers that an input is filled with.</summary>
[Flags]
public enum FuzzValues
{
    /// <summary>None.</summary>
    None = 0,

    /// <summary>Both signs, sizes from 1e-6 to 1e3 log-uniformly, some 0 and 1 and repeats among them.</summary>
    Spread = 1,

    /// <summary>Whole numbers from -4 to 4: sums and products are exact, and many are equal.</summary>
    Whole = 2,

    /// <summary>A few numbers again and again.</summary>
    Duplicates = 4,

    /// <summary>A number is followed by nearly its negative.</summary>
    Cancellation = 8,

    /// <summary>Zeros, of both signs, and few others.</summary>
    Zeros = 16,

    /// <summary>Sizes about the least normal number, and below it.</summary>
    Tiny = 32,

    /// <summary>Sizes from 1e15 to 1e38.</summary>
    Huge = 64,

    /// <summary>Now and then a NaN or an infinity.</summary>
    NotFinite = 128,

    /// <summary>What every kernel meets.</summary>
    Ordinary = Spread | Whole | Duplicates | Cancellation | Zeros,

    /// <summary>All that is finite.</summary>
    Finite = Ordinary | Tiny | Huge,

    /// <summary>Everything.</summary>
    All = Finite | NotFinite,
}
