namespace Kernels.References.Optimizers;

/// <summary>Of what AMSGrad takes the running maximum; the two differ from the third step on.</summary>
public enum AmsGradRule
{
    /// <summary>Of the second moment as it is stored, corrected for its bias afterwards (PyTorch).</summary>
    Torch,

    /// <summary>Of the second moment corrected for its bias, used as it is (Optax).</summary>
    Optax,
}
