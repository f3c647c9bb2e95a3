using CudaTrainer.Engine.Autograd;
using CudaTrainer.Engine.Backends;

namespace CudaTrainer.Engine.Training;

/// <summary>
/// Training steps as graphs, one for each batch size and input block. The first step of a kind is queued op by op, which loads what the device needs for it; the second is captured; from
/// then on a step is one launch. A graph's tape is never reset while the graph lives: it owns the memory that the graph computes in.
/// </summary>
internal sealed class StepGraphs(IDevice device, Func<Tape> newTape) : IDisposable
{
    private readonly Dictionary<(int Block, int Count, int Capacity), Plan> _plans = [];

    public void Run(int block, HostBatch batch, Learner learner)
    {
        var key = (block, batch.Count, batch.Capacity);
        if (!_plans.TryGetValue(key, out Plan? plan))
        {
            plan = new Plan(newTape());
            learner.QueueStep(plan.Tape, block, batch);
            _plans[key] = plan;
            return;
        }

        plan.Graph ??= Capture(plan.Tape, block, batch, learner);
        plan.Graph.Launch();
    }

    public void Dispose()
    {
        foreach (Plan plan in _plans.Values)
        {
            plan.Graph?.Dispose();
            plan.Tape.Dispose();
        }
    }

    // Apart from Run, so that only a capture makes the closure.
    private IDeviceGraph Capture(Tape tape, int block, HostBatch batch, Learner learner)
    {
        tape.Reset();
        return device.Capture(() => learner.QueueStep(tape, block, batch));
    }

    private sealed class Plan(Tape tape)
    {
        public Tape Tape { get; } = tape;

        public IDeviceGraph? Graph { get; set; }
    }
}
