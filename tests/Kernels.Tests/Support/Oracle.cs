using CudaTrainer.Engine.Devices;
using CudaTrainer.Engine.Ops;
using CudaTrainer.Engine.Optim;
using CudaTrainer.Engine.Tensors;

namespace CudaTrainer.Kernels.Tests;

/// <summary>
/// The engine's reference device, whose gradients finite differences prove, for tests that have arrays. Its tensors live as long as it
/// does.
/// </summary>
internal sealed class Oracle : IDisposable
{
    private readonly ReferenceDevice _device = new();
    private readonly List<Tensor> _tensors = [];

    public IOps Ops => _device.Ops;

    public Tensor Of(double[] values, Shape shape) => Own(Tensor.From(_device, shape, values, DType.Float64));

    public Tensor Of(int[] values) => Own(Tensor.From(_device, [values.Length], values));

    public Tensor Zeros(Shape shape) => Own(Tensor.Zeros(_device, shape, DType.Float64));

    public Tensor Bytes(long count) => Own(Tensor.Zeros(_device, [checked((int)count)], DType.UInt8));

    /// <summary>A step state with a loss scale of 1.</summary>
    public Tensor State()
    {
        var state = new StepStateTensor(_device);
        return Own(state.Tensor);
    }

    public void Dispose()
    {
        foreach (Tensor tensor in _tensors)
        {
            tensor.Dispose();
        }

        _device.Dispose();
    }

    private Tensor Own(Tensor tensor)
    {
        _tensors.Add(tensor);
        return tensor;
    }
}
