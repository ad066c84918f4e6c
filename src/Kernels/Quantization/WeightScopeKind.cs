namespace Kernels.Quantization;

/// <summary>How weights are shared out.</summary>
public enum WeightScopeKind
{
    /// <summary>One share for all.</summary>
    Tensor = 0,

    /// <summary>A share for each row.</summary>
    Rows = 1,

    /// <summary>A share for each group of rows.</summary>
    Groups = 2,

    /// <summary>A share for each block of consecutive weights.</summary>
    Blocks = 3,
}
