using System.Diagnostics;
using System.Globalization;
using CudaTrainer.Bench.Compare;
using CudaTrainer.Engine.Devices;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Kernels;
using CudaTrainer.Training.Features;
using CudaTrainer.Training.Learning;
using CudaTrainer.Training.Parallel;

namespace CudaTrainer.Bench.Scaling;

/// <summary>
/// Training steps of the default model on the replicas of one process, or on this process's replica of several; what a process of <c>bench
/// scaling</c> does.
/// </summary>
internal static class StepTimes
{
    /// <summary>Before the clock starts: code is compiled again while it runs, and threads find their processors.</summary>
    private const int WarmUp = 6;

    private const double Rate = 1e-4;

    /// <summary>
    /// Prints for each wire <c>@step WIRE SECONDS ALLREDUCES MESSAGES BYTES COMMUNICATION EXPOSED LOSS</c>, all but the loss for a step, of
    /// rank 0. The loss is the first step's.
    /// </summary>
    /// <param name="devices">Replicas in this process; 1 under mpirun.</param>
    /// <param name="threads">Of each.</param>
    /// <param name="steps">Timed.</param>
    public static void Run(int devices, int threads, int steps)
    {
        using ProcessGroup? processes = MpiWorld.IsLaunched ? ProcessGroup.Open() : null;
        if (processes is null)
        {
            Run(null, devices, threads, steps);
        }
        else
        {
            processes.Run(() =>
            {
                Run(processes, 1, threads, steps);
                return true;
            });
        }
    }

    private static void Run(ProcessGroup? processes, int devices, int threads, int steps)
    {
        float[] features = OwnStep.Features(0);
        foreach (bool half in new[] { false, true })
        {
            CpuDevice[] cpus = [.. Enumerable.Range(0, devices).Select(index => new CpuDevice(threads, index))];
            var options = new LearnerOptions(
                new LossInfo(true, 2, 0.1f, [1, 1], [0.25f, 0.25f]), new AdamOptions(), MixedPrecision: false, Seed: 42,
                    HalfOnWire: half);
            Classifier NewModel() => Classifiers.Create("lstm-attention", new ClassifierOptions(OwnStep.Inputs, 0.5f));
            using (ReplicaGroup group = processes is null ? new ReplicaGroup(cpus, NewModel, options) : new ReplicaGroup(cpus[0],
                NewModel(), options, processes.Connect(cpus[0])))
            {
                Time(group, cpus, features, half, steps);
            }

            foreach (CpuDevice cpu in cpus)
            {
                cpu.Dispose();
            }
        }
    }

    private static void Time(ReplicaGroup group, CpuDevice[] cpus, float[] features, bool half, int steps)
    {
        group.Initialize(42);
        using SplitBatch batch = NewBatch(group, cpus, features);
        double loss = Step();
        for (int i = 1; i < WarmUp; i++)
        {
            Step();
        }

        group.Check(WarmUp);
        LinkFigures before = group.Lead.Communication;
        long began = Stopwatch.GetTimestamp();
        for (int i = 0; i < steps; i++)
        {
            Step();
        }

        double seconds = Stopwatch.GetElapsedTime(began).TotalSeconds / steps;
        LinkFigures figures = group.Lead.Communication - before;
        group.Check(WarmUp + steps);
        if (group.FirstRank == 0)
        {
            Console.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"@step {(half ? "fp16" : "fp32")} {seconds:G9} {(double)figures.Calls / steps:G9} " +
                    $"{(double)figures.Messages / steps:G9} {(double)figures.Bytes / steps:G9} {figures.Seconds / steps:G9} " +
                    $"{figures.ExposedSeconds / steps:G9} {loss:G9}"));
        }

        double Step()
        {
            group.Start(batch, Rate);
            return group.Finish().Loss;
        }
    }

    /// <summary>This process's parts of one batch that is the same for every number of replicas.</summary>
    private static SplitBatch NewBatch(ReplicaGroup group, CpuDevice[] cpus, float[] features)
    {
        const int row = OwnStep.Time * OwnStep.Inputs;
        HostBatch[] parts = new HostBatch[cpus.Length];
        for (int i = 0; i < parts.Length; i++)
        {
            Shard shard = Shard.Of(OwnStep.Batch, group.FirstRank + i, group.Size);
            parts[i] = new HostBatch(cpus[i], shard.Count,
                row * sizeof(float))
            { Count = shard.Count, First = shard.First, Total = OwnStep.Batch };
            features.AsSpan(shard.First * row, shard.Count * row).CopyTo(parts[i].Features.AsSpan<float>(0, shard.Count * row));
            for (int k = 0; k < shard.Count; k++)
            {
                parts[i].Labels[k] = (shard.First + k) * 7 % 3 % 2;
            }
        }

        return new SplitBatch(parts, OwnStep.Batch) { Count = OwnStep.Batch };
    }
}
