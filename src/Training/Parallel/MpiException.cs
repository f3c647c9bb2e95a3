namespace CudaTrainer.Training.Parallel;

/// <summary>MPI is missing, a call of it failed, or the processes do not agree on what is sent.</summary>
public sealed class MpiException : Exception
{
    internal MpiException(string message)
        : base(message)
    {
    }
}
