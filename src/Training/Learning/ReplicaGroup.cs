using System.Runtime.InteropServices;
using System.Security.Cryptography;
using CudaTrainer.Engine;
using CudaTrainer.Engine.Devices;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Training.Features;
using CudaTrainer.Training.Parallel;

namespace CudaTrainer.Training.Learning;

/// <summary>
/// The replicas of a model that this process trains, one for each device, each on a thread of its own. They begin with the same weights,
/// have a shard of every batch each, and add up their gradients, so that they stay bit-identical. Losses are means over the whole batch:
/// the number of replicas changes nothing but the rounding and, unless batch statistics are synchronised, what batch normalisation sees.
/// </summary>
internal sealed class ReplicaGroup : IDisposable
{
    private readonly Learner[] _learners;
    private readonly IReplicaLink[] _links;
    private readonly ReplicaThreads? _threads;
    private readonly float[][] _losses;
    private readonly float[][] _scores;
    private readonly float[][] _attention;
    private readonly bool _owns;
    private readonly Action<int> _start;
    private readonly Action<int> _evaluate;
    private bool _isDisposed;
    private SplitBatch? _batch;
    private double _learningRate;
    private bool _stop;
    private int _attentionFrames;
    private int _scoreWidth;

    /// <summary>One replica on each of these devices and no others.</summary>
    /// <param name="newModel">Makes a model without memory.</param>
    public ReplicaGroup(IReadOnlyList<IDevice> devices, Func<Classifier> newModel, LearnerOptions options)
        : this(devices, newModel, options, Connect(devices))
    {
    }

    /// <summary>One replica of several processes'.</summary>
    /// <param name="link">The way to the others; the group disposes it.</param>
    public ReplicaGroup(IDevice device, Classifier model, LearnerOptions options, IReplicaLink link)
        : this([device], () => model, options, [link])
    {
    }

    private ReplicaGroup(IReadOnlyList<IDevice> devices, Func<Classifier> newModel, LearnerOptions options, IReplicaLink[] links)
        : this([.. devices.Select((device, i) => new Learner(device, newModel(), options, links.Length > 0 ? links[i] : null))], links,
            owns: true)
    {
    }

    private ReplicaGroup(Learner[] learners, IReplicaLink[] links, bool owns)
    {
        _learners = learners;
        _links = links;
        _owns = owns;
        _threads = learners.Length > 1 ? new ReplicaThreads(learners.Length, rank => _links[rank].Abort()) : null;
        _losses = [.. learners.Select(_ => Array.Empty<float>())];
        _scores = [.. learners.Select(_ => Array.Empty<float>())];
        _attention = [.. learners.Select(_ => Array.Empty<float>())];
        _start = rank => _learners[rank].Start(_batch!.Parts[rank], _learningRate, _stop);
        _evaluate = EvaluatePart;
    }

    /// <summary>The replica that checkpoints are written from.</summary>
    public Learner Lead => _learners[0];

    /// <summary>Those of this process.</summary>
    public IReadOnlyList<Learner> Replicas => _learners;

    /// <summary>Number of this process's first replica.</summary>
    public int FirstRank => _links.Length > 0 ? _links[0].Rank : 0;

    /// <summary>Replicas of all processes.</summary>
    public int Size => _links.Length > 0 ? _links[0].Size : 1;

    public bool SpansProcesses => Size > _learners.Length;

    /// <summary>How gradients travel, for a person; null with one replica.</summary>
    public string? Communication => _links.Length > 0 ? _links[0].Description : null;

    /// <summary>A learner that somebody else owns.</summary>
    public static ReplicaGroup Of(Learner learner) => new([learner], [], owns: false);

    /// <summary>A loader of this process's shards.</summary>
    internal BatchLoader NewLoader(IFeatureRows rows, int batchSize, FeatureScaler? scaler, FeatureAugmentation? augmentation = null) =>
        new([.. _learners.Select(learner => learner.Device)], rows, batchSize, Lead.FeatureType == DType.Float16, scaler, augmentation,
            FirstRank, Size);

    /// <summary>Sets the parameters and buffers of every replica to the same initial values.</summary>
    public void Initialize(ulong seed)
    {
        foreach (Learner learner in _learners)
        {
            learner.Parameters.Initialize(seed);
        }
    }

    /// <summary>Queues a step on every replica. The batch stays unchanged until <see cref="Finish"/> has returned.</summary>
    /// <param name="stop">This process was asked to stop after the step, which its outcome then tells all.</param>
    public void Start(SplitBatch batch, double learningRate, bool stop = false)
    {
        _batch = batch;
        _learningRate = learningRate;
        _stop = stop;
        Run(_start);
    }

    /// <summary>Whether <see cref="Prefetch"/> saves time.</summary>
    public bool Prefetches => Lead.Prefetches;

    /// <summary>Begins to copy the batch of the next step to the devices while this step runs.</summary>
    public void Prefetch(SplitBatch batch)
    {
        for (int i = 0; i < _learners.Length; i++)
        {
            _learners[i].Prefetch(batch.Parts[i]);
        }
    }

    /// <summary>Waits for the step that was started.</summary>
    /// <returns>The outcome for the whole batch, the same on every replica.</returns>
    public StepOutcome Finish()
    {
        StepOutcome outcome = Lead.Finish();
        foreach (Learner learner in _learners.AsSpan(1))
        {
            learner.Finish();
        }

        return outcome;
    }

    /// <summary>
    /// Forward only. Each replica answers for its shard; the answers for those of other processes stay as they are until
    /// <see cref="AddUp"/>.
    /// </summary>
    /// <param name="losses">[Count], each clip's weighted loss.</param>
    /// <param name="scores">As of <see cref="Learner.Evaluate"/>.</param>
    /// <param name="attention">[Count, T] where the model has attention and the caller wants it, else empty.</param>
    public void Evaluate(SplitBatch batch, Span<float> losses, Span<float> scores, Span<float> attention = default)
    {
        _batch = batch;
        _attentionFrames = attention.Length / batch.Count;
        _scoreWidth = scores.Length / batch.Count;
        Run(_evaluate);
        for (int i = 0; i < _learners.Length; i++)
        {
            HostBatch part = batch.Parts[i];
            _losses[i].AsSpan(0, part.Count).CopyTo(losses[part.First..]);
            _scores[i].AsSpan(0, part.Count * _scoreWidth).CopyTo(scores[(part.First * _scoreWidth)..]);
            _attention[i].AsSpan(0, part.Count * _attentionFrames).CopyTo(attention[(part.First * _attentionFrames)..]);
        }
    }

    /// <summary>values = Σ over the processes.</summary>
    public void AddUp(Span<float> values)
    {
        if (!SpansProcesses)
        {
            return;
        }

        using Tensor sums = Tensor.From(Lead.Device, [values.Length], (ReadOnlySpan<float>)values, name: "answers");
        _links[0].AllReduce(sums, halfOnWire: false);
        _links[0].Join();
        sums.Download(values);
        _links[0].Confirm();
    }

    /// <summary>Compares the replicas' parameters and running statistics bit by bit.</summary>
    /// <param name="step">For the message.</param>
    /// <exception cref="RunException">They differ.</exception>
    public void Check(long step)
    {
        byte[] hashes = [.. _learners.SelectMany(Hash)];
        if (SpansProcesses)
        {
            hashes = _links[0].AllGatherHost(hashes);
        }

        ReadOnlySpan<byte> first = hashes.AsSpan(0, SHA256.HashSizeInBytes);
        for (int rank = 1; rank < Size; rank++)
        {
            if (!hashes.AsSpan(rank * SHA256.HashSizeInBytes, SHA256.HashSizeInBytes).SequenceEqual(first))
            {
                throw new RunException(
                    $"After step {step} replica {rank} is not the same as replica 0.",
                    "Gradients were corrupted on their way, or a device computes wrongly: check the hardware (docs/scaling.md), or " +
                        "train on one device. The last checkpoint may hold damage from before.");
            }
        }
    }

    public void Dispose()
    {
        if (_isDisposed)
        {
            return;
        }

        _isDisposed = true;
        _threads?.Dispose();
        if (_owns)
        {
            foreach (Learner learner in _learners)
            {
                learner.Dispose();
            }
        }
    }

    private static IReplicaLink[] Connect(IReadOnlyList<IDevice> devices)
    {
        if (devices.Count == 1)
        {
            return [];
        }

        return devices.All(device => device.SharesHostMemory)
            ? HostLink.Connect(devices)
            : CudaRing.Connect([
                .. devices.Select(device => device as CudaDevice ?? throw new ArgumentException(
                "Replicas are all on CUDA devices or all on the host.", nameof(devices)))]);
    }

    private static byte[] Hash(Learner learner)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(MemoryMarshal.AsBytes<float>(learner.Parameters.Values.Read<float>()));
        hash.AppendData(MemoryMarshal.AsBytes<float>(learner.Parameters.BufferValues.Read<float>()));
        return hash.GetHashAndReset();
    }

    private void Run(Action<int> work)
    {
        if (_threads is not null)
        {
            _threads.Run(work);
        }
        else
        {
            work(0);
        }
    }

    private void EvaluatePart(int index)
    {
        HostBatch part = _batch!.Parts[index];
        if (part.Count == 0)
        {
            return;
        }

        if (_losses[index].Length < part.Capacity)
        {
            _losses[index] = new float[part.Capacity];
        }

        int numbers = part.Count * _scoreWidth;
        if (_scores[index].Length < numbers)
        {
            _scores[index] = new float[part.Capacity * _scoreWidth];
        }

        int weights = part.Count * _attentionFrames;
        if (_attention[index].Length < weights)
        {
            _attention[index] = new float[part.Capacity * _attentionFrames];
        }

        _learners[index].Evaluate(part, _losses[index].AsSpan(0, part.Count), _scores[index].AsSpan(0, numbers),
            _attention[index].AsSpan(0, weights));
    }
}
