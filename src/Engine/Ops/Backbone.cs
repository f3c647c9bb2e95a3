using CudaTrainer.Engine.Tensors;
using CudaTrainer.Kernels.Interop;
using Gpu = CudaTrainer.Kernels.Cuda;

namespace CudaTrainer.Engine.Backends.Cuda;

// Activations between convolutions are [images, height, width, channels], channels padded to a multiple of 8 with zeros, in half precision unless the device was made for single.
public sealed partial class CudaOps
{
    private const int ChannelMultiple = Gpu.NormalizeImage.Channels;

    /// <summary>The most scratch memory that a convolution algorithm may ask for.</summary>
    private const long ConvScratchLimit = 256L << 20;

    private readonly Dictionary<(int Images, int Channels, int Size), CudnnPooling> _poolings = [];

    public DType BackboneType => _options.HalfBackbone ? DType.Float16 : DType.Float32;

    private CudaType ConvType => TypeOf(BackboneType);

    public long ConvBytes(int images, int channels, int height, int width) => (long)BackboneType.Size() * images * height * width * Padded(channels);

    public PreparedWeights PrepareConv3x3(Tensor weight, Tensor bias)
    {
        Cudnn("VGG19");
        int filters = weight.Shape[0], channels = weight.Shape[1], padded = Padded(channels);
        DeviceBuffer packed = _device.Allocate((long)filters * 9 * padded * BackboneType.Size(), "convolution filters");
        _packFilters.Run(_stream, filters, channels, padded, weight.Data, packed.Pointer, ConvType);
        return new ConvWeights(_device, packed, Converted(bias, "convolution bias"), filters, padded);
    }

    public PreparedWeights PrepareLinear(Tensor weight, Tensor bias)
    {
        // The bias is added by our kernel, which reads single precision.
        DeviceBuffer own = _device.Allocate(bias.Bytes, "dense bias");
        _device.Copy(bias.Data, own.Pointer, bias.Bytes);
        return new LinearWeights(_device, Converted(weight, "dense weights"), own, weight.Shape[0], weight.Shape[1]);
    }

    public void NormalizeImage(Tensor rgb, Tensor y, in ImageNormalization normalization) => _normalizeImage.Run(
        _stream, rgb.Shape[0], rgb.Shape[1], rgb.Shape[2], rgb.Data, y.Data, ConvType,
        [normalization.MeanRed, normalization.MeanGreen, normalization.MeanBlue], [normalization.ScaleRed, normalization.ScaleGreen, normalization.ScaleBlue], normalization.Bgr);

    public void Conv3x3BiasRelu(Tensor x, Tensor y, Shape shape, PreparedWeights weights, bool pool)
    {
        var w = (ConvWeights)weights;
        int images = shape[0], height = shape[2], width = shape[3];
        CudnnConvolution convolution = w.For(Cudnn("VGG19"), images, height, width, ConvType, ConvScratchLimit);
        nint scratch = _workspace.Take(CudaWorkspace.Use.ConvScratch, convolution.WorkspaceBytes);
        nint output = pool ? _workspace.Take(CudaWorkspace.Use.ConvOutput, ConvBytes(images, w.Filters, height, width)) : y.Data;
        convolution.Run(x.Data, w.Packed.Pointer, w.Bias.Pointer, output, scratch);
        if (pool)
        {
            PoolingOf(images, w.Filters, height, width).Run(output, y.Data);
        }
    }

    public void ConvFlatten(Tensor x, Tensor y, Shape shape) => _convFlatten.Run(_stream, shape[0], shape[1], shape[2], shape[3], x.Data, y.Data, ConvType);

    public void LinearPreparedRelu(Tensor x, PreparedWeights weights, Tensor y)
    {
        var w = (LinearWeights)weights;
        nint input = Operand(x, ConvType, CudaWorkspace.Use.OperandA);
        Multiply(false, true, x.Shape.Rows, w.Outputs, w.Inputs, input, w.Inputs, w.Matrix.Pointer, w.Inputs, ConvType, y.Data, TypeOf(y), accumulate: false);
        _biasRelu.Run(_stream, x.Shape.Rows, w.Outputs, y.Data, w.Bias.Pointer, relu: true, TypeOf(y));
    }

    private static int Padded(int channels) => (channels + ChannelMultiple - 1) / ChannelMultiple * ChannelMultiple;

    private void DisposeConvolutions()
    {
        foreach (CudnnPooling pooling in _poolings.Values)
        {
            pooling.Dispose();
        }
    }

    private CudnnPooling PoolingOf(int images, int channels, int height, int width)
    {
        var key = (images, channels, height);
        if (!_poolings.TryGetValue(key, out CudnnPooling? pooling))
        {
            _poolings[key] = pooling = new CudnnPooling(Cudnn("VGG19"), images, channels, height, width, ConvType);
        }

        return pooling;
    }

    /// <summary>A copy in the type that the backbone computes in.</summary>
    private DeviceBuffer Converted(Tensor tensor, string purpose)
    {
        DeviceBuffer copy = _device.Allocate(tensor.Count * BackboneType.Size(), purpose);
        _elementwise.Cast(_stream, tensor.Count, tensor.Data, TypeOf(tensor), copy.Pointer, ConvType);
        return copy;
    }

    private sealed class ConvWeights(CudaDevice device, DeviceBuffer packed, DeviceBuffer bias, int filters, int channels) : PreparedWeights
    {
        private readonly Dictionary<(int Images, int Height), CudnnConvolution> _bySize = [];

        /// <summary>[Filters, 3, 3, channels].</summary>
        public DeviceBuffer Packed { get; } = packed;

        /// <summary>[Filters], of the same type.</summary>
        public DeviceBuffer Bias { get; } = bias;

        public int Filters { get; } = filters;

        public CudnnConvolution For(CudnnHandle cudnn, int images, int height, int width, CudaType type, long scratchLimit)
        {
            if (!_bySize.TryGetValue((images, height), out CudnnConvolution? convolution))
            {
                _bySize[(images, height)] = convolution = new CudnnConvolution(cudnn, images, channels, height, width, Filters, type, scratchLimit);
            }

            return convolution;
        }

        public override void Dispose()
        {
            foreach (CudnnConvolution convolution in _bySize.Values)
            {
                convolution.Dispose();
            }

            device.Free(Packed);
            device.Free(Bias);
        }
    }

    private sealed class LinearWeights(CudaDevice device, DeviceBuffer matrix, DeviceBuffer bias, int outputs, int inputs) : PreparedWeights
    {
        /// <summary>[Outputs, Inputs].</summary>
        public DeviceBuffer Matrix { get; } = matrix;

        /// <summary>[Outputs], single precision.</summary>
        public DeviceBuffer Bias { get; } = bias;

        public int Outputs { get; } = outputs;

        public int Inputs { get; } = inputs;

        public override void Dispose()
        {
            device.Free(Matrix);
            device.Free(Bias);
        }
    }
}
