using CudaTrainer.Engine.Autograd;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Training.Features;

namespace CudaTrainer.Training.Learning;

/// <summary>
/// Training steps as graphs, one for each phase, place in the batch and input block. The first step of a kind is queued op by op, which
/// loads what the device needs for it; the second is captured; from then on a phase is one launch. A graph's tape is never reset while the
/// graph lives: it owns the memory that the graph computes in.
/// </summary>
internal sealed class StepGraphs(IDevice device, Func<Tape> newTape, int phases) : IDisposable
{
    private readonly Dictionary<(int Block, int First, int Count, int Total, int Capacity), Plan> _plans = [];

    public void Run(int phase, int block, HostBatch batch, Learner learner)
    {
        (int block, int First, int Count, int Total, int Capacity) key = (block, batch.First, batch.Count, batch.Total, batch.Capacity);
        if (!_plans.TryGetValue(key, out Plan? plan))
        {
            plan = new Plan(newTape(), phases);
            _plans[key] = plan;
        }

        if (!plan.HasRun)
        {
            learner.QueuePhase(phase, plan.Tape, block, batch);
            plan.HasRun = phase == phases - 1;
            return;
        }

        if (plan.Graphs[phase] is null)
        {
            Capture(phase, plan, block, batch, learner);
        }

        plan.Graphs[phase]!.Launch();
    }

    public void Dispose()
    {
        foreach (Plan plan in _plans.Values)
        {
            plan.Clear();
            plan.Tape.Dispose();
        }
    }

    // Apart from Run, so that only a capture makes the closure.
    private void Capture(int phase, Plan plan, int block, HostBatch batch, Learner learner)
    {
        if (phase == 0)
        {
            plan.Tape.Reset();
        }

        try
        {
            plan.Graphs[phase] = device.Capture(() => learner.QueuePhase(phase, plan.Tape, block, batch));
        }
        catch
        {
            // The tape has let go of the memory that the phases before were captured in.
            plan.Clear();
            throw;
        }
    }

    private sealed class Plan(Tape tape, int phases)
    {
        public Tape Tape { get; } = tape;

        public IDeviceGraph?[] Graphs { get; } = new IDeviceGraph?[phases];

        /// <summary>A step of this kind has been queued op by op.</summary>
        public bool HasRun { get; set; }

        public void Clear()
        {
            foreach (IDeviceGraph? graph in Graphs)
            {
                graph?.Dispose();
            }

            Array.Clear(Graphs);
        }
    }
}
