namespace CudaTrainer.Kernels;

/// <summary>What the classification loss is.</summary>
/// <param name="Focal">Focal loss Σ α·y'·(1−p)^γ·(−log p) (Lin et al. 2017), or cross-entropy Σ y'·(−log p).</param>
/// <param name="Gamma">γ ≥ 0; with 0 the focal loss is α times the cross-entropy.</param>
/// <param name="Smoothing">Label smoothing s, 0 ≤ s &lt; 1: the target is y' = (1−s)·y + s/classes.</param>
public readonly record struct LossOptions(bool Focal, float Gamma, float Smoothing);
