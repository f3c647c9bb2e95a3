using CudaTrainer.Engine.Tensors;
using CudaTrainer.Kernels;

namespace CudaTrainer.Engine.Backends.Reference;

/// <summary>The oracle: plain loops in double precision, one thread, no SIMD. Tensors may be of any type; only storing rounds.</summary>
public sealed class ReferenceDevice : HostDevice
{
    public ReferenceDevice()
        : base("reference") => Ops = new ReferenceOps();

    public override string Description => "plain loops in double precision";

    public override bool ComputesInHalf => true;

    public override IOps Ops { get; }
}

/// <summary>The ops of <see cref="ReferenceDevice"/>, written to be read: each loads its inputs as doubles, loops, and stores.</summary>
public sealed unsafe partial class ReferenceOps : IOps
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

    private static double Sigmoid(double x) => 1 / (1 + Math.Exp(-x));

    /// <summary>What dropout multiplies element <paramref name="index"/> by: 0 or 1/(1−p).</summary>
    private static double DropoutFactor(in LayerDropout dropout, long index)
    {
        if (!dropout.Enabled)
        {
            return 1;
        }

        int step = dropout.State is null ? 0 : State(dropout.State).Step;
        float uniform = Philox.Uniform(dropout.Seed, dropout.Stream(step), dropout.First + index);
        return uniform >= dropout.Probability ? 1 / (1 - (double)dropout.Probability) : 0;
    }
}
