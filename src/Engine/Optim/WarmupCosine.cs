namespace CudaTrainer.Engine.Optim;

/// <summary>
/// Linear warm-up, then cosine decay (Loshchilov and Hutter 2017, without restarts): lr·(k+1)/W for step k &lt; W, then
/// min + (lr − min)·½(1 + cos π(k−W)/(S−W)).
/// </summary>
/// <param name="Peak">lr.</param>
/// <param name="Minimum">Reached at the end.</param>
/// <param name="WarmupSteps">W.</param>
/// <param name="TotalSteps">S.</param>
public readonly record struct WarmupCosine(double Peak, double Minimum, long WarmupSteps, long TotalSteps)
{
    /// <summary>The learning rate of step <paramref name="step"/>, counted from 0; never 0 during warm-up.</summary>
    public double At(long step)
    {
        if (step < WarmupSteps)
        {
            return Peak * (step + 1) / WarmupSteps;
        }

        double progress = Math.Clamp((double)(step - WarmupSteps) / Math.Max(1, TotalSteps - WarmupSteps), 0, 1);
        return Minimum + ((Peak - Minimum) * 0.5 * (1 + Math.Cos(Math.PI * progress)));
    }
}
