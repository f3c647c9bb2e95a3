using CudaTrainer.Engine.Checks;
using CudaTrainer.Engine.Devices;
using CudaTrainer.Engine.Ops;
using CudaTrainer.Engine.Optim;
using CudaTrainer.Engine.Tensors;

namespace CudaTrainer.Bench.Kernels;

/// <summary>An op of the engine with its tensors on one device. On the processor an op is a call of the kernel of the same name.</summary>
/// <param name="Run">Computes once.</param>
/// <param name="Outputs">What it computes, by name.</param>
internal sealed record Op(Action Run, params (string Name, Tensor Value)[] Outputs);

/// <summary>Makes the tensors of an op and disposes them; the same calls give the same numbers on every device.</summary>
internal sealed class OpTensors(IDevice device) : IDisposable
{
    private readonly List<IDisposable> _owned = [];
    private int _seed;

    public IOps Ops => device.Ops;

    /// <summary>Uniform in [−scale, scale).</summary>
    public Tensor Random(Shape shape, float scale = 1, DType type = DType.Float32) =>
        From(NativeArray.RandomManaged(checked((int)shape.Count), ++_seed, scale), shape, type);

    public Tensor From(float[] values, Shape shape, DType type = DType.Float32) =>
        Own(Tensor.From(device, shape, (ReadOnlySpan<float>)values, type));

    public Tensor From(int[] values) => Own(Tensor.From(device, [values.Length], values));

    public Tensor From(long[] values) => Own(Tensor.From(device, [values.Length], values));

    public Tensor Zeros(Shape shape, DType type = DType.Float32) => Own(Tensor.Zeros(device, shape, type));

    public StepStateTensor State()
    {
        var state = new StepStateTensor(device);
        _owned.Add(state);
        return state;
    }

    public void Dispose()
    {
        foreach (IDisposable item in _owned)
        {
            item.Dispose();
        }
    }

    private Tensor Own(Tensor tensor)
    {
        _owned.Add(tensor);
        return tensor;
    }
}

/// <summary>An op on the processor as one of the kernels that are timed.</summary>
internal static class OpKernel
{
    private const double SingleTolerance = 1e-5;

    public static KernelCase Case(TimedOp op) => new(op.Name, op.Work, threads =>
    {
        var device = new CpuDevice(threads);
        var tensors = new OpTensors(device);
        Op made = op.Build(tensors);
        return new PreparedKernel(made.Run, () => Check(made, op, SingleTolerance), device, tensors);
    });

    /// <summary>Runs an op and compares it with the reference device, which computes in double precision.</summary>
    /// <returns>The largest relative error of any output.</returns>
    /// <exception cref="WrongResultException">It is above the tolerance.</exception>
    public static double Check(Op made, TimedOp op, double tolerance)
    {
        using var device = new ReferenceDevice();
        using var tensors = new OpTensors(device);
        Op reference = op.Build(tensors);
        made.Run();
        reference.Run();
        double worst = 0;
        foreach (((string Name, Tensor Value) actual, (string Name, Tensor Value) expected) in made.Outputs.Zip(reference.Outputs))
        {
            double error = GradientCheck.RelativeError(actual.Value.ToDoubles(), expected.Value.ToDoubles());
            WrongResultException.ThrowIfAbove($"{op.Name}: {actual.Name}", error, tolerance);
            worst = Math.Max(worst, error);
        }

        return worst;
    }
}
