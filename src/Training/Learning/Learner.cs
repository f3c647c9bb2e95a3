using CudaTrainer.Engine.Autograd;
using CudaTrainer.Engine.Devices;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Engine.Ops;
using CudaTrainer.Engine.Optim;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Engine.Tracing;
using CudaTrainer.Kernels;
using CudaTrainer.Training.Features;
using CudaTrainer.Training.Parallel;

namespace CudaTrainer.Training.Learning;

/// <summary>What decides a step besides the batch.</summary>
/// <param name="MixedPrecision">Dynamic loss scaling, half-precision features and saved activations, and half-precision maths on devices
/// that compute in it.</param>
/// <param name="FuseStep">Captures the step as graphs on devices that can.</param>
/// <param name="HalfOnWire">Replicas exchange gradients in half precision.</param>
/// <param name="SyncBatchNorm">Batch statistics are those of all replicas' samples.</param>
internal sealed record LearnerOptions(
    LossInfo Loss, AdamOptions Adam, bool MixedPrecision, ulong Seed, bool FuseStep = true, bool HalfOnWire = false,
    bool SyncBatchNorm = false);

/// <param name="After">The device's step state when the step had ended.</param>
internal readonly record struct StepOutcome(StepState After)
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

    /// <summary>Some replica was asked to stop after this step.</summary>
    public bool StopRequested => After.StopRequests > 0;
}

/// <summary>
/// One replica of a model on a device with all that a training step needs: parameters, optimiser, step state and tape. A step is queued as
/// a whole, without waiting for the device; <see cref="Finish"/> waits. Where there are other replicas, a step runs in phases: forward and
/// backward down to where a piece of the gradients is complete, which then is added up beside the next phase, and so on; the last phase
/// updates the parameters.
/// </summary>
internal sealed class Learner : IDisposable
{
    private readonly IDevice _device;
    private readonly Tape _tape;
    private readonly Tensor _classWeights;
    private readonly Tensor _alpha;
    private readonly Tensor _buffersBefore;
    private readonly HostBuffer _controls;
    private readonly Tensor _controlsTensor;
    private readonly IReplicaLink? _link;
    private readonly GradientBuckets? _buckets;
    private readonly LearnerOptions _options;
    private readonly DeviceInputs _inputs;
    private readonly StepGraphs? _graphs;
    private readonly ThreadChoice? _threads;
    private float[] _probabilities = [];
    private bool _isInStep;

    /// <param name="device">Where it computes.</param>
    /// <param name="model">Has no memory yet.</param>
    /// <param name="link">The way to the other replicas; null without any. The learner disposes it.</param>
    public Learner(IDevice device, Classifier model, LearnerOptions options, IReplicaLink? link = null)
    {
        _link = link;
        _device = device;
        _options = options;
        Model = model;
        bool half = options.MixedPrecision && device.ComputesInHalf;
        Parameters = new ParameterSet(device, model, halfCopies: half);
        State = new StepStateTensor(device, options.MixedPrecision ? StepStateTensor.InitialLossScale : 1);
        Optimizer = new Adam(Parameters, State, options.Adam, options.MixedPrecision);
        _tape = NewTape();
        _classWeights = Tensor.From(device, [options.Loss.ClassWeights.Count], [.. options.Loss.ClassWeights], name: "class weights");
        _alpha = Tensor.From(device, [options.Loss.Alpha.Count], [.. options.Loss.Alpha], name: "alpha");
        _buffersBefore = Tensor.Zeros(device, Parameters.BufferValues.Shape, name: "buffers before the step");
        _controls = device.AllocateHost(2 * sizeof(float));
        _controlsTensor = Tensor.Over(device, _controls, [2], DType.Float32, "controls");
        _buckets = link is null ? null : new GradientBuckets(Parameters, tailApart: options.HalfOnWire);
        _inputs = new DeviceInputs(device, FeatureType, model.Options.Inputs);
        _threads = device is CpuDevice cpu && link is null ? new ThreadChoice(cpu.Team) : null;
        _graphs = options.FuseStep && device.CapturesGraphs && !(options.SyncBatchNorm && link is not null)
            ? new StepGraphs(device, NewTape, Phases)
            : null;

        Tape NewTape() => new(device) { State = State.Tensor, DropoutSeed = options.Seed, ActivationType = half ? DType.Float16 : null };
    }

    public Classifier Model { get; }

    public IDevice Device => _device;

    /// <summary>What communicating has come to; zeros without other replicas.</summary>
    public LinkFigures Communication => _link?.Figures ?? default;

    public ParameterSet Parameters { get; }

    public Adam Optimizer { get; }

    public StepStateTensor State { get; }

    /// <summary>The type in which batches are wanted.</summary>
    public DType FeatureType => _options.MixedPrecision ? DType.Float16 : DType.Float32;

    /// <summary>Whether <see cref="Prefetch"/> saves time.</summary>
    public bool Prefetches => !_device.SharesHostMemory;

    /// <summary>Times the parts of the steps that follow, which then are queued op by op; null = nobody asks.</summary>
    public LapClock? Laps { get; set; }

    /// <summary>Parts of a step between which gradients are added up.</summary>
    private int Phases => _buckets is null ? 1 : _buckets.Count + 1;

    /// <summary>Forward, backward and update with one batch.</summary>
    public StepOutcome Train(HostBatch batch, double learningRate)
    {
        Start(batch, learningRate);
        return Finish();
    }

    /// <summary>Queues a step. The batch stays unchanged until <see cref="Finish"/> has returned.</summary>
    /// <param name="stop">This replica was asked to stop after the step, which its outcome then tells all replicas.</param>
    public void Start(HostBatch batch, double learningRate, bool stop = false)
    {
        _isInStep = true;
        Span<float> controls = _controls.AsSpan<float>(0, 2);
        controls[0] = (float)learningRate;
        controls[1] = stop ? 1 : 0;
        Laps?.Begin();
        _threads?.Begin();
        int block = _inputs.Take(batch);
        if (!_device.SharesHostMemory)
        {
            Laps?.Lap("waiting for the copy", SpanKind.Copy);
        }

        for (int phase = 0; phase < Phases; phase++)
        {
            if (_graphs is not null && Laps is null)
            {
                _graphs.Run(phase, block, batch, this);
            }
            else
            {
                QueuePhase(phase, _tape, block, batch);
            }

            if (_buckets is not null && phase < _buckets.Count)
            {
                AddUp(phase);
            }
        }

        _threads?.End();
        _inputs.Release(block);
    }

    /// <summary>
    /// Begins to copy the batch of the next step to the device while this step runs. The batch stays unchanged until its own step has
    /// finished.
    /// </summary>
    public void Prefetch(HostBatch batch) => _inputs.Prefetch(batch);

    /// <summary>Waits for the step that was started.</summary>
    public StepOutcome Finish()
    {
        var outcome = new StepOutcome(State.Read());
        Laps?.Collect();
        _link?.Confirm();
        _isInStep = false;
        _tape.Reset();
        return outcome;
    }

    /// <summary>
    /// Takes a step back that could not be ended because another replica was lost: on the host, where gradients are added up before
    /// anything is updated, only the running statistics have moved. On a GPU the update may have been queued behind the failure.
    /// </summary>
    /// <returns>Whether this replica is as it was before the step.</returns>
    public bool TryTakeBack()
    {
        if (!_device.SharesHostMemory)
        {
            return !_isInStep;
        }

        if (_isInStep)
        {
            Parameters.BufferValues.CopyFrom(_buffersBefore);
            _tape.Reset();
            _isInStep = false;
        }

        return true;
    }

    /// <summary>Forward only, with running statistics and no dropout.</summary>
    /// <param name="losses">[Count], each clip's weighted loss.</param>
    /// <param name="scores">[Count], the probability of class 1 of two; or [Count, classes], that of each.</param>
    /// <param name="attention">[Count, T] where the model has attention and the caller wants it, else empty.</param>
    public void Evaluate(HostBatch batch, Span<float> losses, Span<float> scores, Span<float> attention = default)
    {
        int block = _inputs.Take(batch);
        _tape.Training = false;
        _tape.Laps = null;
        try
        {
            (Tensor features, Tensor labels) = _inputs.TensorsOf(_tape, block, batch);
            ClassifierOutput output = Model.Forward(_tape, features);
            (Tensor loss, Tensor probabilities) = Loss(_tape, output.Logits, labels, batch.Count);
            _inputs.Release(block);
            loss.Download(losses);
            ReadOnlySpan<float> p = ToHost(probabilities);
            if (scores.Length == p.Length)
            {
                p.CopyTo(scores);
            }
            else
            {
                for (int i = 0; i < batch.Count; i++)
                {
                    scores[i] = p[(i * Classifier.Classes) + 1];
                }
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

    /// <summary>As <see cref="Evaluate"/>, with dropout: one answer of many.</summary>
    /// <param name="key">Of the masks: the same key gives the same answer.</param>
    internal void EvaluateWithDropout(HostBatch batch, ulong key, Span<float> losses, Span<float> scores)
    {
        _tape.DropsOut = true;
        _tape.DropoutSeed = key;
        _tape.FirstSample = 0;
        try
        {
            Evaluate(batch, losses, scores);
        }
        finally
        {
            _tape.DropsOut = false;
            _tape.DropoutSeed = _options.Seed;
        }
    }

    /// <summary>Forward only as <see cref="Evaluate"/>, for what an observer sees of it.</summary>
    internal void Observe(HostBatch batch, IBatchNormObserver observer)
    {
        int block = _inputs.Take(batch);
        _tape.Training = false;
        _tape.BatchNormObserver = observer;
        try
        {
            Model.Forward(_tape, _inputs.TensorsOf(_tape, block, batch).Features);
            _device.Synchronize();
            _inputs.Release(block);
        }
        finally
        {
            _tape.BatchNormObserver = null;
            _tape.Reset();
        }
    }

    public void Dispose()
    {
        _graphs?.Dispose();
        _tape.Dispose();
        _inputs.Dispose();
        _controls.Dispose();
        _link?.Dispose();
        Optimizer.Dispose();
        State.Dispose();
        Parameters.Dispose();
        _classWeights.Dispose();
        _alpha.Dispose();
        _buffersBefore.Dispose();
    }

    /// <summary>
    /// Queues a part of forward, backward and update. Neither waits for the device nor reads anything that changes from step to step but
    /// through the device's memory.
    /// </summary>
    internal void QueuePhase(int phase, Tape tape, int block, HostBatch batch)
    {
        try
        {
            if (phase == 0)
            {
                QueueForward(tape, block, batch);
            }

            if (_buckets is null)
            {
                tape.ContinueBackward(0);
            }
            else if (phase < _buckets.Count)
            {
                tape.ContinueBackward(_buckets.CompletedBy(phase, tape));
            }

            if (phase == Phases - 1)
            {
                QueueUpdate();
            }
        }
        catch
        {
            tape.Reset();
            throw;
        }
    }

    private void QueueForward(Tape tape, int block, HostBatch batch)
    {
        tape.Training = true;
        tape.Laps = Laps;
        tape.FirstSample = batch.First;
        tape.Statistics = _link is not null && _options.SyncBatchNorm ? new LinkStatistics(_link, batch.Total) : null;
        _device.Ops.BeginStep(State.Tensor, _controlsTensor);
        Parameters.ClearGradients();
        _buffersBefore.CopyFrom(Parameters.BufferValues);
        Laps?.Lap("clear gradients", SpanKind.Update);
        if (batch.Count > 0)
        {
            (Tensor features, Tensor labels) = _inputs.TensorsOf(tape, block, batch);
            Loss(tape, Model.Forward(tape, features).Logits, labels, batch.Total);
            Laps?.Lap("loss");
        }

        if (_link is not null)
        {
            _device.Ops.WriteShared(State.Tensor, Parameters.BufferValues, Parameters.SharedTail, (float)batch.Count / batch.Total);
        }

        tape.BeginBackward();
    }

    /// <summary>
    /// Adds up what this phase has completed. The first pieces bring the rest of the step's numbers along, since these never travel in half
    /// precision.
    /// </summary>
    private void AddUp(int phase)
    {
        if (phase == 0 && _buckets!.TailApart)
        {
            _link!.AllReduce(Parameters.SharedTail, halfOnWire: false);
        }

        _link!.AllReduce(_buckets!.Piece(phase), _options.HalfOnWire);
        if (phase == _buckets.Count - 1)
        {
            _link.Join();
        }

        Laps?.Lap("all-reduce", SpanKind.Exchange);
    }

    private void QueueUpdate()
    {
        if (_link is not null)
        {
            _device.Ops.ReadShared(Parameters.SharedTail, State.Tensor, Parameters.BufferValues);
        }

        Optimizer.Step();

        // The forward pass of a bad batch has moved the running statistics, perhaps to NaN.
        _device.Ops.RestoreIfSkipped(Parameters.BufferValues, _buffersBefore, State.Tensor);
        Laps?.Lap("optimiser", SpanKind.Update);
    }

    /// <param name="samples">Of which the loss is the mean.</param>
    private (Tensor Losses, Tensor Probabilities) Loss(Tape tape, Tensor logits, Tensor labels, int samples) =>
        SoftmaxFocalLossFunction.Apply(tape, logits, labels, _classWeights, _alpha, 1f / samples, _options.Loss.Options);

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
