using CudaTrainer.Engine.Nn;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Engine.Tests.Training;
using CudaTrainer.Kernels;
using CudaTrainer.Training.Features;
using CudaTrainer.Training.Learning;

namespace CudaTrainer.Engine.Tests.Onnx;

/// <summary>
/// A classifier whose weights, biases and running statistics all follow from formulas, large enough to make answers differ.
/// </summary>
internal static class ExportedModel
{
    public static Learner Create(IDevice device, string name, int inputs)
    {
        var learner = new Learner(
            device, ModelCases.New(name, new ClassifierOptions(inputs, Dropout: 0.5f)),
            new LearnerOptions(LossInfo.Plain, new AdamOptions(), MixedPrecision: false, Seed: 1));
        foreach ((int seed, Parameter parameter) in learner.Parameters.State.Index())
        {
            // Variances are above 0, and no two numbers of a layer play the same part.
            (double scale, double offset) = parameter.Name[(parameter.Name.LastIndexOf('.') + 1)..] switch
            {
                "running_var" => (0.4, 0.5),
                "weight" when parameter.Shape.Rank == 1 => (0.5, 1.0),
                "running_mean" => (0.3, 0.0),
                _ when parameter.Shape.Rank == 1 => (0.5, 0.0),
                _ => (3 / Math.Sqrt(parameter.Shape[1]), 0.0),
            };
            float[] values = [.. Enumerable.Range(0, (int)parameter.Shape.Count).Select(i => FormulaNoise.At(i, seed, scale, offset))];
            parameter.Value.Write((ReadOnlySpan<float>)values);
        }

        return learner;
    }

    /// <param name="features">[clips, frames, inputs].</param>
    /// <returns>The probabilities [clips, 2] and, from models that have it, the attention [clips, frames].</returns>
    public static (double[] Probabilities, double[] Attention) Evaluate(Learner learner, IDevice device, float[] features, int clips,
        int frames)
    {
        using var batch = new HostBatch(device, clips, features.Length / clips * sizeof(float)) { Count = clips };
        features.CopyTo(batch.Features.AsSpan<float>(0, features.Length));
        float[] losses = new float[clips], violent = new float[clips], attention = learner.Model.HasAttention
            ? new float[clips * frames]
            : [];
        learner.Evaluate(batch, losses, violent, attention);
        return ([.. violent.SelectMany(p => new[] { 1 - (double)p, p })], [.. attention.Select(weight => (double)weight)]);
    }
}
