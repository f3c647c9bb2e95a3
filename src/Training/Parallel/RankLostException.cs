using CudaTrainer.Engine;
namespace CudaTrainer.Training.Parallel;

/// <summary>Another process of a run died, failed or fell silent, so that this one cannot go on. The message names it.</summary>
public sealed class RankLostException : RunException
{
    public RankLostException(string message)
        : base(message, "All processes of the run end; the output of the one named says more.")
    {
    }
}
