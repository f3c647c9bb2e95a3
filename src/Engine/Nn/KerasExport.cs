using CudaTrainer.Formats;

namespace CudaTrainer.Engine.Nn;

/// <summary>What layers need to describe themselves as layers of Keras.</summary>
internal static class KerasExport
{
    /// <summary>A layer without weights.</summary>
    public static KerasLayer Plain(string name) => new(name, []);

    /// <summary>A matrix of ours, [outputs, inputs], as Keras's [inputs, outputs].</summary>
    /// <param name="path">Keras's name, without its version.</param>
    /// <param name="swappedGate">See <see cref="KerasConversion"/>.</param>
    public static KerasWeight KerasMatrix(this Parameter parameter, string path, int swappedGate = 0)
    {
        int outputs = parameter.Shape[0], inputs = parameter.Shape[1];
        return new KerasWeight($"{path}:0", [inputs, outputs],
            [new KerasTensor(parameter.Name, [outputs, inputs], new KerasConversion(inputs, outputs, SwappedGate: swappedGate))]);
    }

    /// <inheritdoc cref="KerasMatrix"/>
    public static KerasWeight KerasVector(this Parameter parameter, string path) =>
        new($"{path}:0", parameter.Shape.ToLengths(),
            [new KerasTensor(parameter.Name, parameter.Shape.ToLengths(), new KerasConversion(1, parameter.Shape[0]))]);
}
