using CudaTrainer.Kernels.Cpu.Threading;

namespace CudaTrainer.Kernels.Cpu;

/// <summary>
/// A whole-sequence GRU layer from zero state (Cho et al. 2014, in PyTorch's form), by the formulas of docs/kernels-layers.md.
/// </summary>
/// <remarks>What it has in common with other recurrent layers stands in <see cref="RecurrentLayer{TCell}"/>.</remarks>
internal static unsafe class Gru
{
    /// <summary>
    /// Bytes of the reserve that the forward pass fills for the backward pass: r, z, n and n's recurrent part [B·T, 4H], as float or
    /// <see cref="Half"/>.
    /// </summary>
    public static long ReserveBytes(in RecurrentShape shape) => RecurrentLayer<GruCell>.ReserveBytes(shape);

    /// <param name="shape">Sizes and options.</param>
    /// <param name="x">Input [B, T, I].</param>
    /// <param name="inputWeights">W_ih [3H, I], gate blocks in the order r, z, n.</param>
    /// <param name="hiddenWeights">W_hh [3H, H].</param>
    /// <param name="inputBias">b_ih [3H].</param>
    /// <param name="hiddenBias">b_hh [3H].</param>
    /// <param name="y">Output: h of every step [B, T, H].</param>
    /// <param name="reserve">Output: what backward needs, <see cref="ReserveBytes"/>, aligned to 4 bytes.</param>
    public static void Forward(
        ThreadTeam team, in RecurrentShape shape, float* x, float* inputWeights, float* hiddenWeights, float* inputBias, float* hiddenBias,
        float* y, void* reserve)
        => RecurrentLayer<GruCell>.Forward<float, SingleSource>(
            team, shape, x, inputWeights, hiddenWeights, inputBias, hiddenBias, y, reserve);

    /// <summary>The forward pass of an input in half precision; the maths is single precision.</summary>
    /// <inheritdoc cref="Forward(ThreadTeam, in RecurrentShape, float*, float*, float*, float*, float*, float*, void*)"/>
    public static void Forward(
        ThreadTeam team, in RecurrentShape shape, Half* x, float* inputWeights, float* hiddenWeights, float* inputBias, float* hiddenBias,
        float* y, void* reserve)
        => RecurrentLayer<GruCell>.Forward<Half, HalfSource>(
            team, shape, x, inputWeights, hiddenWeights, inputBias, hiddenBias, y, reserve);

    /// <param name="x">Forward input [B, T, I].</param>
    /// <param name="inputWeights">W_ih [3H, I]; read only for <paramref name="inputGradient"/>.</param>
    /// <param name="hiddenWeights">W_hh [3H, H].</param>
    /// <param name="y">Forward output [B, T, H].</param>
    /// <param name="reserve">As filled by the forward pass; not changed.</param>
    /// <param name="outputGradient">∂L/∂y [B, T, H].</param>
    /// <param name="inputGradient">∂L/∂x [B, T, I], overwritten; null when nobody needs it.</param>
    /// <param name="inputWeightsGradient">∂L/∂W_ih [3H, I], added to.</param>
    /// <param name="hiddenWeightsGradient">∂L/∂W_hh [3H, H], added to.</param>
    /// <param name="inputBiasGradient">∂L/∂b_ih [3H], added to.</param>
    /// <param name="hiddenBiasGradient">∂L/∂b_hh [3H], added to.</param>
    public static void Backward(
        ThreadTeam team, in RecurrentShape shape, float* x, float* inputWeights, float* hiddenWeights, float* y, void* reserve,
        float* outputGradient, float* inputGradient, float* inputWeightsGradient, float* hiddenWeightsGradient, float* inputBiasGradient,
        float* hiddenBiasGradient)
        => RecurrentLayer<GruCell>.Backward<float, SingleSource>(
            team, shape, x, inputWeights, hiddenWeights, y, reserve, outputGradient, inputGradient, inputWeightsGradient,
            hiddenWeightsGradient, inputBiasGradient, hiddenBiasGradient);

    /// <summary>The backward pass of an input in half precision; the gradients are single precision.</summary>
    /// <inheritdoc cref="Backward(ThreadTeam, in RecurrentShape, float*, float*, float*, float*, void*, float*, float*, float*, float*, float*, float*)"/>
    public static void Backward(
        ThreadTeam team, in RecurrentShape shape, Half* x, float* inputWeights, float* hiddenWeights, float* y, void* reserve,
        float* outputGradient, float* inputGradient, float* inputWeightsGradient, float* hiddenWeightsGradient, float* inputBiasGradient,
        float* hiddenBiasGradient)
        => RecurrentLayer<GruCell>.Backward<Half, HalfSource>(
            team, shape, x, inputWeights, hiddenWeights, y, reserve, outputGradient, inputGradient, inputWeightsGradient,
            hiddenWeightsGradient, inputBiasGradient, hiddenBiasGradient);
}
