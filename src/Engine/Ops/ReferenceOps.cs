using CudaTrainer.Engine.Devices;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Kernels;

namespace CudaTrainer.Engine.Ops;

/// <summary>The ops of <see cref="ReferenceDevice"/>, written to be read: each loads its inputs as doubles, loops, and stores.</summary>
internal sealed unsafe partial class ReferenceOps : IOps
{
    private static double[] Load(Tensor tensor) => tensor.ToDoubles();

    private static void Store(Tensor tensor, double[] values) => tensor.Write(values);

    private static void Add(Tensor tensor, double[] values)
    {
        double[] sum = Load(tensor);
        for (int i = 0; i < sum.Length; i++)
        {
            sum[i] += values[i];
        }

        Store(tensor, sum);
    }

    private static ref StepState State(Tensor state) => ref *(StepState*)state.Data;

    /// <summary>What dropout multiplies element <paramref name="index"/> by: 0 or 1/(1−p).</summary>
    private static double DropoutFactor(in LayerDropout dropout, long index)
    {
        if (!dropout.Enabled)
        {
            return 1;
        }

        int step = dropout.State is null ? 0 : State(dropout.State).Step;
        float uniform = Philox.Uniform(dropout.Seed, dropout.Subsequence(step), dropout.First + index);
        return uniform >= dropout.Probability ? 1 / (1 - (double)dropout.Probability) : 0;
    }
}
