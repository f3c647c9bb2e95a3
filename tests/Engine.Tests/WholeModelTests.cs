using System.Text.Json;
using CudaTrainer.Engine.Autograd;
using CudaTrainer.Engine.Checks;
using CudaTrainer.Engine.Devices;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Engine.Ops;
using CudaTrainer.Engine.Optim;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Engine.Tests.Formats;
using CudaTrainer.Kernels;
using CudaTrainer.Kernels.Cpu.Simd;
using CudaTrainer.Training.Features;
using CudaTrainer.Training.Learning;
using CudaTrainer.Training.RunFiles;

namespace CudaTrainer.Engine.Tests;

/// <summary>
/// The whole lstm-attention classifier against PyTorch (golden/whole_model.py): logits, attention, each gradient by name, 20 losses,
/// running statistics and trained weights.
/// Weights and data follow from the same formulas on both sides.
/// </summary>
public class WholeModelTests
{
    private const int Batch = 6, Time = 5, Inputs = 24, Steps = 20;
    private const double Tolerance = 1e-4;

    /// <summary>What a gradient that is zero in exact arithmetic (a bias in front of BatchNorm) may be.</summary>
    private const double Zero = 1e-7;

    private static readonly int[] Labels = [0, 1, 1, 0, 1, 1];
    private static readonly float[] ClassWeights = [Batch / 4f, Batch / 8f];
    private static readonly float[] Alpha = [0.25f, 0.75f];
    private static readonly LossInfo Loss = new(Focal: true, Gamma: 2, Smoothing: 0.1f, ClassWeights, Alpha);
    private static readonly JsonElement Golden = JsonDocument.Parse(File.ReadAllText(GoldenFiles.Path("whole_model.json"))).RootElement;

    public static TheoryData<string> Devices => ["reference", .. SimdSelection.Available.Select(level => level.ToString())];

    [Theory]
    [MemberData(nameof(Devices))]
    public void Forward_and_gradients_agree_with_PyTorch(string name)
    {
        using IDevice device = Open(name);
        Classifier model = Model();
        using var own = new ParameterSet(device, model);
        Fill(own);
        using var state = new StepStateTensor(device);
        using var tape = new Tape(device) { Training = true, State = state.Tensor };
        using Tensor x = Tensor.From(device, [Batch, Time, Inputs], Noise(Batch * Time * Inputs, 1000, 1));
        using Tensor labels = Tensor.From(device, [Batch], Labels);
        using Tensor weights = Tensor.From(device, [2], ClassWeights);
        using Tensor alpha = Tensor.From(device, [2], Alpha);
        own.ClearGradients();

        ClassifierOutput output = model.Forward(tape, x);
        SoftmaxFocalLossFunction.Apply(tape, output.Logits, labels, weights, alpha, 1f / Batch, Loss.Options);
        tape.Backward();

        Close(output.Logits.ToDoubles(), Golden.GetProperty("logits"), "logits");
        Close(output.Attention!.ToDoubles(), Golden.GetProperty("attention"), "attention");
        state.Read().Loss.ShouldBe(Golden.GetProperty("losses")[0].GetSingle(), 1e-6f);
        foreach (Parameter parameter in own.Parameters)
        {
            MatchesSummary(parameter.Value.Gradient!.ToDoubles(), Golden.GetProperty("gradients").GetProperty(parameter.Name),
                parameter.Name);
        }
    }

    [Theory]
    [MemberData(nameof(Devices))]
    public void Twenty_training_steps_agree_with_PyTorch(string name)
    {
        using IDevice device = Open(name);
        using Learner learner = NewLearner(device);
        using HostBatch batch = NewBatch(device);
        var schedule = new WarmupCosine(1e-3, 1e-7, 4, Steps);
        for (int step = 0; step < Steps; step++)
        {
            StepOutcome outcome = learner.Train(batch, schedule.At(step));
            double loss = Golden.GetProperty("losses")[step].GetDouble(), norm = Golden.GetProperty("gradient_norms")[step].GetDouble();
            outcome.Loss.ShouldBe(loss, Tolerance * loss, $"loss of step {step}");
            outcome.GradientNorm.ShouldBe(norm, 1e-3 * norm, $"gradient norm of step {step}");
        }

        foreach (Parameter buffer in learner.Parameters.Buffers)
        {
            MatchesSummary(buffer.Value.ToDoubles(), Golden.GetProperty("running").GetProperty(buffer.Name), buffer.Name);
        }
    }

    /// <summary>Ten steps after a checkpoint are, bit for bit, the ten steps that follow without one; also with several threads.</summary>
    [Fact]
    public void Saved_and_reloaded_training_goes_on_with_the_same_bits()
    {
        string path = Path.Combine(Path.GetTempPath(), $"{Guid.NewGuid():N}.ckpt");
        try
        {
            using var device = new CpuDevice(1);
            using Learner first = NewLearner(device, dropout: 0.5f);
            using HostBatch batch = NewBatch(device);
            Train(first, batch, 0, 10);
            var info = new ModelInfo { Model = "lstm-attention", Inputs = Inputs, Frames = Time, Backbone = "none", BackboneDescription = "none", Preprocess = "none" };
            Checkpoint.SaveFull(path, first, info, new TrainingState { Epoch = 1 }.With(first.State.Read()));
            Train(first, batch, 10, 20);

            using var other = new CpuDevice(3);
            using Learner second = NewLearner(other, dropout: 0.5f);
            using (Checkpoint checkpoint = Checkpoint.Open(path))
            {
                checkpoint.LoadModel(second.Parameters);
                checkpoint.LoadOptimizer(second);
            }

            Train(second, batch, 10, 20);
            second.Parameters.Values.Read<float>().ShouldBe(first.Parameters.Values.Read<float>());
            second.Parameters.BufferValues.Read<float>().ShouldBe(first.Parameters.BufferValues.Read<float>());
            second.Optimizer.SecondMoments.Read<float>().ShouldBe(first.Optimizer.SecondMoments.Read<float>());
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Fact]
    public void Products_of_bfloat16_train_alike_with_any_number_of_threads()
    {
        using var device = new CpuDevice(1, halfProducts: true);
        Assert.SkipUnless(device.MultipliesInHalf, "This machine has no AVX512_BF16, or native/kernels is not built.");
        using var other = new CpuDevice(3, halfProducts: true);
        using var single = new CpuDevice(2);
        double[] losses = Losses(device, mixed: true), precise = Losses(single, mixed: false);
        losses.ShouldBe(Losses(other, mixed: true));
        losses.ShouldNotBe(Losses(single, mixed: true));
        losses.Zip(precise).ShouldAllBe(pair => Math.Abs(pair.First - pair.Second) < 2e-2 * precise[0]);

        static double[] Losses(IDevice device, bool mixed)
        {
            using Learner learner = NewLearner(device, mixed: mixed);
            using HostBatch batch = NewBatch(device, mixed);
            return [.. Enumerable.Range(0, 20).Select(_ => learner.Train(batch, 1e-3).Loss)];
        }
    }

    private static void Train(Learner learner, HostBatch batch, int from, int to)
    {
        for (int step = from; step < to; step++)
        {
            learner.Train(batch, 1e-3);
        }
    }

    private static IDevice Open(string name) => name == "reference"
        ? new ReferenceDevice()
        : new CpuDevice(2, level: Enum.Parse<SimdLevel>(name));

    private static Classifier Model(float dropout = 0) => Classifiers.Create("lstm-attention", new ClassifierOptions(Inputs, dropout));

    private static Learner NewLearner(IDevice device, float dropout = 0, bool mixed = false)
    {
        var learner = new Learner(device, Model(dropout),
            new LearnerOptions(Loss, new AdamOptions(), MixedPrecision: mixed, Seed: 42));
        Fill(learner.Parameters);
        return learner;
    }

    private static HostBatch NewBatch(IDevice device, bool half = false)
    {
        var batch = new HostBatch(device, Batch, Time * Inputs * (half ? 2 : sizeof(float))) { Count = Batch };
        float[] features = Noise(Batch * Time * Inputs, 1000, 1);
        if (half)
        {
            Array.ConvertAll(features, value => (Half)value).CopyTo(batch.Features.AsSpan<Half>(0, features.Length));
        }
        else
        {
            features.CopyTo(batch.Features.AsSpan<float>(0, features.Length));
        }

        Labels.CopyTo(batch.Labels);
        return batch;
    }

    /// <summary>The formulas of whole_model.py.</summary>
    private static void Fill(ParameterSet parameters)
    {
        parameters.Initialize(0);
        foreach ((int index, Parameter parameter) in parameters.Parameters.Index())
        {
            int count = (int)parameter.Shape.Count;
            float[] values = parameter.Name.StartsWith("bn_", StringComparison.Ordinal)
                ? Noise(count, index, 0.2, parameter.Name.EndsWith(".weight", StringComparison.Ordinal) ? 1 : 0)
                : Noise(count, index, parameter.Shape.Rank == 1 ? 0.1 : 1.5 / Math.Sqrt(parameter.Shape[1]));
            parameter.Value.Write((ReadOnlySpan<float>)values);
        }
    }

    private static float[] Noise(int count, int seed, double scale, double offset = 0) =>
        [.. Enumerable.Range(0, count).Select(i => FormulaNoise.At(i, seed, scale, offset))];

    private static void Close(double[] actual, JsonElement expected, string what) =>
        GradientCheck.RelativeError(actual, [.. expected.EnumerateArray().Select(value => value.GetDouble())])
            .ShouldBeLessThan(Tolerance, what);

    private static void MatchesSummary(double[] actual, JsonElement expected, string name)
    {
        double norm = expected.GetProperty("norm").GetDouble(), tolerance = (Tolerance * norm) + Zero;
        Math.Sqrt(actual.Sum(value => value * value)).ShouldBe(norm, tolerance, $"norm of {name}");
        actual.Select((value, i) => value * Math.Cos(i * 0.3)).Sum()
            .ShouldBe(expected.GetProperty("pattern").GetDouble(), tolerance, $"pattern of {name}");
        int stride = Math.Max(1, actual.Length / 8);
        foreach ((int i, JsonElement sample) in expected.GetProperty("samples").EnumerateArray().Index())
        {
            actual[i * stride].ShouldBe(sample.GetDouble(), tolerance, $"{name}[{i * stride}]");
        }
    }
}
