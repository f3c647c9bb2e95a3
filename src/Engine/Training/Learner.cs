using CudaTrainer.Engine.Autograd;
using CudaTrainer.Engine.Autograd.Functions;
using CudaTrainer.Engine.Backends;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Engine.Optim;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Kernels;

namespace CudaTrainer.Engine.Training;

/// <summary>What decides a step besides the batch.</summary>
/// <param name="ClassWeights">[2], multiplied with each sample's loss by its label.</param>
/// <param name="Alpha">[2], of the focal loss.</param>
/// <param name="MixedPrecision">Dynamic loss scaling, half-precision features and saved activations.</param>
public sealed record LearnerOptions(
    LossOptions Loss, IReadOnlyList<float> ClassWeights, IReadOnlyList<float> Alpha, AdamOptions Adam, bool MixedPrecision, ulong Seed);

/// <param name="Loss">Mean over the batch, before the update.</param>
/// <param name="GradientNorm">Of all gradients, unscaled, before clipping.</param>
/// <param name="LossScale">Used in this step.</param>
/// <param name="Skipped">A gradient was not finite and nothing was updated.</param>
/// <param name="Correct">Clips whose class was right.</param>
public readonly record struct StepOutcome(double Loss, double GradientNorm, double LossScale, bool Skipped, int Correct);

/// <summary>One replica of a model on a device with all that a training step needs: parameters, optimiser, step state and tape.</summary>
public sealed class Learner : IDisposable
{
    private readonly IDevice _device;
    private readonly Tape _tape;
    private readonly Tensor _classWeights;
    private readonly Tensor _alpha;
    private readonly Tensor _buffersBefore;
    private readonly LearnerOptions _options;
    private float[] _probabilities = [];

    public Learner(IDevice device, Classifier model, LearnerOptions options)
    {
        _device = device;
        _options = options;
        Model = model;
        Parameters = new ParameterSet(device, model);
        State = new StepStateTensor(device, options.MixedPrecision ? StepStateTensor.InitialLossScale : 1);
        Optimizer = new Adam(Parameters, State, options.Adam, options.MixedPrecision);
        _tape = new Tape(device) { State = State.Tensor, DropoutSeed = options.Seed };
        _classWeights = Tensor.From(device, [options.ClassWeights.Count], [.. options.ClassWeights], name: "class weights");
        _alpha = Tensor.From(device, [options.Alpha.Count], [.. options.Alpha], name: "alpha");
        _buffersBefore = Tensor.Zeros(device, Parameters.BufferValues.Shape);
    }

    public Classifier Model { get; }

    public ParameterSet Parameters { get; }

    public Adam Optimizer { get; }

    public StepStateTensor State { get; }

    /// <summary>The type in which batches are wanted.</summary>
    public DType FeatureType => _options.MixedPrecision ? DType.Float16 : DType.Float32;

    /// <summary>Forward, backward and update with one batch.</summary>
    public StepOutcome Train(HostBatch batch, double learningRate)
    {
        _tape.Training = true;
        Parameters.ClearGradients();
        _buffersBefore.CopyFrom(Parameters.BufferValues);
        double scale = State.Begin((float)learningRate);
        ClassifierOutput output = Forward(batch);
        var (_, probabilities) = Loss(output.Logits, batch);
        _tape.Backward();
        Optimizer.Step();
        StepState after = State.Read();
        bool skipped = after.FoundNonFinite != 0;
        if (skipped)
        {
            // The forward pass of a bad batch has moved the running statistics, perhaps to NaN.
            Parameters.BufferValues.CopyFrom(_buffersBefore);
        }

        int correct = CountCorrect(ToHost(probabilities), batch.Labels);
        _tape.Reset();
        return new StepOutcome(after.Loss, after.GradientNorm, scale, skipped, correct);
    }

    /// <summary>Forward only, with running statistics and no dropout.</summary>
    /// <param name="losses">[Count], each clip's weighted loss.</param>
    /// <param name="scores">[Count], p(violent).</param>
    /// <param name="attention">[Count, T] where the model has attention and the caller wants it, else empty.</param>
    public void Evaluate(HostBatch batch, Span<float> losses, Span<double> scores, Span<float> attention = default)
    {
        _tape.Training = false;
        ClassifierOutput output = Forward(batch);
        var (loss, probabilities) = Loss(output.Logits, batch);
        loss.Download(losses);
        ReadOnlySpan<float> p = ToHost(probabilities);
        for (int i = 0; i < batch.Count; i++)
        {
            scores[i] = p[(i * Classifier.Classes) + 1];
        }

        if (!attention.IsEmpty)
        {
            output.Attention?.Download(attention);
        }

        _tape.Reset();
    }

    public void Dispose()
    {
        _tape.Dispose();
        Optimizer.Dispose();
        State.Dispose();
        Parameters.Dispose();
        _classWeights.Dispose();
        _alpha.Dispose();
        _buffersBefore.Dispose();
    }

    private ClassifierOutput Forward(HostBatch batch)
    {
        int dimension = Model.Options.Inputs;
        int frames = checked((int)(batch.Features.Bytes / (batch.Labels.Length * (long)dimension * FeatureType.Size())));
        Shape shape = [batch.Count, frames, dimension];
        if (_device.SharesHostMemory)
        {
            return Model.Forward(_tape, _tape.Over(batch.Features.Pointer, shape, FeatureType, "features"));
        }

        Tensor features = _tape.Allocate(shape, FeatureType, "features");
        _device.Wait(_device.UploadAsync(batch.Features, features.Bytes, features.Data));
        return Model.Forward(_tape, features);
    }

    private (Tensor Losses, Tensor Probabilities) Loss(Tensor logits, HostBatch batch)
    {
        Tensor labels = _tape.Allocate([batch.Count], DType.Int32, "labels");
        _device.Upload(System.Runtime.InteropServices.MemoryMarshal.AsBytes(batch.Labels.AsSpan(0, batch.Count)), labels.Data);
        return SoftmaxFocalLossFunction.Apply(_tape, logits, labels, _classWeights, _alpha, 1f / batch.Count, _options.Loss);
    }

    /// <summary>[batch, classes] in memory that the next batch uses again.</summary>
    private ReadOnlySpan<float> ToHost(Tensor probabilities)
    {
        int count = (int)probabilities.Count;
        if (_probabilities.Length < count)
        {
            _probabilities = new float[count];
        }

        probabilities.Download(_probabilities.AsSpan(0, count));
        return _probabilities.AsSpan(0, count);
    }

    private static int CountCorrect(ReadOnlySpan<float> probabilities, ReadOnlySpan<int> labels)
    {
        int correct = 0;
        for (int i = 0; i < probabilities.Length / Classifier.Classes; i++)
        {
            correct += (probabilities[(i * Classifier.Classes) + 1] >= 0.5f ? 1 : 0) == labels[i] ? 1 : 0;
        }

        return correct;
    }
}
