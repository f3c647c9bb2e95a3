using CudaTrainer.Engine.Tensors;
using CudaTrainer.Kernels;

namespace CudaTrainer.Engine.Backends;

/// <summary>
/// The layer-sized maths that every device provides. An op that a differentiable function uses is declared above that function
/// (<c>Autograd/Functions</c>, as a part of this interface); here stand the others.
/// </summary>
/// <remarks>
/// <para>Order of arguments: inputs, outputs, options. Shapes, types and devices are checked by the caller, once, before any backend is called.</para>
/// <para>Outputs and gradients of activations are overwritten; gradients of parameters are added to.</para>
/// <para>Nothing here returns a number to the host: scalars stay on the device, in the <see cref="StepState"/> that the ops share,
/// so that a whole step can be queued, and on CUDA captured as a graph, without waiting.</para>
/// </remarks>
public partial interface IOps
{
    /// <summary>C = op(A)·op(B) (+ C) with op the identity or the transpose.</summary>
    /// <param name="a">Seen as a matrix of its last dimension, [m, k] ([k, m] if transposed).</param>
    /// <param name="b">[k, n] ([n, k] if transposed).</param>
    /// <param name="c">[m, n].</param>
    /// <param name="bias">[n], added to every row, or null.</param>
    void Gemm(Tensor a, bool transposeA, Tensor b, bool transposeB, Tensor c, Tensor? bias = null, bool accumulate = false);

    /// <summary>sums[j] += Σ over rows of x[i, j].</summary>
    /// <param name="x">[rows, columns].</param>
    /// <param name="sums">[columns].</param>
    void AddColumnSums(Tensor x, Tensor sums);

    /// <summary>y += x, elementwise.</summary>
    void Accumulate(Tensor x, Tensor y);

    /// <summary>y = x converted between floating-point types.</summary>
    void Cast(Tensor x, Tensor y);

    /// <summary>Copies (or adds) a rectangle of rows between matrices with different row lengths.</summary>
    /// <param name="source">First element at <paramref name="sourceOffset"/>, rows <paramref name="sourceStride"/> elements apart.</param>
    void CopyRows(Tensor source, long sourceOffset, int sourceStride, Tensor destination, long destinationOffset, int destinationStride, int rows, int columns, bool accumulate = false);

    /// <summary>Prepares a step: StepState.LearningRate and StepState.StopRequests = <paramref name="orders"/>, StepState.Loss and StepState.Correct = 0.</summary>
    /// <param name="orders">[2]: learning rate, and 1 where this replica was asked to stop, else 0.</param>
    void BeginStep(Tensor state, Tensor orders);

    /// <summary>What a replica adds to a sum over all: StepState.Loss, Correct and StopRequests as they are, and buffers · <paramref name="share"/>, for a mean.</summary>
    /// <param name="shared">Output: [4 + n], the fourth number 0.</param>
    /// <param name="buffers">[n].</param>
    /// <param name="share">This replica's part of the batch's samples; with 0 its buffers are not read.</param>
    void WriteShared(Tensor state, Tensor buffers, Tensor shared, float share);

    /// <summary>Puts the sum of what <see cref="WriteShared"/> wrote on all replicas back to where it came from.</summary>
    void ReadShared(Tensor shared, Tensor state, Tensor buffers);

    /// <summary>
    /// Divides the flat gradients by StepState.LossScale, sets StepState.FoundNonFinite if any is NaN or infinite, and writes the norm of each
    /// parameter's gradient and, as StepState.GradientNorm, of all.
    /// </summary>
    /// <param name="gradients">Flat [n].</param>
    /// <param name="segments">Where each of the P parameters begins, and n: [P + 1] Int64.</param>
    /// <param name="norms">[P].</param>
    void UnscaleAndCheckFinite(Tensor gradients, Tensor segments, Tensor norms, Tensor state);

    /// <summary>
    /// One Adam step on all parameters in Keras's form, p ← p − lr·√(1−β₂ᵗ)/(1−β₁ᵗ) · m/(√v + ε), after clipping the gradients; nothing but the step count of
    /// skipped steps changes if StepState.FoundNonFinite is set. Kingma and Ba 2015, arXiv:1412.6980, section 2 (last paragraph).
    /// </summary>
    /// <param name="halfParameters">Where the updated parameters are also written, in half precision; or null.</param>
    void AdamStep(Tensor parameters, Tensor gradients, Tensor firstMoments, Tensor secondMoments, Tensor segments, Tensor norms, Tensor? halfParameters, Tensor state, in AdamOptions options);

    /// <summary>values = before where StepState.FoundNonFinite is set: a skipped step takes back what its forward pass moved.</summary>
    void RestoreIfSkipped(Tensor values, Tensor before, Tensor state);

    /// <summary>Dynamic loss scaling: notes the scale as StepState.StepLossScale, then halves on overflow, doubles after 2000 good steps, within [1, 2²⁴]; also counts steps when disabled.</summary>
    void UpdateLossScale(Tensor state, bool enabled);
}

/// <summary>
/// Dropout by counter-based random numbers: the mask follows from seed, step, layer and element alone, so it is recomputed instead of stored, and every device draws
/// the same one.
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

    public bool Enabled => Probability > 0;

    /// <summary>The mask of a tensor whose outermost dimension is samples: the part that the whole batch's mask has for these samples.</summary>
    public LayerDropout For(Tensor x) => this with { First = FirstSample * (x.Count / x.Shape[0]) };

    /// <summary>The Philox stream of this layer in the given step.</summary>
    public ulong Stream(int step) => ((ulong)(uint)step << 8) | (uint)Layer;
}
