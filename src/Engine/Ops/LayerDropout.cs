using CudaTrainer.Engine.Autograd;
using CudaTrainer.Engine.Tensors;

namespace CudaTrainer.Engine.Ops;

/// <summary>
/// Dropout by counter-based random numbers: the mask follows from seed, step, layer and element alone, so it is recomputed instead of
/// stored, and every device draws the same one.
/// </summary>
/// <param name="Probability">Chance that an element becomes 0; the others are scaled by 1/(1−p).</param>
/// <param name="Seed">The run's seed.</param>
/// <param name="Layer">Which dropout of the model, 0 to 255.</param>
/// <param name="State">The StepState whose step count selects the stream, so that a captured step draws fresh masks.</param>
/// <param name="FirstSample">The first sample's place in the batch that several replicas share.</param>
/// <param name="First">The number of a tensor's first element in the mask; see <see cref="For"/>.</param>
public readonly record struct LayerDropout(float Probability, ulong Seed, int Layer, Tensor? State, int FirstSample = 0, long First = 0)
{
    public static LayerDropout None => default;

    /// <summary>Dropout of every second element, for the cases that an op is checked by.</summary>
    internal static LayerDropout Half(Tape tape) => new(0.5f, 7, 3, tape.State);

    public bool Enabled => Probability > 0;

    /// <summary>
    /// The mask of a tensor whose outermost dimension is samples: the part that the whole batch's mask has for these samples.
    /// </summary>
    public LayerDropout For(Tensor x) => this with { First = FirstSample * (x.Count / x.Shape[0]) };

    /// <summary>The Philox stream of this layer in the given step.</summary>
    public ulong Subsequence(int step) => ((ulong)(uint)step << 8) | (uint)Layer;
}
