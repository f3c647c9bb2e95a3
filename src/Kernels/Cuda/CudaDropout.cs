using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Kernels.Cuda;

/// <summary>
/// A <see cref="Dropout"/> whose stream the kernel works out by itself, (step ≪ 8) | layer with <see cref="StepState.Step"/> from device memory, so that a captured
/// step draws fresh masks at every replay. The default value drops nothing.
/// </summary>
/// <param name="Probability">p, the fraction dropped, 0 ≤ p &lt; 1.</param>
/// <param name="Seed">Philox key.</param>
/// <param name="Layer">Which dropout of the model, 0 to 255.</param>
/// <param name="State">Device address of the <see cref="StepState"/>; 0 for step 0.</param>
/// <param name="First">As in <see cref="Dropout"/>.</param>
public readonly record struct CudaDropout(float Probability, ulong Seed, int Layer, nint State, long First = 0)
{
    /// <summary>Six kernel parameters: p, what kept elements are multiplied by, seed, layer, number of the first element, state.</summary>
    internal void AddTo(ref KernelArguments arguments)
    {
        arguments.Add(Probability);
        arguments.Add(new Dropout(Probability, 0, 0).Scale);
        arguments.Add(Seed);
        arguments.Add(Layer);
        arguments.Add(First);
        arguments.Add(State);
    }
}
