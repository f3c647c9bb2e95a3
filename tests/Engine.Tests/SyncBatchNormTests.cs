using CudaTrainer.Engine.Autograd;
using CudaTrainer.Engine.Checks;
using CudaTrainer.Engine.Devices;
using CudaTrainer.Engine.Ops;
using CudaTrainer.Engine.Tensors;

namespace CudaTrainer.Engine.Tests;

/// <summary>Statistics of all replicas' samples make a spread batch what it is on one device.</summary>
public class SyncBatchNormTests
{
    public static TheoryData<int> Cases => [.. Enumerable.Range(0, SyncBatchNormCheck.All.Count())];

    [Theory]
    [MemberData(nameof(Cases))]
    public void Replicas_agree_with_the_whole_batch_on_the_reference(int index) =>
        SyncBatchNormCheck.All.ElementAt(index).Run(() => new ReferenceDevice(), DType.Float64, DType.Float64, 1e-12, 1e-12);

    [Theory]
    [MemberData(nameof(Cases))]
    public void Replicas_agree_with_the_whole_batch_on_the_cpu(int index) =>
        SyncBatchNormCheck.All.ElementAt(index).Run(() => new CpuDevice(2), DType.Float32, DType.Float32, 1e-6, 1e-6);

    /// <summary>Outside training the running statistics count, and nobody else is asked.</summary>
    [Fact]
    public void Inference_exchanges_nothing()
    {
        using var device = new ReferenceDevice();
        using var tape = new Tape(device) { Statistics = new Forbidden() };
        using var x = Tensor.From(device, [2, 2], [1.0, 2, 3, 4], DType.Float64);
        using var ones = Tensor.From(device, [2], [1.0, 1], DType.Float64);
        using var zeros = Tensor.From(device, [2], [0.0, 0], DType.Float64);
        Tensor y = BatchNormFunction.Apply(tape, x, ones, zeros, zeros, ones, relu: false, LayerDropout.None);
        double[] expected = [.. x.ToDoubles().Select(value => value / Math.Sqrt(1 + (double)1e-3f))];
        GradientCheck.RelativeError(y.ToDoubles(), expected).ShouldBeLessThan(1e-12);
    }

    private sealed class Forbidden : IStatisticsExchange
    {
        public int Parts => throw new InvalidOperationException();

        public void AllGather(Tensor part, Tensor gathered) => throw new InvalidOperationException();
    }
}
