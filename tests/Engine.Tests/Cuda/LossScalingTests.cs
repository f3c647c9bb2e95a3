using CudaTrainer.Engine.Devices;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Engine.Tests.Training;
using CudaTrainer.Kernels;
using CudaTrainer.Training.Features;
using CudaTrainer.Training.Learning;

namespace CudaTrainer.Engine.Tests.Cuda;

/// <summary>
/// What loss scaling is for: with weights of 1e-6 on the loss, gradients of activations are too small for half precision. Without scaling
/// most of them become zero and the model learns little; with it the same model learns.
/// </summary>
[Collection(CudaCollection.Name)]
public sealed class LossScalingTests
{
    private const int Steps = 25;

    [Theory]
    [InlineData("reference")]
    [InlineData("cuda")]
    public void A_model_whose_half_gradients_underflow_learns_with_scaling(string name)
    {
        using IDevice device = name == "cuda" ? CudaSimulator.Open() : new ReferenceDevice();
        (double[] scaledLosses, double scaledZeros) = Train(device, 32768);
        (double[] plainLosses, double plainZeros) = Train(device, 1);

        scaledLosses[0].ShouldBe(plainLosses[0], 1e-3 * plainLosses[0]);
        plainZeros.ShouldBeGreaterThan(0.5);
        scaledZeros.ShouldBeLessThan(0.05);
        (scaledLosses[^1] / scaledLosses[0]).ShouldBeLessThan(0.5);
        (plainLosses[^1] / plainLosses[0]).ShouldBeGreaterThan(0.8);
    }

    /// <returns>The losses, and the fraction of zeros in the first gradient of lstm_1.</returns>
    private static (double[] Losses, double Zeros) Train(IDevice device, float scale)
    {
        MemoryRows rows = new(6);
        using Learner learner = new(
            device,
            Classifiers.Create("simple-lstm", new ClassifierOptions(rows.Dimension, Dropout: 0, HalfReserve: true)),
            TrainingFixture.Learner(classWeights: [1e-6f, 1e-6f],
                mixedPrecision: true) with
            { Adam = new AdamOptions { ClipMode = ClipMode.Off, Epsilon = 1e-14f } });
        learner.Parameters.Initialize(42);
        StepState state = learner.State.Read();
        state.LossScale = scale;
        learner.State.Write(state);
        using HostBatch batch = rows.Batch(device, true, [.. Enumerable.Range(0, rows.Count)]);
        double zeros = 0;
        double[] losses = new double[Steps];
        for (int step = 0; step < Steps; step++)
        {
            losses[step] = learner.Train(batch, 3e-3).Loss;
            if (step == 0)
            {
                float[] gradient = learner.Parameters.Parameters[0].Value.Gradient!.Read<float>();
                zeros = gradient.Count(value => value == 0) / (double)gradient.Length;
            }
        }

        return (losses, zeros);
    }
}
