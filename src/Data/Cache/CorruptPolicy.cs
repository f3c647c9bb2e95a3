namespace CudaTrainer.Data.Cache;

/// <summary>What becomes of clips that cannot be decoded.</summary>
public enum CorruptPolicy
{
    /// <summary>Leave them out of their split and list them.</summary>
    Skip,

    /// <summary>Keep them with all-zero features.</summary>
    Zeros,

    /// <summary>Stop at the first.</summary>
    Fail,
}
