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
/// <param name="MixedPrecision">Dynamic loss scaling, half-precision features and saved activations, and half-precision maths on devices that compute in it.</param>
/// <param name="FuseStep">Captures the step as one graph on devices that can.</param>
public sealed record LearnerOptions(
    LossOptions Loss, IReadOnlyList<float> ClassWeights, IReadOnlyList<float> Alpha, AdamOptions Adam, bool MixedPrecision, ulong Seed, bool FuseStep = true);

/// <param name="After">The device's step state when the step had ended.</param>
public readonly record struct StepOutcome(StepState After)
{
    /// <summary>Mean over the batch, before the update.</summary>
    public double Loss => After.Loss;

    /// <summary>Of all gradients, unscaled, before clipping.</summary>
    public double GradientNorm => After.GradientNorm;

    /// <summary>Used in this step.</summary>
    public double LossScale => After.StepLossScale;

    /// <summary>A gradient was not finite and nothing was updated.</summary>
    public bool Skipped => After.FoundNonFinite != 0;

    /// <summary>Clips whose class was right.</summary>
    public int Correct => After.Correct;
}

/// <summary>
/// One replica of a model on a device with all that a training step needs: parameters, optimiser, step state and tape. A step is queued as a whole, without waiting for the device;
/// <see cref="Finish"/> waits.
/// </summary>
public sealed class Learner : IDisposable
{
    private readonly IDevice _device;
    private readonly Tape _tape;
    private readonly Tensor _classWeights;
    private readonly Tensor _alpha;
    private readonly Tensor _buffersBefore;
    private readonly HostBuffer _learningRate;
    private readonly Tensor _learningRateTensor;
    private readonly LearnerOptions _options;
    private readonly DeviceInputs _inputs;
    private readonly StepGraphs? _graphs;
    private float[] _probabilities = [];

    public Learner(IDevice device, Classifier model, LearnerOptions options)
    {
        _device = device;
        _options = options;
        Model = model;
        bool half = options.MixedPrecision && device.ComputesInHalf;
        Parameters = new ParameterSet(device, model, halfCopies: half);
        State = new StepStateTensor(device, options.MixedPrecision ? StepStateTensor.InitialLossScale : 1);
        Optimizer = new Adam(Parameters, State, options.Adam, options.MixedPrecision);
        _tape = NewTape();
        _classWeights = Tensor.From(device, [options.ClassWeights.Count], [.. options.ClassWeights], name: "class weights");
        _alpha = Tensor.From(device, [options.Alpha.Count], [.. options.Alpha], name: "alpha");
        _buffersBefore = Tensor.Zeros(device, Parameters.BufferValues.Shape, name: "buffers before the step");
        _learningRate = device.AllocateHost(sizeof(float));
        _learningRateTensor = Tensor.Over(device, _learningRate, [1], DType.Float32, "learning rate");
        _inputs = new DeviceInputs(device, FeatureType, model.Options.Inputs);
        _graphs = options.FuseStep && device.CapturesGraphs ? new StepGraphs(device, NewTape) : null;

        Tape NewTape() => new(device) { State = State.Tensor, DropoutSeed = options.Seed, ActivationType = half ? DType.Float16 : null };
    }

    public Classifier Model { get; }

    public ParameterSet Parameters { get; }

    public Adam Optimizer { get; }

    public StepStateTensor State { get; }

    /// <summary>The type in which batches are wanted.</summary>
    public DType FeatureType => _options.MixedPrecision ? DType.Float16 : DType.Float32;

    /// <summary>Whether <see cref="Prefetch"/> saves time.</summary>
    public bool Prefetches => !_device.SharesHostMemory;

    /// <summary>Forward, backward and update with one batch.</summary>
    public StepOutcome Train(HostBatch batch, double learningRate)
    {
        Start(batch, learningRate);
        return Finish();
    }

    /// <summary>Queues a step. The batch stays unchanged until <see cref="Finish"/> has returned.</summary>
    public void Start(HostBatch batch, double learningRate)
    {
        _learningRate.AsSpan<float>(0, 1)[0] = (float)learningRate;
        int block = _inputs.Take(batch);
        if (_graphs is not null)
        {
            _graphs.Run(block, batch, this);
        }
        else
        {
            QueueStep(_tape, block, batch);
        }

        _inputs.Release(block);
    }

    /// <summary>Begins to copy the batch of the next step to the device while this step runs. The batch stays unchanged until its own step has finished.</summary>
    public void Prefetch(HostBatch batch) => _inputs.Prefetch(batch);

    /// <summary>Waits for the step that was started.</summary>
    public StepOutcome Finish()
    {
        var outcome = new StepOutcome(State.Read());
        _tape.Reset();
        return outcome;
    }

    /// <summary>Forward only, with running statistics and no dropout.</summary>
    /// <param name="losses">[Count], each clip's weighted loss.</param>
    /// <param name="scores">[Count], p(violent).</param>
    /// <param name="attention">[Count, T] where the model has attention and the caller wants it, else empty.</param>
    public void Evaluate(HostBatch batch, Span<float> losses, Span<double> scores, Span<float> attention = default)
    {
        int block = _inputs.Take(batch);
        _tape.Training = false;
        try
        {
            (Tensor features, Tensor labels) = _inputs.View(_tape, block, batch);
            ClassifierOutput output = Model.Forward(_tape, features);
            var (loss, probabilities) = Loss(_tape, output.Logits, labels);
            _inputs.Release(block);
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
        }
        finally
        {
            _tape.Reset();
        }
    }

    public void Dispose()
    {
        _graphs?.Dispose();
        _tape.Dispose();
        _inputs.Dispose();
        _learningRate.Dispose();
        Optimizer.Dispose();
        State.Dispose();
        Parameters.Dispose();
        _classWeights.Dispose();
        _alpha.Dispose();
        _buffersBefore.Dispose();
    }

    /// <summary>Queues forward, backward and update. Neither waits nor reads anything that changes from step to step but through the device's memory.</summary>
    internal void QueueStep(Tape tape, int block, HostBatch batch)
    {
        try
        {
            tape.Training = true;
            _device.Ops.BeginStep(State.Tensor, _learningRateTensor);
            Parameters.ClearGradients();
            _buffersBefore.CopyFrom(Parameters.BufferValues);
            (Tensor features, Tensor labels) = _inputs.View(tape, block, batch);
            Loss(tape, Model.Forward(tape, features).Logits, labels);
            tape.Backward();
            Optimizer.Step();

            // The forward pass of a bad batch has moved the running statistics, perhaps to NaN.
            _device.Ops.RestoreIfSkipped(Parameters.BufferValues, _buffersBefore, State.Tensor);
        }
        catch
        {
            tape.Reset();
            throw;
        }
    }

    private (Tensor Losses, Tensor Probabilities) Loss(Tape tape, Tensor logits, Tensor labels) =>
        SoftmaxFocalLossFunction.Apply(tape, logits, labels, _classWeights, _alpha, 1f / labels.Count, _options.Loss);

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
}
