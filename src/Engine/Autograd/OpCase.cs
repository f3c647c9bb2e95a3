using CudaTrainer.Engine.Tensors;

namespace CudaTrainer.Engine.Autograd;

/// <summary>One argument of an op under test.</summary>
/// <param name="Differentiable">Whether its gradient is checked.</param>
/// <param name="Type">Its type, where that is not the type of the check.</param>
/// <param name="IsParameter">A parameter or statistic, which stays in single precision when activations are in half.</param>
public sealed record OpInput(
    string Name, Shape Shape, double[] Values, bool Differentiable = true, DType? Type = null, bool IsParameter = false);

/// <summary>
/// A differentiable function with concrete inputs: what the gradient check, the comparison of devices and <c>cudatrainer gradcheck</c> run.
/// </summary>
/// <param name="Apply">Runs the function on tensors made of <see cref="Inputs"/>, in their order.</param>
/// <param name="SeedsItself">The function computes its own gradient of the sum of its outputs (the loss).</param>
public sealed record OpCase(
    string Name, IReadOnlyList<OpInput> Inputs, Func<Tape, IReadOnlyList<Tensor>, Tensor> Apply, bool SeedsItself = false);
