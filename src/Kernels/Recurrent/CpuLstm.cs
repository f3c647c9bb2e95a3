using CudaTrainer.Kernels.Cpu.Threading;

namespace CudaTrainer.Kernels.Cpu;

/// <summary>
/// A whole-sequence LSTM layer from zero state (Hochreiter and Schmidhuber 1997, forget gate of Gers et al. 2000), by the formulas of
/// docs/kernels-layers.md.
/// </summary>
/// <remarks>What it has in common with other recurrent layers stands in <see cref="RecurrentLayer{TCell}"/>.</remarks>
internal static unsafe class Lstm
{
    /// <summary>
    /// Bytes of the reserve that the forward pass fills for the backward pass: the activated gates [B·T, 4H] and the cells [B·T, H], as
    /// float or <see cref="Half"/>.
    /// </summary>
    public static long ReserveBytes(in RecurrentShape shape) => RecurrentLayer<LstmCell>.ReserveBytes(shape);

    /// <param name="shape">Sizes and options.</param>
    /// <param name="x">Input [B, T, I].</param>
    /// <param name="inputWeights">W_ih [4H, I], gate blocks in the order i, f, g, o.</param>
    /// <param name="hiddenWeights">W_hh [4H, H].</param>
    /// <param name="bias">[4H].</param>
    /// <param name="y">Output: h of every step [B, T, H].</param>
    /// <param name="reserve">Output: what backward needs, <see cref="ReserveBytes"/>, aligned to 4 bytes.</param>
    public static void Forward(
        ThreadTeam team, in RecurrentShape shape, float* x, float* inputWeights, float* hiddenWeights, float* bias, float* y, void* reserve)
        => RecurrentLayer<LstmCell>.Forward<float, SingleSource>(
            team, shape, x, inputWeights, hiddenWeights, bias, null, y, reserve);

    /// <summary>The forward pass of an input in half precision; the maths is single precision.</summary>
    /// <inheritdoc cref="Forward(ThreadTeam, in RecurrentShape, float*, float*, float*, float*, float*, void*)"/>
    public static void Forward(
        ThreadTeam team, in RecurrentShape shape, Half* x, float* inputWeights, float* hiddenWeights, float* bias, float* y, void* reserve)
        => RecurrentLayer<LstmCell>.Forward<Half, HalfSource>(
            team, shape, x, inputWeights, hiddenWeights, bias, null, y, reserve);

    /// <param name="x">Forward input [B, T, I].</param>
    /// <param name="inputWeights">W_ih [4H, I]; read only for <paramref name="inputGradient"/>.</param>
    /// <param name="hiddenWeights">W_hh [4H, H].</param>
    /// <param name="y">Forward output [B, T, H].</param>
    /// <param name="reserve">As filled by the forward pass; not changed.</param>
    /// <param name="outputGradient">∂L/∂y [B, T, H].</param>
    /// <param name="inputGradient">∂L/∂x [B, T, I], overwritten; null when nobody needs it.</param>
    /// <param name="inputWeightsGradient">∂L/∂W_ih [4H, I], added to.</param>
    /// <param name="hiddenWeightsGradient">∂L/∂W_hh [4H, H], added to.</param>
    /// <param name="biasGradient">∂L/∂bias [4H], added to.</param>
    public static void Backward(
        ThreadTeam team, in RecurrentShape shape, float* x, float* inputWeights, float* hiddenWeights, float* y, void* reserve,
        float* outputGradient, float* inputGradient, float* inputWeightsGradient, float* hiddenWeightsGradient, float* biasGradient)
        => RecurrentLayer<LstmCell>.Backward<float, SingleSource>(
            team, shape, x, inputWeights, hiddenWeights, y, reserve, outputGradient, inputGradient, inputWeightsGradient,
            hiddenWeightsGradient, biasGradient, null);

    /// <summary>The backward pass of an input in half precision; the gradients are single precision.</summary>
    /// <inheritdoc cref="Backward(ThreadTeam, in RecurrentShape, float*, float*, float*, float*, void*, float*, float*, float*, float*, float*)"/>
    public static void Backward(
        ThreadTeam team, in RecurrentShape shape, Half* x, float* inputWeights, float* hiddenWeights, float* y, void* reserve,
        float* outputGradient, float* inputGradient, float* inputWeightsGradient, float* hiddenWeightsGradient, float* biasGradient)
        => RecurrentLayer<LstmCell>.Backward<Half, HalfSource>(
            team, shape, x, inputWeights, hiddenWeights, y, reserve, outputGradient, inputGradient, inputWeightsGradient,
            hiddenWeightsGradient, biasGradient, null);
}
