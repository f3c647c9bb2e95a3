using CudaTrainer.Engine.Tensors;

namespace CudaTrainer.Engine.Autograd;

/// <summary>Is shown what batch normalisation layers are given at inference.</summary>
internal interface IBatchNormObserver
{
    /// <param name="tape">The recording, for memory and ops.</param>
    /// <param name="x">The layer's input, channels last.</param>
    /// <param name="runningMean">Of the layer, which tells layers apart.</param>
    void Observe(Tape tape, Tensor x, Tensor runningMean);
}
