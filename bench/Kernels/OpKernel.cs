using CudaTrainer.Engine.Autograd;
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
    public Tensor Random(Shape shape, float scale = 1, DType type = DType.Float32) => From(NativeArray.RandomManaged(checked((int)shape.Count), ++_seed, scale), shape, type);

    public Tensor From(float[] values, Shape shape, DType type = DType.Float32) => Own(Tensor.From(device, shape, (ReadOnlySpan<float>)values, type));

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

/// <summary>Checks an op on the processor against the reference device, which computes in double precision.</summary>
internal static class OpKernel
{
    private const double Tolerance = 1e-5;

    /// <param name="name">What the table calls it.</param>
    /// <param name="work">Its measure.</param>
    /// <param name="build">Makes it on a device.</param>
    /// <param name="tolerance">Largest relative error of each output.</param>
    public static KernelCase Case(string name, Work work, Func<OpTensors, Op> build, double tolerance = Tolerance) => new(name, work, threads =>
    {
        var device = new CpuDevice(threads);
        var tensors = new OpTensors(device);
        Op op = build(tensors);
        return new PreparedKernel(op.Run, () => Check(op, build, tolerance), device, tensors);
    });

    private static void Check(Op op, Func<OpTensors, Op> build, double tolerance)
    {
        using var device = new ReferenceDevice();
        using var tensors = new OpTensors(device);
        Op reference = build(tensors);
        op.Run();
        reference.Run();
        foreach (var (actual, expected) in op.Outputs.Zip(reference.Outputs))
        {
            WrongResultException.ThrowIfAbove(actual.Name, GradientCheck.RelativeError(actual.Value.ToDoubles(), expected.Value.ToDoubles()), tolerance);
        }
    }
}
