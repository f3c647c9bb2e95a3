namespace CudaTrainer.Kernels;

/// <summary>Which norm gradient clipping bounds.</summary>
public enum ClipMode
{
    /// <summary>No clipping.</summary>
    Off,

    /// <summary>The norm of all gradients together.</summary>
    Global,

    /// <summary>The norm of each parameter's gradient on its own.</summary>
    PerParameter,
}

/// <summary>Adam's constants (Kingma and Ba 2015) and the clipping that precedes it.</summary>
public readonly record struct AdamOptions
{
    public AdamOptions()
    {
    }

    /// <summary>Decay of the first moment.</summary>
    public double Beta1 { get; init; } = 0.9;

    /// <summary>Decay of the second moment.</summary>
    public double Beta2 { get; init; } = 0.999;

    /// <summary>ε, added to √v outside the bias correction (Keras's form).</summary>
    public float Epsilon { get; init; } = 1e-7f;

    public ClipMode ClipMode { get; init; } = ClipMode.Global;

    /// <summary>Gradients are multiplied by min(1, ClipNorm/norm); &gt; 0.</summary>
    public float ClipNorm { get; init; } = 1;

    /// <summary>
    /// λ ≥ 0: parameters that decay lose the share learning rate · λ of themselves in a step, beside what Adam does (Loshchilov and
    /// Hutter 2019, arXiv:1711.05101).
    /// </summary>
    public double WeightDecay { get; init; }
}
