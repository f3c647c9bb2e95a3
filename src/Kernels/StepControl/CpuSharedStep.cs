namespace CudaTrainer.Kernels.Cpu;

/// <summary>What the replicas of a model add up in a step besides the gradients: [loss, correct, stop requests, 0,
/// buffers·share…].</summary>
internal static unsafe class SharedStep
{
    private const int Scalars = 4;

    /// <param name="state">Loss, Correct and StopRequests are read.</param>
    /// <param name="count">Buffer elements n.</param>
    /// <param name="buffers">[n].</param>
    /// <param name="share">This replica's part of the batch's samples; with 0 the buffers are not read.</param>
    /// <param name="shared">Output: [4 + n].</param>
    public static void Write(StepState* state, long count, float* buffers, float share, float* shared)
    {
        shared[0] = state->Loss;
        shared[1] = state->Correct;
        shared[2] = state->StopRequests;
        shared[3] = 0;
        for (long i = 0; i < count; i++)
        {
            shared[Scalars + i] = share == 0 ? 0 : buffers[i] * share;
        }
    }

    /// <summary>The opposite of <see cref="Write"/>, for the sum over all replicas.</summary>
    public static void Read(float* shared, StepState* state, long count, float* buffers)
    {
        state->Loss = shared[0];
        state->Correct = (int)shared[1];
        state->StopRequests = shared[2];
        new ReadOnlySpan<float>(shared + Scalars, (int)count).CopyTo(new Span<float>(buffers, (int)count));
    }
}
