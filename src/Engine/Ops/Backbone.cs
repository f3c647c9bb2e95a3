using CudaTrainer.Engine.Tensors;
using CudaTrainer.Kernels.Interop;
using Cpu = CudaTrainer.Kernels.Cpu;
using Gpu = CudaTrainer.Kernels.Cuda;

namespace CudaTrainer.Engine.Ops;

/// <summary>
/// Weights in a form that only the device which made it understands (packed panels, transformed filters, an NHWC fp16 copy).
/// </summary>
public abstract class PreparedWeights : IDisposable
{
    public abstract void Dispose();
}

internal partial interface IOps
{
    /// <summary>The type of what <see cref="ConvFlatten"/> writes and <see cref="LinearPreparedRelu"/> reads.</summary>
    DType BackboneType { get; }

    /// <summary>
    /// Bytes of an activation [images, channels, height, width] in the layout that this device keeps between convolutions.
    /// </summary>
    long ConvBytes(int images, int channels, int height, int width);
}

internal sealed unsafe partial class CpuOps
{
    public DType BackboneType => DType.Float32;

    public long ConvBytes(int images, int channels, int height, int width) =>
        sizeof(float) * (long)Cpu.ConvLayout.ElementCount(images, channels, height, width);
}

internal sealed partial class CudaOps
{
    // Activations between convolutions are [images, height, width, channels], channels padded to a multiple of 8 with zeros, in half
    // precision unless the device was made for single.
    private const int ChannelMultiple = Gpu.NormalizeImage.Channels;

    public DType BackboneType => _options.HalfBackbone ? DType.Float16 : DType.Float32;

    private CudaType ConvType => TypeOf(BackboneType);

    public long ConvBytes(int images, int channels, int height, int width) =>
        (long)BackboneType.Size() * images * height * width * Padded(channels);

    private static int Padded(int channels) => (channels + ChannelMultiple - 1) / ChannelMultiple * ChannelMultiple;

    /// <summary>A copy in the type that the backbone computes in.</summary>
    private DeviceBuffer Converted(Tensor tensor, string purpose)
    {
        DeviceBuffer copy = _device.Allocate(tensor.Count * BackboneType.Size(), purpose);
        _elementwise.Cast(_stream, tensor.Count, tensor.Data, TypeOf(tensor), copy.Pointer, ConvType);
        return copy;
    }
}

internal sealed partial class ReferenceOps
{
    public DType BackboneType => DType.Float32;

    // Activations between convolutions are plain [images, channels, height, width] in single precision.
    public long ConvBytes(int images, int channels, int height, int width) => 4L * images * channels * height * width;

    private sealed class Weights(double[] values, double[] bias, int inputs) : PreparedWeights
    {
        public double[] Values { get; } = values;

        public double[] Bias { get; } = bias;

        public int Inputs { get; } = inputs;

        public override void Dispose()
        {
        }
    }
}
