using CudaTrainer.Engine.Tensors;
using CudaTrainer.Engine.Tracing;

namespace CudaTrainer.Engine.Nn;

/// <summary>A network that turns frames into features, on one device. Those of a clip do not depend on the rest of a batch.</summary>
public interface IFrameNetwork : IDisposable
{
    /// <summary>Times each layer; null where nobody asks.</summary>
    LapClock? Laps { get; set; }

    /// <param name="rgb">[n, height, width, 3] UInt8, of the size that the network takes; whole clips one after the other.</param>
    /// <param name="features">[n, D], overwritten.</param>
    void Forward(Tensor rgb, Tensor features);
}
