using CudaTrainer.Engine.Nn;
using CudaTrainer.Training.Learning;

namespace CudaTrainer.Training.Studies;

/// <summary>A model's parameters and running statistics in host memory.</summary>
internal sealed class WeightSnapshot
{
    private float[] _values = [];
    private float[] _buffers = [];

    public void Take(ParameterSet parameters)
    {
        _values = parameters.Values.Read<float>();
        _buffers = parameters.BufferValues.Read<float>();
    }

    /// <summary>Gives every replica what was taken.</summary>
    public void Restore(ReplicaGroup replicas)
    {
        foreach (Learner learner in replicas.Replicas)
        {
            learner.Parameters.Values.Write((ReadOnlySpan<float>)_values);
            learner.Parameters.BufferValues.Write((ReadOnlySpan<float>)_buffers);
        }
    }
}
